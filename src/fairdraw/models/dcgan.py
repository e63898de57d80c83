"""Deep convolutional generative adversarial networks.

Radford, Metz & Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks", ICLR 2016 (arXiv:1511.06434).

    D:  min  -E log D(x) - E log(1 - D(G(z))),    G:  min  -E log D(G(z)),    z ~ U(-1, 1)^100

Paper's text and released code: 5x5 kernels with stride 2 and no bias, batch normalisation everywhere but at G's output
and D's input, ReLU and tanh in G, LeakyReLU 0.2 in D, no hidden dense layers, weights N(0, 0.02), gains N(1, 0.02),
Adam at 2e-4 with beta1 = 0.5, batches of 128. At 64 px in colour G has 18,885,760 parameters and D 17,232,768.

What differs, and why:

* D moves first, then G, on the same z in one step. The released code lets each batch move either one or the other,
  and Goodfellow's algorithm 1 draws fresh z for G; reusing them saves a pass through G.
* Samples use running averages of the batch statistics, so that an image does not depend on its neighbours in the
  sheet; the released code used the statistics of the sampled batch. Its epsilon of 1e-8 is 1e-5 here.
* The weight decay of 1e-5 that the released face model had, but the paper does not mention, is left out.
* Sizes other than 64 px start from the map of 4 to 7 px that doubles to them, with `width` channels at the outermost
  hidden layer: 28 = 7 * 4 and 32 = 4 * 8.
* The features of D for classification, window removal and filter pictures of the paper are not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from fairdraw.adversarial import discriminator_loss, non_saturating_loss
from fairdraw.errors import check_at_least
from fairdraw.model import Batch, Clock, Generates, Model, Player, Update
from fairdraw.nets.pyramid import halvings
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam


@dataclass(frozen=True)
class DCGANConfig:
    """Options of the DCGAN.

    Args:
        latent: dimensions of z.
        prior: distribution of z; the paper's text says uniform, its SVHN model was trained with a Gaussian.
        width: channels of the outermost hidden layer of both networks, doubled at each halving of the map.
        optimizer: the same settings for both players.
    """

    latent: int = 100
    prior: Literal["uniform", "gaussian"] = "uniform"
    width: int = 128
    optimizer: Adam = field(default_factory=lambda: Adam(2e-4, (0.5, 0.999)))

    def __post_init__(self) -> None:
        check_at_least(1, self, "latent", "width")


@final
class DCGAN(Model, Generates):
    """The deep convolutional GAN (Radford, Metz & Chintala 2016)."""

    Config = DCGANConfig
    config: DCGANConfig
    memory_format: ClassVar[torch.memory_format] = torch.channels_last

    def __init__(self, config: DCGANConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        base, stages = halvings(shape[1], "dcgan")
        widths = [shape[0], *(config.width << k for k in range(stages))]
        self.generator = generator_network(config.latent, base, widths[::-1])
        self.discriminator = discriminator_network(base, widths)
        self.apply(_initialise)

    def players(self) -> dict[str, Player]:
        """Discriminator and generator."""
        return {
            "discriminator": Player.of(self.discriminator, self.config.optimizer),
            "generator": Player.of(self.generator, self.config.optimizer),
        }

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """One step of D on a batch of real and a batch of generated images, then one of G (section 4)."""
        real = batch["image"]
        fake = self.generate(self.prior(clock.noise))

        # Real and generated images pass separately: each has its own batch statistics.
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake.detach())
        log = {"real_logit": real_logits.mean().detach(), "fake_logit": fake_logits.mean().detach()}
        yield Update("discriminator", discriminator_loss(real_logits, fake_logits), log)

        yield Update("generator", non_saturating_loss(self.discriminator(fake)))

    def prior(self, noise: Noise) -> Tensor:
        """z ~ U(-1, 1)^D or N(0, I), `[B, D]`."""
        if self.config.prior == "uniform":
            return 2 * noise.uniform(self.config.latent) - 1
        return noise.normal(self.config.latent)

    def generate(self, z: Tensor) -> Tensor:
        """G(z)."""
        images: Tensor = self.generator(z)
        return images


def generator_network(latent: int, base: int, widths: list[int]) -> nn.Sequential:
    """z `[B, D]` projected to a map of `base` px, then doubled by fractionally-strided convolutions to the image."""
    flat = widths[0] * base * base
    layers: list[nn.Module] = [
        # The released code normalises each unit of the projection, not each channel.
        nn.Linear(latent, flat, bias=False),
        nn.BatchNorm1d(flat),
        nn.ReLU(),
        nn.Unflatten(1, (widths[0], base, base)),
    ]
    for fan_in, fan_out in pairwise(widths[:-1]):
        layers += [_doubling(fan_in, fan_out), nn.BatchNorm2d(fan_out), nn.ReLU()]
    return nn.Sequential(*layers, _doubling(widths[-2], widths[-1]), nn.Tanh())


def discriminator_network(base: int, widths: list[int]) -> nn.Sequential:
    """Image `[B, C, H, W]` halved by strided convolutions to a map of `base` px, then one logit `[B, 1]`."""
    layers: list[nn.Module] = [_halving(widths[0], widths[1]), nn.LeakyReLU(0.2)]
    for fan_in, fan_out in pairwise(widths[1:]):
        layers += [_halving(fan_in, fan_out), nn.BatchNorm2d(fan_out), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * base * base, 1, bias=False))


def _doubling(fan_in: int, fan_out: int) -> nn.Module:
    return nn.ConvTranspose2d(fan_in, fan_out, 5, stride=2, padding=2, output_padding=1, bias=False)


def _halving(fan_in: int, fan_out: int) -> nn.Module:
    return nn.Conv2d(fan_in, fan_out, 5, stride=2, padding=2, bias=False)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
