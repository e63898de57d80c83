"""A model file describes itself, and one that does not fit its description is refused before anything is allocated."""

import pickle
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from fairdraw.config import Experiment, to_json
from fairdraw.errors import InputError
from fairdraw.files import load_tensors, save_tensors
from fairdraw.models.dcgan import DCGAN, DCGANConfig
from fairdraw.models.vae import VAE, VAEConfig
from fairdraw.run import Run, load, load_with_facts, record_of, save_model

SHAPE = (1, 4, 4)
EXPERIMENT = Experiment(VAEConfig(hidden=(8,), latent=2), "digits8")


def saved(folder: Path, **changes: Any) -> Path:
    """A model file, with `changes` to its metadata."""
    path = folder / "model.safetensors"
    save_model(path, VAE(EXPERIMENT.model, SHAPE), {"images": 100})
    if changes:
        tensors, facts = load_tensors(path)
        facts.pop("sha256")
        save_tensors(path, tensors, {k: v for k, v in {**facts, **changes}.items() if v is not None})
    return path


def test_model_comes_back_from_its_file_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = VAE(EXPERIMENT.model, SHAPE)
    (tmp_path / "elsewhere").mkdir()
    digest = save_model(tmp_path / "model.safetensors", model, {"images": 100})
    shutil.move(tmp_path / "model.safetensors", tmp_path / "elsewhere" / "any name")
    found, facts = load_with_facts(tmp_path / "elsewhere" / "any name")
    assert isinstance(found, VAE)
    assert not any(module.training for module in found.modules())
    assert (found.config, found.shape) == (model.config, model.shape)
    assert (facts["images"], facts["sha256"], facts["model"]) == (100, digest, "vae")
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)
    assert torch.equal(found.sample(3, seed=1), model.eval().sample(3, seed=1))


def test_run_folder_and_file_give_the_same_model(tmp_path: Path) -> None:
    path = saved(tmp_path)
    for where in (tmp_path, path, str(path)):
        assert torch.equal(load(where).sample(2), load(path).sample(2))


def test_buffers_and_double_precision_come_back(tmp_path: Path) -> None:
    model = DCGAN(DCGANConfig(latent=4, width=4), (1, 8, 8)).double()
    model.generator(torch.randn(16, 4).double())  # moves the running statistics
    save_model(tmp_path / "model.safetensors", model, {})
    found = load(tmp_path)
    assert found.dtype == torch.float64
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in model.state_dict().items())


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run")
    run.open_for_training(record_of(EXPERIMENT, VAE, {}))
    run.close()
    return run


def test_missing_models_are_told_apart(tmp_path: Path, run: Run) -> None:
    assert "does not exist: give a run folder or a model.safetensors file" in refusal(tmp_path / "none")
    assert "holds no model.safetensors: finish the training first" in refusal(run.folder)
    (tmp_path / "empty").mkdir()
    assert "holds no model.safetensors: give a run folder" in refusal(tmp_path / "empty")


def test_checkpoint_is_no_model(run: Run) -> None:
    run.save_checkpoint(10, {"w": torch.zeros(3)}, {"rollbacks": 0})
    assert "is no model file" in refusal(run.checkpoints()[0])


def test_pickled_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save(VAE(EXPERIMENT.model, SHAPE).state_dict(), path)
    assert "is damaged" in refusal(path)
    path.write_bytes(pickle.dumps({"w": 1}))
    assert "is damaged" in refusal(path)


CONFIG = to_json(EXPERIMENT.model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "stylegan"}, "is no model file of this version of fairdraw (model: 'stylegan')"),
        ({"model": ["vae"]}, "is no model file"),
        ({"model": None}, "is no model file"),
        ({"model": "dcgan"}, "config: unknown key"),
        ({"config": None}, "config: expected an object"),
        ({"config": {**CONFIG, "zzz": 1}}, "config: unknown key 'zzz'"),
        ({"config": {**CONFIG, "latent": "2"}}, "config.latent: '2' is not int"),
        ({"config": {**CONFIG, "hidden": [9]}}, "does not fit its own config"),
        ({"config": {**CONFIG, "hidden": [8, 8]}}, "does not fit its own config"),
        ({"config": {**CONFIG, "hidden": [-1]}}, "config: hidden is (-1,): give at least 1"),
        (
            {"config": {**CONFIG, "architecture": "conv"}, "shape": [1, 3, 3]},
            "the convolutional vae cannot make images of 3 px",
        ),
        ({"shape": None}, "is not [channels, height, width]"),
        ({"shape": [1, 4]}, "is not [channels, height, width]"),
        ({"shape": [1, 4, "4"]}, "is not [channels, height, width]"),
        ({"shape": [1, 0, 4]}, "is not [channels, height, width]"),
        ({"shape": [1, 4, 5]}, "does not fit its own config"),
    ],
)
def test_model_that_does_not_fit_its_description_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = saved(tmp_path, **changes)
    assert message in refusal(path).replace(str(path), "")


def test_tensors_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    tensors, facts = load_tensors(path)
    for wrong in (
        {name: tensor.long() for name, tensor in tensors.items()},
        dict(list(tensors.items())[1:]),
        {**tensors, "extra": torch.zeros(1)},
    ):
        save_tensors(path, wrong, {k: v for k, v in facts.items() if k != "sha256"})
        assert "does not fit its own config" in refusal(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {**CONFIG, "hidden": [20_000_000]}},  # 1.3 GB, were it made
        {"config": {**CONFIG, "hidden": [10**12]}},
        {"config": {**CONFIG, "hidden": [2**62]}},
        {"config": {**CONFIG, "latent": 10**30}},
        {"config": {**CONFIG, "architecture": "conv", "width": 10**15}, "shape": [1, 8, 8]},
        {"shape": [1, 2**20, 2**20]},
        {"shape": [1, 2**62, 2**62]},
        {"config": {**CONFIG, "architecture": "conv"}, "shape": [1, 2**60, 2**60]},
    ],
)
def test_huge_sizes_are_refused_before_any_memory_is_taken(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = saved(tmp_path, **changes)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    refusal(path)
    assert time.perf_counter() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    path = saved(tmp_path)
    tensors, facts = load_tensors(path)
    facts.pop("sha256")
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[0] = value
    save_tensors(path, tensors, facts)
    with pytest.raises(InputError, match=f"NaN or infinite .{name}"):
        load(path)
