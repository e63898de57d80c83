"""Generative adversarial networks.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville & Bengio, "Generative adversarial nets", NIPS 2014
(arXiv:1406.2661).

    min_G max_D  E log D(x) + E log(1 - D(G(z)))        and in practice, for G:  max E log D(G(z))

Paper's text and released code, for 28 px digits: G of rectifiers 100-1200-1200-784 with a logistic output that starts
at the mean image, 2,503,984 parameters; D of maxout units, 240 and 240 of five pieces, 1,231,441 parameters; weights
uniform within 0.05 in G and 0.005 in D; dropout in D, which keeps 0.8 of the pixels and 0.5 of the hidden units, while
G trains too; z uniform with unit variance for digits and Gaussian for all else; batches of 100, momentum from 0.5 to
0.7 over 250 epochs, learning rate 0.1 divided by 1.000004 at each update; G by the non-saturating objective; one update
moves D and G together on the same images and the same z, with the same units of D left by dropout. D minimises half of
its cross-entropy, log 2 at D = 1/2.

Algorithm 1 of the text is `moves="alternating"`: k steps of D, each on fresh images and fresh z, then one of G on z of
its own. `loss="minimax"` is equation 1 as written.

What differs, and why:

* Images are on [-1, 1] outside and on [0, 1] where D sees digits. CIFAR-10's contrast normalisation and TFD's
  pre-training of the top layer of G are not here; linear outputs are on [-1, 1].
* Dropout keeps other units for other parts of a batch where it is divided, as it draws from torch's generator.
* Samples are of averaged weights; which of the last weights the paper drew from is not said.
* The figures of inpainting in the released code are not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, final

import torch
from torch import Tensor, nn

from fairdraw.adversarial import discriminator_loss, generator_objective, mean_of
from fairdraw.capabilities import BeginsLinearly, Discriminates, Generates
from fairdraw.errors import InputError, check_at_least
from fairdraw.losses import at_least_float32
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.maxout import Maxout, MaxoutConvolution
from fairdraw.nets.output import Output, start_at_the_mean
from fairdraw.nets.prior import Prior, drawn
from fairdraw.nets.stacks import Activation, activation, weights_of
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam, Momentum

REACH = 3**0.5
"""Of the uniform prior: its variance is 1."""
LEAST_SIDE = 8
"""Of the images of a convolutional discriminator: of smaller ones its three layers leave nothing."""
MAPS, MAP_KERNEL, MAP_STRIDE = 80, 5, 3
"""Of the convolutional generator's last layer."""


def released_momentum(learning_rate: float, batch: int, epoch: int) -> Momentum:
    """The rule of the released code: 250 epochs of rising momentum, the rate divided by 1.000004 at each update."""
    half_life = round(batch * 0.6931472 / 4e-6)
    return Momentum(learning_rate, 0.5, 0.7, ramp_images=250 * epoch, half_life_images=half_life, lowest=1e-6)


