"""Images to a file and back, by a trained model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from fairdraw.capabilities import CodesLosslessly, Encodes, Generates
from fairdraw.compress import bits_back, container
from fairdraw.compress.container import Content, Header, checksum_of, made_here
from fairdraw.compress.entropy import coder_version
from fairdraw.compress.quantised import Quantiser, codes_of, images_of
from fairdraw.errors import InputError
from fairdraw.model import Model

Advance = Callable[[int], None]
"""Is told how many images are done."""


class Stored(NamedTuple):
    """What a file of images takes, and what it gives back.

    Args:
        size: of the file in bytes.
        code_bits: of those, the stack, with the `initial_bits` that were random bits to begin with.
        initial_bits: 0 for lossy files.
        bits: what each image added, `[N]`; for lossless files only.
        images: what comes back, uint8 `[N, C, H, W]`.
        unrounded: what would come back if the codes were not rounded; for lossy files only.
    """

    size: int
    code_bits: int
    initial_bits: int
    bits: np.ndarray | None
    images: np.ndarray
    unrounded: np.ndarray | None


@dataclass(frozen=True)
class Archive:
    """A file of images that a model compresses.

    Args:
        path: of the file.
        model: the one that writes and reads it, on the CPU.
        facts: what the model's file says of it: its name as `model`, its fingerprint as `sha256`.

    Raises:
        InputError: where the entropy coder is not installed.
    """

    path: Path
    model: Model
    facts: dict[str, Any]

    def __post_init__(self) -> None:
        coder_version()  # where there is no coder, say so before the work and not after it

    def write_lossless(self, images: np.ndarray, names: Sequence[str], seed: int, advance: Advance) -> Stored:
        """Code uint8 `images` `[N, C, H, W]`, decode them again, and only then write them.

        Args:
            images: at least one; black and white for a model of bits.
            names: of the images.
            seed: of the initial bits.
            advance: is told of the images done, each of which counts twice.

        Raises:
            InputError: where they do not come back the same, or the file cannot be written.
        """
        assert isinstance(self.model, CodesLosslessly)
        coded = bits_back.encode(self.model, images, seed, advance)
        back = bits_back.decode(
            self.model,
            coded.words,
            coded.grid,
            coded.initial_bits,
            len(images),
            lambda done: advance(len(images) + done),
        )
        if not np.array_equal(back, images):
            raise InputError(
                f"{self.path} was not written, for the images did not come back as they were: "
                "the networks do not give the same numbers twice here; choose --step for lossy coding"
            )
        latent = len(coded.grid.exponents)
        header = self._header("lossless", names, images, latent, coded.grid, coded.initial_bits)
        size = container.write(self.path, header, coded.words)
        return Stored(size, 32 * len(coded.words), coded.initial_bits, coded.bits, back, None)

    def write_lossy(self, images: np.ndarray, names: Sequence[str], step: float) -> Stored:
        """Write the codes of uint8 `images` `[N, C, H, W]`, rounded.

        Args:
            images: at least one.
            names: of the images.
            step: width of a cell of the most sensitive dimension, in its standard deviations.

        Raises:
            InputError: where codes are not finite, or the file cannot be written.
        """
        assert isinstance(self.model, Encodes)
        assert isinstance(self.model, Generates)
        codes = codes_of(self.model, images)
        quantiser = Quantiser.fit(self.model, codes, step)
        symbols = quantiser.symbols(codes)
        grid = bits_back.Grid((), max(1, int(np.abs(symbols).max())))
        words = quantiser.pack(symbols, grid.reach)
        header = self._header("lossy", names, symbols, codes.shape[1], grid, 0)
        size = container.write(self.path, header, words, quantiser)
        made = images_of(self.model, quantiser.codes(symbols))
        return Stored(size, 32 * len(words), 0, None, made, images_of(self.model, codes))

    def open(self) -> Content:
        """The content of the file.

        Raises:
            InputError: for a damaged file, or one by another model.
        """
        content = container.read(self.path)
        header = content.header
        if header.model_sha256 != self.facts["sha256"]:
            raise InputError(
                f"{self.path} was compressed by the {header.model} {header.model_sha256[:12]}, and this is the "
                f"{self.facts['model']} {self.facts['sha256'][:12]}: give the run that compressed it"
            )
        return content

    def images(self, content: Content, advance: Advance) -> np.ndarray:
        """The images, uint8 `[N, C, H, W]`.

        Raises:
            InputError: where other images come out than went in.
        """
        header, words, quantiser = content
        if header.kind == "lossless":
            assert isinstance(self.model, CodesLosslessly)
            images = exact = bits_back.decode(
                self.model, words, header.grid, header.initial_bits, len(header.names), advance
            )
        else:
            assert isinstance(self.model, Generates)
            rounded = Quantiser(*quantiser)
            exact = rounded.unpack(words, len(header.names), header.grid.reach)
            images = images_of(self.model, rounded.codes(exact))
        if checksum_of(exact) != header.checksum:
            raise InputError(
                f"{self.path} decodes to other images here than went in, as the networks' last digits depend on "
                f"machine and versions: decompress it where it was made, with {header.made_with} (here: {made_here()})"
            )
        return images

    def _header(
        self,
        kind: Literal["lossless", "lossy"],
        names: Sequence[str],
        exact: np.ndarray,
        latent: int,
        grid: bits_back.Grid,
        initial_bits: int,
    ) -> Header:
        known = self.facts["model"], self.facts["sha256"], self.model.shape
        return Header(kind, *known, tuple(names), checksum_of(exact), made_here(), latent, grid, initial_bits)
