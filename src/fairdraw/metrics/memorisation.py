"""Whether generated images are copies of training images, as a number: a copyist has the best of all distances.

Meehan, Chaudhuri & Dasgupta, "A non-parametric test to detect data-copying in generative models", AISTATS 2020
(arXiv:2004.05675): with the distances to the nearest training image of generated images Q and of held-out images P, in
each cell of a partition of the space,

    Z_U = (U - nm/2) / sqrt(nm (n + m + 1) / 12),   C_T = sum_cells P(cell) Z_U(cell) / sum_cells P(cell)

with Mann and Whitney's U, how often an image of Q is farther than one of P. Far below 0: copies; far above: images that
lie farther from the training images than real ones do. Held-out images must be like the training images, so they are
best held out from the same set: the official test digits of MNIST alone give +3.85 against its training digits.

Alaa et al., "How faithful is your synthetic data?", ICML 2022 (arXiv:2102.08921), section 3.3: an image is authentic
if it is farther from its nearest training image than that one is from the nearest other training image; of two training
images that are equal, a copy is not.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.cluster import KMeans

from fairdraw.errors import InputError
from fairdraw.metrics.distances import nearest
from fairdraw.metrics.features import check_features
from fairdraw.metrics.number import FEWEST, wilson

FEWEST_OF_A_CELL = 20
"""Held-out and generated images that a cell needs for its U to be about normal."""
FITTED = 10_000
"""Training images, spread over the set, that the cells are made of."""


class Copying(NamedTuple):
    """How near generated images come to the training images, beside held-out ones.

    Args:
        statistic: C_T, the mean over the cells of what has a standard deviation of 1 in each for a fair model.
        deviation: of the statistic for a fair model: 1 in one cell, less of several, whose chances even out.
        nearer: the chance that a generated image is nearer to its nearest training image than a held-out one is to
            its own; half for a fair model. Ties count half.
        interval: of `nearer`, 95 % over images.
    """

    statistic: float
    deviation: float
    nearer: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class NearestTraining:
    """The nearest training image of each of some images.

    Args:
        places: in the training images, `[N]`.
        distances: to it, `[N]`.
        own: from it to the nearest other training image, `[N]`.
        cells: the cell of the partition that each image is in, `[N]`.
    """

    places: np.ndarray
    distances: np.ndarray
    own: np.ndarray
    cells: np.ndarray

    def of(self, rows: np.ndarray) -> "NearestTraining":
        """The same of some of the images alone, by a mask or by places."""
        return NearestTraining(self.places[rows], self.distances[rows], self.own[rows], self.cells[rows])

    @property
    def in_one_cell(self) -> "NearestTraining":
        """The same without a partition."""
        return replace(self, cells=np.zeros_like(self.cells))

    @property
    def authentic(self) -> np.ndarray:
        """Whether each image is authentic, `[N]`: farther from a training image than another training image is."""
        return self.distances > self.own

    @property
    def closeness(self) -> np.ndarray:
        """Distance as a share of that which training images have among themselves there, `[N]`; 0 for a copy."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.distances == 0, 0.0, self.distances / self.own)


class TrainingFeatures:
    """Features of training images, to look for copies among.

    Args:
        features: `[N, D]`.
        cells: how many cells to divide the space into by k-means, for C_T.
    """

    def __init__(self, features: np.ndarray, cells: int = 1, seed: int = 0) -> None:
        check_features(features, features, max(2, cells), "a search for copies")
        self._x = torch.from_numpy(features).double()
        self._own = torch.full((len(features),), torch.nan, dtype=torch.float64)  # found when first asked for
        self._cells: KMeans | None = None
        if cells > 1:
            places = np.linspace(0, len(features) - 1, min(len(features), FITTED)).astype(int)
            self._cells = KMeans(cells, n_init=1, random_state=seed % 2**32).fit(features[places].astype(np.float64))

    def nearest(self, features: np.ndarray) -> NearestTraining:
        """The nearest training image of images with `features` `[N, D]`.

        Raises:
            InputError: for another width, NaN or infinity.
        """
        check_features(self._x.numpy(), features, 1, "a search for copies")
        query = torch.from_numpy(features).double()
        places, distances = nearest(query, self._x)
        unknown = torch.unique(places[self._own[places].isnan()])
        if len(unknown):
            self._own[unknown] = nearest(self._x[unknown], self._x, left_out=unknown)[1]
        cells = np.zeros(len(features), int) if self._cells is None else self._cells.predict(query.numpy())
        return NearestTraining(places.numpy(), distances.numpy(), self._own[places].numpy(), cells)


def copying(generated: NearestTraining, held_out: NearestTraining) -> Copying:
    """C_T of generated images, with held-out images as the null.

    A cell with fewer than 20 images of a kind is left out.

    Raises:
        InputError: for fewer than 30 images of a kind, or where no cell has enough.
    """
    for kind, found in (("generated", generated), ("held-out", held_out)):
        if len(found.distances) < FEWEST:
            raise InputError(f"{len(found.distances)} {kind} images are too few to test for copies: {FEWEST} at least")
    total, weight, squares = 0.0, 0.0, 0.0
    for cell in np.unique(held_out.cells):
        q, p = generated.distances[generated.cells == cell], held_out.distances[held_out.cells == cell]
        if min(len(q), len(p)) >= FEWEST_OF_A_CELL:
            share = len(p) / len(held_out.cells)
            total, weight, squares = total + share * _standardised(q, p), weight + share, squares + share**2
    if not weight:
        raise InputError(f"no cell has {FEWEST_OF_A_CELL} generated and as many held-out images: give more images")
    nearer, variance = _nearer(generated.distances, held_out.distances)
    fewest = min(len(generated.distances), len(held_out.distances))
    effective = nearer * (1 - nearer) / variance if variance else fewest
    return Copying(total / weight, squares**0.5 / weight, nearer, wilson(nearer, effective))


def _standardised(q: np.ndarray, p: np.ndarray) -> float:
    """Z_U: positive where `q` are greater."""
    n, m = len(q), len(p)
    ranks = rankdata(np.concatenate([q, p]))
    u = ranks[:n].sum() - n * (n + 1) / 2
    return float((u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5)


def _nearer(q: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """P(q < p) + P(q = p) / 2, and its variance by DeLong's placements."""

    def placed(values: np.ndarray, among: np.ndarray) -> np.ndarray:
        """The share of `among` that is greater than each of `values`, ties half."""
        among = np.sort(among)
        below = np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")
        return 1 - below / (2 * len(among))

    of_q, of_p = placed(q, p), 1 - placed(p, q)
    variance = of_q.var(ddof=1) / len(q) + of_p.var(ddof=1) / len(p)
    return float(of_q.mean()), float(variance)
