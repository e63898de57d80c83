"""Frozen dataclasses <-> JSON, strictly: unknown keys, missing keys and wrong types are errors, never guesses."""

import sys
import types
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fairdraw.data import Options
from fairdraw.errors import InputError, check_at_least, check_seed, nearest

C = TypeVar("C")
T = TypeVar("T")


@dataclass(frozen=True)
class Training:
    """How long and how a model is trained. Time is counted in images.

    Args:
        images: images seen in all.
        batch: images per step, over all processes and micro-batches together.
        seed: of the initial weights, the order of the data and every random number.
        schedule: factor on the learning rate over the training: constant; falling to 0 along a line, along a cosine,
            or along a line in the second half alone (half-linear, Zhu et al. 2017); or burda, the eight steps from 1
            to 0.1 of Burda et al. 2016, each three times as long as the one before.
        warmup_images: images over which the learning rate rises from 0 first.
        average_half_life: half-life in images of the averaged weights, which samples and numbers come from.
        precision: auto is bf16 where the processor has it in hardware and is faster with it, else fp32; weights and
            optimizer are fp32 in either. fp64 is there for checks.
        log_every: images between lines of the log (default: a hundredth of the training).
        picture_every: images between pictures and validation numbers (default: a tenth of the training).
        checkpoint_every: images between checkpoints (default: a twentieth of the training).
    """

    images: int = 300_000
    batch: int = 128
    seed: int = 0
    schedule: Literal["constant", "linear", "half-linear", "cosine", "burda"] = "constant"
    warmup_images: int = 0
    average_half_life: int = 5_000
    precision: Literal["auto", "fp32", "bf16", "fp64"] = "auto"
    log_every: int | None = None
    picture_every: int | None = None
    checkpoint_every: int | None = None

    def __post_init__(self) -> None:
        check_at_least(1, self, "images", "batch", "log_every", "picture_every", "checkpoint_every")
        check_at_least(0, self, "warmup_images", "average_half_life")
        check_seed(self.seed)


@dataclass(frozen=True)
class Experiment(Generic[C]):
    """Everything that a result depends on: the same experiment on the same data gives the same weights.

    Args:
        model: the model's own options.
        data: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        options: how pictures become arrays.
        training: how long and how to train.
    """

    model: C
    data: str = "digits"
    options: Options = field(default_factory=Options)
    training: Training = field(default_factory=Training)


@dataclass(frozen=True)
class Runtime:
    """Where and how a training is computed; changes its results by rounding only.

    Args:
        device: auto takes the first accelerator there is, else the CPU.
        devices: processes on this machine, one for each device (default: 1, or what torchrun or SLURM started).
        nodes: machines.
        micro_batches: parts into which each process divides its share of a batch, to save memory.
        threads: of each process on a CPU (default: what torch takes for networks with convolutions, 1 for others).
        compile: compile the networks with torch.compile.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int | None = None
    nodes: int = 1
    micro_batches: int = 1
    threads: int | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        check_at_least(1, self, "devices", "nodes", "micro_batches", "threads")


def to_json(value: Any) -> Any:
    """A dataclass as plain JSON values; tuples become lists.

    >>> to_json(Training(images=10))["images"]
    10
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    if isinstance(value, dict):
        return {k: to_json(v) for k, v in value.items()}
    return value


def from_json(kind: type[T], value: Any, where: str = "config") -> T:
    """The inverse of `to_json` for the dataclass `kind`.

    Raises:
        InputError: for an unknown or missing key or a value of another type, with its place.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object with the fields of {kind.__name__}, found {value!r}")
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for key in value:
        if key not in names:
            raise InputError(f"{where}: unknown key {key!r}{nearest(key, names)}")
    for name in names:
        if name not in value:
            raise InputError(f"{where}: the key {name!r} is missing; another version may have written it: train again")
    values = {name: _convert(hints[name], value[name], f"{where}.{name}") for name in names}
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Where two JSON values differ, one line each.

    >>> differences({"batch": 64, "seed": 0}, {"batch": 128, "seed": 0})
    ['batch: 64 -> 128']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(k for k in new if k not in old)]
        prefix = f"{where}." if where else ""
        return [line for k in keys for line in differences(old.get(k), new.get(k), f"{prefix}{k}")]
    return [] if old == new else [f"{where}: {old!r} -> {new!r}"]


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        ok = any(value == a and type(value) is type(a) for a in arguments)
    elif origin in (Union, types.UnionType):
        for member in arguments:
            try:
                return _convert(member, value, where)
            except InputError:
                continue
        ok = False
    elif origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where}: expected a list, found {value!r}")
        members = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(members) != len(value):
            raise InputError(f"{where}: expected {len(members)} values, found {value!r}")
        return tuple(_convert(m, v, f"{where}[{i}]") for i, (m, v) in enumerate(zip(members, value, strict=True)))
    elif is_dataclass(kind):
        return from_json(kind, value, where)  # type: ignore[arg-type]
    elif kind is float:
        ok = type(value) in (int, float) and abs(value) <= sys.float_info.max  # neither inf nor NaN
        value = float(value) if ok else value
    else:
        ok = type(value) is kind
    if not ok:
        raise InputError(f"{where}: {value!r} is not {getattr(kind, '__name__', str(kind))}")
    return value
