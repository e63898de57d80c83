"""`fairdraw sample`: which images it makes, and what it shows beside them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toys import SMALL_CONFIGS, build, experiment, generating, save_stripes, stripes

from fairdraw import DCGANConfig, Model, VAEConfig, data, load, pictures, train
from fairdraw.capabilities import Conditions, Generates
from fairdraw.images import captioned, facts_of, sheet
from fairdraw.latent import Truncated, drawn
from fairdraw.metrics import neighbours
from fairdraw.metrics.features import PixelPCA
from fairdraw.metrics.neighbours import nearest_by_features, nearest_images
from fairdraw.noise import Noise
from fairdraw.pictures import last_column_sheet, last_of_rows, sampled
from fairdraw.run import save_model

LABELLED = DCGANConfig(latent=6, width=4, classes=3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of stripes, and a DCGAN of stripes with three labels."""
    folder = tmp_path_factory.mktemp("runs")
    train(experiment(SMALL_CONFIGS["vae"], save_stripes(folder), images=512), folder / "vae", quiet=True)
    names = np.array(["low", "middle", "high"])
    np.savez(folder / "labelled.npz", images=stripes()[:, 0], labels=names[np.arange(256) % 3])
    train(experiment(LABELLED, folder / "labelled.npz", images=512), folder / "dcgan", quiet=True)
    return folder


def model_of(path: Path) -> Any:
    return load(path)


def ready(config: Any) -> Any:
    model = build(config).eval()
    assert isinstance(model, Generates)
    return model


# Truncation


@pytest.mark.parametrize("name", generating(SMALL_CONFIGS))
def test_draws_are_those_of_the_sheet_and_all_of_the_prior_is_no_truncation(name: str) -> None:
    model = ready(SMALL_CONFIGS[name])
    with torch.inference_mode():
        z = drawn(model, 300, seed=3)
        assert torch.equal(z, drawn(model, 300, seed=3, share=1.0))
    assert z.shape[0] == 300
    assert np.array_equal(pictures.generated(model, z), sampled(model, 300, seed=3))


@pytest.mark.parametrize(("prior", "bound"), [("gaussian", 0.6744898), ("uniform", 0.5)])
def test_half_of_the_prior_is_its_middle_half(prior: Any, bound: float) -> None:
    model = ready(replace(SMALL_CONFIGS["dcgan"], prior=prior))
    with torch.inference_mode():
        whole, half = drawn(model, 2_000, 0), drawn(model, 2_000, 0, share=0.5)
    assert half.abs().max() <= bound + 1e-5
    assert half.abs().max() > 0.95 * bound
    assert torch.equal(half.sign(), whole.sign())
    # As many in each half of it: drawn from the prior's own distribution within the bound, not piled up at its edge.
    inner = 0.3186394 if prior == "gaussian" else 0.25
    assert float((half.abs() < inner).float().mean()) == pytest.approx(0.5, abs=0.02)


def test_truncation_leaves_the_class_alone() -> None:
    model = ready(LABELLED)
    assert isinstance(model, Conditions)
    with torch.inference_mode():
        whole, central = drawn(model, 200, 0), drawn(model, 200, 0, share=0.1)
    assert torch.equal(model.class_of(whole), model.class_of(central))
    assert set(model.class_of(whole).tolist()) == {0, 1, 2}
    assert central[:, :6].abs().max() <= 0.1 + 1e-6


def test_truncated_noise_has_rows_as_any_other() -> None:
    whole, part = Truncated(Noise(0, 6), 0.4), Truncated(Noise(0, 6), 0.4).rows(2, 3)
    assert torch.equal(whole.normal(5)[2:5], part.normal(5))
    assert torch.equal(whole.uniform(5)[2:5], part.uniform(5))


