"""A model that translates or enlarges, applied to an image of any height and width, a tile at a time.

Tiles of one size overlap. The outer `margin` of a tile, where its result depends on what lies beyond it, is dropped
wherever another tile takes over; in what is left of the overlap the two are blended linearly. So where a model depends
on no more than `margin`, the result is that of the whole image at once, but for rounding; elsewhere there is no edge to
be seen, and `Tiled.difference` measures how far the two are apart. Tiles begin at multiples of `multiple`, as strides
and poolings want it. Only a row of tiles is kept besides the result.

An image whose sides are no multiple is mirrored beyond its edges, and the result is cropped.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fairdraw.capabilities import Translates, Upscales
from fairdraw.errors import InputError
from fairdraw.inference import full_precision
from fairdraw.model import Model
from fairdraw.noise import Noise

TRANSLATED, UPSCALED = 512, 256
"""Side of a tile in pixels, where no other is asked for: what is enlarged takes more memory per pixel."""

RAMP = 8
"""Pixels at least over which two tiles are blended."""

LEAST = 16
"""Pixels that each side of what is translated has at least: of a map of one pixel there are no statistics, and nothing
to mirror."""

MOST = 1_000_000_000
"""Pixels of a result; more is a slip, or takes more memory than it is worth."""

Levels = NDArray[Any]
"""uint8 or uint16."""

Precision = Literal["fp32", "bf16"]
"""In which a network's products are computed: that of its weights, or one of 8 bits, several times as fast on
processors and GPUs that have it, which is off by a level or more of the 256."""

Tick = Callable[[int, int], None]
"""Told how many tiles are done, of how many."""


@dataclass(frozen=True)
class Axis:
    """One side of an image in tiles.

    Args:
        length: of the image, in pixels.
        before: pixels added in front of it.
        side: of a tile.
        starts: where the tiles begin, counted from the first pixel that was added.
        ramps: where each tile takes over from the one before: it begins to count, and it alone counts.
    """

    length: int
    before: int
    side: int
    starts: tuple[int, ...]
    ramps: tuple[tuple[int, int], ...]

    @classmethod
    def cut(cls, length: int, side: int, margin: int, multiple: int, least: int = 1) -> "Axis":
        """Tiles of `side` pixels, as few as will do, evenly spread; one that is shorter for a short image."""
        padded = _up(max(length, least), multiple)
        side = min(side, padded)
        steps = -(-(padded - side) // _stride(side, margin, multiple)) if padded > side else 0
        starts = [(padded - side) * k // steps // multiple * multiple for k in range(1, steps + 1)]
        ramps, taken = [], 0
        for start, last in zip(starts, [0, *starts], strict=False):
            ramps.append((max(start + margin, taken), last + side - margin))
            taken = ramps[-1][1]
        return cls(length, (padded - length) // 2, side, (0, *starts), tuple(ramps))

    def pixels(self, number: int) -> NDArray[np.intp]:
        """Which pixels of the image a tile sees: beyond its edges it is mirrored, as often as need be."""
        places = np.arange(self.side) + self.starts[number] - self.before
        period = max(1, 2 * (self.length - 1))
        places %= period
        return np.minimum(places, period - places) if self.length > 1 else np.zeros_like(places)

    def counted(self, number: int) -> tuple[int, int]:
        """From where on a tile counts, and from where on the next one does."""
        begin = self.ramps[number - 1][0] if number else 0
        return begin, self.ramps[number][0] if number < len(self.ramps) else self.starts[-1] + self.side


@dataclass(frozen=True)
class Tiled:
    """A model, and how images are cut for it.

    Args:
        compute: an image `[1, C, h, w]` in [-1, 1] on the CPU, and its number among several, to one that is `factor`
            times as large, likewise.
        side: of a tile, in pixels of the image that is given.
        margin: pixels around a tile that its result depends on.
        multiple: what the sides of a tile are multiples of.
        factor: how many times as long each side becomes.
        least: pixels that each side of a tile has at least.
    """

    compute: Callable[[Tensor, int], Tensor]
    side: int
    margin: int
    multiple: int = 1
    factor: int = 1
    least: int = 1

    def of(self, image: Levels, number: int = 0, tick: Tick | None = None) -> Levels:
        """The result for an image `[C, H, W]` of any size, in its type.

        Raises:
            InputError: where the result, or the work on a tile, does not fit into memory.
        """
        _, height, width = image.shape
        height, width = height * self.factor, width * self.factor
        if height * width > MOST:
            raise InputError(f"the result would have {width:,}x{height:,} pixels, over {MOST:,}: cut the picture first")
        made, top = None, 0
        for band in self.bands(image, number, tick):
            if made is None:
                made = np.empty((len(band), height, width), image.dtype)
            made[:, top : top + band.shape[1]] = to_levels(band, image.dtype)
            top += band.shape[1]
        assert made is not None
        return made

    def bands(self, image: Levels, number: int = 0, tick: Tick | None = None) -> Iterator[Tensor]:
        """The result from its top, so many rows at a time as are finished, float32 `[C, rows, factor * W]`."""
        down, across = (Axis.cut(n, self.side, self.margin, self.multiple, self.least) for n in image.shape[1:])
        f, tail = self.factor, None
        for row, start in enumerate(down.starts):
            band = self._row(image, down, row, across, number, tick)
            begin, end = down.counted(row)
            if tail is not None:
                part = band[:, (begin - start) * f :][:, : tail.shape[1]]
                part.copy_(torch.lerp(tail, part, _rise(tail.shape[1])[:, None]))
            if row < len(down.ramps):
                tail = band[:, (end - start) * f : (down.ramps[row][1] - start) * f].clone()
            first, last = max(begin, down.before), min(end, down.before + down.length)
            if first < last:
                yield band[:, (first - start) * f : (last - start) * f]

    def difference(self, image: Levels, number: int = 0) -> float:
        """The largest difference between the result in tiles and that of the whole image at once, in levels of 255."""
        at_once = replace(self, side=_up(max(*image.shape, self.least), self.multiple))
        (whole,) = at_once.bands(image, number)
        return float((torch.cat(list(self.bands(image, number)), dim=1) - whole).abs().max()) * 127.5

    def _row(self, image: Levels, down: Axis, row: int, across: Axis, number: int, tick: Tick | None) -> Tensor:
        """A row of tiles side by side, blended, without what was added to the left and right of the image."""
        f, canvas, rows = self.factor, None, down.pixels(row)
        for column, start in enumerate(across.starts):
            seen = image[:, rows[:, None], across.pixels(column)]
            (tile,) = self.compute(to_signed(seen)[None], number)
            if canvas is None:
                canvas = tile.new_empty(len(tile), tile.shape[1], (across.starts[-1] + across.side) * f)
                canvas[..., : tile.shape[2]] = tile
            else:
                begin, alone = (place * f for place in across.ramps[column - 1])
                part, new = canvas[..., begin:alone], tile[..., begin - start * f : alone - start * f]
                part.copy_(torch.lerp(part, new, _rise(alone - begin)))
                canvas[..., alone : start * f + tile.shape[2]] = tile[..., alone - start * f :]
            if tick is not None:
                tick(row * len(across.starts) + column + 1, len(down.starts) * len(across.starts))
        assert canvas is not None
        inside: Tensor = canvas[..., across.before * f : (across.before + across.length) * f]
        return inside


def translating(
    model: Translates, direction: str, seed: int = 0, tile: int | None = None, precision: Precision = "fp32"
) -> Tiled:
    """A model that translates. All tiles of image number k are given the k-th row of the noise of `seed`.

    Raises:
        InputError: for a `tile` that leaves nothing between its margins.
    """
    assert isinstance(model, Model)
    device, dtype = model.device, model.dtype

    def compute(x: Tensor, number: int) -> Tensor:
        return model.translate(x, direction, Noise(seed, 1, number, "translate", device, dtype))

    side = _side(tile, TRANSLATED, model.margin, model.multiple, LEAST)
    computed = _on_its_device(model, compute, side, precision)
    return Tiled(computed, side, model.margin, model.multiple, least=LEAST)


def upscaling(model: Upscales, tile: int | None = None, precision: Precision = "fp32") -> Tiled:
    """A model that enlarges.

    Raises:
        InputError: for a `tile` that leaves nothing between its margins.
    """
    assert isinstance(model, Model)
    side = _side(tile, UPSCALED, model.margin, 1)
    computed = _on_its_device(model, lambda x, _: model.upscale(x), side, precision)
    return Tiled(computed, side, model.margin, 1, model.factor)


def to_signed(image: Levels) -> Tensor:
    """uint8 or uint16 to float32 in [-1, 1]: 0 is -1, the largest level 1."""
    return torch.from_numpy(image.astype(np.float32)).mul_(2 / np.iinfo(image.dtype).max).sub_(1)


def to_levels(x: Tensor, dtype: Any) -> Levels:
    """[-1, 1] to `dtype`, rounded to the nearest level; values outside are clipped. The inverse of `to_signed`."""
    most = np.iinfo(dtype).max
    found: Levels = (x + 1).mul_(most / 2).round_().clamp_(0, most).numpy().astype(dtype)
    return found


def _on_its_device(
    model: Model, compute: Callable[[Tensor, int], Tensor], side: int, precision: Precision
) -> Callable[[Tensor, int], Tensor]:
    """`compute` where `model` is, in its type, without gradients; in the precision of its weights or in bfloat16."""
    model.to(memory_format=model.memory_format)  # type: ignore[call-overload]

    def in_precision() -> AbstractContextManager[None]:
        if precision == "fp32":
            return full_precision(model.device)
        return torch.autocast(model.device.type, torch.bfloat16)

    def computed(x: Tensor, number: int) -> Tensor:
        try:
            with torch.inference_mode(), in_precision():
                x = x.to(model.device, model.dtype).contiguous(memory_format=model.memory_format)
                made: Tensor = compute(x, number).float().cpu()
                return made
        except RuntimeError as error:  # on the CPU, what is out of memory has no class of its own
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise InputError(
                    f"a tile of {side} px does not fit into the memory of {model.device}: give a smaller --tile"
                ) from error
            raise

    return computed


def _side(asked: int | None, usual: int, margin: int, multiple: int, least: int = 1) -> int:
    least = _up(max(2 * margin + _ramp(margin) + multiple, least), multiple)
    if asked is not None and asked < least:
        raise InputError(
            f"--tile {asked}: a result depends on {margin} px around it, so that nothing is left of such a tile; "
            f"give at least {least}"
        )
    return _up(asked or max(usual, least), multiple)


def _stride(side: int, margin: int, multiple: int) -> int:
    return (side - 2 * margin - _ramp(margin)) // multiple * multiple


def _ramp(margin: int) -> int:
    return max(RAMP, margin // 4)


def _rise(steps: int) -> Tensor:
    """From 0 to 1, at the centres of `steps` pixels."""
    return (torch.arange(steps) + 0.5) / steps


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
