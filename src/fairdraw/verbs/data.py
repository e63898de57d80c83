"""Looking at sources of images before anybody trains on them."""

import json
from dataclasses import asdict

import tyro

from fairdraw import data
from fairdraw.command import Result
from fairdraw.data import Options

DEFAULT_OPTIONS = Options()


def check(source: tyro.conf.Positional[str], options: tyro.conf.OmitArgPrefixes[Options] = DEFAULT_OPTIONS) -> Result:
    """Report counts, sizes, modes, unreadable files, duplicates and leaks of a source, before anybody trains on it.

    Args:
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        options: how pictures become arrays.
    """
    report = data.check(source, options)
    return Result(json.loads(report.to_json()), str(report).splitlines(), code=0 if report.ok else 2)


def list_data() -> Result:
    """List the built-in sets of images."""
    sets = data.builtin()
    lines = []
    for name, entry in sets.items():
        channels, height, width = entry.shape
        what = f"{entry.count:>7,} of {height}x{width}x{channels}  {entry.description}; {entry.licence}; {entry.how}"
        lines.append(f"{name:14} {what}")
    return Result({"sets": {name: asdict(entry) for name, entry in sets.items()}}, lines)
