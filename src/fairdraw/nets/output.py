"""What an autoencoder's decoder puts out, what it costs, and where it starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.errors import InputError
from fairdraw.losses import at_least_float32
from fairdraw.nets.stacks import output_layer

Range = Literal["logistic", "linear"]
Loss = Literal["cross-entropy", "squared-error"]


@dataclass(frozen=True)
class Output:
    """How a decoder's output becomes an image on [0, 1], and what each of its pixels costs.

    Raises:
        InputError: for the cross-entropy of a linear output, which is no probability.
    """

    range: Range
    loss: Loss

    def __post_init__(self) -> None:
        if self.range == "linear" and self.loss == "cross-entropy":
            raise InputError("a linear output has no cross-entropy: add --loss squared-error, or --output logistic")

    def image(self, output: Tensor) -> Tensor:
        """The image, on [0, 1]; a linear output may leave it and is not clipped."""
        return torch.sigmoid(at_least_float32(output)) if self.range == "logistic" else at_least_float32(output)

    def costs(self, output: Tensor, x: Tensor) -> Tensor:
        """Cross-entropy in nats, or squared error, of each pixel of `x` on [0, 1]."""
        if self.loss == "squared-error":
            return (self.image(output) - x).square()
        a = at_least_float32(output)
        return F.softplus(a) - x * a

    def inverse(self, image: Tensor) -> Tensor:
        """The output whose image is `image`, kept within [.001, .999] where it has to be."""
        return torch.logit(image, eps=1e-3) if self.range == "logistic" else image


def start_at_the_mean(decoder: nn.Sequential, images: Tensor, inverse: Callable[[Tensor], Tensor]) -> None:
    """Set the output bias to the mean of `images` `[N, C, H, W]` in [-1, 1]: of each pixel, or of each channel.

    Args:
        decoder: ends in a dense layer (a bias for each pixel) or in a convolution (one for each channel).
        images: training images.
        inverse: the output whose image on [0, 1] is the given one.
    """
    layer = output_layer(decoder)
    assert layer.bias is not None
    mean = (images.mean(0) + 1) / 2
    start = inverse(mean.mean((1, 2)) if isinstance(layer, nn.ConvTranspose2d) else mean).flatten()
    with torch.no_grad():
        layer.bias[: len(start)] = start  # what follows, if anything, are scales
