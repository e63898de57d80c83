"""The Frechet distance in closed form, for few images and for collapsed models; what means nothing is refused."""

import numpy as np
import pytest
from scipy.stats import linregress

from fairdraw.errors import InputError
from fairdraw.metrics.frechet import extrapolated_distance, frechet_distance, gaussian_distance


def normal(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def covariance(width: int, seed: int) -> np.ndarray:
    x = normal(3 * width, width, seed)
    found: np.ndarray = x.T @ x / len(x)
    return found


@pytest.mark.parametrize("width", [1, 7, 64])
def test_distance_of_gaussians_in_closed_form(width: int) -> None:
    """N(0, I) and N(m, s^2 I): |m|^2 + d (1 - s)^2."""
    mean, scale, identity = np.linspace(-1, 2, width), 1.7, np.eye(width)
    expected = float(mean @ mean) + width * (1 - scale) ** 2
    for first, second in (
        ((np.zeros(width), identity), (mean, scale**2 * identity)),
        ((mean, scale**2 * identity), (np.zeros(width), identity)),
    ):
        assert gaussian_distance(*first, *second) == pytest.approx(expected, rel=1e-12)


def test_distance_to_a_single_point_is_the_mean_squared_distance() -> None:
    """The covariance of a collapsed model is 0, of which no Cholesky factor exists."""
    point, width = np.arange(5.0), 5
    expected = float(np.square(point).sum()) + width
    assert gaussian_distance(np.zeros(5), np.eye(5), point, np.zeros((5, 5))) == pytest.approx(expected, rel=1e-12)
    assert gaussian_distance(point, np.zeros((5, 5)), np.zeros(5), np.eye(5)) == pytest.approx(expected, rel=1e-12)


def test_distance_agrees_with_the_matrix_square_root() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = covariance(20, 0), covariance(20, 1)
    expected = np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert gaussian_distance(np.zeros(20), a, np.zeros(20), b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [31, 40, 200])
def test_distance_of_features_is_that_of_their_gaussians(count: int) -> None:
    """With fewer images than the 40 features too, where another formula is used."""
    x, y = normal(count, 40), 1.5 * normal(count, 40, 1) + 0.3
    expected = gaussian_distance(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x.astype(np.float32), y.astype(np.float32)) == pytest.approx(expected, rel=1e-6)


def test_distance_grows_with_noise_and_falls_as_one_over_the_number_of_images() -> None:
    real, rng = normal(2000, 8), np.random.default_rng(2)
    found = [frechet_distance(real, normal(2000, 8, 1) + s * rng.normal(size=(2000, 8))) for s in (0, 0.2, 0.4, 0.8)]
    assert found == sorted(found)
    bias = [
        count * np.mean([frechet_distance(normal(count, 8, 2 * k), normal(count, 8, 2 * k + 1)) for k in range(20)])
        for count in (250, 1000)
    ]
    assert bias[1] == pytest.approx(bias[0], rel=0.2)


@pytest.mark.parametrize(
    ("real", "fake", "words"),
    [
        (normal(29, 3), normal(50, 3), "29 real images are too few for a Frechet distance: give at least 30"),
        (normal(50, 3), normal(10, 3), "10 generated images are too few"),
        (normal(50, 3), normal(50, 4), "3 features of real and 4 of generated images"),
        (normal(50, 3), np.where(np.eye(50, 3), np.nan, 0), "features of 3 of 50 generated images are not finite"),
        (np.full((50, 3), np.inf), normal(50, 3), "features of 50 of 50 real images are not finite"),
        (normal(50, 3)[:, 0], normal(50, 3), r"features of real images have the shape \[50\]"),
    ],
)
def test_features_that_mean_nothing_are_refused(real: np.ndarray, fake: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        frechet_distance(real, fake)


def test_extrapolation_takes_the_bias_of_few_generated_images_away() -> None:
    """N(0, I) against N(0.3, I) in 8 dimensions is 0.72; with 300 images the distance is well above."""
    real = normal(20_000, 8, 100)
    plain, limits = zip(
        *(
            (frechet_distance(real, fake), extrapolated_distance(real, fake))
            for fake in (normal(300, 8, s) + 0.3 for s in range(30))
        ),
        strict=True,
    )
    error = np.std([limit.value for limit in limits]) / 30**0.5
    bias = np.mean(plain) - 0.72
    assert np.mean([limit.value for limit in limits]) == pytest.approx(0.72, abs=3 * error)
    assert bias > 3 * error
    assert np.mean([limit.slope for limit in limits]) / 300 == pytest.approx(bias, rel=0.5)


def test_the_line_has_the_standard_error_of_a_regression() -> None:
    real, fake = normal(600, 3), normal(500, 3, 1) + 0.1
    generator = np.random.default_rng(0)
    counts = np.linspace(50, 500, 15).astype(int)
    distances = [frechet_distance(real, fake[generator.permutation(500)[:count]]) for count in counts]
    line, found = linregress(1 / counts, distances), extrapolated_distance(real, fake)
    assert found == pytest.approx((line.intercept, line.intercept_stderr, line.slope))


def test_extrapolation_is_by_the_seed_and_refuses_too_few() -> None:
    real, fake = normal(400, 5), normal(400, 5, 1)
    assert extrapolated_distance(real, fake, 1) == extrapolated_distance(real, fake, 1)
    assert extrapolated_distance(real, fake, 1) != extrapolated_distance(real, fake, 2)
    with pytest.raises(InputError, match="299 generated images are too few to extrapolate from: give at least 300"):
        extrapolated_distance(real, fake[:299])
