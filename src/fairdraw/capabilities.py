"""What a trained model can do for a person: abstract classes in the class header, asked for by `isinstance` alone."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, NamedTuple, Self, final

import torch
from torch import Tensor

from fairdraw.model import SAMPLE_CHUNK, Model
from fairdraw.noise import Noise

SMALL, SMALL_SAMPLE_CHUNK = 1024, 256
"""Values of an image that is small, and how many such images are generated at a time."""


def sample_chunk(shape: tuple[int, int, int]) -> int:
    """Images of `shape` generated at a time, so many that a step is worth its overhead.

    The same for every count, so that the k-th draw of a seed has the same bits whatever the count.
    """
    return SMALL_SAMPLE_CHUNK if math.prod(shape) <= SMALL else SAMPLE_CHUNK


class Generates(ABC):
    """Makes images from a latent `z` that is drawn from a prior."""

    @abstractmethod
    def prior(self, noise: Noise) -> Tensor:
        """One latent for each image of `noise`: `z` `[B, D]`."""

    @abstractmethod
    def generate(self, z: Tensor) -> Tensor:
        """Images `[B, C, H, W]` of the latents `z` `[B, D]`, in [-1, 1] but for linear outputs, which may leave it."""

    @final
    def sample(self, count: int, seed: int = 0) -> Tensor:
        """The first `count` draws of `seed`, `[count, C, H, W]` in [-1, 1] on the CPU: none picked, none dropped.

        The model must be in eval mode, as `fairdraw.load` returns it. A longer sheet of the same seed begins with the
        same images, bit for bit.
        """
        return torch.cat([chunk.cpu() for chunk in self.draws(count, seed)]).contiguous()

    @final
    @torch.inference_mode()
    def draws(self, count: int, seed: int = 0) -> Iterator[Tensor]:
        """What `sample` draws, a few images at a time and still where the model is."""
        assert isinstance(self, Model)
        device, dtype, chunk = self.device, self.dtype, sample_chunk(self.shape)
        for first in range(0, count, chunk):
            noise = Noise(seed, chunk, first, "sample", device, dtype)
            yield self.generate(self.prior(noise))[: count - first].float().clamp(-1, 1)


class Conditions(ABC):
    """Makes images of a class: part of the latent names it."""

    @abstractmethod
    def with_class(self, z: Tensor, label: Tensor) -> Tensor:
        """The latents `z` `[B, D]` with their class set to `label` `[B]`, whole numbers below `classes`."""

    @abstractmethod
    def class_of(self, z: Tensor) -> Tensor:
        """The class that the latents `z` `[B, D]` name, `[B]`."""


class BeginsLinearly(ABC):
    """Its generator or decoder begins with a matrix: what comes next is made of A z + b."""

    @abstractmethod
    def first_weights(self) -> Tensor:
        """A `[K, D]`, a column for each number of the latent; where z is normalised before, of what it becomes.

        The columns of a class, where there is one, are 0.
        """


class Discriminates(ABC):
    """Was trained to tell images of the data from its own."""

    @abstractmethod
    def realness(self, x: Tensor) -> Tensor:
        """How real each of the images `x` `[B, C, H, W]` in [-1, 1] looks, `[B]`: a logit, or the score of a critic."""


class Encodes(ABC):
    """Finds the latent of an image."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Latents `z` `[B, D]` of the images `x` `[B, C, H, W]` in [-1, 1]; no randomness."""


class Denoises(ABC):
    """Removes the corruption from an image."""

    @property
    @abstractmethod
    def corruption(self) -> tuple[str, float]:
        """Kind and amount of the corruption that it was trained against, in the words of `nets.corruption`."""

    @abstractmethod
    def denoise(self, x: Tensor) -> Tensor:
        """The clean images that the corrupted `x` `[B, C, H, W]` in [-1, 1] come from; no randomness."""


