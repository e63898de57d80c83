"""Prepared pictures, memory-mapped and read-only, and their parts."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.build import build
from fairdraw.data.cache import discard, entry_folder, header_of, remember, remembered
from fairdraw.data.inputs import Inputs, with_inputs
from fairdraw.data.options import Options, Rejected, few, plural
from fairdraw.data.resolve import resolve
from fairdraw.data.scan import Progress, refuse, scan
from fairdraw.data.source import Source
from fairdraw.data.split import NAMES, without
from fairdraw.errors import InputError, nearest

SplitName = Literal["train", "validation", "test", "all"]
Domain = Literal["a", "b"]
"""Of a data set with inputs: `a` these, `b` its images."""

log = logging.getLogger("fairdraw.data")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures that are ready for training."""

    name: str
    """The source as given."""
    images: NDArray[np.uint8]
    """uint8 `[N, C, H, W]`, mapped from the disk, read-only."""
    labels: NDArray[np.int64] | None
    """int64 `[N]`: places in `label_names`."""
    label_names: tuple[str, ...]
    names: Sequence[str]
    """Where each picture came from: a file name, or a number."""
    captions: Sequence[str] | None
    fingerprint: str
    """Hex SHA-256 of content and options: the same on any machine."""
    rejected: tuple[Rejected, ...]
    parts: NDArray[np.uint8]
    """`[N]`: 0 train, 1 validation, 2 test, 3 left out of the first two by its label."""
    digests: NDArray[np.uint8]
    """`[N, 32]`: SHA-256 of each picture's pixels before they were fitted; equal pictures have equal rows."""
    sizes: NDArray[np.int32] | None = None
    """`[N, 2]`: width and height of each picture before it was fitted; None where they are not known or all alike."""
    inputs: Inputs | None = None
    """What is translated into these images, where the options name it."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @cached_property
    def train(self) -> "Split":
        """The pictures to learn from."""
        return Split(self, "train")

    @cached_property
    def validation(self) -> "Split":
        """The pictures for choices made during training."""
        return Split(self, "validation")

    @cached_property
    def test(self) -> "Split":
        """The pictures that nothing but the last measurement sees."""
        return Split(self, "test")

    @cached_property
    def all(self) -> "Split":
        """Every picture."""
        return Split(self, "all")

    def split(self, name: SplitName) -> "Split":
        """A part by name; it may be empty. Raises `InputError` for another name."""
        if name not in (*NAMES, "all"):
            raise InputError(
                f"no split {name!r}{nearest(str(name), (*NAMES, 'all'))}; give train, validation, test or all"
            )
        part: Split = getattr(self, name)
        return part


class Split:
    """Some of a data set's pictures. Positions count within the split, from 0."""

    def __init__(self, dataset: Dataset, name: SplitName) -> None:
        self.dataset = dataset
        self.name = name
        part = np.arange(len(dataset)) if name == "all" else np.flatnonzero(dataset.parts == NAMES.index(name))
        self.indices: NDArray[np.int64] = part.astype(np.int64)
        """`[n]`, sorted: places in the data set."""
        self.indices.flags.writeable = False
        # A plain view: the subclass for mapped files costs more than the gather itself.
        self._images = dataset.images.view(np.ndarray)

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"<{self.name} split of {self.dataset.name}: {plural(len(self), 'picture')}>"

    def images(self, positions: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """A fresh contiguous copy, uint8 `[n, C, H, W]`; raises `IndexError` for positions outside the split."""
        chosen = self.indices[positions]
        out = np.empty((len(chosen), *self._images.shape[1:]), np.uint8)
        # "clip" writes straight into `out` where "raise" would go through a buffer; the places are valid already.
        self._images.take(chosen, axis=0, out=out, mode="clip")
        return out

    def inputs(self, positions: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """The inputs of these images, uint8 `[n, C, H, W]`, where each has one of its own."""
        assert self.dataset.inputs is not None
        return self.dataset.inputs.of(self.dataset, self.indices[positions])

    def count_of(self, domain: Domain) -> int:
        """How many images of a domain this part has, each domain being a set of its own."""
        if domain == "b":
            return len(self)
        assert self.dataset.inputs is not None
        return self.dataset.inputs.count(self.dataset, self.name)

    def images_of(self, domain: Domain, positions: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """Such images, uint8 `[n, C, H, W]`; those of both domains at one position need not belong together."""
        if domain == "b":
            return self.images(positions)
        assert self.dataset.inputs is not None
        return self.dataset.inputs.some(self.dataset, self.name, positions)

    @cached_property
    def labels(self) -> NDArray[np.int64] | None:
        """int64 `[n]`, or None where the data has none."""
        return None if self.dataset.labels is None else self.dataset.labels[self.indices]


def open(source: str | Path, options: Options | None = None, *, progress: Progress | None = None) -> Dataset:
    """Open any source of pictures, preparing it in the cache when it is first seen.

    `source` is a built-in name, a folder, a zip, an `.npy` or `.npz` (`FILE.npz:NAME` for one array), or
    `hf:OWNER/NAME`. `progress` is called with the pictures done and in all, and not at all where nothing is to be done.

    Raises:
        InputError: one line that says what is wrong, where, and the remedy.
    """
    options = options or Options()
    dataset = _open_images(source, options, progress)
    if options.inputs is None:
        return dataset
    return with_inputs(dataset, options, lambda name, how: _open_images(name, how, progress))


def _open_images(source: str | Path, options: Options, progress: Progress | None) -> Dataset:
    origin = resolve(source, options)
    stamp = origin.stamp()
    entry = remembered(origin.place, options, stamp)
    dataset = _opened(entry, str(source), options) if entry else None
    return dataset or _prepared(origin, stamp, str(source), options, progress)


def stored_shape(source: str | Path, options: Options | None = None) -> tuple[int, int, int] | None:
    """Channels, height and width of pictures that are stored in arrays; None for others, which may differ in size.

    Raises:
        InputError: one line that says what is wrong, where, and the remedy.
    """
    pictures = resolve(source, options or Options()).load()
    pictures.close()
    found = pictures.uniform
    if found is None or found.format != "array":
        return None
    return {"L": 1, "RGB": 3, "RGBA": 4}[found.mode], found.height, found.width


def _prepared(origin: Source, stamp: str, name: str, options: Options, progress: Progress | None) -> Dataset:
    pictures = origin.load()
    try:
        done, total = 0, 2 * len(pictures.items)

        def tick(more: int) -> None:
            nonlocal done
            done += more
            if progress:
                progress(done, total)

        scanned = scan(pictures, tick)
        if scanned.rejected and options.bad_images == "error":
            raise refuse(scanned.rejected, name)
        fingerprint = scanned.fingerprint(options)
        entry = entry_folder(fingerprint)
        looked_whole = header_of(entry) is not None
        dataset = _opened(entry, name, options)
        if dataset is None:
            if looked_whole:  # else what is there now may be another process's, just made
                discard(entry)
            build(entry, name, pictures, scanned, options, tick)
            dataset = _opened(entry, name, options)
        if dataset is None:
            raise InputError(f"the cache entry {entry} vanished while it was opened; try again")
        remember(origin.place, options, stamp, fingerprint)
        if progress:
            progress(total, total)
        return dataset
    finally:
        pictures.close()


def _opened(entry: Path, name: str, options: Options) -> Dataset | None:
    """The data set in a cache entry; None where that is missing or damaged."""
    header = header_of(entry)
    if header is None:
        return None
    try:
        rejected = tuple(Rejected(*row) for row in header["rejected"])
        images = np.load(entry / "images.npy", mmap_mode="r", allow_pickle=False)
        parts = np.load(entry / "parts.npy", allow_pickle=False)
        digests = np.load(entry / "digests.npy", allow_pickle=False)
        labels = np.load(entry / "labels.npy", allow_pickle=False) if "labels.npy" in header["files"] else None
        sizes = np.load(entry / "sizes.npy", allow_pickle=False) if "sizes.npy" in header["files"] else None
        texts = json.loads((entry / "names.json").read_text(encoding="ascii"))
        names, captions = texts["names"], texts["captions"]
        labelled = tuple(header["label_names"])
        fingerprint = str(header["fingerprint"])
        whole = images.dtype == np.uint8 and images.shape == (header["count"], *header["shape"])
        if not whole or not len(images) == len(parts) == len(digests) == len(names):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if rejected and options.bad_images == "error":
        raise refuse(rejected, name)
    if rejected:
        shown = few(f"{bad.name} ({bad.reason})" for bad in rejected)
        log.warning("%s: left out %s that cannot be read: %s", name, plural(len(rejected), "picture"), shown)
    parts = without(parts, labels, labelled, options.leave_out, name)
    for array in (parts, digests, labels, sizes):
        if array is not None:
            array.flags.writeable = False
    return Dataset(name, images, labels, labelled, names, captions, fingerprint, rejected, parts, digests, sizes)
