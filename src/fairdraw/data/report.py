"""A full look at a source, before anything is learnt from it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from fairdraw.data.build import label_numbers
from fairdraw.data.decode import Probe, Unreadable, canonical, check_size, decode, digest, probe, quiet
from fairdraw.data.options import Options, Rejected, few, plural, printable
from fairdraw.data.resolve import resolve
from fairdraw.data.scan import NOT_GREY, Progress, channels_of, sizes_differ
from fairdraw.data.source import Item, Pictures
from fairdraw.data.split import LEFT_OUT, NAMES, assign, without
from fairdraw.data.work import in_order, ranges
from fairdraw.errors import InputError


@dataclass(frozen=True)
class Report:
    """What `check` found. Counts are of readable pictures, names are as in `Dataset.names`."""

    source: str
    count: int
    sizes: Mapping[str, int]
    """`WIDTHxHEIGHT` in pixels."""
    modes: Mapping[str, int]
    """How the pixels are stored, in Pillow's words: `L` grey, `RGB`, `RGBA`, `P` palette, `I;16`, `CMYK`, ..."""
    formats: Mapping[str, int]
    labels: Mapping[str, int]
    splits: Mapping[str, int]
    rejected: tuple[Rejected, ...]
    ignored: Mapping[str, int]
    """Files that are not pictures, by suffix."""
    duplicates: tuple[tuple[str, ...], ...]
    """Groups of pictures with exactly the same pixels."""
    leaks: tuple[tuple[str, ...], ...]
    """Those of them that lie in more than one part: possible only in an official split."""
    problems: tuple[str, ...]
    """What keeps `open` from opening this with the same options, each with its remedy."""
    notes: tuple[str, ...]
    """What is worth knowing, and stops nothing."""

    @property
    def ok(self) -> bool:
        """Whether `open` would succeed with the same options."""
        return not self.problems

    def to_json(self) -> str:
        """Everything, as one JSON object."""
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=2)

    def __str__(self) -> str:
        parts = ", ".join(f"{count:,} {name}" for name, count in self.splits.items())
        lines = [f"{self.source}: {plural(self.count, 'picture')} ({parts})"]
        for title, counts in (("sizes", self.sizes), ("modes", self.modes), ("formats", self.formats)):
            lines.append(f"{title}: {_counted(counts)}")
        lines.append(f"labels: {_counted(self.labels) if self.labels else 'none'}")
        if self.ignored:
            lines.append(f"ignored: {_counted(self.ignored)} (not pictures that can be opened)")
        lines += [f"cannot be read: {printable(bad.name)}: {bad.reason}" for bad in self.rejected]
        lines.append(f"exact duplicates: {plural(len(self.duplicates), 'group')}{_groups(self.duplicates)}")
        lines.append(f"leaks between splits: {len(self.leaks)}{_groups(self.leaks)}")
        lines += [f"note: {note}" for note in self.notes] + [f"problem: {problem}" for problem in self.problems]
        return "\n".join(lines)


def _counted(counts: Mapping[str, int]) -> str:
    return few((f"{name} ({count:,})" for name, count in counts.items()), shown=12) or "none"


def _groups(groups: Sequence[Sequence[str]]) -> str:
    return f": {few((' = '.join(group[:4]) for group in groups), shown=5)}" if groups else ""


@dataclass
class _Seen:
    items: list[Item] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def check(source: str | Path, options: Options | None = None, *, progress: Progress | None = None) -> Report:
    """Read every picture of a source to its last pixel and say what is there; nothing is written.

    Unreadable pictures and mixed sizes are reported, not raised. Raises `InputError` where there is nothing to look at.
    """
    options = options or Options()
    pictures = resolve(source, options).load()
    try:
        seen = _look(pictures, progress)
    finally:
        pictures.close()
    return _report(str(source), pictures, seen, options)


def _look(pictures: Pictures, progress: Progress | None) -> _Seen:
    seen = _Seen(rejected=list(pictures.rejected))
    count = len(pictures.items)

    def work(stretch: range) -> list[tuple[Item, Probe, bytes] | Rejected]:
        return [_one(pictures, index) for index in stretch]

    with quiet():
        for stretch, results in zip(ranges(count, 64), in_order(work, ranges(count, 64)), strict=True):
            for result in results:
                if isinstance(result, Rejected):
                    seen.rejected.append(result)
                else:
                    item, found, sha = result
                    seen.items.append(item)
                    seen.probes.append(found)
                    seen.digests.append(sha)
            if progress:
                progress(stretch.stop, count)
    return seen