@pytest.mark.parametrize("share", [1e-30, 0.5, 1 - 1e-9])
def test_a_truncated_number_is_finite_and_within_its_bound(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    extremes = torch.tensor([[-9.0, -5.5, -1.0, 0.0, 1.0, 5.5, 9.0]])
    monkeypatch.setattr(Noise, "normal", lambda *_: extremes)
    found = Truncated(Noise(0, 1), share).normal(7)[0]
    assert found.isfinite().all()
    assert torch.equal(found, -found.flip(0))
    # P(|z| < 1) = 0.6826895: the tail beyond the new score is (1 - share) / 2 + share P(z < -1)
    tail = (1 - share) / 2 + share * 0.15865525
    assert float(torch.special.ndtr(found[2].double())) == pytest.approx(tail, rel=1e-5)
    assert float(found.abs().max()) <= 10


def test_truncation_is_written_on_the_sheet(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    plain = command("sample", runs / "vae", "--count", 8, "--out", tmp_path / "a.png", "--json").facts
    cut = command(
        "sample", runs / "vae", "--count", 8, "--truncation", 0.5, "--out", tmp_path / "b.png", "--json"
    ).facts
    whole = command(
        "sample", runs / "vae", "--count", 8, "--truncation", 1, "--out", tmp_path / "c.png", "--json"
    ).facts
    a, b, c = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "abc")
    assert np.array_equal(a, c)
    assert b.shape[0] > a.shape[0]
    assert (b[: b.shape[0] - a.shape[0]] < 128).any()
    assert "truncation" not in plain
    assert cut["truncation"] == facts_of(tmp_path / "b.png")["truncation"] == 0.5
    assert "truncated: from the central 0.5 of the prior" in cut["draws"]
    assert "truncated" not in whole["draws"]
    command("sample", runs / "vae", "--count", 2, "--truncation", 0.5, "--out", tmp_path / "each")
    assert [path.name for path in sorted((tmp_path / "each").iterdir())] == [
        "seed0-truncation0.5-000000.png",
        "seed0-truncation0.5-000001.png",
    ]


def test_a_long_caption_goes_over_several_lines_and_moves_nothing() -> None:
    shown = sheet(stripes(2), 2)
    narrow = captioned(shown, "some words " * 20)
    assert narrow.width == shown.width
    height = narrow.height - shown.height
    assert height > 4 * 13
    assert np.array_equal(np.asarray(narrow)[height:], np.asarray(shown))
    assert (np.asarray(narrow)[height // 2 : height] < 128).any()


# Labels


def test_samples_of_a_label(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    command("sample", runs / "dcgan", "--label", "middle", "--count", 4, "--out", tmp_path / "a.png")
    model = model_of(runs / "dcgan")
    names = ["high", "low", "middle"]
    with torch.inference_mode():
        z = model.with_class(drawn(model, 4, 0), torch.full((4,), names.index("middle")))
    expected = np.asarray(pictures.sample_sheet(pictures.generated(model, z)))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)
    assert facts_of(tmp_path / "a.png")["label"] == "middle"


def test_a_label_by_its_number_and_one_that_is_no_file_name(
    tmp_path: Path, command: Callable[..., Any], refused: Callable[..., str]
) -> None:
    save_model(tmp_path / "a.safetensors", build(LABELLED), {"classes": ["T-shirt/top", "../../up", "x"]})
    (tmp_path / "out").mkdir()
    sheets = []
    for label in ("../../up", "1"):
        command(
            "sample", tmp_path / "a.safetensors", "--label", label, "--count", 2, "--out", tmp_path / "out" / "each"
        )
        files = sorted((tmp_path / "out" / "each").iterdir())
        sheets.append([np.asarray(Image.open(file)).tobytes() for file in files if "label-up" in file.name])
        assert facts_of(files[0])["label"] == "../../up"
    assert len(sheets[0]) == 2
    assert sheets[0] == sheets[1]
    assert {path.name for path in tmp_path.rglob("*")} == {
        "a.safetensors",
        "out",
        "each",
        "seed0-label-up-000000.png",
        "seed0-label-up-000001.png",
    }
    for label in ("3", "9" * 5_000):
        assert "knows no such label" in refused("sample", tmp_path / "a.safetensors", "--label", label)


# Latents of a file


def test_latents_of_a_file(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    model = model_of(runs / "vae")
    with torch.inference_mode():
        z = drawn(model, 5, seed=7)
    np.save(tmp_path / "z.npy", z.numpy())
    out = tmp_path / "a.png"
    found = command("sample", runs / "vae", "--latents", tmp_path / "z.npy", "--out", out, "--json").facts
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(pictures.sample_sheet(sampled(model, 5, seed=7))))
    assert found["count"] == 5
    assert found["draws"] == "the latents in z.npy, in their order"


@pytest.mark.parametrize(
    ("latents", "said"),
    [
        (np.zeros((3, 7)), "has the shape [3, 7]: {run} takes latents of 4 numbers, [images, 4]"),
        (np.zeros(4), "has the shape [4]"),
        (np.zeros((0, 4)), "has the shape [0, 4]"),
        (np.array([[0, np.nan, 0, 0], [0, 0, 0, 0]]), "1 of 2 rows are not finite"),
        (np.full((2, 4), np.inf), "2 of 2 rows are not finite"),
        (np.array([[0, 0, 0, 0], [0, 1e300, 0, 0]]), "1 of 2 rows are not finite as float32"),
        (np.zeros((2, 4), bool), "holds bool: give one array of numbers"),
        (np.zeros((10_001, 4), np.float16), "has 10,001 rows: at most 10,000 on a sheet"),
        (np.zeros((2, 4), complex), "holds complex128: give one array of numbers"),
        (np.array([["a"] * 4]), "give one array of numbers"),
        (b"no array", "cannot be read as .npy"),
        (None, "cannot be read as .npy"),
    ],
)
def test_latents_that_are_none(
    runs: Path, tmp_path: Path, refused: Callable[..., str], latents: Any, said: str
) -> None:
    path = tmp_path / "z.npy"
    if isinstance(latents, bytes):
        path.write_bytes(latents)
    elif latents is not None:
        np.save(path, latents)
    assert said.format(run=runs / "vae") in refused("sample", runs / "vae", "--latents", path)


def test_a_header_that_promises_too_much_costs_no_memory(
    runs: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    with (tmp_path / "z.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**13, 4)}
        np.lib.format.write_array_header_1_0(file, header)
    assert "cannot be read as .npy" in refused("sample", runs / "vae", "--latents", tmp_path / "z.npy")


def test_several_arrays_are_refused(runs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    np.savez(tmp_path / "z.npz", a=np.zeros((2, 4)))
    assert "holds several arrays" in refused("sample", runs / "vae", "--latents", tmp_path / "z.npz")


def test_files_of_latents_are_replaced_when_made_again(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    np.save(tmp_path / "z.npy", np.zeros((2, 4), np.int8))
    for _ in range(2):
        assert command("sample", runs / "vae", "--latents", tmp_path / "z.npy", "--out", tmp_path / "each").code == 0
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == [
        "latents-z-000000.png",
        "latents-z-000001.png",
    ]


def test_object_arrays_are_not_unpickled(runs: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    np.save(tmp_path / "z.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "cannot be read as .npy" in refused("sample", runs / "vae", "--latents", tmp_path / "z.npy")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("vae --truncation 0", "--truncation 0: give the central share"),
        ("vae --truncation 1.5", "--truncation 1.5: give the central share"),
        ("vae --truncation nan", "--truncation nan"),
        ("vae --label 3", "--label 3: {run} was trained without labels"),
        ("dcgan --label hihg", "knows no such label (did you mean high?); its labels are high, low, middle"),
        ("dcgan --label 7", "knows no such label; its labels are high, low, middle"),
        ("vae --latents z.npy --seed 3", "leave out --seed"),
        ("vae --latents z.npy --count 3 --truncation 0.5", "leave out --count, --truncation"),
        ("vae --neighbours-by features", "add --neighbours"),
        ("vae --neighbours --neighbours-as last-column --out folder", "give --out a .png file"),
    ],
)
def test_what_does_not_go_together(runs: Path, refused: Callable[..., str], words: str, said: str) -> None:
    run, *rest = words.split()
    assert said.format(run=runs / run) in refused("sample", runs / run, *rest)


# Neighbours


def test_neighbours_in_a_last_column(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    words = ("sample", runs / "vae", "--count", 10, "--neighbours", "--neighbours-as", "last-column", "--json")
    found = command(*words, "--out", tmp_path / "a.png").facts
    samples = sampled(model_of(runs / "vae"), 10, seed=0)
    train_part = data.open(str(runs / "stripes16.npy")).train
    where, distance = nearest_images(samples[[6, 9]], train_part)
    assert found["neighbours_of"] == [6, 9]
    assert found["neighbour_distance"] == pytest.approx(distance.tolist(), abs=1e-5)
    shown = np.asarray(Image.open(tmp_path / "a.png"))
    assert np.array_equal(shown, np.asarray(last_column_sheet(samples, train_part.images(where))))


def test_the_last_column_is_that_of_the_rows_last_samples() -> None:
    samples = np.arange(9, dtype=np.uint8)[:, None, None, None].repeat(64, 2).repeat(64, 3)
    assert last_of_rows(9) == [6, 8]
    assert last_of_rows(7) == [6]
    assert last_of_rows(1) == [0]
    shown = np.asarray(last_column_sheet(samples, np.full((2, 1, 64, 64), 200, np.uint8)))
    tiles = shown[-2 * 66 - 2 :, -8 * 66 - 2 :]
    found = [[int(tiles[34 + 66 * row, 34 + 66 * column]) for column in range(8)] for row in range(2)]
    assert found == [[0, 1, 2, 3, 4, 5, 6, 200], [7, 8, 255, 255, 255, 255, 255, 200]]


def test_neighbours_by_features(runs: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    words = ("sample", runs / "vae", "--count", 6, "--neighbours", "--neighbours-by", "features", "--json")
    found = command(*words, "--out", tmp_path / "a.png").facts
    train_part = data.open(str(runs / "stripes16.npy")).train
    features = PixelPCA.fitted(train_part)
    samples = features.of(sampled(model_of(runs / "vae"), 6, seed=0))
    bank = features.of(train_part.images(np.arange(len(train_part))))
    distances = np.linalg.norm(samples[:, None] - bank, axis=2)
    assert found["neighbour_distance"] == pytest.approx(distances.min(1).tolist(), abs=1e-5)
    assert found["neighbours"] == [train_part.dataset.names[train_part.indices[k]] for k in distances.argmin(1)]
    assert features.name in found["shows"]


def test_a_training_image_is_its_own_neighbour_by_features(runs: Path) -> None:
    train_part = data.open(str(runs / "stripes16.npy")).train
    where, distance = nearest_by_features(train_part.images(np.array([5, 0])), train_part, PixelPCA.fitted(train_part))
    assert where.tolist() == [5, 0]
    assert distance == pytest.approx([0, 0], abs=1e-12)


def test_of_equally_near_images_the_first_is_taken_by_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies in other places, in the same block and in others, whose features differ by rounding."""
    images = np.tile(np.random.default_rng(0).integers(0, 256, (20, 9, 9)).astype(np.uint8), (15, 1, 1))
    np.save(tmp_path / "copies.npy", images)
    bank = data.open(str(tmp_path / "copies.npy")).all
    features = PixelPCA.fitted(bank, 17)
    queries = np.random.default_rng(1).integers(0, 256, (40, 1, 9, 9)).astype(np.uint8)
    differences = features.of(queries)[:, None] - features.of(bank.images(np.arange(20)))
    for block in (2**23, 81 * 33, 81):
        monkeypatch.setattr(neighbours, "BLOCK", block)
        where, distance = nearest_by_features(queries, bank, features)
        assert where.tolist() == np.linalg.norm(differences, axis=2).argmin(1).tolist()
        assert distance == pytest.approx(np.linalg.norm(differences, axis=2).min(1), rel=1e-12)


def test_the_class_of_a_latent_is_the_one_it_was_given() -> None:
    model = ready(LABELLED)
    label = torch.tensor([2, 0, 1, 1])
    z = model.with_class(drawn(model, 4, 0), label)
    assert torch.equal(model.class_of(z), label)


def test_a_model_without_labels_says_so_in_its_file(runs: Path) -> None:
    from fairdraw.trained import Trained

    assert Trained.open(runs / "vae").facts["classes"] == []
    assert Trained.open(runs / "dcgan").facts["classes"] == ["high", "low", "middle"]
    assert isinstance(model_of(runs / "vae"), Model)
    assert VAEConfig().latent == 20
