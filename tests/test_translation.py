"""Numbers about translations: closed forms, what needs no model, and the judge of a trained one."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import stripes

from fairdraw import InputError, Model, Noise, data
from fairdraw.capabilities import Translates
from fairdraw.judge import translation
from fairdraw.judge.protocol import Protocol, trained_on
from fairdraw.metrics.translation import absolute_errors, cycled, gradient_energies, sharpness
from fairdraw.model import Batch, Clock, Player, Update
from fairdraw.order import spread


class Hides(Model, Translates):
    """There it makes everything grey but for a difference of a hundredth of a level, back it amplifies that."""

    directions = ("a-to-b", "b-to-a")

    def __init__(self) -> None:
        super().__init__(None, (1, 16, 16))
        self.amount = torch.nn.Parameter(torch.tensor(1e-4))

    def players(self) -> dict[str, Player]:
        return {}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        return iter(())

    def translate(self, x: torch.Tensor, direction: str, noise: Noise) -> torch.Tensor:
        return x * self.amount if direction == "a-to-b" else x / self.amount


def test_absolute_errors_are_means_on_the_unit_interval() -> None:
    black, white = np.zeros((2, 3, 4, 4), np.uint8), np.full((2, 3, 4, 4), 255, np.uint8)
    assert absolute_errors(black, white).tolist() == [1, 1]
    half = black.copy()
    half[1, :, :2] = 51
    assert absolute_errors(black, half) == pytest.approx([0, 0.1])


def test_gradient_energy_of_a_ramp_and_of_a_flat_image() -> None:
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (1, 1, 16, 1))
    assert gradient_energies(ramp) == pytest.approx([10 / 255])
    assert gradient_energies(np.full((1, 3, 8, 8), 9, np.uint8)) == [0]


def test_blur_is_less_sharp_and_noise_is_more() -> None:
    images = stripes(64)
    assert sharpness(images, images) == pytest.approx((1.0, 0.0))
    padded = np.pad(images.astype(float), ((0, 0), (0, 0), (1, 1), (0, 0)), mode="edge")
    blurred = ((padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]) / 3).astype(np.uint8)
    noise = np.random.default_rng(0).integers(-40, 40, images.shape)
    noisy = (images + noise).clip(0, 255).astype(np.uint8)
    ratio, error = sharpness(images, blurred)
    assert ratio + 4 * error < 1
    ratio, error = sharpness(images, noisy[:40])
    ours, theirs = gradient_energies(noisy[:40]), gradient_energies(images)
    variances = ours.var(ddof=1) / len(ours), ratio**2 * theirs.var(ddof=1) / len(theirs)
    assert error == pytest.approx(sum(variances) ** 0.5 / theirs.mean())
    assert ratio - 4 * error > 1


def test_a_hidden_cycle_is_found_by_rounding_to_levels() -> None:
    images, model = stripes(8), Hides().eval()
    whole = absolute_errors(images, cycled(model, images, "a-to-b", 0, in_levels=False))
    rounded = absolute_errors(images, cycled(model, images, "a-to-b", 0, in_levels=True))
    assert whole.max() < 0.01
    assert rounded.min() > 5 * whole.max()


def test_the_way_back_is_judged_by_the_inputs(tmp_path: Path) -> None:
    np.save(tmp_path / "stripes.npy", stripes(400)[:, 0])
    dataset = data.open(tmp_path / "stripes.npy", data.Options(inputs="edges"))
    there, back = (translation._Direction(dataset, Protocol(40), way, f", {way}") for way in ("a-to-b", "b-to-a"))
    where = spread(len(dataset.train), len(there.real))
    assert set(there.references(dataset)) == {translation.COPIED, translation.MEAN, translation.REAL}
    assert set(back.references(dataset)) == {translation.COPIED, translation.REAL}
    for pair, expected in ((there, dataset.train.images(where)), (back, dataset.train.inputs(where))):
        np.testing.assert_array_equal(pair.references(dataset)[translation.REAL], expected)
    np.testing.assert_array_equal(back.begin, there.real)
    np.testing.assert_array_equal(back.real, there.begin)
    assert next(score.name for score in back.pixel_scores(back.begin)) == "L1, b-to-a"


def test_inputs_that_were_trained_on_are_no_measure_either(tmp_path: Path) -> None:
    for name, seed, count in (("b", 0, 400), ("a", 1, 300), ("new", 2, 60)):
        np.save(tmp_path / f"{name}.npy", stripes(count, seed=seed)[:, 0])
    train, known, fresh = (
        data.open(tmp_path / f"{of}.npy", data.Options(inputs=str(tmp_path / f"{inputs}.npy")))
        for of, inputs in (("b", "a"), ("new", "a"), ("new", "new"))
    )
    assert trained_on(train, train, Protocol(40)) == ()
    assert trained_on(train, fresh, Protocol(40, part="all")) == ()
    with pytest.raises(InputError, match=r"of 300 inputs of .* were trained on"):
        trained_on(train, known, Protocol(40, part="all"))
    (remark,) = trained_on(train, known, Protocol(40, part="all", on_training_images=True))
    assert "inputs of" in remark


def test_images_of_the_same_data_may_share_an_input(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", stripes(400)[:, 0])
    np.save(tmp_path / "lines.npy", np.repeat(stripes(4, seed=1)[:, 0], 100, axis=0))
    shared = data.open(tmp_path / "images.npy", data.Options(inputs=str(tmp_path / "lines.npy")))
    count = len(shared.test)
    (said,) = trained_on(shared, shared, Protocol(40))
    assert said == f"{count} of {count} test inputs of {shared.name} belong to training images too"
    again = data.open(tmp_path / "images.npy", data.Options(inputs=str(tmp_path / "lines.npy"), size=16))
    assert again.fingerprint != shared.fingerprint
    assert trained_on(shared, again, Protocol(40)) == (said,), "whatever words it is named by"
    with pytest.raises(InputError, match=r"train images of .* were trained on"):
        trained_on(shared, shared, Protocol(40, part="train"))


def test_pairs_that_were_trained_on_are_known_by_either_side(tmp_path: Path) -> None:
    b, a = stripes(400, seed=0)[:, 0], stripes(400, seed=1)[:, 0]
    for name, images in (("b", b), ("a", a), ("b, one bit off", b ^ (np.arange(16) == 3).astype(np.uint8))):
        np.save(tmp_path / f"{name}.npy", images)
    train, off, turned = (
        data.open(tmp_path / f"{of}.npy", data.Options(inputs=str(tmp_path / f"{inputs}.npy")))
        for of, inputs in (("b", "a"), ("b, one bit off", "a"), ("a", "b"))
    )
    assert trained_on(train, train, Protocol(40)) == ()
    with pytest.raises(InputError, match=r"of 400 inputs of .* were trained on"):
        trained_on(train, off, Protocol(40, part="all"))
    with pytest.raises(InputError, match=r"of 400 images of .* were trained on"):
        trained_on(train, turned, Protocol(40, part="all"))


def test_one_pair_again_and_again_is_refused_and_inputs_that_are_images_are_said_to_be(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", stripes(400)[:, 0])
    np.save(tmp_path / "one.npy", np.repeat(stripes(1, seed=3)[:, 0], 40, 0))
    train = data.open(tmp_path / "b.npy", data.Options(inputs="edges"))
    one = data.open(tmp_path / "one.npy", data.Options(inputs="edges"))
    with pytest.raises(InputError, match=r"all 40 inputs of .* are the same one"):
        translation._Direction(one, Protocol(40, part="all"), "a-to-b", "")
    np.save(tmp_path / "new.npy", stripes(60, seed=5)[:, 0])
    same = data.open(tmp_path / "new.npy", data.Options(inputs=str(tmp_path / "new.npy")))
    judge = translation.TranslationJudge(train, same, ["pixels-pca64"], Protocol(40, part="all"), ("a-to-b",))
    assert any("there is nothing to translate" in remark for remark in judge.remarks)


def test_a_model_of_two_sets_is_judged_by_pairs_of_other_data(
    tmp_path: Path, command: Callable[..., Any], refused: Callable[..., str]
) -> None:
    for name, seed, count in (("b", 0, 60), ("a", 1, 50), ("new", 2, 40), ("new-inputs", 3, 40)):
        np.save(tmp_path / f"{name}.npy", stripes(count, seed=seed)[:, 0])
    small = ["--width", 4, "--blocks", 1, "--discriminator-width", 4, "--images", 4, "--out", tmp_path / "run"]
    sources = ["--data", tmp_path / "b.npy", "--inputs", tmp_path / "a.npy"]
    trained = command("train", "cyclegan-small", *sources, *small, "--patch", 16, "--device", "cpu")
    assert trained.code == 0, trained.err
    new = ["--data", tmp_path / "new.npy", "--inputs", tmp_path / "new-inputs.npy"]
    done = command("evaluate", tmp_path / "run", *new, "--json")
    assert done.code == 0, done.err
    assert {"L1, a-to-b", "L1, b-to-a"} <= {score["name"] for score in done.facts["scores"]}
    said = refused("evaluate", tmp_path / "run", *new, "--count", 1)
    assert "--count 1: too few to judge by: give at least 2" in said


ARMS = ("the input itself", "the mean image", "other real images")
SMALL = ["--inputs", "edges", "--batch", 8, "--width", 4, "--discriminator-width", 4, "--patch", 16, "--images", 64]


@pytest.fixture
def runs(tmp_path: Path, command: Callable[..., Any]) -> list[Path]:
    """One with the discriminator, one without."""
    np.save(tmp_path / "stripes.npy", stripes(400)[:, 0])
    found = [tmp_path / "gan", tmp_path / "l1"]
    for out, more in zip(found, ([], ["--discriminator", "none"]), strict=True):
        train = command("train", "pix2pix", "--data", tmp_path / "stripes.npy", *SMALL, *more, "--out", out)
        assert train.code == 0, train.err
    return found


def test_a_translator_is_judged_beside_what_needs_no_model(
    runs: list[Path], tmp_path: Path, command: Callable[..., Any], refused: Callable[..., str]
) -> None:
    done = command("evaluate", runs[0], "--json")
    scores = {score["name"]: score for score in done.facts["scores"] if score["event"] == "score"}
    for name in ("L1", "PSNR", "SSIM", "sharpness", "FD(pixels-pca64)", "KD(pixels-pca64)"):
        assert name in scores
    lines = (runs[0] / "evaluation" / "metrics.jsonl").read_text()
    for arm in ARMS:
        assert f'"of": "{arm}"' in lines
    names = {arm: {x["name"] for x in map(json.loads, lines.splitlines()) if x.get("of") == arm} for arm in ARMS}
    assert "L1" in names["the input itself"]
    assert "L1" not in names["other real images"], "which belong to other inputs"
    page = (runs[0] / "evaluation" / "report.html").read_text()
    assert "each beside its translation and the image it should be" in page
    assert "Copies of training images" not in page
    assert not (runs[0] / "evaluation" / "nearest-to-training.png").exists()

    other = tmp_path / "other.npy"
    np.save(other, stripes(64, seed=5)[:, 0])
    assert command("evaluate", runs[0], "--data", other, "--out", tmp_path / "other").code == 0
    inverted = tmp_path / "inverted.npy"
    np.save(inverted, 255 - stripes(64, seed=5)[:, 0])
    told = command("evaluate", runs[0], "--data", other, "--inputs", inverted, "--out", tmp_path / "told")
    assert told.code == 0

    def copying(out: Path) -> float:
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return next(x["value"] for x in lines if x.get("name") == "L1" and x["of"] == "the input itself")

    expected = np.abs(255 - 2.0 * stripes(64, seed=5)).mean() / 255
    assert copying(tmp_path / "told") == pytest.approx(expected), "the inputs that were named are taken"
    np.save(inverted, 255 - stripes(63, seed=5)[:, 0])
    said = refused("evaluate", runs[0], "--data", other, "--inputs", inverted, "--out", tmp_path / "unpaired")
    assert "pairs have equal names" in said
    assert "name the images that these belong to with --data" in refused("evaluate", runs[0], "--inputs", "edges")


def test_translators_are_compared(runs: list[Path], command: Callable[..., Any]) -> None:
    done = command("compare", *runs, "--json")
    assert done.code == 0, done.err
    rows = {row["name"]: row["over"] for row in done.facts["comparisons"][0]["rows"]}
    assert [*rows][:4] == ["L1", "PSNR", "SSIM", "sharpness"]
    assert [*rows.values()][:4] == ["images, in pairs"] * 3 + ["images"]
    assert "intervals over images, in pairs (L1, PSNR, SSIM); images (sharpness" in command("compare", *runs).out


def test_few_pairs_are_judged_pixel_by_pixel_and_flagged(tmp_path: Path, command: Callable[..., Any]) -> None:
    np.save(tmp_path / "few.npy", stripes(60)[:, 0])
    out = tmp_path / "few"
    assert command("train", "pix2pix", "--data", tmp_path / "few.npy", *SMALL, "--out", out).code == 0
    done = command("evaluate", out, "--json")
    assert done.code == 0, done.err
    scores = {score["name"]: score for score in done.facts["scores"] if score["event"] == "score"}
    assert 2 <= scores["L1"]["count"] < 30
    assert scores["L1"]["flag"] == f"only {scores['L1']['count']} images: do not rely on the interval"
    assert not any(name.startswith("FD") for name in scores)


def test_equal_names_are_said_to_be_taken_for_pairs(tmp_path: Path, command: Callable[..., Any]) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        np.save(tmp_path / f"{name}.npy", stripes(400, seed=seed)[:, 0])
    small = ["--width", 4, "--blocks", 1, "--discriminator-width", 4, "--patch", 16, "--batch", 8, "--images", 16]
    sets = ["--data", tmp_path / "b.npy", "--inputs", tmp_path / "a.npy"]
    assert command("train", "cyclegan", *sets, *small, "--out", tmp_path / "run").code == 0
    said = command("evaluate", tmp_path / "run", "--count", 30, "--json").facts["remarks"]
    assert any("have equal names and are taken for pairs" in line for line in said)


def test_what_has_nothing_to_act_on_is_refused(runs: list[Path], refused: Callable[..., str]) -> None:
    assert "--one-pixel 3: it attacks judges of what a model draws" in refused("evaluate", runs[0], "--one-pixel", 3)
