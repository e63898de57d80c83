"""What every kind of source is turned into: a list of pictures, and a way to read each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.decode import Probe
from fairdraw.data.options import Rejected

Part = Literal["train", "validation", "test"]

PARTS: Mapping[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""The names that people give to the parts of an official split."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a source, not yet read."""

    name: str
    label: str | None = None
    caption: str | None = None
    group: str | None = None
    """Pictures with the same group always fall into the same part."""
    part: Part | None = None
    """Where an official split puts it."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Pictures:
    """A source that has been listed.

    `read(i)` is called from several threads; it returns the bytes of an encoded picture, or the pixels `[H, W, C]` of
    one that is stored as an array, or raises `decode.Unreadable`. `digest` identifies the whole content where that is
    cheaper than hashing each item, and `uniform` says what all items look like where it is known without opening them.
    """

    items: Sequence[Item]
    read: Callable[[int], bytes | NDArray[np.uint8]]
    label_names: tuple[str, ...] | None = None
    rejected: tuple[Rejected, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    digest: str | None = None
    uniform: Probe | None = None
    close: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Source:
    """Where pictures come from.

    `place` names it on this machine. `stamp()` is cheap (it may `stat`, never read) and changes whenever the content
    may have; `load()` lists the pictures. Both raise `InputError`.
    """

    place: str
    stamp: Callable[[], str]
    load: Callable[[], Pictures]


def labelled_by_folder(names: Sequence[str]) -> tuple[list[Item], tuple[str, ...]]:
    """Items for relative paths with `/`: the first folder is the label, and what `check` should say about it.

    Folders that all are named like parts of a split (train and test, or train and val) are taken as the official
    split, and the folder below each is the label.
    """
    paths = [name.split("/") for name in names]
    tops = {path[0].lower() if len(path) > 1 else "" for path in paths}
    parts = {PARTS.get(top) for top in tops}
    split = "train" in parts and len(parts) > 1 and None not in parts
    level = 1 if split else 0
    labels = [path[level] if len(path) > level + 1 else None for path in paths]
    notes = ["the folders train, test, ... are taken as the official split"] if split else []
    if None in labels and len(set(labels)) > 1:
        notes.append(f"labels are not used: {labels.count(None)} pictures lie outside the folders that would name them")
    if None in labels or len(set(labels)) < 2:
        labels = [None] * len(names)
    return [
        Item(name, label, part=PARTS[path[0].lower()] if split else None)
        for name, label, path in zip(names, labels, paths, strict=True)
    ], tuple(notes)
