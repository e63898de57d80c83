"""Whole numbers to bits: a stack of bits by asymmetric numeral systems (Duda 2013), of the package `constriction`."""

from typing import Any

import numpy as np

from fairdraw.errors import InputError

MOST_CELLS = 2**16
"""On either side of 0. A probability is a multiple of 2^-24 and none is 0, so more cells would cost the others."""


class Stack:
    """A stack of bits. What was pushed last is popped first; popping what was never pushed draws it.

    Args:
        words: what a stack had in `words`; nothing for an empty one.

    Raises:
        InputError: where the package is not installed.
    """

    def __init__(self, words: np.ndarray | None = None) -> None:
        constriction = _constriction()
        self._models = constriction.stream.model
        self._coder = constriction.stream.stack.AnsCoder(*([] if words is None else [words.astype(np.uint32)]))

    @property
    def bits(self) -> int:
        """How many bits are on the stack."""
        return int(self._coder.num_valid_bits())

    @property
    def words(self) -> np.ndarray:
        """The whole stack, uint32 `[W]`."""
        found: np.ndarray = self._coder.get_compressed()
        return found

    def push_gaussian(self, symbols: np.ndarray, reach: int, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Push integers `[n]` from -reach to reach, each by the mass of its own Gaussian within 1/2 of it."""
        self._coder.encode_reverse(symbols.astype(np.int32), self._gaussian(reach), mean, deviation)

    def pop_gaussian(self, reach: int, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """The inverse of `push_gaussian`, int32 `[n]`."""
        found: np.ndarray = self._coder.decode(self._gaussian(reach), mean, deviation)
        return found

    def scramble(self, bits: int, seed: int) -> None:
        """Turn about half of the top `bits`, to a multiple of 16, over by random numbers; again, to undo it."""
        uniform = self._models.Uniform(2**16)
        top = self._coder.decode(uniform, bits // 16)
        numbers = np.random.default_rng(seed).integers(0, 2**16, len(top), np.int32)
        self._coder.encode_reverse(top ^ numbers, uniform)

    def push_by_table(self, symbols: np.ndarray, weights: np.ndarray) -> None:
        """Push integers `[n]` from 0 to V - 1, each by its own row of `weights` `[n, V]`, in proportion to them."""
        self._coder.encode_reverse(symbols.astype(np.int32), self._models.Categorical(perfect=False), weights)

    def pop_by_table(self, weights: np.ndarray) -> np.ndarray:
        """The inverse of `push_by_table`, int32 `[n]`."""
        found: np.ndarray = self._coder.decode(self._models.Categorical(perfect=False), weights)
        return found

    def _gaussian(self, reach: int) -> Any:
        return self._models.QuantizedGaussian(-reach, reach)


def coder_version() -> str:
    """The installed version of the entropy coder.

    Raises:
        InputError: where the package is not installed.
    """
    from importlib.metadata import version

    _constriction()
    return version("constriction")


def _constriction() -> Any:
    try:
        import constriction
    except ImportError as error:
        raise InputError(
            "compressing needs the package constriction; install it with: pip install 'fairdraw[compress]'"
        ) from error
    return constriction
