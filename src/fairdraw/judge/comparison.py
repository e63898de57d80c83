"""Models side by side: what differs by more than images or training seeds alone would make it differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtrit

from fairdraw.judge.score import KINDS, Better, Score
from fairdraw.metrics.number import NORMAL_95

Over = Literal[
    "training seeds, in pairs", "training seeds", "training seeds of one of them", "images, in pairs", "images"
]


@dataclass(frozen=True)
class Judged:
    """A trained model with its numbers.

    Args:
        name: the run.
        facts: what its model file says.
        scores: the numbers of its draws.
    """

    name: str
    facts: Mapping[str, Any]
    scores: tuple[Score, ...]

    @property
    def seed(self) -> int | None:
        """Of the training."""
        found: int | None = self.facts.get("training", {}).get("seed")
        return found

    @property
    def experiment(self) -> str:
        """All that was chosen but the seed, as a key."""
        training = {key: value for key, value in self.facts.get("training", {}).items() if key != "seed"}
        return json.dumps([self.facts["model"], self.facts["config"], training], sort_keys=True)

    def value(self, name: str) -> Score | None:
        """The number called `name`."""
        return next((score for score in self.scores if score.name == name), None)


@dataclass(frozen=True)
class Difference:
    """One number of two groups of runs.

    Args:
        name: of the number.
        better: which way is better.
        first: its mean over the runs of the first group.
        other: and of the other.
        spreads: its standard deviations over training seeds, where there are two or more in a group.
        interval: of other minus first, 95 %.
        over: what the interval is over. One over images alone says nothing about other trainings.
    """

    name: str
    better: Better
    first: float
    other: float
    spreads: tuple[float | None, float | None]
    interval: tuple[float, float] | None
    over: Over

    @property
    def tells(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def groups(runs: Sequence[Judged]) -> list[list[Judged]]:
    """Runs that differ in nothing but the training seed, together; in the order in which they are given."""
    found: dict[str, list[Judged]] = {}
    for run in runs:
        found.setdefault(run.experiment, []).append(run)
    return list(found.values())


def differences(first: Sequence[Judged], other: Sequence[Judged]) -> list[Difference]:
    """Each number that all runs of two groups have."""
    names = [score.name for score in first[0].scores]
    return [
        _difference(name, first, other)
        for name in names
        if all(run.value(name) is not None for run in (*first, *other))
    ]


def unequal(first: Sequence[Judged], other: Sequence[Judged]) -> list[str]:
    """What the trainings of two groups differ in beside the model, in words; a difference may be due to it."""
    found = []
    seen = [sorted({run.facts.get("images", 0) for run in group}) for group in (first, other)]
    if seen[0] != seen[1]:
        found.append(f"budgets differ: {_counts(seen[0])} against {_counts(seen[1])} images seen")
    seeds = [[run.seed for run in group] for group in (first, other)]
    if sorted(map(str, seeds[0])) != sorted(map(str, seeds[1])):
        found.append(f"training seeds are not paired: {_seeds(seeds[0])} against {_seeds(seeds[1])}")
    return found


def _difference(name: str, first: Sequence[Judged], other: Sequence[Judged]) -> Difference:
    ours, theirs = (np.array([_score(run, name).value for run in group]) for group in (first, other))
    spreads = tuple(float(values.std(ddof=1)) if len(values) > 1 else None for values in (ours, theirs))
    interval, over = _interval(name, first, other)
    score = _score(first[0], name)
    if interval and KINDS[score.kind].share:
        interval = max(-1.0, interval[0]), min(1.0, interval[1])
    return Difference(
        name, score.better, float(ours.mean()), float(theirs.mean()), (spreads[0], spreads[1]), interval, over
    )


def _interval(name: str, first: Sequence[Judged], other: Sequence[Judged]) -> tuple[tuple[float, float] | None, Over]:
    ours, theirs = ({run.seed: _score(run, name).value for run in group} for group in (first, other))
    if len(ours) == len(first) > 1 and ours.keys() == theirs.keys():
        paired = np.array([theirs[seed] - ours[seed] for seed in ours])
        return _around(paired.mean(), paired.var(ddof=1) / len(paired), len(paired) - 1), "training seeds, in pairs"
    a, b = (np.array([_score(run, name).value for run in group]) for group in (first, other))
    if len(a) > 1 and len(b) > 1:
        variances = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
        total = sum(variances)
        free = total**2 / (variances[0] ** 2 / (len(a) - 1) + variances[1] ** 2 / (len(b) - 1)) if total else 1.0
        return _around(b.mean() - a.mean(), total, free), "training seeds"  # Welch
    if len(a) > 1 or len(b) > 1:  # as if the other's seeds were spread as these are
        many = a if len(a) > 1 else b
        variance = many.var(ddof=1) * (1 + 1 / len(many))
        return _around(b.mean() - a.mean(), variance, len(many) - 1), "training seeds of one of them"
    pair = _score(first[0], name), _score(other[0], name)
    if any(score.interval is None for score in pair):
        return None, "images"
    if pair[0].each is not None and pair[1].each is not None:  # of the same inputs, in the same order
        return _of_pairs(pair[0].each, pair[1].each), "images, in pairs"
    # As if both were independent: they share the real images, which makes the interval too wide rather than too narrow.
    errors = [(s.interval[1] - s.interval[0]) / (2 * NORMAL_95) for s in pair if s.interval]
    return _around(pair[1].value - pair[0].value, float(np.square(errors).sum()), np.inf), "images"


def _of_pairs(first: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Around the mean of other minus first: of numbers Student's, of shares that of Agresti & Min 2005.

    These add one half to each of the four kinds of pairs, so that there is a width where all pairs agree.
    """
    paired = other.astype(float) - first
    if first.dtype != np.bool_:
        return _around(paired.mean(), paired.var(ddof=1) / len(paired), len(paired) - 1)
    count = len(paired) + 2
    mean = float(paired.sum() / count)  # the two halves that disagree cancel out, but for their squares
    return _around(mean, (float(np.square(paired).sum() + 1) / count - mean**2) / count, np.inf)


def _around(value: float, variance: float, free: float) -> tuple[float, float]:
    half = float(stdtrit(free, 0.975)) * variance**0.5
    return float(value - half), float(value + half)


def _score(run: Judged, name: str) -> Score:
    found = run.value(name)
    assert found is not None
    return found


def _counts(values: Sequence[int]) -> str:
    return " and ".join(f"{value:,}" for value in values)


def _seeds(values: Sequence[int | None]) -> str:
    return ", ".join(map(str, values))
