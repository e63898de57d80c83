"""What a classifier sees in generated images: how sure it is of each, and how many kinds there are.

Salimans et al., "Improved techniques for training GANs", NIPS 2016 (arXiv:1606.03498), section 4:

    inception score = exp(E_x KL(p(y|x) || p(y)))

between 1 and the number of classes. Only by the Inception network is it that score; of another classifier it is named
after that one. A generator of one perfect image for each class has the highest score that there is.
"""

from typing import NamedTuple

import numpy as np

from fairdraw.errors import InputError

SPLITS = 10
FEWEST_OF_A_CLASS = 1 / 10
"""A class counts as covered from this share of the draws that it would have if all were equally frequent."""


class Classes(NamedTuple):
    """What a classifier says of some images.

    Args:
        score: exp of the mean divergence, the mean over the splits.
        splits: that of each split.
        confidence: the mean probability of the most probable class.
        shares: of the images that each class is the most probable of, `[K]`.
        covered: classes with at least a tenth of an equal share.
    """

    score: float
    splits: tuple[float, ...]
    confidence: float
    shares: np.ndarray
    covered: int


def seen_by(probabilities: np.ndarray, splits: int = SPLITS) -> Classes:
    """What P(class | image), `[N, K]`, says of the images, which are split in the order in which they come.

    Raises:
        InputError: where there are fewer images than splits, or rows that are no probabilities.
    """
    if probabilities.ndim != 2 or len(probabilities) < splits:
        raise InputError(f"{len(probabilities)} images are too few for {splits} splits of an inception score")
    p = probabilities.astype(np.float64)
    if not (p >= 0).all() or not np.allclose(p.sum(1), 1, atol=1e-3):
        raise InputError("what the classifier says of images are no probabilities: they must be >= 0 and sum to 1")
    scores = [_score(part) for part in np.array_split(p, splits)]
    shares = np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)
    covered = int((shares >= FEWEST_OF_A_CLASS / p.shape[1]).sum())
    return Classes(float(np.mean(scores)), tuple(scores), float(p.max(1).mean()), shares, covered)


def _score(p: np.ndarray) -> float:
    marginal = p.mean(0)
    # p log p is 0 at 0; where p(y) is 0 so is every p(y|x)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(marginal)), 0.0)
    return float(np.exp(terms.sum(1).mean()))
