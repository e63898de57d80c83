"""How pictures become arrays, and the pictures that could not."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from fairdraw.errors import InputError, nearest

Fit = Literal["crop", "pad", "stretch", "tiles"]
BadImages = Literal["error", "skip"]

HALVES = ("left", "right")
"""Names of the inputs that stand beside the image in one picture."""

DERIVED = ("edges", "grey", "mask", "low")
"""Names of the inputs that are made of the images themselves."""

MAX_SIDE = 4096
"""Largest `size` in pixels: beyond it one batch no longer fits any memory, so it is a slip of the keyboard."""


@dataclass(frozen=True)
class Options:
    """How pictures become arrays; part of a run's configuration.

    Raises `InputError` when a value is not one of those listed.
    """

    size: int | None = None
    """Side of the square in pixels. None: the pictures' own size, where all have the same."""

    channels: Literal["auto", 1, 3, 4] = "auto"
    """auto: 1 if every picture is stored as grey, else 3. Alpha is laid over white, except that 4 keeps it."""

    fit: Fit = "crop"
    """What is done to a rectangle: centre crop, pad with white, or stretch, always anti-aliased; or `tiles`: it is cut,
    at its own resolution, into squares of `size`, which stay together in one part of the split."""

    binarise: bool = False
    """Turn each picture black and white once and for ever, white with its grey level as the probability."""

    leave_out: tuple[str, ...] = ()
    """Labels whose pictures are neither trained nor validated on; the test part keeps them, as outliers to be found."""

    inputs: str | None = None
    """What is translated into these images: another source, of equal names where they are pairs; the `left` or `right`
    half of each picture, whose other half is then the image; or what is made of each image: `edges`, `grey`, `mask` of
    what stands before the background, or `low`, a quarter of the resolution. A folder of such a name is `./edges`."""

    bad_images: BadImages = "error"
    """An unreadable picture is an error that names it, or is skipped with a warning and listed in the cache."""

    def __post_init__(self) -> None:
        if self.size is not None and (type(self.size) is not int or not 1 <= self.size <= MAX_SIDE):
            raise InputError(f"size is {self.size!r}; give a whole number of pixels from 1 to {MAX_SIDE}")
        if self.channels not in ("auto", 1, 3, 4) or isinstance(self.channels, bool):
            raise InputError(f"channels is {self.channels!r}; give auto, 1 (grey), 3 (colour) or 4 (colour and alpha)")
        if type(self.binarise) is not bool:
            raise InputError(f"binarise is {self.binarise!r}; give True or False")
        if type(self.leave_out) is not tuple or not all(type(label) is str for label in self.leave_out):
            raise InputError(f"leave_out is {self.leave_out!r}; give labels, such as ('1', '7')")
        if self.inputs is not None and (type(self.inputs) is not str or not self.inputs.strip()):
            raise InputError(f"inputs is {self.inputs!r}; give a source, left, right, edges, grey, mask or low")
        for name, choices in (("fit", get_args(Fit)), ("bad_images", get_args(BadImages))):
            if (given := getattr(self, name)) not in choices:
                raise InputError(f"{name} is {given!r}; give {', '.join(choices)}{nearest(str(given), choices)}")

    def elsewhere(self) -> "Options":
        """These options for other data: inputs that are a source of their own belong to these data alone."""
        return self if self.inputs in (*HALVES, *DERIVED) else replace(self, inputs=None)

    def pixels(self) -> dict[str, Any]:
        """Those options on which the arrays depend, as JSON: not those that decide which are used."""
        return {"size": self.size, "channels": self.channels, "fit": self.fit, "binarise": self.binarise}


@dataclass(frozen=True, order=True)
class Rejected:
    """A picture that could not be read: where it is within the source, and why."""

    name: str
    reason: str


def few(names: Iterable[str], shown: int = 3) -> str:
    """The first of `names` in one line, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(printable(name) for name in listed[:shown]) + more


def printable(name: str) -> str:
    """A name with what would break the line, or not print at all, written as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def plural(count: int, noun: str) -> str:
    """`1 picture`, `2 pictures`, `12,000 pictures`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counted(count: int, images: str) -> str:
    """`1 test image of digits`, `200 test images of digits`, of words such as `test images of digits`."""
    return f"{count:,} {images.replace('images', 'image', 1) if count == 1 else images}"
