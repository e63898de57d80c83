"""The images that a translation begins with: domain `a`, where the data set itself is domain `b`."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.catalogue import NAMES
from fairdraw.data.decode import Pixels, Unreadable, decode
from fairdraw.data.derived import derived
from fairdraw.data.options import DERIVED, HALVES, Options, few, plural
from fairdraw.data.source import Pictures, Source
from fairdraw.errors import InputError, nearest

if TYPE_CHECKING:
    from fairdraw.data.dataset import Dataset, SplitName

Positions = NDArray[np.integer[Any]]


class Inputs(ABC):
    """Domain `a` of a data set: one input for each image, or a set of its own."""

    unpaired: str
    """Why it is not so that each image has an input of its own, in one line with the remedy; empty where it is."""

    @abstractmethod
    def of(self, dataset: "Dataset", places: Positions) -> NDArray[np.uint8]:
        """The inputs of the images at `places` of the data set, uint8 `[n, C, H, W]`; only where they are paired."""

    @abstractmethod
    def count(self, dataset: "Dataset", part: "SplitName") -> int:
        """How many inputs there are for a part of the data, paired or not."""

    @abstractmethod
    def some(self, dataset: "Dataset", part: "SplitName", positions: Positions) -> NDArray[np.uint8]:
        """Inputs by their positions in such a part, uint8 `[n, C, H, W]`."""

    @abstractmethod
    def digests(self, dataset: "Dataset", part: "SplitName") -> NDArray[np.uint8]:
        """Digests `[n, 32]` of the pictures that the inputs of such a part are, or are made of."""


class DerivedInputs(Inputs):
    """Made of each image when it is asked for."""

    unpaired = ""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def of(self, dataset: "Dataset", places: Positions) -> NDArray[np.uint8]:
        """What `derived` makes of them."""
        return derived(self.kind, np.asarray(dataset.images[places]))

    def count(self, dataset: "Dataset", part: "SplitName") -> int:
        """As many as images."""
        return len(dataset.split(part))

    def some(self, dataset: "Dataset", part: "SplitName", positions: Positions) -> NDArray[np.uint8]:
        """Made of the images of that part."""
        return derived(self.kind, dataset.split(part).images(positions))

    def digests(self, dataset: "Dataset", part: "SplitName") -> NDArray[np.uint8]:
        """Those of the images."""
        return dataset.digests[dataset.split(part).indices]


@dataclass(frozen=True, eq=False)
class StoredInputs(Inputs):
    """Another source. `rows` are its places, one for each image, where every image has its own there.

    These fall into the part of the split that their images are in, whatever else is made of the two: what is tested on
    was then not learnt from as an input either.
    """

    dataset: "Dataset"
    rows: NDArray[np.int64] | None
    unpaired: str

    def of(self, dataset: "Dataset", places: Positions) -> NDArray[np.uint8]:
        """Those of the same names."""
        assert self.rows is not None, self.unpaired
        return np.asarray(self.dataset.images[self.rows[places]])

    def count(self, dataset: "Dataset", part: "SplitName") -> int:
        """As many as images, or by that source's own split."""
        return len((self.dataset if self.rows is None else dataset).split(part))

    def some(self, dataset: "Dataset", part: "SplitName", positions: Positions) -> NDArray[np.uint8]:
        """Those of the images of that part, or by that source's own split."""
        if self.rows is None:
            return self.dataset.split(part).images(positions)
        return self.of(dataset, dataset.split(part).indices[positions])

    def digests(self, dataset: "Dataset", part: "SplitName") -> NDArray[np.uint8]:
        """Of each image's own input, or by that source's own split."""
        places = self.dataset.split(part).indices if self.rows is None else self.rows[dataset.split(part).indices]
        return self.dataset.digests[places]


def with_inputs(images: "Dataset", options: Options, open_set: "Callable[[str, Options], Dataset]") -> "Dataset":
    """The data set `images`, opened for those `options`, with the inputs that they name.

    Both sides are made of the same number of channels, the larger of the two.

    Raises:
        InputError: for inputs that cannot be opened, or have another size than the images.
    """
    kind = options.inputs
    assert kind is not None
    if kind == "grey" and images.shape[0] == 1:
        raise InputError(f"--inputs grey: {images.name} is grey as it is, so that there is nothing to learn")
    if kind in DERIVED:
        return replace(images, inputs=DerivedInputs(kind), fingerprint=_joint(images.fingerprint, kind))
    source = images.name if kind in HALVES else kind
    _check_word(kind)
    options = replace(options, inputs=_other_half(kind) if kind in HALVES else None, leave_out=())
    inputs = open_set(source, options)
    channels = cast(Literal[1, 3, 4], max(images.shape[0], inputs.shape[0]))
    if inputs.shape[0] < channels:
        inputs = open_set(source, replace(options, channels=channels))
    elif images.shape[0] < channels:
        half = replace(options, inputs=kind if kind in HALVES else None, channels=channels)
        images = open_set(images.name, half)
    if inputs.shape != images.shape:
        (_, rows, columns), (_, height, width) = inputs.shape, images.shape
        raise InputError(
            f"the inputs {source} have {columns}x{rows} px and the images {images.name} {width}x{height}: "
            "give one size for both with --size"
        )
    fingerprint = _joint(images.fingerprint, inputs.fingerprint)
    return replace(images, inputs=_stored(images, inputs), fingerprint=fingerprint)


