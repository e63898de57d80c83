"""Models whose answers are known, for tests of what is done at any size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.capabilities import Translates, Upscales
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.noise import Noise


@dataclass(frozen=True)
class Known:
    """What the model does."""

    does: Literal["nothing", "blur", "squares", "brightness", "noise", "inverse"] = "nothing"


class Untrained(Model):
    Config = Known

    def __init__(self, does: str = "nothing", channels: int = 3) -> None:
        super().__init__(Known(does), (channels, 16, 16))  # type: ignore[arg-type]
        self.place = nn.Parameter(torch.zeros(1))
        self.sizes: list[tuple[int, ...]] = []

    def players(self) -> dict[str, Player]:
        return {}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        yield from ()


def blurred(x: Tensor, reach: int) -> Tensor:
    """The mean over a square, which is zero beyond the edges, as in most networks."""
    kernel = torch.full((x.shape[1], 1, 2 * reach + 1, 2 * reach + 1), 1 / (2 * reach + 1) ** 2)
    return F.conv2d(x, kernel, padding=reach, groups=x.shape[1])


@final
class Translator(Untrained, Translates):
    """A blur of 3 px; squares of 4 px averaged, then blurred; the mean added; noise added; the negative."""

    directions = ("a-to-b", "b-to-a")

    def __init__(self, does: str = "nothing", channels: int = 3) -> None:
        super().__init__(does, channels)
        self.multiple = 4 if does == "squares" else 1
        self.margin = {"blur": 3, "squares": 10, "brightness": 12}.get(does, 0)

    def translate(self, x: Tensor, direction: str, noise: Noise) -> Tensor:
        self.sizes.append(tuple(x.shape))
        assert not x.shape[2] % self.multiple
        assert not x.shape[3] % self.multiple
        match self.config.does:
            case "blur":
                return blurred(x, 3)
            case "squares":
                return blurred(F.interpolate(F.avg_pool2d(x, 4), scale_factor=4.0), 2)
            case "brightness":
                return x - x.mean((2, 3), keepdim=True)
            case "noise":
                return x + noise.normal(*x.shape[1:])
            case "inverse":
                return -x if direction == "a-to-b" else x
        return x


@final
class Upscaler(Untrained, Upscales):
    """Each pixel repeated, after a blur of 3 px or without; or the mean subtracted."""

    def __init__(self, does: str = "nothing", channels: int = 3, factor: int = 2) -> None:
        super().__init__(does, channels)
        self.factor = factor
        self.margin = {"blur": 3, "brightness": 12}.get(does, 0)

    def upscale(self, x: Tensor) -> Tensor:
        self.sizes.append(tuple(x.shape))
        if self.config.does == "blur":
            x = blurred(x, 3)
        if self.config.does == "brightness":
            x = x - x.mean((2, 3), keepdim=True)
        return x.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3).clamp(-1, 1)
