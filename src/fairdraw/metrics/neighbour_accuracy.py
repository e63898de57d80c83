"""How well labels can be told from where images lie in a map."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from fairdraw.metrics.number import Number

NEIGHBOURS = 5


def guesses(points: np.ndarray, labels: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """For each of `points` `[N, D]` the commonest label among its nearest others, `[N]`; of a tie, the nearest's.

    Raises:
        ValueError: when there are no more points than `neighbours`.
    """
    around = labels[NearestNeighbors(n_neighbors=neighbours).fit(points).kneighbors(return_distance=False)]
    votes = (around[:, :, None] == around[:, None, :]).sum(2)
    # argmax takes the first of equals, and neighbours come in the order of their distance
    chosen: np.ndarray = np.take_along_axis(around, votes.argmax(1)[:, None], axis=1)[:, 0]
    return chosen


def neighbour_accuracy(points: np.ndarray, labels: np.ndarray, *, where: str, on: str) -> Number:
    """Accuracy in % of guessing each label from the nearest other points (leave-one-out).

    Args:
        points: `[N, D]`.
        labels: `[N]`.
        where: the space of the points, in words.
        on: which images.
    """
    right = 100.0 * (guesses(points, labels) == labels)
    commonest = 100 * np.unique(labels, return_counts=True)[1].max() / len(labels)
    note = f"leave-one-out; always the commonest label: {commonest:.2f} %"
    return Number.mean(
        right, name=f"{NEIGHBOURS}-nearest-neighbour accuracy in {where}", unit="%", on=on, note=note, baselines={}
    )
