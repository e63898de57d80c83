"""Training: the demo, and `train` with the options of each model."""

import math
import re
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from fairdraw.command import Result, parse, stop
from fairdraw.errors import InputError
from fairdraw.launcher import launcher_rank
from fairdraw.verbs.common import Device

if TYPE_CHECKING:
    from fairdraw.config import Experiment, Runtime


def demo(out: Path = Path("runs/demo"), seed: int = 0, device: Device = "auto") -> Result:
    """Train a small VAE on 5,000 bundled digits, draw from it, and measure it on held-out digits.

    Args:
        out: the run folder.
        seed: of the weights, the order of the data and the noise.
        device: where to compute.
    """
    from fairdraw.config import Runtime
    from fairdraw.presets import preset

    experiment = preset("demo")
    experiment = replace(experiment, training=replace(experiment.training, seed=seed))
    return _train(experiment, out, Runtime(device=device))


def train(words: list[str]) -> Result:
    """`fairdraw train NAME ...`: the options are those of the model that NAME trains."""
    from fairdraw.config import Experiment, Runtime
    from fairdraw.models import MODELS

    if not words or words[0].startswith("-"):
        names = "\n".join(f"  {name:12} {entry.paper}" for name, entry in MODELS.items())
        if words[:1] in (["-h"], ["--help"]):
            print(
                f"usage: fairdraw train MODEL [OPTIONS]\n\n{names}\n\n`fairdraw train MODEL --help` shows its options."
            )
            sys.exit(0)
        raise InputError(f"train what? Name one of {', '.join(MODELS)} (or a preset of `fairdraw models`)")

    from fairdraw.presets import preset

    name, experiment = words[0], preset(words[0])
    kind = type(experiment.model)

    @dataclass(frozen=True)
    class Arguments:
        """Train a model, or resume: the same command again goes on where it stopped.

        Args:
            experiment: what a result depends on.
            runtime: where it is computed.
            out: the run folder (default: runs/MODEL-DATA).
            epochs: passes over the training images, in place of --images.
        """

        experiment: Experiment[kind]  # type: ignore[valid-type]
        runtime: Runtime = field(default_factory=Runtime)
        out: Path | None = None
        epochs: float | None = None

    # An optimizer is that of the preset; its numbers are options, not its kind.
    plain = tyro.conf.AvoidSubcommands[tyro.conf.OmitArgPrefixes[Arguments]]
    parsed = parse(plain, words[1:], f"fairdraw train {name}", default=Arguments(experiment))
    experiment = parsed.experiment
    if parsed.epochs is not None:
        experiment = _with_epochs(experiment, parsed.epochs)
    return _train(experiment, parsed.out or Path("runs") / f"{name}-{_slug(experiment.data)}", parsed.runtime)


def _train(experiment: "Experiment[Any]", out: Path, runtime: "Runtime") -> Result:
    import torch

    from fairdraw import loop
    from fairdraw.files import write_json
    from fairdraw.metrics.held_out import held_out_numbers
    from fairdraw.trained import Trained

    try:
        run = loop.train(experiment, out, runtime)
    except loop.Interrupted as interrupted:
        stop(str(interrupted), 128 + interrupted.number)
    except torch.OutOfMemoryError as error:
        raise InputError("out of memory: choose a smaller --batch, or divide it with --micro-batches") from error
    if launcher_rank() > 0:  # the first process speaks for all
        sys.exit(0)
    trained = Trained.open(run.folder, runtime.device)
    dataset = trained.training_data()
    numbers = held_out_numbers(trained.model, dataset)
    write_json(run.folder / "numbers.json", [asdict(number) for number in numbers])
    newest = {path.stem.rpartition("-")[0]: str(path) for path in sorted(run.pictures.glob("*-*.png"))}
    facts = {"run": str(run.folder), "model": str(run.model_file), "pictures": list(newest.values())}
    lines = [f"run       {run.folder}", f"model     {run.model_file}"]
    lines += [f"picture   {path}" for path in newest.values()] + [f"held out  {number}" for number in numbers]
    if not len(dataset.test):
        lines.append(f"held out  nothing: no image of {len(dataset):,} fell into the test part")
    return Result({**facts, "numbers": [asdict(number) for number in numbers]}, lines)


def _with_epochs(experiment: "Experiment[Any]", epochs: float) -> "Experiment[Any]":
    from fairdraw import data

    if not 0 < epochs < math.inf:
        raise InputError(f"--epochs {epochs:g}: give more than 0")
    count = len(data.open(experiment.data, experiment.options).train)
    return replace(experiment, training=replace(experiment.training, images=max(1, round(epochs * count))))


def _slug(source: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", Path(source).name.lower()).strip("-") or "data"
