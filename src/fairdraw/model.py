"""Model, Player, Update and Clock: what is trained, and how a step of it is written.

A training step is a generator of losses in the order of the paper's algorithm box. Whoever drives it, such as
`trainer.Trainer`, descends each loss before asking for the next, so a later loss sees the player that has just moved.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from fairdraw.noise import Noise
from fairdraw.optimizers import Optimizer

Batch = Mapping[str, Tensor]
"""`image` `[B, C, H, W]` in [-1, 1]; `label` `[B]` where the data have labels; `input`, like `image`, where they have
inputs."""

SAMPLE_CHUNK = 64
"""Images worked on at a time; of small ones more are generated at a time, see `sample_chunk`."""


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
    `(C, H, W)`. Everything that influences training is a parameter, a buffer, or in its `memory`.
    """

    Config: ClassVar[type[Any]]
    takes: ClassVar[Literal["images", "pairs", "two sets"]] = "images"
    """Whether it learns from images alone, from pairs of an input and an image, or from a set of each."""

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

    def memory(self) -> dict[str, Tensor]:
        """What the training remembers and nobody needs later, such as past images, by name.

        Checkpoints hold it, one for each process; it is not averaged, and no part of the model file.
        """
        return {}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """Go back to a `memory`, on the device of the model; or forget everything where it is empty."""

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