def _one(pictures: Pictures, index: int) -> tuple[Item, Probe, bytes] | Rejected:
    item = pictures.items[index]
    try:
        data = pictures.read(index)
        if isinstance(data, bytes):
            found, pixels = pictures.uniform or probe(data), decode(data)
        else:
            height, width, channels = data.shape
            check_size(width, height)
            found, pixels = pictures.uniform or Probe(width, height, channels < 3), canonical(data)
        return item, found, digest(pixels)
    except Unreadable as error:
        return Rejected(item.name, str(error))


def _report(source: str, pictures: Pictures, seen: _Seen, options: Options) -> Report:
    digests = np.frombuffer(b"".join(seen.digests), np.uint8).reshape(-1, 32)
    parts = assign(seen.items, digests)
    same: dict[bytes, list[int]] = defaultdict(list)
    for place, sha in enumerate(seen.digests):
        same[sha].append(place)
    groups = [group for group in same.values() if len(group) > 1]
    leaks = [group for group in groups if len({int(parts[place]) for place in group}) > 1]
    label_names, labels = label_numbers(seen.items, pictures.label_names)
    tally = np.bincount(labels, minlength=len(label_names)).tolist() if labels is not None else []
    problems = _problems(seen, options)
    try:
        parts = without(parts, labels, label_names, options.leave_out, source)
    except InputError as error:
        problems.append(str(error))
    *splits, left_out = np.bincount(parts, minlength=LEFT_OUT + 1).tolist()
    return Report(
        source,
        len(seen.items),
        _most_common(f"{found.width}x{found.height}" for found in seen.probes),
        _most_common(found.mode for found in seen.probes),
        _most_common(found.format for found in seen.probes),
        dict(zip(label_names, tally, strict=True)) if tally else {},
        dict(zip(NAMES, splits, strict=True)) | ({"left out": left_out} if left_out else {}),
        tuple(sorted(seen.rejected)),
        dict(Counter(pictures.ignored).most_common()),
        tuple(_named(seen.items, groups)),
        tuple(_named(seen.items, leaks)),
        tuple(problems),
        tuple(_notes(pictures, seen, splits)),
    )


def _most_common(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _named(items: Sequence[Item], groups: Sequence[Sequence[int]]) -> list[tuple[str, ...]]:
    return [tuple(items[place].name for place in group) for group in groups]


def _problems(seen: _Seen, options: Options) -> list[str]:
    found = []
    if seen.rejected and options.bad_images == "error":
        verb = "cannot be read: remove or mend what is named above, or leave it out with --bad-images skip"
        found.append(f"{plural(len(seen.rejected), 'picture')} {verb}")
    if not seen.items:
        found.append("no picture can be read: give a folder with PNG, JPEG, WEBP, BMP, GIF or TIFF files")
    sizes = Counter((probed.width, probed.height) for probed in seen.probes)
    if options.size is None and len(sizes) > 1:
        found.append(sizes_differ(sizes))
    if options.binarise and seen.probes and channels_of(seen.probes, options) != 1:
        found.append(NOT_GREY)
    return found


def _notes(pictures: Pictures, seen: _Seen, splits: Sequence[int]) -> list[str]:
    notes = list(pictures.notes)
    animated = [i.name for i, found in zip(seen.items, seen.probes, strict=True) if found.frames > 1]
    if animated:
        notes.append(f"only the first frame or page is used of {plural(len(animated), 'file')}: {few(animated)}")
    tiny = [i.name for i, found in zip(seen.items, seen.probes, strict=True) if min(found.width, found.height) < 2]
    if tiny:
        notes.append(f"{plural(len(tiny), 'picture')} only one pixel wide or high: {few(tiny)}")
    empty = [name for name, count in zip(NAMES, splits, strict=True) if not count]
    if empty and seen.items:
        notes.append(f"no picture falls into {' or '.join(empty)}: too few pictures for every part to have some")
    return notes
