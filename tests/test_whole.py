"""Pictures through a model: grey and colour, alpha beside it, what is hidden under alpha, 16 bits."""

from typing import Any

import numpy as np
import pytest
from sizes import Translator, Upscaler

from fairdraw.data.decode import Unreadable
from fairdraw.data.exact import Exact
from fairdraw.tiling import translating, upscaling
from fairdraw.whole import applied, as_images_are, enlarged

SIZE = (30, 41)


def pixels(channels: int, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (*SIZE, channels)).astype(dtype)


def disc(dtype: Any = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    """A red disc with a soft edge in the middle of nothing, and its alpha; what is hidden is green."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    most = np.iinfo(dtype).max
    alpha = (np.clip(10 - np.hypot(rows - 15, columns - 20), 0, 1) * most).astype(dtype)
    colour = np.where(alpha[..., None] > 0, np.array([most, 0, 0]), np.array([0, most, 0])).astype(dtype)
    return colour, alpha


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_keeps_its_kind_and_bits(channels: int, dtype: Any) -> None:
    picture = Exact(pixels(channels, dtype), pixels(1, dtype)[..., 0] | dtype(1))
    assert picture.alpha is not None
    made = applied(translating(Translator(channels=channels), "a-to-b"), Exact(picture.pixels), channels)
    assert made.dtype == dtype
    assert np.array_equal(made, picture.pixels)
    large = applied(upscaling(Upscaler(channels=channels)), picture, channels)
    assert large.dtype == dtype
    assert large.shape == (60, 82, channels + 1)
    assert np.array_equal(large[..., :-1], picture.pixels.repeat(2, 0).repeat(2, 1))


def test_grey_is_given_to_a_model_of_colour_and_colour_not_to_one_of_grey() -> None:
    grey = pixels(1)
    made = applied(translating(Translator(), "a-to-b"), Exact(grey), 3)
    assert np.array_equal(made, grey.repeat(3, axis=2))
    tiled = translating(Translator(channels=1), "a-to-b")
    assert np.array_equal(applied(tiled, Exact(made), 1), grey)  # in colour by its format alone
    with pytest.raises(Unreadable, match="it is in colour, and the model is one of grey images; make it grey first"):
        applied(tiled, Exact(pixels(3)), 1)


def test_alpha_is_unchanged_where_a_picture_is_translated_as_over_white() -> None:
    colour, alpha = disc()
    made = applied(translating(Translator("inverse"), "a-to-b"), Exact(colour, alpha), 3)
    assert np.array_equal(made[..., 3], alpha)
    assert (made[alpha == 0, :3] == 0).all()  # white, inverted
    assert (made[alpha == 255, :3] == (0, 255, 255)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_half_of_white_is_laid_exactly(dtype: Any) -> None:
    most = np.iinfo(dtype).max
    picture = np.array([[[0], [most], [most // 3]]], dtype)
    alpha = np.array([[most // 5, 0, most]], dtype)
    found = as_images_are(Exact(picture, alpha), 1, opaque=True)
    assert found.tolist() == [[[most - most // 5, most, most // 3]]]
    assert found.dtype == dtype


def test_what_is_hidden_makes_no_fringe() -> None:
    colour, alpha = disc()
    made = applied(upscaling(Upscaler("blur")), Exact(colour, alpha), 3)
    inside = made[30 - 12 : 30 + 12, 40 - 12 : 40 + 12]
    assert (inside[..., :3] == (255, 0, 0)).all()
    assert made[8:-8, 8:-8, 1].max() == 0, "the hidden green speaks"  # at the edges the blur takes in grey
    all_hidden = applied(upscaling(Upscaler()), Exact(colour, alpha * 0), 3)
    assert np.array_equal(all_hidden[..., :3], colour.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_enlarged_smoothly_and_stays_in_range(dtype: Any) -> None:
    most = np.iinfo(dtype).max
    _, alpha = disc(dtype)
    large = enlarged(alpha, 4)
    assert large.dtype == dtype
    assert large.shape == (120, 164)
    assert (large[60, 80], large[0, 0]) == (most, 0)
    assert np.abs(large.reshape(30, 4, 41, 4).mean((1, 3)) - alpha).max() < 0.12 * most
    assert np.array_equal(enlarged(np.full((3, 5), most, dtype), 2), np.full((6, 10), most, dtype))
    ramp = np.tile(np.linspace(0, most, 9), (2, 1)).astype(dtype)
    assert np.ptp(np.diff(enlarged(ramp, 2)[1, 4:-4].astype(float))) <= 2


def test_a_model_with_alpha_sees_it() -> None:
    colour, alpha = disc()
    made = applied(upscaling(Upscaler(channels=4)), Exact(colour, alpha), 4)
    assert np.array_equal(made[..., 3], alpha.repeat(2, 0).repeat(2, 1))
    assert (made[0, 0] == (255, 255, 255, 0)).all()
    opaque = applied(translating(Translator(channels=4), "a-to-b"), Exact(pixels(1)), 4)
    assert (opaque[..., 3] == 255).all()
    assert np.array_equal(opaque[..., :3], pixels(1).repeat(3, axis=2))
