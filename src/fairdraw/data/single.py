"""One picture of a file, outside of any set."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from fairdraw.data.dataset import Dataset
from fairdraw.data.decode import Pixels, Unreadable, decode, digest, fitted, quiet
from fairdraw.data.options import Options
from fairdraw.errors import InputError

KINDS = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}
WORDS = {
    "crop": "cropped at the centre",
    "pad": "padded with white",
    "stretch": "stretched",
    "tiles": "cropped at the centre",
}


def open_picture(path: str | Path) -> Pixels:
    """The pixels of a picture file, uint8 `[H, W, C]` with as few channels as carry its content.

    Raises:
        InputError: where it cannot be read.
    """
    try:
        with quiet():
            return decode(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; give a picture file") from error
    except Unreadable as error:
        raise InputError(f"{path}: {error}; give a picture file") from error


def open_fitted(path: str | Path, shape: tuple[int, int, int], options: Options) -> tuple[Pixels, str]:
    """A picture file as uint8 `shape` `[C, H, W]`, and in words what had to be done to it, if anything.

    Raises:
        InputError: where it cannot be read, or where `shape` is no square and the picture has another size.
    """
    channels, height, width = shape
    pixels, done = open_picture(path), []
    rows, columns, have = pixels.shape
    options = replace(options, size=None)
    if (rows, columns) != (height, width):
        if height != width:
            raise InputError(f"{path} has {columns}x{rows} pixels: make it {width}x{height}, as the model's images are")
        options = replace(options, size=height)
        how = "" if rows == columns else f"{WORDS[options.fit]}, "
        done.append(f"{how}resized from {columns}x{rows} to {width}x{height}")
    if have > channels:
        done.append(f"{KINDS[have]} made {KINDS[channels]}")
    if options.binarise:
        done.append("binarised")
    # a decoded picture is read-only, which torch takes amiss
    return np.array(fitted(pixels, channels, options)), ", ".join(done)


def set_of_one(path: str | Path, pixels: Pixels) -> Dataset:
    """A picture, uint8 `[C, H, W]`, as a set with nothing else in it, without labels, for what works on sets."""
    found = digest(pixels)
    digests = np.frombuffer(found, np.uint8)[None]
    names = (Path(path).name,)
    return Dataset(str(path), pixels[None], None, (), names, None, found.hex(), (), np.zeros(1, np.uint8), digests)
