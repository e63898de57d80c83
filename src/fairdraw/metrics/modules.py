"""Anybody's network as features: the judge asks for nothing but numbers of images and a name for them."""

import copy
import re
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from fairdraw.data.options import plural
from fairdraw.errors import InputError
from fairdraw.metrics.extraction import extracted
from fairdraw.metrics.features import Features, fingerprint
from fairdraw.metrics.resize import RESIZE, as_grey, as_rgb, resized

TAKEN = ("inception", "efficientnet-lite0", "digits")
"""Names of networks that are known: a number that bears one of them is by that very network."""
LARGEST = 1e12
"""Of a feature: sixth powers of it, which intervals of distances take, are still numbers."""
NAME = re.compile(r"[\w.+:/-]+( [\w.+:/-]+)*")
"""Of what stands in brackets, in the tables of a report, and on one line."""


class ModuleFeatures(Features):
    """Features by a module that maps images `[B, C, H, W]` in [-1, 1] to `[B, D]`.

    A copy of it is used, in eval mode, without gradients, in full precision, where its parameters are.

    Args:
        module: the network.
        name: part of the name of every number, as in `FD(name)`: words of letters, digits and `. + : / - _`.
        size: side in pixels that images are brought to, as clean-fid does; None takes them as they are.
        channels: 3 repeats grey and lays transparency on white, 1 makes grey; None takes images as they are.
        chunk: images at a time.
        slow: whether it takes milliseconds for an image, so that fewer are worth waiting for.

    Raises:
        InputError: for a name that is no such words or belongs to a network that is known, numbers that make no sense,
            and what is no module that can be copied and told from others by its weights.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str,
        *,
        size: int | None = None,
        channels: Literal[1, 3] | None = None,
        chunk: int = 64,
        slow: bool = False,
    ) -> None:
        if name.lower() in TAKEN or name.lower().startswith("pixels-pca"):
            raise InputError(f"features of your own cannot be called {name!r}: give a name that no other network has")
        if not NAME.fullmatch(name):
            raise InputError(f"features cannot be called {name!r}: give words of letters, digits and . + : / - _")
        if channels not in (None, 1, 3):
            raise InputError(f"channels {channels!r}: give 1 or 3, or None to take images as they are")
        for what, number in (("size", size), ("chunk", chunk)):
            if number is not None and (type(number) is not int or number < 1):
                raise InputError(f"{what} {number}: give a whole number, at least 1")
        self._name, self._size, self._channels, self._chunk, self._slow = name, size, channels, chunk, slow
        self._module, self._sha256 = _copied(module, name)

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @property
    def sha256(self) -> str:
        """Of the class's name, and of the names, types, shapes and values of all parameters and buffers."""
        return self._sha256

    @property
    def resize(self) -> str:
        """As clean-fid does, where there is a size; and the channels, where these are changed."""
        size = "none" if self._size is None else f"{RESIZE}, to {self._size} px"
        return size if self._channels is None else f"{size}, {plural(self._channels, 'channel')}"

    @property
    def slow(self) -> bool:
        """As it was given."""
        return self._slow

    def of(self, images: np.ndarray) -> np.ndarray:
        """Features `[N, D]`, float64, of uint8 `images` `[N, C, H, W]`.

        Raises:
            InputError: where the module makes anything but a row of finite numbers for each image, each as long.
        """
        width: int | None = None
        parameter = next(self._module.parameters(), None)
        place = torch.device("cpu") if parameter is None else parameter.device
        kind = torch.float32 if parameter is None else parameter.dtype

        def compute(x: Tensor) -> tuple[Tensor, ...]:
            nonlocal width
            made = self._made((x / 127.5 - 1).to(kind).contiguous())
            shape = list(made.shape) if isinstance(made, Tensor) else type(made).__name__
            if not isinstance(made, Tensor) or made.dim() != 2 or len(made) != len(x) or not made.shape[1]:
                raise InputError(f"{self._name} makes {shape} of {len(x)} images: features are [images, numbers]")
            what = "complex numbers" if made.is_complex() else ""
            if not what and (bad := int((~(made.cpu().double().abs() <= LARGEST)).any(1).sum())):
                what = f"NaN, infinity or numbers beyond {LARGEST:.0e} of {bad} of {len(x)} images"
            if what:
                raise InputError(f"{self._name} makes {what}: a distance between such features means nothing")
            if width not in (None, made.shape[1]):
                raise InputError(f"{self._name} makes {width} numbers of some images and {made.shape[1]} of others")
            width = made.shape[1]
            return (made,)

        return extracted(compute, self._prepared, images, self._chunk, place)[0]

    def identity(self, some: np.ndarray) -> str:
        """Of the weights and of the features of `some` images, for other code may make other numbers with them.

        Raises:
            InputError: for a module that makes other numbers each time, of which no distance would be the same twice,
                or other numbers of an image beside other images.
        """
        made = self.of(some)

        def differs(again: np.ndarray) -> bool:
            return not np.allclose(made, again, rtol=1e-3, atol=1e-3 * np.abs(made).max(initial=0))

        if differs(self.of(some)):
            raise InputError(
                f"{self._name} makes other numbers of the same images each time: take what is drawn out of it"
            )
        if differs(np.concatenate([self.of(some[place : place + 1]) for place in range(len(some))])):
            raise InputError(
                f"{self._name} makes other numbers of an image beside other images: let it see each by itself"
            )
        return fingerprint(np.frombuffer(self._sha256.encode(), np.uint8), made)

    def _made(self, x: Tensor) -> object:
        try:
            return self._module(x)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            _, channels, height, width = x.shape
            raise InputError(
                f"{self._name} fails on images of {width}x{height} px, {plural(channels, 'channel')} "
                f"({str(error).splitlines()[0]}): give the size and channels that it wants"
            ) from error

    def _prepared(self, images: np.ndarray) -> np.ndarray:
        if self._channels is not None:
            images = (as_rgb if self._channels == 3 else as_grey)(images)
        return images.astype(np.float32) if self._size is None else resized(images, self._size)


def _copied(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    """A copy in eval mode, and the fingerprint of its class and its weights."""
    if not isinstance(module, nn.Module):
        raise InputError(f"features {name}: {type(module).__name__} is no nn.Module; put it into the forward of one")
    try:
        copied = copy.deepcopy(module).eval().requires_grad_(False)
        parts = [
            part for key, value in sorted(copied.state_dict().items()) for part in (_title(key, value), _bytes(value))
        ]
    # of modules that are lazy or scripted, or whose state is no tensors
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"features {name}: no module that can be copied with its weights ({why})") from error
    return copied, fingerprint(np.frombuffer(type(module).__qualname__.encode(), np.uint8), *parts)


def _title(key: str, value: Tensor) -> np.ndarray:
    return np.frombuffer(f"{key} {value.dtype} {list(value.shape)}".encode(), np.uint8)


def _bytes(value: Tensor) -> np.ndarray:
    found: np.ndarray = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return found
