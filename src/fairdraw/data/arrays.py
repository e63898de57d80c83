"""Pictures that are stored as numpy arrays: `.npy`, `.npz`, and built-in sets that come as arrays."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.archive import file_stamp
from fairdraw.data.decode import Probe, Unreadable, check_size, scale16, scale_float
from fairdraw.data.npz import Arrays, Member
from fairdraw.data.options import few
from fairdraw.data.source import PARTS, Item, Part, Pictures, Source
from fairdraw.errors import InputError, nearest

IMAGE_NAMES = ("images", "x", "data", "arr_0")
LABEL_NAMES = ("labels", "label", "y", "targets", "classes", "group")
CLASS_NAMES = ("class_names", "classes", "label_names")
CAPTION_NAMES = ("caption", "captions")
ITEM_NAMES = ("names", "name", "filenames", "hexcode")

Span = Literal["byte", "bool", "wide", "unit", "signed"]


@dataclass(frozen=True)
class Stack:
    """Pictures of one size in one array, `[N, H, W]`, `[N, H, W, C]` or (with `first`) `[N, C, H, W]`."""

    array: NDArray[Any]
    part: Part | None = None
    first: bool = False
    labels: Sequence[str] | None = None
    names: Sequence[str] | None = None
    captions: Sequence[str] | None = None
    parts: Sequence[Part | None] | None = None

    def probe(self) -> Probe:
        """Size and colour of each picture."""
        shape = self.array.shape[1:]
        height, width, channels = (*shape, 1) if len(shape) == 2 else (*shape[1:], shape[0]) if self.first else shape
        return Probe(width, height, channels == 1, {1: "L", 3: "RGB", 4: "RGBA"}[channels])

    def items(self, prefix: str) -> list[Item]:
        """One item per picture; those without a name are called by their number."""
        count = len(self.array)
        names = self.names or [f"{prefix}{i}" for i in range(count)]
        return [
            Item(
                names[i],
                self.labels[i] if self.labels else None,
                self.captions[i] if self.captions else None,
                part=self.parts[i] if self.parts else self.part,
            )
            for i in range(count)
        ]


def stacked(
    stacks: Sequence[Stack],
    label_names: tuple[str, ...] | None,
    digest: str,
    *,
    where: str,
    notes: tuple[str, ...] = (),
    close: Callable[[], None] = lambda: None,
) -> Pictures:
    """All pictures of `stacks`, in order; raises `InputError`, naming `where`, for values that are no pixels."""
    probes = {stack.probe() for stack in stacks}
    if len({(p.width, p.height, p.grey, p.mode) for p in probes}) > 1:
        raise InputError(
            f"{where}: the arrays are of different shapes; store one size, or choose one with FILE.npz:NAME"
        )
    first = next(iter(probes))
    try:
        check_size(first.width, first.height)
    except Unreadable as error:
        raise InputError(f"{where}: {error}; give an array of pictures, [N, H, W] or [N, H, W, C]") from error
    spans = {id(stack): span for stack, span in zip(stacks, _spans(stacks, where), strict=True)}
    prefixes = [f"{stack.part}/" if stack.part else "" for stack in stacks]
    items = [item for stack, prefix in zip(stacks, prefixes, strict=True) for item in stack.items(prefix)]
    ends = np.cumsum([len(stack.array) for stack in stacks])

    def read(index: int) -> NDArray[np.uint8]:
        which = int(np.searchsorted(ends, index, side="right"))
        stack = stacks[which]
        picture = stack.array[index - int(ends[which])]
        return _pixels(picture, spans[id(stack)], stack.first)

    return Pictures(items, read, label_names, notes=notes, digest=digest, uniform=first, close=close)


def _pixels(picture: NDArray[Any], span: Span, first: bool) -> NDArray[np.uint8]:
    picture = picture[..., None] if picture.ndim == 2 else picture.transpose(1, 2, 0) if first else picture
    if span == "byte":
        return np.asarray(picture, np.uint8)
    if span == "bool":
        return np.where(picture, np.uint8(255), np.uint8(0))
    if span == "wide":
        return scale16(np.asarray(picture, np.uint16))
    return scale_float(picture, span)


def _spans(stacks: Sequence[Stack], where: str) -> list[Span]:
    kinds = {stack.array.dtype.kind + str(stack.array.dtype.itemsize) for stack in stacks}
    simple: dict[str, Span] = {"u1": "byte", "b1": "bool", "u2": "wide"}
    if all(kind in simple for kind in kinds):
        return [simple[s.array.dtype.kind + str(s.array.dtype.itemsize)] for s in stacks]
    remedy = "convert the pixels to uint8 from 0 to 255"
    if not all(kind.startswith("f") for kind in kinds):
        found = ", ".join(sorted({str(s.array.dtype) for s in stacks}))
        raise InputError(f"{where}: pixels of type {found} have no known range; {remedy}")
    low, high = 0.0, 0.0
    for stack in stacks:
        for begin in range(0, len(stack.array), 256):  # in pieces: the array may be larger than the memory
            part = stack.array[begin : begin + 256]
            if not np.isfinite(part).all():
                first = begin + int(np.argmin(np.isfinite(part).reshape(len(part), -1).all(axis=1)))
                raise InputError(f"{where}: picture {first} holds NaN or infinity; {remedy}")
            low, high = min(low, float(part.min())), max(high, float(part.max()))
    if low < -1.0 or high > 1.0:
        raise InputError(f"{where}: values from {low:g} to {high:g} fit neither [0, 1] nor [-1, 1]; {remedy}")
    return ["unit" if low >= 0 else "signed"] * len(stacks)


def array_file(path: Path, name: str | None, scratch: Path) -> Source:
    """A source for an `.npy` or `.npz`; `name` selects one array. `scratch` is a folder for temporary files."""
    place = str(path.resolve()) + (f":{name}" if name else "")
    return Source(place, partial(file_stamp, path), partial(_load, path, name, scratch))


def _load(path: Path, name: str | None, scratch: Path) -> Pictures:
    arrays = Arrays(path, scratch)
    try:
        chosen = _chosen(arrays, name)
        notes: list[str] = []
        stacks, label_names = _stacks(arrays, chosen, notes)
        digest = hashlib.sha256(f"{sorted(chosen)}".encode() + file_digest(path)).hexdigest()
        return stacked(stacks, label_names, digest, where=str(path), notes=tuple(notes), close=arrays.close)
    except BaseException:
        arrays.close()
        raise


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def layout(member: Member) -> Literal["grey", "last", "first", "both"] | None:
    """Where the channels of an image-like array are; None if it is none."""
    shape = member.shape
    if member.dtype.kind not in "ubf" or 0 in shape:
        return None
    if len(shape) == 3:
        # [H, W, 3] is one picture, not a stack of strips three pixels wide.
        return None if shape[2] <= 4 < min(shape[:2]) else "grey"
    if len(shape) != 4:
        return None
    last, first = shape[3] in (1, 3, 4), shape[1] in (1, 3, 4)
    return "both" if last and first else "last" if last else "first" if first else None


def _chosen(arrays: Arrays, name: str | None) -> dict[str, Part | None]:
    """The arrays that hold the pictures, and the part of the official split that each stands for."""
    members, path = arrays.members, arrays.path
    if name is not None:
        if name not in members:
            raise InputError(f"no array {name!r} in {path}{nearest(name, members)}; it holds {_listing(members)}")
        if not layout(members[name]):
            raise InputError(
                f"{path}:{name} is no stack of pictures: {members[name]}; it should be [N, H, W, C] and uint8"
            )
        return {name: None}
    if "x_train" in members and layout(members["x_train"]):
        wanted = {f"x_{key}": part for key, part in PARTS.items()}
        return {key: part for key, part in wanted.items() if key in members and layout(members[key])}
    image_like = [key for key, member in members.items() if layout(member)]
    named = [key for key in IMAGE_NAMES if key in image_like]
    if named or len(image_like) == 1:
        return {(named or image_like)[0]: None}
    if not image_like:
        raise InputError(
            f"no stack of pictures in {path}: {_listing(members)}; store them as images=[N, H, W, C] in uint8"
        )
    example = f"{path}:{image_like[0]}"
    raise InputError(
        f"{len(image_like)} arrays in {path} could be the pictures ({_listing(members)}); name one: {example}"
    )


def _listing(members: Mapping[str, Member]) -> str:
    return few((str(member).strip() for member in members.values()), shown=8) or "nothing"


def _stacks(
    arrays: Arrays, chosen: Mapping[str, Part | None], notes: list[str]
) -> tuple[list[Stack], tuple[str, ...] | None]:
    values = {key: _labels(arrays, key, notes) for key in chosen}
    encoded, label_names = _encoded([v for v in values.values() if v is not None], arrays)
    use_labels = label_names is not None and all(value is not None for value in values.values())
    stacks = []
    for key, part in chosen.items():
        member = arrays.members[key]
        where = layout(member)
        if where == "both":
            raise InputError(
                f"{arrays.path}: {member} could be [N, C, H, W] or [N, H, W, C]; pictures so small are ambiguous, "
                "store grey ones as [N, H, W]"
            )
        stack = Stack(arrays.read(key), part, where == "first", encoded.pop(0) if use_labels else None)
        stacks.append(_with_texts(arrays, stack))
    return stacks, label_names if use_labels else None


def _with_texts(arrays: Arrays, stack: Stack) -> Stack:
    """Names, captions and the official split, where arrays of strings of the right length give them."""
    found: dict[str, list[str]] = {}
    for kind, keys in (("names", ITEM_NAMES), ("captions", CAPTION_NAMES), ("split", ("split",))):
        for key in keys:
            member = arrays.members.get(key)
            if kind not in found and member and member.dtype.kind == "U" and member.shape == (len(stack.array),):
                found[kind] = arrays.read(key).tolist()
    parts = [PARTS.get(name.lower()) for name in found.pop("split", [])]
    names = found.get("names")
    if names is not None and len(set(names)) < len(names):  # names that do not tell pictures apart are none
        names = None
    known = parts if parts and None not in parts else None
    return replace(stack, names=names, captions=found.get("captions"), parts=known)


def _labels(arrays: Arrays, key: str, notes: list[str]) -> NDArray[Any] | None:
    """The labels that belong to one array of pictures: by name, of the right length, integers or strings."""
    count = arrays.members[key].shape[0]
    paired = [key.replace("x_", f"{y}_", 1) for y in ("y", "labels", "label")] if key.startswith("x_") else []
    for name in (*paired, *LABEL_NAMES):
        member = arrays.members.get(name)
        if member is None or name == key or math.prod(member.shape) != count:
            continue
        if member.shape[:1] == (count,) and member.dtype.kind in "iuUb":
            return arrays.read(name).reshape(count)
        notes.append(f"the array {name} {list(member.shape)} {member.dtype} is not used: labels are integers or text")
    return None


def _encoded(values: Sequence[NDArray[Any]], arrays: Arrays) -> tuple[list[list[str]], tuple[str, ...] | None]:
    """Labels as text, and their names in order: of the numbers, or of the classes' own list."""
    if not values:
        return [], None
    present = np.unique(np.concatenate([value.astype(str) if value.dtype.kind == "U" else value for value in values]))
    if present.dtype.kind == "U":
        return [value.astype(str).tolist() for value in values], tuple(present.tolist())
    names = next((_texts(arrays, key, int(present.max())) for key in CLASS_NAMES if key in arrays.members), None)
    if names is None or int(present.min()) < 0 or len(set(names)) < len(names):
        names, numbers = [str(number) for number in present.tolist()], present.tolist()
        table: Mapping[int, str] = dict(zip(numbers, names, strict=True))
    else:
        table = dict(enumerate(names))
    return [[table[number] for number in value.tolist()] for value in values], tuple(names)


def _texts(arrays: Arrays, key: str, largest: int) -> list[str] | None:
    member = arrays.members[key]
    usable: Iterable[bool] = (member.dtype.kind == "U", len(member.shape) == 1, member.shape[:1] > (largest,))
    return arrays.read(key).tolist() if all(usable) else None
