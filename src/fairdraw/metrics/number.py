"""A number that can be trusted: with its interval, its sample count, what it was measured on, and what it must beat."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from scipy.special import stdtrit

from fairdraw.data.options import counted, plural

NORMAL_95 = 1.96
FEWEST = 30
"""Below this many images the normal interval is not to be relied on, and the number says so."""


def wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a `share` of `count` images; it has a width where all or none are counted."""
    z = NORMAL_95**2 / count
    middle, half = share + z / 2, (z * share * (1 - share) + z**2 / 4) ** 0.5
    return (max(0.0, (middle - half) / (1 + z)), min(1.0, (middle + half) / (1 + z)))


def normal_interval(value: float, standard_error: float) -> tuple[float, float]:
    """95 % of a normal distribution around `value`."""
    return value - NORMAL_95 * standard_error, value + NORMAL_95 * standard_error


def interval_of_parts(value: float, parts: Sequence[float]) -> tuple[float, float]:
    """95 % around a `value` of all images, of which `parts` are those of equal parts: Student's, for they are few."""
    error = float(np.std(parts, ddof=1)) / len(parts) ** 0.5
    half = float(stdtrit(len(parts) - 1, 0.975)) * error
    return value - half, value + half


def wider(first: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The one of two intervals that claims less."""
    return max(first, other, key=lambda interval: interval[1] - interval[0])


def interval_of_mean(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of one value per image, `[N]`: Wilson's for booleans, else the normal one."""
    mean = float(values.mean())
    if values.dtype == np.bool_:
        return wilson(mean, len(values))
    return normal_interval(mean, float(values.std(ddof=1)) / len(values) ** 0.5)


def doubt(count: int) -> str:
    """What has to be said of an interval over `count` images: nothing where they are enough."""
    return f"only {plural(count, 'image')}: do not rely on the interval" if count < FEWEST else ""


@dataclass(frozen=True)
class Number:
    """A mean over images with its 95 % interval.

    Args:
        name: what was measured.
        value: the mean.
        interval: 95 % confidence interval of the mean over images, where there are two or more; it says nothing about
            other training seeds.
        unit: such as "nats per image".
        count: how many images.
        on: which images.
        note: how the number has to be read.
        baselines: trivial answers that it must beat by being smaller, in the same unit on the same images.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    unit: str
    count: int
    on: str
    note: str = ""
    baselines: tuple[tuple[str, float], ...] = ()

    @classmethod
    def mean(
        cls, values: np.ndarray, *, name: str, unit: str, on: str, note: str = "", baselines: dict[str, float]
    ) -> Self:
        """The mean of one value per image, `[N]`."""
        count, interval, warning = len(values), None, "only 1 image: no interval"
        if count > 1:
            interval, warning = interval_of_mean(values), doubt(count)
        note = "; ".join(filter(None, (note, warning)))
        return cls(name, float(values.mean()), interval, unit, count, on, note, tuple(baselines.items()))

    @classmethod
    def share(cls, true: np.ndarray, *, name: str, on: str) -> Self:
        """The share of images that something is true of, boolean `[N]`."""
        count = len(true)
        return cls(name, float(true.mean()), interval_of_mean(true), "of images", count, on, doubt(count))

    def facts(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)

    @property
    def standard_error(self) -> float | None:
        """Of the mean, over images."""
        return None if self.interval is None else (self.interval[1] - self.interval[0]) / (2 * NORMAL_95)

    def __str__(self) -> str:
        digits = 2 if abs(self.value) >= 1 else 4
        low, high = self.interval or (0, 0)
        interval = f"95 % interval {low:.{digits}f} to {high:.{digits}f}, " if self.interval else ""
        beats = "; ".join(
            f"{name} {value:.{digits}f}{'' if self.value < value else ' (NOT beaten)'}"
            for name, value in self.baselines
        )
        return (
            f"{self.name} {self.value:.{digits}f} {self.unit}, {interval}{counted(self.count, self.on)}"
            + (f"; to beat: {beats}" if beats else "")
            + (f" ({self.note})" if self.note else "")
        )
