"""Everything that knows there are several processes, and the only file that knows of Lightning Fabric.

Fabric launches, places and casts. Gradients are averaged here, flat, right after a player's backward: a wrapper that
acts in `forward` would miss a backward that has no forward of its own, such as a gradient penalty's.
"""

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fairdraw.config import Runtime
from fairdraw.devices import find_device, find_precision
from fairdraw.errors import InputError
from fairdraw.share import in_turn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy


T = TypeVar("T")

LOST = "another of the processes is gone, killed or for want of memory: start again, with fewer --devices"
PATIENCE = timedelta(days=7)
"""How long a process may wait for others that judge, whose tasks may take hours longer than its own."""


class _SaysLost(logging.Handler):
    """Fabric stops all processes where one has ended with an error, and says so in its log alone."""

    def emit(self, record: logging.LogRecord) -> None:
        if "terminated with code" in record.getMessage():
            print(f"fairdraw: {LOST}", file=sys.stderr, flush=True)


logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces each process otherwise
_launcher = logging.getLogger("lightning_fabric.strategies.launchers.subprocess_script")
_launcher.setLevel(logging.INFO)
_launcher.propagate = False
_launcher.addHandler(_SaysLost())


MOST_THREADS_A_PROCESSOR = 8  # many thousands crash the thread library


