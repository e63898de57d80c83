"""What several verbs share: the types of their arguments, opening a run, choosing images, where a picture goes."""

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from fairdraw.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from fairdraw.data import Split
    from fairdraw.trained import Trained

MOST_ON_A_SHEET = 10_000
MOST_NAMED = 20
MOST_FILES = 1_000_000
LONGEST_WORD = 60
OTHER_FILES = (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".txt", ".json", ".npy", ".npz", ".pdf")
Device = Literal["auto", "cpu", "cuda", "mps"]
Part = Literal["train", "validation", "test", "all"]

# By name, because the capabilities themselves would import torch.
WITHOUT = {
    "Generates": "generates no images from noise; use another verb",
    "Denoises": "was not trained to {verb}: train `denoising`",
    "Translates": "does not translate images: train `pix2pix` or `cyclegan` for that",
    "Upscales": "does not make images larger: train `srgan` for that",
    "Encodes": "has no encoder to {verb} with; {instead}",
}
WITHOUT_AN_ENCODER = {
    "interpolate": "leave --images out to go between draws",
    "traverse": "leave --image out to begin at the middle of the prior",
    "explore": 'name draws by their numbers, as in "0,1 - 2 + 3"',
    "map": "`fairdraw explore RUN manifold` shows its latents",
}
"""What these verbs can do all the same; others can do nothing."""
WITHOUT_ANOTHER = "cannot {verb}, for it is no model that {capability}; `fairdraw models` tells which are"


def opened(run: Path, device: Device, *capabilities: type, verb: str) -> "Trained":
    """Open a run folder or a model file for a `verb` that needs `capabilities`, such as `Encodes`.

    Raises:
        InputError: where there is no whole model, or for the first capability that it lacks.
    """
    from fairdraw.trained import Trained

    trained = Trained.open(run, device)
    check_capabilities(trained, *capabilities, verb=verb)
    return trained


def check_capabilities(trained: "Trained", *capabilities: type, verb: str) -> None:
    """Refuse a model that lacks one of the `capabilities` that a `verb` needs.

    Raises:
        InputError: for the first that it lacks.
    """
    for capability in capabilities:
        if not isinstance(trained.model, capability):
            name = capability.__name__
            instead = WITHOUT_AN_ENCODER.get(verb, "train a model that has one, such as `vae`")
            lack = WITHOUT.get(name, WITHOUT_ANOTHER).format(verb=verb, capability=name.lower(), instead=instead)
            raise InputError(f"{trained.path}: {trained.facts['model']} {lack}")


def chosen_part(trained: "Trained", source: str, part: Part | None) -> tuple["Split", str]:
    """Images of `source` in the model's shape, and words for them such as `test images of digits`.

    Without a `part` these are the test images of the data that the model was trained on, and all images of other data.

    Raises:
        InputError: for a source that cannot be opened, images of another shape, or a part without images.
    """
    dataset, own = trained.open_data(source)
    part = part or ("test" if own else "all")
    chosen = dataset.split(part)
    if not len(chosen):
        raise InputError(f"{source} has no {part} images (of {len(dataset.all)}): choose another --part")
    return chosen, f"{'' if part == 'all' else part + ' '}images of {source}"


def held_out_or(trained: "Trained", source: str | None) -> tuple["Split", str]:
    """As `chosen_part` of `source`; without one, the test images of the very data that the model was trained on.

    Raises:
        InputError: where there are none, or these data are gone or changed.
    """
    if source is not None:
        return chosen_part(trained, source, None)
    dataset = trained.training_data()
    if not len(dataset.test):
        raise InputError(f"{dataset.name} has no test images (of {len(dataset):,}): name other images with --source")
    return dataset.test, f"test images of {dataset.name}"


def picture_path(trained: "Trained", out: Path | None, name: str) -> Path:
    """Where a picture goes: `out` itself if it is a .png, else `name` in the folder `out` or in the run's pictures."""
    if out is None:
        return trained.pictures / name
    return out if out.suffix.lower() == ".png" else out / name


def check_png(out: Path | None) -> None:
    """Refuse an `out` that names a file of another form.

    Raises:
        InputError: with the option and what it may be.
    """
    if out is not None and out.suffix.lower() in (*OTHER_FILES, ".mp4", ".html"):
        raise InputError(f"--out {out}: it is written as PNG; give a .png file or a folder")


def check_film(out: Path | None) -> None:
    """Refuse an `out` that is no place for frames, or an MP4 where its package is missing.

    Raises:
        InputError: with the option and what it may be.
    """
    from fairdraw.films import SUFFIXES, check_mp4

    suffix = "" if out is None else out.suffix.lower()
    if suffix == ".mp4":
        check_mp4()
    elif suffix not in SUFFIXES and suffix in (*OTHER_FILES, ".html", ".avi", ".mov", ".webm", ".mkv"):
        raise InputError(f"--out {out}: give a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file, or a folder")


