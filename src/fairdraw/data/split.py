"""Which picture is for training, which for validation, which for testing: decided by its own content."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.options import few
from fairdraw.data.source import Item
from fairdraw.errors import InputError, nearest

NAMES = ("train", "validation", "test")
"""Parts by their number in `assign`'s answer."""

LEFT_OUT = 3
"""What stands in place of train or validation for a picture whose label is left out of both."""

TEST = 0.10
VALIDATION = 0.20
"""Upper ends, in [0, 1), of the test and of the validation part where nothing else is said."""

HELD_OUT = 0.05
"""Share of the official training part that stands in for each part that the official split lacks."""


def position(key: bytes) -> float:
    """A number in [0, 1) from the first 8 bytes of a SHA-256: uniform, and the same for ever."""
    return int.from_bytes(key[:8], "big") / 2**64


def assign(items: Sequence[Item], digests: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of each picture, `[N]`: 0 train, 1 validation, 2 test. `digests` are `[N, 32]`, of the pixels.

    It depends on a picture's pixels (or its group), never on its name, its place or the other pictures; so pictures can
    be added and nothing that was test becomes training. Equal pixels fall into the same part. Groups that share a
    picture are one group: the only case in which an addition can move anything.
    """
    keys = _keys(items, digests)
    where = np.array([position(key) for key in keys])
    official = {item.part for item in items} - {None}
    if not official:
        return np.where(where < TEST, 2, np.where(where < VALIDATION, 1, 0)).astype(np.uint8)
    parts = np.array([NAMES.index(item.part or "train") for item in items], dtype=np.uint8)
    low = 0.0
    for part in ("validation", "test"):
        if part not in official:
            parts[(parts == 0) & (where >= low) & (where < low + HELD_OUT)] = NAMES.index(part)
            low += HELD_OUT
    return parts


def without(
    parts: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    label_names: Sequence[str],
    left_out: Sequence[str],
    where: str,
) -> NDArray[np.uint8]:
    """`parts` with `LEFT_OUT` for what is not of the test part and has one of the labels `left_out`.

    Raises `InputError`, naming `where`, for labels that are not there.
    """
    if not left_out:
        return parts
    if labels is None:
        raise InputError(f"{where} has no labels: do without --leave-out")
    for label in left_out:
        if label not in label_names:
            known = few(label_names, shown=20)
            raise InputError(
                f"{where} has no label {label!r}{nearest(label, label_names)} to leave out; it has {known}"
            )
    gone = np.isin(labels, [label_names.index(label) for label in left_out])
    return np.where(gone & (parts != NAMES.index("test")), np.uint8(LEFT_OUT), parts)


def _keys(items: Sequence[Item], digests: NDArray[np.uint8]) -> list[bytes]:
    pixels = [row.tobytes() for row in digests]
    if all(item.group is None for item in items):
        return pixels
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    holder: dict[bytes, str] = {}
    names = [item.group or key.hex() for item, key in zip(items, pixels, strict=True)]
    for name, key in zip(names, pixels, strict=True):
        one, other = root(name), root(holder.setdefault(key, name))
        parent[max(one, other)] = min(one, other)  # the least name stands for all: independent of the order
    return [hashlib.sha256(root(name).encode()).digest() for name in names]
