"""Judging a trained model, or pictures of anybody's model: numbers that say what they are worth."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from fairdraw.command import Result
from fairdraw.data.options import plural
from fairdraw.errors import InputError
from fairdraw.verbs.common import (
    Device,
    Part,
    check_capabilities,
    check_folder_can_be_made,
    check_folder_is_ours,
    word_for_a_file,
)
from fairdraw.verbs.several import opened_there, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch

    from fairdraw.data import Dataset
    from fairdraw.judge.evaluation import Evaluation
    from fairdraw.judge.protocol import Protocol
    from fairdraw.metrics.features import Features
    from fairdraw.parallel import Processes
    from fairdraw.trained import Trained

COUNT, COUNT_OF_SLOW = 10_000, 1_000
BESIDE = 3
"""Columns of references that a terminal has room for."""


@dataclass(frozen=True)
class Against:
    """What the images are compared with.

    Args:
        data: real images (default: what the model was trained on).
        inputs: what a model that translates has to turn into these, where they are not what it was trained on; for
            one that upscales, small pictures of the same names (default: made of them).
        part: part of the data (default: test for the data that the model was trained on, and with --generated, else
            all).
        features: pixels-pca64, digits, efficientnet-lite0, inception (default: what suits the data).
        weights: a file with the weights of inception, if it is not to be downloaded.
        on_training_images: compare with images that were trained on, knowing that a copyist is best on them.
    """

    data: str | None = None
    inputs: str | None = None
    part: Part | None = None
    features: tuple[str, ...] = ()
    weights: Path | None = None
    on_training_images: bool = False

    def check(self) -> None:
        """Refuse, before anything is opened, inputs of which nobody knows the images."""
        if self.inputs is not None and self.data is None:
            raise InputError(f"--inputs {self.inputs}: name the images that these belong to with --data")

    def named(self, dataset: "Dataset", device: "torch.device") -> "list[Features]":
        """The features by their names, for images like those of `dataset`, and where they are computed."""
        from fairdraw.metrics.networks import features_named, suitable

        if self.weights is not None and "inception" not in self.features:
            raise InputError(f"--weights {self.weights}: these are of inception; name it with --features inception")
        names = self.features or suitable(dataset)
        return [features_named(name, dataset.train, self.weights, device) for name in names]

    def count(self, asked: int | None, features: "list[Features]", dataset: "Dataset") -> tuple[int, tuple[str, ...]]:
        """How many images to judge, and what has to be said of that and of the features."""
        from fairdraw.metrics.networks import has_photographs

        remarks: list[str] = []
        if not self.features and dataset.shape[0] > 1 and not has_photographs():
            remarks.append("judged by pixels alone; pip install 'fairdraw[judge]' for a network that knows photographs")
        slow = [network.name for network in features if network.slow]
        if asked is None and slow:
            remarks.append(f"{COUNT_OF_SLOW:,} images at most, for {' and '.join(slow)} is slow: more with --count")
        return asked or (COUNT_OF_SLOW if slow else COUNT), tuple(remarks)

    def real(self, trained: "Trained", train: "Dataset", count: int, seed: int) -> "tuple[Dataset, Protocol]":
        """The real images for a model that was trained on `train`, and how they are compared with.

        Raises:
            InputError: as `Trained.open_data`.
        """
        from fairdraw.judge.protocol import Protocol

        real, own = (train, True) if self.data is None else trained.open_data(self.data, self.inputs)
        return real, Protocol(count, seed, self.part or ("test" if own else "all"), self.on_training_images)


HELD_OUT = Against()


def evaluate(
    run: tyro.conf.Positional[Path | None] = None,
    generated: str | None = None,
    against: tyro.conf.OmitArgPrefixes[Against] = HELD_OUT,
    count: int | None = None,
    seed: int = 0,
    one_pixel: int = 0,
    out: Path | None = None,
    device: Device = "auto",
    devices: int | None = None,
) -> Result:
    """Judge a model's draws, or a folder of pictures, beside real images and generators that have learnt nothing.

    Args:
        run: a run folder or a model.safetensors file.
        generated: instead of a run: pictures to judge, in any form that data come in.
        against: what they are compared with.
        count: how many images to judge, and real ones to compare with, at most (default: 10,000, or 1,000 where a slow
            network judges).
        seed: of the draws and of the judge's own random choices.
        one_pixel: how many images to attack the judging classifiers, and the model's own discriminator, on by one pixel
            (Su 2017): shows how brittle they are, and takes half a second for an image, or several for a discriminator.
        out: a folder for the report (default: `evaluation` in the run, or in the current folder).
        device: where to compute.
        devices: processes that share the work, one for each device (default: 1, or what torchrun or SLURM started).
    """
    _check(run, generated, against, count, one_pixel)
    folder = out or _folder(run, generated)
    if folder.suffix.lower() in (".html", ".md", ".jsonl", ".json") or folder.is_file():
        raise InputError(f"--out {folder}: a report is a folder of several files; give a folder")
    with together(device, devices) as (processes, tick):
        from fairdraw.judge import report  # not before the other processes are on their way: it takes seconds

        check_folder_can_be_made(folder)
        check_folder_is_ours(folder, (*report.FILES, *(f"{name}.png" for name in report.PICTURES)))
        if run is None:
            found = _of_pictures(generated, against, count, seed, one_pixel, processes, tick)
        else:
            found = _of_run(run, against, count, seed, one_pixel, processes, tick)
    files = report.write(folder, found, datetime.now(UTC).isoformat(timespec="seconds"))
    facts = {**found.about, "of": found.subject, "remarks": list(found.remarks), "out": str(folder)}
    facts["scores"] = [line for line in report.metric_lines(found) if line["event"] in ("score", "number")]
    return Result(facts, [*_lines(found), *(f"{path}" for path in files.values())])


def _check(run: Path | None, generated: str | None, against: Against, count: int | None, one_pixel: int) -> None:
    if (run is None) == (generated is None):
        raise InputError("give either a run folder, or pictures with --generated and real ones with --data")
    if generated is not None and against.data is None:
        raise InputError("--generated: real pictures to compare with are missing: give --data SOURCE")
    against.check()
    check_count(count)
    if one_pixel < 0:
        raise InputError(f"--one-pixel {one_pixel}: give the number of images to attack, or 0 for none")


def check_count(count: int | None) -> None:
    """Refuse a count of images that is none.

    Raises:
        InputError: for less than 1.
    """
    if count is not None and count < 1:
        raise InputError(f"--count {count}: give at least 1")


def _folder(run: Path | None, generated: str | None) -> Path:
    if run is None:
        return Path(f"evaluation-{word_for_a_file(Path(generated or '').stem)}")
    return (run if run.is_dir() else run.parent) / "evaluation"


def _of_run(
    run: Path,
    against: Against,
    count: int | None,
    seed: int,
    one_pixel: int,
    processes: "Processes",
    tick: "Callable[[str], None]",
) -> "Evaluation":
    from fairdraw.capabilities import Generates, Translates, Upscales
    from fairdraw.judge.evaluation import evaluate_model
    from fairdraw.judge.translation import evaluate_translator

    trained = opened_there(run, processes.device)
    upscales, translates = isinstance(trained.model, Upscales), isinstance(trained.model, Translates)
    if not upscales and not translates:
        check_capabilities(trained, Generates, verb="evaluate")
    elif one_pixel:
        raise InputError(
            f"--one-pixel {one_pixel}: it attacks judges of what a model draws, not of pictures; leave it out"
        )
    if upscales:
        return of_upscaler(trained, against, count, seed, processes, tick)
    train = trained.training_data()
    features = against.named(train, processes.device)
    count, said = against.count(count, features, train)
    real, protocol = against.real(trained, train, count, seed)
    found = (evaluate_translator if translates else evaluate_model)(
        trained, train, real, features, replace(protocol, attacked=one_pixel), tick, processes.share
    )
    return replace(found, remarks=(*found.remarks, *said))


def of_upscaler(
    trained: "Trained",
    against: Against,
    count: int | None,
    seed: int,
    processes: "Processes",
    tick: "Callable[[str], None]",
) -> "Evaluation":
    """What a model makes of small pictures, beside the bicubic filter.

    Raises:
        InputError: for options that have no meaning there, and as `evaluate_upscaler`.
    """
    from fairdraw.judge.protocol import Protocol
    from fairdraw.judge.upscaling import evaluate_upscaler

    if against.features or against.weights is not None:
        raise InputError("--features, --weights: what is made large is compared pixel by pixel; leave them out")
    train = trained.training_data()
    if against.data is not None and against.part not in (None, "all"):
        raise InputError(f"--part {against.part}: pictures of --data are taken whole and all; leave it out")
    part: Part = against.part or ("test" if against.data is None else "all")
    if against.data is None and part in ("train", "all") and not against.on_training_images:
        raise InputError(f"--part {part} was trained on: give --on-training-images to judge by it knowingly")
    protocol = Protocol(count or COUNT, seed, part, against.on_training_images)
    return evaluate_upscaler(trained, train, against.data, against.inputs, protocol, tick, processes.share)


def _of_pictures(
    generated: str | None,
    against: Against,
    count: int | None,
    seed: int,
    one_pixel: int,
    processes: "Processes",
    tick: "Callable[[str], None]",
) -> "Evaluation":
    from fairdraw import data
    from fairdraw.judge.evaluation import evaluate_images
    from fairdraw.judge.protocol import Protocol

    assert generated is not None
    assert against.data is not None
    real, made = data.open(against.data), data.open(generated)
    _check_shapes(made, real)
    features = against.named(real, processes.device)
    count, said = against.count(count, features, real)
    protocol = Protocol(count, seed, against.part or "test", against.on_training_images, one_pixel)
    found = evaluate_images(made.all, real, features, protocol, tick, processes.share)
    return replace(found, remarks=(*found.remarks, *said))


def _check_shapes(made: "Dataset", real: "Dataset") -> None:
    if made.shape != real.shape:
        words = [f"{w}x{h} px, {plural(c, 'channel')}" for c, h, w in (made.shape, real.shape)]
        raise InputError(
            f"{made.name} has pictures of {words[0]}, {real.name} of {words[1]}: bring them to one form first, for a "
            "resize within the comparison would be judged with them"
        )


def width_of(names: "Iterable[str]") -> int:
    """Of a column with the names of numbers, and room for a mark."""
    return max(32, *map(len, names)) + 2


def _lines(found: "Evaluation") -> list[str]:
    """The table for a terminal: each number with its interval, beside the first of what it has to be read by."""
    from fairdraw.judge.report import cell, rows

    beside = list(found.references)[:BESIDE]
    width = width_of(score.name for score in found.scores)
    lines = [found.subject, f"compared with {found.about['against']}", *found.remarks, ""]
    lines.append(
        f"{'':{width}}{'judged':>10} {'95 % over images':22}{''.join(f'{name:>20}' for name in beside)}  better"
    )
    for row in rows(found.scores, {name: found.references[name] for name in beside}):
        others = "".join(f"{other.shown if other else '-':>20}" for other in row.beside)
        score = row.score
        mark = " *" if score.flag else ""
        lines.append(f"{score.name + mark:{width}}{score.shown:>10} {score.shown_interval:22}{others}  {score.better}")
    said = {score.name for column in beside for score in found.references[column]}
    for name in list(found.references)[BESIDE:]:  # the few numbers of what has no column
        only = [score for score in found.references[name] if score.name not in said]
        lines += [f"{score.name} of {name}: {score.shown} {score.shown_interval}" for score in only]
    lines += [f"* {note}" for note in dict.fromkeys(s.flag for s in found.scores if s.flag)]
    for name, accuracy in found.accuracies.items():
        lines.append(str(accuracy) if accuracy else f"accuracy of {name} not known: it knows no labels of the images")
    lines += [str(number) for number in found.numbers]
    for probe in found.probes:
        lines += ["", f"{probe.title}. {probe.says}"]
        lines += [f"{'':34}{''.join(f'{name:>28}' for name in probe.columns)}"] if probe.rows else []
        lines += [f"{row[0].name:34}{''.join(f'{cell(number):>28}' for number in row)}" for row in probe.rows]
    return [*lines, ""]
