"""How unusual an image is to a model, by several scores, and how well a score tells outliers from regular images.

A score is a number for each image, larger for more unusual ones:

* `squared-error`: of the reconstruction, summed over pixels on [0, 1], neither rounded nor clipped.
* `negative-elbo`: -ELBO in nats. Alone it rates simple images as typical, whatever they show: it is as much a measure
  of how much there is to encode as of how well the model knows it (Nalisnick 2019, arXiv:1810.09136).
* `complexity-ratio`: -ELBO minus the size of the image as PNG, both in nats (Serrà 2020, arXiv:1909.11480).
* `likelihood-ratio`: -ELBO minus that of a background model (Ren 2019, arXiv:1906.02845).
"""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fairdraw.capabilities import Bounds, Encodes, Generates
from fairdraw.data import Split
from fairdraw.data.options import plural
from fairdraw.images import picture
from fairdraw.inference import in_chunks
from fairdraw.metrics.formats import LOSSLESS, encoded
from fairdraw.metrics.likelihood import likelihood_noise, negative_elbo
from fairdraw.metrics.number import FEWEST, NORMAL_95
from fairdraw.metrics.reconstruction import squared_errors
from fairdraw.model import Model

CHUNK = 250
NATS_PER_BYTE = 8 * math.log(2)


@dataclass(frozen=True)
class Auroc:
    """Area under the receiver operating characteristic: how often an outlier scores above a regular image.

    Args:
        score: which score.
        value: the probability that a random outlier scores higher than a random regular image, ties counted half.
        interval: 95 % confidence interval over images (DeLong 1988, on the scale of log odds); none where there are
            fewer than two images of a kind, or where the score separates them completely.
        regular: how many regular images.
        outliers: how many outliers.
    """

    score: str
    value: float
    interval: tuple[float, float] | None
    regular: int
    outliers: int

    def __str__(self) -> str:
        interval = "95 % interval {:.3f} to {:.3f}".format(*self.interval) if self.interval else "no interval"
        fewest = min(self.regular, self.outliers)
        warning = f"; only {fewest} of a kind: do not rely on the interval" if fewest < FEWEST else ""
        return (
            f"AUROC by {self.score} {self.value:.3f}, {interval}, {plural(self.outliers, 'outlier')} among "
            f"{plural(self.regular, 'regular image')}; chance is 0.5{warning}"
        )


def auroc(score: str, values: np.ndarray, outlier: np.ndarray) -> Auroc:
    """AUROC of one value per image, `[N]`, given which images are outliers, boolean `[N]`.

    Raises:
        ValueError: where all images are of one kind.
    """
    unusual, regular = np.sort(values[outlier]), np.sort(values[~outlier])
    if not len(unusual) or not len(regular):
        raise ValueError("AUROC needs outliers and regular images")
    # the placements of DeLong et al.: for each image, the share of the other kind that it is on the right side of
    of_unusual, of_regular = _share_below(unusual, regular), 1 - _share_below(regular, unusual)
    value = float(of_unusual.mean())
    interval = None
    if min(len(unusual), len(regular)) > 1 and 0 < value < 1:
        variance = of_unusual.var(ddof=1) / len(unusual) + of_regular.var(ddof=1) / len(regular)
        error = NORMAL_95 * math.sqrt(variance) / (value * (1 - value))
        odds = math.log(value / (1 - value))
        interval = (_logistic(odds - error), _logistic(odds + error))
    return Auroc(score, value, interval, len(regular), len(unusual))


def outlier_scores(
    model: Model, images: Split, background: Model | None = None, seed: int = 0, samples: int = 8
) -> dict[str, np.ndarray]:
    """All scores that `model` can give each of `images`, `[N]` by name; none for a model that cannot.

    Args:
        model: a model in eval mode that encodes and generates, or bounds.
        images: of the model's shape.
        background: a second model for the likelihood ratio, which bounds the likelihood of the same kind of pixels.
        seed: of the binarisation and of z; an image's own numbers depend on its position, not on the others.
        samples: draws of z for each image.
    """
    found = []
    for first in range(0, len(images), CHUNK):
        chunk = images.images(np.arange(first, min(first + CHUNK, len(images))))
        found.append(_scores(model, chunk, background, first, seed, samples))
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def extremes(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the `count` largest values, largest first, and of the `count` smallest, smallest first.

    No position is in both: of fewer than 2 `count` values each half has its own. Of equal values the first comes first.
    """
    count = min(count, len(values) // 2)
    unusual = np.argsort(-values, kind="stable")[:count]
    rest = np.setdiff1d(np.arange(len(values)), unusual)
    return unusual, rest[np.argsort(values[rest], kind="stable")[:count]]


def png_bytes(images: np.ndarray, bits: bool = False) -> np.ndarray:
    """Bytes of each of the uint8 `images` `[N, C, H, W]` as a PNG file, `[N]`; one bit a pixel for grey `bits`."""
    sizes = []
    for image in images:
        shown = picture(image)
        stored = shown.convert("1") if bits and shown.mode == "L" else shown
        sizes.append(len(encoded(stored, **LOSSLESS["PNG"])))
    return np.array(sizes)


def _scores(
    model: Model, images: np.ndarray, background: Model | None, first: int, seed: int, samples: int
) -> dict[str, np.ndarray]:
    found = {}
    if isinstance(model, Encodes) and isinstance(model, Generates):
        found["squared-error"] = squared_errors(model, images)
    if isinstance(model, Bounds):
        bound = negative_elbo(model, images, seed, samples, first)
        found["negative-elbo"] = bound
        # what is compressed is what the likelihood is of: the very bits, or the image itself
        bits = model.observed == "bits"
        stored = _observed_bits(model, images, seed, first) if bits else images
        found["complexity-ratio"] = bound - NATS_PER_BYTE * png_bytes(stored, bits)
        if background is not None:
            found["likelihood-ratio"] = bound - negative_elbo(background, images, seed, samples, first)
    return found


def _observed_bits(model: Model, images: np.ndarray, seed: int, first: int) -> np.ndarray:
    """The uint8 `images` as `negative_elbo` observes them, black and white."""
    assert isinstance(model, Bounds)

    def of(start: int, x: Tensor) -> np.ndarray:
        white = model.observe(x, likelihood_noise(model, len(x), seed, first + start)) > 0.5
        return white.cpu().numpy() * np.uint8(255)

    return np.concatenate(in_chunks(of, model, images, CHUNK))


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of the sorted `others` below each of `values`, equal ones counted half."""
    return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * len(others))


def _logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
