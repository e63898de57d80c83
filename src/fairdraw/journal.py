"""The log of a run: one JSON object a line, only ever appended to."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairdraw.errors import InputError
from fairdraw.files import FORMAT, only_finite


def append(path: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Append an entry, and return it as read; the first line has the format. A torn line stays behind alone.

    Raises:
        InputError: where it cannot be written.
    """
    line = json.dumps(only_finite(entry), allow_nan=False) + "\n"
    written: dict[str, Any] = json.loads(line)
    try:
        with path.open("a+b") as file:
            if not file.tell():
                line = json.dumps({"event": "log", "format": FORMAT}) + "\n" + line
            elif _last_byte(file) != b"\n":
                line = "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; free some space and run again") from error
    return written


def read(path: Path) -> list[dict[str, Any]]:
    """The log as an uninterrupted training would have written it: what a resumed one did again counts once.

    Raises:
        InputError: where it cannot be read, or is of another format.
    """
    entries: list[dict[str, Any]] = []
    for entry in _whole_lines(path):
        if entry["event"] == "resumed":
            entries = [e for e in entries if e["images"] <= entry["images"]]
        else:
            entries.append(entry)
    return entries


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; restore it, or move it away") from error
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # torn by a crash; what it said is in a later line
            continue
        if not isinstance(entry, dict):
            continue
        if entry.get("format", FORMAT) != FORMAT:
            raise InputError(f"{path} has format {entry['format']!r}: use the fairdraw version that wrote it")
        if _is_whole(entry):
            yield entry


def _is_whole(entry: Mapping[str, Any]) -> bool:
    """Whether an entry has what every reader takes for granted; others are passed over like torn lines."""
    if not isinstance(entry.get("images"), int) or not isinstance(entry.get("event"), str):
        return False
    named = [entry.get(key, {}) for key in ("means", "gradient_norm")]
    return all(
        isinstance(values, dict) and all(isinstance(value, int | float | None) for value in values.values())
        for values in named
    )


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    found: bytes = file.read(1)
    file.seek(0, os.SEEK_END)
    return found
