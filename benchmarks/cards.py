"""One card for several trainings of a model: the card that `evaluate` wrote of the first, and the spread over seeds.

    fairdraw evaluate runs/vae-0 --out cards/vae-0    # and so on
    python benchmarks/cards.py cards/vae-0 cards/vae-1 cards/vae-2 --out docs/cards/vae.md

The trainings have to differ in the seed alone, and to be judged alike. What a person has written into the file under
`What the numbers show, and what not` stays.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.stats import t

from fairdraw.errors import InputError
from fairdraw.files import write_atomically
from fairdraw.judge.score import Score, shown

ALIKE = ("model", "config", "images_seen", "data_fingerprint", "against", "count", "seed", "features")
WORDS, LIMITS = "## What the numbers show, and what not\n", "## Limits\n"


def read(folder: Path) -> tuple[dict[str, Any], dict[str, list[Score]]]:
    """What an evaluation depends on, and its scores by their subject."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    scores: dict[str, list[Score]] = {}
    for line in lines:
        if line["event"] == "score":
            scores.setdefault(line["of"], []).append(Score.from_facts(line))
    return lines[0], scores


def spread_over(found: list[tuple[dict[str, Any], dict[str, list[Score]]]]) -> str:
    """A table of each number: its mean over the trainings with a t interval, its deviation, and each value."""
    seeds = [about["training_seed"] for about, _ in found]
    beside = list(found[0][1])[1:3]
    head = ["number", "mean", "95 % over seeds", "sd", *(f"seed {seed}" for seed in seeds), *beside]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    factor = float(t.ppf(0.975, len(found) - 1)) / len(found) ** 0.5
    for place, first in enumerate(found[0][1]["judged"]):
        values = np.array([scores["judged"][place].value for _, scores in found])
        mean, deviation = float(values.mean()), float(values.std(ddof=1))
        interval = f"[{shown(mean - factor * deviation)}, {shown(mean + factor * deviation)}]" if deviation else ""
        others = [next(s.shown for s in found[0][1][name] if s.name == first.name) for name in beside]
        cells = [first.name, shown(mean), interval, shown(deviation), *map(shown, values), *others]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def words_of(out: Path) -> str:
    """What somebody has written into a card that is there already."""
    text = out.read_text() if out.exists() else ""
    return text.partition(WORDS)[2].partition("\n## ")[0].strip() or "To be written."


def main(evaluations: tyro.conf.Positional[tuple[Path, ...]], out: Path) -> None:
    """Write the card of two or more trainings to a file."""
    found = [read(folder) for folder in evaluations]
    for about, _ in found[1:]:
        other = [key for key in ALIKE if about[key] != found[0][0][key]]
        if other:
            raise InputError(f"{about['of']} differs from {found[0][0]['of']} in {', '.join(other)}")
    if len(found) < 2 or len({about["training_seed"] for about, _ in found}) < len(found):
        raise InputError("give two or more trainings, each of another seed")
    before, limits, after = (evaluations[0] / "card.md").read_text().partition(LIMITS)
    table = (
        f"## Over training seeds\n\n{len(found)} trainings, with the same seed of draws.\n\n{spread_over(found)}\n\n"
    )
    write_atomically(out, f"{before}{table}{WORDS}\n{words_of(out)}\n\n{limits}{after}".encode())


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
