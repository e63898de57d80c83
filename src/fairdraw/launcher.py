"""What the launcher's environment says, read before torch is imported."""

import os


def launcher_rank() -> int:
    """This process's rank as torchrun, SLURM or Fabric's own launcher tells it; 0 without one."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if name in os.environ:
            return int(os.environ[name])
    return 0


def threads_of_environment() -> int:
    """The first number of `OMP_NUM_THREADS`, which may be a list for nested levels; 0 without one."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdigit() else 0


def share_the_machine() -> None:
    """Make torch's threads yield the processor soon while they wait for one another.

    By default they spin, and one busy neighbour then makes two threads several times slower than one. Has an effect
    only before torch is imported, and leaves a choice that the user has made alone.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = SPINS


SPINS = "1000"
"""Long enough to keep nearly all of the speed of convolutions alone, short enough to keep half beside a neighbour."""
