"""Looking at a latent space: films, maps, the numbers on them, and `fairdraw explore` with all that can go wrong."""

import base64
import io
import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toys import build, experiment, save_stripes, stripes

import fairdraw
from fairdraw import AutoencoderConfig, DCGANConfig, VAEConfig, data, latent, pictures
from fairdraw.capabilities import Elbo
from fairdraw.data import Options
from fairdraw.data.single import open_fitted
from fairdraw.errors import InputError
from fairdraw.films import save_frames
from fairdraw.images import GAP, SMALL, facts_of, labelled, sheet, to_signed
from fairdraw.maps import COLOURS, TILE, Map, Panel, draw, pca_points, save_page, tsne_points
from fairdraw.metrics.coordinates import ranking
from fairdraw.metrics.neighbour_accuracy import guesses, neighbour_accuracy
from fairdraw.order import spread
from fairdraw.run import save_model
from fairdraw.trained import Trained

# Films


def frames(count: int = 4, channels: int = 1, size: int = 9) -> np.ndarray:
    """Distinct frames of flat grey."""
    return np.stack([np.full((channels, size, size), 40 * number, np.uint8) for number in range(count)])


def middles(shown: Image.Image) -> list[int]:
    """The red of the middle pixel of every frame."""
    found = []
    for number in range(getattr(shown, "n_frames", 1)):
        shown.seek(number)
        found.append(shown.convert("RGB").getpixel((shown.width // 2, shown.height // 2))[0])  # type: ignore[index]
    return found


def test_a_strip_is_one_row(tmp_path: Path) -> None:
    save_frames(tmp_path / "new" / "a.png", frames(), {"seed": 3})
    side = 9 * (SMALL // 9)
    with Image.open(tmp_path / "new" / "a.png") as strip:
        assert strip.size == (4 * (side + GAP) + GAP, side + 2 * GAP)
        assert [strip.getpixel((GAP + k * (side + GAP) + 5, 20)) for k in range(4)] == [0, 40, 80, 120]
    assert facts_of(tmp_path / "new" / "a.png") == {"seed": 3, "machine_made": True}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_gif_goes_there_and_back_for_ever(tmp_path: Path, channels: int) -> None:
    made = frames(channels=channels)
    if channels == 4:
        made[:, 3] = 255
        made[0, 3] = 0
    save_frames(tmp_path / "a.gif", made, {"seed": 3, "shows": "x" * 600})
    with Image.open(tmp_path / "a.gif") as film:
        assert film.info["loop"] == 0
        facts = json.loads(film.info["comment"])
        assert middles(film) == [255 if channels == 4 else 0, 40, 80, 120, 80, 40]
    assert facts["seed"] == 3
    assert facts["shows"] == "x" * 600
    assert facts["machine_made"] is True


def test_an_mp4_has_the_same_frames_and_facts(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    save_frames(tmp_path / "a.mp4", frames(size=9), {"seed": 3})
    with av.open(tmp_path / "a.mp4") as film:
        assert json.loads(film.metadata["comment"])["seed"] == 3
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert {frame.shape for frame in shown} == {(64, 64, 3)}, "an odd side of 63 gets a row and a column of white"
    assert [frame[30, 30, 0] for frame in shown] == pytest.approx([0, 40, 80, 120, 80, 40], abs=4)


def test_two_equal_frames_make_a_film(tmp_path: Path) -> None:
    save_frames(tmp_path / "a.gif", np.full((2, 1, 9, 9), 80, np.uint8), {})
    with Image.open(tmp_path / "a.gif") as film:
        assert middles(film) == [80]


def test_labels_stand_beside_their_rows_and_above_their_columns() -> None:
    plain = sheet(frames(6), columns=3)
    shown = labelled(plain, ["one", "a longer one"], ["-3", "0", "+3"])
    left, top = shown.width - plain.width, shown.height - plain.height
    pixels = np.asarray(shown)
    assert np.array_equal(pixels[top:, left:], np.asarray(plain))
    dark = np.argwhere(pixels < 128)
    beside = dark[(dark[:, 1] < left) & (dark[:, 0] >= top)]
    step = (plain.height - GAP) / 2
    for row in range(2):
        rows = beside[(beside[:, 0] - top) // step == row][:, 0]
        assert abs(rows.mean() - top - (row + 0.5) * step) < 6
    above = dark[dark[:, 0] < top][:, 1]
    assert sorted(set(((above - left) // ((plain.width - GAP) / 3)).tolist())) == [0, 1, 2]
    assert labelled(plain, ["", ""], ["-3", "0", "+3"]).width == plain.width


# Numbers


def test_neighbours_guess_by_majority_and_the_nearest_of_a_tie() -> None:
    points = np.array([[0.0], [1.0], [2.1], [3.3], [4.6]])
    labels = np.array([7, 7, 3, 3, 3])
    assert guesses(points, labels, neighbours=3).tolist() == [3, 3, 7, 3, 3]
    assert guesses(points, labels, neighbours=2).tolist() == [7, 7, 7, 3, 3]
    assert guesses(points, labels, neighbours=1).tolist() == [7, 7, 7, 3, 3]


def test_accuracy_of_separate_and_of_mixed_labels() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 3
    apart = neighbour_accuracy(rng.normal(size=(600, 2)) + 100 * labels[:, None], labels, where="a map", on="images")
    assert (apart.value, apart.interval, apart.count) == (100, (100, 100), 600)
    mixed = neighbour_accuracy(rng.normal(size=(600, 2)), labels, where="a map", on="images")
    assert mixed.interval is not None
    assert mixed.interval[0] < 100 / 3 < mixed.interval[1]
    assert "always the commonest label: 33.33 %" in str(mixed)
    assert str(mixed).startswith("5-nearest-neighbour accuracy in a map 3")


def test_coordinates_are_ranked_by_their_kl(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = build(VAEConfig(hidden=(8,), latent=3, upper_latent=2)).eval()
    calls = []

    def elbo(observed: torch.Tensor, noise: Any, samples: int = 1) -> Elbo:
        calls.append(len(observed))
        mean = observed.new_full((len(observed), 1), 1.0) + sum(calls) - len(observed)
        return Elbo(mean[:, 0], mean * torch.tensor([2.0, 1.0, 5.0, 100.0, 100.0]))

    monkeypatch.setattr(model, "elbo", elbo)
    found = ranking(model, stripes(70))
    assert found.name == "KL"
    assert found.order == [2, 0, 1]
    assert found.values == pytest.approx(np.array([2, 1, 5]) * (64 * 1 + 6 * 65) / 70)


def test_coordinates_without_a_bound_are_ranked_by_variance() -> None:
    model: Any = build(AutoencoderConfig(hidden=(8,), latent=3)).eval()
    images = stripes(70)
    with torch.inference_mode():
        codes = model.encode(to_signed(torch.from_numpy(images))).double()
    found = ranking(model, images)
    assert found.name == "code variance"
    assert found.values == pytest.approx(codes.var(0, correction=0).numpy(), rel=1e-4)
    assert found.order == codes.var(0).argsort(descending=True).tolist()


# Maps


def test_principal_components_are_those_of_the_images_they_are_fitted_on() -> None:
    rng = np.random.default_rng(0)
    fitted_on = rng.normal(size=(500, 3)) * [0.1, 5, 1] + 10
    found = pca_points(fitted_on, fitted_on.mean(0) + np.array([[0, 1, 0], [0, 0, 1.0]]))
    assert np.abs(found) == pytest.approx(np.eye(2), abs=0.05)
    assert pca_points(fitted_on[:, :1], np.array([[3.0], [4.0]])).tolist() == [[3, 0], [4, 0]]
    assert not pca_points(np.full((20, 3), 0.2, np.float32), np.full((4, 3), 0.2, np.float32)).any()


def test_t_sne_keeps_clusters_and_survives_equal_rows() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    x = rng.normal(size=(60, 80)) + 30 * labels[:, None]
    points = tsne_points(x, seed=0)
    assert points.shape == (60, 2)
    assert (guesses(points, labels) == labels).all()
    assert np.array_equal(points, tsne_points(x, seed=0))
    assert not tsne_points(np.ones((20, 3)), seed=0).any()
    # float32 rounds the mean of equal numbers to another
    assert not tsne_points(np.full((20, 3), 0.2, np.float32), seed=0).any()


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]


NAMES = ["</script><b>@DATA@", "cœur & <i>", "3"]


def data_of(page: str) -> Any:
    """What a page draws."""
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def page_of(folder: Path, images: np.ndarray, labels: np.ndarray | None) -> tuple[str, dict[str, Any], np.ndarray]:
    """A page, its data, and its sprite sheet."""
    points = np.random.default_rng(0).normal(size=(len(images), 2))
    shown = Map("<b>title</b> @SPRITE@", [Panel("one", points, "note"), Panel("two", -points)], labels, NAMES, ["line"])
    save_page(folder / "new" / "map.html", shown, images, [f"{NAMES[0]}{k}" for k in range(len(images))], {"seed": 5})
    text = (folder / "new" / "map.html").read_text(encoding="utf-8")
    picture = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    assert picture
    with Image.open(io.BytesIO(base64.b64decode(picture[1]))) as sprite:
        return text, data_of(text), np.asarray(sprite)


def test_a_page_needs_nothing_else_and_no_name_breaks_it(tmp_path: Path) -> None:
    text, content, _ = page_of(tmp_path, stripes(7), np.arange(7) % 3)
    page = _Page(text)
    assert page.scripts == 2
    assert [link for link in page.links if not link.startswith("data:")] == []
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text)
    assert "<title>&lt;b&gt;title&lt;/b&gt; @SPRITE@</title>" in text
    assert content["title"] == "<b>title</b> @SPRITE@"
    assert content["labelNames"] == NAMES
    assert content["names"][3] == f"{NAMES[0]}3"
    assert content["labels"] == [0, 1, 2, 0, 1, 2, 0]
    assert content["facts"] == {"seed": 5}
    points = np.random.default_rng(0).normal(size=(7, 2))
    assert np.column_stack([content["panels"][0]["x"], content["panels"][0]["y"]]) == pytest.approx(points, rel=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_in_its_place_on_the_sprite_sheet(tmp_path: Path, channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, channels, 6, 8)).astype(np.uint8)
    _, content, sprite = page_of(tmp_path, images, None)
    sprite = sprite.reshape(*sprite.shape[:2], channels)
    assert content["labels"] is None
    assert content["columns"] == 3
    assert sprite.shape == (18, 24, channels)
    for k, image in enumerate(images):
        row, column = divmod(k, 3)
        assert np.array_equal(sprite[6 * row : 6 * row + 6, 8 * column : 8 * column + 8], image.transpose(1, 2, 0))


def test_large_images_are_made_small_on_the_page(tmp_path: Path) -> None:
    _, content, sprite = page_of(tmp_path, np.full((5, 1, 2 * TILE, TILE), 90, np.uint8), None)
    assert sprite.shape == (2 * TILE, content["columns"] * TILE // 2)
    assert (sprite[:TILE] == 90).all()


def test_labels_beyond_the_colours_have_other_shapes(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(24, 2))
    names = [f"${k}" for k in range(12)]
    shown = Map("title", [Panel("one", points)], np.arange(24) % 12, names, [])
    save_page(tmp_path / "map.html", shown, stripes(24), ["a"] * 24, {})
    looks = data_of((tmp_path / "map.html").read_text(encoding="utf-8"))["looks"]
    assert len({tuple(look) for look in looks}) == 12
    assert looks[0][0] == looks[len(COLOURS)][0]
    drawn = np.asarray(draw(shown))
    assert drawn.shape[2] == 3
    for colour in COLOURS:
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        assert (np.abs(drawn.astype(int) - (0.75 * rgb + 0.25 * 255)).max(axis=2) < 4).any(), colour


# Single pictures


def test_a_picture_is_brought_to_the_model_s_shape(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / "same.png")
    Image.fromarray(np.full((20, 10, 3), (200, 100, 0), np.uint8)).save(tmp_path / "tall.png")
    pixels, done = open_fitted(tmp_path / "same.png", (1, 8, 8), Options())
    assert np.array_equal(pixels[0], grey)
    assert done == ""
    assert pixels.flags.writeable
    assert open_fitted(tmp_path / "same.png", (3, 8, 8), Options(size=8))[0].shape == (3, 8, 8)
    pixels, done = open_fitted(tmp_path / "tall.png", (1, 8, 8), Options(size=8))
    assert pixels.shape == (1, 8, 8)
    assert done == "cropped at the centre, resized from 10x20 to 8x8, colour made grey"
    pixels, done = open_fitted(tmp_path / "tall.png", (3, 8, 8), Options(fit="pad", bad_images="skip"))
    assert (pixels[:, :, 0] == 255).all()
    assert done == "padded with white, resized from 10x20 to 8x8"
    pixels, done = open_fitted(tmp_path / "same.png", (1, 8, 8), Options(binarise=True))
    assert set(np.unique(pixels)) <= {0, 255}
    assert done == "binarised"


def test_a_picture_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "nine.png")
    for path, shape, said in (
        ("none.png", (1, 8, 8), "cannot read .*none.png: No such file or directory; give a picture file"),
        ("text.png", (1, 8, 8), "text.png: not a picture in any of the formats .*; give a picture file"),
        ("nine.png", (1, 8, 6), "nine.png has 9x9 pixels: make it 6x8, as the model's images are"),
    ):
        with pytest.raises(InputError, match=said):
            open_fitted(tmp_path / path, shape, Options())


# Verbs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of tiny models on the bundled 8x8 digits: `vae` of 2, `autoencoder` of 4; and models that know no data."""
    folder = tmp_path_factory.mktemp("runs")
    for name, config in (
        ("vae", VAEConfig(hidden=(16,), latent=2)),
        ("autoencoder", AutoencoderConfig(hidden=(16,), latent=4)),
    ):
        fairdraw.train(experiment(config, "digits8", images=512, picture_every=512), folder / name, quiet=True)
    save_model(folder / "gan.safetensors", build(DCGANConfig(latent=5, width=2)), {})
    save_model(folder / "line.safetensors", build(VAEConfig(hidden=(8,), latent=1)), {})
    save_model(folder / "alone.safetensors", build(VAEConfig(hidden=(8,), latent=3)), {})
    return folder


def test_manifold(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    facts = command("explore", runs / "vae", "manifold", "--side", 4, "--out", tmp_path / "m.png", "--json").facts
    written = facts_of(tmp_path / "m.png")
    assert written["machine_made"] is True
    assert written["model_sha256"] == Trained.open(runs / "vae").facts["sha256"]
    assert written["shows"] == facts["shows"]
    assert facts["shows"] == "4 x 4 mean images, probability 0.05 to 0.95 of dimension 0 to the right and of 1 upwards"
    model: Any = fairdraw.load(runs / "vae")
    z = latent.manifold(model, 4, (0, 1))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "m.png")), sheet(pictures.generated(model, z), 4))


def test_a_manifold_of_the_two_dimensions_that_carry_most(
    runs: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    run = runs / "autoencoder"
    facts = command("explore", run, "manifold", "--side", 3, "--out", tmp_path, "--json").facts
    assert facts["out"] == str(tmp_path / "manifold.png")
    test = data.open("digits8").test
    images = test.images(np.arange(len(test)))
    assert facts["dimensions"] == ranking(fairdraw.load(run), images).order[:2]
    why = f"(largest code variance first, over {len(test)} test images of digits8); the other 2 at the prior's median"
    assert facts["shows"].endswith(why)
    facts = command("explore", run, "manifold", "--dimensions", 3, 1, "--out", tmp_path, "--json").facts
    assert (facts["dimensions"], facts["out"]) == ([3, 1], str(tmp_path / "manifold-3-1.png"))
    facts = command("explore", runs / "gan.safetensors", "manifold", "--out", tmp_path / "g.png", "--json").facts
    assert "no encoder to rank them by" in facts["shows"]


def test_interpolate_between_images(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    run, out = runs / "vae", tmp_path / "a.gif"
    facts = command("explore", run, "interpolate", "--images", 0, 5, "--steps", 4, "--out", out, "--json").facts
    assert facts["how"] == "linear"
    which = "of the test images of digits8"
    assert facts["shows"].endswith(f"from the code of image 0 {which} to that of image 5 {which}")
    model: Any = fairdraw.load(run)
    ends = data.open("digits8").test.images(np.array([0, 5]))
    made = pictures.reconstructed(model, ends)
    with Image.open(out) as film:
        assert film.n_frames == 6  # type: ignore[attr-defined]
        for number, image in ((0, made[0]), (3, made[1])):
            film.seek(number)
            assert np.array_equal(np.asarray(film.convert("L"))[::8, ::8], image[0])


def test_interpolate_between_files_and_positions(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    Image.fromarray(np.full((12, 10), 90, np.uint8)).save(tmp_path / "mine.png")
    words = ["--images", tmp_path / "mine.png", 3, "--source", save_stripes(tmp_path, size=8), "--how", "spherical"]
    facts = command("explore", runs / "vae", "interpolate", *words, "--out", tmp_path / "o", "--json").facts
    assert facts["out"] == str(tmp_path / "o" / "interpolation-mine-3-spherical.png")
    fitted = "mine.png (cropped at the centre, resized from 10x12 to 8x8)"
    assert f"{fitted} to that of image 3 of the images of" in facts["shows"]


@pytest.mark.parametrize("name", ["vae", "gan.safetensors"])
def test_interpolate_between_seeds(runs: Path, tmp_path: Path, command: Callable[..., Any], name: str) -> None:
    words = ["--seeds", 2, -1, "--steps", 3, "--out", tmp_path / "a.png"]
    facts = command("explore", runs / name, "interpolate", *words, "--json").facts
    assert facts["how"] == "spherical"
    assert facts["shows"] == "3 images on the arc between latents, from the first draw of seed 2 to that of seed -1"
    assert facts_of(tmp_path / "a.png")["seeds"] == [2, -1]
    model: Any = fairdraw.load(runs / name)
    side = 64
    with Image.open(tmp_path / "a.png") as strip:
        pixels = np.asarray(strip)[GAP : GAP + side]
    for seed, left in ((2, GAP), (-1, GAP + 2 * (side + GAP))):
        image = pictures.sampled(model, 1, seed)[0, 0]
        factor = side // len(image)
        assert np.array_equal(pixels[::factor, left : left + side : factor], image)


def test_traverse(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    words = ["traverse", "--rows", 3, "--steps", 5, "--out", tmp_path / "a.png", "--json"]
    facts = command("explore", runs / "autoencoder", *words).facts
    assert facts["shows"].startswith("3 of 4 coordinates from -3 to 3 standard deviations around the prior's median")
    assert facts["shows"].endswith("; 1 more not shown")
    assert facts["values"] == sorted(facts["values"], reverse=True)
    assert facts_of(tmp_path / "a.png")["coordinates"] == facts["coordinates"]
    facts = command("explore", runs / "vae", "traverse", "--image", 4, "--out", tmp_path, "--json").facts
    assert facts["out"] == str(tmp_path / "traverse-4.png")
    assert "around the code of image 4 of the test images of digits8, largest KL first" in facts["shows"]
    model: Any = fairdraw.load(runs / "vae")
    shown = np.asarray(Image.open(tmp_path / "traverse-4.png"))[::-1, ::-1]
    scores = torch.linspace(-3, 3, 11)
    with torch.inference_mode():
        x = data.open("digits8").test.images(np.array([4]))
        base = model.encode(to_signed(torch.from_numpy(x)))[0]
        z = latent.traversal(model, base, facts["coordinates"], scores)
    tiles = np.asarray(sheet(pictures.generated(model, z), 11))[::-1, ::-1]
    assert np.array_equal(shown[: len(tiles), : tiles.shape[1]], tiles)


def test_a_traverse_without_an_encoder_is_in_the_order_of_the_latent(
    runs: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    facts = command("explore", runs / "gan.safetensors", "traverse", "--out", tmp_path, "--json").facts
    assert facts["coordinates"] == [0, 1, 2, 3, 4]
    assert "values" not in facts


def test_map_of_a_code_of_two(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    words = ["explore", runs / "vae", "map", "--count", 50, "--out", tmp_path / "x.png"]
    found = command(*words, "--json").facts
    assert found["out"] == [str(tmp_path / "x.html"), str(tmp_path / "x.png")]
    total = len(data.open("digits8").test)
    assert found["shows"] == f"50 test images of digits8 (spread evenly over {total}), by the codes of vae"
    assert "distances between its clusters" in found["notes"][0]
    titles = ["the model's 2-D code", "2-D PCA of the pixels", "2-D t-SNE of the pixels"]
    assert [n["name"] for n in found["numbers"]] == [f"5-nearest-neighbour accuracy in {title}" for title in titles]
    assert all(n["count"] == 50 and n["interval"][0] <= n["value"] <= n["interval"][1] for n in found["numbers"])
    assert facts_of(tmp_path / "x.png")["numbers"] == found["numbers"]
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    content = data_of(text)
    assert [panel["title"] for panel in content["panels"]] == titles
    assert f"{found['numbers'][0]['value']:.1f} %" in content["panels"][0]["note"]
    test = data.open("digits8").test
    where = spread(len(test), 50)
    model: Any = fairdraw.load(runs / "vae")
    with torch.inference_mode():
        codes = model.encode(to_signed(torch.from_numpy(test.images(where)))).numpy()
    assert np.column_stack([content["panels"][0][axis] for axis in "xy"]) == pytest.approx(codes, rel=1e-3, abs=1e-6)


def test_map_of_more_codes_and_no_labels(
    runs: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("backends.backend_agg", "figure", "patheffects"):
        monkeypatch.setitem(sys.modules, f"matplotlib.{name}", None)
    source = save_stripes(tmp_path, count=20, size=8)
    words = ["explore", runs / "autoencoder", "map", "--source", source, "--out", tmp_path / "maps"]
    found = command(*words)
    assert f"{tmp_path / 'maps' / 'map.html'}: 20 images of {source}, by the codes of autoencoder" in found.out
    assert "no PNG, for which matplotlib is missing: pip install 'fairdraw[plots]'" in found.out
    assert "The images have no labels: no colours, and no accuracy." in found.out
    assert "nearest-neighbour" not in found.out
    assert not (tmp_path / "maps" / "map.png").exists()
    np.savez(tmp_path / "alike.npz", images=np.full((20, 8, 8), 51, np.uint8), labels=np.zeros(20, int))
    words[words.index(source)] = tmp_path / "alike.npz"
    found = command(*words)
    assert found.err.count("Warning") == 0
    assert "The images have one label: no accuracy." in found.out
    assert "2-D PCA of the 4-D code" in (tmp_path / "maps" / "map.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("vae manifold --side 1", "--side 1: give 2 to 100"),
        ("vae manifold --dimensions 0 2", "--dimensions 0 2: give two different numbers from 0 to 1"),
        ("autoencoder manifold --dimensions 3 3", "--dimensions 3 3: give two different numbers from 0 to 3"),
        ("autoencoder manifold --dimensions -1 0", "--dimensions -1 0: give two different numbers from 0 to 3"),
        ("line.safetensors manifold", "its latent has 1 dimension, a manifold needs 2; use `explore RUN traverse`"),
        ("alone.safetensors manifold", "does not say what it was trained on: name the data"),
        ("vae manifold --out a.gif", "--out a.gif: it is written as PNG; give a .png file or a folder"),
        ("none manifold", "none"),
        ("vae interpolate", "interpolate between what? Give --images A B or --seeds A B, one of them"),
        ("vae interpolate --images 0 1 --seeds 0 1", "Give --images A B or --seeds A B, one of them"),
        ("vae interpolate --seeds 0 1 --source digits8", "leave it out with --seeds"),
        ("vae interpolate --seeds 0 1 --steps 1", "--steps 1: give 2 to 1,000"),
        ("vae interpolate --seeds 0 1 --out a.webm", "--out a.webm: give a .png, .gif or .mp4 file, or a folder"),
        ("vae interpolate --seeds 0", "--seeds"),
        ("vae interpolate --images 0 9999", "there is no image 9999 among the"),
        ("vae interpolate --images 0 " + "9" * 5_000, "there is no image 9999999999... among the"),
        ("vae traverse --image " + "9" * 5_000, "there is no image 9999999999... among the"),
        ("vae interpolate --images 0 none.png", "cannot read none.png: No such file or directory; give a picture file"),
        ("gan.safetensors interpolate --images 0 1", "dcgan has no encoder to interpolate with; leave --images out"),
        ("vae traverse --rows 0", "--rows 0: give 1 to 909 with --steps 11"),
        ("vae traverse --steps 1", "--steps 1: give 2 to 1,000"),
        ("vae traverse --image 5000", "there is no image 5000 among the"),
        ("gan.safetensors traverse --image 0", "dcgan has no encoder to traverse with; leave --image out"),
        ("alone.safetensors traverse", "does not say what it was trained on: name the data"),
        ("gan.safetensors map", "dcgan has no encoder to map with; `fairdraw explore RUN manifold`"),
        ("vae map --count 9", "--count 9: give 10 to 20,000"),
        ("vae map --out a.gif", "--out a.gif: a map is written as .html and .png; give one of these, or a folder"),
        ("vae map --source few.npy", "only 6 images of few.npy: a map needs 10; name others with --source"),
    ],
)
def test_what_is_refused(
    runs: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("few.npy", stripes(6, 8)[:, 0])
    run, *rest = words.split()
    assert said in refused("explore", runs / run, *rest)
    assert [path.name for path in tmp_path.iterdir()] == ["few.npy"]


def test_a_map_s_folder_is_made_before_the_map(
    runs: Path, tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("fairdraw.maps.pca_points", lambda *_: pytest.fail("it was computed"))
    for out in (tmp_path / "file" / "maps", tmp_path / "file" / "a.png"):
        said = refused("explore", runs / "vae", "map", "--count", 10, "--out", out)
        assert f"cannot make the folder {out if out.suffix == '' else out.parent}" in said


def test_mp4_without_its_package_is_refused(
    runs: Path, tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    said = refused("explore", runs / "vae", "interpolate", "--seeds", 0, 1, "--out", tmp_path / "a.mp4")
    assert "MP4 needs PyAV: pip install 'fairdraw[video]', or give --out a .gif or a .png file" in said
    assert not (tmp_path / "a.mp4").exists()
