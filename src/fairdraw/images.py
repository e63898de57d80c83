"""Images at the border: uint8 <-> [-1, 1], sheets, and PNG files that say what they are."""

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from fairdraw.errors import InputError
from fairdraw.files import write_atomically
from fairdraw.png import encode16

GAP = 2
SMALL = 64
"""Tiles smaller than this many pixels are enlarged by a whole factor, so that a sheet can be looked at."""

TEXT = 13
"""Height of the letters of labels, in pixels."""
WHITE: dict[str, int | tuple[int, ...]] = {"L": 255, "RGB": (255,) * 3, "RGBA": (255,) * 4}
BLACK: dict[str, int | tuple[int, ...]] = {"L": 0, "RGB": (0,) * 3, "RGBA": (0, 0, 0, 255)}

MACHINE_MADE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType="%s"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def to_signed(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 `[..., H, W]` to [-1, 1]: 0 is -1, 255 is 1."""
    return images.to(dtype).mul_(2 / 255).sub_(1)


def to_uint8(x: Tensor) -> Tensor:
    """[-1, 1] to uint8, rounded to the nearest level; values outside are clipped. The inverse of `to_signed`."""
    return (x.float() + 1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def sheet(images: Tensor | np.ndarray, columns: int) -> Image.Image:
    """uint8 images `[N, C, H, W]` side by side, row by row, on white; C is 1, 3 or 4."""
    tiles = enlarged(np.asarray(images))
    count, channels, height, width = tiles.shape
    tiles = tiles.transpose(0, 2, 3, 1)
    rows = -(-count // columns)
    canvas = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = GAP + index // columns * (height + GAP), GAP + index % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = tile
    return picture(canvas.transpose(2, 0, 1))


def mosaic(images: np.ndarray) -> np.ndarray:
    """All of the uint8 `images` `[N, C, H, W]` edge to edge, row by row, `[C, rows * H, columns * W]`.

    It is about as many across as down; the places that are left are black.
    """
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    full = np.zeros((rows * columns, channels, height, width), np.uint8)
    full[:count] = images
    grid = full.reshape(rows, columns, channels, height, width).transpose(2, 0, 3, 1, 4)
    return grid.reshape(channels, rows * height, columns * width)


def enlarged(tiles: np.ndarray) -> np.ndarray:
    """`[N, C, H, W]` with each pixel repeated by the whole factor that brings small tiles to about `SMALL`."""
    factor = max(1, SMALL // max(tiles.shape[2:]))
    return tiles.repeat(factor, axis=2).repeat(factor, axis=3)


def labelled(sheet: Image.Image, rows: Sequence[str], columns: Sequence[str]) -> Image.Image:
    """A sheet with a line of text at the left of each of its rows, and above each of its columns.

    Where no row has any, there is no margin for it.
    """
    font = ImageFont.load_default(TEXT)
    margin = max(math.ceil(font.getlength(label)) for label in rows) + 2 * TEXT if any(rows) else 0
    across, down = (sheet.width - GAP) / len(columns), (sheet.height - GAP) / len(rows)
    canvas = Image.new(sheet.mode, (margin + sheet.width, 2 * TEXT + sheet.height), WHITE[sheet.mode])
    canvas.paste(sheet, (margin, 2 * TEXT))
    draw = ImageDraw.Draw(canvas)
    ink = BLACK[sheet.mode]
    for row, label in enumerate(rows):
        draw.text((margin - TEXT // 2, 2 * TEXT + (row + 0.5) * down), label, ink, font, anchor="rm")
    for column, label in enumerate(columns):
        draw.text((margin + GAP / 2 + (column + 0.5) * across, TEXT), label, ink, font, anchor="mm")
    return canvas


def captioned(sheet: Image.Image, caption: str) -> Image.Image:
    """A sheet with a line of text above it; on a narrow sheet the text goes over as many lines as it takes."""
    font = ImageFont.load_default(TEXT)
    lines: list[str] = []
    for word in caption.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= sheet.width - 2 * GAP:
            lines[-1] = longer
        else:
            lines.append(word)
    height = round(1.5 * TEXT) * len(lines)
    canvas = Image.new(sheet.mode, (sheet.width, height + sheet.height), WHITE[sheet.mode])
    canvas.paste(sheet, (0, height))
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        draw.text((GAP, round(1.5 * TEXT) * (number + 0.5)), line, BLACK[sheet.mode], font, anchor="lm")
    return canvas


def picture(image: np.ndarray) -> Image.Image:
    """One uint8 image `[C, H, W]`; C is 1, 3 or 4."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def save_png(path: Path, picture: Image.Image, facts: Mapping[str, Any], *, machine_made: bool) -> None:
    """Write a PNG atomically, with `facts` as JSON under the key `fairdraw`; makes its folder where there is none.

    A machine-made picture also carries the IPTC digital source type `trainedAlgorithmicMedia` in its XMP packet.

    Raises:
        InputError: where it cannot be written.
    """
    make_folder(path.parent)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=_described(facts, machine_made))
    write_atomically(path, buffer.getvalue())


def save_exact(
    path: Path, pixels: np.ndarray, facts: Mapping[str, Any], *, machine_made: bool, profile: bytes | None = None
) -> None:
    """As `save_png`, of uint8 or uint16 `pixels` `[H, W, C]` with all their bits, and with an ICC `profile`.

    C is 1 (grey), 2 (grey and alpha), 3 (colour) or 4 (colour and alpha).

    Raises:
        InputError: where it cannot be written.
    """
    make_folder(path.parent)
    info = _described(facts, machine_made)
    if pixels.dtype == np.uint16:
        content = encode16(pixels, [(chunk[0], chunk[1]) for chunk in info.chunks], profile)
    else:
        buffer = io.BytesIO()
        shown = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        shown.save(buffer, "PNG", pnginfo=info, icc_profile=profile)
        content = buffer.getvalue()
    write_atomically(path, content)


def _described(facts: Mapping[str, Any], machine_made: bool) -> PngInfo:
    info = PngInfo()
    info.add_itxt("fairdraw", json.dumps({**facts, "machine_made": machine_made}, sort_keys=True))
    if machine_made:
        info.add_itxt("XML:com.adobe.xmp", _XMP % MACHINE_MADE)
    return info


def make_folder(folder: Path) -> None:
    """Make the folder of a picture where there is none.

    Raises:
        InputError: where it cannot be made, or nothing can be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}; choose another with --out") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to the folder {folder}; choose another with --out")


def facts_of(path: Path) -> dict[str, Any]:
    """What `save_png` wrote about a picture."""
    with Image.open(path) as picture:
        found: dict[str, Any] = json.loads(picture.info["fairdraw"])  # type: ignore[arg-type, unused-ignore]
    return found
