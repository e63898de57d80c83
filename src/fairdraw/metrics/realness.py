"""What a discriminator thinks of images that it has and has not been trained on."""

import numpy as np
import torch

from fairdraw.capabilities import Discriminates
from fairdraw.inference import in_chunks
from fairdraw.model import Model


def realness(model: Model, images: np.ndarray) -> np.ndarray:
    """What the model's discriminator says of each of the uint8 `images` `[N, C, H, W]`, `[N]`.

    Raises:
        ValueError: when the model has no discriminator.
    """
    if not isinstance(model, Discriminates):
        raise ValueError(f"{type(model).__name__} has no discriminator")
    found: np.ndarray = torch.cat(in_chunks(lambda _, x: model.realness(x), model, images)).cpu().numpy()
    return found


def mean_realness(model: Model, images: np.ndarray) -> float:
    """The mean of `realness`.

    Raises:
        ValueError: as `realness`.
    """
    return float(realness(model, images).mean())
