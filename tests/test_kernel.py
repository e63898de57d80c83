"""The kernel distance: a plain implementation, its mean and its error over repetitions, and what is refused."""

import numpy as np
import pytest

from fairdraw.errors import InputError
from fairdraw.metrics import kernel
from fairdraw.metrics.kernel import kernel_distance


def normal(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def plain(real: np.ndarray, fake: np.ndarray) -> float:
    """MMD^2 as torch-fidelity and MMD-GAN's code have it: `(x.y / D + 1)^3`, without the diagonal."""
    n, m, width = len(real), len(fake), real.shape[1]
    xx, yy, xy = ((a @ b.T / width + 1) ** 3 for a, b in ((real, real), (fake, fake), (real, fake)))
    of_real = (xx.sum() - np.trace(xx)) / (n * (n - 1))
    of_fake = (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(of_real + of_fake - 2 * xy.mean())


@pytest.mark.parametrize("at_a_time", [1, 1000, 2**23])
def test_distance_is_that_of_a_plain_implementation(monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(kernel, "VALUES_AT_A_TIME", at_a_time)
    real, fake = normal(83, 7), 1.3 * normal(61, 7, 1) + 0.2
    assert kernel_distance(real, fake).value == pytest.approx(plain(real, fake), rel=1e-10)
    assert kernel_distance(fake, real).value == pytest.approx(plain(real, fake), rel=1e-10)
    single = kernel_distance(real.astype(np.float32), fake.astype(np.float32))
    assert single.value == pytest.approx(plain(real, fake), rel=1e-5)


def test_error_is_that_of_leaving_out_each_image_in_turn() -> None:
    real, fake = normal(40, 3), normal(31, 3, 1) + 0.5
    without_real = np.array([plain(np.delete(real, i, 0), fake) for i in range(len(real))])
    without_fake = np.array([plain(real, np.delete(fake, i, 0)) for i in range(len(fake))])
    variance = (len(real) - 1) * without_real.var() + (len(fake) - 1) * without_fake.var()
    assert kernel_distance(real, fake).standard_error == pytest.approx(variance**0.5, rel=1e-8)


def test_equal_distributions_are_at_no_distance_whatever_the_number_of_images() -> None:
    """Over 100 pairs of sets the mean is within two standard errors of 0; a biased estimate would be far above."""
    for count in (30, 120):
        found = [kernel_distance(normal(count, 8, 2 * s), normal(count, 8, 2 * s + 1)).value for s in range(100)]
        assert abs(np.mean(found)) < 2 * np.std(found) / 10
        biased = 2 * np.mean((np.square(normal(count, 8)).sum(1) / 8 + 1) ** 3) / count
        assert biased > 10 * np.std(found) / 10


def test_error_is_about_the_spread_over_other_images() -> None:
    found = [kernel_distance(normal(150, 5, 2 * s), normal(150, 5, 2 * s + 1) + 0.5) for s in range(60)]
    spread = np.std([f.value for f in found])
    assert np.mean([f.standard_error for f in found]) == pytest.approx(spread, rel=0.3)


def test_distance_grows_with_noise() -> None:
    real, noise = normal(500, 6), normal(500, 6, 2)
    found = [kernel_distance(real, normal(500, 6, 1) + s * noise).value for s in (0, 0.3, 0.6, 1.2)]
    assert found == sorted(found)


def test_few_images_and_no_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="10 generated images are too few for a kernel distance: give at least 30"):
        kernel_distance(normal(50, 3), normal(10, 3))
    with pytest.raises(InputError, match="features of 50 of 50 generated images are not finite"):
        kernel_distance(normal(50, 3), np.full((50, 3), np.nan))
