"""What a judge found of some images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fairdraw.judge.score import Score
from fairdraw.metrics.memorisation import NearestTraining


@dataclass(frozen=True)
class Judgement:
    """What was found of some images.

    Args:
        scores: the numbers, in the order of the features.
        near: the nearest training image of each, by the first of the features.
        shares: of the images that each class is the most probable of, `[K]`, by the name of each classifier.
    """

    scores: tuple[Score, ...]
    near: NearestTraining
    shares: Mapping[str, np.ndarray]

    def worst_copies(self, count: int = 10) -> np.ndarray:
        """Places of the `count` images that come nearest to a training image for how near those lie there."""
        return np.argsort(self.near.closeness, kind="stable")[:count]
