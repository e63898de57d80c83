"""Two or more ways of doing the same work, interleaved A B A B in one process, with the ratio pair by pair.

Absolute figures drift with whatever else the machine does; a ratio of neighbours in time does not.
"""

import statistics
import time
from collections.abc import Callable


def compare(ways: dict[str, Callable[[], int]], rounds: int = 7, digits: int = 0) -> dict[str, float]:
    """Run each way once as a warm-up, then `rounds` times in turn; prints and returns medians relative to the first.

    A way returns how many images it worked through.
    """
    for way in ways.values():
        way()
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            images = way()
            rates[name].append(images / (time.perf_counter() - start))
    base = next(iter(rates.values()))
    print(f"{'':32} {'images/s':>10} {'min':>10} {'max':>10} {'ratio':>7} {'min':>6} {'max':>6}")
    medians = {}
    for name, found in rates.items():
        ratios = [a / b for a, b in zip(found, base, strict=True)]
        medians[name] = statistics.median(ratios)
        print(
            f"{name:32} {statistics.median(found):10,.{digits}f} {min(found):10,.{digits}f} {max(found):10,.{digits}f} "
            f"{medians[name]:7.2f} {min(ratios):6.2f} {max(ratios):6.2f}"
        )
    return medians
