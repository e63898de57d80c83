"""Translations without pairs: whether they are taken for the other set, and for what they were made of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import stripes

from fairdraw import data
from fairdraw.errors import InputError
from fairdraw.judge.protocol import Protocol
from fairdraw.judge.translation import TranslationJudge
from fairdraw.metrics.domains import DomainClassifier, found_again


def normal(count: int, middle: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(middle, 1, (count, 4))


def test_domains_that_are_apart_are_told_apart() -> None:
    classifier = DomainClassifier.fitted(normal(200, 0, 0), normal(40, 6, 1))
    assert not classifier.takes_for_b(normal(100, 0, 2)).any()
    assert classifier.takes_for_b(normal(100, 6, 3)).all()


def test_of_domains_that_are_one_the_larger_is_not_preferred() -> None:
    classifier = DomainClassifier.fitted(normal(2_000, 0, 0), normal(200, 0, 1))
    assert 0.3 < classifier.takes_for_b(normal(500, 0, 2)).mean() < 0.7


def test_an_input_is_found_again_where_all_are_moved_alike() -> None:
    inputs = normal(50, 0, 0)
    assert found_again(inputs, inputs + 7).all()
    assert not found_again(inputs, np.roll(inputs, 1, axis=0)).any()
    assert found_again(inputs, np.full_like(inputs, 3)).sum() == 1, "chance"


def test_features_that_tell_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        DomainClassifier.fitted(np.full((3, 2), np.nan), np.ones((3, 2)))
    with pytest.raises(InputError, match="take both from one network"):
        found_again(np.ones((3, 2)), np.ones((3, 1)))


def test_a_translator_between_two_sets_is_judged_by_both(tmp_path: Path, command: Callable[..., Any]) -> None:
    for name, images in (("b", stripes(400)), ("a", 255 - stripes(390, seed=1) // 2)):
        np.save(tmp_path / f"{name}.npy", images[:, 0])
    small = ["--width", 4, "--blocks", 1, "--discriminator-width", 4, "--patch", 16, "--batch", 8, "--images", 16]
    sets = ["--data", tmp_path / "b.npy", "--inputs", tmp_path / "a.npy"]
    assert command("train", "cyclegan", *sets, *small, "--out", tmp_path / "run").code == 0
    done = command("evaluate", tmp_path / "run")
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "evaluation" / "metrics.jsonl").read_text().splitlines()]
    found = {(line["of"], line["name"]): line for line in lines if line["event"] == "score"}
    for direction in ("a-to-b", "b-to-a"):
        taken, again = (f"{kind}(pixels-pca64), {direction}" for kind in ("taken for the target", "found again"))
        assert found["judged", taken]["count"] == found["judged", again]["count"]
        assert found["the input itself", taken]["value"] < 0.1
        assert found["other real images", taken]["value"] > 0.9
        assert found["the input itself", again]["value"] == 1
        assert ("other real images", again) not in found


def test_the_classifier_is_asked_of_no_image_that_it_was_fitted_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, images in (("b", stripes(400)), ("a", 255 - stripes(390, seed=1) // 2)):
        np.save(tmp_path / f"{name}.npy", images[:, 0])
    dataset = data.open(tmp_path / "b.npy", data.Options(inputs=str(tmp_path / "a.npy")))
    judge = TranslationJudge(dataset, dataset, ["pixels-pca64"], Protocol(1_000), ("a-to-b", "b-to-a"))
    fitted, asked = [], []
    fit, takes = DomainClassifier.fitted.__func__, DomainClassifier.takes_for_b  # type: ignore[attr-defined]

    def fitting(cls: type[DomainClassifier], a: np.ndarray, b: np.ndarray) -> DomainClassifier:
        fitted.extend([*a, *b])
        return fit(cls, a, b)

    def asking(self: DomainClassifier, features: np.ndarray) -> np.ndarray:
        asked.extend(features)
        return takes(self, features)

    monkeypatch.setattr(DomainClassifier, "fitted", classmethod(fitting))
    monkeypatch.setattr(DomainClassifier, "takes_for_b", asking)
    judge.references()
    assert len(fitted) == dataset.train.count_of("a") + dataset.train.count_of("b"), "once, for both directions"
    assert len(asked) > 100
    known = {row.tobytes() for row in fitted}
    assert not any(row.tobytes() in known for row in asked)
