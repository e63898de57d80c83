"""The first pass over a source: what it holds exactly, and what the arrays will look like."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.decode import Probe, Unreadable, check_size, probe, quiet
from fairdraw.data.options import Options, Rejected, few, plural
from fairdraw.data.source import Pictures
from fairdraw.data.work import in_order, ranges
from fairdraw.errors import InputError

Progress = Callable[[int, int], None]
"""Called with the pictures done and the pictures in all."""

BATCH = 64

NOT_GREY = "only grey pictures are binarised: make them grey with --channels 1, or leave out --binarise"


@dataclass(frozen=True)
class Scan:
    """The content of a source: `good` are the positions that look readable, `hashes` the SHA-256 of each file."""

    good: tuple[int, ...]
    rejected: tuple[Rejected, ...]
    probes: tuple[Probe, ...]
    hashes: tuple[bytes, ...] | None
    content: str
    """Hex digest of everything that is in the source, readable or not."""

    def fingerprint(self, options: Options) -> str:
        """Hex SHA-256: equal content and options give the same one on any machine."""
        text = json.dumps([self.content, options.pixels()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def scan(pictures: Pictures, tick: Callable[[int], None]) -> Scan:
    """Hash every picture and read its header; `tick` is called with the number just done."""
    count = len(pictures.items)
    if pictures.digest is not None and pictures.uniform is not None:
        tick(count)
        content = _content(pictures, pictures.digest)
        return Scan(tuple(range(count)), pictures.rejected, (pictures.uniform,), None, content)
    good: list[int] = []
    probes: list[Probe] = []
    hashes: list[bytes] = []
    rejected = list(pictures.rejected)

    def look(stretch: range) -> list[tuple[bytes, Probe | str]]:
        return [_look(pictures, index) for index in stretch]

    with quiet():
        for results in in_order(look, ranges(count, BATCH)):
            for sha, found in results:
                if isinstance(found, Probe):
                    good.append(len(hashes))
                    probes.append(found)
                else:
                    rejected.append(Rejected(pictures.items[len(hashes)].name, found))
                hashes.append(sha)
            tick(len(results))
    content = _content(pictures, hashlib.sha256(b"".join(hashes)).hexdigest())
    return Scan(tuple(good), tuple(sorted(rejected)), tuple(probes), tuple(hashes), content)


def file_hash(data: bytes | NDArray[np.uint8]) -> bytes:
    """SHA-256 of a picture as it is stored."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).digest()


def _look(pictures: Pictures, index: int) -> tuple[bytes, Probe | str]:
    sha = b"\0" * 32
    try:
        data = pictures.read(index)
        sha = file_hash(data)
        if isinstance(data, bytes):
            return sha, probe(data)
        height, width, channels = data.shape
        check_size(width, height)
        return sha, Probe(width, height, channels < 3)
    except Unreadable as error:
        return sha, str(error)


def _content(pictures: Pictures, files: str) -> str:
    hasher = hashlib.sha256(files.encode())
    for item in pictures.items:
        line = json.dumps([item.name, item.label, item.caption, item.group, item.part])
        hasher.update(line.encode() + b"\n")
    names = [[rejected.name, rejected.reason] for rejected in pictures.rejected]
    hasher.update(json.dumps([names, pictures.label_names]).encode())
    return hasher.hexdigest()


def shape_of(scanned: Scan, options: Options, where: str) -> tuple[int, int, int]:
    """Channels, height and width of the arrays; raises `InputError` where the pictures do not fit the options."""
    channels = channels_of(scanned.probes, options)
    if options.binarise and channels != 1:
        raise InputError(f"{where}: {NOT_GREY}")
    if options.size is not None:
        return channels, options.size, options.size
    sizes = Counter((found.width, found.height) for found in scanned.probes)
    if len(sizes) > 1:
        raise InputError(f"{where}: {sizes_differ(sizes)}")
    (width, height), _ = sizes.most_common(1)[0]
    return channels, height, width


def channels_of(probes: Sequence[Probe], options: Options) -> int:
    """How many channels the arrays have."""
    if options.channels != "auto":
        return options.channels
    return 1 if all(found.grey for found in probes) else 3


def sizes_differ(sizes: Counter[tuple[int, int]]) -> str:
    """What to say about pictures of several sizes, with the remedy."""
    shown = few((f"{width}x{height} ({count})" for (width, height), count in sizes.most_common()), shown=4)
    smallest = min(min(size) for size in sizes)
    example = next((side for side in (256, 128, 64, 32, 16, 8) if side <= smallest), 64)
    return f"the pictures have {len(sizes)} sizes, {shown}; choose one for all, for example with --size {example}"


def refuse(rejected: tuple[Rejected, ...], where: str) -> InputError:
    """The error for pictures that cannot be read, with the first of them by name."""
    shown = few(f"{bad.name} ({bad.reason})" for bad in rejected)
    which = "it" if len(rejected) == 1 else "them"
    return InputError(
        f"{where}: {plural(len(rejected), 'picture')} cannot be read: {shown}; remove {which} "
        "(`train` and `data check` leave out what cannot be read with --bad-images skip)"
    )


def none_left(rejected: tuple[Rejected, ...], where: str) -> InputError:
    """The error where nothing else is there than pictures that cannot be read."""
    if not rejected:
        return InputError(f"{where} holds no picture")
    shown = few(f"{bad.name} ({bad.reason})" for bad in rejected)
    return InputError(f"{where}: none of {plural(len(rejected), 'picture')} can be read: {shown}; give others")
