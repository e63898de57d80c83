import numpy as np
from PIL import Image

from fairdraw.data.decode import canonical, fitted
from fairdraw.data.options import Options

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOUR = np.stack([GREY, 255 - GREY, np.full_like(GREY, 7)], axis=2)


def test_rectangles():
    wide = np.zeros((4, 8, 1), np.uint8)
    wide[:, 2:6] = 200
    assert (fitted(wide, 1, Options(size=4)) == 200).all()
    padded = fitted(wide, 1, Options(size=8, fit="pad"))[0]
    assert np.array_equal(padded[2:6], wide[..., 0])
    assert (padded[[0, 1, 6, 7]] == 255).all()
    assert fitted(wide, 1, Options(size=8, fit="stretch"))[0].shape == (8, 8)
    assert fitted(np.zeros((1, 20, 1), np.uint8), 1, Options(size=4, fit="pad")).shape == (1, 4, 4)


def test_shrinking_is_anti_aliased():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))[..., None]
    small = fitted(stripes, 1, Options(size=8))
    assert small.min() > 100
    assert small.max() < 156
    reference = Image.fromarray(stripes[..., 0]).resize((8, 8), Image.Resampling.LANCZOS)
    assert np.array_equal(small[0], np.asarray(reference))


def test_the_right_size_is_not_touched():
    assert np.array_equal(fitted(COLOUR[:, :4], 3, Options(size=4)), COLOUR[:, :4].transpose(2, 0, 1))


def test_transparent_edges_have_no_dark_halo_when_alpha_is_kept():
    disc = np.zeros((16, 16, 4), np.uint8)
    disc[:, 8:] = (200, 200, 200, 255)
    small = fitted(disc, 4, Options(size=4))
    visible = small[3] > 0
    assert (small[0][visible] >= 195).all()


def test_colour_becomes_grey_by_luminance():
    red = canonical(np.full((2, 2, 3), (255, 0, 0), np.uint8))
    assert (fitted(red, 1, Options()) == 76).all()
