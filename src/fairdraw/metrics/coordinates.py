"""How much each coordinate of a latent carries, so that the telling ones can be shown first."""

from dataclasses import dataclass

import numpy as np
import torch

from fairdraw.images import to_signed
from fairdraw.model import SAMPLE_CHUNK, Bounds, Encodes, Model
from fairdraw.noise import Noise


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
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), SAMPLE_CHUNK):
            x = to_signed(torch.from_numpy(images[start : start + SAMPLE_CHUNK])).to(model.device, model.dtype)
            z = model.encode(x)
            if isinstance(model, Bounds):
                noise = Noise(seed, len(x), start, "likelihood", model.device, model.dtype)
                z = model.elbo(model.observe(x, noise), noise).kl_units[:, : z.shape[1]]
            found.append(z.double().cpu().numpy())
    values = np.concatenate(found)
    if isinstance(model, Bounds):
        return Ranking("KL", values.mean(0))
    return Ranking("code variance", values.var(0))
