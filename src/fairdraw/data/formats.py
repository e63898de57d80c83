"""The file formats of the classic data sets, read without running any code that they might hold."""

import gzip
import hashlib
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.arrays import Stack
from fairdraw.data.source import Part
from fairdraw.errors import InputError

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """Arrays of pictures with labels, and the labels' names in order."""

    stacks: tuple[Stack, ...]
    names: tuple[str, ...]


def digest(name: str, content: bytes) -> str:
    """A fingerprint for a whole data set."""
    return hashlib.sha256(name.encode() + b":" + content).hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # four formats and their libraries, each with errors of its own
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot read {path}: {why}; delete it, and it is downloaded again") from error


def _stack(images: Bytes, labels: NDArray[np.int64], names: Sequence[str], part: Part | None, first: bool) -> Stack:
    return Stack(images, part, first, [names[label] for label in labels.tolist()])


def table(path: Path, side: int, largest: int) -> Labelled:
    """A packed CSV with a row of `side` x `side` pixels from 0 to `largest`, then the digit, for each picture."""
    with _reading(path):
        text = gzip.decompress(path.read_bytes())
        values = np.array(text.replace(b"\n", b",").rstrip(b",").split(b","), dtype="S8").astype(np.float64)
        rows = values.reshape(-1, side * side + 1)
        images = np.rint(rows[:, :-1] * (255 / largest)).astype(np.uint8).reshape(-1, side, side)
        return Labelled((_stack(images, rows[:, -1].astype(np.int64), DIGITS, None, False),), DIGITS)


def idx(paths: list[Path], names: Sequence[str]) -> Labelled:
    """MNIST's own format: packed pictures and labels for training, then for testing."""
    arrays = [_idx(path) for path in paths]
    return Labelled(
        (
            _stack(arrays[0], arrays[1].astype(np.int64), names, "train", False),
            _stack(arrays[2], arrays[3].astype(np.int64), names, "test", False),
        ),
        tuple(names),
    )


def _idx(path: Path) -> Bytes:
    with _reading(path):
        data = gzip.decompress(path.read_bytes())
        if data[:3] != b"\0\0\x08":
            raise ValueError("not an IDX file of bytes")
        shape = np.frombuffer(data, ">u4", data[3], 4).astype(int).tolist()
        return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def cifar10(paths: list[Path]) -> Labelled:
    """CIFAR-10 for C programs: records of a label and 3x32x32 pixels, five training files and one test file."""
    members = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}
    with _reading(paths[0]), tarfile.open(paths[0], "r:gz") as archive:
        found = {Path(member.name).name: archive.extractfile(member) for member in archive if member.isfile()}
        return Labelled(
            (
                _records([found[name] for name in members["train"]], "train"),
                _records([found[name] for name in members["test"]], "test"),
            ),
            CIFAR10,
        )


def _records(files: Sequence[object], part: Part) -> Stack:
    readers: list[Callable[[], bytes]] = [file.read for file in files]  # type: ignore[attr-defined]
    rows = np.frombuffer(b"".join(read() for read in readers), np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return _stack(rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].astype(np.int64), CIFAR10, part, True)


def svhn(paths: list[Path]) -> Labelled:
    """Street View House Numbers, cropped: MATLAB files with X `[32, 32, 3, N]` and y from 1 to 10, where 10 is 0."""
    from scipy.io import loadmat

    stacks = []
    parts: tuple[Part, Part] = ("train", "test")
    for path, part in zip(paths, parts, strict=True):
        with _reading(path):
            content = loadmat(path, variable_names=("X", "y"))
            labels = content["y"].reshape(-1).astype(np.int64) % 10
            images = np.ascontiguousarray(content["X"].transpose(3, 0, 1, 2))
            stacks.append(_stack(images, labels, DIGITS, part, False))
    return Labelled(tuple(stacks), DIGITS)
