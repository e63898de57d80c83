"""Where downloads and prepared pictures are kept."""

import os
from pathlib import Path

from fairdraw.errors import InputError


def cache_folder() -> Path:
    """`FAIRDRAW_CACHE`, or the folder for caches that is usual on this system."""
    if given := os.environ.get("FAIRDRAW_CACHE"):
        return Path(given).expanduser()
    try:
        import platformdirs
    except ImportError:  # it comes with optional packages
        try:
            return Path("~/.cache/fairdraw").expanduser()
        except RuntimeError as error:
            raise InputError("no home folder for the cache; set FAIRDRAW_CACHE to a writable folder") from error
    return Path(platformdirs.user_cache_dir("fairdraw", appauthor=False))


def unwritable(path: Path, error: OSError) -> InputError:
    """The error for a cache that cannot be written."""
    return InputError(
        f"cannot write to the cache {path}: {(error.strerror or str(error)).lower()}; "
        "free some space or set FAIRDRAW_CACHE to another folder"
    )
