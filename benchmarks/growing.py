"""Time to equal quality: growing from the smallest map on, beside training at the full size from the start.

    python benchmarks/growing.py --data mnist --size 32 [--seeds 0 1 2] [--images N] [--classifier digits32.safetensors]

The same layers, rule, batches and images either way. At each tenth of the training, the averaged weights draw 2,000
samples, the first of seed 0, whose Frechet distances from held-out images are printed beside the seconds of processor
time that the training took so far; judging is not counted.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from gan_quality import judge_for

from fairdraw import Progressive, Runtime, Trainer, Training, data, preset
from fairdraw.data import Dataset, Options
from fairdraw.order import positions
from fairdraw.parallel import launch
from fairdraw.pictures import sample_sheet, sampled

SAMPLES, POINTS = 2_000, 10


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
    classifier: Path | None = None,
    out: Path = Path("runs/growing"),
) -> None:
    dataset = data.open(source, Options(size=size))
    judge = judge_for(dataset, classifier, "validation", SAMPLES)
    for name, found in judge.references(SAMPLES).items():
        print(json.dumps({"reference": name, **distances(found)}), flush=True)
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
                print(json.dumps(line | distances(judge.numbers(made))), flush=True)
                sample_sheet(made[:64]).save(out / f"{growth}-{seed}-{trainer.images:07d}.png")


def distances(numbers: dict[str, Any]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in numbers.items() if name.startswith("FD")}


if __name__ == "__main__":
    tyro.cli(main)