def _check_word(kind: str) -> None:
    """Refuse what is nearly the name of a kind of inputs, and names nothing else.

    Raises:
        InputError: with that name.
    """
    near = nearest(kind.lower(), (*HALVES, *DERIVED))
    if near and kind not in (*HALVES, *NAMES) and not os.path.lexists(Path(kind).expanduser()):
        raise InputError(f"no inputs {kind!r}{near}; give a source, {', '.join((*HALVES, *DERIVED))}")


def _joint(images: str, inputs: str) -> str:
    return hashlib.sha256(f"{images} {inputs}".encode()).hexdigest()


def _stored(images: "Dataset", inputs: "Dataset") -> StoredInputs:
    """Inputs paired by name with the images, or with the reason why they are not."""
    of_image, of_input = _stems(images.names), _stems(inputs.names)
    row = {name: place for place, name in enumerate(of_input)}
    without = [name for name in of_image if name not in row]
    idle = sorted(set(of_input) - set(of_image))
    twice = sorted(name for name, count in Counter(of_input).items() if count > 1)
    unpaired = ""
    if twice:
        unpaired = f"{inputs.name} has several pictures called {few(twice)}: rename or remove all but one"
    elif without or idle:
        missing = [f"{plural(len(without), 'image')} of {images.name} without an input: {few(without, 5)}"] * bool(
            without
        )
        missing += [f"{plural(len(idle), 'input')} of {inputs.name} without an image: {few(idle, 5)}"] * bool(idle)
        unpaired = f"pairs have equal names but for the suffix; {'; '.join(missing)}: rename or remove them"
    if unpaired:
        return StoredInputs(inputs, None, unpaired)
    rows = np.array([row[name] for name in of_image], dtype=np.int64)
    return StoredInputs(inputs, rows, _other_proportions(images, inputs, rows))


def _stems(names: Sequence[str]) -> list[str]:
    return [str(PurePosixPath(name).with_suffix("")) if name else name for name in names]


def _other_proportions(images: "Dataset", inputs: "Dataset", rows: NDArray[np.int64]) -> str:
    """What is wrong with pairs that were fitted to one size from different shapes, so that they no longer match."""
    if images.sizes is None and inputs.sizes is None:
        return ""
    ours = images.sizes if images.sizes is not None else np.broadcast_to(images.shape[:0:-1], (len(images), 2))
    theirs = inputs.sizes[rows] if inputs.sizes is not None else np.broadcast_to(inputs.shape[:0:-1], (len(rows), 2))
    # Of equal proportions, to a pixel of the smaller: w / h = w' / h'.
    apart = np.abs(ours[:, 0] * theirs[:, 1] - theirs[:, 0] * ours[:, 1])
    bad = np.flatnonzero(apart > np.maximum(ours.max(1), theirs.max(1)))
    if not len(bad):
        return ""
    first = bad[0]
    sizes = "{}x{} and {}x{}".format(*ours[first], *theirs[first])
    return (
        f"{plural(len(bad), 'pair')} of {images.name} and {inputs.name} differ in proportions, such as "
        f"{images.names[first]} ({sizes} px): cut both to the same part of the picture"
    )


def _other_half(side: str) -> str:
    return HALVES[1 - HALVES.index(side)]


def half(source: Source, inputs: str) -> Source:
    """The images of side-by-side pictures whose `inputs` are the left or the right half: the other half of each."""
    side = _other_half(inputs)

    def load() -> Pictures:
        pictures = source.load()

        def read(index: int) -> Pixels:
            data = pictures.read(index)
            pixels = decode(data) if isinstance(data, bytes) else data
            middle, odd = divmod(pixels.shape[1], 2)
            if odd or not middle:
                raise Unreadable(f"a width of {pixels.shape[1]} px has no two halves")
            return np.ascontiguousarray(pixels[:, :middle] if side == "left" else pixels[:, middle:])

        # Every picture is looked at: of one half it is not known whether it is grey.
        return replace(pictures, read=read, uniform=None, digest=None)

    return Source(f"{source.place} {side} half", source.stamp, load)
