"""The report of an evaluation: a page that needs nothing but itself, a model card, a line of JSON for each number."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jinja2
import numpy as np
from PIL import Image

from fairdraw.files import write_atomically
from fairdraw.images import make_folder, save_png
from fairdraw.judge.brittleness import Accuracies, accuracy_of
from fairdraw.judge.evaluation import Copies, Evaluation
from fairdraw.judge.score import KINDS, Score, shown
from fairdraw.metrics.number import Number
from fairdraw.pictures import group_sheet, pair_sheet

TEMPLATES = Path(__file__).with_name("templates")
FILES = ("report.html", "card.md", "metrics.jsonl")
PICTURES = ("samples", "nearest-to-training")
BINS = 40
FARTHEST = 3.0
"""Upper end of the histogram of closeness."""


class Row(NamedTuple):
    """A line of the table: one number of the model, and of each reference.

    Args:
        score: of what is judged.
        beside: the same number of each reference.
        tells: what it is.
        made_by: of a number that a classifier makes, how often that is right.
    """

    score: Score
    beside: tuple[Score | None, ...]
    tells: str
    made_by: str


def write(folder: Path, found: Evaluation, made: str) -> dict[str, Path]:
    """Write `report.html`, `card.md`, `metrics.jsonl` and the two pictures; `made` is the time stamp.

    Raises:
        InputError: where it cannot be written.
    """
    make_folder(folder)
    sheets = _sheets(found)
    facts = {"of": found.subject, **{key: found.about[key] for key in ("seed", "count")}}
    for name, sheet in sheets.items():
        save_png(folder / f"{name}.png", sheet, {**facts, "shows": name}, machine_made=True)
    lines = "".join(json.dumps(line, allow_nan=False) + "\n" for line in metric_lines(found))
    write_atomically(folder / "metrics.jsonl", lines.encode())
    shown = _context(found, made)
    write_atomically(folder / "card.md", _rendered("card.md.j2", shown).encode())
    pictures = {name: _data_uri(sheet) for name, sheet in sheets.items()}
    write_atomically(folder / "report.html", _rendered("report.html.j2", shown | {"pictures": pictures}).encode())
    return {name: folder / name for name in FILES}


def metric_lines(found: Evaluation) -> list[dict[str, Any]]:
    """What `metrics.jsonl` holds: first what the numbers depend on, then each number of each subject."""
    lines: list[dict[str, Any]] = [{"event": "evaluation", "of": found.subject, **found.about}]
    lines += [{"event": "remark", "says": remark} for remark in found.remarks]
    for subject, scores in {"judged": found.scores, **found.references}.items():
        lines += [{"event": "score", "of": subject, **score.facts(), **_made_by(found, score)} for score in scores]
    for number in (*found.numbers, *filter(None, found.accuracies.values())):
        lines.append({"event": "number", "of": "judged", **number.facts()})
    for name, shares in found.shares.items():
        lines.append({"event": "shares of classes", "of": "judged", "by": name, "shares": shares.tolist()})
    for probe in found.probes:
        lines.append({"event": "probe", "title": probe.title, "says": probe.says})
        for row in probe.rows:
            named = zip(probe.columns, row, strict=True)
            lines += [{"event": "number", "of": name, "probe": probe.title, **number.facts()} for name, number in named]
    return lines


def rows(
    scores: Sequence[Score], references: Mapping[str, Sequence[Score]], known: Accuracies = MappingProxyType({})
) -> list[Row]:
    """The table of `scores`, each beside the same number of the references, and how often the classifier is right."""
    by_name = [{score.name: score for score in others} for others in references.values()]
    return [
        Row(s, tuple(others.get(s.name) for others in by_name), KINDS[s.kind].tells, _right(s.name, known))
        for s in scores
    ]


def _tells(scores: Sequence[Score]) -> list[tuple[str, str]]:
    """The names of the numbers of each kind, and what these tell."""
    names: dict[str, list[str]] = {}
    for score in scores:
        names.setdefault(KINDS[score.kind].tells, []).append(score.name)
    return [(", ".join(of), tells) for tells, of in names.items()]


def cell(number: Number) -> str:
    """A number with its interval."""
    low_high = "" if number.interval is None else f" [{shown(number.interval[0])}, {shown(number.interval[1])}]"
    return f"{shown(number.value)}{low_high}"


def _right(name: str, known: Accuracies) -> str:
    classifies, accuracy = accuracy_of(name, known)
    if accuracy is None:
        return "not known" if classifies else ""
    return cell(accuracy)


def _made_by(found: Evaluation, score: Score) -> dict[str, Any]:
    classifies, accuracy = accuracy_of(score.name, found.accuracies)
    facts = None if accuracy is None else {key: accuracy.facts()[key] for key in ("value", "interval", "count", "on")}
    return {"classifier_accuracy": facts} if classifies else {}


def _context(found: Evaluation, made: str) -> dict[str, Any]:
    shares = {name: [round(100 * float(share), 2) for share in of] for name, of in found.shares.items()}
    return {
        "found": found,
        "about": found.about,
        "config": json.dumps(found.about.get("config", {}), indent=1, sort_keys=True),
        "rows": rows(found.scores, found.references, found.accuracies),
        "tells": _tells(found.scores),
        "cell": cell,
        "asked": next((number.count for number in found.accuracies.values() if number), None),
        "references": {name: scores[0].count for name, scores in found.references.items()},
        "notes": list(dict.fromkeys(f"{s.name}: {s.flag}" for s in found.scores if s.flag)),
        "numbers": [str(number) for number in found.numbers],
        "histogram": _histogram(found.copies) if found.copies else [],
        "shares": shares,
        "closest": _closest(found.copies) if found.copies else [],
        "made": made,
    }


def _sheets(found: Evaluation) -> dict[str, Image.Image]:
    shown = [group_sheet(*found.samples), *([pair_sheet(*found.copies.worst)] if found.copies else [])]
    return dict(zip(PICTURES, shown, strict=False))


def _closest(copies: Copies) -> list[str]:
    return [f"{value:.3g}" for value in np.sort(copies.closeness)[: len(copies.worst[0])]]


def _histogram(copies: Copies) -> list[tuple[float, float, float]]:
    """Lower end, share of the images, and share of held-out images in each bin; the last holds all that is beyond."""
    edges = np.linspace(0, FARTHEST, BINS + 1)
    both = [
        np.histogram(values.clip(0, FARTHEST), edges)[0] / len(values) for values in (copies.closeness, copies.nulls)
    ]
    return [(float(low), float(a), float(b)) for low, a, b in zip(edges, *both, strict=False)]


def _rendered(name: str, shown: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=name.startswith("report"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(shown)


def _data_uri(sheet: Image.Image) -> str:
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
