"""Wasserstein generative adversarial networks with gradient penalty.

Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville, "Improved training of Wasserstein GANs", NIPS 2017 (arXiv:1704.00028);
the objective without the penalty is that of Arjovsky, Chintala & Bottou, "Wasserstein GAN", ICML 2017
(arXiv:1701.07875).

    D:  min  E D(G(z)) - E D(x) + lambda E (|grad D(x^)| - 1)^2,    G:  min  -E D(G(z)),    z ~ N(0, I)^128

with x^ uniform between a real and a generated image. D is a critic: its score is no probability. Five steps of D, each
on a fresh batch and fresh z, then one of G on z of its own (algorithm 1). lambda = 10, Adam at 1e-4 with betas 0 and
0.9, batches of 64; no batch normalisation in D, since the penalty is of each image by itself.

What differs, and why:

* The networks are the paper's DCGAN ones, of its released code for 64 px: G with batch normalisation, here of each unit
  where z is projected, D with none or with layer normalisation. Weights start as in its code for 28 and 32 px, not with
  a deviation of 0.02, and G's last layer has no bias. The residual networks of its CIFAR-10 and LSUN figures are not
  here, nor are the character-level language models.
* G moves after the fifth step of D, on z of its own; time is counted in real images, which D alone sees.
* Weight clipping, which the penalty replaced, is not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from fairdraw.adversarial import gradient_penalty, mean_of, wasserstein_critic, wasserstein_generator
from fairdraw.capabilities import BeginsLinearly, Discriminates, Generates
from fairdraw.errors import check_at_least
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.prior import Prior, drawn
from fairdraw.nets.pyramid import feature_network, generator_network, halvings
from fairdraw.nets.stacks import weights_of
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam


@dataclass(frozen=True)
class WGANConfig:
    """Options of the Wasserstein GAN.

    Args:
        latent: dimensions of z.
        prior: distribution of z.
        width: channels of the outermost hidden layer of both networks, doubled at each halving of the map.
        penalty: weight lambda of the gradient penalty.
        critic_steps: steps of D to one of G.
        normalisation: of D: layer normalisation (section 4), or none.
        optimizer: the same settings for both players.
    """

    latent: int = 128
    prior: Prior = "gaussian"
    width: int = 64
    penalty: float = 10.0
    critic_steps: int = 5
    normalisation: Literal["none", "layer"] = "none"
    optimizer: Adam = field(default_factory=lambda: Adam(1e-4, (0.0, 0.9)))

    def __post_init__(self) -> None:
        check_at_least(1, self, "latent", "width", "critic_steps")
        check_at_least(0, self, "penalty")


@final
class WGAN(Model, Generates, Discriminates, BeginsLinearly):
    """The Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)."""

    Config = WGANConfig
    config: WGANConfig
    memory_format: ClassVar[torch.memory_format] = torch.channels_last

    def __init__(self, config: WGANConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        base, stages = halvings(shape[1], "wgan")
        widths = [shape[0], *(config.width << k for k in range(stages))]
        self.generator = generator_network(config.latent, base, widths[::-1])
        features = feature_network(widths, config.normalisation, bias=True)
        self.critic = nn.Sequential(*features, nn.Linear(widths[-1] * base * base, 1))
        self.apply(_initialise)

    def players(self) -> dict[str, Player]:
        """Critic and generator."""
        return {
            "critic": Player.of(self.critic, self.config.optimizer),
            "generator": Player.of(self.generator, self.config.optimizer),
        }

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """One step of D; after the last of `critic_steps` also one of G (algorithm 1)."""
        real = batch["image"]
        with torch.no_grad():
            fake = self.generate(self.prior(clock.noise))
        real_scores, fake_scores = self.critic(real), self.critic(fake)
        penalty = gradient_penalty(self.critic, real, fake, clock.noise.uniform())
        loss = wasserstein_critic(real_scores, fake_scores) + self.config.penalty * penalty
        log = {"real_score": mean_of(real_scores), "fake_score": mean_of(fake_scores)}
        yield Update("critic", loss, log | {"gradient_penalty": penalty.detach()})

        if (clock.step + 1) % self.config.critic_steps == 0:
            fake = self.generate(self.prior(clock.noise))
            yield Update("generator", wasserstein_generator(self.critic(fake)))

    def prior(self, noise: Noise) -> Tensor:
        """z ~ N(0, I) or U(-1, 1)^D, `[B, D]`."""
        return drawn(self.config.prior, noise, self.config.latent)

    def generate(self, z: Tensor) -> Tensor:
        """G(z)."""
        images: Tensor = self.generator(z)
        return images

    def first_weights(self) -> Tensor:
        """Of the projection to the smallest map."""
        return weights_of(self.generator[0])

    def realness(self, x: Tensor) -> Tensor:
        """The critic's scores."""
        scores: Tensor = self.critic(x)
        return scores.squeeze(1)


def _initialise(module: nn.Module) -> None:
    """Uniform weights with the deviations of the released code: He's over both fans, Glorot's where it is dense."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        taps = module.kernel_size[0] * module.kernel_size[1]
        strides = module.stride[0] * module.stride[1]
        fan_in, fan_out = float(module.in_channels * taps), float(module.out_channels * taps)
        if isinstance(module, nn.ConvTranspose2d):
            fan_in /= strides
        else:
            fan_out /= strides
        _uniform(module, (4 / (fan_in + fan_out)) ** 0.5)
    elif isinstance(module, nn.Linear):
        _uniform(module, (2 / (module.in_features + module.out_features)) ** 0.5)


def _uniform(module: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, deviation: float) -> None:
    nn.init.uniform_(module.weight, -deviation * 3**0.5, deviation * 3**0.5)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
