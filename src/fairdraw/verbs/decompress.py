"""The images of a compressed file as PNG files."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError
from fairdraw.verbs.common import file_names, opened

LONGEST_NAME = 200
"""Bytes, which every file system allows."""


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
    names, kept = _targets(header.names)
    for name, source, image in zip(names, header.names, images, strict=True):
        save_png(out / name, picture(image), {**facts, "name": source, "from": file.name}, machine_made=lossy)
    exact = "as a model reconstructs them from rounded codes" if lossy else "the very pixels that were compressed"
    line = f"{out}: {len(images):,} images, {exact}" + ("" if kept else "; numbered, as their names make no file names")
    return Result({**facts, "out": str(out), "files": names}, [line])


def _targets(names: Sequence[str]) -> tuple[list[str], bool]:
    """A PNG file for each name, and whether they are by name: else numbered, where one would not do on any system."""
    numbered = [f"{number:06d}.png" for number in range(len(names))]
    if any(PurePosixPath(name).name in ("", "..") for name in names):
        return numbered, False
    targets = file_names(names)
    folders = {str(folder) for target in targets for folder in PurePosixPath(target).parents}
    safe = all(
        target.isprintable() and not set(target) & set('\\:*?"<>|') and len(target.encode()) <= LONGEST_NAME
        for target in targets
    )
    distinct = len({target.casefold() for target in targets}) == len(targets) and not folders & set(targets)
    return (targets, True) if safe and distinct else (numbered, False)
