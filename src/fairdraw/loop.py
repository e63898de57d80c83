"""The loop around the step: data, model, run folder, resume, train, log, look, save. There is only this one."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import fairdraw
from fairdraw import data, parallel
from fairdraw.config import Experiment, Runtime, to_json
from fairdraw.data import Dataset, Split
from fairdraw.errors import DivergedError, InputError
from fairdraw.images import save_png, to_signed
from fairdraw.launcher import launcher_rank
from fairdraw.model import Clock, Encodes, Generates, Model
from fairdraw.models import model_name, model_of_config
from fairdraw.noise import Noise
from fairdraw.order import positions, spread
from fairdraw.pictures import draw_facts, pair_sheet, reconstructed, sample_sheet, sampled
from fairdraw.progress import Display
from fairdraw.run import Run, record_of, save_model
from fairdraw.trainer import Trainer

SHEET = 64
VALIDATION_IMAGES = 2_048
PREPARATION_IMAGES = 10_000
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

    threads = runtime.threads or int(os.environ.get("OMP_NUM_THREADS", 0))  # before a launcher sets it

    # The first process opens the data and the folder before the others start: bad input then speaks once.
    first = launcher_rank() == 0
    try:
        if first:
            dataset, model = _open(experiment, kind)
            run.open_for_training(record_of(experiment, kind, _data_facts(dataset)))
        processes = parallel.launch(runtime, experiment.training.precision)
        if not first:
            dataset, model = _open(experiment, kind)
        trainer = Trainer(model, experiment.training, processes, runtime.micro_batches, runtime.compile)
        with parallel.threads(model, threads):
            _loop(trainer, run, dataset, quiet or not processes.first)
        if processes.first:
            _finish(trainer, run, experiment, dataset)
        processes.wait()
    finally:
        run.close()
    return run


def _open(experiment: Experiment[Any], kind: type[Model]) -> tuple[Dataset, Model]:
    dataset = data.open(experiment.data, experiment.options)
    _, height, width = dataset.shape
    if height != width:
        raise InputError(f"{experiment.data} has images of {width}x{height} px: give the side of a square with --size")
    if len(dataset.train) < experiment.training.batch:
        raise InputError(
            f"--batch {experiment.training.batch} is larger than the training set: {experiment.data} has "
            f"{len(dataset.train)} training images (of {len(dataset.all)}); choose a smaller --batch or add images"
        )
    torch.manual_seed(experiment.training.seed)
    model = kind(experiment.model, dataset.shape)
    model.prepare(to_signed(torch.from_numpy(dataset.train.images(spread(len(dataset.train), PREPARATION_IMAGES)))))
    return dataset, model


def _data_facts(dataset: Dataset) -> dict[str, Any]:
    counts = {name: len(dataset.split(name)) for name in ("train", "validation", "test")}
    return {"name": dataset.name, "fingerprint": dataset.fingerprint, "shape": list(dataset.shape), **counts}


def _loop(trainer: Trainer, run: Run, dataset: Dataset, quiet: bool) -> None:
    training, processes = trainer.training, trainer.processes
    log_every = training.log_every or max(1, training.images // 100)
    picture_every = training.picture_every or max(1, training.images // 10)
    checkpoint_every = training.checkpoint_every or max(1, training.images // 20)

    # Go on from the newest checkpoint that is whole, or begin.
    rollbacks = _resume(trainer, run, quiet)
    if trainer.images == 0 and processes.first:
        _look_at_data(run, dataset)
    _warn_of_batch_statistics(trainer, quiet)

    with Display(trainer.images, training.images, quiet) as display, _signals() as signals:
        while trainer.images < training.images:
            # One step, on the images whose turn it is.
            before, after = trainer.images, trainer.images + training.batch
            due = partial(_due, before, after, training.images)
            trainer.step(_batch(trainer, dataset.train), measure=due(log_every))
            display.advance(after)

            # All processes stop at the same step, whichever of them got the signal.
            asked = processes.count == 1 or (after // training.batch) % STEPS_BETWEEN_STOP_CHECKS == 0
            stop = asked and processes.any(bool(signals))

            # Never carry on with a NaN: back to the last good weights once, at a lower rate.
            if (stop or due(log_every)) and not trainer.healthy():
                rollbacks = _roll_back(trainer, run, rollbacks, display)
                continue

            # Log.
            if due(log_every):
                entry = _progress_entry(trainer, display)
                if processes.first:
                    run.log(entry)
                display.show(entry, last=after >= training.images)
                trainer.forget()

            # Look.
            if due(picture_every) and processes.first:
                run.log(_validation_entry(trainer, dataset.validation))
                _draw(trainer, run, dataset.validation)

            # Save.
            if (stop or due(checkpoint_every)) and processes.first:
                _save(trainer, run, rollbacks)
            if stop:
                processes.wait()
                raise Interrupted(signals[0] if signals else signal.SIGTERM, after)


def _due(before: int, after: int, end: int, every: int) -> bool:
    """Whether a multiple of `every`, or the end, lies in the step from `before` to `after` images."""
    return after >= end or before // every != after // every


def _resume(trainer: Trainer, run: Run, quiet: bool) -> int:
    """Restore the newest checkpoint, or write the first; returns how often the training was rolled back."""
    first = trainer.processes.first
    found = run.load_checkpoint()
    if found is None:
        trainer.processes.wait()
        if first:
            _save(trainer, run, 0)
        trainer.processes.wait()
        return 0
    tensors, metadata, complaints = found
    if trainer.training.precision == "auto":  # what was found where the training began
        trainer.processes.precision = metadata["precision"]
    trainer.restore(tensors, metadata)
    trainer.processes.wait()
    if first:
        for complaint in complaints:
            print(f"warning: {complaint}; going on from the checkpoint before it", file=sys.stderr)
        run.log({"event": "resumed", "images": trainer.images, "why": "started again"})
        if not quiet:
            print(f"resuming {run.folder} at {trainer.images:,} images", file=sys.stderr)
    return int(metadata["rollbacks"])


def _roll_back(trainer: Trainer, run: Run, rollbacks: int, display: Display) -> int:
    bad = ", ".join(f"{k} = {v}" for k, v in trainer.means().items() if not math.isfinite(v)) or "a weight"
    at = trainer.images
    if rollbacks:
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
        run.log({"event": "resumed", "images": trainer.images, "why": why})
    trainer.processes.wait()
    return rollbacks + 1


def _batch(trainer: Trainer, split: Split) -> dict[str, torch.Tensor]:
    rows = trainer.share
    where = positions(trainer.training.seed, trainer.images + rows.start, rows.stop - rows.start, len(split))
    batch = {"image": torch.from_numpy(split.images(where))}
    if split.labels is not None:
        batch["label"] = torch.from_numpy(split.labels[where])
    return batch


def _progress_entry(trainer: Trainer, display: Display) -> dict[str, Any]:
    return {
        "event": "progress",
        "images": trainer.images,
        "means": trainer.means(),
        "gradient_norm": dict(trainer.gradient_norm),
        "learning_rate_factor": trainer.learning_rate(trainer.images),
        "images_per_second": round(display.rate(trainer.images), 1),
        "time": round(time.time(), 3),
    }


def _validation_entry(trainer: Trainer, split: Split) -> dict[str, Any]:
    """Every player's loss on held-out images, by the averaged weights: what memorising a training set cannot lower."""
    means: dict[str, list[float]] = {}
    where = spread(len(split), VALIDATION_IMAGES)
    count = len(where)
    model, processes = trainer.average, trainer.processes
    with torch.no_grad():
        for start in range(0, count, trainer.training.batch):
            part = to_signed(torch.from_numpy(split.images(where[start : start + trainer.training.batch])))
            noise = Noise(trainer.training.seed, len(part), start, "validation", processes.device, processes.dtype)
            clock = Clock(trainer.images, trainer.training.images, noise)
            for update in model.updates({"image": part.to(processes.device, processes.dtype)}, clock):
                means.setdefault(f"loss/{update.player}", []).append(float(update.loss) * len(part) / count)
    return {
        "event": "validation",
        "images": trainer.images,
        "count": count,
        "means": {k: sum(v) for k, v in means.items()},
    }


