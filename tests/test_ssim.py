"""SSIM and MS-SSIM against scikit-image, a plain computation and closed forms; what has no SSIM is refused."""

import numpy as np
import pytest

from fairdraw.errors import InputError
from fairdraw.metrics import ssim as module
from fairdraw.metrics.ssim import C1, C2, WEIGHTS, ms_ssim, ms_ssim_name, scales, ssim

SHAPES = [(3, 1, 28, 28), (2, 3, 64, 48), (2, 1, 11, 75), (1, 4, 130, 91)]


def smooth(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Noise of many scales, as images have it."""
    random, (count, channels, height, width) = np.random.default_rng(seed), shape
    found = np.zeros(shape)
    for step in (1, 4, 16):
        coarse = random.normal(size=(count, channels, -(-height // step), -(-width // step)))
        found += step**0.5 * coarse.repeat(step, 2).repeat(step, 3)[:, :, :height, :width]
    return (128 + 12 * found).clip(0, 255).astype(np.uint8)


def noisy(images: np.ndarray, deviation: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=images.shape)
    return (images + deviation * noise).clip(0, 255).astype(np.uint8)


def plain_terms(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """SSIM and its second factor of `[C, H, W]`, window by window, with variances as mean squared deviations."""
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = np.outer(line, line) / np.outer(line, line).sum()
    whole, structures = [], []
    for a, b in zip(x, y, strict=True):
        for top in range(a.shape[0] - 10):
            for left in range(a.shape[1] - 10):
                p, q = (plane[top : top + 11, left : left + 11] for plane in (a, b))
                mp, mq = (weights * p).sum(), (weights * q).sum()
                vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
                structures.append((2 * (weights * (p - mp) * (q - mq)).sum() + C2) / (vp + vq + C2))
                whole.append(structures[-1] * (2 * mp * mq + C1) / (mp**2 + mq**2 + C1))
    return float(np.mean(whole)), float(np.mean(structures))


def plain_ms_ssim(x: np.ndarray, y: np.ndarray, count: int) -> float:
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:count])
    if count < 5:
        weights /= weights.sum()
    found = 1.0
    for scale, weight in enumerate(weights):
        whole, structure = plain_terms(x, y)
        found *= max(0, whole if scale == count - 1 else structure) ** weight
        x, y = (
            np.array([[[plane[i : i + 2, j : j + 2].mean() for j in range(0, plane.shape[1], 2)]
                       for i in range(0, plane.shape[0], 2)] for plane in image])
            for image in (x, y)
        )  # fmt: skip
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("deviation", [3, 40])
def test_ssim_agrees_with_scikit_image(shape: tuple[int, ...], deviation: float) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    x = smooth(shape)
    y = noisy(x, deviation)
    settings = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 255, "channel_axis": 0}
    expected = [metrics.structural_similarity(a, b, **settings) for a, b in zip(x, y, strict=True)]
    assert ssim(x, y) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("shape", "count"), [((2, 1, 28, 28), 2), ((1, 3, 47, 43), 3), ((1, 1, 165, 161), 5)])
def test_ms_ssim_agrees_with_a_plain_computation(shape: tuple[int, ...], count: int) -> None:
    x = smooth(shape)
    y = noisy(x, 20)
    assert scales(*shape[2:]) == count
    expected = [plain_ms_ssim(a, b, count) for a, b in zip(x.astype(float), y.astype(float), strict=True)]
    assert ms_ssim(x, y) == pytest.approx(expected, abs=1e-9)
    assert max(expected) < 0.99


@pytest.mark.parametrize("of", [ssim, ms_ssim])
def test_equal_images_have_1_and_order_does_not_matter(of: type[ssim]) -> None:
    x = smooth((5, 1, 40, 40))
    y = noisy(x, 30)
    assert of(x, x) == pytest.approx(np.ones(5), abs=1e-12)
    assert np.array_equal(of(x, y), of(y, x))
    order = np.array([3, 0, 4, 2, 1])
    assert of(x[order], y[order]) == pytest.approx(of(x, y)[order], abs=1e-12)


def test_constant_images_in_closed_form() -> None:
    """Without variance the second factor is 1, and what is left is the luminance."""
    for a, b in ((0, 255), (100, 120), (7, 7)):
        x, y = (np.full((1, 3, 30, 30), level, np.uint8) for level in (a, b))
        luminance = (2 * a * b + C1) / (a**2 + b**2 + C1)
        assert ssim(x, y) == pytest.approx([luminance], abs=1e-9)
        weight = WEIGHTS[1] / sum(WEIGHTS[:2])
        assert ms_ssim(x, y) == pytest.approx([luminance**weight], abs=1e-9)


def test_a_negative_correlation_gives_no_nan() -> None:
    x = smooth((2, 1, 64, 64))
    assert (ssim(x, 255 - x) < 0).all()
    assert np.array_equal(ms_ssim(x, 255 - x), [0, 0])


@pytest.mark.parametrize("of", [ssim, ms_ssim])
def test_more_noise_and_more_blur_are_worse(of: type[ssim]) -> None:
    x = smooth((3, 1, 64, 64))
    by_noise = [of(x, noisy(x, deviation)).mean() for deviation in (0, 5, 10, 20, 40, 80)]
    assert (np.diff(by_noise) < -0.002).all()
    blurred, by_blur = [x.astype(float)], []
    for _ in range(5):
        last = np.pad(blurred[-1], ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        blurred.append(sum(last[:, :, i : i + 64, j : j + 64] for i in range(3) for j in range(3)) / 9)
        by_blur.append(of(x, blurred[-1].round().astype(np.uint8)).mean())
    assert (np.diff([1, *by_blur]) < -0.002).all()


def test_chunks_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = smooth((7, 3, 50, 70))
    y = noisy(x, 20)
    whole = ssim(x, y), ms_ssim(x, y)
    monkeypatch.setattr(module, "VALUES_AT_A_TIME", 25_000)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert ssim(x, y) == pytest.approx(whole[0], abs=1e-12)
    assert ms_ssim(x, y) == pytest.approx(whole[1], abs=1e-12)


def test_the_name_says_how_many_scales() -> None:
    assert [scales(side, 500) for side in (11, 20, 21, 40, 41, 80, 81, 160, 161)] == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert ms_ssim_name(161, 161) == "MS-SSIM(5 scales)"
    assert ms_ssim_name(128, 128) == "MS-SSIM(4 of 5 scales)"
    with pytest.raises(InputError, match="10x500"):
        scales(10, 500)


@pytest.mark.parametrize("of", [ssim, ms_ssim])
def test_what_are_no_pairs_or_too_small_is_refused(of: type[ssim]) -> None:
    x = smooth((2, 1, 16, 16))
    for first, second, message in (
        (x, x.astype(float), "second images are float64"),
        (x[0], x[0], "first images are uint8 of shape"),
        (x, x[:1], "2 images with 1"),
        (x, x.repeat(3, 1), "1 channels of first and 3 of second images: make both grey"),
        (x, x[..., 1:], "16x16 first and 16x15 second"),
        (x[..., :10], x[..., :10], "16x10 are too small: give at least 11x11"),
        (x[:0], x[:0], "0 first images are too few"),
    ):
        with pytest.raises(InputError, match=message) as error:
            of(first, second)
        assert "\n" not in str(error.value)
