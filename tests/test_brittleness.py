"""What a report says of its own judges: how often they are right, and whether one pixel changes their mind."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import SMALL_CONFIGS, stripes

from fairdraw import GAN, data
from fairdraw.data import Dataset
from fairdraw.judge.brittleness import accuracies, accuracy_of, classifier_attacks, discriminator_attack
from fairdraw.metrics.features import Classifies, PixelPCA
from fairdraw.metrics.number import wilson
from fairdraw.metrics.realness import realness

Command = Callable[..., Any]


class Toy(Classifies):
    """A classifier of two classes: `1` where `sees` says so of an image."""

    def __init__(self, sees: Callable[[np.ndarray], np.ndarray], classes: tuple[str, ...] = ("0", "1")) -> None:
        self.sees, self.named = sees, classes

    @property
    def name(self) -> str:
        return "toy"

    @property
    def sha256(self) -> str:
        return "0" * 64

    @property
    def classes(self) -> tuple[str, ...]:
        return self.named

    def of(self, images: np.ndarray) -> np.ndarray:
        return self.sees(images)[:, None].astype(float)

    def judged(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first = self.of(images)
        return first, np.concatenate([1 - first, first], axis=1)


def spot(images: np.ndarray) -> np.ndarray:
    """Whether any pixel is bright."""
    found: np.ndarray = images.max((1, 2, 3)) > 200
    return found


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Grey images of 8 px; every other one has a white half and the label 1."""
    path = tmp_path_factory.mktemp("data") / "halves.npz"
    images = np.random.default_rng(0).integers(0, 99, (400, 8, 8), np.uint8)
    images[1::2, :4] = 255
    np.savez(path, x=images, y=np.arange(400) % 2)
    return data.open(str(path))


def test_accuracy_is_the_share_that_is_right(dataset: Dataset) -> None:
    part = dataset.all
    half_right = Toy(lambda images: np.arange(len(images)) % 4 == 1)  # it knows every other one of the white ones
    found = accuracies([PixelPCA.fitted(dataset.train, 4), half_right], part, np.arange(400))
    number = found["toy"]
    assert list(found) == ["toy"]
    assert number is not None
    assert number.value == 0.75
    assert number.count == 400
    assert number.interval == wilson(0.75, 400)
    assert "images that are not named" in number.note
    assert accuracy_of("FD(toy)", found) == (True, number)
    assert accuracy_of("FD(toy), a to b", found) == (True, number)
    assert accuracy_of("FD(pixels-pca4)", found) == (False, None)


def test_labels_are_found_by_their_names(dataset: Dataset) -> None:
    swapped = Toy(lambda images: ~spot(images), ("1", "0"))
    number = accuracies([swapped], dataset.all, np.arange(400))["toy"]
    assert number is not None
    assert number.value == 1


def test_of_labels_that_a_classifier_does_not_know_nothing_is_said(dataset: Dataset) -> None:
    stranger = Toy(spot, ("cat", "dog"))
    found = accuracies([stranger], dataset.all, np.arange(400))
    assert accuracy_of("FD(toy)", found) == (True, None)
    probe = next(classifier_attacks([stranger], dataset.all, np.arange(400), 3, 0))
    assert probe.rows == ()
    assert "no labels that it knows" in probe.says


def test_what_one_pixel_can_turn_is_turned_and_what_it_cannot_is_not(dataset: Dataset) -> None:
    def bright_half(images: np.ndarray) -> np.ndarray:
        found: np.ndarray = images.mean((1, 2, 3)) > 80
        return found

    assert dataset.train.labels is not None
    dark, white = (np.flatnonzero(dataset.train.labels == label) for label in (0, 1))
    rates = {}
    for sees in (spot, bright_half):
        for name, places in {"dark": dark, "white": white}.items():
            ((rate, control),) = next(classifier_attacks([Toy(sees)], dataset.train, places, 6, 0)).rows
            assert rate.count == control.count == 6
            rates[sees.__name__, name] = rate.value
    # one bright pixel makes a dark image a spotted one; nothing else is a matter of one pixel
    assert rates == {("spot", "dark"): 1, ("spot", "white"): 0, ("bright_half", "dark"): 0, ("bright_half", "white"): 0}


def test_only_what_is_right_from_the_start_is_attacked(dataset: Dataset) -> None:
    wrong = Toy(lambda images: ~spot(images))
    probe = next(classifier_attacks([wrong], dataset.all, np.arange(400), 3, 0))
    assert probe.rows == ()
    assert "right about none" in probe.says


def test_a_discriminator_is_attacked_on_draws_that_it_does_not_believe() -> None:
    model = GAN(SMALL_CONFIGS["gan"], (1, 8, 8)).eval()
    images = stripes(60, 8)
    order = np.argsort(realness(model, images), kind="stable")
    probe = discriminator_attack(model, images[order[:2]], images[order[30:]], 2, seed=3)
    rate, control = probe.rows[0]
    assert rate.count == control.count == 2
    assert rate.on.startswith("draws of seed 3")
    assert [number.value > 0 for number in probe.rows[1]] == [True, True]
    believed = discriminator_attack(model, images[order[30:]], images[order[:2]], 2, seed=3)
    assert believed.rows == ()
    assert "nothing to attack" in believed.says


def test_report_says_it_beside_each_number_of_the_classifier(command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "made.npy", stripes(40, 8)[:, 0])
    words = ("--generated", tmp_path / "made.npy", "--data", "digits8", "--count", 40, "--one-pixel", 1)
    found = command("evaluate", *words, "--out", tmp_path / "a")
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    scores = [line for line in lines if line["event"] == "score"]
    for line in scores:
        assert ("classifier_accuracy" in line) == ("(digits)" in line["name"])
    accuracy = next(line for line in lines if line.get("name") == "accuracy of digits")
    assert 0.4 < accuracy["value"] < 0.9  # digits of 8 px are not what it was trained on
    kept = {key: accuracy[key] for key in ("value", "interval", "count", "on")}
    assert all(line["classifier_accuracy"] == kept for line in scores if "(digits)" in line["name"])
    shares = next(line for line in lines if line["event"] == "shares of classes")
    assert len(shares["shares"]) == 10
    assert sum(shares["shares"]) == pytest.approx(1)
    attacks = {line["of"]: line for line in lines if line.get("probe") == "One pixel against the classifier digits"}
    assert set(attacks) == {"the attack", "random search"}
    assert "One pixel against the classifier digits" in found.out
    for name in ("report.html", "card.md"):
        text = (tmp_path / "a" / name).read_text()
        low_high = "[" + ", ".join(f"{value:.4g}" for value in accuracy["interval"]) + "]"
        assert text.count(low_high) == sum(line["of"] == "judged" and "(digits)" in line["name"] for line in scores)
        assert "One pixel against the classifier digits" in text


def test_a_part_that_is_unlabelled_has_no_accuracy(dataset: Dataset) -> None:
    found = accuracies([Toy(spot)], replace(dataset, labels=None).all, np.arange(400))
    assert found == {"toy": None}
