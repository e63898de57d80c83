"""Bicubic resizing: the numbers of MATLAB's `imresize`, and what any resizing must do."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairdraw.nets.bicubic import as_levels, resized, resized_levels, weights

QUARTER = [0.2409668, 0.18188477, 0.09741211, 0.02270508, -0.01196289, -0.01831055, -0.01098633, -0.00170898]
HALF = [0.43359375, 0.11328125, -0.03515625, -0.01171875]


@pytest.mark.parametrize(("factor", "side"), [(4, QUARTER), (2, HALF)])
def test_smaller_it_has_matlabs_weights(factor: int, side: list[float]) -> None:
    row = weights(16 * factor, 16, 1 / factor)[8]
    taps = row[np.flatnonzero(row)]
    np.testing.assert_allclose(taps, [*side[::-1], *side], atol=1e-7)
    assert np.flatnonzero(row)[0] == 8 * factor + factor // 2 - len(side)


def test_larger_it_has_matlabs_weights() -> None:
    found = weights(16, 64, 4.0)
    first = [-0.043945, 0.389648, 0.727539, -0.073242]
    second = [-0.006836, 0.090820, 0.963867, -0.047852]
    for phase, (offset, expected) in enumerate(((-2, first), (-2, second), (-1, second[::-1]), (-1, first[::-1]))):
        np.testing.assert_allclose(found[32 + phase, 8 + offset : 12 + offset], expected, atol=1e-6)
        assert np.count_nonzero(found[32 + phase]) == 4


@pytest.mark.parametrize(("before", "scale"), [(7, 0.25), (9, 4.0), (33, 0.5), (5, 1 / 3), (3, 2.0), (64, 1.0)])
def test_rows_sum_to_one_so_that_a_constant_stays(before: int, scale: float) -> None:
    x = torch.full((2, 3, before, before + 1), 0.7, dtype=torch.float64)
    found = resized(x, scale)
    assert found.shape[2:] == (int(np.ceil(before * scale)), int(np.ceil((before + 1) * scale)))
    torch.testing.assert_close(found, torch.full_like(found, 0.7))


def test_a_scale_of_one_is_the_identity() -> None:
    x = torch.rand(1, 1, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(resized(x, 1.0), x)


def test_borders_are_mirrored_with_the_edge_pixel() -> None:
    x = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    mirrored = torch.cat([x.flip(3), x, x.flip(3)], dim=3)
    mirrored = torch.cat([mirrored.flip(2), mirrored, mirrored.flip(2)], dim=2)
    torch.testing.assert_close(resized(x, 0.25), resized(mirrored, 0.25)[:, :, 4:8, 4:8])
    torch.testing.assert_close(resized(x, 4.0), resized(mirrored, 4.0)[:, :, 64:128, 64:128])


@pytest.mark.parametrize("size", [(24, 40), (192, 320), (37, 51)])
def test_away_from_the_border_it_is_torchs_antialiased(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    found = resized(x, size=size)
    expected = F.interpolate(x, size, mode="bicubic", antialias=True)
    b = 8
    torch.testing.assert_close(found[..., b:-b, b:-b], expected[..., b:-b, b:-b], rtol=0, atol=1e-5)
    assert float((found - expected).abs().max()) > 1e-3, "at the border they differ"


def test_smooth_images_survive_there_and_back() -> None:
    wave = np.sin(np.arange(40) / 6)
    levels = np.round(127 + 100 * wave[:, None] * wave[None]).astype(np.uint8)[None]
    back = resized_levels(resized_levels(levels, 4.0), 0.25)
    assert np.abs(back.astype(int) - levels)[:, 3:-3, 3:-3].max() <= 1


def test_levels_are_rounded_once_and_stay_in_range() -> None:
    images = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (2, 3, 32, 32))
    found = resized_levels(images, 0.25)
    exact = resized(torch.from_numpy(images.astype(np.float64)), 0.25)
    assert found.dtype == np.uint8
    np.testing.assert_array_less(np.abs(found - exact.clamp(0, 255).numpy()), 0.5 + 1e-9)
    large = resized_levels(images, 2.0)
    assert large.min() == 0
    assert large.max() == 255, "what overshoots is cut, not wrapped"


def test_half_precision_is_computed_in_float32_and_gradients_pass() -> None:
    x = torch.rand(1, 1, 16, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = resized(x, 0.25)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, resized(x, 0.25))
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert float(gradient.sum()) == pytest.approx(16, rel=1e-5)


def test_halves_are_rounded_up_as_matlab_does() -> None:
    assert as_levels(torch.tensor([-0.5, 0.5, 1.5, 2.5, 254.5, 255.5])).tolist() == [0, 1, 2, 3, 255, 255]