def film_path(trained: "Trained", out: Path | None, name: str) -> Path:
    """Where frames go: `out` itself if its suffix is one of theirs, else `name` in the folder `out` or in the run's."""
    from fairdraw.films import SUFFIXES

    return out if out is not None and out.suffix.lower() in SUFFIXES else picture_path(trained, out, name)


def check_count_and_out(count: int, out: Path | None, to_a_sheet: bool = False, option: str | None = None) -> None:
    """Refuse a count of images that is none or too many for `out`, and an `out` that is no place for a PNG.

    With `to_a_sheet` a folder is the place of a sheet, not of a file for each image. `option` is what gave the count.

    Raises:
        InputError: with the option and what it may be.
    """
    option = option or f"--count {count}"
    if count < 1:
        raise InputError(f"{option}: give at least 1")
    one_sheet = to_a_sheet or out is None or out.suffix.lower() == ".png"
    if count > (MOST_ON_A_SHEET if one_sheet else MOST_FILES):
        folder = "" if to_a_sheet else f" and {MOST_FILES:,} in a folder (--out)"
        raise InputError(f"{option}: at most {MOST_ON_A_SHEET:,} on a sheet{folder}")
    if out is not None and out.suffix.lower() in OTHER_FILES:
        raise InputError(f"--out {out}: pictures are written as PNG; give a .png file or a folder")


def check_folder_is_ours(out: Path, ours: tuple[str, ...], otherwise: str = "") -> None:
    """Refuse a folder with a person's own files, among which those of a verb would lose themselves.

    Args:
        out: the folder, which need not be there.
        ours: what the names of a verb's files look like, such as `seed*`.
        otherwise: what else may be given.

    Raises:
        InputError: with the folder.
    """
    known = (*ours, ".*.partial")  # what a killed process left of a file does not keep the next one out
    if out.is_dir() and not all(any(fnmatchcase(path.name, one) for one in known) for path in out.iterdir()):
        raise InputError(f"--out {out} is a folder with other files in it: give a new folder{otherwise}")


def check_folder_can_be_made(out: Path) -> None:
    """Refuse a folder before the work whose result could not be written there.

    Raises:
        InputError: where a file is in its way, or nothing can be written.
    """
    whole = out.absolute()
    place = next(path for path in (whole, *whole.parents) if path.exists())
    if not place.is_dir():
        raise InputError(f"cannot make the folder {out}: {place} is a file; choose another with --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to the folder {place}; choose another with --out")


def word_for_a_file(words: str) -> str:
    """A part of a file's name, from words of a person or of their data, such as a label.

    >>> word_for_a_file("T-shirt/top"), word_for_a_file("../up")
    ('T-shirt-top', 'up')
    """
    word = re.sub(r"[^\w.]+", "-", words).strip("-.") or "unnamed"
    digest = hashlib.sha256(words.encode()).hexdigest()[:8]
    return word if len(word) <= LONGEST_WORD else f"{word[:LONGEST_WORD]}-{digest}"


def file_names(names: Sequence[str]) -> list[str]:
    """A PNG file for each image by its name in the source, in the same subfolders; no two files have one name.

    >>> file_names(["cats/1.jpg", "train/7"])
    ['cats/1.png', 'train/7.png']
    >>> file_names(["1.jpg", "1.png"])
    ['1.jpg.png', '1.png.png']
    """
    paths = [PurePosixPath(*(part for part in PurePosixPath(name).parts if part not in ("/", ".."))) for name in names]
    short = [str(path.with_suffix(".png")) for path in paths]
    if len({name.casefold() for name in short}) == len(short):  # some file systems do not tell A from a
        return short
    return [f"{path}.png" for path in paths]


def check_table(path: Path | None) -> None:
    """Refuse a --per-image that `write_table` could not write, before the figures are computed.

    Raises:
        InputError: with the option and what it may be.
    """
    if path is None:
        return
    if path.suffix.lower() != ".csv":
        raise InputError(f"--per-image {path}: the figures are written as a table; give a .csv file")
    if path.is_dir():
        raise InputError(f"--per-image {path} is a folder: name a .csv file in it")
    if not path.parent.is_dir():
        raise InputError(f"--per-image {path}: there is no folder {path.parent}; make it first")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file atomically: the names of the columns, then the rows.

    Raises:
        InputError: where it cannot be written.
    """
    from fairdraw.files import write_atomically

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def some_of(names: Sequence[str]) -> str:
    """The first of the names, to be listed in a message."""
    return ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")


def label_names(part: "Split", positions: "np.ndarray") -> list[str]:
    """The label of each image at `positions` of a part; empty where the source has none."""
    if part.labels is None:
        return [""] * len(positions)
    return [part.dataset.label_names[label] for label in part.labels[positions]]
