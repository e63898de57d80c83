"""The loop: it learns, it resumes bit for bit after any death, it stops on signals, it never carries on with a NaN."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import SMALL_CONFIGS, command_of, experiment, same, save_stripes

from fairdraw import DivergedError, InputError, Run, VAEConfig, load, loop, train
from fairdraw.files import load_tensors
from fairdraw.loop import Interrupted
from fairdraw.model import Update
from fairdraw.models.vae import VAE
from fairdraw.optimizers import Adam
from fairdraw.trainer import Trainer


def final_state(folder: Path) -> dict[str, torch.Tensor]:
    """Weights, averages, optimizers and sums at the end."""
    return load_tensors(Run(folder).checkpoints()[-1])[0]


def log_without_time(folder: Path) -> list[dict[str, Any]]:
    timing = ("time", "images_per_second", "waiting")
    entries = [entry for entry in Run(folder).read_log() if entry.get("name") != "waiting for data"]
    return [{k: v for k, v in entry.items() if k not in timing} for entry in entries]


@pytest.fixture
def stripes_file(tmp_path: Path) -> Path:
    return save_stripes(tmp_path)


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Kill the loop in the middle, as a crash would: no checkpoint, no clean-up."""

    def arrange(images: int) -> None:
        step = Trainer.step

        def dying(self: Trainer, batch: Any, measure: bool = False) -> None:
            if self.images >= images:
                raise KeyboardInterrupt
            step(self, batch, measure)

        monkeypatch.setattr(Trainer, "step", dying)

    yield arrange
    monkeypatch.undo()


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Path]]:
    """What trains a model, and the run that nothing interrupted; each is trained once."""
    folder = tmp_path_factory.mktemp("through")
    stripes = save_stripes(folder)

    @cache
    def trained(name: str) -> tuple[Any, Path]:
        what = experiment(SMALL_CONFIGS[name], stripes, schedule="linear")
        train(what, folder / name, quiet=True)
        return what, folder / name

    return trained


