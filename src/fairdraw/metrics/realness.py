"""What a discriminator thinks of images that it has and has not been trained on."""

import numpy as np
import torch

from fairdraw.capabilities import Discriminates
from fairdraw.inference import in_chunks
from fairdraw.model import Model


def mean_realness(model: Model, images: np.ndarray) -> float:
    """The mean of what the model's discriminator says of the uint8 `images` `[N, C, H, W]`.

    Raises:
        ValueError: when the model has no discriminator.
    """
    if not isinstance(model, Discriminates):
        raise ValueError(f"{type(model).__name__} has no discriminator")
    return float(torch.cat(in_chunks(lambda _, x: model.realness(x), model, images)).mean())
