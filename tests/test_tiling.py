"""Images of any size in tiles: what is the same as at once, what is not and by how much, and the memory it takes."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import Translator, Upscaler
from toys import SMALL_CONFIGS, SMALL_SRGAN, build

from fairdraw.capabilities import Translates, Upscales
from fairdraw.errors import InputError
from fairdraw.images import to_signed, to_uint8
from fairdraw.models import model_of_config
from fairdraw.tiling import Axis, Tiled, to_levels, translating, upscaling
from fairdraw.tiling import to_signed as signed

ROUNDING = 1e-3
"""In levels of 255."""


def photo(height: int, width: int, channels: int = 3, dtype: Any = np.uint8) -> np.ndarray:
    """Smooth, with a little of everything on it."""
    rng = np.random.default_rng(height)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (5 + k)) * np.cos(columns / (9 - k)) for k in range(channels)]
    image = 0.45 * np.stack(waves) + 0.5 + 0.05 * rng.uniform(-1, 1, (channels, height, width))
    return (image * np.iinfo(dtype).max).astype(dtype)


# How a side is cut


@settings(max_examples=300, deadline=None)
@given(
    length=st.integers(1, 3000),
    margin=st.integers(0, 70),
    multiple=st.sampled_from([1, 2, 4, 32]),
    more=st.integers(0, 90),
)
def test_every_pixel_is_in_a_tile_far_from_its_edges(length: int, margin: int, multiple: int, more: int) -> None:
    side = -(-(2 * margin + max(8, margin // 4) + multiple + more) // multiple) * multiple
    axis = Axis.cut(length, side, margin, multiple)
    padded = -(-length // multiple) * multiple
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.side == padded
    assert all(start % multiple == 0 for start in axis.starts)
    ends = [start + axis.side for start in axis.starts]
    for number, (begin, alone) in enumerate(axis.ramps):
        assert axis.starts[number + 1] + margin <= begin < alone == ends[number] - margin
    assert all(a[1] <= b[0] for a, b in zip(axis.ramps, axis.ramps[1:], strict=False))
    seen = np.concatenate([axis.pixels(number) for number in range(len(axis.starts))])
    assert set(seen.tolist()) == set(range(length))


def test_tiles_are_as_few_as_will_do_and_evenly_spread() -> None:
    assert Axis.cut(100, 100, 10, 1).starts == (0,)
    assert Axis.cut(101, 100, 10, 1).starts == (0, 1)
    # 100 less two margins of 10 and a ramp of 8 leaves 72 to go on by
    assert Axis.cut(172, 100, 10, 1).starts == (0, 72)
    assert Axis.cut(173, 100, 10, 1).starts == (0, 36, 73)


def test_beyond_its_edges_an_image_is_mirrored() -> None:
    assert Axis.cut(5, 8, 0, 8).pixels(0).tolist() == [1, 0, 1, 2, 3, 4, 3, 2]
    assert Axis.cut(2, 8, 0, 8).pixels(0).tolist() == [1, 0, 1, 0, 1, 0, 1, 0]
    assert Axis.cut(1, 8, 0, 8).pixels(0).tolist() == [0] * 8
    assert Axis.cut(3, 64, 0, 1, least=7).pixels(0).tolist() == [2, 1, 0, 1, 2, 1, 0]


# The same as at once


@pytest.mark.parametrize("does", ["nothing", "blur", "squares"])
@pytest.mark.parametrize("size", [(1, 1), (1, 90), (3, 50), (40, 40), (41, 87), (128, 33), (130, 131)])
def test_what_depends_on_no_more_than_its_margin_is_the_same(does: str, size: tuple[int, int]) -> None:
    for model in (Translator(does), Upscaler(does, factor=3)) if does != "squares" else (Translator(does),):
        tiled = translating(model, "a-to-b", tile=36) if isinstance(model, Translator) else upscaling(model, tile=36)
        assert tiled.difference(photo(*size)) < ROUNDING


def test_tiles_that_begin_anywhere_would_show() -> None:
    """The toy of strides is one: told that it has none, it is another."""
    model = Translator("squares")
    careless = Tiled(lambda x, _: model.translate(x, "a-to-b", None), 44, 10, 1)  # type: ignore[arg-type]
    model.multiple = 1
    assert careless.difference(photo(132, 132)) > 1


def test_a_margin_that_is_too_small_would_show() -> None:
    model = Upscaler("blur")
    model.margin = 0
    assert upscaling(model, tile=36).difference(photo(90, 90)) > 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_left_as_it_is_is_left_to_the_bit(dtype: Any) -> None:
    image = photo(90, 70, dtype=dtype)
    assert np.array_equal(translating(Translator(), "a-to-b", tile=24).of(image), image)
    made = upscaling(Upscaler(factor=3), tile=24).of(image)
    assert made.dtype == dtype
    assert np.array_equal(made, image.repeat(3, 1).repeat(3, 2))


def test_super_resolution_is_the_same_in_tiles() -> None:
    model = build(SMALL_SRGAN, (3, 32, 32)).eval()
    assert isinstance(model, Upscales)
    tiled = upscaling(model, tile=2 * model.margin + 20)
    image = photo(75, 61)
    assert tiled.difference(image) < ROUNDING
    with torch.no_grad():
        whole = to_uint8(model.upscale(to_signed(torch.from_numpy(image[None]))))[0]
    assert np.abs(tiled.of(image).astype(int) - whole.numpy()).max() <= 1


def test_in_bf16_it_is_off_by_a_little() -> None:
    model = build(SMALL_SRGAN, (3, 32, 32)).eval()
    assert isinstance(model, Upscales)
    image = photo(40, 50)
    exact, fast = (
        torch.cat(list(upscaling(model, precision=precision).bands(image)), dim=1) for precision in ("fp32", "bf16")
    )
    assert fast.dtype == torch.float32
    off = (exact - fast).abs()
    assert 1e-5 < float(off.mean()) < 0.01
    assert torch.equal(exact, torch.cat(list(upscaling(model).bands(image)), dim=1))


# Not the same, and no seam


@pytest.mark.parametrize("kind", [Translator, Upscaler])
def test_no_seam_is_seen_where_tiles_differ(kind: Any) -> None:
    """On a picture that is dark on one side, tiles differ in brightness by far; from pixel to pixel nothing jumps."""
    image = np.full((1, 60, 200), 128, np.uint8)
    image[..., 100:] = 160
    model = kind("brightness", 1)
    tiled = translating(model, "a-to-b", tile=64) if kind is Translator else upscaling(model, tile=64)
    made = tiled.of(image)[0, 0].astype(int)
    steps = np.abs(np.diff(made))
    f = tiled.factor
    (edge,) = np.flatnonzero(steps > 25)  # the picture's own
    assert edge == 100 * f - 1
    assert np.delete(steps, edge).max() <= 4
    assert tiled.difference(image) > 5


def test_the_difference_is_that_of_the_images() -> None:
    model, image = Translator("brightness"), photo(90, 80)
    x = signed(image)
    found = translating(model, "a-to-b", tile=40)
    whole = (x - x.mean((1, 2), keepdim=True)) * 127.5
    made = torch.cat(list(found.bands(image)), dim=1) * 127.5
    assert found.difference(image) == pytest.approx(float((made - whole).abs().max()), rel=1e-3)


TRANSLATING = [name for name, config in SMALL_CONFIGS.items() if issubclass(model_of_config(config), Translates)]


@pytest.mark.parametrize("name", TRANSLATING)
@pytest.mark.parametrize("size", [(1, 1), (3, 130), (4, 4), (64, 64), (75, 90)])
def test_every_model_that_translates_takes_any_size(name: str, size: tuple[int, int]) -> None:
    model = build(SMALL_CONFIGS[name], (3, 32, 32)).eval()
    assert isinstance(model, Translates)
    for direction in model.directions:
        tiled = translating(model, direction, tile=128)
        made = tiled.of(photo(*size))
        assert made.shape == (3, *size)
        assert made.std() > 0 or size == (1, 1)


# Noise, tiles, types


def test_noise_belongs_to_the_picture_and_the_seed() -> None:
    model, image = Translator("noise"), photo(40, 40)
    made = {
        (seed, number): translating(model, "a-to-b", seed).of(image, number) for seed in (0, 1) for number in (0, 1)
    }
    assert np.array_equal(made[0, 1], translating(model, "a-to-b", 0).of(image, 1))
    assert len({found.tobytes() for found in made.values()}) == 4


def test_the_direction_is_passed_on() -> None:
    image = photo(20, 20)
    assert np.array_equal(translating(Translator("inverse"), "a-to-b").of(image), 255 - image)
    assert np.array_equal(translating(Translator("inverse"), "b-to-a").of(image), image)


def test_the_model_sees_one_tile_at_a_time_and_all_are_counted() -> None:
    model, told = Upscaler("blur"), []
    upscaling(model, tile=36).of(photo(100, 60), tick=lambda done, of: told.append((done, of)))
    assert set(model.sizes) == {(1, 3, 36, 36)}
    assert told == [(k + 1, len(model.sizes)) for k in range(len(model.sizes))]
    assert len(told) == 4 * 3  # 30 px of a tile are blended or its own, 22 px from one to the next


def test_rows_are_handed_over_as_they_are_finished() -> None:
    model = Upscaler("blur", factor=3)
    found = upscaling(model, tile=36).bands(photo(300, 20))
    first = next(found)
    assert len(model.sizes) == 1, "the first rows wait for no more than the first tile"
    heights = [first.shape[1], *(band.shape[1] for band in found)]
    assert max(heights) <= 36 * 3
    assert sum(heights) == 900


def test_a_small_image_is_one_tile() -> None:
    model = Translator("squares")
    translating(model, "a-to-b").of(photo(13, 22))
    assert model.sizes == [(1, 3, 16, 24)]


def test_a_tile_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"--tile 20: a result depends on 10 px around it.*give at least 32"):
        translating(Translator("squares"), "a-to-b", tile=20)
    translating(Translator("squares"), "a-to-b", tile=32).of(photo(50, 50))
    with pytest.raises(InputError, match=r"--tile 0: .*give at least 9"):
        upscaling(Upscaler(), tile=0)


def test_a_result_beyond_any_memory_is_refused() -> None:
    huge = np.broadcast_to(np.uint8(0), (3, 20_000, 20_000))
    with pytest.raises(InputError, match="the result would have 40,000x40,000 pixels"):
        upscaling(Upscaler()).of(huge)


def test_a_tile_beyond_the_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Upscaler()

    def fails(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(model, "upscale", fails)
    with pytest.raises(InputError, match="a tile of 256 px does not fit into the memory of cpu: give a smaller --tile"):
        upscaling(model).of(photo(8, 8))

    def breaks(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("something else")

    monkeypatch.setattr(model, "upscale", breaks)
    with pytest.raises(RuntimeError, match="something else"):
        upscaling(model).of(photo(8, 8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_come_back(dtype: Any) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    x = signed(levels)
    assert (float(x.min()), float(x.max())) == (-1, 1)
    assert np.array_equal(to_levels(x, dtype), levels)
    assert to_levels(torch.tensor([-2.0, 2.0]), dtype).tolist() == [0, np.iinfo(dtype).max]
