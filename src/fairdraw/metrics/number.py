"""A number that can be trusted: with its interval, its sample count, what it was measured on, and what it must beat."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from fairdraw.data.options import counted

NORMAL_95 = 1.96
FEWEST = 30
"""Below this many images the normal interval is not to be relied on, and the number says so."""


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
        value, count = float(values.mean()), len(values)
        interval, warning = None, "only 1 image: no interval"
        if count > 1:
            error = NORMAL_95 * float(values.std(ddof=1)) / count**0.5
            interval, warning = (value - error, value + error), f"only {count} images: do not rely on the interval"
        if count < FEWEST:
            note = f"{note}; {warning}".removeprefix("; ")
        return cls(name, value, interval, unit, count, on, note, tuple(baselines.items()))

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
