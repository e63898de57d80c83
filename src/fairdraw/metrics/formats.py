"""What the usual image formats make of the same images: bytes, and the quality at a given size.

A file for each image is how images are kept, but of small ones it is mostly header; all of them as one picture, edge
to edge, is the most favourable way for a format. Both are measured.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from fairdraw.images import mosaic, picture
from fairdraw.metrics.psnr import psnr

MOST_IMAGES = 1000
MOST_PIXELS = 2**24
"""Enough to measure a size by, and few enough for a format's largest picture and a person's patience."""

# WebP's method 6 makes files 1 to 2 % smaller in twenty times the time.
LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {"format": "PNG", "optimize": True},
    "WebP lossless": {"format": "WEBP", "lossless": True, "quality": 100, "method": 4, "exact": True},
}
LOSSY: dict[str, tuple[dict[str, Any], range]] = {
    "WebP": ({"format": "WEBP", "method": 4}, range(101)),
    "JPEG": ({"format": "JPEG", "optimize": True}, range(1, 96)),
}


@dataclass(frozen=True)
class Rival:
    """What a format needs for some images.

    Args:
        name: the format, and whether each image is a file or all are one picture.
        bits: per image.
        quality: the format's setting, for lossy ones.
        psnr: dB, for lossy ones.
        fits: whether it is no larger than was asked for; if not, this is the smallest that it can be.
    """

    name: str
    bits: float
    quality: int | None = None
    psnr: float | None = None
    fits: bool = True

    def __str__(self) -> str:
        size = f"{self.name}: {self.bits:,.2f} bits per image"
        if self.quality is None:
            return size
        larger = "" if self.fits else " at its smallest, which is larger"
        return f"{size}{larger}, quality {self.quality}, PSNR {self.psnr:.2f} dB"


def lossless_rivals(images: np.ndarray) -> list[Rival]:
    """Raw pixels and the lossless formats on uint8 `images` `[N, C, H, W]`.

    Raw pixels and grey PNG take one bit for each number where all are black or white.
    """
    two_valued = bool(np.isin(images, (0, 255)).all())
    found = [Rival("raw pixels", images[0].size * (1.0 if two_valued else 8.0))]
    for name, settings in LOSSLESS.items():
        bits = two_valued and images.shape[1] == 1 and name == "PNG"
        for way, pictures in _ways(images):
            shown = [picture(tile).convert("1") if bits else picture(tile) for tile in pictures]
            size = sum(len(encoded(one, **settings)) for one in shown)
            found.append(Rival(f"{name}, {way}", 8 * size / len(images)))
    return found


def lossy_rivals(images: np.ndarray, bits: float) -> list[Rival]:
    """The lossy formats on uint8 `images` `[N, C, H, W]`, each at the best quality with at most `bits` an image."""
    found = []
    for name, (settings, qualities) in LOSSY.items():
        if name == "JPEG" and images.shape[1] == 4:  # which has no transparency
            continue
        for way, pictures in _ways(images):
            shown = [picture(tile) for tile in pictures]

            def saved(quality: int, shown: list[Image.Image] = shown, settings: Any = settings) -> list[bytes]:
                return [encoded(one, **settings, quality=quality) for one in shown]

            quality, files = _best(saved, qualities, bits * len(images) / 8)
            made = np.stack([_opened(file, images.shape[1]) for file in files])
            needed = 8 * sum(map(len, files)) / len(images)
            error = psnr(images, _tiles(made[0], images.shape) if way == MOSAIC else made)
            found.append(Rival(f"{name}, {way}", needed, quality, error, needed <= bits))
    return found


def encoded(picture: Image.Image, **settings: Any) -> bytes:
    """The bytes of the file that Pillow makes with `settings`, such as those in `LOSSLESS`."""
    buffer = io.BytesIO()
    picture.save(buffer, **settings)
    return buffer.getvalue()


EACH, MOSAIC = "one file each", "one mosaic"


def _ways(images: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [(EACH, images), (MOSAIC, mosaic(images)[None])]


def _best(saved: Callable[[int], list[bytes]], qualities: range, most: float) -> tuple[int, list[bytes]]:
    """The highest quality whose files have at most `most` bytes, by bisection; the lowest where none has."""
    low, high = 0, len(qualities) - 1
    best = saved(qualities[low])
    while low < high:
        middle = (low + high + 1) // 2
        files = saved(qualities[middle])
        if sum(map(len, files)) <= most:
            low, best = middle, files
        else:
            high = middle - 1
    return qualities[low], best


def _tiles(laid: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `mosaic`."""
    count, channels, height, width = shape
    grid = laid.reshape(channels, -1, height, laid.shape[2] // width, width).transpose(1, 3, 0, 2, 4)
    return grid.reshape(-1, channels, height, width)[:count]


def _opened(file: bytes, channels: int) -> np.ndarray:
    with Image.open(io.BytesIO(file)) as found:
        pixels = np.asarray(found.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
