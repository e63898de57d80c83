"""The run folder: one experiment, one process, checkpoints that can be trusted, and models that describe themselves."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fairdraw.config import Experiment, Training
from fairdraw.errors import InputError
from fairdraw.models.dcgan import DCGAN, DCGANConfig
from fairdraw.models.vae import VAE, VAEConfig
from fairdraw.run import Run, experiment_from, record_of

EXPERIMENT = Experiment(VAEConfig(hidden=(8,), latent=2), "digits8", training=Training(images=100, batch=10))


def record(experiment: Experiment[VAEConfig] = EXPERIMENT, fingerprint: str = "abc") -> dict[str, Any]:
    return record_of(experiment, VAE, {"name": experiment.data, "fingerprint": fingerprint})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run")
    run.open_for_training(record())
    run.close()
    return run


# The folder and its config


def test_new_folder_holds_the_experiment(run: Run) -> None:
    assert run.experiment() == EXPERIMENT
    assert run.record() == record()
    assert sorted(p.name for p in run.folder.iterdir() if p.name != "lock") == [
        "checkpoints",
        "config.json",
        "pictures",
    ]


def test_same_experiment_opens_again_and_leaves_config_as_it_was(run: Run) -> None:
    before = (run.folder / "config.json").stat().st_mtime_ns
    again = Run(run.folder)
    again.open_for_training(record())
    again.close()
    assert (run.folder / "config.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (record(replace(EXPERIMENT, model=VAEConfig(hidden=(8,), latent=3))), "experiment.model.latent: 2 -> 3"),
        (record(replace(EXPERIMENT, training=Training(100, 20))), "experiment.training.batch: 10 -> 20"),
        (record(fingerprint="xyz"), "data.fingerprint: 'abc' -> 'xyz'"),
        (record_of(Experiment(DCGANConfig(), "digits8"), DCGAN, {}), "experiment.model.name: 'vae' -> 'dcgan'"),
    ],
)
def test_another_experiment_is_refused_with_the_difference(run: Run, other: dict[str, Any], difference: str) -> None:
    another = Run(run.folder)
    with pytest.raises(InputError) as caught:
        another.open_for_training(other)
    message = str(caught.value)
    assert difference in message
    assert str(run.folder) in message
    assert "--out" in message
    assert "\n" not in message
    assert run.record() == record()
    # The refused one holds no lock.
    third = Run(run.folder)
    third.open_for_training(record())
    third.close()


def test_files_of_a_training_without_config_are_not_taken_over(run: Run) -> None:
    (run.folder / "config.json").unlink()
    run.log({"event": "progress", "images": 10})
    with pytest.raises(InputError, match=r"no config\.json"):
        Run(run.folder).open_for_training(record())


def test_folder_without_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a run folder: cannot read config\.json") as caught:
        Run(tmp_path).record()
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 1', "is damaged"),
        ("", "is damaged"),
        ("\0\0\0\0", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ("[]", "is not of format 1"),
        ('{"format": 2, "experiment": {}, "data": {}}', "is not of format 1: use the fairdraw version that wrote it"),
        ('{"format": 1}', "is damaged: it has no experiment"),
        ('{"format": 1, "experiment": {}}', "is damaged: it has no data"),
    ],
)
def test_damaged_config_is_named(run: Run, content: str, message: str) -> None:
    (run.folder / "config.json").write_text(content)
    for action in (run.record, lambda: Run(run.folder).open_for_training(record())):
        with pytest.raises(InputError) as caught:
            action()
        assert message in str(caught.value)
        assert str(run.folder / "config.json") in str(caught.value)
        assert "\n" not in str(caught.value)


def mutations(value: Any) -> list[Any]:
    """The same JSON value with one thing in it taken out, renamed or replaced."""
    if not isinstance(value, dict):
        return [None, [value], {"x": 1}, 1.5, "zzz"]
    found = []
    for key in value:
        rest = {k: v for k, v in value.items() if k != key}
        found += [rest, {**rest, f"{key}x": value[key]}, *({**rest, key: m} for m in mutations(value[key]))]
    return found


def test_experiment_with_one_thing_wrong_is_refused_or_another_valid_one() -> None:
    complaints, accepted = [], []
    for variant in mutations(record()["experiment"]):
        try:
            accepted.append((variant, experiment_from({"experiment": variant})))
        except InputError as error:
            complaints.append(str(error))
    # Such as None for log_every, or another name of data.
    assert all(record_of(found, VAE, {})["experiment"] == variant for variant, found in accepted)
    assert 0 < len(accepted) < 0.1 * len(complaints)
    assert not any("\n" in complaint for complaint in complaints)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def mkdir(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(InputError, match=f"{os.strerror(number)}; choose a writable one with --out") as caught:
        Run(tmp_path / "run").open_for_training(record())
    assert str(tmp_path / "run") in str(caught.value)


def test_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="cannot make the run folder"):
        Run(tmp_path / "run").open_for_training(record())
    assert (tmp_path / "run").read_text() == ""


def test_leftovers_of_a_crash_are_removed(run: Run) -> None:
    leftovers = [run.folder / ".config.json.99.partial", run.pictures / ".a.png.99.partial"]
    for path in leftovers:
        path.write_text("half")
    again = Run(run.folder)
    again.open_for_training(record())
    again.close()
    assert not any(path.exists() for path in leftovers)


# The lock

HOLDER = """
import sys, time, json
from fairdraw.run import Run
run = Run(sys.argv[1])
run.open_for_training(json.loads(sys.argv[2]))
print("locked", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_second_process_is_refused_and_a_killed_one_holds_nothing(run: Run) -> None:
    command = [sys.executable, "-c", HOLDER, str(run.folder), json.dumps(record())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            with pytest.raises(InputError, match=f"is in use by process {holder.pid} on ") as caught:
                Run(run.folder).open_for_training(record())
            assert str(run.folder) in str(caught.value)
        finally:
            holder.send_signal(signal.SIGKILL)
    again = Run(run.folder)
    again.open_for_training(record())
    assert (run.folder / "lock").read_text().startswith(f"process {os.getpid()} on ")
    again.close()


def test_second_run_in_the_same_process_is_refused_until_the_first_is_closed(run: Run) -> None:
    first, second = Run(run.folder), Run(run.folder)
    first.open_for_training(record())
    with pytest.raises(InputError, match=f"is in use by process {os.getpid()}"):
        second.open_for_training(record())
    first.close()
    second.open_for_training(record())
    second.close()


# Checkpoints


def checkpoint(run: Run, images: int) -> Path:
    run.save_checkpoint(images, {"w": torch.full((3,), float(images), dtype=torch.float64)}, {"rollbacks": 0})
    return run.checkpoints()[-1]


def test_last_two_checkpoints_are_kept(run: Run) -> None:
    assert run.load_checkpoint() is None
    for images in (0, 9, 10, 100, 2_000_000_000_000):
        checkpoint(run, images)
    assert [path.name for path in run.checkpoints()] == ["000000000100.safetensors", "2000000000000.safetensors"]
    found = run.load_checkpoint()
    assert found is not None
    tensors, metadata, complaints = found
    assert tensors["w"].tolist() == [2e12] * 3
    assert metadata["images"] == 2_000_000_000_000
    assert complaints == []


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("damage", [cut, flip, lambda content: b""], ids=["half-written", "flipped", "empty"])
def test_damaged_checkpoint_is_passed_over_and_named(run: Run, damage: Any) -> None:
    checkpoint(run, 10)
    newest = checkpoint(run, 20)
    newest.write_bytes(damage(newest.read_bytes()))
    found = run.load_checkpoint()
    assert found is not None
    assert found[1]["images"] == 10
    assert found[0]["w"].tolist() == [10.0] * 3
    (complaint,) = found[2]
    assert str(newest) in complaint
    assert "is damaged" in complaint


def test_no_whole_checkpoint_is_an_error_that_names_them_all(run: Run) -> None:
    for images in (10, 20):
        path = checkpoint(run, images)
        path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(InputError, match="no checkpoint can be read") as caught:
        run.load_checkpoint()
    assert all(str(path) in str(caught.value) for path in run.checkpoints())
    assert "\n" not in str(caught.value)


def test_partial_and_foreign_files_are_no_checkpoints(run: Run) -> None:
    path = checkpoint(run, 10)
    for name in (".000000000020.safetensors.7.partial", "notes.txt", "best.safetensors"):
        (path.parent / name).write_bytes(b"x")
    assert run.checkpoints() == [path]
