"""`fairdraw likelihood`: what it prints, what it writes, and what it refuses."""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import SMALL_CONFIGS, build, experiment, stripes

import fairdraw
from fairdraw.metrics.importance import evidence
from fairdraw.metrics.likelihood import independent_bernoulli, independent_gaussian
from fairdraw.models.vae import VAEConfig
from fairdraw.run import save_model
from fairdraw.trained import Trained

Command = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes with the number of their class."""
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, images=stripes(256)[:, 0], labels=np.arange(256) % 3)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "vae"
    fairdraw.train(experiment(VAEConfig(hidden=(24,), latent=4, beta=4.0), source, images=256), folder, quiet=True)
    return folder


@pytest.fixture(scope="module")
def logistic(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "logistic"
    fairdraw.train(
        experiment(VAEConfig(hidden=(24,), latent=4, decoder="logistic"), source, images=256), folder, quiet=True
    )
    return folder


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "gan"
    fairdraw.train(experiment(SMALL_CONFIGS["dcgan"], source, images=64), folder, quiet=True)
    return folder


def test_everything_is_said_of_the_test_images(command: Command, run: Path, source: Path) -> None:
    facts = command("likelihood", run, source, "--samples", 30, "--seed", 2, "--json").facts
    trained = Trained.open(run, "cpu")
    data = trained.training_data()
    test = data.test.images(np.arange(len(data.test)))
    found = evidence(trained.model, test, 30, seed=2)
    nats, bits = facts["numbers"]
    assert nats["value"] == pytest.approx(-found.bounds[30].mean())
    assert bits["value"] == pytest.approx(nats["value"] / (256 * math.log(2)))
    assert (nats["unit"], bits["unit"], nats["count"]) == ("nats per image", "bits/dim", len(test))
    (name, to_beat), (untrained, nothing_known) = nats["baselines"]
    assert (name, to_beat) == ("independent Bernoulli", pytest.approx(independent_bernoulli(data.train, test).mean()))
    assert (untrained, nothing_known) == ("every level alike", pytest.approx(256 * math.log(2)))
    assert bits["baselines"] == [[name, pytest.approx(to_beat / (256 * math.log(2)))], [untrained, pytest.approx(1)]]
    assert nats["name"] == "-log p bound (k = 30)"
    assert facts["standard_error"] == pytest.approx(found.bounds[30].std(ddof=1) / len(test) ** 0.5)
    assert facts["negative_elbo"] == pytest.approx(facts["reconstruction"] + facts["kl"])
    assert facts["convergence"] == {str(k): pytest.approx(-v.mean()) for k, v in found.bounds.items()}
    assert (facts["samples"], facts["seed"], facts["units"], len(facts["kl_units"])) == (30, 2, 4, 4)
    assert facts["on"] == f"test images of {source}"
    assert facts["no_baseline"] == ""


def test_lines_say_what_a_person_needs(command: Command, run: Path, source: Path) -> None:
    nats, bits, elbo, convergence, units = command("likelihood", run, source, "--samples", 20).out.splitlines()
    assert nats.startswith("-log p bound (k = 20) ")
    assert "standard error" in nats
    assert "to beat: independent Bernoulli" in nats
    assert "bits/dim" in bits
    assert "an upper bound in expectation; observation model: independent Bernoulli pixels" in bits
    assert elbo.startswith("-ELBO ")
    assert " = reconstruction " in elbo
    assert [word for word in convergence.split() if word.endswith(":")] == ["1:", "10:", "20:"]
    assert units.startswith("active units ")
    assert " of 4: Var_x(E_q[u|x]) > 0.01" in units


def test_figures_of_each_image(command: Command, run: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "images.csv"
    facts = command("likelihood", run, source, "--samples", 5, "--part", "train", "--per-image", out, "--json").facts
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    train = Trained.open(run, "cpu").training_data().train
    assert [row["name"] for row in rows] == [train.dataset.names[i] for i in train.indices]
    assert [row["label"] for row in rows] == [str(i % 3) for i in train.indices]
    columns = {key: np.array([float(row[key]) for row in rows]) for key in rows[0] if key not in ("name", "label")}
    assert columns["negative_log_likelihood_bound"].mean() == pytest.approx(facts["numbers"][0]["value"], abs=1e-5)
    np.testing.assert_allclose(columns["negative_elbo"], columns["reconstruction"] + columns["kl"], atol=1e-5)
    assert facts["per_image"] == str(out)


def test_some_images_are_spread_over_the_part(command: Command, run: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "images.csv"
    words = ("--part", "all", "--count", 3, "--samples", 2, "--per-image", out)
    found = command("likelihood", run, source, *words)
    assert f"3 images of {source}, spread evenly over them" in found.out
    with out.open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["0", "127", "255"]


def test_levels_have_a_gaussian_to_beat(command: Command, logistic: Path, source: Path) -> None:
    facts = command("likelihood", logistic, source, "--samples", 2, "--json").facts
    data = Trained.open(logistic, "cpu").training_data()
    to_beat = independent_gaussian(data.train, data.test.images(np.arange(len(data.test)))).mean()
    assert facts["numbers"][0]["baselines"] == [
        ["independent Gaussian", pytest.approx(to_beat)],
        ["every level alike", pytest.approx(256 * math.log(256))],
    ]
    assert "discretised logistic" in facts["observation"]


def test_a_lone_model_file_is_not_beside_independent_pixels_and_says_so(
    command: Command, source: Path, tmp_path: Path
) -> None:
    path = tmp_path / "lone.safetensors"
    save_model(path, build(SMALL_CONFIGS["vae"]), {})
    found = command("likelihood", path, source, "--samples", 2)
    assert "to beat: every level alike" in found.out
    assert f"baseline      no independent pixels: {path} does not say what it was trained on" in found.out
    assert f"256 images of {source}" in found.out


def test_parzen_windows_come_with_their_controls(command: Command, run: Path, gan: Path, source: Path) -> None:
    lines = command("likelihood", run, source, "--samples", 2, "--parzen").out.splitlines()
    title, model, real, centroids, distrust = lines[-5:]
    assert title.startswith("Parzen window, mean log-density of ")
    assert "10,000 draws of the model, none picked" in model
    assert "training images (control)" in real
    assert "k-means centroids" in centroids
    assert "do not trust it" in distrust
    facts = command("likelihood", gan, source, "--parzen", "--json").facts
    assert len(facts["parzen"]) == 3
    assert "do not trust" in facts["parzen_note"]
    assert "numbers" not in facts


def save(path: Path, images: np.ndarray) -> Path:
    np.save(path, images)
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--samples", "0"], "--samples 0: give at least 1"),
        (["--samples", "-5"], "--samples -5: give at least 1"),
        (["--count", "0"], "--count 0: give at least 1"),
        (["--per-image", "figures.json"], "--per-image figures.json: the figures are written as a table; give a .csv"),
        (["--per-image", "no/such/figures.csv"], "there is no folder no/such; make it first"),
        (["--part", "train", "--parzen"], "no --part but test"),
    ],
)
def test_bad_options_are_refused(refused: Refused, run: Path, source: Path, words: list[str], said: str) -> None:
    assert said in refused("likelihood", run, source, *words)


def test_images_that_do_not_fit_are_refused(refused: Refused, run: Path, tmp_path: Path) -> None:
    for shape, words in (((4, 8, 8), "8x8 px and 1 channel"), ((4, 16, 16, 3), "16x16 px and 3 channels")):
        path = save(tmp_path / f"{len(shape)}.npy", np.zeros(shape, np.uint8))
        said = refused("likelihood", run, path)
        assert f"{path} holds images of {words}, {run} is a model of 16x16 px and 1 channel: give images" in said
    broken = stripes(4)[:, 0] / 255
    broken[2, 5, 5] = np.nan
    assert "picture 2 holds NaN or infinity" in refused("likelihood", run, save(tmp_path / "nan.npy", broken))
    whole = save(tmp_path / "few.npy", stripes(1)[:, 0])
    parts = [part for part in ("train", "validation", "test") if not len(fairdraw.data.open(whole).split(part))]  # type: ignore[arg-type]
    assert f"has no {parts[0]} images" in refused("likelihood", run, whole, "--part", parts[0])


def test_models_without_a_bound_or_draws_are_refused(
    refused: Refused, gan: Path, run: Path, source: Path, tmp_path: Path
) -> None:
    said = refused("likelihood", gan, source)
    assert "dcgan bounds no likelihood; `fairdraw models` tells which models do" in said
    assert said == refused("likelihood", gan, source, "--parzen", "--per-image", tmp_path / "a.csv")
    other = save(tmp_path / "other.npy", stripes(30, seed=1)[:, 0])
    assert f"give {source}, which the model was trained on" in refused("likelihood", run, other, "--parzen")


def test_files_of_any_size_are_fitted_as_in_training(command: Command, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(stripes(3, size=32)):
        Image.fromarray(picture[0]).save(folder / f"{number}.png")
    assert command("likelihood", run, folder, "--samples", 1).code == 0
