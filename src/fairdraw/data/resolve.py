"""From what a user writes to a source."""

import re
from dataclasses import replace
from pathlib import Path

from fairdraw.data.archive import archive
from fairdraw.data.arrays import array_file
from fairdraw.data.catalogue import NAMES, built_in
from fairdraw.data.folder import folder, is_picture
from fairdraw.data.hub import hub
from fairdraw.data.inputs import half
from fairdraw.data.options import HALVES, Options
from fairdraw.data.places import cache_folder
from fairdraw.data.source import Source
from fairdraw.data.tiles import tiles
from fairdraw.errors import InputError, nearest

KINDS = "a folder or a zip of pictures, an .npy or .npz file, FILE.npz:NAME, hf:OWNER/NAME, or a built-in name"


def resolve(source: str | Path, options: Options) -> Source:
    """The source that `source` names; a built-in name wins over a file, which `./name` reaches.

    Raises:
        InputError: if it names nothing, or nothing that holds pictures.
    """
    if options.fit == "tiles":
        return tiles(resolve(source, replace(options, fit="crop")), options.size)
    if options.inputs in HALVES:
        return half(resolve(source, replace(options, inputs=None)), options.inputs)
    text = str(source)
    if isinstance(source, str):
        if source in NAMES:
            return built_in(source, options)
        if source.startswith("hf:"):
            return hub(source.removeprefix("hf:"))
        if chosen := re.fullmatch(r"(.+\.npz):([^/\\]+)", source, re.IGNORECASE):
            return _file(Path(chosen[1]).expanduser(), chosen[2], source)
    if not text.strip() or "\0" in text:
        raise InputError(f"{text!r} names no data; give {KINDS} ({', '.join(NAMES)})")
    return _file(Path(source).expanduser(), None, text)


def _file(path: Path, name: str | None, text: str) -> Source:
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:
        raise InputError(f"cannot look at {text}: {error.strerror}; check the path and its permissions") from error
    suffix = path.suffix.lower()
    if not exists:
        raise InputError(f"no data at {text!r}{nearest(text, NAMES)}; give {KINDS} ({', '.join(NAMES)})")
    if is_folder:
        return folder(path)
    if suffix in (".npy", ".npz"):
        return array_file(path, name, cache_folder() / "scratch")
    if suffix == ".zip":
        return archive(path)
    if is_picture(path.name):
        raise InputError(f"{text} is a single picture; give the folder that it lies in")
    if suffix in (".tar", ".gz", ".tgz", ".rar", ".7z", ".bz2", ".xz"):
        raise InputError(f"{text} is not opened as it is; unpack it and give the folder, or pack it as a zip")
    raise InputError(f"{text} is of no kind that can be opened; give {KINDS}")
