"""The run folder: everything a training leaves behind, and the only thing that other commands read.

config.json          the experiment and the data it was run on
log.jsonl            one JSON object a line, only ever appended to
pictures/            sheets, named by the images seen
checkpoints/         the last two, to resume from
model.safetensors    the averaged weights; describes itself, needs nothing else
lock                 held while a process trains here
"""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from fairdraw import journal
from fairdraw.config import Experiment, Training, differences, from_json, to_json
from fairdraw.data import Options
from fairdraw.errors import InputError
from fairdraw.files import FORMAT, load_tensors, save_tensors, write_json
from fairdraw.model import Model
from fairdraw.models import MODELS, model_class, model_name

KEPT_CHECKPOINTS = 2

T = TypeVar("T")


class Run:
    """A run folder. Reading needs nothing; `open_for_training` makes it, checks it and locks it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.pictures = self.folder / "pictures"
        self.model_file = self.folder / "model.safetensors"
        self._checkpoints = self.folder / "checkpoints"
        self._log = self.folder / "log.jsonl"
        self._lock: FileLock | None = None

    def open_for_training(self, record: Mapping[str, Any]) -> None:
        """Make the folder or find it, for the experiment that `record` describes, and lock it.

        Raises:
            InputError: where another process trains here, the folder belongs to another experiment, or is read-only.
        """
        self._make_folders()
        self._take_lock()
        try:
            for leftover in self.folder.rglob(".*.partial"):  # of a killed process; a live one would hold the lock
                leftover.unlink(missing_ok=True)
            self._check_or_write(record)
        except BaseException:
            self.close()
            raise

    def _check_or_write(self, record: Mapping[str, Any]) -> None:
        path = self.folder / "config.json"
        if not path.exists():
            if any(self._checkpoints.iterdir()) or self._log.exists():
                raise InputError(f"{self.folder} has a training's files but no config.json: choose another --out")
            write_json(path, record)
            return
        changed = differences(_without_place(self.record()), _without_place(to_json(record)))
        if changed:
            raise InputError(
                f"{self.folder} was made by another experiment ({'; '.join(changed)}): "
                "repeat its options to resume it, or choose another folder with --out"
            )

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def record(self) -> dict[str, Any]:
        """The content of config.json.

        Raises:
            InputError: where it is missing, damaged or of another format number.
        """
        path = self.folder / "config.json"
        try:
            record = json.loads(path.read_text())
        except OSError as error:
            raise InputError(
                f"{self.folder} is not a run folder: cannot read config.json ({error.strerror})"
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is damaged: {error}; restore it, or train in another folder") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise InputError(f"{path} is not of format {FORMAT}: use the fairdraw version that wrote it")
        for key in ("experiment", "data"):
            if not isinstance(record.get(key), dict):
                raise InputError(f"{path} is damaged: it has no {key}; restore it, or train in another folder")
        return record

    def experiment(self) -> Experiment[Any]:
        """The experiment that config.json describes."""
        return experiment_from(self.record())

    # The log

    def log(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Append an entry, and return it as read."""
        return journal.append(self._log, entry)

    def read_log(self) -> list[dict[str, Any]]:
        """The log as an uninterrupted training would have written it: what a resumed one did again counts once."""
        return journal.read(self._log)

    # Checkpoints

    def save_checkpoint(self, images: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Write a checkpoint, then drop all but the last two."""
        save_tensors(self._checkpoints / f"{images:012d}.safetensors", tensors, {**metadata, "images": images})
        for old in self.checkpoints()[:-KEPT_CHECKPOINTS]:
            old.unlink(missing_ok=True)

    def checkpoints(self) -> list[Path]:
        """Checkpoint files, oldest first."""
        return sorted(self._checkpoints.glob("[0-9]*.safetensors"))

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any], list[str]] | None:
        """The newest checkpoint that is whole, as tensors, metadata and what was wrong with newer ones.

        Raises:
            InputError: where there are checkpoints and none is whole.
        """
        complaints: list[str] = []
        for path in reversed(self.checkpoints()):
            try:
                tensors, metadata = load_tensors(path)
            except InputError as error:
                complaints.append(str(error))
                continue
            return tensors, metadata, complaints
        if complaints:
            raise InputError(f"no checkpoint can be read: {'; '.join(complaints)}")
        return None

    def _make_folders(self) -> None:
        try:
            for folder in (self.folder, self.pictures, self._checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot make the run folder {self.folder}: {error.strerror}; choose a writable one with --out"
            ) from error

    def _take_lock(self) -> None:
        path = self.folder / "lock"
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        except Timeout as error:
            holder = path.read_text().strip() or "another process"
            raise InputError(f"{self.folder} is in use by {holder}: wait for it, or choose another --out") from error
        except OSError as error:
            lock.release()
            raise InputError(f"cannot lock {path}: {error.strerror}; choose a writable folder with --out") from error
        self._lock = lock


def record_of(experiment: Experiment[Any], model: type[Model], data: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json holds: the experiment, and the data it meets."""
    described = to_json(experiment)
    described["model"] = {"name": model_name(model), **described["model"]}
    return {"format": FORMAT, "experiment": described, "data": dict(data)}


def experiment_from(record: Mapping[str, Any]) -> Experiment[Any]:
    """The inverse of `record_of` for the experiment.

    Raises:
        InputError: where something is missing, unknown or of another type.
    """
    described, where = dict(record["experiment"]), "config.json: experiment"
    options = dict(_taken(described, "model", dict, where))
    kind = model_class(_taken(options, "name", str, f"{where}.model"))
    experiment = Experiment(
        from_json(kind.Config, options, f"{where}.model"),
        _taken(described, "data", str, where),
        from_json(Options, _taken(described, "options", dict, where), f"{where}.options"),
        from_json(Training, _taken(described, "training", dict, where), f"{where}.training"),
    )
    if described:
        raise InputError(f"{where}: unknown key {next(iter(described))!r}")
    return experiment


def _taken(values: dict[str, Any], key: str, kind: type[T], where: str) -> T:
    value = values.pop(key, None)
    if not isinstance(value, kind):
        raise InputError(f"{where}: the key {key!r} is missing or its value is not {kind.__name__}")
    return value


def save_model(path: Path, model: Model, facts: Mapping[str, Any]) -> str:
    """Write a model file that describes itself; returns its SHA-256 fingerprint."""
    metadata = {"model": model_name(model), "config": to_json(model.config), "shape": list(model.shape), **facts}
    return save_tensors(path, model.state_dict(), metadata)


def load_with_facts(path: str | Path) -> tuple[Model, dict[str, Any]]:
    """The model in eval mode and everything that its file says about it.

    Raises:
        InputError: where there is no model file, or it is damaged or not ours.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "model.safetensors").exists():
            hint = "finish the training first" if (path / "config.json").exists() else "give a run folder"
            raise InputError(f"{path} holds no model.safetensors: {hint}, or name a model file")
        path = path / "model.safetensors"
    elif not path.exists():
        raise InputError(f"{path} does not exist: give a run folder or a model.safetensors file")
    tensors, facts = load_tensors(path)
    name = facts.get("model")
    if not isinstance(name, str) or name not in MODELS:
        raise InputError(f"{path} is no model file of this version of fairdraw (model: {name!r})")
    model = _empty_model(name, facts, path)
    _assign(model, tensors, path)
    return model.eval(), facts


def load(path: str | Path) -> Model:
    """The trained model of a run folder or a model file, in eval mode, on the CPU.

    Raises:
        InputError: where there is no model file, or it is damaged or not ours.
    """
    return load_with_facts(path)[0]


def _empty_model(name: str, facts: Mapping[str, Any], path: Path) -> Model:
    kind = model_class(name)
    config = from_json(kind.Config, facts.get("config"), f"{path}: config")
    shape = facts.get("shape")
    if not isinstance(shape, list) or len(shape) != 3 or any(type(n) is not int or n < 1 for n in shape):
        raise InputError(f"{path}: shape: {shape!r} is not [channels, height, width]")
    try:
        # On the meta device nothing is allocated, whatever sizes a foreign config asks for.
        with torch.device("meta"):
            return kind(config, (shape[0], shape[1], shape[2]))
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"{path}: no {name} can be built from its config: {why}; train again") from error


def _assign(model: Model, tensors: Mapping[str, Tensor], path: Path) -> None:
    expected = model.state_dict()
    wrong = [
        k
        for k in {*expected, *tensors}
        if k not in expected
        or k not in tensors
        or expected[k].shape != tensors[k].shape
        or expected[k].is_floating_point() != tensors[k].is_floating_point()
    ]
    if wrong:
        raise InputError(f"{path} does not fit its own config ({', '.join(sorted(wrong)[:3])}): train again")
    broken = sorted(k for k, v in tensors.items() if v.is_floating_point() and not v.isfinite().all())
    if broken:  # what comes out of it would look like a black picture, and be judged as one
        names = ", ".join(broken[:3])
        raise InputError(f"{path} has weights that are NaN or infinite ({names}): train again, or take an older file")
    model.load_state_dict(dict(tensors), assign=True)


def _without_place(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the data's name: `photos` and `./photos` are one, and the fingerprint tells what is in them."""
    kept = {key: value for key, value in record.items() if key != "experiment"}
    kept["data"] = {key: value for key, value in record.get("data", {}).items() if key != "name"}
    return kept | {"experiment": {key: value for key, value in record.get("experiment", {}).items() if key != "data"}}
