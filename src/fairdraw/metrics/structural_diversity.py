"""How alike generated images are to one another, beside how alike real ones are: a collapsed generator repeats itself.

Odena, Olah and Shlens, "Conditional image synthesis with auxiliary classifier GANs", ICML 2017 (arXiv:1610.09585),
section 4.2: the mean MS-SSIM of randomly chosen pairs of images, there within a class. Karras et al., "Progressive
growing of GANs", ICLR 2018 (arXiv:1710.10196), section 5: the same over pairs of all images.

It sees large collapse, and neither small variation of colour or texture nor whether an image looks real. Give the
images of one class for the number within it.
"""

from dataclasses import dataclass

import numpy as np

from fairdraw.errors import InputError
from fairdraw.metrics.number import Number
from fairdraw.metrics.pixels import check_alike, check_images
from fairdraw.metrics.ssim import WINDOW, ms_ssim, ms_ssim_name

MOST_PAIRS = 10_000
"""As many as Karras et al. take."""
PAIRS_AT_A_TIME = 256


@dataclass(frozen=True)
class StructuralDiversity:
    """Mean MS-SSIM over pairs, where it is larger of generated images these are less diverse.

    Args:
        generated: of pairs of generated images.
        real: of pairs of real ones, which it is to be near.
    """

    generated: Number
    real: Number

    @property
    def excess(self) -> float:
        """Of generated pairs over real ones: 0 for as much diversity, positive for less of it."""
        return self.generated.value - self.real.value

    @property
    def standard_error(self) -> float | None:
        """Of the excess, where there are two or more pairs of each kind."""
        generated, real = self.generated.standard_error, self.real.standard_error
        return None if generated is None or real is None else float(np.hypot(generated, real))


def structural_diversity(
    real: np.ndarray, generated: np.ndarray, seed: int = 0, most: int = MOST_PAIRS
) -> StructuralDiversity:
    """Mean MS-SSIM over at most `most` of the `pairs` of uint8 images `[N, C, H, W]` and `[M, C, H, W]`.

    Raises:
        InputError: for other arrays, fewer than two images of a kind, other channels or sizes, sides below 11 pixels,
            no pairs.
    """
    for images, kind in ((real, "real"), (generated, "generated")):
        check_images(images, kind, 2, WINDOW)
    check_alike(real, generated, ("real", "generated"), "diversity")
    if most < 1:
        raise InputError(f"a mean over {most} pairs: give at least 1")
    return StructuralDiversity(
        similarity_within(generated, "generated", seed, most), similarity_within(real, "real", seed, most)
    )


def pairs(count: int, seed: int, most: int = MOST_PAIRS) -> np.ndarray:
    """Positions of at most `most` random pairs among `count` images, `[P, 2]`, a function of the seed.

    No image is in two pairs, so that the values of pairs are independent and their standard error is right.
    """
    order = np.random.default_rng([seed % 2**64, count]).permutation(count)
    return order[: min(most, count // 2) * 2].reshape(-1, 2)


def similarity_within(images: np.ndarray, kind: str, seed: int = 0, most: int = MOST_PAIRS) -> Number:
    """Mean MS-SSIM over at most `most` of the `pairs` of uint8 images `[N, C, H, W]` of a `kind`, such as `real`.

    Raises:
        InputError: for images that MS-SSIM refuses.
    """
    chosen = pairs(len(images), seed, most)
    parts = [chosen[start : start + PAIRS_AT_A_TIME] for start in range(0, len(chosen), PAIRS_AT_A_TIME)]
    values = np.concatenate([ms_ssim(images[part[:, 0]], images[part[:, 1]]) for part in parts])
    name = f"{ms_ssim_name(*images.shape[2:])} within images"
    return Number.mean(values, name=name, unit="of 1", on=f"disjoint pairs of {kind} images", baselines={})
