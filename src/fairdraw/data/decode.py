"""One picture: from the bytes of a file to uint8 pixels, and from those to the shape asked for.

Pillow is used for what it does exactly; its conversions that clip or drop values silently (16 bits, floats) are done
here. A picture in its *canonical* form is uint8 `[H, W, C]`, upright, with as few channels as carry its content: 1 is
grey, 2 grey and alpha, 3 colour, 4 colour and alpha. So the same pixels are equal, whatever format they are stored in.
"""

import hashlib
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fairdraw.data.options import Fit, Options

Pixels = NDArray[np.uint8]
Levels = NDArray[Any]
"""uint8 or uint16."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")

MAX_PIXELS = 50_000_000
"""About a camera's largest picture; decoding more takes over 150 MB and is the usual sign of a decompression bomb."""

MAX_ASPECT = 20
"""Cropping or squeezing a longer strip to a square would leave next to nothing of it."""

MAX_BYTES = 400_000_000
"""A file of `MAX_PIXELS` in 16-bit colour with alpha, uncompressed; more is not one picture."""


class Unreadable(Exception):
    """This picture cannot be used; the message is the reason, without the file's name."""


def bytes_of(path: Path) -> bytes:
    """A picture file, undecoded; raises `Unreadable`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Unreadable(f"{path.stat().st_size:,} bytes: too large for one picture")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable((error.strerror or str(error)).lower()) from error


@dataclass(frozen=True)
class Probe:
    """What a picture's header tells: its upright size in pixels and how it is stored."""

    width: int
    height: int
    grey: bool
    mode: str = "L"
    format: str = "array"
    frames: int = 1


_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_filters: AbstractContextManager[Any] | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings, in all threads, as long as anybody is inside.

    Warning filters belong to the process, not to a thread, so the first to enter sets them and the last restores them.
    """
    global _quiet_depth, _quiet_filters
    with _quiet_lock:
        _quiet_depth += 1
        if _quiet_depth == 1:
            _quiet_filters = warnings.catch_warnings()
            _quiet_filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0 and _quiet_filters is not None:
                _quiet_filters.__exit__(None, None, None)
                _quiet_filters = None


def probe(data: bytes) -> Probe:
    """Read the header of an encoded picture; raises `Unreadable`."""
    try:
        with opened(data) as image:
            width, height = image.size
            if image.format != "TIFF" and orientation(image) >= 5:  # Pillow turns a TIFF by itself
                width, height = height, width
            frames = getattr(image, "n_frames", 1) if image.format in ("WEBP", "PNG") else _gif_frames(image)
            return Probe(width, height, _is_grey(image), image.mode, image.format or "", frames)
    except Unreadable:
        raise
    except Exception as error:  # a damaged header makes Pillow raise almost anything
        raise Unreadable(reason(error)) from error


def decode(data: bytes) -> Pixels:
    """All pixels of an encoded picture (the first frame), canonical; raises `Unreadable`."""
    try:
        with opened(data) as image:
            image.load()
            if image.format == "PNG" and not png_is_complete(data):
                raise Unreadable("truncated: the end of the PNG is missing")
            return canonical(upright(stored_pixels(image), orientation(image)))
    except Unreadable:
        raise
    except Exception as error:  # see probe
        raise Unreadable(reason(error)) from error


def opened(data: bytes, *, to_learn_from: bool = True) -> Image.Image:
    """A picture of which only the header has been read.

    Raises:
        Unreadable: where it is none, or has sides that no picture `to_learn_from` has.
    """
    if not data:
        raise Unreadable("empty file")
    if len(data) > MAX_BYTES:
        raise Unreadable(f"{len(data):,} bytes: too large for one picture")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        most = MAX_PIXELS if to_learn_from else 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise Unreadable(f"more than {most:,} pixels: looks like a decompression bomb") from error
    except UnidentifiedImageError as error:
        raise Unreadable(f"not a picture in any of the formats {', '.join(FORMATS)}") from error
    if to_learn_from:
        check_size(*image.size)
    return image


def check_size(width: int, height: int) -> None:
    """Raise `Unreadable` for sides, in pixels, that no picture to be learnt from has."""
    if width < 1 or height < 1:
        raise Unreadable(f"{width}x{height} pixels: nothing to see")
    if width * height > MAX_PIXELS:
        raise Unreadable(f"{width}x{height} is more than {MAX_PIXELS:,} pixels: looks like a decompression bomb")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Unreadable(f"{width}x{height} is a strip: one side is over {MAX_ASPECT} times the other")


def reason(error: Exception) -> str:
    """What Pillow says of a picture that it cannot read, in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"damaged: {text[:150]}"


def png_is_complete(data: bytes) -> bool:
    """Whether a PNG has its end."""
    # Pillow is content once it has all rows; the file may still have been cut, with the last rows' checksum unread.
    return data.rfind(b"IEND\xaeB`\x82") >= 0


def _gif_frames(image: Image.Image) -> int:
    # Counting the frames of a GIF or TIFF reads all of them: 2 stands for "more than one".
    return 2 if getattr(image, "is_animated", False) else 1


