"""How a player moves: the optimizers of the papers, with the schedules that belong to them, in images."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from fairdraw.errors import InputError, check_at_least


class Optimizer(ABC):
    """The optimizer of a player, before it is built over parameters."""

    @abstractmethod
    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimizer over `parameters`."""

    @abstractmethod
    def settings(self, images: int) -> dict[str, float]:
        """What its groups are set to after `images`; `lr` is that at a schedule factor of 1."""


@dataclass(frozen=True)
class Adam(Optimizer):
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

    def settings(self, images: int) -> dict[str, float]:
        """The learning rate, which is constant."""
        return {"lr": self.learning_rate}


@dataclass(frozen=True)
class SteppedAdam(Optimizer):
    """The optimizer of a player: Adam at one rate after the other.

    Args:
        rates: step sizes at a schedule factor of 1.
        until: images at which each rate but the last ends, rising.
        betas: decay of the running mean and of the running square.
        epsilon: added to the root of the running square.
    """

    rates: tuple[float, ...] = (1e-4,)
    until: tuple[int, ...] = ()
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        Adam(1.0, self.betas, self.epsilon)
        check_at_least(0, self, "rates", "until")
        if len(self.rates) != len(self.until) + 1 or list(self.until) != sorted(self.until):
            raise InputError(
                f"--rates has {len(self.rates)} numbers and --until {list(self.until)}: give the images at which each "
                "rate but the last ends, in their order"
            )

    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """As `Adam` builds it."""
        return Adam(self.rates[0], self.betas, self.epsilon).build(parameters)

    def settings(self, images: int) -> dict[str, float]:
        """The learning rate of the time."""
        return {"lr": self.rates[sum(images >= end for end in self.until)]}


@dataclass(frozen=True)
class Momentum(Optimizer):
    """The optimizer of a player: gradient descent with momentum that rises while the rate decays.

    Args:
        learning_rate: step size at the start, at a schedule factor of 1.
        momentum: share of the last move that is kept, at the start.
        final_momentum: the share from `ramp_images` on; it rises along a line.
        ramp_images: images over which the momentum rises; 0 is at once.
        half_life_images: images in which the rate halves; 0 is never.
        lowest: the rate decays no further.
    """

    learning_rate: float = 0.1
    momentum: float = 0.5
    final_momentum: float = 0.7
    ramp_images: int = 0
    half_life_images: int = 0
    lowest: float = 0.0

    def __post_init__(self) -> None:
        check_at_least(0, self, "learning_rate", "momentum", "final_momentum", "ramp_images", "half_life_images")
        check_at_least(0, self, "lowest")
        if max(self.momentum, self.final_momentum) >= 1:
            raise InputError(f"momentum is {max(self.momentum, self.final_momentum):g}: give numbers below 1")

    def build(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimizer over `parameters`, with the fused kernel where the device has one."""
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
        return torch.optim.SGD(parameters, self.learning_rate, self.momentum, fused=fused)

    def settings(self, images: int) -> dict[str, float]:
        """Learning rate and momentum."""
        decay = 0.5 ** (images / self.half_life_images) if self.half_life_images else 1.0
        risen = min(1.0, images / self.ramp_images) if self.ramp_images else 1.0
        return {
            "lr": max(self.learning_rate * decay, self.lowest),
            "momentum": self.momentum + risen * (self.final_momentum - self.momentum),
        }