class Processes:
    """The processes of one training or judgement, seen from one of them.

    `rank` counts from 0, `count` is how many there are, `device` is this one's, `dtype` that of the weights.
    """

    def __init__(self, fabric: Fabric, precision: str) -> None:
        self._fabric = fabric
        self.rank, self.count, self.device = fabric.global_rank, fabric.world_size, fabric.device
        self.precision = precision
        self.dtype = torch.float64 if precision == "fp64" else torch.float32

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """Inside, matrix products are computed in bf16 where that was asked for."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def seed(self, seed: int) -> None:
        """Seed torch's own generators on the CPU and on this process's device."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes; where only some have one, the others count as zero."""
        if self.count == 1:
            return
        # Whether anybody has a gradient travels with them: where nobody has one, the optimizer must not move either.
        there = torch.tensor([float(p.grad is not None) for p in parameters], dtype=self.dtype, device=self.device)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        mean = self.mean(torch.cat([there, *(gradient.flatten() for gradient in gradients)]))
        start = len(there)
        for p, anywhere in zip(parameters, mean[: len(there)].tolist(), strict=True):
            # In the parameter's own memory layout, which fused optimizers rely on.
            p.grad = torch.empty_like(p).copy_(mean[start : start + p.numel()].view_as(p)) if anywhere else None
            start += p.numel()

    def mean(self, value: Tensor) -> Tensor:
        """The mean of `value` over the processes."""
        if self.count == 1:
            return value
        total = value.clone()
        torch.distributed.all_reduce(total)  # Fabric's own would wait at a barrier first
        return total / self.count

    def gather(self, value: Tensor) -> list[Tensor]:
        """The `value` of each process, in the order of their ranks; all have the same shape."""
        if self.count == 1 or not value.numel():
            return [value] * self.count
        found = [torch.empty_like(value) for _ in range(self.count)]
        torch.distributed.all_gather(found, value.contiguous())
        return found

    def share(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """What each of the `tasks` gives, in their order; process number k does every `count`-th of them from k on.

        Raises:
            InputError: where a task failed in another process, in every process; and where one of the others is gone.
        """
        if self.count == 1:
            return in_turn(tasks)
        mine: list[T] = []
        failed: Exception | None = None
        try:
            mine = in_turn(tasks[self.rank :: self.count])
        except Exception as error:  # whatever it is, the others wait for this process to be done
            failed = error
        everyone: list[Any] = [None] * self.count
        try:
            torch.distributed.all_gather_object(everyone, (mine, failed and self._told(failed)))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise InputError(LOST) from error
        if failed is not None:
            raise failed
        for _, of_theirs in everyone:
            if of_theirs is not None:
                raise InputError(of_theirs)
        return [everyone[number % self.count][0][number // self.count] for number in range(len(tasks))]

    def _told(self, error: Exception) -> str:
        """An error as the other processes are told of it."""
        if isinstance(error, InputError):
            return str(error)
        first = (str(error).splitlines() or [""])[0]
        return f"process {self.rank} of {self.count} failed: {type(error).__name__}: {first}"

    def any(self, flag: bool) -> bool:
        """Whether `flag` holds in any process; every process must ask at the same step."""
        if self.count == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)

    def agree(self, values: Sequence[float]) -> bool:
        """Whether every process has the same `values`."""
        mine = torch.tensor(values, dtype=torch.float64, device=self.device)
        return not self.any(not torch.allclose(mine, self.mean(mine), rtol=1e-12, atol=0))

    def wait(self) -> None:
        """Return when every process has come here."""
        self._fabric.barrier()


def launch(runtime: Runtime, precision: str, patience: timedelta = timedelta(minutes=30)) -> Processes:
    """Start the other processes, or find them where torchrun or SLURM started them, and check that all are here.

    They wait for one another for `patience` at most, by default as long as torch does.

    Raises:
        InputError: when the device is not there, or the world that is found is not the world that was asked for.
    """
    accelerator = find_device(runtime.device)
    devices, nodes = _asked_world(runtime)
    if accelerator == "cuda" and devices > torch.cuda.device_count():
        raise InputError(f"--devices {devices}: this machine has {torch.cuda.device_count()} CUDA device(s)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strategy = "auto" if devices * nodes == 1 else DDPStrategy(timeout=patience)
        try:
            fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy)
        except RuntimeError as error:  # of a launcher's environment that contradicts itself
            raise InputError(f"cannot launch {devices * nodes} process(es): {str(error).splitlines()[0]}") from error
        _join_after_a_restart("nccl" if accelerator == "cuda" else "gloo")
        with _interruptible(devices * nodes):
            fabric.launch()
    atexit.register(_leave)
    if fabric.world_size != devices * nodes:
        raise InputError(
            f"asked for {devices * nodes} process(es) and found {fabric.world_size}: "
            "each would train a model of its own; make --devices and --nodes agree with the launcher"
        )
    found = find_precision(precision, fabric.device)
    if devices * nodes > 1:
        found = fabric.broadcast(found)  # the first process decides for all
    return Processes(fabric, found)


@contextlib.contextmanager
def _interruptible(count: int) -> Iterator[None]:
    """Inside, Ctrl-C ends this process at once: while torch waits for the others, Python's handler has no turn."""
    if count == 1 or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave() -> None:
    """Close the process group before the interpreter ends: gloo's threads, still running then, may abort the process.

    Fabric does so for NCCL alone.
    """
    distributed: Any = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def alone(precision: str) -> Processes:
    """This process by itself on the CPU, whatever launcher started it and whichever others it started."""
    return Processes(Fabric(accelerator="cpu", devices=1, plugins=[LightningEnvironment()]), precision)


def _join_after_a_restart(backend: str) -> None:
    """Meet the other processes under a key of this attempt, when torchrun has restarted them.

    torch takes it that the launcher makes a new store for each attempt; with a shared one, as under --standalone, a
    process may find the address that a dead one left there and wait for it forever. Fabric uses a group that is there.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if attempt == "0" or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    distributed: Any = torch.distributed
    shared = distributed.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), world, False)
    store = distributed.PrefixStore(f"fairdraw/attempt/{attempt}", shared)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=world)


def _asked_world(runtime: Runtime) -> tuple[int, int]:
    """(processes on this machine, machines), as the options say and the launcher's environment confirms.

    Fabric under torchrun on a CPU takes its own arguments at face value and would train one model per process.
    """
    slurm = "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")
    world = os.environ.get("WORLD_SIZE") or (os.environ["SLURM_NTASKS"] if slurm else None)
    if world is None:
        if runtime.nodes > 1 and "MASTER_ADDR" not in os.environ:
            raise InputError(f"--nodes {runtime.nodes}: start it with torchrun or SLURM on each of the machines")
        return runtime.devices or 1, runtime.nodes
    local, machines = os.environ.get("LOCAL_WORLD_SIZE"), os.environ.get("SLURM_NNODES", "1") if slurm else None
    if local is None and machines is not None:
        local = str(int(world) // int(machines))
    devices = runtime.devices or int(local or 1)
    nodes = runtime.nodes if runtime.nodes > 1 else int(machines or max(1, int(world) // int(local or world)))
    if devices * nodes != int(world) or (local is not None and devices != int(local)):
        raise InputError(
            f"the launcher started {world} process(es), {local or 'an unknown number'} of them on this machine, and "
            f"the options ask for --devices {devices} --nodes {nodes}: leave them out or make them agree"
        )
    return devices, nodes


@contextlib.contextmanager
def threads(model: nn.Module, asked: int) -> Iterator[None]:
    """Inside, torch computes with as many threads as were asked for, or as suit the model when 0 were.

    A second thread makes convolutions nearly twice as fast. A step of dense layers is a few milliseconds cut into
    dozens of pieces, at whose ends threads wait for each other: it gains a third on an idle machine, and beside one
    busy neighbour it loses more than half.
    """
    if asked > MOST_THREADS_A_PROCESSOR * (os.cpu_count() or 1):
        raise InputError(
            f"--threads {asked}: this machine has {os.cpu_count()} processors; give at most a few for each"
        )
    before = torch.get_num_threads()
    convolves = any(isinstance(module, nn.modules.conv._ConvNd) for module in model.modules())
    torch.set_num_threads(asked or (before if convolves else 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def batch_statistics(model: nn.Module) -> list[str]:
    """Names of the layers whose output depends on the other images of the batch."""
    kinds = nn.modules.batchnorm._BatchNorm
    return [f"{name} ({type(module).__name__})" for name, module in model.named_modules() if isinstance(module, kinds)]
