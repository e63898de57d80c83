"""Distances and shares between features as scores, with their intervals and what has to be said of them."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from fairdraw.judge.score import Score, named
from fairdraw.metrics.bootstrap import deviation
from fairdraw.metrics.features import Features
from fairdraw.metrics.frechet import POINTS, extrapolated_distance, frechet_distance
from fairdraw.metrics.kernel import kernel_distance
from fairdraw.metrics.manifold import DENSITY_NEIGHBOUR, manifold, memberships
from fairdraw.metrics.number import FEWEST, interval_of_mean, interval_of_parts, normal_interval, wider

ENOUGH = 2.0
"""Images for each feature below which a Frechet distance is flagged."""
GROUPS = 5
"""Parts of both kinds of images, whose shares tell how much those of all would vary."""
FEWEST_OF_A_GROUP = 10


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


def manifold_scores(
    features: Features, real: np.ndarray, values: np.ndarray, real_balls: Sequence[Tensor]
) -> Iterator[Score]:
    """Precision, recall, density and coverage of `values` `[M, D]` beside `features` `[N, D]` of `real` images."""
    found = memberships(real, values, real_balls=real_balls)
    grouped = min(len(real), len(values)) >= GROUPS * FEWEST_OF_A_GROUP
    parts = [manifold(real[k::GROUPS], values[k::GROUPS]) for k in range(GROUPS)] if grouped else []
    for kind in ("precision", "recall", "density", "coverage"):
        each = getattr(found, kind)
        if kind == "density":
            each = each / DENSITY_NEIGHBOUR
        value, interval = float(each.mean()), interval_of_mean(each)
        if parts:
            # Over the images that are counted alone it knows nothing of the balls, which are those of the other kind:
            # of 95 % it was seen to hold 58 to 97 %; the wider of the two 90 to 100.
            low, high = interval_of_parts(value, [getattr(part, kind) for part in parts])
            interval = wider(interval, (max(low, 0.0), high if kind == "density" else min(high, 1.0)))
        yield Score(kind, named(kind, features), value, interval, len(values), len(real))
