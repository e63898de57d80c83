"""The loop around the step: data, model, run folder, resume, train, log, look, save. There is only this one."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

import fairdraw
from fairdraw import parallel
from fairdraw.config import Experiment, Runtime, to_json
from fairdraw.data import Dataset, Split
from fairdraw.doctor import new_findings
from fairdraw.errors import DivergedError, InputError
from fairdraw.launcher import launcher_rank, threads_of_environment
from fairdraw.looking import finished, look, look_at_data
from fairdraw.model import Model
from fairdraw.models import model_of_config
from fairdraw.opening import open_experiment
from fairdraw.order import positions
from fairdraw.progress import Display
from fairdraw.run import Run, record_of, save_model
from fairdraw.trainer import Trainer

RATE_AFTER_ROLLBACK = 0.5
STEPS_BETWEEN_STOP_CHECKS = 8


class Interrupted(Exception):
    """Training stopped on a signal after it had saved a checkpoint; the same call resumes it."""

    def __init__(self, number: int, images: int) -> None:
        super().__init__(f"stopped after {images:,} images; the same command resumes there")
        self.number = number


def train(experiment: Experiment[Any], out: str | Path, runtime: Runtime | None = None, *, quiet: bool = False) -> Run:
    """Train a model into the run folder `out`, or resume there; returns the run.

    Resuming is exact: after a kill at any moment the same call ends with the same weights, bit for bit.

    Raises:
        InputError: for bad data, options or folders.
        DivergedError: when a loss or weight became NaN or infinite again after one roll-back.
        Interrupted: on SIGTERM or Ctrl-C, with a checkpoint saved.
    """
    run, runtime = Run(out), runtime or Runtime()
    kind = model_of_config(experiment.model)

    threads = runtime.threads or threads_of_environment()  # before a launcher sets them

    # The first process opens the data and the folder before the others start: bad input then speaks once.
    first = launcher_rank() == 0
    try:
        if first:
            dataset, model = open_experiment(experiment, kind, quiet)
            run.open_for_training(record_of(experiment, kind, _data_facts(dataset)))
        processes = parallel.launch(runtime, experiment.training.precision)
        if not first:
            dataset, model = open_experiment(experiment, kind, quiet=True)
        trainer = Trainer(model, experiment.training, processes, runtime.micro_batches, runtime.compile)
        with parallel.threads(model, threads):
            _loop(trainer, run, dataset, _model_facts(experiment, dataset, model), quiet or not processes.first)
    finally:
        run.close()
    return run


def _data_facts(dataset: Dataset) -> dict[str, Any]:
    counts = {name: len(dataset.split(name)) for name in ("train", "validation", "test")}
    return {"name": dataset.name, "fingerprint": dataset.fingerprint, "shape": list(dataset.shape), **counts}


def _loop(trainer: Trainer, run: Run, dataset: Dataset, facts: Mapping[str, Any], quiet: bool) -> None:
    training, processes = trainer.training, trainer.processes
    record = run.record()
    log_every = training.log_every or max(1, training.images // 100)
    picture_every = training.picture_every or max(1, training.images // 10)
    checkpoint_every = training.checkpoint_every or max(1, training.images // 20)

    # Go on from the newest checkpoint that is whole, or begin.
    rollbacks = _resume(trainer, run, dataset, facts, quiet)
    if trainer.images == 0 and processes.first:
        look_at_data(run, dataset)
    _warn_of_batch_statistics(trainer, quiet)

    supply, entries = _Supply(trainer, dataset.train), run.read_log()
    with Display(trainer.images, training.images, quiet) as display, _signals() as signals:
        while trainer.images < training.images:
            # One step, on the images whose turn it is.
            before, after = trainer.images, trainer.images + trainer.batch
            due = partial(_due, before, after, training.images)
            trainer.step(supply.batch(), measure=due(log_every))
            display.advance(after)

            # All processes stop at the same step, whichever of them got the signal.
            asked = processes.count == 1 or trainer.steps % STEPS_BETWEEN_STOP_CHECKS == 0
            stop = asked and processes.any(bool(signals))

            # Never carry on with a NaN: back to the last good weights once, at a lower rate.
            if (stop or any(map(due, (log_every, picture_every, checkpoint_every)))) and not trainer.healthy():
                rollbacks = _roll_back(trainer, run, rollbacks, display)
                entries = run.read_log()
                continue

            # Log.
            if due(log_every):
                entry = _progress_entry(trainer, display) | {"waiting": supply.waiting()}
                if processes.first:
                    entries.append(run.log(entry))
                display.show(entry, last=after >= training.images)
                trainer.forget()

            # Look.
            if due(picture_every) and processes.first:
                entries += [run.log(entry) for entry in look(trainer, run, dataset)]

            # Say what is wrong.
            if due(log_every) and processes.first:
                for finding in new_findings(entries, record):
                    entries.append(run.log({"event": "finding", "images": after, **asdict(finding)}))
                    display.say(f"at {after:,} images: {finding.said}")

            # Save.
            if stop or due(checkpoint_every):
                _save(trainer, run, dataset, rollbacks, facts)
            if stop:
                processes.wait()
                raise Interrupted(signals[0] if signals else signal.SIGTERM, after)
    processes.wait()


def _due(before: int, after: int, end: int, every: int) -> bool:
    """Whether a multiple of `every`, or the end, lies in the step from `before` to `after` images."""
    return after >= end or before // every != after // every


def _resume(trainer: Trainer, run: Run, dataset: Dataset, facts: Mapping[str, Any], quiet: bool) -> int:
    """Restore the newest checkpoint, or write the first; returns how often the training was rolled back."""
    first = trainer.processes.first
    found = run.load_checkpoint()
    trainer.processes.wait()  # nobody writes while another still reads
    if found is None:
        _agree(trainer, dataset)
        _save(trainer, run, dataset, 0, facts)
        trainer.processes.wait()
        return 0
    tensors, metadata, complaints = found
    if trainer.training.precision == "auto":  # what was found where the training began
        trainer.processes.precision = metadata["precision"]
    trainer.restore(tensors, metadata)
    _agree(trainer, dataset)
    if first:
        for complaint in complaints:
            print(f"warning: {complaint}; going on from the checkpoint before it", file=sys.stderr)
        run.log({"event": "resumed", "images": trainer.images, "why": "started again"})
        if not quiet:
            print(f"resuming {run.folder} at {trainer.images:,} images", file=sys.stderr)
    return int(metadata["rollbacks"])


def _agree(trainer: Trainer, dataset: Dataset) -> None:
    """Refuse to train where processes hold other data, another moment, or other weights than one another."""
    weights = sum(float(p.detach().double().abs().sum()) for p in trainer.model.parameters())
    if not trainer.processes.agree([int(dataset.fingerprint[:12], 16), trainer.images, weights]):
        raise InputError(
            "the processes do not hold the same data, checkpoint and weights: every machine needs the same source and "
            "the same run folder, on a disk that they share"
        )


def _roll_back(trainer: Trainer, run: Run, rollbacks: int, display: Display) -> int:
    bad = ", ".join(f"{k} = {v}" for k, v in trainer.means().items() if not math.isfinite(v)) or "a weight"
    at = trainer.images
    if rollbacks:
        if trainer.processes.first:
            run.log(
                {"event": "diverged", "images": at, "why": f"not finite by {at:,} images, after one roll-back: {bad}"}
            )
        raise DivergedError(
            f"training diverged again by {at:,} images (not finite: {bad}), after one roll-back at "
            f"{RATE_AFTER_ROLLBACK:g} of the learning rate; the last good checkpoint is kept in {run.folder}: "
            "try a lower --learning-rate, --precision fp32, or look at the data with `fairdraw data check`"
        )
    found = run.load_checkpoint()
    assert found is not None
    trainer.restore(found[0], found[1])
    trainer.rate_factor *= RATE_AFTER_ROLLBACK
    why = f"not finite by {at:,} images: {bad}; learning rate times {RATE_AFTER_ROLLBACK:g}"
    display.say(f"rolled back to {trainer.images:,} images ({why})")
    if trainer.processes.first:
        for event in ("resumed", "rolled back"):  # the first takes back what the log says of the time since then
            run.log({"event": event, "images": trainer.images, "why": why})
    trainer.processes.wait()
    return rollbacks + 1


class _Supply:
    """The images whose turn it is, and how much of the time goes by until they are there."""

    def __init__(self, trainer: Trainer, split: Split) -> None:
        self._trainer, self._split = trainer, split
        self._began, self._waited = time.perf_counter(), 0.0

    def batch(self) -> dict[str, torch.Tensor]:
        """This process's share of the next step."""
        asked, rows, split = time.perf_counter(), self._trainer.share, self._split
        first, count = self._trainer.images + rows.start, rows.stop - rows.start
        where = positions(self._trainer.training.seed, first, count, len(split))
        batch = {"image": torch.from_numpy(split.images(where))}
        if split.dataset.inputs is not None:
            batch["input"] = torch.from_numpy(self._inputs(where, first))
        if split.labels is not None:
            batch["label"] = torch.from_numpy(split.labels[where])
        self._waited += time.perf_counter() - asked
        return batch

    def _inputs(self, where: np.ndarray, first: int) -> np.ndarray:
        """Those that belong to the images, or where the model takes two sets, those whose turn it is in theirs."""
        if self._trainer.model.takes == "pairs":
            return self._split.inputs(where)
        size, seed = self._split.count_of("a"), self._trainer.training.seed
        return self._split.images_of("a", positions(seed, first, len(where), size, stream=1))

    def waiting(self) -> float:
        """The share of the time since it was last asked."""
        now = time.perf_counter()
        share = self._waited / max(now - self._began, 1e-9)
        self._began, self._waited = now, 0.0
        return round(share, 4)


