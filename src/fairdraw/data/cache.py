"""Prepared data on the disk: found again by content, never trusted when damaged, never left half-written."""

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairdraw.data.options import Options
from fairdraw.data.places import cache_folder, unwritable

FORMAT = 1
"""Number of the layout below; an entry with another number is made anew."""

HEADER = "header.json"

STALE = 2 * 24 * 3600
"""Seconds after which an unfinished entry must be that of a process which was killed."""


def entry_folder(fingerprint: str) -> Path:
    """Where the pictures with this fingerprint are kept."""
    key = hashlib.sha256(f"{FORMAT}:{fingerprint}".encode()).hexdigest()
    return cache_folder() / "data" / key


def header_of(entry: Path) -> dict[str, Any] | None:
    """The header of a complete entry; None where anything is missing, cut short or of another format."""
    try:
        header = json.loads((entry / HEADER).read_text(encoding="ascii"))
        if header["format"] == FORMAT and header["files"]:
            sizes = {name: (entry / name).stat().st_size for name in header["files"]}
            return dict(header) if sizes == header["files"] else None
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def remembered(place: str, options: Options, stamp: str) -> Path | None:
    """The entry that was made of this place, if nothing there has changed since."""
    try:
        note = json.loads(_note(place, options).read_text(encoding="ascii"))
        if note["stamp"] == stamp and isinstance(note["entry"], str):
            return entry_folder(note["entry"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def remember(place: str, options: Options, stamp: str, fingerprint: str) -> None:
    """Note that a place with this stamp has this content; a cache that cannot be written is only slower."""
    note = _note(place, options)
    temporary = note.with_name(f".{note.name}.{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"stamp": stamp, "entry": fingerprint}), encoding="ascii")
            temporary.replace(note)
        finally:
            temporary.unlink(missing_ok=True)


def _note(place: str, options: Options) -> Path:
    key = json.dumps([FORMAT, place, options.pixels()], sort_keys=True)
    return cache_folder() / "index" / (hashlib.sha256(key.encode()).hexdigest() + ".json")


@contextmanager
def new_entry(entry: Path, needed: int) -> Iterator[Path]:
    """A folder to fill with `needed` bytes; it becomes `entry` at the end, or vanishes on any error.

    Of two processes that make the same entry both succeed, and one entry remains. Raises `InputError` when the cache is
    full or not writable.
    """
    data = entry.parent
    temporary = data / f".partial-{uuid.uuid4().hex}"
    try:
        try:
            data.mkdir(parents=True, exist_ok=True)
            _sweep(data)
            temporary.mkdir()
            if needed > shutil.disk_usage(data).free:
                raise OSError(28, f"no space left on device ({needed / 1e6:,.1f} MB are needed)")
            yield temporary
            _sync_all(temporary)
            _publish(temporary, entry)
        except OSError as error:
            raise unwritable(data, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_header(folder: Path, header: dict[str, Any]) -> None:
    """Finish an entry: the header lists the size of every other file."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    text = json.dumps({"format": FORMAT, **header, "files": sizes}, indent=1)
    (folder / HEADER).write_text(text, encoding="ascii")


def _publish(temporary: Path, entry: Path) -> None:
    for _ in range(3):
        try:
            temporary.rename(entry)
            _sync(entry.parent)
            return
        except OSError:
            if not entry.exists():
                raise
            if header_of(entry) is not None:  # another process was faster
                return
            discard(entry)
    raise OSError(17, f"{entry} is in the way")


def discard(entry: Path) -> None:
    """Remove an entry, at once for everybody who looks for it; raises `InputError` if the cache is not writable."""
    trash = entry.with_name(f".partial-{uuid.uuid4().hex}")
    try:
        with contextlib.suppress(FileNotFoundError):
            entry.rename(trash)
    except OSError as error:
        raise unwritable(entry.parent, error) from error
    shutil.rmtree(trash, ignore_errors=True)


def _sweep(data: Path) -> None:
    for leftover in data.glob(".partial-*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > STALE:
                shutil.rmtree(leftover, ignore_errors=True)


def _sync_all(folder: Path) -> None:
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
