"""The spread of a number over other images."""

import numpy as np
import pytest

from fairdraw.metrics.bootstrap import deviation
from fairdraw.metrics.frechet import frechet_distance


def test_of_a_mean_it_is_the_standard_error() -> None:
    x = np.random.default_rng(0).normal(size=400)
    found = deviation(lambda values: float(values.mean()), x, replicates=400)
    assert found == pytest.approx(x.std() / 20, rel=0.1)


def test_samples_are_drawn_apart_and_by_the_seed() -> None:
    x, y = np.arange(50.0), np.arange(30.0)
    sizes: list[tuple[int, int]] = []

    def difference(a: np.ndarray, b: np.ndarray) -> float:
        sizes.append((len(a), len(b)))
        return float(a.mean() - b.mean())

    assert deviation(difference, x, y, seed=3) == deviation(difference, x, y, seed=3)
    assert deviation(difference, x, y, seed=3) != deviation(difference, x, y, seed=4)
    assert set(sizes) == {(50, 30)}


def test_of_a_frechet_distance_it_is_the_spread_over_other_images() -> None:
    def normal(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(400, 4))

    values = [frechet_distance(normal(2 * s), normal(2 * s + 1) + 0.5) for s in range(60)]
    assert deviation(frechet_distance, normal(0), normal(1) + 0.5) == pytest.approx(np.std(values), rel=0.35)
