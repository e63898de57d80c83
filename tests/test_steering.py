"""Arithmetic, directions and walks: latents by closed forms, and the verbs with all that can go wrong."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toys import SMALL_CONFIGS, VARIANTS, build, experiment, generating, save_stripes, stripes

from fairdraw import DCGANConfig, VAEConfig, load, pictures, train
from fairdraw.capabilities import BeginsLinearly, Generates
from fairdraw.images import facts_of
from fairdraw.latent import Recorded, between_draws, directions, drawn, encoded, walk
from fairdraw.run import save_model
from fairdraw.verbs.arithmetic import parsed


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of stripes with labels, one without, and a DCGAN with labels."""
    folder = tmp_path_factory.mktemp("runs")
    names = np.array(["low", "middle", "high"])
    np.savez(folder / "labelled.npz", images=stripes()[:, 0], labels=names[np.arange(256) % 3])
    for name, config, source in (
        ("vae", VAEConfig(hidden=(24,), latent=4), folder / "labelled.npz"),
        ("unlabelled", VAEConfig(hidden=(24,), latent=4), save_stripes(folder)),
        ("dcgan", DCGANConfig(latent=6, width=4, classes=3), folder / "labelled.npz"),
    ):
        train(experiment(config, source, images=512), folder / name, quiet=True)
    return folder


def ready(name: str) -> Any:
    model = build(VARIANTS[name]).eval()
    assert isinstance(model, Generates)
    return model


def tiles_of(path: Path, columns: int, rows: int, margin: int, side: int = 64) -> np.ndarray:
    """The tiles of a labelled sheet of grey images, `[rows, columns, side, side]`."""
    shown = np.asarray(Image.open(path))[26:, margin:]
    step = side + 2
    return np.stack(
        [
            np.stack(
                [shown[2 + r * step : 2 + r * step + side, 2 + c * step : 2 + c * step + side] for c in range(columns)]
            )
            for r in range(rows)
        ]
    )


# The shell


@pytest.mark.parametrize("name", [*generating(SMALL_CONFIGS), "dcgan, classes"])
def test_no_arc_between_draws_leaves_the_shell_of_their_scores(name: str) -> None:
    """Whatever the prior: the normal scores on the way have norms between those of the ends."""
    model = ready(name)
    recorded = []

    def prior(noise: Any, of: Any = model.prior) -> torch.Tensor:
        z: torch.Tensor = of(noise)
        if isinstance(noise, Recorded):
            recorded.append(noise.scores[0])
        else:
            recorded.append(noise._scores)
        return z

    model.prior = prior
    with torch.inference_mode():
        between_draws(model, (0, 1), 9, "spherical")
    a, b, way = recorded
    low, high = sorted([float(a.norm()), float(b.norm())])
    norms = way.norm(dim=1)
    assert len(norms) == 9
    assert norms.min() >= low * (1 - 1e-5)
    assert norms.max() <= high * (1 + 1e-5)
    # The straight line leaves it: half-way it is shorter than the arc is there.
    assert (0.5 * (a + b)).norm() < norms[4]


# Walks


@pytest.mark.parametrize("name", [*generating(SMALL_CONFIGS), "dcgan, classes"])
def test_a_walk_passes_through_its_draws_and_comes_back(name: str) -> None:
    model = ready(name)
    with torch.inference_mode():
        z = walk(model, 4, seed=5, steps=6)
        assert torch.equal(z[::6], drawn(model, 4, seed=5))
    assert len(z) == 24
    jumps = (z - z.roll(1, 0)).norm(dim=1)
    apart = (z[::6] - z[::6].roll(1, 0)).norm(dim=1)
    if model.classes == 0:  # the first follows the last as any other does
        assert jumps.max() < 0.5 * apart.max()


def test_a_film_of_a_walk_goes_round(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    words = ("explore", runs / "vae", "walk", "--stops", 3, "--steps", 4)
    command(*words, "--out", tmp_path / "a.gif")
    command(*words, "--out", tmp_path / "a.png")
    with Image.open(tmp_path / "a.gif") as film:
        assert film.info["loop"] == 0
        assert getattr(film, "n_frames", 1) <= 12  # equal neighbours are one frame
    with Image.open(tmp_path / "a.png") as shown:
        assert shown.size == (4 * 66 + 2, 3 * 66 + 2)
    model: Any = load(runs / "vae")
    with torch.inference_mode():
        images = pictures.generated(model, walk(model, 3, 0, 4))
    expected = np.asarray(pictures.sheet(images, 4))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)


