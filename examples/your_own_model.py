"""A model of your own with an objective of its own, driven step by step: a linear autoencoder.

The least squared error that it can reach is that of the principal components (Baldi & Hornik 1989), printed beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import tyro
from torch import nn

from fairdraw import Model, Runtime, Trainer, Training, data
from fairdraw.model import Batch, Clock, Player, Update
from fairdraw.optimizers import Adam
from fairdraw.order import positions
from fairdraw.parallel import launch


@dataclass(frozen=True)
class LinearConfig:
    latent: int = 8


@final
class LinearAutoencoder(Model):
    Config = LinearConfig

    def __init__(self, config: LinearConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        pixels = shape[0] * shape[1] * shape[2]
        self.network = nn.Sequential(nn.Linear(pixels, config.latent), nn.Linear(config.latent, pixels))

    def players(self) -> dict[str, Player]:
        return {"autoencoder": Player.of(self, Adam(1e-2))}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        x = batch["image"].flatten(1)
        yield Update("autoencoder", (self.network(x) - x).square().sum(1).mean())


def main(images: int = 400_000, batch: int = 128) -> None:
    digits = data.open("digits8").train
    model = LinearAutoencoder(LinearConfig(), digits.dataset.shape)
    trainer = Trainer(model, Training(images, batch, schedule="cosine"), launch(Runtime(device="cpu"), "fp32"))
    while trainer.images < images:
        trainer.step({"image": torch.from_numpy(digits.images(positions(0, trainer.images, batch, len(digits))))})

    x = torch.from_numpy(digits.images(np.arange(len(digits)))).flatten(1) / 127.5 - 1
    with torch.no_grad():
        error = (model.network(x) - x).square().sum(1).mean()
    best = torch.linalg.svdvals(x - x.mean(0))[model.config.latent :].square().sum() / len(x)
    print(f"squared error of the {len(x):,} training images: {error:.3f}; of the principal components: {best:.3f}")


if __name__ == "__main__":
    tyro.cli(main)
