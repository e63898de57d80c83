"""Variational autoencoder.

Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014 (arXiv:1312.6114).

    max  E_q(z|x)[log p(x|z)] - KL(q(z|x) || N(0, I)),    q(z|x) = N(mean(x), diag(exp(log_var(x)))),
    p(x|z) Bernoulli

What differs from the paper, and why:

* Adam at 1e-3 in place of Adagrad, which is not offered: it is what everybody compares with today. The minibatch of
  100, the one sample of z per image, the single hidden layer of 500 tanh units and the closed-form KL are the paper's.
* torch's default initialisation in place of N(0, 0.01), and no weight decay: with Adam neither was needed. The output
  bias starts at the logit of the training mean, as in Burda et al. 2016; from zero, the latents of a small set drift
  off the origin to stand in for the bias, and draws from the prior then show inverted backgrounds.
* Images are binarised anew at each visit (x = 1 with the grey level as its probability), so that the bound is one on
  a probability. `targets="grey"` trains on grey levels as many public examples do; evaluation still binarises.
* The convolutional networks are later practice. The Gaussian decoder for real-valued images (Frey faces) and the full
  variational Bayes of appendix F (a posterior over the weights too) are not here: this decoder is Bernoulli only.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from fairdraw.errors import check_at_least
from fairdraw.losses import bernoulli_log_likelihood, gaussian_kl
from fairdraw.model import Adam, Batch, Bounds, Clock, Elbo, Encodes, Generates, Model, Player, Update
from fairdraw.nets.pyramid import halvings
from fairdraw.noise import Noise


@dataclass(frozen=True)
class VAEConfig:
    """Options of the VAE.

    Args:
        architecture: fully connected as in the paper, or strided convolutions.
        hidden: units of the hidden layers, from the image inwards; the decoder mirrors them.
        latent: dimensions of z.
        activation: non-linearity of the hidden layers.
        width: channels of the outermost convolution, doubled at each halving of the map (convolutional only).
        targets: binarise the images anew at each visit, or train on their grey levels.
        optimizer: the one player's optimizer.
    """

    architecture: Literal["mlp", "conv"] = "mlp"
    hidden: tuple[int, ...] = (500,)
    latent: int = 20
    activation: Literal["tanh", "relu"] = "tanh"
    width: int = 32
    targets: Literal["binarised", "grey"] = "binarised"
    optimizer: Adam = field(default_factory=Adam)

    def __post_init__(self) -> None:
        check_at_least(1, self, "hidden", "latent", "width")


@final
class VAE(Model, Generates, Encodes, Bounds):
    """The variational autoencoder (Kingma & Welling 2014) with a Bernoulli decoder."""

    Config = VAEConfig
    config: VAEConfig
    observation: ClassVar[str] = "independent Bernoulli pixels, binarised anew with the grey level as probability"

    def __init__(self, config: VAEConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        networks = mlp_networks if config.architecture == "mlp" else conv_networks
        self.encoder, self.decoder = networks(config, shape)

    def players(self) -> dict[str, Player]:
        """One player: encoder and decoder together."""
        return {"vae": Player.of(self, self.config.optimizer)}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """Ascend the bound with one sample of z per image (algorithm 1 with L = 1)."""
        x = (batch["image"] + 1) / 2
        target = self._binarise(x, clock.noise) if self.config.targets == "binarised" else x
        bound = self._elbo(target, clock.noise)
        log = {"nll": -bound.log_likelihood.mean().detach(), "kl": bound.kl.mean().detach()}
        yield Update("vae", -bound.value.mean(), log)

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """The output bias starts at the logit of the mean image (of each channel's mean for convolutions)."""
        mean = ((images + 1) / 2).mean(0)
        if self.config.architecture == "mlp":
            output, mean = self.decoder[-2], mean.flatten()
        else:
            output, mean = self.decoder[-1], mean.mean((1, 2))
        assert isinstance(output, nn.Linear | nn.ConvTranspose2d)
        assert output.bias is not None
        output.bias.copy_(torch.logit(mean, eps=1e-3))

    def prior(self, noise: Noise) -> Tensor:
        """z ~ N(0, I), `[B, D]`."""
        return noise.normal(self.config.latent)

    def generate(self, z: Tensor) -> Tensor:
        """The decoder's mean image."""
        return 2 * torch.sigmoid(self.decoder(z)) - 1

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z|x), `[B, D]`."""
        mean, _ = self._posterior((x + 1) / 2)
        return mean

    def elbo(self, x: Tensor, noise: Noise) -> Elbo:
        """The bound on log p of a binarisation of `x` drawn from `noise`, nats."""
        return self._elbo(self._binarise((x + 1) / 2, noise), noise)

    def _binarise(self, x: Tensor, noise: Noise) -> Tensor:
        return (noise.uniform(*x.shape[1:]) < x).to(x.dtype)

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        return mean, log_var

    def _elbo(self, x: Tensor, noise: Noise) -> Elbo:
        mean, log_var = self._posterior(x)
        z = mean + (0.5 * log_var).exp() * noise.normal(self.config.latent)  # the reparameterisation, section 2.4
        return Elbo(bernoulli_log_likelihood(x, self.decoder(z)), gaussian_kl(mean, log_var))


def mlp_networks(config: VAEConfig, shape: tuple[int, int, int]) -> tuple[nn.Sequential, nn.Sequential]:
    """Fully connected encoder `[B, C, H, W] -> [B, 2 D]` and decoder `[B, D] -> [B, C, H, W]` (appendix C)."""
    widths = [shape[0] * shape[1] * shape[2], *config.hidden]
    encoder = [nn.Flatten(), *_dense(widths, config), nn.Linear(widths[-1], 2 * config.latent)]
    inward = [config.latent, *config.hidden[::-1]]
    decoder = [*_dense(inward, config), nn.Linear(inward[-1], widths[0]), nn.Unflatten(1, shape)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


def conv_networks(config: VAEConfig, shape: tuple[int, int, int]) -> tuple[nn.Sequential, nn.Sequential]:
    """Strided convolutions down to a map of 4 to 7 px, then the fully connected layers; the decoder mirrors them."""
    base, stages = halvings(shape[1], "the convolutional vae")
    channels = [shape[0], *(config.width << k for k in range(stages))]
    widths = [channels[-1] * base * base, *config.hidden]

    encoder: list[nn.Module] = []
    for fan_in, fan_out in pairwise(channels):
        encoder += [nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1), _activation(config)]
    encoder += [nn.Flatten(), *_dense(widths, config), nn.Linear(widths[-1], 2 * config.latent)]

    decoder = [*_dense([config.latent, *widths[::-1]], config), nn.Unflatten(1, (channels[-1], base, base))]
    for fan_in, fan_out in pairwise(channels[::-1]):
        decoder += [nn.ConvTranspose2d(fan_in, fan_out, 4, stride=2, padding=1), _activation(config)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder[:-1])


def _dense(widths: list[int], config: VAEConfig) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), _activation(config)]
    return layers


def _activation(config: VAEConfig) -> nn.Module:
    return nn.Tanh() if config.activation == "tanh" else nn.ReLU()
