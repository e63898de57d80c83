"""Trained models side by side, by the same real images and the same seed of draws."""

import string
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from fairdraw.command import Result
from fairdraw.data.options import plural
from fairdraw.errors import InputError
from fairdraw.verbs.common import Device, check_capabilities
from fairdraw.verbs.evaluate import HELD_OUT, Against, check_count, of_upscaler, width_of
from fairdraw.verbs.several import opened_there, together

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairdraw.data import Dataset
    from fairdraw.judge.comparison import Difference, Judged
    from fairdraw.judge.score import Score
    from fairdraw.parallel import Processes
    from fairdraw.trained import Trained

ENLARGED = "images made large"


def compare(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    against: tyro.conf.OmitArgPrefixes[Against] = HELD_OUT,
    count: int | None = None,
    seed: int = 0,
    device: Device = "auto",
    devices: int | None = None,
) -> Result:
    """Compare models that were trained on the same data; runs that differ in the training seed alone are one group.

    Each group stands beside the first. Where groups have two or more training seeds the interval of the difference is
    over these, else it is over images, which says nothing about other trainings.

    Args:
        runs: run folders or model.safetensors files, two or more.
        against: what they are compared with.
        count: draws of each, and real images to compare with, at most (default: as `fairdraw evaluate`).
        seed: of the draws of all of them.
        device: where to compute.
        devices: processes that share the work, one for each device (default: 1, or what torchrun or SLURM started).
    """
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise InputError("give two or more runs, each once")
    check_count(count)
    against.check()
    with together(device, devices) as (processes, tick):
        from fairdraw.judge.comparison import differences, groups, unequal

        judged, said = _judged(runs, against, count, seed, processes, tick)
    found = groups(judged)
    lines = [*said, *(f"{_letter(number)}: {_named(group)}" for number, group in enumerate(found))]
    facts: dict[str, Any] = {"seed": seed, "count": judged[0].scores[0].count, "remarks": list(said)}
    facts |= {"groups": [[run.name for run in group] for group in found], "comparisons": []}
    for number, other in enumerate(found[1:], 1):
        rows, notes = differences(found[0], other), unequal(found[0], other)
        facts["comparisons"].append({"other": number, "notes": notes, "rows": [asdict(row) for row in rows]})
        lines += ["", *_table(rows, _letter(number)), *notes]
    flags = dict.fromkeys(f"* {score.name}: {score.flag}" for run in judged for score in run.scores if score.flag)
    return Result(facts, [*lines, *flags])


def _judged(
    runs: tuple[Path, ...],
    against: Against,
    count: int | None,
    seed: int,
    processes: "Processes",
    tick: "Callable[[str], None]",
) -> "tuple[list[Judged], tuple[str, ...]]":
    """The runs with their numbers, and what has to be said of these: of how many images, against which."""
    from fairdraw.judge.comparison import Judged, groups

    trained = [opened_there(run, processes.device) for run in runs]
    kind = _made_by(trained)
    _check_data(trained)
    alike = groups([Judged(str(run.path), run.facts, ()) for run in trained])
    for group in alike:
        twice = [run for run in group if sum(other.seed == run.seed for other in group) > 1]
        if twice:  # one training, counted twice, would pass for a spread of nothing over seeds
            names = " and ".join(run.name for run in twice)
            raise InputError(f"{names} are one training with seed {twice[0].seed}: give one of them")
    if len(alike) == 1:
        raise InputError("all runs differ in the training seed alone: give those of another model or other options too")
    train = trained[0].training_data()
    how = _of_upscalers if kind == ENLARGED else _scores
    found, against_words, remarks = how(trained, train, against, count, seed, processes, tick)
    judged = [Judged(str(run.path), run.facts, numbers) for run, numbers in zip(trained, found, strict=True)]
    what = f"{judged[0].scores[0].count:,} {kind} of each, seed {seed}"
    return judged, (f"{what}, compared with {against_words}", *remarks)


def _made_by(trained: "list[Trained]") -> str:
    """What all the models make, in words."""
    from fairdraw.capabilities import Translates, Upscales

    upscalers = {run.path: run.model.factor for run in trained if isinstance(run.model, Upscales)}
    if not upscalers:
        return "translations" if isinstance(trained[0].model, Translates) else "draws"
    for run in trained:
        if run.path not in upscalers:
            first = next(iter(upscalers))
            raise InputError(f"{first} upscales, and {run.path} does not: compare those that do the same")
    if len(set(upscalers.values())) > 1:
        factors = ", ".join(f"{path} x{factor}" for path, factor in upscalers.items())
        raise InputError(f"{factors}: numbers of one factor say nothing beside those of another")
    return ENLARGED


