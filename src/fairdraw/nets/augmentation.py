"""Differentiable augmentation of what a discriminator sees, for small training sets.

Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020 (arXiv:2006.10738): real and
generated images pass through the same random transformations, and the generator's gradient passes back through them.
Karras et al., "Training generative adversarial networks with limited data", NeurIPS 2020 (arXiv:2006.06676), ADA: each
transformation is applied to an image with a probability p that rises while the discriminator is too sure of the real
images, and falls else. Below p of about 0.8 the generator does not learn to draw transformed images.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdraw.errors import InputError, check_at_least
from fairdraw.noise import Noise

Kind = Literal["colour", "translation", "cutout"]

TRANSLATION = 1 / 8
"""Farthest shift, of the image's side (Zhao 2020, section 4)."""
CUTOUT = 1 / 2
"""Side of the square that is blanked, of the image's side."""
COLOURS = 3


@dataclass(frozen=True)
class Augmentation:
    """Transformations of all images that the discriminator sees; generated samples are never transformed.

    Args:
        augment: which, each drawn anew for every image: colour (brightness, saturation, contrast), translation by up to
            an eighth of the side, cutout of a square of half the side.
        augment_probability: of each transformation of each image; 1 is that of Zhao et al. 2020, adaptive that of ADA.
        augment_target: the adaptive probability rises while E[sign D(real)] is above this (Karras 2020, section 3.2).
        augment_ramp_images: images in which the adaptive probability can go from 0 to 1.
    """

    augment: tuple[Kind, ...] = ()
    augment_probability: float | Literal["adaptive"] = "adaptive"
    augment_target: float = 0.6
    augment_ramp_images: int = 500_000

    def __post_init__(self) -> None:
        check_at_least(1, self, "augment_ramp_images")
        if self.augment_probability != "adaptive" and not 0 <= self.augment_probability <= 1:
            raise InputError(f"augment_probability is {self.augment_probability:g}: give 0 to 1, or adaptive")
        if not -1 < self.augment_target < 1:
            raise InputError(f"augment_target is {self.augment_target:g}: give a number within -1 and 1")
        if not self.augment and self.augment_probability != "adaptive":
            raise InputError(
                f"augment_probability is {self.augment_probability:g} of nothing: name what to do with --augment, such "
                "as --augment colour translation cutout"
            )
        if len(set(self.augment)) < len(self.augment):
            raise InputError(f"augment names one transformation twice: {' '.join(self.augment)}")

    @property
    def adaptive(self) -> bool:
        """Whether the probability is adapted."""
        return bool(self.augment) and self.augment_probability == "adaptive"

    @property
    def first_probability(self) -> float:
        """The probability at the start of the training."""
        return 0.0 if self.augment_probability == "adaptive" else float(self.augment_probability)

    def apply(self, x: Tensor, noise: Noise, probability: Tensor) -> Tensor:
        """The images `x` `[B, C, H, W]` in [-1, 1], each transformation applied to each with the probability `[]`."""
        for kind in self.augment:
            chosen = noise.uniform(1, 1, 1) < probability
            x = torch.where(chosen, _TRANSFORMATIONS[kind](x, noise), x)
        return x

    def adapted(self, probability: Tensor, decisions: Tensor, images: int) -> Tensor:
        """The probability `[]` after `images` more, on each of which D decided real (1) or fake (-1): `decisions`.

        It moves at every batch; that of the paper's code moves at every fourth, by the decisions of all four.
        """
        move = torch.sign(decisions.mean() - self.augment_target) * (images / self.augment_ramp_images)
        return (probability + move.to(probability.dtype)).clamp(0, 1)


def colour(x: Tensor, noise: Noise) -> Tensor:
    """Brightness plus -0.5 to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5, as the released code.

    A fourth channel is how opaque a pixel is, and is left as it is.
    """
    x, opacity = x[:, :COLOURS], x[:, COLOURS:]
    brightness, saturation, contrast = noise.uniform(3, 1, 1, 1).unbind(1)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + 2 * saturation * (x - grey)
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.cat([mean + (0.5 + contrast) * (x - mean), opacity], dim=1)


def translation(x: Tensor, noise: Noise) -> Tensor:
    """Shifts by whole pixels, each way up to an eighth of the side; what comes in is grey."""
    side = x.shape[-1]
    most = max(1, round(TRANSLATION * side))
    down, right = ((2 * most + 1) * noise.uniform(2)).long().unbind(1)  # 0 to 2 * most
    steps = torch.arange(side, device=x.device)
    image = torch.arange(len(x), device=x.device)[:, None, None]
    padded = F.pad(x, [most] * 4).permute(0, 2, 3, 1)
    moved = padded[image, (down[:, None] + steps)[:, :, None], (right[:, None] + steps)[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cutout(x: Tensor, noise: Noise) -> Tensor:
    """A square of half the side made grey, its centre anywhere in the image."""
    side = x.shape[-1]
    length = max(1, round(CUTOUT * side))
    top, left = ((side + 1 - length % 2) * noise.uniform(2)).long().unbind(1)
    steps = torch.arange(side, device=x.device)
    rows, columns = (
        (steps >= start[:, None] - length // 2) & (steps < start[:, None] - length // 2 + length)
        for start in (top, left)
    )
    return x.masked_fill((rows[:, None, :, None] & columns[:, None, None, :]), 0.0)


_TRANSFORMATIONS = {"colour": colour, "translation": translation, "cutout": cutout}
