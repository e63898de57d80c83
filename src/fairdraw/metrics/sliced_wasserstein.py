"""Sliced Wasserstein distance between small patches of real and of generated images, one for each scale of detail.

Karras et al., "Progressive growing of GANs for improved quality, stability, and variation", ICLR 2018
(arXiv:1710.10196), section 5, after Rabin et al., "Wasserstein barycenter and its application to texture mixing", 2011:
128 random patches of 7x7 pixels from each image at each level of its Laplacian pyramid, normalised by the mean and the
standard deviation of each colour channel over the patches of its own kind; then over 4 repeats of 128 directions

    SWD = mean over directions d of W1({p . d}, {q . d}),    W1 = mean |sorted difference| = integral of |P - Q|

times 1000, P and Q the shares of points that lie below. The level of 16 pixels holds the large shapes, each finer one
the detail that the coarser ones lack; the paper's single figure is their mean. Because each kind is normalised by
itself, brightness and contrast that all images of a kind share are not seen. Of two sets of real images it is above 0,
and falls with their number.

Sides that are no power of two are padded to the next one by reflection, half at each end, and patches are taken there
too: 28x28 is measured as 32x32. Of the larger set, images spread evenly over it are taken, as many as in the smaller,
and of both 16,384 at most, the paper's number. Image number i of both is asked for patches at the same places, so that
equal sets have the distance 0. Patches of one level are held in float32: 25 kB for a grey image and 75 kB for a colour
one, of each kind.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from fairdraw.errors import InputError
from fairdraw.metrics.pixels import check_alike, check_images
from fairdraw.order import spread

COARSEST, PATCH = 16, 7
PATCHES = 128
REPEATS, DIRECTIONS = 4, 128
MOST_IMAGES = 16_384
FEWEST = 2

VALUES_AT_A_TIME = 2**20
DIRECTIONS_AT_A_TIME = 32
STEPS = 2**16
"""From the least to the greatest projection, over which shares are summed up: sorting takes ten times as long."""
COARSE = 0.2
"""Share of a distance from which on a step is too long for it, as where one point lies far from all others."""


@dataclass(frozen=True)
class SlicedWasserstein:
    """Distances times 1000 between patches.

    Args:
        levels: of each level by its size, such as `16` or `16x32`, from the finest on.
        images: how many of each kind.
        patches: from each image at each level.
    """

    levels: dict[str, float]
    images: int
    patches: int

    @property
    def mean(self) -> float:
        """Over levels."""
        return sum(self.levels.values()) / len(self.levels)


def sliced_wasserstein(
    real: np.ndarray, generated: np.ndarray, seed: int = 0, patches: int = PATCHES, repeats: int = REPEATS
) -> SlicedWasserstein:
    """Distances between `patches` of each of the uint8 images `[N, C, H, W]` and `[M, C, H, W]` at each level.

    Patches and directions are functions of the seed; there are 128 directions for each of the `repeats`.

    Raises:
        InputError: for other arrays, fewer than two images of a kind, other channels or sizes, sides below 16 pixels,
            no patches.
    """
    for images, kind in ((real, "real"), (generated, "generated")):
        check_images(images, kind, FEWEST, COARSEST)
    check_alike(real, generated, ("real", "generated"), "sliced Wasserstein distance")
    if patches < 1:
        raise InputError(f"{patches} patches of each image: give at least 1")
    count = min(len(real), len(generated), MOST_IMAGES)
    levels = {}
    for level, size in enumerate(_sizes(*real.shape[2:])):
        real_patches, fake_patches = (
            _normalised(_patches(images, spread(len(images), count), level, patches, seed))
            for images in (real, generated)
        )
        name = str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
        random = np.random.default_rng([seed % 2**64, level])
        levels[name] = 1000 * mean_distance(real_patches, fake_patches, random, repeats)
    return SlicedWasserstein(levels, count, patches)


def mean_distance(first: np.ndarray, second: np.ndarray, random: np.random.Generator, repeats: int = REPEATS) -> float:
    """W1 of the projections of float32 points `[N, D]` and `[N, D]`, over `repeats` of 128 directions.

    Points are projected in float32, and counted in 65,536 equal steps, which moves a distance by one of them at most,
    and mostly by a few hundred-thousandths of itself; where a step is a fifth of it or more, they are sorted. Of equal
    sets it is exactly 0.

    Raises:
        InputError: where there are more points of one kind.
    """
    if first.shape != second.shape:
        raise InputError(f"points {list(first.shape)} and {list(second.shape)}: give as many of both")
    directions = random.standard_normal((repeats * DIRECTIONS, first.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    total = 0.0
    with ThreadPoolExecutor(torch.get_num_threads()) as counters:
        for start in range(0, len(directions), DIRECTIONS_AT_A_TIME):
            some = directions[start : start + DIRECTIONS_AT_A_TIME].astype(np.float32)
            for direction, (distance, step) in zip(
                some, counters.map(_counted, _projected(first, some), _projected(second, some)), strict=True
            ):
                total += distance if step < COARSE * distance else _sorted(first @ direction, second @ direction)
    return total / len(directions)


def _sorted(x: np.ndarray, y: np.ndarray) -> float:
    """W1 of float32 numbers `[N]` and `[N]`."""
    return float(np.abs(np.sort(x) - np.sort(y)).mean(dtype=np.float64))


def _counted(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The same by counting, and the length of a step; the numbers are overwritten."""
    least, most = min(x.min(), y.min()), max(x.max(), y.max())
    if least == most:
        return 0.0, 0.0
    steps = np.float32((STEPS - 1) / (most - least))
    counts, y_counts = (np.bincount(_scaled(z, least, steps).astype(np.intp), minlength=STEPS) for z in (x, y))
    counts -= y_counts
    return float(np.abs(np.cumsum(counts, out=counts), out=counts).sum() / (steps * len(x))), float(1 / steps)


