"""Sliced Wasserstein distance: Gaussians in closed form, the pyramid in a plain computation, and its blind spots."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from fairdraw.errors import InputError
from fairdraw.metrics import sliced_wasserstein as module
from fairdraw.metrics.sliced_wasserstein import mean_distance, sliced_wasserstein


def textures(count: int, seed: int, shape: tuple[int, int, int] = (1, 32, 32)) -> np.ndarray:
    """Noise at several scales around the middle of the levels: nothing is clipped."""
    random, (channels, height, width) = np.random.default_rng(seed), shape
    found = np.zeros((count, *shape))
    for step in (1, 4, 16):
        coarse = random.uniform(-20, 20, size=(count, channels, -(-height // step), -(-width // step)))
        found += coarse.repeat(step, 2).repeat(step, 3)[:, :, :height, :width]
    return (128 + found).astype(np.uint8)


def blurred(images: np.ndarray, deviation: float) -> np.ndarray:
    found = scipy.ndimage.gaussian_filter(images.astype(float), (0, 0, deviation, deviation))
    return found.round().astype(np.uint8)


def gaussian(count: int) -> np.ndarray:
    """The quantiles of N(0, 1), `[N, 1]`."""
    found: np.ndarray = scipy.stats.norm.ppf((np.arange(count) + 0.5) / count).astype(np.float32)[:, None]
    return found


def test_gaussians_on_a_line_in_closed_form() -> None:
    """W1 of N(0, 1) and N(m, 1) is |m|, and of N(0, 1) and N(0, s^2) is |s - 1| sqrt(2 / pi)."""
    x = gaussian(20_001)
    found = [mean_distance(x, y, np.random.default_rng(0)) for y in (x, x + 0.3, x - 2, 1.5 * x, x[::-1])]
    expected = [0, 0.3, 2, 0.5 * (2 / np.pi) ** 0.5, 0]
    assert found == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("degrees", [3, 1000], ids=["heavy tails", "Gaussian"])
@pytest.mark.parametrize(("spread", "tolerance"), [(1.2, 2e-4), (1.0, 1e-3)], ids=["other", "same"])
def test_counting_in_steps_is_as_good_as_sorting(degrees: int, spread: float, tolerance: float) -> None:
    random = np.random.default_rng(0)
    x, y = (s * random.standard_t(degrees, size=(40_000, 1)).astype(np.float32) for s in (1.0, spread))
    expected = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
    assert mean_distance(x, y, np.random.default_rng(0)) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("far", [1e5, 1e6])
def test_one_point_far_from_all_others_does_not_hide_them(far: float) -> None:
    random = np.random.default_rng(0)
    x, y = (np.append(s * random.normal(size=20_000), far).astype(np.float32)[:, None] for s in (1.0, 1.2))
    expected = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
    assert mean_distance(x, y, np.random.default_rng(0)) == pytest.approx(expected, rel=1e-4)


def test_other_numbers_of_points_are_refused() -> None:
    with pytest.raises(InputError, match="give as many of both"):
        mean_distance(gaussian(100), gaussian(200), np.random.default_rng(0))


def test_a_shift_in_many_dimensions_is_seen_by_each_direction_as_far_as_it_points_there() -> None:
    """In three, the mean of |d . m| over directions is |m| / 2."""
    points = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    shift = np.array([0, 3, 4], np.float32)
    assert mean_distance(points, points + shift, np.random.default_rng(1)) == pytest.approx(2.5, rel=0.08)


def test_the_pyramid_is_that_of_a_plain_computation() -> None:
    images = textures(3, 0, (3, 32, 64))
    line = np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(line, line)[None, None]
    level, expected = images.astype(float), []
    for _ in range(1):
        below = scipy.ndimage.convolve(level, kernel, mode="mirror")[:, :, ::2, ::2]
        spaced = np.zeros_like(level)
        spaced[:, :, ::2, ::2] = below
        expected.append(level - scipy.ndimage.convolve(spaced, 4 * kernel, mode="mirror"))
        level = below
    expected.append(level)
    for number, plain in enumerate(expected):
        ((start, found),) = module._at_level(images, np.arange(3), number)
        assert start == 0
        assert found == pytest.approx(plain, abs=1e-4)


def test_the_unit_is_a_thousandth() -> None:
    x, y = textures(6, 0, (1, 16, 16)), textures(6, 1, (1, 16, 16))
    patches = [module._normalised(module._patches(images, np.arange(6), 0, 8, 0)) for images in (x, y)]
    expected = 1000 * mean_distance(patches[0], patches[1], np.random.default_rng([0, 0]))
    assert sliced_wasserstein(x, y, patches=8).levels["16"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        ((16, 16), ["16"]),
        ((28, 28), ["32", "16"]),
        ((33, 20), ["64x32", "32x16"]),
        ((64, 64), ["64", "32", "16"]),
        ((128, 90), ["128", "64", "32", "16"]),
    ],
)
def test_levels_by_size(size: tuple[int, int], levels: list[str]) -> None:
    x, y = textures(6, 0, (1, *size)), textures(6, 1, (1, *size))
    found = sliced_wasserstein(x, y, patches=8)
    assert list(found.levels) == levels
    assert found.mean == pytest.approx(np.mean(list(found.levels.values())))
    assert all(0 < value < 1000 for value in found.levels.values())


def test_patches_are_cut_at_the_same_places_some_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = textures(50, 0, (3, 32, 32)), textures(50, 1, (3, 32, 32))
    whole = sliced_wasserstein(x, y, seed=4)
    monkeypatch.setattr(module, "VALUES_AT_A_TIME", 7 * 3 * 32 * 32)
    parts = sliced_wasserstein(x, y, seed=4)
    assert parts.levels == pytest.approx(whole.levels, rel=1e-5)
    assert sliced_wasserstein(x, y, seed=5).levels != whole.levels


def test_a_patch_is_a_window_of_its_image() -> None:
    images = np.arange(16 * 16, dtype=np.uint8).reshape(1, 1, 16, 16)
    found = module._patches(images, np.array([0]), 0, 3000, 0)
    assert found.shape == (3000, 1, 7, 7)
    corners = found[:, 0, 0, 0].astype(int)
    inside = 16 * np.arange(7)[:, None] + np.arange(7)
    assert np.array_equal(found[:, 0], corners[:, None, None] + inside)
    assert {(corner // 16, corner % 16) for corner in corners} == {(i, j) for i in range(10) for j in range(10)}


def test_patches_have_mean_0_and_deviation_1_in_each_channel() -> None:
    patches = np.random.default_rng(0).normal(5, 3, (1000, 3, 7, 7)).astype(np.float32)
    patches[:, 2] = 7
    found = module._normalised(patches).reshape(1000, 3, 49)
    assert found.mean((0, 2)) == pytest.approx([0, 0, 0], abs=1e-5)
    assert found.std((0, 2)) == pytest.approx([1, 1, 0], abs=1e-4)


def test_equal_sets_have_the_distance_0_in_either_order() -> None:
    x, y = textures(40, 0), textures(40, 1)
    assert sliced_wasserstein(x, x).levels == {"32": 0, "16": 0}
    assert sliced_wasserstein(x, y).levels == pytest.approx(sliced_wasserstein(y, x).levels)


def test_order_of_images_matters_no_more_than_the_draw_of_patches() -> None:
    x, y = textures(200, 0), blurred(textures(200, 1), 0.5)
    found = sliced_wasserstein(x, y).levels
    assert sliced_wasserstein(x[::-1], y).levels == pytest.approx(found, rel=0.1)
    assert sliced_wasserstein(x, y, seed=1).levels == pytest.approx(found, rel=0.1)


def test_real_images_among_themselves_come_nearer_with_their_number() -> None:
    found = [sliced_wasserstein(textures(n, 0), textures(n, 1), patches=32).mean for n in (30, 120, 480)]
    assert found[0] > 1.5 * found[1] > 1.5**2 * found[2]


def test_blur_and_noise_and_collapse_make_it_grow() -> None:
    real, other, random = textures(200, 0), textures(200, 1), np.random.default_rng(2)
    blur = [sliced_wasserstein(real, blurred(other, d), patches=32).levels["32"] for d in (0, 0.5, 0.7, 1)]
    assert (np.diff(blur) > 5).all()
    noises = [random.normal(size=other.shape) * deviation for deviation in (0, 8, 16, 32)]
    noisy = [(other + noise).clip(0, 255).astype(np.uint8) for noise in noises]
    noise = [sliced_wasserstein(real, images, patches=32).mean for images in noisy]
    assert (np.diff(noise) > 1).all()
    collapse = [sliced_wasserstein(real, other[np.arange(200) % n], patches=32).levels["16"] for n in (200, 8, 1)]
    assert (np.diff(collapse) > 5).all()


def test_brightness_and_contrast_that_all_share_are_not_seen() -> None:
    """Each kind is normalised by itself, as in the paper's code."""
    real = textures(60, 0) // 2
    found = sliced_wasserstein(real, real + 40).levels
    assert found == pytest.approx({"32": 0, "16": 0}, abs=0.01)
    assert sliced_wasserstein(real, real * 2).mean < 0.1
    assert sliced_wasserstein(np.full_like(real, 9), np.full_like(real, 200)).mean == 0
    one_of_two = real.copy()
    one_of_two[::2] += 40
    assert sliced_wasserstein(real, one_of_two).levels["16"] > 50


def test_the_larger_set_is_cut_evenly() -> None:
    """Of a set sorted by kind, all kinds are kept."""
    kinds = np.sort(textures(30, 0), axis=0)
    found = sliced_wasserstein(kinds, kinds[[0, 15, 29]])
    assert found.images == 3
    assert found.levels == sliced_wasserstein(kinds[np.linspace(0, 29, 3).astype(int)], kinds[[0, 15, 29]]).levels


def test_what_means_nothing_is_refused() -> None:
    real = textures(5, 0)
    for generated, message in (
        (real[:1], "1 generated image is too few: give at least 2"),
        (real.repeat(3, 1), "1 channels of real and 3 of generated images"),
        (real[..., 1:], "32x32 real and 32x31 generated"),
        (real[..., :15], "32x15 are too small: give at least 16x16"),
        (real / 255, "generated images are float64"),
    ):
        with pytest.raises(InputError, match=message) as error:
            sliced_wasserstein(real, generated)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="0 patches"):
        sliced_wasserstein(real, real, patches=0)
