"""Frames in a row: as a strip, as a GIF that goes there and back for ever, as an MP4 that does so once.

Frames of a closed way go round in place of back.
"""

import io
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fairdraw.errors import InputError
from fairdraw.files import write_atomically
from fairdraw.images import MACHINE_MADE, enlarged, make_folder, picture, save_png, sheet

SUFFIXES = (".png", ".gif", ".mp4")
FRAMES_A_SECOND = 12
BACKGROUND = 255
QUALITY = "18"
"""Constant rate factor of H.264: the usual mark for no visible loss."""


def save_frames(
    out: Path, frames: np.ndarray, facts: Mapping[str, Any], columns: int | None = None, closed: bool = False
) -> None:
    """Write machine-made uint8 `frames` `[N, C, H, W]` in the form that the suffix of `out` names, one of `SUFFIXES`.

    Args:
        out: where.
        frames: in their order.
        facts: for the metadata.
        columns: frames in a row of a PNG (default: all).
        closed: whether the first frame follows the last, so that a film need not go back.

    Raises:
        InputError: where it cannot be written, or the package for MP4 is missing.
    """
    suffix = out.suffix.lower()
    if suffix == ".png":
        save_png(out, sheet(frames, columns or len(frames)), facts, machine_made=True)
        return
    made = {**facts, "machine_made": True, "digital_source_type": MACHINE_MADE}
    shown = frames if closed else np.concatenate([frames, frames[-2:0:-1]])
    pictures = [_opaque(picture(frame)) for frame in enlarged(shown)]
    content = _gif(pictures, made) if suffix == ".gif" else _mp4(pictures, made)
    make_folder(out.parent)
    write_atomically(out, content)


def check_mp4() -> None:
    """Refuse to make an MP4 where PyAV is missing.

    Raises:
        InputError: with the command that installs it.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise InputError(
            "MP4 needs PyAV: pip install 'fairdraw[video]', or give --out a .gif or a .png file"
        ) from error


def _gif(pictures: list[Image.Image], facts: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=1000 // FRAMES_A_SECOND,
        loop=0,
        comment=json.dumps(facts, sort_keys=True).encode("ascii"),
    )
    return buffer.getvalue()


def _mp4(pictures: list[Image.Image], facts: Mapping[str, Any]) -> bytes:
    check_mp4()
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        container.metadata["comment"] = json.dumps(facts, sort_keys=True)
        stream = container.add_stream("libx264", rate=Fraction(FRAMES_A_SECOND), options={"crf": QUALITY})
        # H.264 players want colour at half the resolution, and so even sides.
        stream.width, stream.height = (side + side % 2 for side in pictures[0].size)
        stream.pix_fmt = "yuv420p"
        for shown in pictures:
            canvas = Image.new("RGB", (stream.width, stream.height), (BACKGROUND,) * 3)
            canvas.paste(shown)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(canvas), "rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _opaque(shown: Image.Image) -> Image.Image:
    """Laid over white, for neither form has half-transparent pixels."""
    if shown.mode != "RGBA":
        return shown
    return Image.alpha_composite(Image.new("RGBA", shown.size, (BACKGROUND,) * 4), shown).convert("RGB")
