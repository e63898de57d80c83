"""Model, Player, Update, Clock, and what a trained model can do for a person.

A training step is a generator of losses in the order of the paper's algorithm box. Whoever drives it, such as
`trainer.Trainer`, descends each loss before asking for the next, so a later loss sees the player that has just moved.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from fairdraw.noise import Noise
from fairdraw.optimizers import Optimizer

Batch = Mapping[str, Tensor]
"""`image` `[B, C, H, W]` in [-1, 1], and `label` `[B]` where the data have labels."""

SAMPLE_CHUNK = 64
"""Images worked on at a time; of small ones more are generated at a time, see `sample_chunk`."""

SMALL, SMALL_SAMPLE_CHUNK = 1024, 256
"""Values of an image that is small, and how many such images are generated at a time."""


@dataclass(frozen=True)
class Player:
    """A set of parameters that one optimizer moves."""

    parameters: tuple[nn.Parameter, ...]
    optimizer: Optimizer

    @classmethod
    def of(cls, module: nn.Module, optimizer: Optimizer) -> "Player":
        """All parameters of `module` as one player."""
        return cls(tuple(module.parameters()), optimizer)


@dataclass(frozen=True)
class Update:
    """One player's move: a scalar loss, the mean over the batch, and what to log with it (scalars)."""

    player: str
    loss: Tensor
    log: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Clock:
    """Time, counted in images.

    Args:
        images: images seen before this step by all processes together.
        total: images of the whole training.
        noise: random numbers for this step's rows, a function of (seed, image number, draw).
        step: steps before this one, for what happens at every k-th of them.
    """

    images: int
    total: int
    noise: Noise
    step: int = 0


class Model(nn.Module, ABC):
    """The networks of one paper together with the objective that trains them.

    A subclass is final. Its constructor takes a frozen dataclass of options, named in `Config`, and the image shape
    `(C, H, W)`. Everything that influences training is a parameter or a buffer.
    """

    Config: ClassVar[type[Any]]
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format
    """The layout of weights and images that was measured to be fastest for these networks."""

    def __init__(self, config: Any, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.config = config
        self.shape = shape

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """The players by name; together they own every parameter that is trained."""

    @abstractmethod
    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """The losses of one step, each to be descended before the next is asked for."""

    def batch(self, images: int, batch: int) -> int:
        """Images of the step that begins after `images`, where a `batch` was asked for; never more than that."""
        return batch

    def stage(self, images: int) -> int:
        """The part of the training that the step after `images` is in; where it changes, optimizers start afresh."""
        return 0

    def steering(self) -> tuple[Tensor, ...]:
        """Buffers that steer the training, and must be the same in all processes: their mean is taken at each step."""
        return ()

    @property
    def classes(self) -> int:
        """Labels that it is conditioned on; 0 where it takes none."""
        return 0

    @property
    def fewest(self) -> int:
        """Images that each part of a batch takes at least: of one there are no statistics to normalise by."""
        return 2 if any(isinstance(layer, nn.BatchNorm1d) for layer in self.modules()) else 1

    def prepare(self, images: Tensor) -> None:
        """Set what the paper sets from the data before training, such as output biases.

        Args:
            images: training images `[N, C, H, W]` in [-1, 1], spread over the set.
        """

    def finish(self, images: Tensor) -> None:
        """Set what is fitted once the weights are trained, such as the prior over an autoencoder's codes.

        Called on a copy of the averaged weights before it is looked at or saved; nothing that it sets is trained with.

        Args:
            images: training images `[N, C, H, W]` in [-1, 1], spread over the set.
        """

    def over_the_batch(self) -> tuple[str, ...]:
        """What in the objective takes a statistic over the batch, so that it depends on how the batch is divided.

        Layers such as batch normalisation are found without it.
        """
        return ()

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the model's parameters."""
        return next(self.parameters()).dtype


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
