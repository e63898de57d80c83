"""Scores of outliers, and how well they tell: closed forms, and the verb."""

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from toys import SMALL_CONFIGS, build, save_stripes, stripes

from fairdraw import data
from fairdraw.capabilities import Bounds
from fairdraw.images import facts_of, to_signed
from fairdraw.metrics.likelihood import negative_elbo
from fairdraw.metrics.outliers import auroc, extremes, outlier_scores, png_bytes
from fairdraw.metrics.reconstruction import squared_errors
from fairdraw.models.autoencoder import AutoencoderConfig
from fairdraw.models.vae import VAEConfig
from fairdraw.noise import Noise
from fairdraw.run import save_model

# AUROC


def test_a_perfect_ranking_has_1_and_no_interval() -> None:
    found = auroc("x", np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True]))
    assert (found.value, found.interval, found.regular, found.outliers) == (1, None, 2, 2)
    assert auroc("x", -np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True])).value == 0


def test_equal_scores_are_chance() -> None:
    found = auroc("x", np.ones(60), np.arange(60) % 2 == 0)
    assert found.value == 0.5
    assert found.interval == (0.5, 0.5)


def test_auroc_is_scikit_learns_with_ties() -> None:
    rng = np.random.default_rng(0)
    values, outlier = rng.integers(0, 8, 200).astype(float), rng.random(200) < 0.3
    assert auroc("x", values, outlier).value == pytest.approx(roc_auc_score(outlier, values), abs=1e-12)


def test_the_interval_is_delongs() -> None:
    # placements by hand: outliers 2 and 4 are above one and two of 1 and 3; 1 is below both outliers, 3 below one
    found = auroc("x", np.array([1.0, 3.0, 2.0, 4.0]), np.array([False, False, True, True]))
    assert found.value == 0.75
    error = 1.96 * math.sqrt(0.125 / 2 + 0.125 / 2) / (0.75 * 0.25)
    assert found.interval is not None
    odds = [math.log(end / (1 - end)) for end in found.interval]
    assert odds == pytest.approx([math.log(3) - error, math.log(3) + error])


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(0), 0
    truth = 0.5 * (1 + math.erf(1 / 2))  # P(N(1, 1) > N(0, 1))
    outlier = np.arange(120) < 50
    for _ in range(400):
        interval = auroc("x", rng.normal(size=120) + outlier, outlier).interval
        assert interval is not None
        hits += interval[0] < truth < interval[1]
    assert 0.92 < hits / 400 < 0.98


def test_one_kind_of_image_has_no_auroc() -> None:
    with pytest.raises(ValueError, match="needs outliers and regular images"):
        auroc("x", np.ones(3), np.ones(3, bool))


def test_one_of_a_kind_is_singular() -> None:
    found = auroc("x", np.arange(3.0), np.array([False, False, True]))
    assert "1 outlier among 2 regular images" in str(found)


def test_few_of_a_kind_are_warned_of() -> None:
    few = auroc("x", np.arange(40.0), np.arange(40) % 10 == 0)
    assert "only 4 of a kind: do not rely on the interval" in str(few)
    assert "do not rely" not in str(auroc("x", np.arange(80.0), np.arange(80) % 2 == 0))


# Scores


@pytest.fixture
def striped(tmp_path: Path, home: Path) -> data.Split:
    return data.open(save_stripes(tmp_path, count=300)).all


def test_scores_are_what_they_say(striped: data.Split) -> None:
    model, background = build(VAEConfig(hidden=(24,), latent=4)), build(VAEConfig(hidden=(8,), latent=2), seed=1)
    images = striped.images(np.arange(300))
    found = outlier_scores(model, striped, background, seed=3, samples=1)
    assert list(found) == ["squared-error", "negative-elbo", "complexity-ratio", "likelihood-ratio"]
    assert np.array_equal(found["squared-error"], squared_errors(model, images))
    bound = negative_elbo(model, images, seed=3)
    assert found["negative-elbo"] == pytest.approx(bound, rel=1e-5)
    assert found["likelihood-ratio"] == pytest.approx(bound - negative_elbo(background, images, seed=3), abs=1e-2)
    sizes = (found["negative-elbo"] - found["complexity-ratio"]) / (8 * math.log(2))
    assert sizes == pytest.approx(sizes.round(), abs=1e-6)


def test_levels_are_compressed_as_they_are(striped: data.Split) -> None:
    found = outlier_scores(build(VAEConfig(hidden=(8,), latent=2, decoder="logistic")), striped)
    sizes = (found["negative-elbo"] - found["complexity-ratio"]) / (8 * math.log(2))
    assert sizes == pytest.approx(png_bytes(striped.images(np.arange(300))))


def test_what_a_model_cannot_give_is_left_out(striped: data.Split) -> None:
    assert list(outlier_scores(build(AutoencoderConfig(hidden=(8,), latent=2)), striped)) == ["squared-error"]
    assert outlier_scores(build(SMALL_CONFIGS["dcgan"]), striped) == {}


def test_the_bound_is_from_as_many_samples_as_said(striped: data.Split) -> None:
    model = build(VAEConfig(hidden=(24,), latent=4))
    assert isinstance(model, Bounds)
    noise = Noise(2, 5, first=250, purpose="likelihood")
    x = to_signed(torch.from_numpy(striped.images(np.arange(250, 255))))
    with torch.inference_mode():
        direct = -model.elbo(model.observe(x, noise), noise, 7).value
    found = outlier_scores(model, striped, seed=2, samples=7)["negative-elbo"]
    assert found[250:255] == pytest.approx(direct.numpy(), rel=1e-5)