def _look_at_data(run: Run, dataset: Dataset) -> None:
    shown = dataset.train.images(spread(len(dataset.train), SHEET))
    facts = {"data": dataset.name, "shows": f"{len(shown)} training images spread over the set, as the model sees them"}
    save_png(run.pictures / "training-images.png", sample_sheet(shown), facts, machine_made=False)


def _draw(trainer: Trainer, run: Run, held_out: Split) -> None:
    model, images = trainer.average, trainer.images
    facts = {"model": model_name(model), "images_seen": images}
    if isinstance(model, Generates):
        sheet = sample_sheet(sampled(model, SHEET, seed=0))
        path = run.pictures / f"samples-{images:012d}.png"
        save_png(path, sheet, draw_facts(SHEET, 0, facts) | facts, machine_made=True)
    if isinstance(model, Generates) and isinstance(model, Encodes) and len(held_out):
        originals = held_out.images(spread(len(held_out), SHEET // 2))
        sheet = pair_sheet(originals, reconstructed(model, originals))
        facts |= {"shows": f"{len(originals)} validation images spread over the set, each beside its reconstruction"}
        save_png(run.pictures / f"reconstructions-{images:012d}.png", sheet, facts, machine_made=True)


def _save(trainer: Trainer, run: Run, rollbacks: int) -> None:
    tensors, metadata = trainer.state()
    run.save_checkpoint(
        trainer.images, tensors, {**metadata, "rollbacks": rollbacks, "precision": trainer.processes.precision}
    )


def _finish(trainer: Trainer, run: Run, experiment: Experiment[Any], dataset: Dataset) -> None:
    """Write the model that everybody else reads."""
    facts = {
        "images": trainer.images,
        "data": _data_facts(dataset),
        "options": to_json(experiment.options),
        "training": to_json(experiment.training),
        "precision": trainer.processes.precision,
        "fairdraw": fairdraw.__version__,
    }
    save_model(run.model_file, trainer.average, facts)


def _warn_of_batch_statistics(trainer: Trainer, quiet: bool) -> None:
    """Say which layers make several processes or micro-batches differ from one."""
    parts = trainer.processes.count * trainer.micro_batches
    layers = parallel.batch_statistics(trainer.model)
    if parts > 1 and layers and not quiet:
        size = trainer.training.batch // parts
        print(
            f"warning: {len(layers)} layers take their statistics over {size} images, not over the batch of "
            f"{trainer.training.batch}, so that the result differs from one process's: {', '.join(layers)}",
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
