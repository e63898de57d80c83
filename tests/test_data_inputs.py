"""Domain a of a data set: other folders, halves of pictures, and what is made of the images themselves."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import feature

from fairdraw import InputError, data
from fairdraw.data import Options
from fairdraw.data.derived import MAKERS, derived, edges, grey, low, mask
from fairdraw.data.options import DERIVED


def pictures(folder: Path, names: list[str], *, colour: bool = True, size: tuple[int, int] = (16, 16)) -> Path:
    """Pictures whose pixels are a function of name and folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng([ord(char) for char in f"{folder.name}{path.stem}"])
        pixels = generator.integers(0, 256, (size[1], size[0], 3) if colour else (size[1], size[0]), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return folder


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)


NAMES = [f"{number:02d}.png" for number in range(30)]


def test_folders_are_paired_by_name_whatever_the_order_and_suffix(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", NAMES)
    labels = pictures(tmp_path / "labels", [name.replace(".png", ".bmp") for name in reversed(NAMES)], colour=False)
    found = data.open(photos, Options(inputs=str(labels)))
    assert found.inputs is not None
    assert found.inputs.unpaired == ""
    assert found.shape == (3, 16, 16), "grey inputs take the images' channels"
    for part in (found.train, found.validation, found.test):
        for position, place in enumerate(part.indices):
            name = found.names[place]
            assert (part.images(np.array([position]))[0] == pixels_of(photos / name)).all()
            expected = pixels_of(labels / name.replace(".png", ".bmp"))
            assert (part.inputs(np.array([position]))[0] == expected).all()


def test_colour_inputs_of_grey_images_keep_their_colour(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", NAMES)
    lines = pictures(tmp_path / "lines", NAMES, colour=False)
    found = data.open(lines, Options(inputs=str(photos)))
    assert found.shape == (3, 16, 16)
    assert (found.all.inputs(np.arange(2))[1] == pixels_of(photos / "01.png")).all()


def test_names_that_have_no_partner_are_listed(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", NAMES)
    labels = pictures(tmp_path / "labels", [*NAMES[2:], "more.png"])
    inputs = data.open(photos, Options(inputs=str(labels))).inputs
    assert inputs is not None
    for said in ("2 images of", "00, 01", "1 input of", "more", "rename or remove"):
        assert said in inputs.unpaired
    pictures(labels, ["02.bmp", "00.png", "01.png"])
    (labels / "more.png").unlink()
    twice = data.open(photos, Options(inputs=str(labels))).inputs
    assert twice is not None
    assert "several pictures called 02" in twice.unpaired


def test_unequal_folders_are_two_sets_of_their_own(tmp_path: Path) -> None:
    photos, paintings = pictures(tmp_path / "photos", NAMES), pictures(tmp_path / "paintings", NAMES[:20])
    found = data.open(photos, Options(inputs=str(paintings)))
    inputs, alone = found.inputs, data.open(paintings)
    assert inputs is not None
    assert inputs.count(found, "train") == len(alone.train)
    where = np.arange(len(alone.train))
    assert (inputs.some(found, "train", where) == alone.train.images(where)).all()


@pytest.mark.parametrize("apart", [False, True])
def test_inputs_with_images_of_their_own_are_in_the_same_part(tmp_path: Path, apart: bool) -> None:
    photos, labels = pictures(tmp_path / "photos", NAMES), pictures(tmp_path / "labels", NAMES)
    if apart:  # one differs in its proportions: no pairs any more, but no other split either
        pictures(labels, NAMES[:1], size=(24, 16))
    found = data.open(photos, Options(inputs=str(labels), size=16))
    inputs = found.inputs
    assert inputs is not None
    assert bool(inputs.unpaired) == apart
    for name in ("train", "validation", "test"):
        part = found.split(name)
        assert inputs.count(found, name) == len(part) > 0
        where = np.arange(len(part))
        assert (inputs.some(found, name, where) == part.inputs(where)).all()
        assert len(inputs.digests(found, name)) == len(part)


def test_grey_of_grey_is_nothing_to_learn(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", NAMES, colour=False)
    with pytest.raises(
        InputError, match=r"--inputs grey: .*photos is grey as it is, so that there is nothing to learn"
    ):
        data.open(folder, Options(inputs="grey"))
    assert data.open(folder, Options(inputs="grey", channels=3)).shape == (3, 16, 16)


def test_what_is_nearly_a_kind_of_inputs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pictures(tmp_path / "photos", NAMES)
    monkeypatch.chdir(tmp_path)
    for word, kind in (("edge", "edges"), ("Left", "left"), ("gray", "grey")):
        with pytest.raises(InputError, match=rf"no inputs '{word}' \(did you mean {kind}\?\); give a source, left,"):
            data.open(folder, Options(inputs=word))
    pictures(tmp_path / "edge", NAMES)
    assert data.open(folder, Options(inputs="edge")).inputs is not None
    with pytest.raises(InputError, match="no data at 'nowhere'"):
        data.open(folder, Options(inputs="nowhere"))


def test_sides_and_proportions_must_agree(tmp_path: Path) -> None:
    photos, small = pictures(tmp_path / "photos", NAMES), pictures(tmp_path / "small", NAMES, size=(8, 8))
    with pytest.raises(InputError, match=r"8x8 px and the images .* 16x16: give one size for both with --size"):
        data.open(photos, Options(inputs=str(small)))
    fitted = data.open(photos, Options(inputs=str(small), size=8)).inputs
    assert fitted is not None
    assert fitted.unpaired == ""
    wide = pictures(tmp_path / "wide", NAMES[:-1], size=(16, 16))
    pictures(wide, NAMES[-1:], size=(24, 16))
    apart = data.open(photos, Options(inputs=str(wide), size=8)).inputs
    assert apart is not None
    assert "1 pair of" in apart.unpaired
    assert "29.png (16x16 and 24x16 px)" in apart.unpaired


@pytest.mark.parametrize("side", ["left", "right"])
def test_side_by_side_pictures_are_halved(tmp_path: Path, side: str) -> None:
    folder = pictures(tmp_path / "pairs", NAMES, size=(32, 16))
    found = data.open(folder, Options(inputs=side))
    assert found.shape == (3, 16, 16)
    whole, first = pixels_of(folder / "00.png"), np.array([0])
    left, right = whole[:, :, :16], whole[:, :, 16:]
    assert (found.all.inputs(first)[0] == (left if side == "left" else right)).all()
    assert (found.all.images(first)[0] == (right if side == "left" else left)).all()
    other = data.open(folder, Options(inputs="right" if side == "left" else "left"))
    assert (other.all.images(first) == found.all.inputs(first)).all(), "one cache entry does not stand for both halves"


def test_an_odd_width_has_no_halves(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pairs", NAMES[:3], size=(33, 16))
    with pytest.raises(InputError, match="a width of 33 px has no two halves"):
        data.open(folder, Options(inputs="left"))


def test_the_fingerprint_knows_the_inputs(tmp_path: Path) -> None:
    photos, labels = pictures(tmp_path / "photos", NAMES), pictures(tmp_path / "labels", NAMES)
    found = {inputs: data.open(photos, Options(inputs=inputs)).fingerprint for inputs in (None, "edges", str(labels))}
    assert len(set(found.values())) == 3
    pictures(labels, ["00.png"], colour=False)
    assert data.open(photos, Options(inputs=str(labels))).fingerprint != found[str(labels)]


def square(colour: tuple[int, int, int] = (200, 40, 40)) -> np.ndarray:
    image = np.full((3, 32, 32), 255, np.uint8)
    image[:, 8:24, 8:24] = np.array(colour, np.uint8)[:, None, None]
    return image


def test_every_kind_is_made_of_images_of_any_channels() -> None:
    assert set(MAKERS) == set(DERIVED)
    for channels in (1, 3, 4):
        images = np.random.default_rng(0).integers(0, 256, (2, channels, 16, 12), dtype=np.uint8)
        for kind in DERIVED:
            made = derived(kind, images)
            assert made.shape == images.shape
            assert made.dtype == np.uint8
            assert channels < 4 or (made[:, 3] == 255).all()


def test_edges_are_those_of_canny_one_pixel_thin() -> None:
    drawn = edges(square()) == 0
    theirs = feature.canny(grey(square()) / 255, sigma=1.0)
    assert drawn.sum() == pytest.approx(theirs.sum(), rel=0.15)
    near = np.zeros_like(theirs)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            near |= np.roll(theirs, (down, right), (0, 1))
    assert near[drawn].all(), "each lies on an edge of scikit-image's, or beside it"
    blocks = drawn[:-1, :-1] & drawn[1:, :-1] & drawn[:-1, 1:] & drawn[1:, 1:]
    assert not blocks.any()


def test_specks_and_flat_images_have_no_edges() -> None:
    flat = np.full((3, 32, 32), 90, np.uint8)
    assert (edges(flat) == 255).all()
    flat[:, 16, 16] = 255
    assert (edges(flat) == 0).sum() < 12, "at most the ring around one bright pixel"


def test_a_faint_edge_is_one_where_it_goes_on_from_a_clear_one() -> None:
    faint = np.zeros((1, 48, 48), np.uint8)
    faint[:, :, 24:] = 51
    assert (edges(faint) == 255).all()
    faint[:, :, 24:] = np.linspace(153, 51, 48).round()[:, None]
    assert ((edges(faint) == 0)[30:44, 20:28].sum(1) == 1).all()


def test_a_mask_covers_the_thing_with_its_holes() -> None:
    image = square()
    image[:, 14:18, 14:18] = 255  # an eye of the background's colour
    assert ((mask(image) == 0) == (square()[1] == 40)).all()


def test_low_keeps_the_mean_and_loses_the_detail() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    made = low(noise)
    assert made.mean() == pytest.approx(noise.mean(), abs=3)
    assert made.std() < 0.5 * noise.std()
    assert (low(np.full((1, 6, 2), 7, np.uint8)) == 7).all()


def test_grey_is_luminance() -> None:
    assert (grey(square((255, 0, 0)))[16, 16], grey(square((0, 255, 0)))[16, 16]) == (76, 150)


@pytest.mark.parametrize("inputs", ["", " ", 3])
def test_inputs_that_name_nothing_are_refused(inputs: object) -> None:
    with pytest.raises(InputError, match="give a source, left, right, edges"):
        Options(inputs=inputs)  # type: ignore[arg-type]
