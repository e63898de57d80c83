"""Precision, recall, density and coverage: a plain implementation, closed forms, and what they notice."""

import numpy as np
import pytest

from fairdraw.errors import InputError
from fairdraw.metrics import distances
from fairdraw.metrics.manifold import Manifold, manifold, memberships


def normal(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def plain_manifold(real: np.ndarray, fake: np.ndarray, k: int, wide: int) -> Manifold:
    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.sqrt(np.square(a[:, None] - b[None]).sum(2))
        return found

    def radii(a: np.ndarray, k: int) -> np.ndarray:
        found: np.ndarray = np.sort(distances(a, a), axis=1)[:, k]  # the first is the image itself
        return found

    between = distances(real, fake)
    inside = between <= radii(real, wide)[:, None]
    return Manifold(
        precision=float((between <= radii(real, k)[:, None]).any(0).mean()),
        recall=float((between <= radii(fake, k)[None]).any(1).mean()),
        density=float(inside.sum(0).mean() / wide),
        coverage=float(inside.any(1).mean()),
    )


@pytest.mark.parametrize("at_a_time", [1, 1000, 2**23])
@pytest.mark.parametrize("neighbours", [(3, 5), (5, 1)])
def test_shares_are_those_of_a_plain_implementation(
    monkeypatch: pytest.MonkeyPatch, at_a_time: int, neighbours: tuple[int, int]
) -> None:
    monkeypatch.setattr(distances, "AT_A_TIME", at_a_time)
    real, fake = normal(83, 4), 0.8 * normal(61, 4, 1) + 0.2
    assert manifold(real, fake, *neighbours) == plain_manifold(real, fake, *neighbours)


def test_real_against_real_is_not_1() -> None:
    """Coverage in closed form (Naeem 2020, lemma 2): 1 - the product of (M - j) / (2M - j) over j = 1 ... k."""
    count, k = 400, 5
    found = [manifold(normal(count, 6, 2 * s), normal(count, 6, 2 * s + 1)) for s in range(20)]
    expected = 1 - np.prod([(count - j) / (2 * count - j) for j in range(1, k + 1)])
    assert expected == pytest.approx(0.969, abs=0.001)
    assert np.mean([f.coverage for f in found]) == pytest.approx(expected, abs=0.006)
    assert np.mean([f.density for f in found]) == pytest.approx(1, abs=0.03)
    assert 0.8 < np.mean([f.precision for f in found]) < 0.97


def test_collapse_has_high_precision_and_low_recall_and_noise_the_reverse() -> None:
    real, rng = normal(500, 6), np.random.default_rng(3)
    collapsed = manifold(real, real[:1] * 0.5 + 1e-3 * rng.normal(size=(500, 6)))
    assert collapsed.precision == 1
    assert collapsed.recall == 0
    assert collapsed.coverage < 0.1
    noisy = manifold(real, 3 * normal(500, 6, 1))
    assert noisy.precision < 0.5
    assert noisy.recall > 0.9
    assert noisy.density < 0.5


def test_copies_lie_in_every_ball_though_the_distance_is_0() -> None:
    real = normal(50, 3)
    assert manifold(real, real.copy()) == Manifold(1, 1, pytest.approx(1.2), 1)
    repeated = np.repeat(real[:5], 10, axis=0)
    assert manifold(repeated, repeated.copy()).recall == 1


def test_too_few_images_for_the_neighbours_are_refused() -> None:
    with pytest.raises(InputError, match=r"5 generated images are too few for precision, .* with 5 neighbours: .* 6"):
        manifold(normal(50, 3), normal(5, 3))
    with pytest.raises(InputError, match="not finite"):
        manifold(normal(50, 3), np.full((50, 3), np.nan))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_shares_are_those_of_the_prdc_package(k: int) -> None:
    prdc = pytest.importorskip("prdc")
    real, fake = normal(300, 8), 0.9 * normal(250, 8, 1) + 0.2
    expected = prdc.compute_prdc(real, fake, nearest_k=k)
    found = manifold(real, fake, precision_neighbour=k, density_neighbour=k)
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, rel=1e-12)


def test_memberships_are_those_whose_means_are_the_shares() -> None:
    real, fake = normal(70, 4), normal(50, 4, 1)
    each = memberships(real, fake)
    assert each.precision.shape == each.density.shape == (50,)
    assert each.recall.shape == each.coverage.shape == (70,)
    between = np.sqrt(np.square(real[:, None] - fake[None]).sum(2))
    radius = np.sort(np.sqrt(np.square(real[:, None] - real[None]).sum(2)), axis=1)[:, 3]
    np.testing.assert_array_equal(each.precision, (between <= radius[:, None]).any(0))
