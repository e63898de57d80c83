"""Observation models p(x|z): what a decoder's output says of the pixels of an image.

Each turns an image into what its likelihood is of, scores it, and turns the output into the mean image.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from fairdraw.losses import (
    LEVELS,
    at_least_float32,
    bernoulli_log_likelihood,
    discretised_logistic_log_likelihood,
    gaussian_log_likelihood,
)
from fairdraw.noise import Noise

Scale = Literal["fixed", "learned", "predicted"]

SMALLEST_LOG_SCALE = -7.0
"""Of a pixel on [0, 1]: a quarter of a level, below which nothing can be told apart."""


class Observation(nn.Module, ABC):
    """The distribution of the pixels of an image given a decoder's output `[B, outputs * C, H, W]`."""

    words: ClassVar[str]
    observed: ClassVar[Literal["bits", "levels", "values"]]
    outputs: int = 1
    """Numbers that the decoder gives for each pixel of each channel: a mean, and perhaps a scale."""

    @abstractmethod
    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """Images in [-1, 1] as the likelihood sees them, on [0, 1]."""

    @abstractmethod
    def log_likelihood(self, observed: Tensor, output: Tensor) -> Tensor:
        """log p(observed | output), `[B]` nats of a probability."""

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """The mean image, `[B, C, H, W]` in [-1, 1]."""

    @abstractmethod
    def output_of(self, mean: Tensor) -> Tensor:
        """The output, but for its scale, whose mean image is `mean`, on [0, 1]."""

    @abstractmethod
    def probabilities(self, output: Tensor) -> Tensor:
        """P(value) of every pixel, `[B, C * H * W, V]` with V = 2 or 256.

        Raises:
            TypeError: when the observation model is a density.
        """


@final
class Bernoulli(Observation):
    """Black and white pixels; the output is the logit of white (Kingma & Welling 2014, appendix C.1)."""

    words = "independent Bernoulli pixels, each drawn white with its grey level as probability"
    observed = "bits"

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """Each pixel is 1 with its grey level as the probability."""
        grey = (x + 1) / 2
        return (noise.uniform(*x.shape[1:]) < grey).to(x.dtype)

    def log_likelihood(self, observed: Tensor, output: Tensor) -> Tensor:
        """The Bernoulli log-likelihood, `[B]` nats."""
        return bernoulli_log_likelihood(observed, output)

    def mean(self, output: Tensor) -> Tensor:
        """The probability of white, in [-1, 1]."""
        return 2 * torch.sigmoid(output) - 1

    def output_of(self, mean: Tensor) -> Tensor:
        """The logit; means are kept within [.001, .999] as in Burda et al. 2016."""
        return torch.logit(mean, eps=1e-3)

    def probabilities(self, output: Tensor) -> Tensor:
        """P(black), P(white)."""
        white = torch.sigmoid(at_least_float32(output)).flatten(1)
        return torch.stack([1 - white, white], dim=2)


class _Scaled(Observation, ABC):
    """An observation model with a scale for each pixel, a fixed one, a learned one, or one of the decoder's outputs."""

    def __init__(self, scale: Scale, start: float) -> None:
        super().__init__()
        self.outputs = 2 if scale == "predicted" else 1
        log_scale = torch.tensor(math.log(start))
        if scale == "learned":
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def split(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The mean's part of the output, and the log of the scale on [0, 1]."""
        output = at_least_float32(output)
        mean, log_scale = output.chunk(2, dim=-3) if self.outputs == 2 else (output, output.new_zeros(()))
        return mean, (self.log_scale + log_scale).clamp_min(SMALLEST_LOG_SCALE)


@final
class Gaussian(_Scaled):
    """Dequantised pixels on [0, 1] under a Gaussian whose mean is the logistic of the output (section C.2).

    The log-likelihood bounds that of the 8-bit image: -log 256 for each pixel is in it.
    """

    words = "independent Gaussian pixels on uniformly dequantised levels; nats of the 8-bit image"
    observed = "levels"

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """(level + u) / 256 with u uniform on [0, 1)."""
        return (_levels(x) + noise.uniform(*x.shape[1:])) / LEVELS

    def log_likelihood(self, observed: Tensor, output: Tensor) -> Tensor:
        """The Gaussian log-likelihood, `[B]` nats of the 8-bit image."""
        mean, log_scale = self.split(output)
        return gaussian_log_likelihood(observed, torch.sigmoid(mean), log_scale)

    def mean(self, output: Tensor) -> Tensor:
        """The mean, from [0, 1] to [-1, 1]."""
        return 2 * torch.sigmoid(self.split(output)[0]) - 1

    def output_of(self, mean: Tensor) -> Tensor:
        """The logit of the mean, kept within [.001, .999]."""
        return torch.logit(mean, eps=1e-3)

    def probabilities(self, output: Tensor) -> Tensor:
        """There are none: it is a density."""
        raise TypeError("a Gaussian gives pixels a density and no probability")


@final
class DiscretisedLogistic(_Scaled):
    """The mass of a logistic distribution on each of the 256 levels (Kingma 2016, section 6.2): no dequantisation."""

    words = "independent discretised logistic pixels on 256 levels; nats of the 8-bit image"
    observed = "levels"

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """Level / 255; nothing is drawn."""
        return _levels(x) / (LEVELS - 1)

    def log_likelihood(self, observed: Tensor, output: Tensor) -> Tensor:
        """The log of the mass of each pixel's level, `[B]` nats."""
        mean, log_scale = self._in_levels(output)
        levels = (at_least_float32(observed) * (LEVELS - 1)).round()
        return discretised_logistic_log_likelihood(levels, mean, log_scale)

    def mean(self, output: Tensor) -> Tensor:
        """The centre of the distribution, which may lie beyond black or white, brought back to them."""
        return self.split(output)[0].clamp(-1, 1)

    def output_of(self, mean: Tensor) -> Tensor:
        """The mean image, in [-1, 1]."""
        return 2 * mean - 1

    def probabilities(self, output: Tensor) -> Tensor:
        """The mass of each of the 256 levels."""
        mean, log_scale = (t.expand_as(output[:, : output.shape[1] // self.outputs]) for t in self._in_levels(output))
        mean, inverse = mean.flatten(1)[..., None].double(), (-log_scale).exp().flatten(1)[..., None].double()
        edges = torch.arange(LEVELS - 1, device=output.device) + 0.5
        inner = torch.sigmoid((edges - mean) * inverse)
        ends = torch.zeros_like(mean)
        return torch.diff(torch.cat([ends, inner, ends + 1], dim=2), dim=2)

    def _in_levels(self, output: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = self.split(output)
        return (mean + 1) * (LEVELS - 1) / 2, log_scale + math.log(LEVELS - 1)


def _levels(x: Tensor) -> Tensor:
    return ((x + 1) * ((LEVELS - 1) / 2)).round()