def test_a_walk_of_one_label(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    out = tmp_path / "a.png"
    found = command(
        "explore", runs / "dcgan", "walk", "--label", "low", "--stops", 2, "--steps", 3, "--out", out, "--json"
    )
    assert "of label low" in found.facts["shows"]
    model: Any = load(runs / "dcgan")
    with torch.inference_mode():
        z = model.with_class(walk(model, 2, 0, 3), torch.ones(6, dtype=torch.long))
        expected = np.asarray(pictures.sheet(pictures.generated(model, z), 3))
    assert np.array_equal(np.asarray(Image.open(out)), expected)


def test_a_way_between_draws_of_one_label(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    out = tmp_path / "a.png"
    words = ("interpolate", "--seeds", 0, 1, "--steps", 5, "--how", "linear", "--label", "low", "--out", out)
    found = command("explore", runs / "dcgan", *words, "--json").facts
    assert found["shows"].endswith("from the first draw of seed 0 to that of seed 1, all of label low")
    model: Any = load(runs / "dcgan")
    with torch.inference_mode():
        z = model.with_class(between_draws(model, (0, 1), 5, "linear"), torch.ones(5, dtype=torch.long))
        expected = np.asarray(pictures.sheet(pictures.generated(model, z), 5))
    assert np.array_equal(np.asarray(Image.open(out)), expected)


# Directions


def test_directions_are_the_singular_vectors_the_strongest_first() -> None:
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(40, 5)))
    right, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    sizes = np.array([1.0, 9.0, 4.0, 2.0, 7.0])
    found, strengths = directions(torch.from_numpy(left @ np.diag(sizes) @ right.T))
    assert strengths.numpy() == pytest.approx([9, 7, 4, 2, 1])
    for row, column in zip(found.numpy(), right.T[[1, 4, 2, 3, 0]], strict=True):
        assert abs(row @ column) == pytest.approx(1)
        assert row[np.abs(row).argmax()] > 0


def test_what_rounding_alone_moves_is_no_direction() -> None:
    rng = np.random.default_rng(0)
    weights = torch.from_numpy(rng.normal(size=(40, 2)) @ rng.normal(size=(2, 5))).float()
    found, strengths = directions(weights)
    assert found.shape == (2, 5)
    assert strengths.shape == (2,)


def test_the_numbers_of_a_class_are_no_directions() -> None:
    model = ready("dcgan, classes")
    found, strengths = directions(model.first_weights())
    assert len(found) == len(strengths) == 6
    assert not found[:, 6:].any()


@pytest.mark.parametrize("name", generating(VARIANTS))
def test_the_first_weights_are_what_the_generator_begins_with(name: str) -> None:
    model = ready(name)
    assert isinstance(model, BeginsLinearly)
    network: Any = getattr(model, "decoder", None) or model.generator  # type: ignore[attr-defined]
    first = network.dense if name.startswith("progressive") else network[0]
    made: list[torch.Tensor] = []
    first.register_forward_hook(lambda _, given, out: made.append(out))
    with torch.no_grad():
        a, b = drawn(model, 2, 0).clone()
        b[len(b) - model.classes :] = a[len(b) - model.classes :]  # of one class
        for z in (a, b):
            model.generate(z[None])
        if name.startswith("progressive"):  # z is put on its hypersphere before
            a, b = (z * torch.rsqrt(z.square().mean() + 1e-8) for z in (a, b))
        weights = model.first_weights()
    assert weights.shape[1] == len(a)
    assert torch.allclose((made[1] - made[0]).flatten(), weights @ (b - a), atol=1e-5)
    assert weights[:, len(a) - model.classes :].abs().sum() == 0


