"""How far draws lie from one another, beside how far data do: a generator that has collapsed repeats itself."""

import numpy as np


def diversity(draws: np.ndarray, data: np.ndarray) -> dict[str, float]:
    """Distances within the uint8 `draws` `[N, C, H, W]`, as shares of those within as many of `data`.

    `spread` is of the root mean squared pixel distance of two images, which falls where all draws are alike. `nearest`
    is of the median distance from an image to the nearest other one, which also falls where there are a few kinds of
    draws, however far apart these are. Both are about 1 for draws like the data, and depend on how many there are.

    Raises:
        ValueError: for fewer than two images of a kind.
    """
    count = min(len(draws), len(data))
    if count < 2:
        raise ValueError(f"{len(draws)} draws beside {len(data)} images: a distance needs two of each")
    ours, theirs = _distances(draws[:count]), _distances(data[:count])
    return {name: ours[name] / theirs[name] if theirs[name] else 1.0 for name in ours}


def _distances(images: np.ndarray) -> dict[str, float]:
    x = images.reshape(len(images), -1).astype(np.float64)
    squared_norms = (x**2).sum(1)
    squared = np.maximum(squared_norms[:, None] + squared_norms - 2 * x @ x.T, 0)
    spread = (squared.sum() / (len(x) * (len(x) - 1))) ** 0.5
    np.fill_diagonal(squared, np.inf)
    return {"spread": float(spread), "nearest": float(np.median(squared.min(1)) ** 0.5)}
