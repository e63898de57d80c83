"""One picture with all that its file holds: every bit of it, its alpha, its colour profile, at its own size.

What a data set is made of is cut down to 8 bits and laid over white (`data.decode`). A picture that is translated or
enlarged for its own sake is not. Pillow decodes 16 bits of grey, but only the high bytes of 16 bits of colour; told
that the bytes come in the other order, it decodes the low ones, and the two together are the picture.
"""

import sys
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairdraw.data.decode import (
    Levels,
    Unreadable,
    opened,
    orientation,
    png_is_complete,
    quiet,
    reason,
    stored_pixels,
    upright,
)

SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}
"""The order of bytes in which what is low is taken for high; N is that of the machine."""

BITS_PER_SAMPLE, PLANES = 258, 284
"""Tags of a TIFF: bits of each channel, and whether the channels are apart (2)."""


@dataclass(frozen=True)
class Exact:
    """An upright picture.

    Args:
        pixels: uint8 or uint16 `[H, W, C]`; C is 1 (grey) or 3 (colour).
        alpha: of that type, `[H, W]`; None where the file has none.
        profile: the ICC profile of its colours, if the file has one that is for this kind of pixels.
        frames: how many the file holds (2: more than one); `pixels` are the first.
    """

    pixels: Levels
    alpha: Levels | None = None
    profile: bytes | None = None
    frames: int = 1


def decode_exact(data: bytes) -> Exact:
    """An encoded picture, its first frame; raises `Unreadable`."""
    try:
        with quiet(), opened(data, to_learn_from=False) as image:
            turn = orientation(image) if image.format != "TIFF" else 1  # Pillow turns a TIFF by itself
            pixels = _levels(data, image)
            if image.format == "PNG" and not png_is_complete(data):
                raise Unreadable("truncated: the end of the PNG is missing")
            frames = 2 if getattr(image, "is_animated", False) else 1
            profile = image.info.get("icc_profile")
    except Unreadable:
        raise
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        raise Unreadable(reason(error)) from error
    pixels = np.ascontiguousarray(upright(pixels, turn))
    alpha = pixels[..., -1] if pixels.shape[2] in (2, 4) else None
    colours = pixels if alpha is None else pixels[..., :-1]
    return Exact(colours, alpha, profile if _is_of(profile, colours.shape[2]) else None, frames)


def profile_for(profile: bytes | None, channels: int) -> bytes | None:
    """The ICC profile of a picture, where it also fits one of so many channels."""
    return profile if _is_of(profile, channels) else None


def _is_of(profile: Any, channels: int) -> bool:
    return isinstance(profile, bytes) and profile[16:20] == (b"GRAY" if channels == 1 else b"RGB ")


def _levels(data: bytes, image: Image.Image) -> Levels:
    """`[H, W, C]` as stored, with a channel of alpha where there is transparency of any kind."""
    if image.mode.startswith("I;16"):
        image.load()
        return _keyed(np.asarray(image).astype(np.uint16)[..., None], image)
    if image.mode == "F":
        return _of_floats(np.asarray(image))[..., None]
    if image.mode == "I" or _stored_bits(data, image) <= 8:
        return stored_pixels(image)
    if image.format == "PNG" and data[25] == 4:
        # Grey and alpha of 16 bits are laid out as colour and alpha of 8.
        with opened(_as_colour_of_8_bits(data), to_learn_from=False) as bytewise:
            return np.asarray(bytewise).view(">u2").astype(np.uint16)
    with opened(data, to_learn_from=False) as other:
        low = _low_bytes(other)
    image.load()
    high: NDArray[np.uint16] = np.asarray(image).astype(np.uint16)
    return _keyed(high * np.uint16(256) + low, image)


def _stored_bits(data: bytes, image: Image.Image) -> int:
    if image.format == "PNG":
        return data[24]
    if image.format != "TIFF":
        return 8
    bits = image.tag_v2.get(BITS_PER_SAMPLE, 1)  # type: ignore[attr-defined]
    return int(max(bits) if isinstance(bits, tuple) else bits)


def _low_bytes(image: Image.Image) -> NDArray[np.uint8]:
    """What Pillow drops of 16 bits of colour."""
    apart = image.format == "TIFF" and image.tag_v2.get(PLANES) == 2  # type: ignore[attr-defined]
    tiles = []
    for tile in image.tile:  # type: ignore[attr-defined]
        arguments = (tile.args,) if isinstance(tile.args, str) else tuple(tile.args or ())
        mode = str(arguments[0]) if arguments else ""
        if apart or mode[:-4] not in ("RGB", "RGBA") or mode[-4:] not in SWAPPED:
            raise Unreadable("its 16 bits of colour are stored in a way that cannot be read in full; save as PNG")
        swapped = mode[:-4] + SWAPPED[mode[-4:]]
        tiles.append(tile._replace(args=swapped if isinstance(tile.args, str) else (swapped, *arguments[1:])))
    image.tile = tiles  # type: ignore[attr-defined]
    return np.asarray(image)


def _as_colour_of_8_bits(data: bytes) -> bytes:
    header = data[12:24] + bytes((8, 6)) + data[26:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


def _keyed(values: NDArray[np.uint16], image: Image.Image) -> NDArray[np.uint16]:
    """With alpha, where a PNG names one colour that is transparent."""
    key = image.info.get("transparency")
    if key is None or values.shape[2] in (2, 4):
        return values
    seen = (values != np.asarray(key, np.uint16)).any(axis=2, keepdims=True)
    return np.concatenate([values, np.where(seen, np.uint16(65535), np.uint16(0))], axis=2)


def _of_floats(values: NDArray[Any]) -> NDArray[np.uint16]:
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise Unreadable("floating-point pixels outside [0, 1], or not finite; save as 8 or 16 bits")
    return np.rint(values.astype(np.float64) * 65535).astype(np.uint16)
