"""Counting, perspective and global structure of generated pictures, beside real ones, as shares of images.

    python benchmarks/scenes.py [--runs FOLDER ...] [--kinds counting perspective figures] [--images N] [--out FOLDER]

Without runs, a DCGAN and a progressively grown GAN are trained on each kind of the built-in set `scenes`, by the
presets `dcgan-mnist` and `progressive-small`, for so many images; what is there already is not trained again. Runs that
are named are judged as they are, by the kind that they were trained on.

Judged are the first draws of a seed, none picked, beside as many real pictures that are in no set. Halves of two others
side by side are judged too: right in each half and wrong as a whole, they show what the probes can tell. Sheets of what
is judged are written to the folder.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro

from fairdraw import Runtime, preset, train
from fairdraw.capabilities import Generates
from fairdraw.data.scenes import COUNT, MOST, Kind, scene
from fairdraw.errors import InputError
from fairdraw.metrics.counting import objects
from fairdraw.metrics.number import Number
from fairdraw.metrics.scenes import count_shares, scene_numbers
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
    """Print what the numbers say of each answer, and of the real images that it stands beside, with 95 % intervals."""
    rows = {name: scene_numbers(kind, made, real, on=name, real_on="real images") for name, made in answers.items()}
    first = next(iter(rows.values()))
    print(f"\n{kind}, {len(real):,} images each, real ones in the last row")
    print("| |" + "".join(f" {beside.real.name} |" for beside in first))
    print("|---" * (1 + len(first)) + "|")
    for name, found in rows.items():
        print(f"| {name} |" + "".join(f" {cell(beside.generated)} |" for beside in found))
    print("| real images |" + "".join(f" {cell(beside.real)} |" for beside in first), flush=True)
    if kind == "counting":
        print("\n| objects |" + "".join(f" {count} |" for count in [*range(MOST + 1), "more"]))
        print("|---" * (MOST + 3) + "|")
        for name, images in {**answers, "real images": real}.items():
            shares = count_shares(objects(images).counts)
            print(f"| {name} |" + "".join(f" {100 * value:.1f} % |" for value in shares))


def cell(number: Number) -> str:
    """A share in per cent, a distance as it is."""
    low, high = number.interval or (float("nan"), float("nan"))
    if number.unit == "of images":
        return f"{100 * number.value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{number.value:.3f} ({low:.3f} to {high:.3f})"


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
        answers.setdefault(kind, {})[run.name] = made
        sample_sheet(made[:SHOWN]).save(out / f"{run.name}.png")
    for kind, of_kind in answers.items():
        real = fresh(kind, 2 * count, next(iter(of_kind.values())).shape[2])
        mixed = halves(real[count:])
        sample_sheet(mixed[:SHOWN]).save(out / f"halves-{kind}.png")
        show(kind, {**of_kind, "halves of two real images": mixed}, real[:count])


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
