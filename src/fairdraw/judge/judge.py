"""Every number about some images: how far they lie from real ones, how varied they are, and whether they are copies."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from fairdraw.data import Split
from fairdraw.data.options import counted
from fairdraw.errors import InputError
from fairdraw.judge.appearance import appearance
from fairdraw.judge.classes import class_scores
from fairdraw.judge.distances import distances, manifold_scores
from fairdraw.judge.judgement import Judgement
from fairdraw.judge.score import Score, named
from fairdraw.metrics.classes import seen_by
from fairdraw.metrics.features import Classifies, Features
from fairdraw.metrics.kernel import sums_over_others
from fairdraw.metrics.manifold import balls
from fairdraw.metrics.memorisation import Copying, NearestTraining, TrainingFeatures, copying
from fairdraw.metrics.neighbours import nearest_images
from fairdraw.metrics.networks import features_for
from fairdraw.metrics.number import FEWEST, interval_of_mean, normal_interval, wilson
from fairdraw.order import spread
from fairdraw.share import Share, in_turn

CELLS = 10
BY_PIXELS = 2_000
"""Images whose nearest training image is looked for pixel by pixel; features are compared for all."""
NEAR = 0.001
"""Share of held-out images that are as near to a training image as what counts as a near copy."""
MOST_OF_SLOW = 5_000
"""Training images of which slow features are taken, spread evenly, to look for copies among."""
AT_A_TIME, SLOW_AT_A_TIME = 2_048, 256
"""Images of which features are taken as one task, and where these are slow."""
TOLD_BY = 8
"""Images by which features whose fingerprint does not say all are told from others."""
PARTS = 2
"""Tasks of a search for nearest training images."""

Tick = Callable[[str], None]
"""Called with what comes next."""
Values = tuple[np.ndarray, np.ndarray | None]
"""Features `[N, D]` of images, and P(class | image) `[N, K]` where these classify."""


@dataclass(frozen=True)
class _Real:
    """Features of the real images, by one kind of features, and what is made of them alone.

    `places` are those of the training images whose features are in `train`.
    """

    features: Features
    identity: str
    held_out: np.ndarray
    kernel_sums: np.ndarray
    balls: list[Tensor]
    places: np.ndarray
    train: TrainingFeatures
    null: NearestTraining


class Judge:
    """Compares images with real ones that nobody trained on.

    Args:
        train: what was trained on, to look for copies of.
        held_out: real images to compare with; `most` of them are taken, spread evenly.
        null: real images that are like the training images and not among them: how near fair images come to these.
            Where these are the very images to compare with, half of them are, and half are left to be judged.
        features: what to compare by, or its names; copies are shown by the first.
        most: how many real images to compare with at most.
        seed: of the bootstrap and of random choices.
        share: with several processes, how they share the work: then call `prepare` before the first `judge`.

    Raises:
        InputError: where there are too few images of a kind, and as `features_for`.
    """

    def __init__(
        self,
        train: Split,
        held_out: Split,
        null: Split,
        features: Sequence[Features | str],
        most: int,
        seed: int = 0,
        share: Share = in_turn,
    ) -> None:
        for part in (held_out, null):
            if len(part) < FEWEST:
                raise InputError(f"{part} has too few pictures to judge by: give at least {FEWEST}")
        self.train, self.held_out, self.null = train, held_out, null
        self.features, self.seed = tuple(features_for(features, train)), seed
        apart = null.dataset.fingerprint != held_out.dataset.fingerprint
        halved = not apart and null.name == held_out.name and len(null) >= 2 * FEWEST
        self.places = spread(len(held_out), min(most, len(held_out) // 2) if halved else most)
        compared = held_out.indices[self.places]
        self.spare = np.flatnonzero([True] * len(null) if apart else ~np.isin(null.indices, compared))
        """Places in `null` of images that are not compared with: what a number says of them is its floor."""
        self.share, self.most = share, most
        self._real: dict[str, _Real] = {}
        self._null_pixels: np.ndarray | None = None

    @property
    def against(self) -> str:
        """The real images in words."""
        spread_over = "" if len(self.places) == len(self.held_out) else f", spread over {len(self.held_out):,}"
        part = "" if self.held_out.name == "all" else f"{self.held_out.name} "
        return counted(len(self.places), f"{part}images of {self.held_out.dataset.name}") + spread_over

    def check(self, images: np.ndarray, what: str) -> None:
        """Refuse uint8 `images` `[N, C, H, W]` of which numbers would mean nothing.

        Raises:
            InputError: for another shape, or fewer than 30.
        """
        shape = self.train.dataset.shape
        if images.shape[1:] != shape:
            raise InputError(
                f"{what} have the shape {list(images.shape[1:])}, real ones {list(shape)}: make them equal"
            )
        if len(images) < FEWEST:
            raise InputError(f"{counted(len(images), what)}: too few to judge, give at least {FEWEST}")

    def prepare(self, tick: Tick = lambda _: None) -> None:
        """Find what every judgement needs of real images; all processes at once."""
        for features in self.features:
            self._of(features, tick)
        self._null_distances(tick)

    def distances_by_pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """To the nearest training image, of real images that are compared with and of those of `null`, some of each."""
        return self._to_training(self.held_out, self.places), self._null_distances(lambda _: None)

    def values_of(self, images: np.ndarray) -> list[Values]:
        """What `judge` asks each of the features of uint8 `images` `[N, C, H, W]`; all processes at once."""
        found = []
        for features in self.features:
            chunks = [images[start : start + _step(features)] for start in range(0, len(images), _step(features))]
            made = self.share([partial(_values, features, chunk) for chunk in chunks])
            values, probabilities = zip(*made, strict=True)
            classifies = isinstance(features, Classifies)
            found.append((np.concatenate(values), np.concatenate(probabilities) if classifies else None))
        return found

    def judge(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        tick: Tick = lambda _: None,
        own: np.ndarray | None = None,
        values: Sequence[Values] | None = None,
    ) -> Judgement:
        """All numbers of some images.

        Args:
            images: uint8 `[N, C, H, W]`.
            labels: the names of the classes that were asked for, `[N]`.
            tick: is told what comes next.
            own: of images that are of `null` itself, their places there, `[N]`. An image is as near as itself: every
                other one of them is tested for copies, beside those of `null` that are not.
            values: `values_of` the images, where these are known.

        Raises:
            InputError: as `check`.
        """
        self.check(images, "generated images")
        found: list[Score] = []
        nears: list[NearestTraining] = []
        shares: dict[str, np.ndarray] = {}
        for number, features in enumerate(self.features):
            real = self._of(features, tick)
            tick(f"{features.name} of {len(images):,} images")
            x, probabilities = values[number] if values else _values(features, images)
            if isinstance(features, Classifies):
                assert probabilities is not None
                # In any order but theirs: of images that come by class, each split of the score would hold one class.
                seen = seen_by(probabilities[np.random.default_rng(self.seed).permutation(len(probabilities))])
                shares[features.name] = seen.shares
                found += class_scores(features, seen, probabilities, labels)
            tick(f"numbers by {features.name}")
            near = real.train.nearest(x)
            found += [*self._distances(real, x), *self._copies(real, near, own)]
            nears.append(replace(near, places=real.places[near.places]))
        tick("patches and structure")
        found += appearance(self.held_out.images(self.places), images, self.seed)
        tick("nearest training images by pixels")
        return Judgement((*found, *self._pixels(images, own)), nears[0], shares)

    def identities(self) -> list[str]:
        """Of the features, as they say themselves: equal ones make the same numbers of all images."""
        return [self._of(features, lambda _: None).identity for features in self.features]

    def null_closeness(self) -> np.ndarray:
        """How close held-out images come to training images, by the first of the features; as `Judgement.near`."""
        return self._of(self.features[0], lambda _: None).null.closeness

    def _of(self, features: Features, tick: Tick) -> _Real:
        if features.name not in self._real:
            tick(f"{features.name} of real images")
            identity = features.identity(self.held_out.images(self.places[:TOLD_BY]))  # refuses what is drawn
            x = self._features_of(features, self.held_out, self.places)
            if (x == x[0]).all():
                raise InputError(f"{features.name} are the same for all {len(x):,} real images: they tell nothing")
            places = spread(len(self.train), MOST_OF_SLOW if features.slow else len(self.train))
            train = TrainingFeatures(self._features_of(features, self.train, places), CELLS, self.seed)
            null = train.nearest(self._features_of(features, self.null, spread(len(self.null), self.most)))
            self._real[features.name] = _Real(features, identity, x, sums_over_others(x), balls(x), places, train, null)
        return self._real[features.name]

    def _features_of(self, features: Features, part: Split, places: np.ndarray) -> np.ndarray:
        """Of the images of `part` at `places`, `[N, D]`; some at a time are in memory."""

        def of(chunk: np.ndarray) -> np.ndarray:
            return features.of(part.images(chunk))

        step = _step(features)
        chunks = [places[start : start + step] for start in range(0, len(places), step)]
        return np.concatenate(self.share([partial(of, chunk) for chunk in chunks]))

    def _null_distances(self, tick: Tick) -> np.ndarray:
        """From held-out images to the nearest training image, by pixels."""
        if self._null_pixels is None:
            tick("nearest training images of real images by pixels")
            self._null_pixels = self._to_training(self.null, np.arange(len(self.null)))
        return self._null_pixels

    def _to_training(self, part: Split, places: np.ndarray) -> np.ndarray:
        def of(chunk: np.ndarray) -> np.ndarray:
            return nearest_images(part.images(places[chunk]), self.train)[1]

        chunks = np.array_split(spread(len(places), BY_PIXELS), PARTS)
        return np.concatenate(self.share([partial(of, chunk) for chunk in chunks]))

    def _distances(self, real: _Real, values: np.ndarray) -> Iterator[Score]:
        yield from distances(real.features, real.held_out, values, self.seed, real.kernel_sums)
        yield from manifold_scores(real.features, real.held_out, values, real.balls)

    def _copies(self, real: _Real, near: NearestTraining, own: np.ndarray | None) -> Iterator[Score]:
        among = f"nearest among {len(real.places):,} of {len(self.train):,} training images"
        flag = "; ".join([*filter(None, [self._null_flag]), *([among] if len(real.places) < len(self.train) else [])])
        tested, beside = self._apart(np.arange(len(near.distances)), self.most, own)
        q, p = near.of(tested), real.null.of(beside)

        def score(kind: str, value: float, interval: tuple[float, float] | None, count: int = len(tested)) -> Score:
            return Score(kind, named(kind, real.features), value, interval, count, int(beside.sum()), flag)

        if min(len(tested), beside.sum()) >= FEWEST:
            whole = copying(q.in_one_cell, p.in_one_cell)
            yield score("C_T", whole.statistic, normal_interval(whole.statistic, whole.deviation))
            in_cells = self._in_cells(q, p)
            if in_cells:
                yield score("C_T in cells", in_cells.statistic, normal_interval(in_cells.statistic, in_cells.deviation))
            yield score("nearer than held-out", whole.nearer, whole.interval)
        authentic, count = float(near.authentic.mean()), len(near.distances)
        yield score("authentic", authentic, wilson(authentic, count), count)

    def _apart(self, rows: np.ndarray, most: int, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Which of the images at `rows` to test for copies, and beside which of `most` images of `null`, as a mask."""
        places = spread(len(self.null), most)
        if own is None:
            return rows, np.ones(len(places), bool)
        tested = rows[::2]
        return tested, ~np.isin(places, own[tested])

    def _in_cells(self, near: NearestTraining, null: NearestTraining) -> Copying | None:
        try:
            return copying(near, null)
        except InputError:  # no cell has enough of both, as where all images are alike
            return None

    @property
    def null_is_of_training_data(self) -> bool:
        """Whether they were set apart from the training images, and are compared with nothing."""
        return self.null.name == "validation" and self.null.dataset is self.train.dataset

    @property
    def _null_flag(self) -> str:
        if self.null_is_of_training_data:
            return ""
        return "the held-out images are those that it is compared with, which may differ from training by their origin"

    def _pixels(self, images: np.ndarray, own: np.ndarray | None) -> Iterator[Score]:
        chosen = spread(len(images), BY_PIXELS)
        distances = np.full(len(images), np.nan)
        distances[chosen] = nearest_images(images[chosen], self.train)[1]
        tested, beside = self._apart(chosen, BY_PIXELS, own)
        null = self._null_distances(lambda _: None)[beside]

        def share(kind: str, true: np.ndarray, flag: str) -> Score:
            return Score(kind, kind, float(true.mean()), interval_of_mean(true), len(true), len(null), flag)

        yield share("exact copies", distances[chosen] == 0, self._null_flag)
        if min(len(tested), len(null)) >= FEWEST:
            border, near = float(np.quantile(null, NEAR)), distances[tested]
            few = len(null) < 1 / NEAR
            coarse = f"{len(null):,} held-out images are few: the nearest of them is the border" if few else ""
            flag = "; ".join(filter(None, [self._null_flag, coarse]))
            yield share("near copies", (near < border) | (near == 0), flag)


def _step(features: Features) -> int:
    return SLOW_AT_A_TIME if features.slow else AT_A_TIME


def _values(features: Features, images: np.ndarray) -> Values:
    return features.judged(images) if isinstance(features, Classifies) else (features.of(images), None)
