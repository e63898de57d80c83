"""The order of the data: image number `i` of a training is entry `i mod N` of the permutation of epoch `i div N`.

A function of (seed, image number) alone: no loader state to save, no partial batch to drop, and every image is seen
once in each epoch whatever the batch size and the number of processes.
"""

from functools import lru_cache

import numpy as np


def positions(seed: int, first: int, count: int, size: int, stream: int = 0) -> np.ndarray:
    """Positions in a set of `size` images of the images numbered `first` to `first + count - 1`, int64 `[count]`.

    Sets that are gone through side by side have a `stream` each, so that their orders know nothing of one another.
    """
    numbers = np.arange(first, first + count)
    found = np.empty(count, np.int64)
    epochs = numbers // size
    for epoch in range(epochs[0], epochs[-1] + 1):
        now = epochs == epoch
        found[now] = _permutation(seed, epoch, size, stream)[numbers[now] - epoch * size]
    return found


def spread(size: int, count: int) -> np.ndarray:
    """At most `count` positions spread evenly over a set of `size`, always the same: a set may be sorted by label."""
    return np.linspace(0, size - 1, min(size, count)).astype(np.int64)


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, size: int, stream: int) -> np.ndarray:
    entropy = [seed % 2**64, epoch, stream] if stream else [seed % 2**64, epoch]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy))).permutation(size)