def _of_upscalers(
    trained: "list[Trained]",
    train: "Dataset",
    against: Against,
    count: int | None,
    seed: int,
    processes: "Processes",
    tick: "Callable[[str], None]",
) -> "tuple[list[tuple[Score, ...]], str, tuple[str, ...]]":
    """As `_scores`, of models that upscale."""
    found = [of_upscaler(run, against, count, seed, processes, tick) for run in trained]
    return [of.scores for of in found], found[0].about["against"], found[0].remarks


def _scores(
    trained: "list[Trained]",
    train: "Dataset",
    against: Against,
    count: int | None,
    seed: int,
    processes: "Processes",
    tick: "Callable[[str], None]",
) -> "tuple[list[tuple[Score, ...]], str, tuple[str, ...]]":
    """The numbers of each run by one judge, what they were compared with, and what has to be known of that."""
    from fairdraw.capabilities import Generates, Translates
    from fairdraw.judge.evaluation import draws, judge_for
    from fairdraw.judge.translation import TranslationJudge

    features = against.named(train, processes.device)
    count, said = against.count(count, features, train)
    real, protocol = against.real(trained[0], train, count, seed)
    translators = [run.model for run in trained if isinstance(run.model, Translates)]
    if len(translators) == len(trained):
        directions = tuple(dict.fromkeys(name for model in translators for name in model.directions))
        translations = TranslationJudge(train, real, features, protocol, directions)
        found = processes.share([partial(translations.judge, run, tick) for run in trained])
        return [scores for scores, _ in found], translations.against, (*translations.remarks, *said)
    for run in trained:
        check_capabilities(run, Generates, verb="compare")
    judge, remarks = judge_for(train, real, features, protocol, processes.share)
    judge.prepare(tick)

    def scores(run: "Trained") -> "tuple[Score, ...]":
        tick(f"{run.path}")
        assert isinstance(run.model, Generates)
        return judge.judge(*draws(run.model, train, protocol)).scores

    return processes.share([partial(scores, run) for run in trained]), judge.against, (*remarks, *said)


def _letter(group: int) -> str:
    return string.ascii_uppercase[group % 26]


def _check_data(trained: "list[Trained]") -> None:
    first = trained[0]
    for run in trained[1:]:
        if not _same_data(run, first):
            raise InputError(
                f"{run.path} and {first.path} were trained on different data, or the same prepared differently: "
                "numbers of the one say nothing beside those of the other"
            )


def _same_data(run: "Trained", other: "Trained") -> bool:
    """Whether both were trained on the same pixels: a size may have been asked for that the pictures have anyhow."""
    if run.facts.get("data", {}).get("fingerprint") == other.facts.get("data", {}).get("fingerprint"):
        return True
    from fairdraw.judge.protocol import same_images

    one, two = run.training_data(), other.training_data()
    inputs = [None if data.inputs is None else data.inputs.digests(data, "train") for data in (one, two)]
    labels = one.label_names == two.label_names and _equal(one.labels, two.labels)
    return one.shape == two.shape and same_images(one, two) and labels and _equal(*inputs)


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether both are the same, or there is neither."""
    return one is other if one is None or other is None else np.array_equal(one, other)


def _named(group: "list[Judged]") -> str:
    names = ", ".join(run.name for run in group)
    seeds = f", training seeds {', '.join(str(run.seed) for run in group)}"
    return f"{group[0].facts['model']} ({names}){seeds}, {group[0].facts.get('images', 0):,} images seen"


def _table(rows: "list[Difference]", letter: str) -> list[str]:
    from fairdraw.judge.score import shown

    def spread(mean: float, deviation: float | None) -> str:
        return shown(mean) if deviation is None else f"{shown(mean)} +- {shown(deviation)}"

    if not rows:
        return [f"A and {letter} have no number in common"]
    width = width_of(row.name for row in rows)
    lines = [f"{'':{width}}{'A':>20}{letter:>20}   {letter + ' - A, 95 %':26}{'differs':10}better"]
    for row in rows:
        interval = "" if row.interval is None else f"[{shown(row.interval[0])}, {shown(row.interval[1])}]"
        means = f"{spread(row.first, row.spreads[0]):>20}{spread(row.other, row.spreads[1]):>20}"
        lines.append(f"{row.name:{width}}{means}   {interval:26}{'yes' if row.tells else 'not told':10}{row.better}")
    of: dict[str, list[str]] = {}
    for row in rows:
        of.setdefault(row.over, []).append(row.name)
    over = "; ".join(kind if len(of) == 1 else f"{kind} ({', '.join(names)})" for kind, names in of.items())
    lines.append(f"intervals over {over}; +- is the standard deviation over training seeds")
    return [*lines, f"of {plural(len(rows), 'number')} about one in twenty differs by chance"]
