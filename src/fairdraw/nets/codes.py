"""A prior over the codes of an autoencoder, which has none of its own."""

import torch
from torch import Tensor, nn

from fairdraw.noise import Noise

ENCODED_AT_A_TIME = 500
RIDGE = 1e-5


class GaussianCodes(nn.Module):
    """A Gaussian fitted to the codes of training images once the networks are trained (Ghosh 2020, section 4).

    Args:
        size: dimensions of a code.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("factor", torch.eye(size))

    @torch.no_grad()
    def fit(self, encoder: nn.Module, images: Tensor) -> None:
        """Take mean and covariance of the codes of `images` `[N, C, H, W]`."""
        codes = torch.cat([encoder(part) for part in torch.split(images, ENCODED_AT_A_TIME)])
        self.mean.copy_(codes.mean(0))
        centred = codes - codes.mean(0)
        covariance = (centred.T @ centred).double() / max(1, len(codes) - 1)
        # A little of the identity: the covariance of few images, or of units that are always off, has no full rank.
        size = len(self.mean)
        ridge = RIDGE * covariance.trace() / size + torch.finfo(torch.float32).tiny
        identity = torch.eye(size, dtype=covariance.dtype, device=covariance.device)
        self.factor.copy_(torch.linalg.cholesky(covariance + ridge * identity))

    def draw(self, noise: Noise) -> Tensor:
        """Codes `[B, D]`."""
        return self.mean + noise.normal(len(self.mean)) @ self.factor.T
