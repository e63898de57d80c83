"""Images at the border: uint8 <-> [-1, 1], sheets, and PNG files that say what they are."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from fairdraw.errors import InputError
from fairdraw.files import write_atomically

GAP = 2
SMALL = 64
"""Tiles smaller than this many pixels are enlarged by a whole factor, so that a sheet can be looked at."""

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
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def sheet(images: Tensor | np.ndarray, columns: int) -> Image.Image:
    """uint8 images `[N, C, H, W]` side by side, row by row, on white; C is 1, 3 or 4."""
    tiles = np.asarray(images)
    count, channels, height, width = tiles.shape
    factor = max(1, SMALL // max(height, width))
    tiles = tiles.repeat(factor, axis=2).repeat(factor, axis=3).transpose(0, 2, 3, 1)
    height, width = height * factor, width * factor
    rows = -(-count // columns)
    canvas = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = GAP + index // columns * (height + GAP), GAP + index % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = tile
    return picture(canvas.transpose(2, 0, 1))


def picture(image: np.ndarray) -> Image.Image:
    """One uint8 image `[C, H, W]`; C is 1, 3 or 4."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def save_png(path: Path, picture: Image.Image, facts: Mapping[str, Any], *, machine_made: bool) -> None:
    """Write a PNG atomically, with `facts` as JSON under the key `fairdraw`; makes its folder where there is none.

    A machine-made picture also carries the IPTC digital source type `trainedAlgorithmicMedia` in its XMP packet.

    Raises:
        InputError: where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {path.parent}: {error.strerror}; choose another with --out"
        ) from error
    info = PngInfo()
    info.add_itxt("fairdraw", json.dumps({**facts, "machine_made": machine_made}, sort_keys=True))
    if machine_made:
        info.add_itxt("XML:com.adobe.xmp", _XMP % MACHINE_MADE)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    write_atomically(path, buffer.getvalue())


def facts_of(path: Path) -> dict[str, Any]:
    """What `save_png` wrote about a picture."""
    with Image.open(path) as picture:
        found: dict[str, Any] = json.loads(picture.info["fairdraw"])  # type: ignore[arg-type, unused-ignore]
    return found
