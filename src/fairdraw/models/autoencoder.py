"""Deep autoencoder.

Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313, 2006. The prior over
codes: Ghosh et al., "From variational to deterministic autoencoders", ICLR 2020 (arXiv:1903.12436).

    min  -sum_i [x_i log r_i + (1 - x_i) log(1 - r_i)],    r = logistic(decoder(c)),    c = encoder(x), a linear code

What differs from the paper, and why:

* No pretraining by a stack of restricted Boltzmann machines: rectifiers, He's initialisation and Adam made it
  unnecessary. Deep stacks of logistic units (`activation="logistic"`) are slow to start without it.
* Adam at 1e-3, falling to 0 along a line, in batches of 100, in place of conjugate gradients on batches of 1000.
* The output bias starts at the mean image; a linear output layer starts a tenth as large as the others would have it.
* Sampling is not in the paper, as its codes have no distribution. A Gaussian is fitted to the codes of up to 10,000
  training images afterwards (Ghosh et al.), so that there is something to compare a VAE's draws with.
* The classifier of the supplement, and the nets for documents, curves and faces, are not here: they are no models of
  images, or this one with other widths.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, final

import torch
from torch import Tensor

from fairdraw.capabilities import BeginsLinearly, Encodes, Generates
from fairdraw.errors import check_at_least
from fairdraw.losses import PIXELS, squared_error
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.codes import GaussianCodes
from fairdraw.nets.output import Loss, Output, Range, start_at_the_mean
from fairdraw.nets.stacks import Activation, Stack, initialise, start_small, weights_of
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam


@dataclass(frozen=True)
class AutoencoderConfig:
    """Options of the autoencoder.

    Args:
        architecture: fully connected as in the paper, or strided convolutions.
        hidden: units of the hidden layers, from the image inwards; none for a linear encoder. The decoder mirrors them.
        latent: dimensions of the code, which is linear.
        activation: non-linearity of the hidden layers; the paper's is logistic, with pretraining.
        width: channels of the outermost convolution, doubled at each halving of the map (convolutional only).
        output: logistic as in the paper, or linear, which with no hidden layers learns the subspace of PCA.
        loss: cross-entropy of grey levels as in the paper (logistic output only), or squared error.
        optimizer: the one player's optimizer.
    """

    architecture: Literal["mlp", "conv"] = "mlp"
    hidden: tuple[int, ...] = (1000, 500, 250)
    latent: int = 30
    activation: Activation = "relu"
    width: int = 32
    output: Range = "logistic"
    loss: Loss = "cross-entropy"
    optimizer: Adam = field(default_factory=Adam)

    def __post_init__(self) -> None:
        check_at_least(1, self, "hidden", "latent", "width")
        Output(self.output, self.loss)


@final
class Autoencoder(Model, Generates, Encodes, BeginsLinearly):
    """The deep autoencoder (Hinton & Salakhutdinov 2006)."""

    Config = AutoencoderConfig
    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        stack = Stack(config.architecture, config.hidden, config.activation, config.width, "autoencoder")
        self.encoder = stack.encoder(shape, config.latent)
        self.decoder = stack.decoder(config.latent, shape)
        initialise(self, config.activation if config.hidden else "tanh")  # He's are too large without a rectifier
        if config.hidden and config.output == "linear":
            start_small(self.decoder)
        self.codes = GaussianCodes(config.latent)
        self.output = Output(config.output, config.loss)

    def players(self) -> dict[str, Player]:
        """One player: encoder and decoder together."""
        return {"autoencoder": Player.of(self, self.config.optimizer)}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """Descend the cross-entropy or the squared error of the reconstruction."""
        x = (batch["image"] + 1) / 2
        output = self.decoder(self.encoder(x))
        cost = self.output.costs(output, x).sum(PIXELS).mean()
        with torch.no_grad():
            error = squared_error(self.output.image(output), x).mean()
        yield Update("autoencoder", cost, {"squared_error": error})

    def prepare(self, images: Tensor) -> None:
        """The output bias starts at the mean image (at each channel's mean for convolutions)."""
        start_at_the_mean(self.decoder, images, self.output.inverse)

    def finish(self, images: Tensor) -> None:
        """Fit the Gaussian over codes."""
        self.codes.fit(self.encoder, (images + 1) / 2)

    def prior(self, noise: Noise) -> Tensor:
        """Codes from the Gaussian that was fitted to those of training images, `[B, D]`."""
        return self.codes.draw(noise)

    def generate(self, z: Tensor) -> Tensor:
        """The images of the codes `z`."""
        return 2 * self.output.image(self.decoder(z)) - 1

    def first_weights(self) -> Tensor:
        """Of the decoder's first layer."""
        return weights_of(self.decoder[0])

    def encode(self, x: Tensor) -> Tensor:
        """The codes of `x`, `[B, D]`."""
        codes: Tensor = self.encoder((x + 1) / 2)
        return codes
