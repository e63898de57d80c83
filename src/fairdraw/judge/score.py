"""One number about some images, with everything that it depends on, and what each kind of number can tell."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from fairdraw.metrics.features import Features

Better = Literal["lower", "higher", "like real images"]


class Kind(NamedTuple):
    """A kind of number.

    Args:
        better: which way is better; some numbers are best where those of real images lie.
        tells: what it is, and what it does not see.
        unit: where it has one.
        inception: its own name where the features are those of the Inception network, and only there.
        share: whether it lies within 0 and 1.
    """

    better: Better
    tells: str
    unit: str = ""
    inception: str = ""
    share: bool = False


KINDS: Mapping[str, Kind] = {
    "L1": Kind(
        "lower",
        "mean absolute difference of the pixels on [0, 1] to what the image should be. A blur that hedges between all "
        "that is possible has the lowest; sharp images may be right and have more.",
    ),
    "PSNR": Kind("higher", "peak signal-to-noise ratio of each image, averaged; likes a blur, as L1 does.", unit="dB"),
    "SSIM": Kind("higher", "structural similarity to what the image should be; 1 for equal ones."),
    "sharpness": Kind(
        "like real images",
        "length of the gradient over that of the real images: 1 is as sharp as they are, less is blurred. Noise has it "
        "too.",
    ),
    "consistency": Kind(
        "lower",
        "root mean square difference between the small image and what was made of it, made small again: far above "
        "rounding, colours or content have moved.",
        unit="levels",
    ),
    "labels, per pixel": Kind(
        "higher",
        "share of pixels that a segmenter, trained on real pairs, takes for the class of the input's label map. It can "
        "be fooled, and has its own errors: see what it says of the images themselves.",
        share=True,
    ),
    "labels, per class": Kind(
        "higher", "the same share, averaged over the classes, so that rare ones count as much.", share=True
    ),
    "labels, IoU": Kind("higher", "intersection over union, averaged over the classes.", share=True),
    "taken for the target": Kind(
        "like real images",
        "share of images that a classifier of the two domains, a logistic regression on features of training images, "
        "takes for the domain they were to become. It has its own errors: see what it says of real images and of the "
        "inputs. Any image of the target fools it, whatever it was made of.",
        share=True,
    ),
    "found again": Kind(
        "higher",
        "share of translations whose nearest input, of all that were translated, is their own, by features less the "
        "mean of each domain; retrieval at rank 1, of which chance has one over their number. A model that changes "
        "nothing has 1.",
        share=True,
    ),
    "cycle L1": Kind(
        "lower",
        "mean absolute difference to the image itself after there and back. A model that changes nothing has 0.",
    ),
    "cycle L1 in 8 bits": Kind(
        "lower",
        "the same with the image between rounded to 8 bits: far above it, the way back reads what nobody can see.",
    ),
    "FD": Kind(
        "lower",
        "Frechet distance between Gaussians fitted to the features. Biased upwards by about a constant over the number "
        "of images; blind to everything but mean and covariance, and to copies, which it likes best of all.",
        inception="FID",
    ),
    "FD-infinity": Kind(
        "lower",
        "the Frechet distance extrapolated to infinitely many generated images (Chong & Forsyth 2020); the bias of the "
        "real ones stays. Blind to copies.",
        inception="FID-infinity",
    ),
    "KD": Kind(
        "lower",
        "kernel distance (MMD^2, cubic kernel), unbiased: 0 for equal distributions, and it may be negative. Blind to "
        "copies.",
        inception="KID",
    ),
    "precision": Kind(
        "like real images",
        "share of images within a ball (to the 3rd neighbour) around a real one. One good image, repeated, has a high "
        "one.",
        share=True,
    ),
    "recall": Kind(
        "like real images", "share of real images within a ball around a generated one. Noise may have it.", share=True
    ),
    "density": Kind("like real images", "real balls (to the 5th neighbour) that an image lies in, over 5."),
    "coverage": Kind(
        "like real images", "share of real images with a generated one in their ball. Copies of all have 1.", share=True
    ),
    "score": Kind(
        "like real images",
        "exp of how much the classifier's opinions of single images differ from its mean opinion, up to the number of "
        "classes. One perfect image of each class has the highest; it never looks at real images.",
        inception="inception score",
    ),
    "confidence": Kind(
        "like real images",
        "mean probability of the most probable class. Fooling the classifier raises it as well.",
        share=True,
    ),
    "classes": Kind("higher", "classes with at least a tenth of an equal share of the images."),
    "label accuracy": Kind(
        "higher", "share of the images that the classifier takes for the class that was asked for.", share=True
    ),
    "C_T": Kind(
        "like real images",
        "data copying (Meehan 2020), in standard deviations: far below 0, images lie nearer to training images than "
        "held-out ones do; far above 0, farther than real ones.",
    ),
    "C_T in cells": Kind(
        "like real images",
        "the same within each of 10 cells of the space, and then averaged, so that copies of one "
        "kind are not outweighed by bad images of another. The mean of a fair model lies nearer to 0, as the interval "
        "says.",
    ),
    "nearer than held-out": Kind(
        "like real images",
        "chance that an image is nearer to its nearest training image than a held-out real one; half for a fair model.",
        share=True,
    ),
    "authentic": Kind(
        "like real images",
        "share of images that are farther from a training image than the nearest other training image is (Alaa 2022).",
        share=True,
    ),
    "exact copies": Kind("lower", "share of images that equal a training image in every pixel.", share=True),
    "near copies": Kind(
        "lower",
        "share of images nearer to a training image, by pixels, than 99.9 % of held-out images are.",
        share=True,
    ),
    "SWD": Kind(
        "lower",
        "sliced Wasserstein distance between patches of Laplacian pyramids, x 1000 (Karras 2018): texture at each "
        "scale, and no structure beyond a patch.",
    ),
    "MS-SSIM": Kind(
        "like real images",
        "mean multi-scale structural similarity of pairs of images: above that of real images, they resemble each "
        "other too much.",
    ),
}
"""What is measured, in the order of the report."""


@dataclass(frozen=True)
class Score:
    """A number about some images.

    Args:
        kind: a key of `KINDS`.
        name: with the features that it is made with, as in `FD(digits)`.
        value: the number.
        interval: 95 %, over images; it says nothing about other training seeds.
        count: images judged.
        against: real images that they were compared with.
        flag: why it is not to be relied on, where it is not.
        each: of a mean over what was made of given images, what it is the mean of, `[count]`, in the order of these; it
            is not kept in files.
    """

    kind: str
    name: str
    value: float
    interval: tuple[float, float] | None
    count: int
    against: int
    flag: str = ""
    each: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def better(self) -> Better:
        """Which way is better."""
        return KINDS[self.kind].better

    @property
    def shown(self) -> str:
        """The value, as it is printed in a table."""
        return shown(self.value)

    @property
    def shown_interval(self) -> str:
        """The interval in brackets, or nothing."""
        return "" if self.interval is None else f"[{shown(self.interval[0])}, {shown(self.interval[1])}]"

    def facts(self) -> dict[str, Any]:
        """For a line of JSON."""
        facts = asdict(replace(self, each=None)) | {"better": self.better}
        del facts["each"]
        return facts

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Score":
        """The inverse of `facts`."""
        low_high = facts["interval"]
        interval = None if low_high is None else (float(low_high[0]), float(low_high[1]))
        return cls(
            facts["kind"],
            facts["name"],
            float(facts["value"]),
            interval,
            facts["count"],
            facts["against"],
            facts["flag"],
        )


def shown(value: float) -> str:
    """A number with about four digits.

    >>> shown(1234.5), shown(12.345), shown(0.012345), shown(0.0)
    ('1,234', '12.35', '0.01235', '0')
    """
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1:
        return f"{value:.2f}" if size < 100 else f"{value:.1f}"
    return f"{value:.4g}" if size >= 1e-3 else f"{value:.1e}"


def named(kind: str, features: Features | None) -> str:
    """The name of a number of `kind` made with `features`: only Inception's have the names that papers print."""
    if features is None:
        return kind
    if features.name == "inception" and KINDS[kind].inception:
        return KINDS[kind].inception
    return f"{kind}({features.name})"
