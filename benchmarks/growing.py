"""Time to equal quality: growing from the smallest map on, beside training at the full size from the start.

    python benchmarks/growing.py --source mnist --size 32 [--seeds 0 1 2] [--images N]

The same layers, rule, batches and images either way. At each tenth of the training, the averaged weights draw 2,000
samples, the first of seed 0, whose Frechet distances from validation images are printed beside the seconds of processor
time that the training took so far; judging is not counted. Features are `pixels-pca64` and, of digits, a classifier by
`digit_classifier.py` that is trained at the very size first: the one in the package would resize what it judges.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from digit_classifier import train_classifier

from fairdraw import Progressive, Runtime, Trainer, Training, data, preset
from fairdraw.data import Dataset, Options
from fairdraw.judge.trivial import TRIVIAL
from fairdraw.metrics.features import Features, PixelPCA
from fairdraw.metrics.frechet import frechet_distance
from fairdraw.metrics.networks import has_digits
from fairdraw.order import positions, spread
from fairdraw.parallel import launch
from fairdraw.pictures import sample_sheet, sampled

SAMPLES, POINTS = 2_000, 10


class Judge:
    """Features of validation images, to compare with."""

    def __init__(self, dataset: Dataset) -> None:
        classifiers = [train_classifier(dataset.train)] if has_digits(dataset) else []
        self.features: tuple[Features, ...] = (PixelPCA.fitted(dataset.train), *classifiers)
        images = dataset.validation.images(spread(len(dataset.validation), SAMPLES))
        self.real: list[np.ndarray] = [features.of(images) for features in self.features]

    def distances(self, images: np.ndarray) -> dict[str, float]:
        both = zip(self.features, self.real, strict=True)
        return {f"FD({f.name})": round(frechet_distance(real, f.of(images)), 2) for f, real in both}


def trained(growth: Literal["progressive", "none"], dataset: Dataset, training: Training, phase: int) -> Trainer:
    torch.manual_seed(training.seed)
    config = replace(preset("progressive-small").model, growth=growth, stable_images=phase, fade_images=phase)
    return Trainer(Progressive(config, dataset.shape), training, launch(Runtime(device="cpu"), training.precision))


def main(
    source: str = "mnist",
    size: int = 32,
    seeds: tuple[int, ...] = (0, 1, 2),
    images: int = 200_000,
    phase: int = 20_000,
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    out: Path = Path("runs/growing"),
) -> None:
    dataset = data.open(source, Options(size=size))
    judge = Judge(dataset)
    for name in ("training images", "mean image", "pixel Gaussian"):
        made = TRIVIAL[name](dataset.train, SAMPLES, 0)
        print(json.dumps({"reference": name, **judge.distances(made)}), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for growth in ("progressive", "none"):
            trainer = trained(growth, dataset, Training(images, 32, seed, precision=precision), phase)
            spent = 0.0
            for point in range(1, POINTS + 1):
                begun = time.process_time()
                while trainer.images < images * point // POINTS:
                    where = positions(seed, trainer.images, trainer.batch, len(dataset.train))
                    trainer.step({"image": torch.from_numpy(dataset.train.images(where))})
                spent += time.process_time() - begun
                made = sampled(trainer.average, SAMPLES, seed=0)
                line = {"growth": growth, "seed": seed, "images": trainer.images, "seconds": round(spent, 1)}
                print(json.dumps(line | judge.distances(made)), flush=True)
                sample_sheet(made[:64]).save(out / f"{growth}-{seed}-{trainer.images:07d}.png")


if __name__ == "__main__":
    tyro.cli(main)
