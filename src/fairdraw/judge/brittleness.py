"""How far a judge can be relied on: how often it is right about real images, and whether one pixel changes its mind."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from fairdraw.data import Split
from fairdraw.data.options import counted
from fairdraw.errors import InputError
from fairdraw.judge.probe import Probe
from fairdraw.metrics.features import Classifies, Features
from fairdraw.metrics.number import Number
from fairdraw.metrics.one_pixel import OnePixel, attack_classifier, attack_realness
from fairdraw.metrics.pixel_search import Search
from fairdraw.metrics.realness import realness
from fairdraw.model import Model
from fairdraw.order import spread

GENERATIONS = 20
"""Of the attack: the paper's 100 take five times as long, and few images that are turned at all are turned late."""
COLUMNS = "the attack", "random search"

Accuracies = Mapping[str, Number | None]
"""By the name of each classifier: how often it is right; None where the images have no labels that it knows."""


def accuracies(features: Sequence[Features], part: Split, places: np.ndarray) -> Accuracies:
    """How often each classifier among `features` is right about the images of `part` at `places`."""
    return {judge.name: _accuracy(judge, part, places) for judge in features if isinstance(judge, Classifies)}


def accuracy_of(score: str, known: Accuracies) -> tuple[bool, Number | None]:
    """Whether a classifier makes the number called `score`, as `FD(digits)`, and how often it is right."""
    for name, accuracy in known.items():
        if f"({name})" in score:
            return True, accuracy
    return False, None


def _accuracy(judge: Classifies, part: Split, places: np.ndarray) -> Number | None:
    truth = _truth(judge, part, places)
    if truth is None:
        return None
    right = judge.judged(part.images(places))[1].argmax(1) == truth
    number = Number.share(right, name=f"accuracy of {judge.name}", on=_words(part))
    note = "; ".join(filter(None, (number.note, f"it was trained on {judge.learned_from}")))
    return Number(number.name, number.value, number.interval, number.unit, number.count, number.on, note)


def _truth(judge: Classifies, part: Split, places: np.ndarray) -> np.ndarray | None:
    """The place of each image's label among the classes of `judge`, `[N]`."""
    names, classes = part.dataset.label_names, list(judge.classes)
    if part.labels is None or not names or not set(names) <= set(classes):
        return None
    found: np.ndarray = np.array([classes.index(name) for name in names])[part.labels[places]]
    return found


def classifier_attacks(
    features: Sequence[Features], part: Split, places: np.ndarray, count: int, seed: int
) -> Iterator[Probe]:
    """The one-pixel attack on each classifier, on `count` images of `part` at `places` that it gets right."""
    for judge in features:
        if not isinstance(judge, Classifies):
            continue
        title = f"One pixel against the classifier {judge.name}"
        truth = _truth(judge, part, places)
        if truth is None:
            yield Probe(title, f"The images of {part.dataset.name} have no labels that it knows: not attacked.")
            continue
        right = np.flatnonzero(judge.judged(part.images(places))[1].argmax(1) == truth)
        chosen = right[spread(len(right), count)]
        if not len(chosen):
            yield Probe(title, "It is right about none of the images: there is nothing to attack.")
            continue
        images = part.images(places[chosen])
        found = attack_classifier(partial(_probabilities, judge), images, truth[chosen], _search(seed), on=_words(part))
        sure = "" if found.confidence is None else f" Just behind the border it is {found.confidence:.2f} sure."
        yield Probe(
            title,
            f"{counted(len(chosen), 'real images')} that it gets right, spread evenly; success is that another class "
            f"becomes more probable when one pixel is changed. {_cost(found)}{sure}",
            COLUMNS,
            ((found.rate, found.control),),
        )


def discriminator_attack(model: Model, draws: np.ndarray, real: np.ndarray, count: int, seed: int) -> Probe:
    """The one-pixel attack on the model's own discriminator, on the first `count` of its `draws`."""
    title, on = "One pixel against the model's own discriminator", f"draws of seed {seed}"
    try:
        found = attack_realness(partial(realness, model), draws[:count], real, _search(seed), on=on)
    except InputError as error:  # as where no draw is less real than real images
        return Probe(title, f"Not attacked: {error}.")
    return Probe(
        title,
        f"The first {counted(len(draws[:count]), 'images')} drawn, but for {found.excluded:,} that it finds as real as "
        f"the median real one from the start; success is to become so by one pixel. {_cost(found)} Between the "
        f"medians lies a gap of {found.gap:.3g} in realness.",
        COLUMNS,
        ((found.rate, found.control), (found.moved, found.control_moved)),
    )


def _probabilities(judge: Classifies, images: np.ndarray) -> np.ndarray:
    return judge.judged(images)[1]


def _search(seed: int) -> Search:
    return Search(generations=GENERATIONS, seed=seed)


def _cost(found: OnePixel) -> str:
    return (
        f"Differential evolution (Su 2017) and random search had {found.search.budget:,} queries for each image, and "
        f"took {found.queries:,.0f} and {found.control_queries:,.0f} on average until success or the end."
    )


def _words(part: Split) -> str:
    return f"{'' if part.name == 'all' else part.name + ' '}images of {part.dataset.name}"
