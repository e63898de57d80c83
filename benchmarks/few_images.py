"""What augmentation does for a DCGAN on few pictures: 300 emoji, with and without, by seed.

    python benchmarks/few_images.py [--seeds 0 1 2] [--ways plain adaptive constant] [--images N] [--out FOLDER]

For each run: D's overfitting gap, the mean logit of its training images (what the split leaves of the 300) minus that
of emoji which nobody trained on, both as they are; and the Frechet distance in `pixels-pca64` features of 2,000
samples, the first of seed 0, from those held-out emoji. The floor is that of the training images themselves.
"""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from fairdraw import DCGAN, DCGANConfig, Experiment, Runtime, Training, data, load, train
from fairdraw.data import Options
from fairdraw.metrics.features import PixelPCA
from fairdraw.metrics.frechet import frechet_distance
from fairdraw.metrics.realness import mean_realness
from fairdraw.nets.augmentation import Augmentation
from fairdraw.order import spread
from fairdraw.pictures import sampled

SIZE, SAMPLES = 32, 2_000
KINDS = ("colour", "translation", "cutout")
Way = Literal["plain", "adaptive", "constant"]


def config(way: Way, width: int, ramp: int) -> DCGANConfig:
    augmentation = {
        "plain": Augmentation(),
        "adaptive": Augmentation(KINDS, augment_ramp_images=ramp),
        "constant": Augmentation(KINDS, augment_probability=1.0),
    }[way]
    return DCGANConfig(width=width, augmentation=augmentation)


def main(
    seeds: tuple[int, ...] = (0, 1, 2),
    ways: tuple[Way, ...] = ("plain", "adaptive", "constant"),
    count: int = 300,
    images: int = 200_000,
    batch: int = 64,
    width: int = 32,
    ramp: int = 100_000,
    threads: int | None = None,
    out: Path = Path("runs/few-images"),
) -> None:
    emoji = data.open("emoji", Options(size=SIZE))
    held_out = np.concatenate([part.images(np.arange(len(part))) for part in (emoji.validation, emoji.test)])
    features = PixelPCA.fitted(emoji.train)
    real = features.of(held_out)
    out.mkdir(parents=True, exist_ok=True)
    source = out / f"emoji{count}.npz"
    np.savez(source, images=emoji.train.images(spread(len(emoji.train), count)))
    trained_on = data.open(str(source)).train
    few = trained_on.images(np.arange(len(trained_on)))
    print(f"{count} emoji at {SIZE} px, {len(few)} of them to train on; {len(held_out)} others held out")
    print(f"FD({features.name}) of the {len(few)} themselves: {frechet_distance(real, features.of(few)):.3f}")
    for seed in seeds:
        for way in ways:
            run = train(
                Experiment(config(way, width, ramp), str(source), training=Training(images, batch, seed)),
                out / f"{way}-{seed}",
                Runtime(device="cpu", threads=threads),
                quiet=True,
            )
            model = load(run.folder)
            assert isinstance(model, DCGAN)
            gap = mean_realness(model, few) - mean_realness(model, held_out)
            distance = frechet_distance(real, features.of(sampled(model, SAMPLES, seed=0)))
            p = float(model.augment_probability)
            found = {"way": way, "seed": seed, "gap": round(gap, 2), "distance": round(distance, 3), "p": round(p, 2)}
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    tyro.cli(main)
