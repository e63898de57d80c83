"""Corruptions of images on [0, 1], drawn from a noise source: what a denoising autoencoder undoes."""

import math
from typing import Literal

import torch
from torch import Tensor

from fairdraw.noise import Noise

Corruption = Literal["masking", "independent-masking", "salt-and-pepper", "gaussian", "blocks"]


def corrupt(x: Tensor, kind: Corruption, amount: float, noise: Noise) -> tuple[Tensor, Tensor]:
    """The corrupted images and where they were corrupted, both `[B, C, H, W]`, the latter boolean.

    Args:
        x: images on [0, 1].
        kind: masking sets exactly `amount` of the components to 0 (Vincent 2008), independent-masking each with that
            probability (2010); salt-and-pepper sets each with that probability to 0 or 1 by a fair coin; gaussian
            adds N(0, amount^2) and does not clip; blocks sets a square of that share of the area to 0.
        amount: the share of components, or the standard deviation.
        noise: one row for each image.
    """
    if kind == "gaussian":
        return x + amount * noise.normal(*x.shape[1:]), torch.full_like(x, amount > 0, dtype=torch.bool)
    if kind == "salt-and-pepper":
        where = noise.uniform(*x.shape[1:]) < amount
        return torch.where(where, (noise.uniform(*x.shape[1:]) < 0.5).to(x.dtype), x), where
    if kind == "blocks":
        where = _block(x, amount, noise)
    elif kind == "masking":
        where = _exactly(x, amount, noise)
    else:
        where = noise.uniform(*x.shape[1:]) < amount
    return x.masked_fill(where, 0), where


def _exactly(x: Tensor, share: float, noise: Noise) -> Tensor:
    components = x[0].numel()
    order = noise.uniform(components).argsort(dim=1)
    where = torch.zeros_like(order, dtype=torch.bool)
    where.scatter_(1, order[:, : round(share * components)], True)
    return where.view_as(x)


def _block(x: Tensor, share: float, noise: Noise) -> Tensor:
    height, width = x.shape[2:]
    side = math.sqrt(share)
    block_height, block_width = round(side * height), round(side * width)
    corner = noise.uniform(2)
    top = (corner[:, :1] * (height - block_height + 1)).floor()
    left = (corner[:, 1:] * (width - block_width + 1)).floor()
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    in_rows = (rows >= top) & (rows < top + block_height)
    in_columns = (columns >= left) & (columns < left + block_width)
    return (in_rows[:, None, :, None] & in_columns[:, None, None, :]).expand_as(x)