def _progress_entry(trainer: Trainer, display: Display) -> dict[str, Any]:
    return {
        "event": "progress",
        "images": trainer.images,
        "means": trainer.means(),
        "gradient_norm": dict(trainer.gradient_norm),
        "learning_rate_factor": trainer.last_rate,
        "images_per_second": round(display.rate(trainer.images), 1),
        "time": round(time.time(), 3),
    }


def _save(trainer: Trainer, run: Run, dataset: Dataset, rollbacks: int, facts: Mapping[str, Any]) -> None:
    """Write the averaged model, which everybody else reads, then the checkpoint; every process comes here."""
    tensors, metadata = trainer.state()
    if trainer.processes.first:
        precision = trainer.processes.precision  # as a resume may have changed it
        if trainer.images:
            save_model(
                run.model_file, finished(trainer, dataset), {"images": trainer.images, "precision": precision, **facts}
            )
        run.save_checkpoint(trainer.images, tensors, {**metadata, "rollbacks": rollbacks, "precision": precision})


def _model_facts(experiment: Experiment[Any], dataset: Dataset, model: Model) -> dict[str, Any]:
    """What the model file says beside its weights, so that no option is ever repeated."""
    return {
        "data": _data_facts(dataset),
        "classes": list(dataset.label_names) if model.classes else [],
        "options": to_json(experiment.options),
        "training": to_json(experiment.training),
        "fairdraw": fairdraw.__version__,
    }


def _warn_of_batch_statistics(trainer: Trainer, quiet: bool) -> None:
    """Say what makes several processes or micro-batches differ from one."""
    parts = trainer.processes.count * trainer.micro_batches
    found = [*parallel.batch_statistics(trainer.model), *trainer.model.over_the_batch()]
    if parts > 1 and found and not quiet:
        size = trainer.training.batch // parts
        print(
            f"warning: statistics are taken over {size} images, not over the batch of {trainer.training.batch}, "
            f"so that the result differs from one process's: {', '.join(found)}",
            file=sys.stderr,
        )


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The stop signals received so far; a second one ends the process at once."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)

    # Python allows handlers in the main thread only; elsewhere signals keep their usual effect.
    handled = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, receive) for number in handled}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
