"""The jitter of image pairs: what resizing and cropping would give, the same for both sides."""

import torch
import torch.nn.functional as F

from fairdraw.nets.jitter import jittered
from fairdraw.noise import Noise


def images(count: int = 64, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def test_it_is_a_crop_of_the_resized_image_mirrored_or_not() -> None:
    x = images()
    (moved,) = jittered((x,), Noise(0, 64, dtype=torch.float64), enlarge=1.25)
    large = F.interpolate(x, size=20, mode="bilinear", align_corners=False)
    seen = set()
    for row, image in enumerate(moved):
        crops = {
            (top, left, mirrored): (crop.flip(2) if mirrored else crop)
            for top in range(5)
            for left in range(5)
            for mirrored in (False, True)
            for crop in [large[row, :, top : top + 16, left : left + 16]]
        }
        apart = {where: float((crop - image).abs().max()) for where, crop in crops.items()}
        where = min(apart, key=apart.__getitem__)
        assert apart[where] < 1e-6
        seen.add(where)
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(5))
    assert {mirrored for _, _, mirrored in seen} == {False, True}


def test_both_sides_move_alike_and_rows_do_not_depend_on_one_another() -> None:
    x = images(8)
    one, other = jittered((x, -x), Noise(1, 8, dtype=torch.float64))
    assert torch.equal(one, -other)
    (alone,) = jittered((x[5:6],), Noise(1, 8, dtype=torch.float64).rows(5, 1))
    torch.testing.assert_close(alone, one[5:6])


def test_without_either_nothing_is_drawn() -> None:
    noise, x = Noise(0, 8), images(8)
    assert jittered((x,), noise, enlarge=1, mirror=False)[0] is x
    assert noise._draw == 0
    (mirrored,) = jittered((x,), Noise(0, 8, dtype=torch.float64), enlarge=1)
    kept = [torch.allclose(a, b) for a, b in zip(mirrored, x, strict=True)]
    turned = [torch.allclose(a.flip(2), b) for a, b in zip(mirrored, x, strict=True)]
    assert all(a != b for a, b in zip(kept, turned, strict=True))
    assert 0 < sum(kept) < 8
