"""A zip of pictures, read in place: nothing is ever unpacked to the disk."""

import json
import zipfile
import zlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from fairdraw.data.decode import MAX_BYTES, Unreadable
from fairdraw.data.folder import ignored_as, is_hidden, is_picture
from fairdraw.data.options import Rejected, few
from fairdraw.data.source import Item, Pictures, Source, labelled_by_folder
from fairdraw.errors import InputError

MAX_ENTRIES = 1_000_000
"""Above this the directory alone takes gigabytes of memory; so many pictures are better kept in a folder."""

MAX_RATIO = 200
"""A flat BMP is packed 100 times smaller; from `RATIO_FROM` bytes on, anything beyond this is a zip bomb."""

RATIO_FROM = 1_000_000

TABLE = "fairdraw.json"
"""In zips of our own making: {"items": {member: {"label", "caption", "part"}}, "labels": [...], "rejected": [...]}."""


def archive(path: Path) -> Source:
    """A source for the pictures in a zip; folders in it name the labels, as on the disk."""
    return Source(str(path.resolve()), partial(file_stamp, path), partial(load, path))


def file_stamp(path: Path) -> str:
    """The stamp of a source that is one file; raises `InputError` if it cannot be read."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from error
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def load(path: Path, described: bool = False) -> Pictures:
    """List a zip; `described` for one of our own making, with a `TABLE` in it."""
    try:
        packed = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot open the zip {path}: {why}; it may be cut short, so copy or download it again"
        ) from error
    try:
        return _listed(path, packed, described)
    except BaseException:
        packed.close()
        raise


def _listed(path: Path, packed: zipfile.ZipFile, described: bool) -> Pictures:
    entries = packed.infolist()
    if len(entries) >= MAX_ENTRIES:
        raise InputError(f"{path} lists {len(entries):,} files; unpack so large a zip and give the folder")
    chosen: dict[str, zipfile.ZipInfo] = {}
    rejected: list[Rejected] = []
    ignored: Counter[str] = Counter()
    for entry in entries:
        name = _safe_name(entry.filename)
        if entry.is_dir() or is_hidden(name):
            continue
        if not is_picture(name):
            if kind := ignored_as(name):
                ignored[kind] += 1
        elif reason := _refusal(entry, name in chosen):
            rejected.append(Rejected(entry.filename, reason))
        else:
            chosen[name] = entry
    if not chosen and not rejected:
        what = few(f"{count} {kind}" for kind, count in ignored.most_common()) or "only text, tables or nothing"
        raise InputError(f"no picture in the zip {path} (found {what}); give one with PNG, JPEG, WEBP, ... files")
    names = sorted(chosen)
    members = [chosen[name] for name in names]
    if described:
        items, label_names, refused = _described(packed, names)
        rejected += refused
        notes: tuple[str, ...] = ()
    else:
        label_names = None
        items, notes = _below_common_folder(names)
    read = partial(_read, packed, members)
    return Pictures(items, read, label_names, tuple(rejected), ignored, notes, close=packed.close)


def _safe_name(name: str) -> str:
    # Members are only ever named to the user, never written; dots and drive letters must not become labels, though.
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _refusal(entry: zipfile.ZipInfo, duplicate: bool) -> str | None:
    if duplicate:
        return "a second file of the same name"
    if entry.flag_bits & 0x1:
        return "encrypted; unpack it with its password and give the folder"
    if entry.file_size > MAX_BYTES:
        return f"{entry.file_size:,} bytes: too large for one picture"
    if entry.file_size > RATIO_FROM and entry.file_size > MAX_RATIO * entry.compress_size:
        return f"packed {entry.file_size // max(1, entry.compress_size)} times smaller: looks like a zip bomb"
    return None


def _described(packed: zipfile.ZipFile, names: list[str]) -> tuple[list[Item], tuple[str, ...] | None, list[Rejected]]:
    table: dict[str, Any] = json.loads(packed.read(TABLE))
    rows = table["items"]
    items = [Item(name, rows[name]["label"], rows[name]["caption"], part=rows[name]["part"]) for name in names]
    label_names = tuple(table["labels"]) if table["labels"] else None
    return items, label_names, [Rejected(name, reason) for name, reason in table["rejected"]]


def _below_common_folder(names: list[str]) -> tuple[list[Item], tuple[str, ...]]:
    # Most zips hold one folder with everything in it; it says nothing about the pictures.
    shared = 0
    while names and len({tuple(name.split("/")[: shared + 1]) for name in names}) == 1 and "/" in names[0]:
        if len(names[0].split("/")) <= shared + 1:
            break
        shared += 1
    return labelled_by_folder(["/".join(name.split("/")[shared:]) for name in names])


def _read(packed: zipfile.ZipFile, members: list[zipfile.ZipInfo], index: int) -> bytes:
    entry = members[index]
    try:
        with packed.open(entry) as member:
            # One byte more than announced is enough to see that the header lied.
            data = member.read(entry.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Unreadable(f"cannot be unpacked: {error}") from error
    if len(data) != entry.file_size:
        raise Unreadable("not of the size that the zip announces")
    return data
