"""How much a number would vary with other images: Efron's bootstrap.

It says nothing about other training seeds, whose spread is measured by training again.
"""

from collections.abc import Callable

import numpy as np

REPLICATES = 50


def deviation(
    statistic: Callable[..., float], *samples: np.ndarray, replicates: int = REPLICATES, seed: int = 0
) -> float:
    """The standard deviation of `statistic(*samples)`, each of the `samples` `[N, ...]` drawn anew from its own rows.

    Where a statistic is biased by the number of images, as a Frechet distance is, the replicates are too far off by
    once more that bias; their spread is not.
    """
    generator = np.random.default_rng(seed)
    values = [
        statistic(*(sample[generator.integers(0, len(sample), len(sample))] for sample in samples))
        for _ in range(replicates)
    ]
    return float(np.std(values, ddof=1))