def test_a_sheet_of_directions(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    out = tmp_path / "a.png"
    found = command(
        "explore", runs / "vae", "directions", "--rows", 3, "--steps", 5, "--reach", 2, "--out", out, "--json"
    ).facts
    assert "3 strongest of 4 directions" in found["shows"]
    assert found["strengths"] == sorted(found["strengths"], reverse=True)
    model: Any = load(runs / "vae")
    with torch.inference_mode():
        base, rows = drawn(model, 1, 0)[0], directions(model.first_weights())[0]
        z = torch.stack([base + d * row for row in rows[:3] for d in (-2.0, -1.0, 0.0, 1.0, 2.0)])
    images = pictures.generated(model, z).reshape(3, 5, 16, 16).repeat(4, 2).repeat(4, 3)
    margin = np.asarray(Image.open(out)).shape[1] - (5 * 66 + 2)
    assert np.array_equal(tiles_of(out, 5, 3, margin), images)
    assert np.array_equal(images[0, 2], images[2, 2])


# Arithmetic


def test_expressions() -> None:
    assert [(t.sign, t.draws, t.label) for t in parsed("0,5, 9 - 3 + label:a-b + 1,4")] == [
        (1, (0, 5, 9), None),
        (-1, (3,), None),
        (1, (), "a-b"),
        (1, (1, 4), None),
    ]


def test_sums_of_draws(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    out = tmp_path / "a.png"
    found = command(
        "explore", runs / "vae", "arithmetic", "0,5 - 3 + 7,2,9", "--out", out, "--around", 0, "--json"
    ).facts
    model: Any = load(runs / "vae")
    with torch.inference_mode():
        z = drawn(model, 10, 0)
        terms = [z[[0, 5]], z[[3]], z[[7, 2, 9]]]
        result = terms[0].mean(0) - terms[1].mean(0) + terms[2].mean(0)
    margin = np.asarray(Image.open(out)).shape[1] - (4 * 66 + 2)
    tiles = tiles_of(out, 4, 6, margin)

    def shown(latents: torch.Tensor) -> np.ndarray:
        return pictures.generated(model, latents)[:, 0].repeat(4, 1).repeat(4, 2)

    for row, term in enumerate(terms):
        assert np.array_equal(tiles[row, : 1 + len(term)], shown(torch.cat([term.mean(0, keepdim=True), term])))
        assert (tiles[row, 1 + len(term) :] == 255).all()
    assert np.array_equal(tiles[3:, :3].reshape(9, 64, 64), shown(result.repeat(9, 1)))
    assert facts_of(out)["terms"][2] == {"sign": 1, "is": "7,2,9", "count": 3}
    assert found["expression"] == "0,5 - 3 + 7,2,9"


def test_what_stands_around_the_result_is_near_it_and_always_the_same(
    runs: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    for name in "ab":
        command("explore", runs / "vae", "arithmetic", "0 - 1 + 2", "--around", 2, "--out", tmp_path / f"{name}.png")
    a, b = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "ab")
    assert np.array_equal(a, b)
    tiles = tiles_of(tmp_path / "a.png", 3, 6, a.shape[1] - (3 * 66 + 2))[3:].reshape(9, -1)
    model: Any = load(runs / "vae")
    with torch.inference_mode():
        z = drawn(model, 3, 0)
        middle = pictures.generated(model, (z[0] - z[1] + z[2])[None])[0, 0].repeat(4, 0).repeat(4, 1)
    assert np.array_equal(tiles[4], middle.reshape(-1))
    assert len({tile.tobytes() for tile in tiles}) == 9


def test_sums_of_labels_are_of_mean_codes(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    out = tmp_path / "a.png"
    command("explore", runs / "vae", "arithmetic", "label:low - label:high + 3", "--around", 0, "--out", out)
    from fairdraw import data

    model: Any = load(runs / "vae")
    part = data.open(str(runs / "labelled.npz")).train
    assert part.labels is not None
    names = list(part.dataset.label_names)

    def mean(label: str) -> torch.Tensor:
        return encoded(model, part.images(np.flatnonzero(part.labels == names.index(label)))).mean(0)

    with torch.inference_mode():
        result = mean("low") - mean("high") + drawn(model, 4, 0)[3]
        expected = pictures.generated(model, result[None])[0, 0].repeat(4, 0).repeat(4, 1)
    width = np.asarray(Image.open(out)).shape[1]
    tiles = tiles_of(out, 5, 6, width - (5 * 66 + 2))
    assert np.array_equal(tiles[4, 1], expected)


def test_each_sum_has_a_file_of_its_own(runs: Path, command: Callable[..., Any]) -> None:
    for words in (["0 - 1 + 2"], ["0 + 1 - 2"], ["0 + 1 - 2", "--seed", 1], ["label:1"], [" + ".join(["77"] * 60)]):
        command("explore", runs / "vae", "arithmetic", *words)
    names = sorted(path.name for path in (runs / "vae" / "pictures").glob("arithmetic*"))
    assert re.fullmatch(r"arithmetic-77-plus-77.*-[0-9a-f]{8}-seed0.png", names.pop(3))
    assert names == [
        "arithmetic-0-minus-1-plus-2-seed0.png",
        "arithmetic-0-plus-1-minus-2-seed0.png",
        "arithmetic-0-plus-1-minus-2-seed1.png",
        "arithmetic-label-1-seed0.png",
    ]


def test_a_sum_of_linear_images_is_the_sum_of_the_images(tmp_path: Path, command: Callable[..., Any]) -> None:
    """Where images are linear in the latent, the images of the sum are the sum of the terms' mean images."""
    model: Any = build(VARIANTS["autoencoder, linear"]).eval()
    with torch.no_grad():  # to the middle of the greys, where nothing is clipped
        model.decoder[0].weight.mul_(0.2)
        model.decoder[0].bias.mul_(0.2).add_(0.5)
    save_model(tmp_path / "a.safetensors", model, {})
    out = tmp_path / "a.png"
    command("explore", tmp_path / "a.safetensors", "arithmetic", "0,5 - 3 + 7,2", "--around", 0, "--out", out)
    x = model.sample(8, seed=0)
    assert x.abs().max() < 1, "nothing may be clipped"
    expected = (x[[0, 5]].mean(0) - x[3] + x[[7, 2]].mean(0) + 1) * 127.5
    width = np.asarray(Image.open(out)).shape[1]
    found = tiles_of(out, 3, 6, width - (3 * 66 + 2))[4, 1][::4, ::4]
    assert np.abs(found - expected[0].numpy()).max() <= 0.51


@pytest.mark.parametrize(
    ("run", "words", "said"),
    [
        ("vae", ["arithmetic", "0,5-3"], "'0,5-3' is no term: give numbers of draws as in 0,5,9, or label:NAME"),
        ("vae", ["arithmetic", "0 + "], "is no term"),
        ("vae", ["arithmetic", ""], "is no term"),
        ("vae", ["arithmetic", "0, ,5"], "'0, ,5' is no term"),
        ("vae", ["arithmetic", "- 5"], "'- 5' is no term"),
        ("vae", ["arithmetic", "9" * 5_000], "is no term"),
        ("vae", ["arithmetic", "label:3"], "no training image has that label; they have high, low, middle"),
        ("vae", ["arithmetic", "label:"], "is no term"),
        ("vae", ["arithmetic", "99999"], "99999 is no draw: give 0 to 9,999"),
        (
            "vae",
            ["arithmetic", "label:lwo"],
            "no training image has that label (did you mean low?); they have high, low",
        ),
        ("unlabelled", ["arithmetic", "label:low"], "have no labels; name draws"),
        ("dcgan", ["arithmetic", "label:low"], "dcgan has no encoder"),
        ("vae", ["arithmetic", "0", "--around", "nan"], "--around nan"),
        ("vae", ["arithmetic", "0", "--out", "a.gif"], "--out a.gif: it is written as PNG"),
        ("vae", ["directions", "--rows", "0"], "--rows 0: give 1 to 64"),
        ("vae", ["directions", "--steps", "1"], "--steps 1: give 2 to 101"),
        ("vae", ["directions", "--reach", "-1"], "--reach -1: give a distance above 0"),
        ("vae", ["directions", "--label", "low"], "was trained without labels"),
        ("dcgan", ["directions", "--label", "lo"], "knows no such label (did you mean low?)"),
        ("vae", ["interpolate", "--seeds", "0", "1", "--label", "low"], "was trained without labels"),
        ("vae", ["interpolate", "--images", "0", "1", "--label", "low"], "leave it out with --images"),
        ("vae", ["walk", "--stops", "1"], "--stops 1: give 2 to 64"),
        ("vae", ["walk", "--steps", "1"], "--steps 1: give 2 to 100"),
        ("vae", ["walk", "--out", "a.webm"], "--out a.webm: give a .png, .gif or .mp4 file"),
    ],
)
def test_what_is_refused(runs: Path, refused: Callable[..., str], run: str, words: list[str], said: str) -> None:
    assert said in refused("explore", runs / run, *words)