def test_png_grows_with_what_there_is_to_see() -> None:
    flat = np.zeros((1, 1, 32, 32), np.uint8)
    noise = np.random.default_rng(0).integers(0, 2, (1, 1, 32, 32)).astype(np.uint8) * 255
    as_bits, as_bytes = png_bytes(noise, bits=True), png_bytes(noise)
    assert png_bytes(flat) < as_bits < as_bytes
    assert 32 * 32 / 8 < as_bits[0] < 32 * 32 / 8 + 150
    colour = np.repeat(noise, 3, axis=1)
    assert png_bytes(colour, bits=True) == png_bytes(colour)


def test_extremes_are_the_extremes_in_order() -> None:
    unusual, typical = extremes(np.array([3.0, 9.0, 1.0, 9.0, 0.0, 5.0]), 2)
    assert (list(unusual), list(typical)) == ([1, 3], [4, 2])
    unusual, typical = extremes(np.array([3.0, 3.0, 3.0, 3.0, 3.0]), 10)
    assert (list(unusual), list(typical)) == ([0, 1], [2, 3])


# The verb


@pytest.fixture
def vae(tmp_path: Path, home: Path) -> Path:
    save_model(tmp_path / "vae.safetensors", build(VAEConfig(hidden=(24,), latent=4)), {})
    return tmp_path / "vae.safetensors"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    np.savez(tmp_path / "set.npz", images=stripes(60)[:, 0], labels=np.arange(60) % 3)
    return tmp_path / "set.npz"


def test_sheet_table_and_auroc(command: Callable[..., Any], vae: Path, labelled: Path, tmp_path: Path) -> None:
    words = ("outliers", vae, labelled, "--by", "squared-error", "--count", 4, "--out", tmp_path / "sheet.png")
    facts = command(*words, "--outlier-labels", 0, 2, "--per-image", tmp_path / "all.csv", "--json").facts
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [str(k) for k in range(60)]
    assert [row["outlier"] for row in rows] == [str(int(k % 3 != 1)) for k in range(60)]
    for found in facts["auroc"]:
        values = [float(row[found["score"]]) for row in rows]
        assert found["value"] == pytest.approx(roc_auc_score([row["label"] != "1" for row in rows], values))
        assert (found["regular"], found["outliers"]) == (20, 40)
    ranked = sorted(rows, key=lambda row: float(row["squared-error"]))
    assert [one["image"] for one in facts["most_typical"]] == [row["name"] for row in ranked[:4]]
    assert [one["image"] for one in facts["most_unusual"]] == [row["name"] for row in ranked[:-5:-1]]
    written = facts_of(tmp_path / "sheet.png")
    assert written["shows"] == facts["shows"]
    assert not written["machine_made"]
    assert "the 4 most unusual of 60 images" in written["shows"]


def test_a_second_source_is_all_outliers(
    command: Callable[..., Any], vae: Path, labelled: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (30, 16, 16), np.uint8))
    words = ("outliers", vae, labelled, "--against", tmp_path / "noise.npy", "--out", tmp_path / "x.png", "--json")
    facts = command(*words).facts
    assert {(found["regular"], found["outliers"]) for found in facts["auroc"]} == {(60, 30)}
    by = {found["score"]: found for found in facts["auroc"]}
    assert by["squared-error"]["value"] == 0  # an untrained model says grey: stripes are farther from that than noise


def test_plain_likelihood_is_called_what_it_is(command: Callable[..., Any], vae: Path, labelled: Path) -> None:
    lines = command("outliers", vae, labelled, "--out", labelled.with_suffix(".png")).out.splitlines()
    assert [line for line in lines if "rates simple images as typical" in line] == [
        line for line in lines if line.startswith("negative-elbo")
    ]
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--outlier-labels 5", "has no label '5' for --outlier-labels; it has 0, 1, 2"),
        ("--outlier-labels 0 1 2", "all of the 60 images of .* AUROC needs images of both kinds"),
        ("--outlier-labels 0 --against digits8", "both say what the outliers are: give one of them"),
        ("--by likelihood-ratio", "there is no likelihood-ratio .* name a second model with --background"),
        ("--by brightness", "brightness"),
        ("--samples 0", "--samples 0: give at least 1"),
        ("--count 0", "--count 0: give at least 1"),
        ("--count 1000000 --out folder", "--count 1000000: at most 10,000 on a sheet$"),
        ("--per-image scores.txt", "scores.txt: the figures are written as a table; give a .csv file"),
        ("--per-image no/such/x.csv", "--per-image no/such/x.csv: there is no folder no/such; make it first"),
    ],
)
def test_slips_are_named(refused: Callable[..., str], vae: Path, labelled: Path, words: str, said: str) -> None:
    assert re.search(said, refused("outliers", vae, labelled, *words.split()))


def test_models_that_do_not_fit_are_named(refused: Callable[..., str], vae: Path, labelled: Path, home: Path) -> None:
    gan, levels = vae.with_name("gan.safetensors"), vae.with_name("levels.safetensors")
    save_model(gan, build(SMALL_CONFIGS["dcgan"]), {})
    save_model(levels, build(VAEConfig(hidden=(8,), latent=2, decoder="logistic")), {})
    assert "dcgan can score no image, for it neither encodes nor bounds" in refused("outliers", gan, labelled)
    assert "bounds the likelihood of levels of 1x16x16, " in refused("outliers", vae, labelled, "--background", levels)
    assert "dcgan cannot be a background" in refused("outliers", vae, labelled, "--background", gan)
    plain = save_stripes(labelled.parent, count=5)
    assert "has no labels: say with --against" in refused("outliers", vae, plain, "--outlier-labels", 1)
    np.save(labelled.parent / "one.npy", stripes(1)[:, 0])
    assert "give a source with several" in refused("outliers", vae, labelled.parent / "one.npy")
