"""A translation, judged beside copying its input and, where it is known what should come out, by that."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fairdraw.capabilities import Translates
from fairdraw.data import Dataset, Split
from fairdraw.errors import InputError
from fairdraw.inference import translated
from fairdraw.judge.brittleness import accuracies
from fairdraw.judge.evaluation import Evaluation, Protocol, conditions, provenance, trained_on
from fairdraw.judge.judge import Tick, distances
from fairdraw.judge.score import Score
from fairdraw.metrics.bootstrap import deviation
from fairdraw.metrics.features import Features
from fairdraw.metrics.networks import features_for
from fairdraw.metrics.number import FEWEST, interval_of_mean, normal_interval
from fairdraw.metrics.psnr import image_psnr
from fairdraw.metrics.segmentation import (
    Segmenter,
    class_accuracy,
    intersection_over_union,
    palette_of,
    pixel_accuracy,
    trained_segmenter,
)
from fairdraw.metrics.ssim import WINDOW, ssim
from fairdraw.metrics.translation import absolute_errors, cycled, mean_of, sharpness
from fairdraw.order import spread
from fairdraw.trained import Trained

SHOWN = 32
COPIED, MEAN, REAL, TRUE = "the input itself", "the mean image", "other real images", "what they should be"


def evaluate_translator(
    trained: Trained,
    train: Dataset,
    real: Dataset,
    features: Sequence[Features | str],
    protocol: Protocol,
    tick: Tick,
    beside: bool = True,
) -> Evaluation:
    """Judge what a model makes of inputs of `real`, in each of its directions; `beside` what needs no model.

    Raises:
        InputError: where there are no inputs, too few images, or images that were trained on.
    """
    model = trained.model
    assert isinstance(model, Translates)
    _check_inputs(trained, real)
    networks = features_for(features, train.train)
    remarks = trained_on(train, real, protocol)
    arms: dict[str, list[Score]] = {"translated": []}
    shown: tuple[np.ndarray, ...] = ()
    for direction in model.directions:
        tick(f"{direction} of {protocol.part} images")
        pair = _Direction(real, protocol, direction, len(model.directions) > 1)
        made = translated(model, pair.begin, direction, protocol.seed)
        shown = shown or tuple(part[:SHOWN] for part in (pair.begin, made, *pair.truths))
        for name, images in {"translated": made, **(pair.references(train) if beside else {})}.items():
            tick(f"{direction}: numbers of {name}")
            arms.setdefault(name, []).extend(pair.scores(images, networks, protocol.seed, known=name != REAL))
        for name, found in _of_labels(pair, made, train, protocol.seed, tick, beside).items():
            arms.setdefault(name, []).extend(found)
        if len(model.directions) > 1:
            tick(f"{direction} and back")
            arms["translated"] += pair.cycle(model, protocol.seed)
    scores = tuple(arms.pop("translated"))
    name, count = trained.facts["model"], len(shown[0])
    against = f"{protocol.part} images of {real.name}"
    about = provenance(trained) | conditions(train.train, networks, protocol, scores[0].count, against)
    subject = f"translations by {name} ({trained.path})"
    references = {arm: tuple(one) for arm, one in arms.items()}
    part = real.split(protocol.part)
    known = accuracies(networks, part, spread(len(part), protocol.count))
    caption = f"first {count} inputs, each beside its translation" + " and the image it should be" * (len(shown) > 2)
    return Evaluation(subject, about, scores, references, shown, caption, remarks=remarks, accuracies=known)


def _check_inputs(trained: Trained, real: Dataset) -> None:
    if real.inputs is None:
        raise InputError(f"{real.name} has no inputs to translate: judge by the data that the model was trained on")
    if trained.model.takes == "pairs" and real.inputs.unpaired:
        raise InputError(real.inputs.unpaired)


def _of_labels(
    pair: "_Direction", made: np.ndarray, train: Dataset, seed: int, tick: Tick, beside: bool
) -> dict[str, list[Score]]:
    """What a segmenter of real pairs says, where the inputs are label maps."""
    if not pair.paired or not pair.direction.startswith("a") or (palette := palette_of(train.train)) is None:
        return {}
    tick("a segmenter of real pairs")
    segmenter = trained_segmenter(train.train, palette)
    answers = {COPIED: pair.begin, TRUE: pair.real} if beside else {}
    return {name: list(pair.label_scores(segmenter, x, seed)) for name, x in {"translated": made, **answers}.items()}


class _Direction:
    """Inputs and images of one direction."""

    def __init__(self, real: Dataset, protocol: Protocol, direction: str, several: bool) -> None:
        part, inputs = real.split(protocol.part), real.inputs
        assert inputs is not None
        self.direction, self.suffix = direction, f", {direction}" if several else ""
        if inputs.unpaired:
            count = inputs.count(real, protocol.part)
            a = inputs.some(real, protocol.part, spread(count, protocol.count))
            b = part.images(spread(len(part), protocol.count))
        else:
            where = spread(len(part), protocol.count)
            a, b = part.inputs(where), part.images(where)
        self.begin, self.real = (a, b) if direction.startswith("a") else (b, a)
        self.paired = not inputs.unpaired
        for images, what in ((self.begin, "inputs"), (self.real, "images")):
            if len(images) < FEWEST:
                raise InputError(
                    f"{real.name} has {len(images)} {protocol.part} {what}, too few to judge by: give at least {FEWEST}"
                )

    @property
    def truths(self) -> tuple[np.ndarray, ...]:
        """What the inputs should become, where that is known."""
        return (self.real,) if self.paired else ()

    def references(self, train: Dataset) -> Mapping[str, np.ndarray]:
        """What needs no model: the inputs, the mean image of training, and training images themselves."""
        others = _target(train.train, self.direction, spread(_count(train.train, self.direction), len(self.real)))
        mean = {MEAN: mean_of(train.train, self.real)} if self.direction.startswith("a") else {}
        return {COPIED: self.begin, **mean, REAL: others}

    def scores(self, images: np.ndarray, features: Sequence[Features], seed: int, known: bool) -> Iterator[Score]:
        """Numbers of `images` in the place of the translations; pixel by pixel where they belong to the real ones."""
        if self.paired and known:
            yield self._mean("L1", absolute_errors(self.real, images))
            # An equal image has no ratio: it counts as if one of its values were a level off.
            best = 10 * np.log10(255.0**2 * self.real[0].size)
            yield self._mean("PSNR", np.minimum(image_psnr(self.real, images), best))
            if min(images.shape[2:]) >= WINDOW:
                yield self._mean("SSIM", ssim(self.real, images))
        ratio, error = sharpness(self.real, images)
        yield self._score("sharpness", ratio, normal_interval(ratio, error), len(images))
        for network in features if len(images) >= FEWEST else ():
            for score in distances(network, network.of(self.real), network.of(images), seed):
                yield self._score(score.kind, score.value, score.interval, score.count, score.name, score.flag)

    def label_scores(self, segmenter: Segmenter, images: np.ndarray, seed: int) -> Iterator[Score]:
        """How far `images` show what the inputs, which are label maps, say."""
        confusion = segmenter.confusion(self.begin, images)
        for kind, of in (
            ("labels, per pixel", pixel_accuracy),
            ("labels, per class", class_accuracy),
            ("labels, IoU", intersection_over_union),
        ):
            interval = normal_interval(of(confusion), deviation(of, confusion, seed=seed))
            yield self._score(kind, of(confusion), interval, len(images))

    def cycle(self, model: Translates, seed: int) -> Iterator[Score]:
        """What comes back after this direction and the other one."""
        for kind, in_levels in (("cycle L1", False), ("cycle L1 in 8 bits", True)):
            back = cycled(model, self.begin, self.direction, seed, in_levels)
            yield self._mean(kind, absolute_errors(self.begin, back))

    def _mean(self, kind: str, values: np.ndarray) -> Score:
        return self._score(kind, float(values.mean()), interval_of_mean(values), len(values))

    def _score(
        self, kind: str, value: float, interval: tuple[float, float] | None, count: int, name: str = "", flag: str = ""
    ) -> Score:
        return Score(kind, (name or kind) + self.suffix, value, interval, count, len(self.real), flag)


def _count(part: Split, direction: str) -> int:
    """Images of the domain that a direction leads to."""
    inputs = part.dataset.inputs
    assert inputs is not None
    return len(part) if direction.startswith("a") else inputs.count(part.dataset, part.name)


def _target(part: Split, direction: str, positions: np.ndarray) -> np.ndarray:
    inputs = part.dataset.inputs
    assert inputs is not None
    return part.images(positions) if direction.startswith("a") else inputs.some(part.dataset, part.name, positions)
