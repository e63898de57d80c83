"""How brittle a judge is: does it say something else when one pixel of an image, or a few, are changed?

Su, Vargas & Sakurai, "One pixel attack for fooling deep neural networks", IEEE TEVC 2019 (arXiv:1710.08864): for each
image, differential evolution over the places and levels of d pixels, which needs nothing of the judge but its answers.
As in the paper: 400 candidates, places uniform and levels normal (128, 127) at the start, a child is the sum of one
candidate and F = 0.5 times the difference of two others, it replaces its parent if it is better, 100 generations.

Differences, each with its reason:

* Untargeted: what is minimised is the probability of the true class, and any other class that becomes more probable is
  a success, which ends the search. The paper aims at one class after the other, and goes on until the class has 90 %
  (CIFAR-10). So more images succeed here than by one target, and the confidence after success is lower.
* A coordinate that leaves the image, or a level that leaves 0 to 255, is drawn anew, uniformly: that is what scipy does
  with its bounds, and the paper does not say. The first levels are clipped, so 16 % each are black and white.
* scipy draws the three parents of a child without the candidate that it may replace, and without repetition; the
  paper's formula only calls them random.
* Candidates have real coordinates, and are cut to a pixel and rounded to a level where the judge is asked. Grey images
  have one level for each pixel in place of three. Two pixels may fall on one place, and a new level may be the old one:
  d is the most that differ.
* Images that the judge gets wrong from the start are left out, and counted.

The control is a random search over candidates as the first generation has them, with the same budget of queries for
each image, the same end at success, and the very same first generation: without a second one, the two are the same.
It is not cut to the queries that the evolution took: that would count the evolution's luck for skill.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fairdraw.errors import InputError
from fairdraw.metrics.number import Number
from fairdraw.metrics.pixel_search import Attacked, Search, attacked

AS_THE_PAPER = Search()

Judge = Callable[[np.ndarray], np.ndarray]
"""Answers `[N, K]` or `[N]` on uint8 images `[N, C, H, W]`."""


@dataclass(frozen=True)
class OnePixel:
    """How often a judge was fooled, beside a random search with the same budget.

    Args:
        search: how it was searched.
        rate: share of the attacked images on which the attack succeeded, with Wilson's interval.
        control: the same of the random search.
        queries: mean over images, in whole generations, until success or the end.
        control_queries: the same of the random search.
        excluded: images that were not attacked, since there was nothing to win.
        found: by the attack, for each image.
        found_by_control: by the random search.
    """

    search: Search
    rate: Number
    control: Number
    queries: float
    control_queries: float
    excluded: int
    found: Attacked = field(repr=False, compare=False)
    found_by_control: Attacked = field(repr=False, compare=False)

    def __str__(self) -> str:
        low, high = self.control.interval or (0, 0)
        return (
            f"{self.rate}; random search with the same budget {self.control.value:.4f} ({low:.4f} to {high:.4f}); "
            f"{self.queries:,.0f} queries for an image on average (random search {self.control_queries:,.0f}) of "
            f"{self.search.budget:,} at the most"
        )


@dataclass(frozen=True)
class ClassifierAttack(OnePixel):
    """Of a classifier; `excluded` are the images that were misclassified from the start.

    Args:
        confidence: mean probability of the class that won, over successes. The search stops as soon as one wins, so
            this is how sure the judge is just behind its border.
    """

    confidence: float | None

    def __str__(self) -> str:
        sure = "" if self.confidence is None else f"; confidence after success {self.confidence:.3f}"
        return f"{super().__str__()}{sure}; {self.excluded:,} left out that were misclassified from the start"


@dataclass(frozen=True)
class RealnessAttack(OnePixel):
    """Of a discriminator; success is a generated image judged as real as the median real one.

    It does not end at success, so that `moved` is what the whole budget gains. `excluded` are the generated images
    that were as real from the start.

    Args:
        gap: from the median generated image that was attacked to the median real one, in realness.
        moved: mean rise of realness.
        control_moved: the same of the random search.
    """

    gap: float
    moved: Number
    control_moved: Number

    def __str__(self) -> str:
        return (
            f"{super().__str__()}; {self.moved}, {self.moved.value / self.gap:.2f} of the gap of {self.gap:.4f} "
            f"between the medians (random search {self.control_moved.value / self.gap:.2f}); {self.excluded:,} left "
            "out that were as real from the start"
        )


def attack_classifier(
    probabilities: Judge, images: np.ndarray, labels: np.ndarray, search: Search = AS_THE_PAPER, *, on: str
) -> ClassifierAttack:
    """Attack a classifier on each of the images that it gets right.

    Args:
        probabilities: P(class | image), `[N, K]`, of uint8 images `[N, C, H, W]`.
        images: such images.
        labels: their classes, whole numbers below K, `[N]`.
        search: how long.
        on: which images these are, in words, such as "test images of digits".

    Raises:
        InputError: for other images, labels or answers, more pixels than there are, or where every image is
            misclassified.
    """
    _check_images(images, search)
    before = _asked(probabilities, images, 2)
    count, classes = before.shape
    whole = labels.shape == (count,) and np.issubdtype(labels.dtype, np.integer)
    if not whole or not 0 <= labels.min() <= labels.max() < classes:
        raise InputError(f"labels must be {count:,} whole numbers from 0 to {classes - 1}, one for each image")
    rows = np.flatnonzero(~_fooled(before, labels))
    if not len(rows):
        raise InputError(f"all {count:,} images are misclassified from the start: there is nothing to attack")

    def loss(row: int, changed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        answers = _asked(probabilities, changed, 2)
        return answers, answers[:, labels[row]], _fooled(answers, labels[row])

    found, control = (attacked(loss, images, rows, search, evolve, True) for evolve in (True, False))
    sure = float(found.answers[found.success].max(1).mean()) if found.success.any() else None
    numbers = _numbers(found, control, search, f"{on} that it gets right")
    return ClassifierAttack(search, *numbers, count - len(rows), found, control, sure)


def attack_realness(
    realness: Judge, generated: np.ndarray, real: np.ndarray, search: Search = AS_THE_PAPER, *, on: str
) -> RealnessAttack:
    """Attack a discriminator on generated images, for each of which it is asked as often as the budget says.

    Args:
        realness: `[N]`, of uint8 images `[N, C, H, W]`; larger is more real.
        generated: such images.
        real: real ones, whose median realness is what counts as success.
        search: how long.
        on: which images the generated ones are, in words, such as "draws of seed 0".

    Raises:
        InputError: for other images or answers, more pixels than there are, or where every generated image is as real
            from the start.
    """
    _check_images(generated, search)
    _check_images(real, search)
    before, goal = _asked(realness, generated, 1), float(np.median(_asked(realness, real, 1)))
    rows = np.flatnonzero(before < goal)
    if not len(rows):
        raise InputError(
            f"all {len(before):,} generated images are as real as the median real one: there is nothing to attack"
        )

    def loss(_: int, changed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        answers = _asked(realness, changed, 1)
        return answers, -answers, answers >= goal

    found, control = (attacked(loss, generated, rows, search, evolve, False) for evolve in (True, False))
    on = f"{on} that it finds less real than the median real one"
    moved, control_moved = (
        Number.mean(f.answers - before[rows], name="mean rise", unit="of realness", on=on, baselines={})
        for f in (found, control)
    )
    gap = goal - float(np.median(before[rows]))
    numbers = _numbers(found, control, search, on)
    return RealnessAttack(search, *numbers, len(before) - len(rows), found, control, gap, moved, control_moved)


def _numbers(found: Attacked, control: Attacked, search: Search, on: str) -> tuple[Number, Number, float, float]:
    name = f"success of the {search.pixels}-pixel attack"
    return (
        Number.share(found.success, name=name, on=on),
        Number.share(control.success, name="success of the random search", on=on),
        float(found.queries.mean()),
        float(control.queries.mean()),
    )


def _fooled(answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether another class is more probable than the true one; one that is as probable is no success."""
    true = answers[np.arange(len(answers)), labels]
    found: np.ndarray = answers.max(1) > true
    return found


def _asked(judge: Judge, images: np.ndarray, dimensions: int) -> np.ndarray:
    answers = np.asarray(judge(images), dtype=np.float64)
    if answers.ndim != dimensions or len(answers) != len(images) or (dimensions == 2 and answers.shape[1] < 2):
        wanted = "[images, 2 or more classes]" if dimensions == 2 else "[images]"
        raise InputError(f"the judge answers {list(answers.shape)} on {len(images):,} images: it must be {wanted}")
    if not np.isfinite(answers).all():
        raise InputError("the judge's answers are not all finite: an attack on it would mean nothing")
    return answers


def _check_images(images: np.ndarray, search: Search) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
        raise InputError(f"images are {images.dtype} of the shape {list(images.shape)}: give uint8 [N, C, H, W]")
    if search.pixels > images.shape[2] * images.shape[3]:
        raise InputError(f"{search.pixels} pixels are more than images of {images.shape[2]}x{images.shape[3]} have")
