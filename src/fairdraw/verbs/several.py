"""Verbs whose work several processes share: all of them compute, and the first one writes and speaks."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fairdraw.verbs.common import Device

if TYPE_CHECKING:
    import torch

    from fairdraw.parallel import Processes
    from fairdraw.trained import Trained


@contextlib.contextmanager
def together(device: Device, devices: int | None) -> "Iterator[tuple[Processes, Callable[[str], None]]]":
    """The processes, and what is told what comes next; at the end all but the first process leave.

    Raises:
        InputError: as `Runtime` and `parallel.launch`.
    """
    from fairdraw.config import Runtime

    runtime = Runtime(device=device, devices=devices)
    from fairdraw.parallel import PATIENCE, launch
    from fairdraw.progress import stages

    processes = launch(runtime, "fp32", PATIENCE)
    if processes.first:
        with stages() as tick:
            yield processes, tick
        return
    yield processes, lambda _: None
    sys.exit(0)


def opened_there(run: Path, device: "torch.device") -> "Trained":
    """A run or a model file on the device of this process."""
    from fairdraw.trained import Trained

    trained = Trained.open(run, "cpu")
    trained.model.to(device)
    return trained
