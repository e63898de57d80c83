"""Counting, perspective and global structure of generated pictures, beside real ones, as shares of images.

    python benchmarks/scenes.py [--runs FOLDER ...] [--kinds counting perspective figures] [--images N] [--out FOLDER]

Without runs, a DCGAN and a progressively grown GAN are trained on each kind of the built-in set `scenes`, by their
presets for a minute's work, for so many images; what is there already is not trained again. Runs that are named are
judged as they are, by the kind that they were trained on.

Judged are the first draws of a seed, none picked, beside as many real pictures that are in no set. Halves of two real
ones side by side are judged too: right in each half and wrong as a whole, they show what the probes can tell.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro

from fairdraw import Runtime, preset, train
from fairdraw.data.scenes import COUNT, MOST, Kind, scene
from fairdraw.errors import InputError
from fairdraw.metrics.counting import objects
from fairdraw.metrics.scenes import count_shares, scene_numbers
from fairdraw.model import Generates
from fairdraw.pictures import sample_sheet, sampled
from fairdraw.trained import Trained

PRESETS = ("dcgan-mnist", "progressive-small")
KINDS: dict[str, Kind] = {"counting": "counting", "perspective": "perspective", "figures": "figure"}
SHOWN = 64


def fresh(kind: Kind, count: int, side: int) -> np.ndarray:
    """Real pictures that are in no set, uint8 `[N, 3, H, H]`."""
    return np.stack([scene(kind, COUNT + number).draw(side) for number in range(count)]).transpose(0, 3, 1, 2)


def halves(real: np.ndarray) -> np.ndarray:
    """The left half of each picture beside the right half of the next."""
    middle = real.shape[3] // 2
    return np.concatenate([real[..., :middle], np.roll(real, -1, axis=0)[..., middle:]], axis=3)


def trained(kinds: tuple[str, ...], images: int, seed: int, out: Path) -> list[Path]:
    found = []
    for kind in kinds:
        for name in PRESETS:
            experiment = preset(name)
            training = replace(experiment.training, images=images, seed=seed)
            experiment = replace(experiment, data=f"scenes-{kind}", training=training)
            runtime = Runtime(device="cpu", threads=1)
            found.append(train(experiment, out / f"{name}-{kind}", runtime, quiet=True).folder)
    return found


def drawn(run: Path, count: int, seed: int) -> tuple[Kind, np.ndarray]:
    """What a run was trained to show, and its draws."""
    opened = Trained.open(run, "cpu")
    if not isinstance(opened.model, Generates):
        raise InputError(f"{run}: {opened.facts['model']} generates no images")
    source = str(opened.facts.get("data", {}).get("name"))
    kind = KINDS.get(source.removeprefix("scenes-"))
    if kind is None:
        raise InputError(
            f"{run} was trained on {source}: a model of one kind of scenes is judged, such as scenes-figures"
        )
    return kind, sampled(opened.model, count, seed)


def show(kind: Kind, answers: dict[str, np.ndarray], real: np.ndarray) -> None:
    """Print what the numbers say of each answer."""
    for name, images in answers.items():
        print(f"{kind}: {name}")
        found = scene_numbers(kind, images, real, on="images", real_on="other real images")
        for beside in found:
            print(f"    {beside.generated}\n        real: {beside.real}", flush=True)
    if kind == "counting":
        print(f"{'objects':32}" + "".join(f"{count:>8}" for count in [*range(MOST + 1), "more"]))
        for name, images in {**answers, "real": real}.items():
            shares = count_shares(objects(images).counts)
            print(f"{name[-32:]:32}" + "".join(f"{100 * value:7.1f}%" for value in shares))


def main(
    runs: tuple[Path, ...] = (),
    kinds: tuple[Literal["counting", "perspective", "figures"], ...] = ("counting", "perspective", "figures"),
    images: int = 200_000,
    count: int = 2_000,
    seed: int = 0,
    draws_seed: int = 0,
    out: Path = Path("runs/scenes"),
) -> None:
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    answers: dict[Kind, dict[str, np.ndarray]] = {}
    for run in runs or trained(kinds, images, seed, out):
        kind, made = drawn(run, count, draws_seed)
        answers.setdefault(kind, {})[str(run)] = made
        sample_sheet(made[:SHOWN]).save(out / f"{run.name}.png")
    for kind, of_kind in answers.items():
        real = fresh(kind, 2 * count, next(iter(of_kind.values())).shape[2])
        show(kind, {**of_kind, "halves of two real images": halves(real[count:])}, real[:count])


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
