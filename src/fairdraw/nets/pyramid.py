"""Strided convolutions from an image down to a small map and up again, and the sizes that they pass through."""

from itertools import pairwise
from typing import Literal

from torch import nn

from fairdraw.errors import InputError

LARGEST_BASE = 7


def halvings(size: int, model: str) -> tuple[int, int]:
    """`(base, stages)` with base * 2**stages = size and base in 4..7, as in 28 = 7 * 4 and 64 = 4 * 16.

    Raises:
        InputError: when no such base exists; names the nearest sizes that have one.
    """
    base, stages = size, 0
    while base > LARGEST_BASE and base % 2 == 0:
        base, stages = base // 2, stages + 1
    if 4 <= base <= LARGEST_BASE and stages > 0:
        return base, stages
    possible = sorted(b << k for b in range(4, LARGEST_BASE + 1) for k in range(1, 9))
    near = sorted(sorted(possible, key=lambda s: abs(s - size))[:4])
    raise InputError(
        f"{model} cannot make images of {size} px: its layers double a map of 4 to {LARGEST_BASE} px; "
        f"choose a size such as {', '.join(map(str, near))} with --size"
    )


def generator_network(latent: int, base: int, widths: list[int]) -> nn.Sequential:
    """z `[B, D]` projected to a map of `base` px, then doubled by fractionally-strided convolutions to the image.

    Batch normalisation and ReLU but for the output, which is a tanh (Radford 2016, section 3).

    Args:
        latent: dimensions D.
        base: side of the smallest map.
        widths: channels from the smallest map to the image.
    """
    flat = widths[0] * base * base
    layers: list[nn.Module] = [
        # The released code normalises each unit of the projection, not each channel.
        nn.Linear(latent, flat, bias=False),
        nn.BatchNorm1d(flat),
        nn.ReLU(),
        nn.Unflatten(1, (widths[0], base, base)),
    ]
    for fan_in, fan_out in pairwise(widths[:-1]):
        layers += [_doubling(fan_in, fan_out), nn.BatchNorm2d(fan_out), nn.ReLU()]
    return nn.Sequential(*layers, _doubling(widths[-2], widths[-1]), nn.Tanh())


def feature_network(widths: list[int], norm: Literal["batch", "layer", "none"], bias: bool = False) -> nn.Sequential:
    """Image `[B, C, H, W]` halved by strided convolutions with LeakyReLU 0.2, then flattened (Radford 2016, section 3).

    Args:
        widths: channels from the image to the smallest map.
        norm: of all maps but the first: batch normalisation, layer normalisation over channels and map, or none.
        bias: whether the convolutions have one.
    """
    layers: list[nn.Module] = []
    for number, (fan_in, fan_out) in enumerate(pairwise(widths)):
        layers.append(nn.Conv2d(fan_in, fan_out, 5, stride=2, padding=2, bias=bias))
        if number and norm == "batch":
            layers.append(nn.BatchNorm2d(fan_out))
        elif number and norm == "layer":
            layers.append(nn.GroupNorm(1, fan_out))
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Flatten())


def initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02), gains N(1, 0.02), biases 0, as the released code of Radford 2016; for `Module.apply`."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def _doubling(fan_in: int, fan_out: int) -> nn.Module:
    return nn.ConvTranspose2d(fan_in, fan_out, 5, stride=2, padding=2, output_padding=1, bias=False)
