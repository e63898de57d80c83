"""The distributions that a generator's z is drawn from."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from fairdraw.noise import Noise

Prior = Literal["uniform", "gaussian"]


def drawn(prior: Prior, noise: Noise, latent: int, reach: float = 1.0) -> Tensor:
    """z `[B, latent]` from U(-reach, reach) or N(0, 1) in each dimension."""
    if prior == "uniform":
        return reach * (2 * noise.uniform(latent) - 1)
    return noise.normal(latent)


def drawn_classes(noise: Noise, classes: int) -> Tensor:
    """Classes as vectors `[B, classes]` with one 1, each class as likely as another."""
    return one_hot((classes * noise.uniform()).long(), classes).to(noise.dtype)


def one_hot(label: Tensor, classes: int) -> Tensor:
    """Labels `[B]` as vectors `[B, classes]` with one 1, of whole numbers."""
    return F.one_hot(label.long(), classes)
