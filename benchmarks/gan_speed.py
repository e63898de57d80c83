"""Images/s of a DCGAN's training at 32 px, beside the loops and networks that two known libraries train.

    python benchmarks/gan_speed.py [--peer pytorch-gan|torchgan] [--steps N] [--rounds N] [--threads N]

The networks are written anew from their descriptions. Each is trained by a loop with the steps of its library, and by
fairdraw's trainer; then fairdraw's own DCGAN of width 32. One grey image has 32 x 32 px, a batch 64 images.
"""

from fairdraw.launcher import share_the_machine

share_the_machine()

from collections.abc import Iterator  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from itertools import pairwise  # noqa: E402
from typing import ClassVar, Literal, final  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import tyro  # noqa: E402
from side_by_side import compare  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from training_speed import Ours  # noqa: E402

from fairdraw import DCGAN, DCGANConfig, Model, data  # noqa: E402
from fairdraw.adversarial import discriminator_loss, non_saturating_loss  # noqa: E402
from fairdraw.images import to_signed  # noqa: E402
from fairdraw.model import Batch, Clock, Player, Update  # noqa: E402
from fairdraw.optimizers import Adam  # noqa: E402

LATENT, BATCH, SIZE = 100, 64, 32
RATE, BETAS = 2e-4, (0.5, 0.999)


def upsampling_networks() -> tuple[nn.Module, nn.Module]:
    """Those of PyTorch-GAN's dcgan: nearest-neighbour upsampling and 3 x 3 convolutions; dropout in D."""
    first = SIZE // 4

    def after(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels, 0.8), nn.LeakyReLU(0.2)]

    generator = nn.Sequential(
        nn.Linear(LATENT, 128 * first**2),
        nn.Unflatten(1, (128, first, first)),
        nn.BatchNorm2d(128),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(128, 128, 3, padding=1),
        *after(128),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(128, 64, 3, padding=1),
        *after(64),
        nn.Conv2d(64, 1, 3, padding=1),
        nn.Tanh(),
    )
    layers: list[nn.Module] = []
    for fan_in, fan_out, normalised in ((1, 16, False), (16, 32, True), (32, 64, True), (64, 128, False)):
        layers += [nn.Conv2d(fan_in, fan_out, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
        layers += [nn.BatchNorm2d(fan_out, 0.8)] if normalised else []
    return generator, nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (SIZE // 16) ** 2, 1))


def transposed_networks() -> tuple[nn.Module, nn.Module]:
    """Those of torchgan's DCGAN with 64 step channels: 4 x 4 kernels, LeakyReLU in both."""
    widths = [256, 128, 64]
    layers: list[nn.Module] = [nn.Unflatten(1, (LATENT, 1, 1)), nn.ConvTranspose2d(LATENT, 256, 4, bias=False)]
    layers += [nn.BatchNorm2d(256), nn.LeakyReLU(0.2)]
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.ConvTranspose2d(fan_in, fan_out, 4, 2, 1, bias=False), nn.BatchNorm2d(fan_out), nn.LeakyReLU(0.2)]
    generator = nn.Sequential(*layers, nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh())
    layers = [nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
    for fan_in, fan_out in pairwise(widths[::-1]):
        layers += [nn.Conv2d(fan_in, fan_out, 4, 2, 1, bias=False), nn.BatchNorm2d(fan_out), nn.LeakyReLU(0.2)]
    return generator, nn.Sequential(*layers, nn.Conv2d(256, 1, 4, bias=False), nn.LeakyReLU(0.2), nn.Flatten())


NETWORKS = {"pytorch-gan": upsampling_networks, "torchgan": transposed_networks}


class PeersLoop:
    """A loop with the steps of the library: G first, then D, for which torchgan draws images anew."""

    def __init__(self, peer: str, images: np.ndarray) -> None:
        self.generator, self.discriminator = NETWORKS[peer]()
        self.anew, self.images, self.seen = peer == "torchgan", images, 0
        self.of_g = torch.optim.Adam(self.generator.parameters(), RATE, BETAS)
        self.of_d = torch.optim.Adam(self.discriminator.parameters(), RATE, BETAS)

    def run(self, steps: int) -> int:
        for _ in range(steps):
            where = np.arange(self.seen, self.seen + BATCH) % len(self.images)
            real = torch.from_numpy(self.images[where]).float() / 127.5 - 1
            self.seen += BATCH
            valid, fake_label = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

            self.of_g.zero_grad()
            fake = self.generator(torch.randn(BATCH, LATENT))
            F.binary_cross_entropy_with_logits(self.discriminator(fake), valid).backward()
            self.of_g.step()

            self.of_d.zero_grad()
            if self.anew:
                fake = self.generator(torch.randn(BATCH, LATENT))
            real_loss = F.binary_cross_entropy_with_logits(self.discriminator(real), valid)
            fake_loss = F.binary_cross_entropy_with_logits(self.discriminator(fake.detach()), fake_label)
            loss = 0.5 * (real_loss + fake_loss)
            loss.backward()
            self.of_d.step()
            loss.item()  # both print it at each step
        return steps * BATCH


@dataclass(frozen=True)
class PeersConfig:
    peer: Literal["pytorch-gan", "torchgan"]


@final
class PeersNetworks(Model):
    """The library's networks as a model of fairdraw's, which moves D, then G, on one z."""

    Config = PeersConfig
    memory_format: ClassVar[torch.memory_format] = torch.channels_last

    def __init__(self, config: PeersConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        self.generator, self.discriminator = NETWORKS[config.peer]()

    def players(self) -> dict[str, Player]:
        return {name: Player.of(getattr(self, name), Adam(RATE, BETAS)) for name in ("discriminator", "generator")}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        real, fake = batch["image"], self.generator(clock.noise.normal(LATENT))
        yield Update("discriminator", discriminator_loss(self._of(real), self._of(fake.detach())))
        yield Update("generator", non_saturating_loss(self._of(fake)))

    def _of(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(x)
        return logits


def main(
    peer: Literal["pytorch-gan", "torchgan"] = "pytorch-gan",
    steps: int = 10,
    rounds: int = 7,
    threads: int | None = None,
) -> None:
    if threads:
        torch.set_num_threads(threads)
    digits = data.open("digits", data.Options(size=SIZE)).all
    images = digits.images(np.arange(len(digits)))
    assert to_signed(torch.from_numpy(images[:1])).shape == (1, 1, SIZE, SIZE)
    print(f"{peer}, {SIZE} px, batch {BATCH}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    theirs = PeersLoop(peer, images)
    ways = {"its loop": lambda: theirs.run(steps)}
    for precision in ("fp32", "bf16"):
        same = Ours(PeersNetworks(PeersConfig(peer), (1, SIZE, SIZE)), BATCH, precision, images)
        ways[f"its networks in fairdraw, {precision}"] = lambda same=same: same.run(steps)
    own = Ours(DCGAN(DCGANConfig(width=32), (1, SIZE, SIZE)), BATCH, "bf16", images)
    ways["fairdraw's DCGAN, width 32, bf16"] = lambda: own.run(steps)
    compare(ways, rounds)


if __name__ == "__main__":
    tyro.cli(main)
