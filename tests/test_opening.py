"""The data and the model of an experiment, checked against one another."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import experiment, stripes

from fairdraw import DCGANConfig, InputError, ProgressiveConfig, WGANConfig
from fairdraw.data import Options
from fairdraw.models import model_of_config
from fairdraw.opening import affordable, open_experiment


def save(path: Path, labels: list[int] | None, count: int = 60) -> Path:
    arrays = {"images": stripes(count)[:, 0]}
    if labels is not None:
        arrays["labels"] = np.resize(np.array(labels), count)
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("labels", "words"),
    [(None, "no labels"), ([4], "one label only"), ([0, 1], "has 2 labels; give --classes 2")],
)
def test_classes_that_the_data_do_not_have_are_refused(tmp_path: Path, labels: list[int] | None, words: str) -> None:
    path = save(tmp_path / "stripes.npz", labels)
    with pytest.raises(InputError, match=words):
        open_experiment(
            experiment(DCGANConfig(latent=6, width=4, classes=3), path), model_of_config(DCGANConfig()), quiet=True
        )


def test_classes_of_the_data_are_taken(tmp_path: Path) -> None:
    path = save(tmp_path / "stripes.npz", [0, 1, 2])
    config = DCGANConfig(latent=6, width=4, classes=3)
    _, model = open_experiment(experiment(config, path), model_of_config(DCGANConfig()), quiet=True)
    assert model.classes == 3


def test_fewer_images_than_a_batch_are_named(tmp_path: Path) -> None:
    path = save(tmp_path / "three.npz", None, count=3)
    with pytest.raises(InputError, match=r"--batch 32 is larger .* \(of 3\); choose a smaller --batch"):
        open_experiment(experiment(DCGANConfig(latent=6, width=4), path), model_of_config(DCGANConfig()), quiet=True)


def test_of_large_images_there_are_fewer_in_memory() -> None:
    assert affordable(256, (1, 28, 28)) == 256
    assert affordable(256, (3, 256, 256)) == 85
    assert affordable(256, (3, 4096, 4096)) == 1


def test_a_condition_wants_training_images_of_two_labels(tmp_path: Path) -> None:
    path = save(tmp_path / "stripes.npz", [0, 1])
    left = replace(experiment(DCGANConfig(latent=6, width=4, classes=2), path), options=Options(leave_out=("1",)))
    with pytest.raises(InputError, match=r"--classes 2: all training images .* have one label; leave out fewer"):
        open_experiment(
            replace(left, training=replace(left.training, batch=8)), model_of_config(DCGANConfig()), quiet=True
        )


@pytest.mark.parametrize("config", [DCGANConfig(latent=6, width=4), WGANConfig(latent=6, width=4)])
def test_one_image_is_no_batch_to_normalise_by(tmp_path: Path, config: Any) -> None:
    tried = experiment(config, save(tmp_path / "stripes.npz", None))
    tried = replace(tried, training=replace(tried.training, batch=1))
    with pytest.raises(InputError, match="--batch 1 has no batch statistics"):
        open_experiment(tried, model_of_config(config), quiet=True)


def test_a_training_that_ends_before_the_last_stage_says_where_that_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ProgressiveConfig(latent=6, feature_base=32, feature_max=8, stable_images=300, fade_images=200)
    path = save(tmp_path / "stripes.npz", None)  # 16 px, two doublings
    for images, says in ((1_000, True), (1_001, False)):
        open_experiment(experiment(config, path, images=images), model_of_config(config), quiet=False)
        said = capsys.readouterr().err
        assert ("warning: the last stage of this model begins after 1,000 images" in said) == says
    open_experiment(experiment(config, path, images=10), model_of_config(config), quiet=True)
    other = DCGANConfig(latent=6, width=4)
    open_experiment(experiment(other, path, images=10), model_of_config(other), quiet=False)
    assert "warning" not in capsys.readouterr().err
