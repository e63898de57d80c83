"""Model, Player, Update, Clock, and what a trained model can do for a person.

A training step is a generator of losses in the order of the paper's algorithm box. Whoever drives it, such as
`trainer.Trainer`, descends each loss before asking for the next, so a later loss sees the player that has just moved.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn

from fairdraw.errors import InputError, check_at_least
from fairdraw.noise import Noise

Batch = Mapping[str, Tensor]
"""`image` `[B, C, H, W]` in [-1, 1], and `label` `[B]` where the data have labels."""

SAMPLE_CHUNK = 64
"""Images generated at a time. A constant, so that the k-th draw of a seed has the same bits whatever the count."""


@dataclass(frozen=True)
class Adam:
    """The optimizer of a player: Adam (Kingma & Ba 2015).

    Args:
        learning_rate: step size at a schedule factor of 1.
        betas: decay of the running mean and of the running square.
        epsilon: added to the root of the running square.
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_at_least(0, self, "learning_rate", "betas", "epsilon")
        if max(self.betas) >= 1:
            raise InputError(f"betas is {self.betas}: give numbers below 1 with --betas")

    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimizer over `parameters`, with the fused kernel where the device has one."""
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
        return torch.optim.Adam(parameters, self.learning_rate, self.betas, self.epsilon, fused=fused)


@dataclass(frozen=True)
class Player:
    """A set of parameters that one optimizer moves."""

    parameters: tuple[nn.Parameter, ...]
    optimizer: Adam

    @classmethod
    def of(cls, module: nn.Module, optimizer: Adam) -> "Player":
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
    """

    images: int
    total: int
    noise: Noise


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

    def prepare(self, images: Tensor) -> None:
        """Set what the paper sets from the data before training, such as output biases.

        Args:
            images: training images `[N, C, H, W]` in [-1, 1], spread over the set.
        """

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the model's parameters."""
        return next(self.parameters()).dtype


class Generates(ABC):
    """Makes images from a latent `z` that is drawn from a prior."""

    @abstractmethod
    def prior(self, noise: Noise) -> Tensor:
        """One latent for each image of `noise`: `z` `[B, D]`."""

    @abstractmethod
    def generate(self, z: Tensor) -> Tensor:
        """Images `[B, C, H, W]` in [-1, 1] of the latents `z` `[B, D]`."""

    @final
    def sample(self, count: int, seed: int = 0) -> Tensor:
        """The first `count` draws of `seed`, `[count, C, H, W]` in [-1, 1] on the CPU: none picked, none dropped.

        The model must be in eval mode, as `fairdraw.load` returns it. A longer sheet of the same seed begins with the
        same images, bit for bit.
        """
        assert isinstance(self, Model)
        chunks = []
        with torch.inference_mode():
            for first in range(0, count, SAMPLE_CHUNK):
                noise = Noise(seed, SAMPLE_CHUNK, first, "sample", self.device, self.dtype)
                chunks.append(self.generate(self.prior(noise)).float().cpu())
        return torch.cat(chunks)[:count].contiguous()


class Encodes(ABC):
    """Finds the latent of an image."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Latents `z` `[B, D]` of the images `x` `[B, C, H, W]` in [-1, 1]; no randomness."""


class Elbo(NamedTuple):
    """The two terms of the evidence lower bound, per image, in nats: `[B]` each."""

    log_likelihood: Tensor
    kl: Tensor

    @property
    def value(self) -> Tensor:
        """E_q[log p(x|z)] - KL(q(z|x) || p(z)), `[B]`."""
        return self.log_likelihood - self.kl


class Bounds(ABC):
    """Bounds the log-likelihood of an image from below."""

    observation: ClassVar[str]
    """The observation model of the bound, in words: a likelihood means nothing without it."""

    @abstractmethod
    def elbo(self, x: Tensor, noise: Noise) -> Elbo:
        """A one-sample estimate of the bound for the images `x` `[B, C, H, W]` in [-1, 1]."""
