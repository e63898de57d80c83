"""The images of a compressed file as PNG files."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import tyro

from fairdraw.command import Result
from fairdraw.data.options import plural
from fairdraw.errors import InputError
from fairdraw.verbs.common import file_names, opened

LONGEST_NAME = 200
"""Bytes, which every file system allows."""
RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
"""What Windows takes for a device, whatever suffix follows."""


def decompress(
    run: tyro.conf.Positional[Path],
    file: tyro.conf.Positional[Path],
    out: Path,
) -> Result:
    """Write the images of a file by `fairdraw compress` as PNG files, under the names that they had.

    Args:
        run: the run folder or model.safetensors file that compressed them.
        file: the file.
        out: a new folder.
    """
    from fairdraw.compress.archive import Archive
    from fairdraw.images import picture, save_png
    from fairdraw.progress import Display

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is a folder with files in it" if out.is_dir() else "is a file"
        raise InputError(f"--out {out} {what}: give a new folder")
    trained = opened(run, "cpu", verb="decompress")
    archive = Archive(file, trained.model, trained.facts)
    content = archive.open()
    header = content.header
    with Display(0, len(header.names), quiet=False) as display:
        images = archive.images(content, display.advance)
    facts: dict[str, Any] = {
        "model": header.model,
        "model_sha256": header.model_sha256,
        "kind": header.kind,
        "count": len(images),
    }
    lossy = header.kind == "lossy"
    names, numbered = targets(header.names)
    for name, source, image in zip(names, header.names, images, strict=True):
        save_png(out / name, picture(image), {**facts, "name": source, "from": file.name}, machine_made=lossy)
    exact = "as a model reconstructs them from rounded codes" if lossy else "the very pixels that were compressed"
    line = f"{out}: {plural(len(images), 'image')}, {exact}"
    line += f"; {numbered:,} of them numbered, as their names make no file names" if numbered else ""
    return Result({**facts, "out": str(out), "files": names}, [line])


def targets(names: Sequence[str]) -> tuple[list[str], int]:
    """A PNG file for each name, and how many of them are numbered, as their names would not do on every system."""
    found = [f"{number:06d}.png" for number in range(len(names))]
    kept = [number for number, name in enumerate(names) if _is_safe(name)]
    wanted = dict(zip(kept, file_names([names[number] for number in kept]), strict=True))
    folders = {folder for target in wanted.values() for folder in _folders(target)}
    times = Counter(map(_folded, wanted.values()))
    by_name = {n for n in kept if times[_folded(wanted[n])] == 1 and _folded(wanted[n]) not in folders}
    while True:
        taken = {found[number] for number in range(len(names)) if number not in by_name}
        clashing = {n for n in by_name if not taken.isdisjoint({_folded(wanted[n]), *_folders(wanted[n])})}
        if not clashing:
            return [wanted[n] if n in by_name else found[n] for n in range(len(names))], len(names) - len(by_name)
        by_name -= clashing


def _is_safe(name: str) -> bool:
    """Whether every system has files of this name, and in the folder where they belong."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
    return (
        PurePosixPath(name).name not in ("", "..")
        and name.isprintable()
        and not set(name) & set('\\:*?"<>|')
        and len(f"{name}.png".encode()) <= LONGEST_NAME
        and not any(part.split(".")[0].rstrip().upper() in RESERVED for part in parts)
        and not any(part.endswith((".", " ")) for part in parts[:-1])
    )


def _folded(path: str) -> str:
    """The same for all paths that one file system or another does not tell apart."""
    return unicodedata.normalize("NFC", path).casefold()


def _folders(target: str) -> set[str]:
    return {_folded(str(folder)) for folder in PurePosixPath(target).parents}
