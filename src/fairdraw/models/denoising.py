"""Denoising autoencoder.

Vincent, Larochelle, Bengio & Manzagol, "Extracting and composing robust features with denoising autoencoders", ICML
2008, and Vincent et al., "Stacked denoising autoencoders", JMLR 11, 2010. The prior over codes: Ghosh et al., "From
variational to deterministic autoencoders", ICLR 2020 (arXiv:1903.12436).

    min  E_q(x~|x) sum_i c_i L(x_i, r_i),    r = logistic(decoder(encoder(x~))),    L cross-entropy or squared error,
    c_i = alpha where x~_i was corrupted, beta elsewhere

The corruption is drawn anew at each visit; the target is always the clean image.

What differs from the papers, and why:

* Layers are not stacked one after another, each denoising the clean code of the one below: with rectifiers, a scaled
  initialisation and Adam, several hidden layers are trained at once, and the image alone is corrupted. A single hidden
  layer, the default, is the papers' own.
* The supervised fine-tuning, and the classification errors that the papers report, are not here: this is a toolkit for
  images. `encode` gives the features to a classifier of your choice.
* Rectifiers in place of logistic units, which are there on request: they restore more in the same time.
* Adam at 1e-3 in place of stochastic gradient descent. The output bias starts at the mean image.
* Convolutions and block masks, for filling in, are later practice.
* Sampling is not in these papers. A Gaussian is fitted to the codes of training images afterwards (Ghosh et al.); its
  draws are poor, as the codes were trained to be restored and not to be drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, final

import torch
from torch import Tensor, nn

from fairdraw.capabilities import BeginsLinearly, Denoises, Encodes, Generates
from fairdraw.errors import InputError, check_at_least
from fairdraw.losses import PIXELS, squared_error
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.codes import GaussianCodes
from fairdraw.nets.corruption import Corruption, corrupt
from fairdraw.nets.output import Loss, Output, Range, start_at_the_mean
from fairdraw.nets.stacks import Activation, Stack, activation, initialise, start_small, tie, weights_of
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam


@dataclass(frozen=True)
class DenoisingConfig:
    """Options of the denoising autoencoder.

    Args:
        architecture: fully connected as in the papers, or strided convolutions.
        hidden: units of the hidden layers, from the image inwards; the last is the code. The decoder mirrors them.
        activation: non-linearity of the hidden layers; the papers' is logistic.
        width: channels of the outermost convolution, doubled at each halving of the map (convolutional only).
        tied: the decoder's weights are the encoder's, transposed (fully connected only).
        corruption: masking (an exact count of components, 2008), independent-masking (each component for itself,
            2010), salt-and-pepper, gaussian, or blocks (a square, for filling in).
        amount: share of the components or of the area that is corrupted, or the standard deviation on [0, 1].
        emphasis: alpha and beta, the weights of corrupted and of untouched components in the loss.
        output: logistic as in the papers, or linear.
        loss: cross-entropy of grey levels (logistic output only), or squared error.
        optimizer: the one player's optimizer.
    """

    architecture: Literal["mlp", "conv"] = "mlp"
    hidden: tuple[int, ...] = (1000,)
    activation: Activation = "relu"
    width: int = 32
    tied: bool = False
    corruption: Corruption = "masking"
    amount: float = 0.25
    emphasis: tuple[float, float] = (1.0, 1.0)
    output: Range = "logistic"
    loss: Loss = "cross-entropy"
    optimizer: Adam = field(default_factory=Adam)

    def __post_init__(self) -> None:
        check_at_least(1, self, "hidden", "width")
        check_at_least(0, self, "amount", "emphasis")
        if not self.hidden:
            raise InputError("hidden is empty: its last layer is the code; give at least one width with --hidden")
        if self.corruption != "gaussian" and self.amount > 1:
            raise InputError(f"amount is {self.amount}: it is the share that is corrupted; give 0 to 1 with --amount")
        if self.tied and self.architecture == "conv":
            raise InputError("tied weights are for --architecture mlp: leave out --tied")
        if not any(self.emphasis) or (self.corruption == "gaussian" and not self.emphasis[0]):
            raise InputError("emphasis is 0 for all that is corrupted or left: give a weight above 0 with --emphasis")
        Output(self.output, self.loss)


@final
class Denoising(Model, Generates, Encodes, Denoises, BeginsLinearly):
    """The denoising autoencoder (Vincent 2008, 2010)."""

    Config = DenoisingConfig
    config: DenoisingConfig

    def __init__(self, config: DenoisingConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        stack = Stack(config.architecture, config.hidden[:-1], config.activation, config.width, "denoising")
        code = config.hidden[-1]
        self.encoder = nn.Sequential(*stack.encoder(shape, code), activation(config.activation))
        self.decoder = stack.decoder(code, shape)
        initialise(self, config.activation)
        if config.tied:
            tie(self.decoder, self.encoder)
        if config.output == "linear":
            start_small(self.decoder)
        self.codes = GaussianCodes(code)
        self.output = Output(config.output, config.loss)

    def players(self) -> dict[str, Player]:
        """One player: encoder and decoder together."""
        return {"denoising": Player.of(self, self.config.optimizer)}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """Descend the emphasised loss of the clean image, given a corruption of it."""
        x = (batch["image"] + 1) / 2
        corrupted, where = corrupt(x, self.config.corruption, self.config.amount, clock.noise)
        output = self.decoder(self.encoder(corrupted))
        alpha, beta = self.config.emphasis
        cost = (torch.where(where, alpha, beta) * self.output.costs(output, x)).sum(PIXELS).mean()
        with torch.no_grad():
            error = squared_error(self.output.image(output), x).mean()
            untreated = squared_error(corrupted, x).mean()
        yield Update("denoising", cost, {"squared_error": error, "corrupted_squared_error": untreated})

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
        """The codes of `x` as it is, `[B, D]`."""
        codes: Tensor = self.encoder((x + 1) / 2)
        return codes

    @property
    def corruption(self) -> tuple[str, float]:
        """Kind and amount of the corruption that it was trained against."""
        return self.config.corruption, self.config.amount

    def denoise(self, x: Tensor) -> Tensor:
        """What the network makes of the corrupted `x`, in [-1, 1]."""
        return self.generate(self.encode(x))
