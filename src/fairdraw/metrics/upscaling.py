"""Images made large again, beside the bicubic filter, as the literature on super-resolution compares them.

Protocol of Ledig et al. 2017 (arXiv:1609.04802, section 3.1) and of those that it compares with: images are cropped to
a multiple of the factor, made smaller by MATLAB's bicubic filter, anti-aliased and rounded to levels, made large again,
rounded to levels, and compared on Y of studio range without `factor` pixels at each border. A number is the mean over
images. SSIM is Wang et al.'s with a window of 11 px; the paper's, by another tool, is 0.01 to 0.04 higher.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fairdraw.capabilities import Upscales
from fairdraw.data import Split
from fairdraw.errors import InputError
from fairdraw.images import to_signed, to_uint8
from fairdraw.inference import full_precision
from fairdraw.metrics.luma import luma_psnr, luma_ssim
from fairdraw.metrics.number import Number
from fairdraw.metrics.psnr import PEAK, one_level_off
from fairdraw.metrics.resize import as_grey
from fairdraw.metrics.ssim import WINDOW
from fairdraw.metrics.translation import gradient_energies
from fairdraw.model import Model
from fairdraw.nets.bicubic import resized_levels

FLAT = 0.5
"""Levels a pixel: one tile of plain sky would else outweigh all other images in a mean of ratios."""


@dataclass(frozen=True)
class Upscaled:
    """Numbers of each image.

    Args:
        psnr: in dB, `[N]`.
        ssim: `[N]`.
        sharpness: mean length of the gradient, over that of the original or, where this is flatter, over half a level
            a pixel, `[N]`.
        consistency: root mean square difference in levels between what is made small again and what was given, `[N]`.
    """

    psnr: np.ndarray
    ssim: np.ndarray
    sharpness: np.ndarray
    consistency: np.ndarray


def protocol(factor: int, given: bool = False) -> str:
    """How the numbers are taken, for the place where they are printed."""
    small = "small images as given" if given else "small images by MATLAB's bicubic filter"
    return f"x{factor}, {small}, Y of BT.601 studio range (grey as it is), border {factor}, SSIM window 11"


def smallest(factor: int) -> int:
    """The least side in pixels that images can be compared by at a `factor`: SSIM's window within both borders.

    >>> smallest(4)
    20
    """
    return -(-(WINDOW + 2 * factor) // factor) * factor


def cropped(image: np.ndarray, factor: int) -> np.ndarray:
    """The upper left of a uint8 image `[C, H, W]` whose sides are multiples of `factor`.

    Raises:
        InputError: for an image of which less than SSIM's window would be compared.
    """
    height, width = (side - side % factor for side in image.shape[1:])
    if min(height, width) < smallest(factor):
        raise InputError(
            f"an image of {image.shape[2]}x{image.shape[1]} px is too small to be compared by at x{factor}: "
            f"give images of at least {smallest(factor)} px"
        )
    return np.ascontiguousarray(image[:, :height, :width])


def low_resolution(image: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """A uint8 image `[C, H, W]` as it is `cropped`, and the small one made of it."""
    original = cropped(image, factor)
    return original, resized_levels(original, 1 / factor)


def upscaled(model: Upscales, small: np.ndarray) -> np.ndarray:
    """What the model makes of a uint8 image `[C, H, W]`, of any height and width, at once and without tiles.

    An image of one channel is shown to a model of colours as grey, and comes back as the mean of its colours.
    """
    assert isinstance(model, Model)
    channels = model.shape[0]
    x = to_signed(torch.from_numpy(small[None])).to(model.device, model.dtype)
    with torch.inference_mode(), full_precision(model.device):
        made = model.upscale(x if len(small) == channels else x.expand(-1, channels, -1, -1))
        made = made if len(small) == channels else made.mean(1, keepdim=True)
        levels: np.ndarray = to_uint8(made)[0].cpu().numpy()
    return levels


def bicubic(smalls: Sequence[np.ndarray], factor: int) -> list[np.ndarray]:
    """The baseline: each small image made large by MATLAB's bicubic filter."""
    return [resized_levels(small, float(factor)) for small in smalls]


def compared(originals: Sequence[np.ndarray], smalls: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> Upscaled:
    """The numbers of uint8 images `[C, H, W]` of any sizes, each `made` of the small one of its original."""
    found: list[tuple[float, float, float, float]] = []
    for x, low, y in zip(originals, smalls, made, strict=True):
        factor = x.shape[1] // low.shape[1]
        psnr, similar = luma_psnr(x[None], y[None], factor)[0], luma_ssim(x[None], y[None], factor)[0]
        back = resized_levels(y, 1 / factor).astype(np.float64) - low
        ratio = _gradients(y) / max(_gradients(x), FLAT)
        decibels = min(float(psnr), one_level_off(x[0].size))
        found.append((decibels, float(similar), ratio, float(np.sqrt(np.square(back).mean()))))
    return Upscaled(*np.array(found).reshape(-1, 4).T)


def squared_luma_error(model: Upscales, held_out: Split) -> Number:
    """Of images of `held_out` made small and large again, beside the bicubic filter: what PSNR is the logarithm of."""
    pairs = [low_resolution(image, model.factor) for image in held_out.images(np.arange(len(held_out)))]
    originals, smalls = [x for x, _ in pairs], [low for _, low in pairs]
    mine = compared(originals, smalls, [upscaled(model, low) for low in smalls])
    plain = compared(originals, smalls, bicubic(smalls, model.factor))
    return Number.mean(
        PEAK**2 * 10 ** (-mine.psnr / 10),
        name="squared error on luma",
        unit="levels^2",
        on=f"{held_out.name} images of {held_out.dataset.name}",
        note=f"PSNR {mine.psnr.mean():.2f} dB, bicubic {plain.psnr.mean():.2f} dB; {protocol(model.factor)}",
        baselines={"bicubic": float((PEAK**2 * 10 ** (-plain.psnr / 10)).mean())},
    )


def _gradients(image: np.ndarray) -> float:
    """Mean length of the gradient of the grey image, in levels a pixel."""
    return PEAK * float(gradient_energies(as_grey(image[None]))[0])