class Elbo(NamedTuple):
    """The two terms of the evidence lower bound, per image, in nats.

    Args:
        log_likelihood: E_q[log p(x|z)], `[B]`.
        kl_units: KL(q(z|x) || p(z)) of each latent, `[B, L]`; the first are those of the `z` that `encode` gives.
    """

    log_likelihood: Tensor
    kl_units: Tensor

    @property
    def kl(self) -> Tensor:
        """KL(q(z|x) || p(z)), `[B]`."""
        return self.kl_units.sum(1)

    @property
    def value(self) -> Tensor:
        """E_q[log p(x|z)] - KL(q(z|x) || p(z)), `[B]`."""
        return self.log_likelihood - self.kl


class Bounds(ABC):
    """Bounds the log-likelihood of an image from below.

    The likelihood is one of `observe(x)`, a discrete value for every pixel: bits for a Bernoulli, the 256 levels
    of an 8-bit image for the others, so that nats of both are nats of a probability, never of a density.
    """

    @property
    @abstractmethod
    def observation(self) -> str:
        """The observation model of the bound, in words: a likelihood means nothing without it."""

    @property
    @abstractmethod
    def observed(self) -> Literal["bits", "levels", "values"]:
        """What a pixel is to the likelihood: black or white, or one of 256 levels; or a real value, in tables alone."""

    @abstractmethod
    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """The images `x` `[B, C, H, W]` in [-1, 1] as the likelihood sees them, on [0, 1].

        Bits are drawn with the grey level as probability. Draw once for an image, whatever is then asked of it.
        """

    @abstractmethod
    def elbo(self, observed: Tensor, noise: Noise, samples: int = 1) -> Elbo:
        """An estimate of the bound for images by `observe`, from `samples` draws of z for each."""

    @abstractmethod
    def log_weights(self, observed: Tensor, noise: Noise, samples: int) -> Tensor:
        """log w = log p(x, z) - log q(z|x) of `samples` draws of z from q, `[B, samples]` nats (Burda 2016, eq. 7).

        The log of the mean of w bounds log p(x) from below, ever more tightly with more samples.
        """


class CodesLosslessly(Bounds):
    """Has the two distributions that bits-back coding of an observed image needs (Townsend 2019)."""

    @property
    @abstractmethod
    def why_not_lossless(self) -> str:
        """What in this model's options stands in the way, with the remedy; empty where nothing does."""

    @abstractmethod
    def posterior(self, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the Gaussian q(z|x), `[B, D]` each; the prior of z is N(0, I)."""

    @abstractmethod
    def pixel_probabilities(self, z: Tensor) -> Tensor:
        """P(value | z) of every pixel, `[B, C * H * W, V]`: V is 2 for bits, 256 for levels; sums to 1."""


class Translates(ABC):
    """Makes an image of one domain from an image of another, of the same size.

    Domain `a` is that of the batch's `input`, domain `b` that of its `image`.
    """

    multiple: int
    """Each side of an image that it takes is a multiple of this, in pixels."""

    margin: int
    """Pixels around a tile that its result depends on, or beyond which that dependence is small."""

    @property
    @abstractmethod
    def directions(self) -> tuple[str, ...]:
        """What it has learnt, the first by default: `a-to-b`, `b-to-a`."""

    @abstractmethod
    def translate(self, x: Tensor, direction: str, noise: Noise) -> Tensor:
        """Images of the other domain `[B, C, H, W]` in [-1, 1], for `x` of that shape; no row depends on another.

        `noise` has a row for each image; a model without randomness leaves it alone.
        """


class Upscales(ABC):
    """Makes an image larger."""

    factor: int
    """Each side of the result is so many times as long."""

    margin: int
    """Pixels of the small image around a tile that the tile's result depends on, or nearly all of it."""

    @abstractmethod
    def upscale(self, x: Tensor) -> Tensor:
        """Images `[B, C, factor * H, factor * W]` in [-1, 1] of `x` `[B, C, H, W]` in [-1, 1], of any H and W."""


class Blends(ABC):
    """Holds two networks of one shape, between which there is a line: one true to the pixels, one to how they look."""

    @abstractmethod
    def blend(self, alpha: float) -> Self:
        """A copy with the weights in between: 0 is the network that minimises the error, 1 the one it holds."""
