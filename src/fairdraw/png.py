"""PNG files of 16 bits, which Pillow writes for grey alone."""

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
"""The colour type of so many channels."""

ROWS = 64
"""Filtered at a time, so that what is computed with stays small beside the picture."""

PAETH = 4


def encode16(
    pixels: NDArray[np.uint16], texts: Iterable[tuple[bytes, bytes]] = (), profile: bytes | None = None
) -> bytes:
    """A PNG of uint16 `pixels` `[H, W, C]`: grey, grey and alpha, colour, or colour and alpha.

    Args:
        pixels: the picture.
        texts: type and content of further chunks.
        profile: the ICC profile of its colours.
    """
    height, width, channels = pixels.shape
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((16, KINDS[channels], 0, 0, 0))
    parts = [SIGNATURE, _chunk(b"IHDR", header)]
    if profile is not None:
        parts.append(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)))
    parts += [_chunk(kind, content) for kind, content in texts]
    packer = zlib.compressobj(6)
    above = np.zeros((1, width * channels * 2), np.uint8)
    for first in range(0, height, ROWS):
        levels = np.ascontiguousarray(pixels[first : first + ROWS], ">u2")
        rows = levels.view(np.uint8).reshape(-1, width * channels * 2)
        filtered = _paeth(np.concatenate([above, rows]), 2 * channels)
        if packed := packer.compress(filtered.tobytes()):
            parts.append(_chunk(b"IDAT", packed))
        above = rows[-1:]
    return b"".join([*parts, _chunk(b"IDAT", packer.flush()), _chunk(b"IEND", b"")])


def _paeth(rows: NDArray[np.uint8], pixel: int) -> NDArray[np.uint8]:
    """All `rows` but the first, each byte less what the bytes to the left and above foretell (PNG, section 9.4)."""
    here, up = rows[1:], rows[:-1].astype(np.int16)
    left, corner = np.zeros_like(up), np.zeros_like(up)
    left[:, pixel:], corner[:, pixel:] = here[:, :-pixel], up[:, :-pixel]
    sideways, downwards = up - corner, left - corner
    to_left, to_up, to_corner = np.abs(sideways), np.abs(downwards), np.abs(sideways + downwards)
    nearest = np.where(to_up <= to_corner, up, corner)
    nearest = np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest)
    filtered = np.empty((len(here), here.shape[1] + 1), np.uint8)
    filtered[:, 0] = PAETH
    filtered[:, 1:] = here - nearest.astype(np.uint8)
    return filtered


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