@dataclass(frozen=True)
class GANConfig:
    """Options of the GAN.

    Args:
        architecture: both networks fully connected; or G with a deconvolution at the end and D of maxout convolutions.
        latent: dimensions of z.
        prior: distribution of z, with unit variance either way.
        hidden: units of the generator's hidden layers, before the maps that a convolutional one has beside them.
        activations: of each of them.
        output: the generator's, logistic for pixels on [0, 1] or linear.
        discriminator_hidden: maxout units of each dense hidden layer of D.
        pieces: linear pieces of each dense maxout unit.
        input_keep: share of the pixels that dropout leaves D.
        hidden_keep: share of the hidden units that dropout leaves D.
        loss: what G minimises: equation 1 as written, or -E log D(G(z)).
        moves: both players at once on the same z, or in turn as algorithm 1.
        discriminator_steps: k, steps of D to one of G, where they move in turn.
        generator_range: its weights start uniform within this.
        discriminator_range: its weights start uniform within this.
        largest_norm: of the weights into a unit, which are scaled down to it after each update; 0 is no bound.
        optimizer: the same settings for both players.
    """

    architecture: Literal["dense", "convolutional"] = "dense"
    latent: int = 100
    prior: Prior = "uniform"
    hidden: tuple[int, ...] = (1200, 1200)
    activations: tuple[Activation, ...] = ("relu", "relu")
    output: Literal["logistic", "linear"] = "logistic"
    discriminator_hidden: tuple[int, ...] = (240, 240)
    pieces: int = 5
    input_keep: float = 0.8
    hidden_keep: float = 0.5
    loss: Literal["non-saturating", "minimax"] = "non-saturating"
    moves: Literal["simultaneous", "alternating"] = "simultaneous"
    discriminator_steps: int = 1
    generator_range: float = 0.05
    discriminator_range: float = 0.005
    largest_norm: float = 0.0
    optimizer: Momentum | Adam = field(default_factory=lambda: released_momentum(0.1, 100, 50_000))

    def __post_init__(self) -> None:
        check_at_least(1, self, "latent", "hidden", "discriminator_hidden", "pieces", "discriminator_steps")
        check_at_least(0, self, "generator_range", "discriminator_range", "largest_norm")
        for name, keep in (("input_keep", self.input_keep), ("hidden_keep", self.hidden_keep)):
            if not 0 < keep <= 1:
                raise InputError(f"{name} is {keep:g}: give more than 0 and at most 1")
        if len(self.activations) != len(self.hidden) or not self.hidden:
            raise InputError(
                f"{len(self.hidden)} hidden layers and {len(self.activations)} activations: give --hidden and "
                "--activations one word for each layer, and at least one layer"
            )
        if self.discriminator_steps > 1 and self.moves == "simultaneous":
            raise InputError("--discriminator-steps counts moves in turn: add --moves alternating")


