"""Networks as judges: by name or as they are, told from one another, and what cannot judge."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from fairdraw import data
from fairdraw.data import Dataset
from fairdraw.errors import InputError
from fairdraw.judge import references as references_module
from fairdraw.judge.evaluation import evaluate_images, judge_for
from fairdraw.judge.protocol import Protocol
from fairdraw.judge.references import references
from fairdraw.judge.report import metric_lines
from fairdraw.judge.trivial import TRIVIAL
from fairdraw.metrics.modules import ModuleFeatures
from fairdraw.metrics.networks import NAMES

COUNT = 100
NOISE = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return data.open("digits8")


def flat(name: str, *layers: nn.Module) -> ModuleFeatures:
    return ModuleFeatures(nn.Sequential(nn.AvgPool2d(4), *layers, nn.Flatten()), name)


def test_a_module_judges_beside_a_network_that_is_named(dataset: Dataset) -> None:
    judge = judge_for(dataset, dataset, [flat("nine"), "pixels-pca64"], Protocol(COUNT))[0]
    names = [score.name for score in judge.judge(NOISE).scores]
    assert "FD(nine)" in names
    assert "FD(pixels-pca64)" in names


def test_a_whole_evaluation_by_a_module_says_by_what_it_was_made(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path))
    monkeypatch.setattr(references_module, "TRIVIAL", {"mean image": TRIVIAL["mean image"]})
    np.save(tmp_path / "made.npy", NOISE[:, 0])
    features = flat("nine")
    found = evaluate_images(data.open(str(tmp_path / "made.npy")).all, dataset, [features], Protocol(100))
    assert found.about["features"] == [{"name": "nine", "sha256": features.sha256, "resize": "none"}]
    lines = metric_lines(found)
    assert {line["of"] for line in lines if line.get("name") == "FD(nine)"} >= {"judged", "mean image"}


def test_references_by_one_module_are_not_taken_for_those_by_another(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path))
    monkeypatch.setattr(references_module, "TRIVIAL", {"mean image": TRIVIAL["mean image"]})

    def distance(*layers: nn.Module) -> float:
        judge = judge_for(dataset, dataset, [flat("nine", *layers)], Protocol(COUNT))[0]
        return next(score.value for score in references(judge, 50)["mean image"] if score.kind == "FD")

    assert distance() == distance()
    assert distance(nn.Tanh()) != distance()


def test_features_that_cannot_be_told_apart_or_tell_nothing_are_refused(dataset: Dataset) -> None:
    def refused(*features: Any) -> str:
        with pytest.raises(InputError) as error:
            judge_for(dataset, dataset, features, Protocol(COUNT))[0].judge(NOISE)
        return str(error.value)

    assert refused(flat("nine"), flat("nine", nn.Tanh())).startswith("two kinds of features are called nine")
    assert refused("pixels-pca64", "pixels-pca64").startswith("two kinds of features are called pixels-pca64")
    assert refused(nn.Flatten()).startswith("Flatten are no features: give a name, or ModuleFeatures(module, name)")
    assert refused().startswith("there are no features to judge by")
    assert refused("pixels") == "no features 'pixels' (did you mean pixels-pca64?); there are " + ", ".join(NAMES)
    assert refused(flat("dead", nn.Threshold(9, 0))) == ("dead are the same for all 100 real images: they tell nothing")
