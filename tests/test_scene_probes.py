"""Scenes are read where a report is about them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairdraw import data
from fairdraw.data import Dataset
from fairdraw.data.scenes import KINDS
from fairdraw.judge import evaluation
from fairdraw.judge.scenes import halves, scene_probes, unseen

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return data.open("scenes-counting")


def test_real_pictures_obey_the_rules_and_halves_do_not(dataset: Dataset) -> None:
    probe = next(scene_probes(dataset.all.images(np.arange(100)), "first pictures", dataset))
    assert probe.columns == ("judged", "real images", "halves of two real images")
    found = {row[0].name: [number.value for number in row] for row in probe.rows}
    assert found["impossible counts"][:2] == [0, 0]
    assert found["nothing but whole discs and blocks"][:2] == [1, 1]
    assert found["nothing but whole discs and blocks"][2] < 0.8
    counts = [values for name, values in found.items() if name.startswith("pictures of")]
    np.testing.assert_allclose(np.sum(counts, axis=0), 1)
    assert len({row[0].on for row in probe.rows}) == 1


@pytest.mark.parametrize(
    ("name", "images", "words"),
    [
        ("scenes", np.zeros((30, 3, 32, 32), np.uint8), "several kinds"),
        ("scenes-counting", np.zeros((30, 3, 16, 16), np.uint8), "from 32 px up"),
        ("scenes-counting", np.zeros((30, 1, 32, 32), np.uint8), "in colour"),
    ],
)
def test_what_cannot_be_read_is_named(dataset: Dataset, name: str, images: np.ndarray, words: str) -> None:
    known = replace(dataset, name=name, label_names=KINDS[name])
    probe = next(scene_probes(images, "draws", known))
    assert probe.rows == ()
    assert words in probe.says


def test_other_data_are_not_read(dataset: Dataset) -> None:
    images = dataset.all.images(np.arange(30))
    for other in (replace(dataset, name="photos"), replace(dataset, label_names=("holiday",))):
        assert list(scene_probes(images, "draws", other)) == []
    assert len(list(scene_probes(images, "draws", replace(dataset, name="photos"), dataset))) == 1


def test_halves_are_of_two_neighbours() -> None:
    real = unseen("figure", 3, 32)
    mixed = halves(real)
    np.testing.assert_array_equal(mixed[0, ..., :16], real[0, ..., :16])
    np.testing.assert_array_equal(mixed[0, ..., 16:], real[1, ..., 16:])
    np.testing.assert_array_equal(mixed[2, ..., 16:], real[0, ..., 16:])


def test_a_report_holds_them(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # They take ten times as long, and are another matter.
    monkeypatch.setattr(evaluation, "beside_references", lambda task, *_: (task(), {}))
    np.save(tmp_path / "made.npy", unseen("counting", 40, 32).transpose(0, 2, 3, 1))
    words = (
        "--generated",
        tmp_path / "made.npy",
        "--data",
        "scenes-counting",
        "--count",
        40,
        "--features",
        "pixels-pca64",
    )
    command("evaluate", *words, "--out", tmp_path / "a")
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    read = {(line["name"], line["of"]): line["value"] for line in lines if "probe" in line}
    assert read["nothing but whole discs and blocks", "judged"] == 1
    assert read["nothing but whole discs and blocks", "halves of two real images"] < 1
    assert "Scenes: counting" in (tmp_path / "a" / "report.html").read_text()
    assert "| nothing but whole discs and blocks, of images | 1.00 [" in (tmp_path / "a" / "card.md").read_text()
