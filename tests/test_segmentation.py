"""The segmenter of label maps: its scores in closed form, and that it learns which image shows what its map says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fairdraw import data
from fairdraw.data import Options
from fairdraw.metrics import segmentation
from fairdraw.metrics.segmentation import (
    class_accuracy,
    classes_of,
    intersection_over_union,
    palette_of,
    pixel_accuracy,
    trained_segmenter,
)

COLOURS = np.array([[0, 0, 255], [255, 255, 0], [255, 0, 0]], np.uint8)


def pairs(folder: Path, count: int = 120, size: int = 16) -> data.Dataset:
    """Label maps of rectangles, and images where each class has its own grey level with noise."""
    generator = np.random.default_rng(0)
    classes = np.zeros((count, size, size), np.int64)
    for image in classes:
        for number in (1, 2):
            top, left = generator.integers(0, size - 6, 2)
            image[top : top + 6, left : left + 6] = number
    levels = np.array([40, 120, 200])[classes] + generator.integers(-25, 26, classes.shape)
    np.savez(folder / "pairs.npz", images=levels.astype(np.uint8), labels=COLOURS[classes])
    source = str(folder / "pairs.npz")
    return data.open(f"{source}:images", Options(inputs=f"{source}:labels"))


def test_scores_in_closed_form() -> None:
    confusion = np.array([[[6, 2, 0], [1, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 2, 0], [0, 0, 0]]])
    assert pixel_accuracy(confusion) == pytest.approx(9 / 12)
    assert class_accuracy(confusion) == pytest.approx((6 / 8 + 3 / 4) / 2), "a class that does not occur does not count"
    assert intersection_over_union(confusion) == pytest.approx((6 / 9 + 3 / 6) / 2)


def test_label_maps_are_told_by_their_colours(tmp_path: Path) -> None:
    dataset = pairs(tmp_path)
    palette = palette_of(dataset.train)
    assert palette is not None
    assert sorted(map(tuple, palette)) == sorted(map(tuple, COLOURS))
    near = COLOURS[[2, 0]].astype(int) + np.array([[-9, 4, 3], [5, 5, -20]])
    labels = near.astype(np.uint8).T[None, :, :, None]
    assert (palette[classes_of(labels, palette)[0, :, 0]] == COLOURS[[2, 0]]).all()
    for inputs in ("edges", "low"):  # two colours, and many
        other = replace(dataset, inputs=data.open(dataset.name, Options(inputs=inputs)).inputs)
        assert palette_of(other.train) is None


def test_it_tells_images_that_show_their_maps_from_those_that_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "STEPS", 60)
    dataset = pairs(tmp_path)
    palette = palette_of(dataset.train)
    assert palette is not None
    segmenter = trained_segmenter(dataset.train, palette)
    where = np.arange(len(dataset.test))
    labels, images = dataset.test.inputs(where), dataset.test.images(where)
    right = segmenter.confusion(labels, images)
    assert right.sum((1, 2)).tolist() == [16 * 16] * len(images)
    wrong = segmenter.confusion(labels, np.roll(images, 1, axis=0))
    assert pixel_accuracy(right) > 0.95
    assert intersection_over_union(right) > 0.8
    assert intersection_over_union(wrong) < 0.6
    again = trained_segmenter(dataset.train, palette).confusion(labels, images)
    assert (again == right).all(), "the same seed gives the same segmenter"
