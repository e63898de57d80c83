"""Search for the few pixels of an image that change a judge's mind, by differential evolution or at random.

What is searched, and how it differs from the paper's search, stands in `fairdraw.metrics.one_pixel`.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from fairdraw.errors import InputError

MUTATION = 0.5
"""The paper's F."""
LEVELS = (128.0, 127.0)
"""Mean and standard deviation of the first levels."""
FEWEST_CANDIDATES = 6
"""scipy takes five others for each child."""

Loss = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Of the place of an image, and changed ones `[S, C, H, W]`: the judge's answers on these `[S, ...]`, what the search
makes less `[S]`, and where it has succeeded, bool `[S]`."""


@dataclass(frozen=True)
class Search:
    """How long is searched; the defaults are the paper's.

    Args:
        pixels: d, the most that may change.
        population: candidates of a generation, which the judge is asked about at once.
        generations: after the first one.
        seed: of all draws; each image has its own, by its place.

    Raises:
        InputError: for a number that is too small.
    """

    pixels: int = 1
    population: int = 400
    generations: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("pixels", 1), ("population", FEWEST_CANDIDATES), ("generations", 0), ("seed", 0)):
            if type(value := getattr(self, name)) is not int or value < least:
                raise InputError(f"{name} is {value!r}; give a whole number from {least} up")

    @property
    def budget(self) -> int:
        """Queries for an image, at the most."""
        return self.population * (self.generations + 1)


@dataclass(frozen=True)
class Attacked:
    """What was found for each of the M images that were attacked."""

    rows: np.ndarray
    """`[M]`: their places among the images given."""
    images: np.ndarray
    """uint8 `[M, C, H, W]`: the changed image that ended the search, or else the best one."""
    answers: np.ndarray
    """`[M, K]` or `[M]`: the judge's answers on them."""
    success: np.ndarray
    """bool `[M]`."""
    queries: np.ndarray
    """`[M]`: until success, in whole generations; the budget where there was none."""


def changed(image: np.ndarray, candidates: np.ndarray, pixels: int) -> np.ndarray:
    """The uint8 `image` `[C, H, W]` as each of `candidates` `[S, pixels * (2 + C)]` changes it, `[S, C, H, W]`.

    A pixel is its row, its column, and its levels; of two on one place the later one stays.
    """
    found = np.repeat(image[None], len(candidates), axis=0)
    which = np.arange(len(candidates))
    for pixel in np.split(candidates, pixels, axis=1):
        row, column = (np.minimum(pixel[:, axis].astype(int), image.shape[1 + axis] - 1) for axis in (0, 1))
        found[which, :, row, column] = pixel[:, 2:].round().astype(np.uint8)
    return found


class _Ended(Exception):
    """No error: how a search leaves scipy's loop as soon as it has succeeded."""


class _Hunt:
    """The search on one image: what was asked, and the best that was found."""

    def __init__(self, loss: Loss, row: int, image: np.ndarray, search: Search):
        self.loss, self.row, self.image, self.search = loss, row, image, search
        self.asked, self.queries, self.success, self.lowest = 0, search.budget, False, np.inf
        self.best, self.answer = image, np.empty(0)

    def ask(self, candidates: np.ndarray, stop: bool) -> np.ndarray:
        images = changed(self.image, candidates, self.search.pixels)
        answers, losses, success = self.loss(self.row, images)
        self.asked += len(candidates)
        place = int(np.lexsort((losses, ~success))[0])
        if success[place] and not self.success:
            # Any success is better than the best failure.
            self.queries, self.success, self.lowest = self.asked, True, np.inf
        if success[place] >= self.success and losses[place] < self.lowest:
            self.lowest, self.best, self.answer = losses[place], images[place], answers[place]
        if stop and self.success:
            raise _Ended
        return losses


def attacked(
    loss: Loss,
    images: np.ndarray,
    rows: np.ndarray,
    search: Search,
    evolve: bool,
    stop: bool,
) -> Attacked:
    """Search for each of the `rows` of uint8 `images` `[N, C, H, W]`.

    Args:
        loss: what is made less.
        images: all of them.
        rows: which of them.
        search: how long.
        evolve: by differential evolution, or else at random.
        stop: whether success ends the search.
    """
    hunts = []
    for row in rows.tolist():
        hunt = _Hunt(loss, row, images[row], search)
        with suppress(_Ended):
            (_evolve if evolve else _search_at_random)(hunt, stop)
        hunts.append(hunt)
    return Attacked(
        rows,
        *(np.stack([getattr(hunt, name) for hunt in hunts]) for name in ("best", "answer", "success", "queries")),
    )


def _evolve(hunt: _Hunt, stop: bool) -> None:
    from scipy.optimize import differential_evolution  # takes a moment, and few evaluations attack

    search, shape = hunt.search, hunt.image.shape
    bounds = ([(0, shape[1]), (0, shape[2])] + [(0, 255)] * shape[0]) * search.pixels
    try:
        differential_evolution(
            lambda columns: hunt.ask(columns.T, stop),
            bounds,
            strategy="rand1bin",
            mutation=MUTATION,
            recombination=1,  # every coordinate of a child is a mutated one: no crossover
            init=_drawn(np.random.default_rng((search.seed, hunt.row)), search, shape),
            maxiter=search.generations,
            tol=0,
            atol=-1,  # candidates that are all alike are no reason to stop: the budget is that of the control
            polish=False,
            updating="deferred",
            vectorized=True,
            rng=np.random.default_rng((search.seed, hunt.row, 1)),
        )
    except RuntimeError as error:
        # scipy takes a ValueError of the judge for a wrong number of answers, and hides it behind a line of its own.
        raise (error.__cause__ if isinstance(error.__cause__, ValueError) else error) from None


def _search_at_random(hunt: _Hunt, stop: bool) -> None:
    search, shape = hunt.search, hunt.image.shape
    hunt.ask(_drawn(np.random.default_rng((search.seed, hunt.row)), search, shape), stop)
    rng = np.random.default_rng((search.seed, hunt.row, 2))
    for _ in range(search.generations):
        hunt.ask(_drawn(rng, search, shape), stop)


def _drawn(rng: np.random.Generator, search: Search, shape: tuple[int, ...]) -> np.ndarray:
    """Candidates as the first generation has them."""
    places = rng.uniform(0, shape[1:], (search.population, search.pixels, 2))
    levels = rng.normal(*LEVELS, (search.population, search.pixels, shape[0])).clip(0, 255)
    return np.concatenate([places, levels], axis=2).reshape(search.population, -1)
