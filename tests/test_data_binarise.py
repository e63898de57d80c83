import numpy as np
import pytest
from PIL import Image

import fairdraw.data as fd
from fairdraw.data.decode import fitted
from fairdraw.errors import InputError

BINARISED = fd.Options(binarise=True)

pytestmark = pytest.mark.usefixtures("home")


def greys(count, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 1), dtype=np.uint8)


def binarised(picture):
    return fitted(picture, 1, BINARISED)[0]


@pytest.mark.parametrize("level", [1, 64, 128, 200, 254])
def test_a_pixel_is_white_with_its_grey_level_as_probability(level):
    """Over pictures that differ in one corner pixel only, so that each has numbers of its own."""
    pictures = np.full((256, 32, 32, 1), level, np.uint8)
    pictures[:, 0, 0, 0] = np.arange(256)
    white = np.stack([binarised(picture) for picture in pictures])[:, 1:] / 255
    p, count = level / 255, white.size
    assert set(np.unique(white)) <= {0.0, 1.0}
    assert abs(white.mean() - p) < 4 * (p * (1 - p) / count) ** 0.5
    # each picture, and each place in it, is a draw of its own
    assert white.mean((1, 2)).var() == pytest.approx(p * (1 - p) / white[0].size, rel=0.5)
    assert white.mean(0).var() == pytest.approx(p * (1 - p) / len(white), rel=0.2)


def test_black_and_white_are_kept():
    picture = np.where(greys(1)[0] > 99, np.uint8(255), np.uint8(0))
    assert np.array_equal(binarised(picture), picture[..., 0])
    once = binarised(greys(1)[0])
    assert np.array_equal(binarised(once[..., None]), once)


def test_these_bits_for_ever():
    """A changed way to draw them would silently make another data set."""
    picture = np.arange(0, 256, 8, dtype=np.uint8).reshape(4, 8, 1)
    assert np.packbits(binarised(picture) > 0).tobytes().hex() == "08dd2097"


def test_a_picture_comes_out_the_same_in_any_company(tmp_path):
    pictures = greys(30)
    np.save(tmp_path / "some.npy", pictures[10:20, ..., 0])
    np.savez(tmp_path / "all.npz", x_train=pictures[::-1][:20], x_test=pictures[::-1][20:])
    (tmp_path / "files").mkdir()
    for number in (12, 3):
        Image.fromarray(pictures[number, ..., 0]).save(tmp_path / "files" / f"{number}.png")
    some, everything = fd.open(tmp_path / "some.npy", BINARISED), fd.open(tmp_path / "all.npz", BINARISED)
    expected = np.stack([binarised(picture) for picture in pictures])[:, None]
    assert np.array_equal(some.images, expected[10:20])
    assert np.array_equal(everything.images, expected[::-1])
    assert len(everything.test) == 10
    files = fd.open(tmp_path / "files", BINARISED)
    assert np.array_equal(files.images, expected[[12, 3]])


def test_it_follows_the_resizing_and_leaves_the_split_alone(tmp_path):
    np.save(tmp_path / "set.npy", greys(40, side=16)[..., 0])
    grey, bits = (fd.open(tmp_path / "set.npy", fd.Options(size=8, binarise=flag)) for flag in (False, True))
    assert set(np.unique(bits.images)) == {0, 255}
    assert bits.shape == (1, 8, 8)
    assert np.array_equal(grey.parts, bits.parts)
    assert grey.fingerprint != bits.fingerprint
    assert len(np.unique(grey.images)) > 2


def test_colour_is_refused_with_its_remedy(tmp_path):
    (tmp_path / "colour").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / "colour" / "a.png")
    for options in (BINARISED, fd.Options(binarise=True, channels=3)):
        with pytest.raises(InputError, match=r"grey pictures are binarised.*--channels 1") as caught:
            fd.open(tmp_path / "colour", options)
        assert "\n" not in str(caught.value)
        assert [p for p in fd.check(tmp_path / "colour", options).problems if "--channels 1" in p]
    grey = fd.Options(binarise=True, channels=1)
    assert fd.check(tmp_path / "colour", grey).ok
    assert set(np.unique(fd.open(tmp_path / "colour", grey).images)) == {0, 255}


@pytest.mark.parametrize("wrong", [1, "yes", None])
def test_it_is_on_or_off(wrong):
    with pytest.raises(InputError, match="binarise"):
        fd.Options(binarise=wrong)


def test_mnist_has_the_mean_of_its_grey_levels(real_data):
    path = real_data / "mnist.npz"
    if not path.is_file():
        pytest.skip("needs mnist.npz")
    with np.load(path, allow_pickle=False) as arrays:
        pictures = arrays["x_test"][:1000]
    levels, white = pictures / 255, np.stack([binarised(picture) for picture in pictures]) / 255
    spread = (levels * (1 - levels)).sum() ** 0.5 / levels.size
    assert abs(white.mean() - levels.mean()) < 4 * spread
