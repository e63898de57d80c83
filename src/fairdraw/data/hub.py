"""Data sets of the Hugging Face hub, fetched once into a zip of the files as they are."""

import contextlib
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fairdraw.data.archive import TABLE, load
from fairdraw.data.places import cache_folder, unwritable
from fairdraw.data.source import PARTS, Pictures, Source
from fairdraw.errors import InputError

CAPTIONS = ("caption", "text", "prompt", "description")

_SUFFIX = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp", b"GIF8": ".gif", b"BM": ".bmp"}


def hub(name: str) -> Source:
    """A source for `owner/name` or `owner/name@revision` on the hub; raises `InputError` for another form.

    What has been fetched once is not fetched again; a revision pins what that is.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?", name):
        raise InputError(f"hf:{name} names no data set; write hf:OWNER/NAME or hf:OWNER/NAME@REVISION")
    return Source(f"hf:{name}", lambda: name, partial(_load, name))


def _load(name: str) -> Pictures:
    folder = cache_folder() / "downloads" / "hf"
    target = folder / (re.sub(r"[/@]", "--", name) + ".zip")
    if not target.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(name, target)
        except OSError as error:
            raise unwritable(folder, error) from error
    return load(target, described=True)


def _fetch(name: str, target: Path) -> None:
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"hf:{name} needs the package datasets; install it with: pip install 'fairdraw[huggingface]'"
        ) from error
    path, _, revision = name.partition("@")
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w") as packed:  # stored: pictures do not get smaller
                _copy(name, _parts(datasets, name, path, revision or None), datasets, packed)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()


def _parts(datasets: Any, name: str, path: str, revision: str | None) -> Mapping[str, Any]:
    try:
        found = datasets.load_dataset(path, revision=revision, streaming=True)
    except Exception as error:  # the hub's client raises what its many layers raise
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"cannot open hf:{name}: {why}; check the name and the network") from error
    return found if isinstance(found, Mapping) else {"all": found}


def _copy(name: str, parts: Mapping[str, Any], datasets: Any, packed: zipfile.ZipFile) -> None:
    items: dict[str, dict[str, str | None]] = {}
    rejected: list[tuple[str, str]] = []
    labels: list[str] = []
    official = {part: PARTS.get(part.lower()) for part in parts}
    if None in official.values() or len(official) < 2:
        official = dict.fromkeys(parts)
    for part, rows in parts.items():
        image, label, caption, names = _columns(name, rows.features)
        labels += [text for text in names if text not in labels]
        for number, row in enumerate(_rows(name, rows.cast_column(image, datasets.Image(decode=False)))):
            place = f"{part}/{number:07d}"
            data = (row[image] or {}).get("bytes")
            if not data:
                # A path in a row may name any file of this machine or any address: it is never opened.
                rejected.append((place, "the row holds no picture, at most a path, which is never followed"))
                continue
            member = place + _suffix(data)
            packed.writestr(member, data)
            value = names[row[label]] if label and row[label] is not None and 0 <= row[label] < len(names) else None
            text = str(row[caption]) if caption and row[caption] is not None else None
            items[member] = {"label": value, "caption": text, "part": official[part]}
    packed.writestr(TABLE, json.dumps({"items": items, "rejected": rejected, "labels": labels}))


def _rows(name: str, rows: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    try:
        yield from rows
    except Exception as error:  # see _parts
        raise InputError(f"reading hf:{name} failed: {' '.join(str(error).split())[:200]}; try again") from error


def _columns(name: str, features: Mapping[str, Any] | None) -> tuple[str, str | None, str | None, list[str]]:
    """The columns with the picture, the label and the caption, and the labels' names."""
    kinds = {column: type(feature).__name__ for column, feature in (features or {}).items()}
    images = [column for column, kind in kinds.items() if kind == "Image"]
    if len(images) != 1:
        found = ", ".join(kinds) or "nothing known"
        raise InputError(
            f"hf:{name} has {len(images)} columns of pictures, not one (columns: {found}); export it as a folder"
        )
    label = next((column for column, kind in kinds.items() if kind == "ClassLabel"), None)
    names = list(features[label].names) if features and label else []
    return images[0], label, next((column for column in CAPTIONS if column in kinds), None), names


def _suffix(data: bytes) -> str:
    return next((suffix for magic, suffix in _SUFFIX.items() if data.startswith(magic)), ".tif")