def orientation(image: Image.Image) -> int:
    """How the camera was held, 1 to 8 as in EXIF; 1 is upright."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF is no reason to lose the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.asarray(image.getpalette("RGB") or [0], dtype=np.uint8)
        return palette.size % 3 == 0 and bool((palette.reshape(-1, 3) == palette[::3, None]).all())
    return image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")


def stored_pixels(image: Image.Image) -> Pixels:
    """All channels in 8 bits, `[H, W, C]`; raises `Unreadable` for pixels without a known range."""
    mode = image.mode
    if mode.startswith("I;16"):
        return scale16(np.asarray(image).astype(np.uint16))[..., None]
    if mode == "F":
        return scale_float(np.asarray(image), "unit")[..., None]
    if mode == "I":
        raise Unreadable("32-bit integer pixels have no known range; save as 8 or 16 bits")
    see_through = "transparency" in image.info or mode in ("LA", "La", "PA", "RGBA", "RGBa")
    grey = mode in ("1", "L", "LA", "La")
    target = ("L" if grey else "RGB") + ("A" if see_through else "")
    array = np.asarray(image if mode == target else image.convert(target))
    return array if array.ndim == 3 else array[..., None]


def scale16(values: NDArray[np.uint16]) -> Pixels:
    """16-bit values to 8 bits, rounded: 65535 is 255, and 257 steps are one."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def scale_float(values: NDArray[Any], span: Literal["unit", "signed"]) -> Pixels:
    """Values in [0, 1] ("unit") or [-1, 1] ("signed") to 8 bits, rounded; raises `Unreadable` outside."""
    low = 0.0 if span == "unit" else -1.0
    if not (np.isfinite(values).all() and values.min() >= low and values.max() <= 1.0):
        raise Unreadable(f"floating-point pixels outside [{low:g}, 1], or not finite; save as 8 bits")
    # float64 in [0, 255] first: rounding 254.5 must not depend on the width of the input
    return np.rint((values.astype(np.float64) - low) * (255.0 / (1.0 - low))).astype(np.uint8)


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """`[H, W, C]` turned and mirrored as EXIF's `orientation` says."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def canonical(pixels: Pixels) -> Pixels:
    """The least number of channels that hold `pixels` `[H, W, C]`; colour that nobody can see becomes white."""
    alpha: Pixels | None = None
    if pixels.shape[2] in (2, 4):
        alpha, pixels = pixels[..., -1:], pixels[..., :-1]
        if bool((alpha == 255).all()):
            alpha = None
        else:
            pixels = np.where(alpha == 0, np.uint8(255), pixels)
    if pixels.shape[2] == 3:
        first = pixels[..., :1]
        if bool((pixels[..., 1:2] == first).all()) and bool((pixels[..., 2:] == first).all()):
            pixels = first
    return np.ascontiguousarray(pixels if alpha is None else np.concatenate([pixels, alpha], axis=2))


def digest(pixels: Pixels) -> bytes:
    """SHA-256 of a canonical picture and its shape: 32 bytes, equal exactly where the pictures are."""
    hasher = hashlib.sha256(b"%dx%dx%d:" % pixels.shape)
    hasher.update(pixels.data)
    return hasher.digest()


def fitted(pixels: Pixels, channels: int, options: Options) -> Pixels:
    """A canonical picture as contiguous uint8 `[C, H, W]`, with `channels` of 1, 3 or 4 and of the size asked for."""
    pixels = _with_channels(pixels, channels)
    height, width = pixels.shape[:2]
    if options.size is not None and (height, width) != (options.size, options.size):
        pixels = _resized(pixels, options.size, options.fit)
    if options.binarise:
        pixels = _binarised(np.ascontiguousarray(pixels))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _binarised(pixels: Pixels) -> Pixels:
    """White with the grey level as probability, by numbers that are a function of the picture itself.

    So a picture comes out the same in whatever set, order or process, and one that is black and white already is kept.
    """
    key = np.frombuffer(digest(pixels)[16:], "<u8")  # not the bytes that choose its part of the split
    numbers = np.random.Philox(key=key).random_raw(pixels.size).reshape(pixels.shape) >> np.uint64(32)
    white = numbers * np.uint64(255) < pixels.astype(np.uint64) << np.uint64(32)
    return np.where(white, np.uint8(255), np.uint8(0))


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    have = pixels.shape[2]
    if channels == 4:
        alpha = pixels[..., -1:] if have in (2, 4) else np.full((*pixels.shape[:2], 1), 255, np.uint8)
        colour = pixels[..., :-1] if have in (2, 4) else pixels
        return np.concatenate([np.broadcast_to(colour, (*pixels.shape[:2], 3)), alpha], axis=2)
    if have in (2, 4):
        pixels = over_white(pixels)
    if pixels.shape[2] == 3 and channels == 1:
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    return pixels if pixels.shape[2] == channels else np.broadcast_to(pixels, (*pixels.shape[:2], channels))


def over_white(pixels: Levels) -> Levels:
    """Lay uint8 or uint16 `[H, W, 2 or 4]` over white: the last channel is alpha; rounded to the nearest."""
    wide: Any = np.uint16 if pixels.dtype == np.uint8 else np.uint32  # the square of the largest value fits
    most = np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:].astype(wide)
    found: Levels = ((pixels[..., :-1] * alpha + wide(most) * (most - alpha) + most // 2) // most).astype(pixels.dtype)
    return found


def _resized(pixels: Pixels, size: int, fit: Fit) -> Pixels:
    height, width, channels = pixels.shape
    if fit in ("crop", "tiles"):  # a picture outside of any set is not cut into tiles
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _scaled(pixels[top : top + side, left : left + side], size, size)
    if fit == "stretch":
        return _scaled(pixels, size, size)
    # Scaled before it is padded: the padded original of a strip would be 20 times its size.
    long = max(height, width)
    part = _scaled(pixels, max(1, round(height * size / long)), max(1, round(width * size / long)))
    square = np.full((size, size, channels), 255, np.uint8)
    top, left = (size - part.shape[0]) // 2, (size - part.shape[1]) // 2
    square[top : top + part.shape[0], left : left + part.shape[1]] = part
    return square


def _scaled(pixels: Pixels, height: int, width: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = height < pixels.shape[0] or width < pixels.shape[1]
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    image = image.resize((width, height), Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC)
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]
