"""What generated scenes get right, beside as many real ones: counts, perspective, figures.

Goodfellow's tutorial (NIPS 2016, arXiv:1701.00160) shows in its figures 29 to 31 that GANs have "problems with
counting", "problems with perspective" and "problems with global structure". Here each is a share of images, because the
pictures of the built-in set `scenes` can be read exactly: every one of them is read as what it was drawn to be.
"""

from dataclasses import dataclass

import numpy as np

from fairdraw.data.options import plural
from fairdraw.data.scenes import MOST, Kind
from fairdraw.errors import InputError
from fairdraw.metrics.counting import Objects, objects
from fairdraw.metrics.figures import figures
from fairdraw.metrics.number import NORMAL_95, Number, doubt
from fairdraw.metrics.vanishing import FEWEST_LINES, STRAIGHT, floors

REDRAWN = 1_000
"""Pairs of samples by which the distance of real counts from real counts is told."""


@dataclass(frozen=True)
class Beside:
    """One number of generated images, and the same of as many real ones."""

    generated: Number
    real: Number


def scene_numbers(kind: Kind, images: np.ndarray, real: np.ndarray, *, on: str, real_on: str) -> list[Beside]:
    """Judge uint8 `images` `[N, 3, H, H]` by what is true of all real ones of their kind.

    Args:
        kind: what the images are meant to show.
        images: as a model draws them, none picked.
        real: of the same kind and size; the first N are taken.
        on: which images these are, in words, such as "draws of seed 0".
        real_on: the same of the real ones.

    Raises:
        InputError: for other images, or fewer real than generated ones.
    """
    if not 0 < len(images) <= len(real):
        raise InputError(f"{len(images)} images beside {len(real)} real ones: give some, and as many real ones")
    real = real[: len(images)]
    if kind == "counting":
        return _of_counts(objects(images), objects(real), on, real_on)
    return _beside(_shares(kind, images), _shares(kind, real), on, real_on)


def _beside(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], on: str, real_on: str) -> list[Beside]:
    return [
        Beside(Number.share(ours[name], name=name, on=on), Number.share(theirs[name], name=name, on=real_on))
        for name in ours
    ]


def _shares(kind: Kind, images: np.ndarray) -> dict[str, np.ndarray]:
    """What each image of a floor or a figure has or has not, `[N]` each, by what it is."""
    if kind == "perspective":
        seen = floors(images)
        straight = (seen.lines >= FEWEST_LINES) & (seen.bends <= STRAIGHT * images.shape[2] / 32)
        return {"three straight lines or more": straight, "consistent vanishing point": seen.consistent}
    read = figures(images)
    return {
        "each part exactly once": read.complete,
        "each part in its place too": read.attached,
        "well-formed figure": read.well_formed,
    }


def _of_counts(ours: Objects, theirs: Objects, on: str, real_on: str) -> list[Beside]:
    distance = Beside(count_distance(ours.counts, theirs.counts, on), _real_distance(theirs.counts, real_on))
    return [distance, *_beside(_whole(ours), _whole(theirs), on, real_on)]


def _whole(found: Objects) -> dict[str, np.ndarray]:
    impossible = (found.counts < 1) | (found.counts > MOST)
    each = {f"pictures of {plural(count, 'object')}": found.counts == count for count in range(MOST + 1)}
    return {
        "impossible counts": impossible,
        "nothing but whole discs and blocks": found.sound,
        **each,
        f"pictures of more than {MOST}": found.counts > MOST,
    }


def count_shares(counts: np.ndarray) -> np.ndarray:
    """Share of images with 0, 1, ... 6, and more than 6 objects, `[8]`."""
    return np.bincount(counts.clip(0, MOST + 1), minlength=MOST + 2) / len(counts)


def count_distance(counts: np.ndarray, real: np.ndarray, on: str) -> Number:
    """Total variation distance between two distributions of counts: half of the summed differences of shares.

    The interval is that of the sum with its signs held fixed: a normal one, over the images of both kinds. Close to 0
    the distance is biased upwards, and has to be seen beside that of real images from real ones.
    """
    signs = np.sign(count_shares(counts) - count_shares(real)) / 2
    (value, error), (less, other) = ((float(v.mean()), float(v.var() / len(v))) for v in _valued(signs, counts, real))
    distance, half = value - less, NORMAL_95 * (error + other) ** 0.5
    interval = max(0.0, distance - half), min(1.0, distance + half)
    return Number("distance of counts", distance, interval, "in total variation", len(counts), on, doubt(len(counts)))


def _valued(values: np.ndarray, *counts: np.ndarray) -> list[np.ndarray]:
    return [values[of.clip(0, MOST + 1)] for of in counts]


def _real_distance(counts: np.ndarray, on: str) -> Number:
    """The distance that two samples of so many real images have, by drawing the counts anew."""
    samples = np.random.default_rng(0).multinomial(len(counts), count_shares(counts), (REDRAWN, 2)) / len(counts)
    found = abs(samples[:, 0] - samples[:, 1]).sum(1) / 2
    low, high = np.quantile(found, [0.025, 0.975])
    note = "of two samples of so many, drawn anew from these counts; 95 % of them, not of their mean"
    return Number(
        "distance of counts",
        float(found.mean()),
        (float(low), float(high)),
        "in total variation",
        len(counts),
        on,
        note,
    )
