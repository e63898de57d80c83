"""A GAN on points of the plane, 8 Gaussians on a ring or two moons, with either loss of G.

Points are images of 2 channels and 1 px. A generated point is good within 3 standard deviations of the data; a mode is
covered by 20 good points of 2,500. `--head-start` gives D some steps alone: where it wins, the saturating loss leaves G
without a gradient (Goodfellow 2014, section 3).
"""

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
import tyro

from fairdraw import GAN, GANConfig, Runtime, Trainer, Training
from fairdraw.optimizers import Adam
from fairdraw.parallel import launch

SD, POINTS = 0.02, 2_500
ANGLE, ARC = np.arange(8) * np.pi / 4, np.linspace(0, np.pi, 100)
RING = 0.7 * np.c_[np.cos(ANGLE), np.sin(ANGLE)]
MOONS = 0.5 * np.r_[np.c_[np.cos(ARC) - 0.5, np.sin(ARC) - 0.25], np.c_[0.5 - np.cos(ARC), 0.25 - np.sin(ARC)]]
CONFIG = GANConfig("dense", 16, "gaussian", (128, 128), output="linear", discriminator_hidden=(128, 128), pieces=2)
CONFIG = replace(CONFIG, input_keep=1, hidden_keep=1, moves="alternating", generator_range=0.1, discriminator_range=0.1)


def main(
    data: Literal["ring", "moons"] = "ring",
    loss: Literal["non-saturating", "minimax"] = "non-saturating",
    images: int = 1_500_000,
    seed: int = 0,
    head_start: int = 0,
) -> None:
    centres, rng = {"ring": RING, "moons": MOONS}[data], np.random.default_rng(seed)
    torch.manual_seed(seed)
    gan = GAN(replace(CONFIG, loss=loss, optimizer=Adam(1e-3, (0.5, 0.999))), (2, 1, 1))
    trainer = Trainer(gan, Training(images, 256, seed, schedule="linear"), launch(Runtime(device="cpu"), "fp32"))

    def step(measure: bool = False) -> None:
        points = centres[rng.integers(len(centres), size=256)] + SD * rng.normal(size=(256, 2))
        trainer.step({"image": torch.from_numpy(points).float()[:, :, None, None]}, measure)

    playing, gan.config = gan.config, replace(gan.config, discriminator_steps=head_start + 1)
    while trainer.steps <= head_start:  # G moves in the last of these
        step(measure=True)
    print(f"gradient of G after {head_start} steps of D alone: {trainer.gradient_norm['generator']:.1e}")
    gan.config = playing
    while trainer.images < images:
        step()

    made = trainer.average.sample(POINTS)[:, :, 0, 0].numpy()
    distance = np.linalg.norm(made[:, None] - centres, axis=2)
    good, nearest = distance.min(1) < 3 * SD, distance.argmin(1) * (8 if data == "ring" else 2) // len(centres)
    covered = (np.bincount(nearest[good], minlength=nearest.max() + 1) >= 20).sum()
    print(f"{data}, {loss}, seed {seed}: {covered} modes covered, {good.mean():.1%} good points")


if __name__ == "__main__":
    tyro.cli(main)
