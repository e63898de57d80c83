"""A translation, judged beside copying its input and, where it is known what should come out, by that."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fairdraw.capabilities import Translates
from fairdraw.data import Dataset, Domain
from fairdraw.data.inputs import StoredInputs
from fairdraw.data.options import plural
from fairdraw.errors import InputError
from fairdraw.inference import translated
from fairdraw.judge.brittleness import accuracies
from fairdraw.judge.distances import distances
from fairdraw.judge.evaluation import Evaluation, conditions, provenance
from fairdraw.judge.judge import Tick
from fairdraw.judge.protocol import Protocol, trained_on
from fairdraw.judge.references import References
from fairdraw.judge.score import Score, named
from fairdraw.metrics.bootstrap import deviation
from fairdraw.metrics.domains import DomainClassifier, found_again
from fairdraw.metrics.features import Features
from fairdraw.metrics.networks import features_for
from fairdraw.metrics.number import FEWEST, doubt, interval_of_mean, normal_interval
from fairdraw.metrics.psnr import image_psnr, one_level_off
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
from fairdraw.share import Share, in_turn
from fairdraw.trained import Trained

SHOWN = 32
FEWEST_PAIRS = 2
"""Pairs that have a mean with an interval; nothing is said by features below 30."""
MOST_FITTED = 500
"""Training images of each domain that a classifier of the two is fitted to."""
Judged = tuple[tuple[Score, ...], tuple[np.ndarray, ...]]
ALIKE = "there is nothing to measure"
COPIED, MEAN, REAL, TRUE = "the input itself", "the mean image", "other real images", "what they should be"


def evaluate_translator(
    trained: Trained,
    train: Dataset,
    real: Dataset,
    features: Sequence[Features | str],
    protocol: Protocol,
    tick: Tick,
    share: Share = in_turn,
) -> Evaluation:
    """Judge what a model makes of inputs of `real`, in each of its directions, beside what needs no model.

    Raises:
        InputError: as `TranslationJudge` and its `judge`.
    """
    assert isinstance(trained.model, Translates)
    judge = TranslationJudge(train, real, features, protocol, trained.model.directions)
    # What both need, two processes make twice, at the same time.
    both: list[Callable[[], Any]] = [lambda: judge.judge(trained, tick), lambda: judge.references(tick)]
    (scores, shown), known = share(both)
    part, count = real.split(protocol.part), len(shown[0])
    return Evaluation(
        f"translations by {trained.facts['model']} ({trained.path})",
        provenance(trained) | conditions(train.train, judge.features, protocol, scores[0].count, judge.against),
        scores,
        known,
        shown,
        f"first {count} inputs, each beside its translation" + " and the image it should be" * (len(shown) > 2),
        remarks=judge.remarks,
        accuracies=accuracies(judge.features, part, spread(len(part), protocol.count)),
    )


class TranslationJudge:
    """Compares translations with real images of their target, and with what they should be where that is known.

    What is made of real images alone is made once, however many models are judged.

    Args:
        train: what was trained on.
        real: images to compare with, and the inputs to translate.
        features: what to compare by, or its names.
        protocol: how many of them, and which.
        directions: of all the models; where there are several, the name of a number says which it is of.

    Raises:
        InputError: where there are no inputs, too few images, or images that were trained on.
    """

    def __init__(
        self,
        train: Dataset,
        real: Dataset,
        features: Sequence[Features | str],
        protocol: Protocol,
        directions: Sequence[str],
    ) -> None:
        if real.inputs is None:
            raise InputError(f"{real.name} has no inputs to translate: judge by the data that the model was trained on")
        self.train, self.real, self.protocol, self.unpaired = train, real, protocol, real.inputs.unpaired
        self.features = tuple(features_for(features, train.train))
        self.remarks = trained_on(train, real, protocol)
        if len(directions) > 1 and isinstance(real.inputs, StoredInputs) and not self.unpaired:
            which = f"images and inputs of {real.name} have equal names and are taken for pairs"
            self.remarks = (*self.remarks, f"{which}: where they are none, L1, PSNR and SSIM mean nothing")
        self._directions = {
            name: _Direction(real, protocol, name, f", {name}" if len(directions) > 1 else "") for name in directions
        }
        if any(of.paired and np.array_equal(of.begin, of.real) for of in self._directions.values()):
            self.remarks = (*self.remarks, f"the inputs of {real.name} are its images: there is nothing to translate")
        fewest = min(len(of.real) for of in self._directions.values())
        if fewest < FEWEST:
            names = ", ".join(network.name for network in self.features)
            self.remarks = (*self.remarks, f"{plural(fewest, 'pair')}: no distances by {names}, give at least {FEWEST}")
        self._classifiers: dict[str, DomainClassifier] = {}

    @property
    def against(self) -> str:
        """The real images in words."""
        return f"{self.protocol.part} images of {self.real.name}"

    def judge(self, trained: Trained, tick: Tick = lambda _: None) -> Judged:
        """The numbers of a model; and the first inputs, their translations and, where known, what these should be.

        Raises:
            InputError: for a model of pairs where there are none.
        """
        model, seed = trained.model, self.protocol.seed
        assert isinstance(model, Translates)
        if model.takes == "pairs" and self.unpaired:
            raise InputError(self.unpaired)
        scores: list[Score] = []
        shown: tuple[np.ndarray, ...] = ()
        for name in model.directions:
            direction = self._directions[name]
            tick(f"{name} of {self.against}, by {trained.path}")
            made = translated(model, direction.begin, name, seed)
            shown = shown or tuple(part[:SHOWN] for part in (direction.begin, made, *direction.truths))
            tick(f"{name}: numbers")
            scores += [*self._scores(direction, made), *self._of_labels(direction, made, tick)]
            if len(model.directions) > 1:
                tick(f"{name} and back")
                scores += direction.cycle(model, seed)
        return tuple(scores), shown

    def references(self, tick: Tick = lambda _: None) -> References:
        """The same numbers of what needs no model."""
        found: dict[str, list[Score]] = {}
        for name, direction in self._directions.items():
            for arm, images in direction.references(self.train).items():
                tick(f"{name}: numbers of {arm}")
                # Other real images belong to other inputs.
                found.setdefault(arm, []).extend(self._scores(direction, images, known=arm != REAL))
            for arm, images in {COPIED: direction.begin, TRUE: direction.real}.items():
                if labels := self._of_labels(direction, images, tick):
                    found.setdefault(arm, []).extend(labels)
        return {arm: tuple(scores) for arm, scores in found.items()}

    def _scores(self, direction: "_Direction", images: np.ndarray, known: bool = True) -> Iterator[Score]:
        """Numbers of `images` in the place of the translations; pixel by pixel where they belong to the real ones."""
        if direction.paired and known:
            yield from direction.pixel_scores(images)
        yield direction.sharpness_score(images)
        for network in self.features if min(len(images), len(direction.real)) >= FEWEST else ():
            values = network.of(images)
            yield from direction.distance_scores(network, values, self.protocol.seed)
            if not direction.paired:
                yield from direction.domain_scores(network, values if known else None, self._classifier(network))

    def _classifier(self, features: Features) -> DomainClassifier:
        """Tells the domains of training images apart."""
        if features.name not in self._classifiers:
            part = self.train.train
            a, b = (
                features.of(part.images_of(domain, spread(part.count_of(domain), MOST_FITTED))) for domain in ("a", "b")
            )
            self._classifiers[features.name] = DomainClassifier.fitted(a, b)
        return self._classifiers[features.name]

    @cached_property
    def _palette(self) -> np.ndarray | None:
        pairs = self.train.inputs is not None and not self.train.inputs.unpaired  # else there is nothing to learn from
        return palette_of(self.train.train) if pairs else None

    @cached_property
    def _segmenter(self) -> Segmenter:
        assert self._palette is not None
        return trained_segmenter(self.train.train, self._palette)

    def _of_labels(self, direction: "_Direction", images: np.ndarray, tick: Tick) -> list[Score]:
        """What a segmenter of real pairs says of `images`, where the inputs are label maps."""
        if not direction.paired or direction.target == "a" or self._palette is None:
            return []
        tick("a segmenter of real pairs")
        return list(direction.label_scores(self._segmenter, images, self.protocol.seed))


class _Direction:
    """Inputs and images of one direction."""

    def __init__(self, real: Dataset, protocol: Protocol, name: str, suffix: str) -> None:
        assert real.inputs is not None
        part, self.name, self.suffix, self.paired = real.split(protocol.part), name, suffix, not real.inputs.unpaired
        fewest = FEWEST_PAIRS if self.paired else FEWEST
        if protocol.count < fewest:
            raise InputError(f"--count {protocol.count}: too few to judge by: give at least {fewest}")
        self.target: Domain = "b" if name.startswith("a") else "a"
        where = spread(len(part), protocol.count)
        b = part.images(where)
        a = part.inputs(where) if self.paired else part.images_of("a", spread(part.count_of("a"), protocol.count))
        self.begin, self.real = (a, b) if self.target == "b" else (b, a)
        for images, what in ((self.begin, "inputs"), (self.real, "images")):
            if len(images) < fewest:
                raise InputError(
                    f"{real.name} has {len(images)} {protocol.which}{what}, too few to judge by: give at least {fewest}"
                )
            if (images == images[0]).all():
                raise InputError(f"all {len(images):,} {protocol.which}{what} of {real.name} are the same one: {ALIKE}")
        self._features: dict[tuple[str, str], np.ndarray] = {}

    @property
    def truths(self) -> tuple[np.ndarray, ...]:
        """What the inputs should become, where that is known."""
        return (self.real,) if self.paired else ()

    def references(self, train: Dataset) -> Mapping[str, np.ndarray]:
        """What needs no model: the inputs, the mean image of training, and training images themselves."""
        part = train.train
        others = part.images_of(self.target, spread(part.count_of(self.target), len(self.real)))
        mean = {MEAN: mean_of(part, self.real)} if self.target == "b" else {}
        return {COPIED: self.begin, **mean, REAL: others}

    def pixel_scores(self, images: np.ndarray) -> Iterator[Score]:
        """How far `images` are from what they should be."""
        yield self._mean("L1", absolute_errors(self.real, images))
        yield self._mean("PSNR", np.minimum(image_psnr(self.real, images), one_level_off(self.real[0].size)))
        if min(images.shape[2:]) >= WINDOW:
            yield self._mean("SSIM", ssim(self.real, images))

    def sharpness_score(self, images: np.ndarray) -> Score:
        """Of the target."""
        ratio, error = sharpness(self.real, images)
        return self._score("sharpness", ratio, normal_interval(ratio, error), len(images), flag=doubt(len(images)))

    def distance_scores(self, features: Features, values: np.ndarray, seed: int) -> Iterator[Score]:
        """How far images with the features `values` are from real ones of the target."""
        for score in distances(features, self._of(features, "real"), values, seed):
            yield self._score(score.kind, score.value, score.interval, score.count, score.name, score.flag)

    def domain_scores(
        self, features: Features, values: np.ndarray | None, classifier: DomainClassifier
    ) -> Iterator[Score]:
        """Whether images with the features `values` are taken for the target, and each is like its own input.

        Of other real images, None, it is asked of those that the rest is compared with: the classifier knows training
        images too well.
        """
        judged = self._of(features, "real") if values is None else values
        taken = classifier.takes_for_b(judged) == (self.target == "b")
        yield self._mean("taken for the target", taken, named("taken for the target", features))
        if values is not None and len(values) == len(self.begin):
            again = found_again(self._of(features, "begin"), values)
            yield self._mean("found again", again, named("found again", features))

    def label_scores(self, segmenter: Segmenter, images: np.ndarray, seed: int) -> Iterator[Score]:
        """How far `images` show what the inputs, which are label maps, say."""
        confusion = segmenter.confusion(self.begin, images)
        for kind, of in (
            ("labels, per pixel", pixel_accuracy),
            ("labels, per class", class_accuracy),
            ("labels, IoU", intersection_over_union),
        ):
            interval = normal_interval(of(confusion), deviation(of, confusion, seed=seed))
            yield self._score(kind, of(confusion), interval, len(images), flag=doubt(len(images)))

    def cycle(self, model: Translates, seed: int) -> Iterator[Score]:
        """What comes back after this direction and the other one."""
        for kind, in_levels in (("cycle L1", False), ("cycle L1 in 8 bits", True)):
            back = cycled(model, self.begin, self.name, seed, in_levels)
            yield self._mean(kind, absolute_errors(self.begin, back))

    def _of(self, features: Features, what: Literal["begin", "real"]) -> np.ndarray:
        key = features.name, what
        if key not in self._features:
            self._features[key] = features.of(self.begin if what == "begin" else self.real)
        return self._features[key]

    def _mean(self, kind: str, values: np.ndarray, name: str = "") -> Score:
        count = len(values)
        score = self._score(kind, float(values.mean()), interval_of_mean(values), count, name, doubt(count))
        return replace(score, each=values)

    def _score(
        self, kind: str, value: float, interval: tuple[float, float] | None, count: int, name: str = "", flag: str = ""
    ) -> Score:
        return Score(kind, (name or kind) + self.suffix, value, interval, count, len(self.real), flag)
