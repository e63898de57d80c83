"""Distances between features as scores, with their intervals and what has to be said of them."""

from collections.abc import Iterator

import numpy as np

from fairdraw.judge.score import Score, named
from fairdraw.metrics.bootstrap import deviation
from fairdraw.metrics.features import Features
from fairdraw.metrics.frechet import POINTS, extrapolated_distance, frechet_distance
from fairdraw.metrics.kernel import kernel_distance
from fairdraw.metrics.number import FEWEST, normal_interval

ENOUGH = 2.0
"""Images for each feature below which a Frechet distance is flagged."""


def distances(
    features: Features, real: np.ndarray, values: np.ndarray, seed: int, kernel_sums: np.ndarray | None = None
) -> Iterator[Score]:
    """Frechet and kernel distance between `features` `[N, D]` of `real` images and `values` `[M, D]` of others."""

    def score(kind: str, value: float, interval: tuple[float, float] | None, flag: str = "") -> Score:
        return Score(kind, named(kind, features), value, interval, len(values), len(real), flag)

    least, width = min(len(values), len(real)), real.shape[1]
    flag = f"{least:,} images are few for {width:,} features: biased upwards" if least < ENOUGH * width else ""
    distance = frechet_distance(real, values)
    spread_of = deviation(frechet_distance, real, values, seed=seed)
    limit = extrapolated_distance(real, values, seed) if len(values) >= 10 * FEWEST else None
    if flag and limit and limit.slope > 0:
        flag = f"{flag}, by about {limit.slope / len(values):.3g} for the number of those judged alone"
    yield score("FD", distance, normal_interval(distance, spread_of), flag)
    if limit:
        note = flag or f"a line through {POINTS} counts; interval of the line and of the distance that it ends in"
        error = float(np.hypot(limit.standard_error, spread_of))  # the line knows nothing of what other images give
        yield score("FD-infinity", limit.value, normal_interval(limit.value, error), note)
    kernel = kernel_distance(real, values, kernel_sums)
    yield score("KD", kernel.value, normal_interval(*kernel))