@final
class GAN(Model, Generates, Discriminates, BeginsLinearly):
    """The generative adversarial nets (Goodfellow et al. 2014)."""

    Config = GANConfig
    config: GANConfig

    def __init__(self, config: GANConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        if config.architecture == "dense":
            self.generator, features = _dense_generator(config, shape), _dense_start(shape)
        else:
            self.generator, features = _convolutional_generator(config, shape), _convolutional_start(config, shape)
        self.discriminator = _discriminator(config, shape, features)
        _start_within(self.generator, config.generator_range)
        _start_within(self.discriminator, config.discriminator_range)

    def players(self) -> dict[str, Player]:
        """Discriminator and generator."""
        return {
            "discriminator": Player.of(self.discriminator, self.config.optimizer),
            "generator": Player.of(self.generator, self.config.optimizer),
        }

    def prepare(self, images: Tensor) -> None:
        """Start a dense generator with a logistic output at the mean image."""
        if self.config.output == "logistic" and self.config.architecture == "dense":
            start_at_the_mean(self.generator, images, Output("logistic", "cross-entropy").inverse)

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """Both players at once, as the released code; or k steps of D, then one of G (algorithm 1)."""
        at_once = self.config.moves == "simultaneous"
        with torch.set_grad_enabled(at_once):
            images = self.generate(self.prior(clock.noise))
        fake = images.detach().requires_grad_(at_once)

        real_logits, fake_logits = self._judged(batch["image"]), self._judged(fake)
        if at_once:
            loss = generator_objective(self.config.loss, fake_logits)
            (pull,) = torch.autograd.grad(loss, fake, retain_graph=True)
        log = {"real_logit": mean_of(real_logits), "fake_logit": mean_of(fake_logits)}
        yield Update("discriminator", 0.5 * discriminator_loss(real_logits, fake_logits), log)
        self._bound_norms(self.discriminator)

        if at_once:
            # The gradient at G's images from before D moved; the value is that of the loss.
            follow = (pull * images).sum()
            yield Update("generator", follow + (loss - follow).detach())
        elif (clock.step + 1) % self.config.discriminator_steps == 0:
            fake = self.generate(self.prior(clock.noise))
            yield Update("generator", generator_objective(self.config.loss, self._judged(fake)))
        self._bound_norms(self.generator)

    def prior(self, noise: Noise) -> Tensor:
        """z `[B, D]` with mean 0 and variance 1."""
        return drawn(self.config.prior, noise, self.config.latent, REACH)

    def generate(self, z: Tensor) -> Tensor:
        """G(z), on [-1, 1]; a linear output may leave it."""
        output = at_least_float32(self.generator(z))
        return 2 * torch.sigmoid(output) - 1 if self.config.output == "logistic" else output

    def first_weights(self) -> Tensor:
        """Of G's first dense layer."""
        return weights_of(self.generator[0])

    def realness(self, x: Tensor) -> Tensor:
        """D's logits."""
        return self._judged(x).squeeze(1)

    def _judged(self, images: Tensor) -> Tensor:
        """D's logits of the images, which it sees on [0, 1] where the generator's output is."""
        logits: Tensor = self.discriminator((images + 1) / 2 if self.config.output == "logistic" else images)
        return logits

    @torch.no_grad()
    def _bound_norms(self, network: nn.Module) -> None:
        if self.config.largest_norm:
            for layer in network.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    layer.weight.copy_(torch.renorm(layer.weight, 2, 0, self.config.largest_norm))


def _dense_generator(config: GANConfig, shape: tuple[int, int, int]) -> nn.Sequential:
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(*_hidden_layers(config), nn.Linear(config.hidden[-1], pixels), nn.Unflatten(1, shape))


def _hidden_layers(config: GANConfig) -> list[nn.Module]:
    layers: list[nn.Module] = []
    widths = pairwise([config.latent, *config.hidden])
    for (fan_in, fan_out), name in zip(widths, config.activations, strict=True):
        layers += [nn.Linear(fan_in, fan_out), activation(name)]
    return layers


def _convolutional_generator(config: GANConfig, shape: tuple[int, int, int]) -> nn.Sequential:
    """Logistic maps that a deconvolution takes to the image: of 10 px to 32 px, as released; cropped at other sizes."""
    side = -(-(shape[1] - MAP_KERNEL) // MAP_STRIDE) + 1
    return nn.Sequential(
        *_hidden_layers(config),
        nn.Linear(config.hidden[-1], MAPS * side * side),
        nn.Sigmoid(),
        nn.Unflatten(1, (MAPS, side, side)),
        nn.ConvTranspose2d(MAPS, shape[0], MAP_KERNEL, MAP_STRIDE, bias=False),
        _CroppedWithBias(shape),
    )


def _dense_start(shape: tuple[int, int, int]) -> tuple[list[nn.Module], int]:
    return [nn.Flatten()], shape[0] * shape[1] * shape[2]


def _convolutional_start(config: GANConfig, shape: tuple[int, int, int]) -> tuple[list[nn.Module], int]:
    """The released code's three layers, of 32, 32 and 192 channels of two pieces; dropout before each but the first."""
    if shape[1] < LEAST_SIDE:
        raise InputError(
            f"a convolutional gan cannot make images of {shape[1]} px: its discriminator shrinks them three times; "
            f"choose at least {LEAST_SIDE} with --size, or --architecture dense"
        )
    layers = [
        MaxoutConvolution(shape[0], 32, 2, kernel=8, padding=4, pool=4),
        nn.Dropout(1 - config.hidden_keep),
        MaxoutConvolution(32, 32, 2, kernel=8, padding=3, pool=4),
        nn.Dropout(1 - config.hidden_keep),
        MaxoutConvolution(32, 192, 2, kernel=5, padding=3, pool=2),
        nn.Flatten(),
        nn.Dropout(1 - config.hidden_keep),
    ]
    with torch.no_grad():
        size = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1]
    return layers, size


def _discriminator(config: GANConfig, shape: tuple[int, int, int], start: tuple[list[nn.Module], int]) -> nn.Sequential:
    first, size = start
    layers: list[nn.Module] = [nn.Dropout(1 - config.input_keep), *first]
    for fan_in, fan_out in pairwise([size, *config.discriminator_hidden]):
        layers += [Maxout(fan_in, fan_out, config.pieces), nn.Dropout(1 - config.hidden_keep)]
    return nn.Sequential(*layers, nn.Linear([size, *config.discriminator_hidden][-1], 1))


class _CroppedWithBias(nn.Module):
    """The image's part of a map, with a bias for each pixel."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.bias.shape[1], : self.bias.shape[2]] + self.bias


def _start_within(network: nn.Module, reach: float) -> None:
    """Weights uniform within the range, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.uniform_(layer.weight, -reach, reach)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