# At 96 images there is no checkpoint yet: whatever the model, it starts again.
@pytest.mark.parametrize(("name", "killed_at"), [("vae", 96), *product(SMALL_CONFIGS, (512, 992))])
def test_resumed_equals_uninterrupted(
    name: str,
    killed_at: int,
    through: Callable[[str], tuple[Any, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: Any,
) -> None:
    what, uninterrupted = through(name)
    stop_after(killed_at)
    with pytest.raises(KeyboardInterrupt):
        train(what, tmp_path / "killed", quiet=True)
    monkeypatch.undo()
    train(what, tmp_path / "killed", quiet=True)
    assert same(final_state(uninterrupted), final_state(tmp_path / "killed"))
    assert log_without_time(uninterrupted) == log_without_time(tmp_path / "killed")
    # The file differs in nothing either: the same weights have the same fingerprint.
    files = [(run / "model.safetensors").read_bytes() for run in (uninterrupted, tmp_path / "killed")]
    assert files[0] == files[1]


# Two players, with layers that draw from torch's generator; what else a model may bring to a checkpoint,
# `test_resumed_equals_uninterrupted` has for each.
@pytest.mark.slow
def test_killed_at_random_moments_equals_uninterrupted(stripes_file: Path, tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["gan"], stripes_file, images=16_000, checkpoint_every=500, picture_every=4_000)
    train(what, tmp_path / "through", quiet=True)
    command = [sys.executable, "-m", "fairdraw", *command_of(what, tmp_path / "killed")]
    rng = np.random.default_rng(0)
    deaths = 0
    for _ in range(30):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for_checkpoint(tmp_path / "killed", process)
        time.sleep(float(rng.uniform(0, 0.4)))
        if process.poll() is None and deaths < 3:
            process.kill()
            deaths += 1
        _, said = process.communicate()
        assert "Traceback" not in said
        if process.returncode == 0:
            break
    assert process.returncode == 0, said
    assert deaths >= 2, "the training was too short to be killed"
    assert same(final_state(tmp_path / "through"), final_state(tmp_path / "killed"))
    assert log_without_time(tmp_path / "through") == log_without_time(tmp_path / "killed")


def wait_for_checkpoint(folder: Path, process: "subprocess.Popen[str]") -> None:
    """Return once the process has resumed, or has ended."""
    log = folder / "log.jsonl"
    before = log.stat().st_size if log.exists() else 0
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.stat().st_size > before:
            return
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"])
def test_a_signal_saves_a_checkpoint_and_the_same_command_resumes(
    number: signal.Signals, code: int, stripes_file: Path, tmp_path: Path
) -> None:
    what = experiment(SMALL_CONFIGS["vae"], stripes_file, images=400_000, checkpoint_every=400_000)
    command = [sys.executable, "-m", "fairdraw", *command_of(what, tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_checkpoint(tmp_path / "run", process)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert "the same command resumes" in said
    assert "Traceback" not in said
    newest = Run(tmp_path / "run").checkpoints()[-1]
    assert 0 < int(newest.stem) < 400_000


def test_a_signal_in_process_stops_at_a_step_boundary(
    stripes_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = experiment(SMALL_CONFIGS["dcgan"], stripes_file)
    step = Trainer.step

    def signalled(self: Trainer, batch: Any, measure: bool = False) -> None:
        step(self, batch, measure)
        if self.images == 160:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "step", signalled)
    with pytest.raises(Interrupted, match="160 images") as stop:
        train(what, tmp_path / "run", quiet=True)
    assert stop.value.number == signal.SIGTERM
    assert Run(tmp_path / "run").checkpoints()[-1].stem == f"{160:012d}"
    monkeypatch.undo()
    train(what, tmp_path / "run", quiet=True)
    train(what, tmp_path / "through", quiet=True)
    assert same(final_state(tmp_path / "through"), final_state(tmp_path / "run"))
    assert log_without_time(tmp_path / "through") == log_without_time(tmp_path / "run")


def diverging(monkeypatch: pytest.MonkeyPatch, at: int, times: int) -> list[int]:
    """Make the VAE's loss NaN at the step after `at` images, the first `times` times that it comes there."""
    left = [times]
    updates = VAE.updates

    def broken(self: VAE, batch: Any, clock: Any) -> Iterator[Update]:
        for update in updates(self, batch, clock):
            if clock.images == at and left[0] > 0:
                left[0] -= 1
                yield Update(update.player, update.loss * float("nan"))
            else:
                yield update

    monkeypatch.setattr(VAE, "updates", broken)
    return left


def test_a_nan_rolls_back_once_at_a_lower_rate(
    stripes_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging(monkeypatch, at=544, times=1)
    run = train(experiment(SMALL_CONFIGS["vae"], stripes_file), tmp_path / "run")
    said = capsys.readouterr().err
    assert "rolled back to 512 images" in said
    factors = [e["learning_rate_factor"] for e in run.read_log() if e["event"] == "progress"]
    assert factors == [1.0] * 4 + [0.5] * 4
    assert all(bool(torch.isfinite(p).all()) for p in load(run.folder).parameters())


def test_a_second_nan_stops_in_plain_language_with_the_last_good_checkpoint(
    stripes_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging(monkeypatch, at=544, times=2)
    with pytest.raises(DivergedError, match=r"diverged again by 640 images .*lower --learning-rate"):
        train(experiment(SMALL_CONFIGS["vae"], stripes_file), tmp_path / "run", quiet=True)
    tensors, metadata = load_tensors(Run(tmp_path / "run").checkpoints()[-1])
    assert metadata["images"] == 512
    assert all(bool(torch.isfinite(t).all()) for t in tensors.values())


def test_infinite_weights_are_never_saved(stripes_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Trainer.step

    def poisoned(self: Trainer, batch: Any, measure: bool = False) -> None:
        step(self, batch, measure)
        if self.images == 1024:  # the very last step: no later loss can tell
            next(self.model.parameters()).data[0] = float("inf")

    monkeypatch.setattr(Trainer, "step", poisoned)
    with pytest.raises(DivergedError):
        train(experiment(SMALL_CONFIGS["vae"], stripes_file), tmp_path / "run", quiet=True)
    saved = [*Run(tmp_path / "run").checkpoints(), tmp_path / "run" / "model.safetensors"]
    assert len(saved) == 3
    assert all(bool(torch.isfinite(t).all()) for path in saved for t in load_tensors(path)[0].values())


def test_checkpoints_between_lines_of_the_log_are_checked_too(
    stripes_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging(monkeypatch, at=544, times=1)
    what = experiment(SMALL_CONFIGS["vae"], stripes_file, log_every=1024, picture_every=1024, checkpoint_every=64)
    run = train(what, tmp_path / "run", quiet=True)
    assert Run(run.folder).load_checkpoint()[1]["rollbacks"] == 1  # type: ignore[index]
    assert all(bool(torch.isfinite(t).all()) for t in final_state(run.folder).values())


def test_a_run_that_was_stopped_has_a_model_to_look_at(stripes_file: Path, tmp_path: Path, stop_after: Any) -> None:
    stop_after(600)
    with pytest.raises(KeyboardInterrupt):
        train(experiment(SMALL_CONFIGS["dcgan"], stripes_file), tmp_path / "run", quiet=True)
    assert load(tmp_path / "run").sample(2).shape == (2, 1, 16, 16)


def test_a_refused_second_process_leaves_the_firsts_half_written_file_alone(stripes_file: Path, tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["vae"], stripes_file)
    run = Run(tmp_path / "run")
    run.open_for_training({"format": 1})
    writing = tmp_path / "run" / ".model.safetensors.1.partial"
    writing.write_bytes(b"half")
    try:
        with pytest.raises(InputError, match="in use"):
            train(what, tmp_path / "run", quiet=True)
        assert writing.exists()
    finally:
        run.close()


def test_the_same_data_by_another_name_are_the_same_experiment(
    stripes_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(experiment(SMALL_CONFIGS["vae"], stripes_file), tmp_path / "run", quiet=True)
    monkeypatch.chdir(tmp_path)
    train(experiment(SMALL_CONFIGS["vae"], stripes_file.name), tmp_path / "run", quiet=True)


def test_a_finished_run_stays_as_it_is(stripes_file: Path, tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["vae"], stripes_file)
    run = train(what, tmp_path / "run", quiet=True)
    before = run.model_file.read_bytes()
    train(what, tmp_path / "run", quiet=True)
    assert run.model_file.read_bytes() == before
    assert run.experiment() == what


def test_changed_data_are_another_experiment(stripes_file: Path, tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["vae"], stripes_file)
    train(what, tmp_path / "run", quiet=True)
    images = np.load(stripes_file)
    images[0] = 255 - images[0]
    np.save(stripes_file, images)
    with pytest.raises(InputError, match=r"data\.fingerprint"):
        train(what, tmp_path / "run", quiet=True)


def test_a_batch_larger_than_the_set_is_refused(stripes_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--batch 1000 is larger than the training set.*smaller --batch"):
        train(experiment(SMALL_CONFIGS["vae"], stripes_file, batch=1000), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_rectangles_are_refused_with_the_remedy(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).integers(0, 255, (64, 8, 12), dtype=np.uint8))
    with pytest.raises(InputError, match=r"12x8 px.*--size"):
        train(experiment(SMALL_CONFIGS["vae"], tmp_path / "wide.npy", batch=8), tmp_path / "run", quiet=True)


def test_damaged_newest_checkpoint_falls_back_to_the_one_before(
    stripes_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    what = experiment(SMALL_CONFIGS["dcgan"], stripes_file)
    run = train(what, tmp_path / "run", quiet=True)
    before = final_state(run.folder)
    newest = run.checkpoints()[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    train(what, tmp_path / "run", quiet=True)
    assert "is damaged" in capsys.readouterr().err
    assert same(before, final_state(run.folder))


def test_pictures_and_log_tell_what_happened(stripes_file: Path, tmp_path: Path) -> None:
    run = train(experiment(SMALL_CONFIGS["vae"], stripes_file), tmp_path / "run", quiet=True)
    names = sorted(path.name for path in run.pictures.iterdir())
    assert names == [
        "reconstructions-000000000512.png",
        "reconstructions-000000001024.png",
        "samples-000000000512.png",
        "samples-000000001024.png",
        "training-images.png",
    ]
    entries = run.read_log()
    assert [e["images"] for e in entries if e["event"] == "progress"] == list(range(128, 1025, 128))
    assert [e["images"] for e in entries if e["event"] == "validation"] == [512, 1024]
    assert all(e["gradient_norm"]["vae"] > 0 for e in entries if e["event"] == "progress")
    assert json.loads((run.folder / "config.json").read_text())["experiment"]["model"]["name"] == "vae"


def test_it_learns_to_beat_the_trivial_answer(stripes_file: Path, tmp_path: Path) -> None:
    """The bar's height needs a latent: no per-pixel coin can know it."""
    from fairdraw import data
    from fairdraw.metrics.likelihood import held_out_bound

    what = experiment(
        VAEConfig(hidden=(64,), latent=2, optimizer=Adam(3e-3)), stripes_file, images=20_000, schedule="linear"
    )
    run = train(what, tmp_path / "run", quiet=True)
    dataset = data.open(str(stripes_file))
    number = held_out_bound(load(run.folder), dataset.train, dataset.test)
    baseline = dict(number.baselines)["independent Bernoulli"]
    assert number.value < 0.75 * baseline


def test_another_process_is_kept_out_while_one_trains(stripes_file: Path, tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["vae"], stripes_file)
    run = Run(tmp_path / "run")
    run.open_for_training({"format": 1})
    try:
        with pytest.raises(InputError, match="in use"):
            train(what, tmp_path / "run", quiet=True)
    finally:
        run.close()


def test_steps_are_due_at_multiples_and_at_the_end() -> None:
    due = [n for n in range(0, 100, 10) if loop._due(n, n + 10, 95, 25)]
    assert due == [20, 40, 70, 90]
