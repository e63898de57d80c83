"""Diversity by MS-SSIM: pairs of a seed, real against real, and a collapse that shows."""

import numpy as np
import pytest

from fairdraw.errors import InputError
from fairdraw.metrics import structural_diversity as module
from fairdraw.metrics.ssim import ms_ssim
from fairdraw.metrics.structural_diversity import pairs, structural_diversity


def squares(count: int, seed: int, kinds: int = 10_000) -> np.ndarray:
    """Bright squares at random places, of at most `kinds` kinds."""
    random = np.random.default_rng(seed)
    found = np.zeros((min(count, kinds), 1, 28, 28), np.uint8)
    for image, (top, left) in zip(found, random.integers(0, 18, (len(found), 2)), strict=True):
        image[0, top : top + 10, left : left + 10] = random.integers(100, 256)
    return found[random.permutation(count) % len(found)]


@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_pairs_are_a_function_of_the_seed_and_no_image_is_in_two(count: int) -> None:
    found = pairs(count, 3)
    assert found.shape == (count // 2, 2)
    assert len(np.unique(found)) == found.size
    assert found.min() >= 0
    assert found.max() < count
    assert np.array_equal(found, pairs(count, 3))
    assert np.array_equal(found[:1], pairs(count, 3, most=1))
    assert count < 10 or not np.array_equal(found, pairs(count, 4))


def test_it_is_the_mean_over_the_pairs_with_its_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAIRS_AT_A_TIME", 7)
    real, generated = squares(101, 0), squares(90, 1)
    found = structural_diversity(real, generated, seed=5)
    for number, images, kind in ((found.real, real, "real"), (found.generated, generated, "generated")):
        chosen = pairs(len(images), 5)
        values = ms_ssim(images[chosen[:, 0]], images[chosen[:, 1]])
        assert number.value == pytest.approx(values.mean())
        assert number.standard_error == pytest.approx(values.std(ddof=1) / len(values) ** 0.5)
        assert number.count == len(images) // 2
        assert f"MS-SSIM(2 of 5 scales) within images {number.value:.4f}" in str(number)
        assert f"{len(chosen)} disjoint pairs of {kind} images" in str(number)
    assert found.excess == pytest.approx(found.generated.value - found.real.value)
    errors = [number.standard_error or 0 for number in (found.generated, found.real)]
    assert found.standard_error == pytest.approx(sum(error**2 for error in errors) ** 0.5)
    assert structural_diversity(real, generated, seed=5) == found


def test_real_against_real_is_within_the_standard_error() -> None:
    """Over 40 sets, as a normal deviate; the order of the images matters no more than another seed."""
    deviates = []
    for seed in range(40):
        found = structural_diversity(squares(100, 2 * seed), squares(100, 2 * seed + 1), seed)
        assert found.standard_error is not None
        deviates.append(found.excess / found.standard_error)
    assert abs(np.mean(deviates)) < 0.5
    assert 0.7 < np.std(deviates) < 1.4


def test_order_of_images_matters_no_more_than_chance() -> None:
    real = squares(400, 0)
    found = structural_diversity(real, real[::-1].copy())
    assert found.standard_error is not None
    assert abs(found.excess) < 4 * found.standard_error


def test_collapse_raises_it() -> None:
    """Fewer kinds are more alike, up to one, of which every pair is 1."""
    real = squares(300, 0)
    found = [structural_diversity(real, squares(300, 1, kinds)) for kinds in (300, 8, 3, 1)]
    assert (np.diff([each.generated.value for each in found]) > 0.02).all()
    assert found[-1].generated.value == pytest.approx(1)
    assert found[-2].standard_error is not None
    assert found[-2].excess > 4 * found[-2].standard_error


def test_what_means_nothing_is_refused() -> None:
    real = squares(10, 0)
    for generated, message in (
        (real[:1], "1 generated image is too few: give at least 2"),
        (real.repeat(3, 1), "1 channels of real and 3 of generated images"),
        (real[..., 1:], "28x28 real and 28x27 generated"),
        (real[..., :10], "28x10 are too small: give at least 11x11"),
        (real / 255, "generated images are float64"),
        (real[0], "generated images are uint8 of shape"),
    ):
        with pytest.raises(InputError, match=message) as error:
            structural_diversity(real, generated)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="mean over 0 pairs"):
        structural_diversity(real, real, most=0)
    few = structural_diversity(real[:2], real[:3])
    assert few.standard_error is None
    assert "no interval" in str(few.real)
