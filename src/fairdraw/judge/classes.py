"""What a classifier says of images as scores, with their intervals and what has to be said of them."""

from collections.abc import Iterator

import numpy as np

from fairdraw.judge.distances import ENOUGH
from fairdraw.judge.score import Score, named
from fairdraw.metrics.classes import SPLITS, Classes
from fairdraw.metrics.features import Classifies
from fairdraw.metrics.number import interval_of_mean, interval_of_parts, wilson


def class_scores(
    features: Classifies, seen: Classes, probabilities: np.ndarray, labels: np.ndarray | None
) -> Iterator[Score]:
    """What a classifier says of images that it has `seen`, with P(class | image) `[N, K]`.

    `labels` are the names of the classes that were asked for, `[N]`.
    """
    count, classes = len(probabilities), probabilities.shape[1]

    def score(kind: str, value: float, interval: tuple[float, float] | None, flag: str = "") -> Score:
        return Score(kind, named(kind, features), value, interval, count, 0, flag)

    few = count < ENOUGH * classes * SPLITS
    flag = f"{count // SPLITS:,} images in a split are few for {classes:,} classes: biased downwards" if few else ""
    yield score("score", seen.score, interval_of_parts(seen.score, seen.splits), flag)
    yield score("confidence", seen.confidence, interval_of_mean(probabilities.max(1)))
    yield score("classes", seen.covered, None)
    if labels is not None and set(labels) <= set(features.classes):
        right = np.array(features.classes)[probabilities.argmax(1)] == labels
        yield score("label accuracy", float(right.mean()), wilson(float(right.mean()), count))
