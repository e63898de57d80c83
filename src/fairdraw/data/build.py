"""The second pass: every picture decoded once into the cache, in order, in bounded memory."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.cache import new_entry, write_header
from fairdraw.data.decode import Pixels, Unreadable, canonical, decode, digest, fitted, quiet
from fairdraw.data.options import Options, Rejected
from fairdraw.data.scan import Scan, file_hash, none_left, refuse, shape_of
from fairdraw.data.source import Item, Pictures
from fairdraw.data.split import assign
from fairdraw.data.work import in_order, ranges
from fairdraw.errors import InputError

BATCH_BYTES = 4_000_000
_HEADER_BYTES = 128


@dataclass
class _Kept:
    """What has been written so far."""

    items: list[Item] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def build(
    entry: Path, name: str, pictures: Pictures, scanned: Scan, options: Options, tick: Callable[[int], None]
) -> None:
    """Make the cache entry for a scanned source; raises `InputError`, and then leaves nothing behind."""
    if not scanned.good:
        raise none_left(scanned.rejected, name)
    shape = shape_of(scanned, options, name)
    kept = _Kept(rejected=list(scanned.rejected))
    with new_entry(entry, _HEADER_BYTES + len(scanned.good) * int(np.prod(shape))) as folder:
        with (folder / "images.npy").open("wb") as file:
            file.write(b"\0" * _HEADER_BYTES)
            _fill(file, pictures, scanned, shape, options, kept, name, tick)
            if not kept.items:
                raise none_left(tuple(kept.rejected), name)
            file.seek(0)
            file.write(_npy_header((len(kept.items), *shape)))
        _describe(folder, name, pictures, scanned, shape, options, kept)


def _fill(
    file: IO[bytes],
    pictures: Pictures,
    scanned: Scan,
    shape: tuple[int, int, int],
    options: Options,
    kept: _Kept,
    name: str,
    tick: Callable[[int], None],
) -> None:
    good = scanned.good
    length = max(1, min(64, BATCH_BYTES // int(np.prod(shape))))

    def work(stretch: range) -> list[tuple[int, bytes, Pixels] | Rejected]:
        return [_one(pictures, scanned, good[place], shape, options) for place in stretch]

    with quiet():
        for results in in_order(work, ranges(len(good), length)):
            for result in results:
                if isinstance(result, Rejected):
                    kept.rejected.append(result)
                else:
                    index, sha, pixels = result
                    kept.items.append(pictures.items[index])
                    kept.digests.append(sha)
                    file.write(pixels.data)
            if kept.rejected and options.bad_images == "error":
                raise refuse(tuple(kept.rejected), name)
            tick(len(results))


def _one(
    pictures: Pictures, scanned: Scan, index: int, shape: tuple[int, int, int], options: Options
) -> tuple[int, bytes, Pixels] | Rejected:
    name = pictures.items[index].name
    try:
        data = pictures.read(index)
        if scanned.hashes is not None and file_hash(data) != scanned.hashes[index]:
            raise InputError(
                f"{name} has changed while it was being read; wait until nothing writes there, and try again"
            )
        pixels = decode(data) if isinstance(data, bytes) else canonical(data)
        result = fitted(pixels, shape[0], options)
        if result.shape != shape:
            raise Unreadable("its size is not what its header says")
        return index, digest(pixels), result
    except Unreadable as error:
        return Rejected(name, str(error))


def _npy_header(shape: tuple[int, ...]) -> bytes:
    # Of a fixed length: how many pictures there are is known only when the last has been written.
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode("ascii")
    magic = b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little")
    return magic + text.ljust(_HEADER_BYTES - 11) + b"\n"


def _describe(
    folder: Path,
    name: str,
    pictures: Pictures,
    scanned: Scan,
    shape: tuple[int, int, int],
    options: Options,
    kept: _Kept,
) -> None:
    items = kept.items
    label_names, labels = label_numbers(items, pictures.label_names)
    digests = np.frombuffer(b"".join(kept.digests), np.uint8).reshape(-1, 32)
    np.save(folder / "digests.npy", digests, allow_pickle=False)
    np.save(folder / "parts.npy", assign(items, digests), allow_pickle=False)
    if scanned.hashes is not None:
        size = {
            pictures.items[at].name: (p.width, p.height) for at, p in zip(scanned.good, scanned.probes, strict=True)
        }
        np.save(folder / "sizes.npy", np.array([size[item.name] for item in items], np.int32), allow_pickle=False)
    if labels is not None:
        np.save(folder / "labels.npy", labels, allow_pickle=False)
    texts: dict[str, Any] = {"names": [item.name for item in items], "captions": None, "groups": None}
    if any(item.caption is not None for item in items):
        texts["captions"] = [item.caption or "" for item in items]
    if any(item.group is not None for item in items):
        texts["groups"] = [item.group for item in items]
    (folder / "names.json").write_text(json.dumps(texts), encoding="ascii")
    header = {
        "source": name,
        "options": options.pixels(),
        "fingerprint": scanned.fingerprint(options),
        "shape": shape,
        "count": len(items),
        "label_names": label_names,
        "rejected": [[bad.name, bad.reason] for bad in sorted(kept.rejected)],
    }
    write_header(folder, header)


def label_numbers(
    items: Sequence[Item], names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
    """The names of the labels, in order, and the number of each picture's; none unless every picture has one."""
    found = {item.label for item in items}
    if None in found:
        return (), None
    names = names or tuple(sorted(label for label in found if label is not None))
    number = {name: index for index, name in enumerate(names)}
    return names, np.array([number[item.label or ""] for item in items], dtype=np.int64)
