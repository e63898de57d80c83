"""A folder of pictures, searched to its depth."""

import errno
import hashlib
import json
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from fairdraw.data.decode import bytes_of
from fairdraw.data.options import Rejected, few
from fairdraw.data.source import Pictures, Source, labelled_by_folder
from fairdraw.errors import InputError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"})

HARMLESS_SUFFIXES = frozenset({".txt", ".json", ".jsonl", ".csv", ".tsv", ".md", ".html", ".xml", ".ini", ".db"})
HARMLESS_NAMES = frozenset({"readme", "license", "licence", "copying", "checksums"})
"""Companions of pictures, which are passed over without a word; anything else that is no picture is counted."""


@dataclass
class Walk:
    """What a folder holds, by relative path with `/`; `stats` as in the quick index of the cache."""

    pictures: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def folder(path: Path) -> Source:
    """A source for the pictures in a folder and the folders below it."""
    return Source(str(path.resolve()), partial(_stamp, path), partial(_load, path))


def is_picture(name: str) -> bool:
    """Whether a file is named like a picture that can be opened."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a relative path is hidden, or lies in the folder where macOS keeps its own notes."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def ignored_as(name: str) -> str | None:
    """The kind under which a file that is no picture is counted; None where it is harmless and passed over."""
    path = PurePosixPath(name)
    if path.suffix.lower() in HARMLESS_SUFFIXES or path.stem.lower() in HARMLESS_NAMES:
        return None
    return path.suffix.lower() or "no suffix"


def walk(root: Path) -> Walk:
    """Look at everything below `root` once, following links but no loop; raises `InputError` if it cannot be read."""
    found = Walk()
    try:
        seen = {_identity(root.stat())}
        _walk(root, "", seen, found)
    except OSError as error:
        raise InputError(f"cannot read the folder {root}: {_why(error)}; check the path and its permissions") from error
    return found


def _walk(here: Path, prefix: str, seen: set[tuple[int, int]], found: Walk) -> None:
    with os.scandir(here) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if is_hidden(entry.name):
            continue
        name = prefix + entry.name
        try:
            status = entry.stat()
        except OSError as error:
            _unreachable(name, entry.is_symlink(), error, found)
            continue
        if stat.S_ISDIR(status.st_mode):
            if _identity(status) not in seen:
                seen.add(_identity(status))
                try:
                    _walk(Path(entry.path), name + "/", seen, found)
                except OSError as error:
                    found.rejected.append(Rejected(name + "/", f"the folder cannot be read: {_why(error)}"))
        elif is_picture(name) and stat.S_ISREG(status.st_mode):
            found.pictures[name] = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        elif kind := ignored_as(name):
            found.ignored[kind] += 1


def _unreachable(name: str, is_link: bool, error: OSError, found: Walk) -> None:
    if is_link and error.errno == errno.ELOOP:
        return
    if is_picture(name):
        reason = "broken link" if is_link and error.errno == errno.ENOENT else _why(error)
        found.rejected.append(Rejected(name, reason))
    elif kind := ignored_as(name):
        found.ignored[kind] += 1


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _stamp(root: Path) -> str:
    found = walk(root)
    state = [sorted(found.pictures.items()), [[r.name, r.reason] for r in sorted(found.rejected)]]
    return hashlib.sha256(json.dumps(state).encode(errors="surrogateescape")).hexdigest()


def _load(root: Path) -> Pictures:
    found = walk(root)
    names = sorted(found.pictures)
    if not names and not found.rejected:
        what = few(f"{count} {kind}" for kind, count in found.ignored.most_common()) or "only text, tables or nothing"
        raise InputError(
            f"no picture in the folder {root} (found {what}); give a folder with {', '.join(sorted(SUFFIXES))} files"
        )
    items, notes = labelled_by_folder(names)
    return Pictures(
        items, partial(_read, root, names), rejected=tuple(found.rejected), ignored=found.ignored, notes=notes
    )


def _read(root: Path, names: list[str], index: int) -> bytes:
    return bytes_of(root / names[index])
