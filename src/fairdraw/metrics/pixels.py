"""What metrics in image space refuse: arrays that are no uint8 images, and pairs that are no pairs."""

import numpy as np

from fairdraw.errors import InputError


def check_images(images: np.ndarray, kind: str, fewest: int = 1, smallest: int = 1) -> None:
    """Refuse what are no uint8 `images` `[N, C, H, W]`; `kind` of images they are, such as `generated`.

    Raises:
        InputError: for another type or number of axes, fewer than `fewest` images, sides of less than `smallest`.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        found = f"{kind} images are {images.dtype} of shape {list(images.shape)}"
        raise InputError(f"{found}: give uint8 [images, channels, rows, columns]")
    count, _, height, width = images.shape
    if count < fewest:
        raise InputError(f"{count} {kind} {'image is' if count == 1 else 'images are'} too few: give at least {fewest}")
    if not images.size or min(height, width) < smallest:
        raise InputError(f"{kind} images of {height}x{width} are too small: give at least {smallest}x{smallest}")


def check_alike(first: np.ndarray, second: np.ndarray, kinds: tuple[str, str], what: str) -> None:
    """Refuse images `[N, C, H, W]` of two `kinds` with other channels or sizes, of which there is no `what`.

    Raises:
        InputError: grey against colour, or other sizes.
    """
    if first.shape[1] != second.shape[1]:
        channels = f"{first.shape[1]} channels of {kinds[0]} and {second.shape[1]} of {kinds[1]} images"
        raise InputError(f"no {what} of {channels}: make both grey or both colour")
    if first.shape[2:] != second.shape[2:]:
        sizes = [f"{images.shape[2]}x{images.shape[3]}" for images in (first, second)]
        raise InputError(f"no {what} of {sizes[0]} {kinds[0]} and {sizes[1]} {kinds[1]} images: resize one kind")


def check_pairs(first: np.ndarray, second: np.ndarray, what: str, smallest: int = 1) -> None:
    """Refuse uint8 images `[N, C, H, W]` that are no pairs of which to take `what`, such as `SSIM`.

    Raises:
        InputError: where either are no such images, or they differ in number, channels or size.
    """
    for images, kind in ((first, "first"), (second, "second")):
        check_images(images, kind, smallest=smallest)
    check_alike(first, second, ("first", "second"), what)
    if len(first) != len(second):
        raise InputError(f"no {what} of {len(first):,} images with {len(second):,}: give as many of each")
