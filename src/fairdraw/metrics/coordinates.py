"""How much each coordinate of a latent carries, so that the telling ones can be shown first."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fairdraw.capabilities import Bounds, Encodes
from fairdraw.inference import in_chunks, to_numpy
from fairdraw.metrics.likelihood import likelihood_noise
from fairdraw.model import Model


@dataclass(frozen=True)
class Ranking:
    """A value for each coordinate of a latent.

    Args:
        name: what the value is: KL, in nats, or code variance.
        values: `[D]`; larger carries more.
    """

    name: str
    values: np.ndarray

    @property
    def order(self) -> list[int]:
        """The coordinates, that of the largest value first; of equal ones the first."""
        return [int(k) for k in np.argsort(-self.values, kind="stable")]


def ranking(model: Model, images: np.ndarray, seed: int = 0) -> Ranking:
    """The mean KL(q(z|x) || p(z)) of each coordinate over the uint8 `images` `[N, C, H, W]`, or its codes' variance.

    Raises:
        ValueError: when the model neither bounds nor encodes.
    """
    if not isinstance(model, Encodes):
        raise ValueError(f"{type(model).__name__} does not encode")

    def of(start: int, x: Tensor) -> np.ndarray:
        z = model.encode(x)
        if isinstance(model, Bounds):
            noise = likelihood_noise(model, len(x), seed, start)
            z = model.elbo(model.observe(x, noise), noise).kl_units[:, : z.shape[1]]
        return to_numpy(z)

    values = np.concatenate(in_chunks(of, model, images))
    if isinstance(model, Bounds):
        return Ranking("KL", values.mean(0))
    return Ranking("code variance", values.var(0))