def _scaled(x: np.ndarray, least: np.float32, scale: np.float32) -> np.ndarray:
    x -= least
    x *= scale
    return x


def _projected(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """`[directions, N]`."""
    # Of such thin matrices torch is the faster to make products.
    found: np.ndarray = (torch.from_numpy(directions) @ torch.from_numpy(np.ascontiguousarray(points)).T).numpy()
    return found


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Of the levels, from the finest to the one whose smaller side is 16."""
    sizes = [(_power_of_two(height), _power_of_two(width))]
    while min(sizes[-1]) > COARSEST:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def _power_of_two(side: int) -> int:
    return 1 << (side - 1).bit_length()


def _normalised(patches: np.ndarray) -> np.ndarray:
    """Patches `[P, C, 7, 7]` as points `[P, C * 7 * 7]`, each channel with mean 0 and standard deviation 1, in place.

    A channel that is the same everywhere becomes 0.
    """
    for channel in patches.transpose(1, 0, 2, 3):
        channel -= channel.mean(dtype=np.float64).astype(np.float32)
        deviation = np.sqrt(np.square(channel).mean(dtype=np.float64))
        if deviation:
            channel /= np.float32(deviation)
    return patches.reshape(len(patches), -1)


def _patches(images: np.ndarray, rows: np.ndarray, level: int, count: int, seed: int) -> np.ndarray:
    """`count` patches of each of the images at `rows` at a level of the pyramid, float32 `[P, C, 7, 7]`."""
    found = np.empty((len(rows) * count, images.shape[1], PATCH, PATCH), np.float32)
    random = np.random.default_rng([seed % 2**64, level, 1])
    for start, levels in _at_level(images, rows, level):
        height, width = levels.shape[2:]
        places = random.random((len(levels), count, 2)) * (height - PATCH + 1, width - PATCH + 1)
        top, left = places.astype(np.int64).transpose(2, 0, 1)
        windows = np.lib.stride_tricks.sliding_window_view(levels, (PATCH, PATCH), axis=(2, 3))
        cut = windows[np.arange(len(levels))[:, None], :, top, left]
        found[start * count : (start + len(levels)) * count] = cut.reshape(-1, *found.shape[1:])
    return found


def _at_level(images: np.ndarray, rows: np.ndarray, level: int) -> Iterator[tuple[int, np.ndarray]]:
    """A level of the pyramid, 0 is the finest, of the images at `rows`, some at a time with the number of the first."""
    height, width = images.shape[2:]
    finest = _sizes(height, width)
    above = [_power_of_two(side) - side for side in (height, width)]
    margins = ((0, 0), (0, 0), *((missing // 2, missing - missing // 2) for missing in above))
    chunk = max(1, VALUES_AT_A_TIME // images[0].size)
    for start in range(0, len(rows), chunk):
        x = np.pad(images[rows[start : start + chunk]], margins, mode="reflect").astype(np.float32)
        for _ in range(level):
            x = _smaller(x)
        yield start, x if level == len(finest) - 1 else x - _larger(_smaller(x))


def _smaller(x: np.ndarray) -> np.ndarray:
    """Half the size, each pixel the mean of 5x5 with weights 1 4 6 4 1; images are mirrored at their border."""
    for axis in (2, 3):
        margins = [(0, 0)] * 4
        margins[axis] = (2, 2)
        y = np.moveaxis(np.pad(x, margins, mode="reflect"), axis, 0)
        x = np.moveaxis((y[:-4:2] + y[4::2] + 4 * (y[1:-3:2] + y[3:-1:2]) + 6 * y[2:-2:2]) / 16, 0, axis)
    return x


def _larger(x: np.ndarray) -> np.ndarray:
    """Twice the size by the same weights on pixels with zeros between, mirrored at the border of the result."""
    for axis in (2, 3):
        y = np.moveaxis(x, axis, 0)
        y = np.concatenate([y[1:2], y, y[-1:]])
        found = np.empty((2 * (len(y) - 2), *y.shape[1:]), np.float32)
        found[::2] = (y[:-2] + 6 * y[1:-1] + y[2:]) / 8
        found[1::2] = (y[1:-1] + y[2:]) / 2
        x = np.moveaxis(found, 0, axis)
    return x
