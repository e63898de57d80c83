"""Floors in pictures of `scenes-perspective`: whether lines are straight and meet in one point, on the horizon.

A line is read from the bottom up, row by row, as the centre of brightness of a short bright run. Rows with a long run
are those of a line across the floor, and are passed over.
"""

from dataclasses import dataclass, field

import numpy as np

from fairdraw.metrics.components import check_pictures

BLUE = 82
"""By which blue exceeds red in the sky: at least 110 in real pictures, and at most 55 elsewhere."""
FAINT, BRIGHT = 32, 50
"""By which the lesser of red and green exceeds the ground's all along a run, and somewhere in it: lines do so by 150
where they fill a pixel."""
WIDEST = 5.0
"""Pixels: a longer run is a line across."""
FEWEST_LINES = 3
FEWEST_ROWS = 5
NEAR = 0.4
"""Share of the floor's rows, from the near edge on, in which a line has to begin; farther off lines run together."""
EXPLAINED = 0.8
"""Share of the runs in these rows that have to belong to such lines; else there is more than could be read."""
FIRST_STEP, NEXT_STEP = 2.2, 0.8
"""Pixels by which a line may leave its place in the row below, and the way that it has taken so far."""
HEAVIER = 1.5
"""Times the light of a line's last point: lines grow thinner as they go up, until two run into one."""
CUT = float("inf")
"""Light of a run that the border cuts: it is there, but its centre is elsewhere, and no line is put through it."""
STRAIGHT = 0.25
"""Pixels: root mean squared distance along the row from the straight line through a line's points; at most 0.13 in
5,000 real pictures of 32 px."""
TOLERANCE = 1.0
"""Pixels: of each line from the common point. In 5,000 real pictures of 32 px it was 0.21 at most."""
HORIZON_TOLERANCE = 1.5
"""Pixels: of the common point from the horizon, which is read as a whole row."""
STRAY = 0.02
"""Share of pixels that may be sky below the horizon or no sky above it, rows beside the horizon aside."""


@dataclass(frozen=True)
class Floors:
    """What was found in each of N images; lengths are in pixels."""

    lines: np.ndarray
    """`[N]`: lines that lead away from the near edge."""
    points: np.ndarray
    """`[N, 2]`: x and y of the point that is nearest to all lines, NaN where there are fewer than two."""
    residuals: np.ndarray
    """`[N]`: the largest distance of a line from that point, NaN as above."""
    bends: np.ndarray
    """`[N]`: root mean squared distance of points from the straight line through them, for the worst line."""
    explained: np.ndarray
    """`[N]`: share of the bright runs near the lower edge that these lines go through."""
    horizons: np.ndarray
    """`[N]`: rows of sky, NaN where the sky has no straight lower edge."""
    consistent: np.ndarray
    """`[N]`: three lines or more, nearly all there is, all straight, all through one point, and that on the horizon."""


@dataclass
class _Line:
    """Points of a line so far, from the bottom up."""

    x: list[float]
    y: list[float]
    light: float
    misses: int = 0
    fit: tuple[float, float] = field(default=(0.0, 0.0))

    def expected(self, y: float) -> float:
        back = min(len(self.x), 6)
        rise = self.y[-1] - self.y[-back]
        return self.x[-1] + ((self.x[-1] - self.x[-back]) / rise * (y - self.y[-1]) if rise else 0.0)

    def bend(self) -> float:
        """Fit x = a + b y, and say how far the points are off."""
        x, y = np.array(self.x), np.array(self.y)
        slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((y - y.mean()) ** 2).sum())
        self.fit = float(x.mean() - slope * y.mean()), slope
        return float(np.sqrt(np.square(x - self.fit[0] - slope * y).mean()))


def floors(images: np.ndarray) -> Floors:
    """Read uint8 images `[N, 3, H, H]`.

    Raises:
        InputError: for other images.
    """
    unit = check_pictures(images)
    found = np.full((len(images), 7), np.nan)
    for place, image in enumerate(images.astype(np.int16)):
        horizon = _horizon(image[2] - image[0] > BLUE, unit)
        top = 0 if np.isnan(horizon) else min(int(horizon + unit), image.shape[1] - 1)
        bright = np.minimum(image[0], image[1])
        lines, share = _lines((bright - np.median(bright[top:])).clip(0), top, unit)
        worst = max((line.bend() for line in lines), default=np.nan)
        found[place] = (len(lines), *_meeting(lines), worst, share, horizon)
    counts, x, y, residuals, bends, explained, horizons = found.T
    # A comparison with NaN is False: what could not be read is not consistent.
    consistent = (counts >= FEWEST_LINES) & (bends <= STRAIGHT * unit) & (residuals <= TOLERANCE * unit)
    consistent &= (explained >= EXPLAINED) & (abs(y - horizons) <= HORIZON_TOLERANCE * unit)
    return Floors(counts.astype(np.int64), np.stack([x, y], 1), residuals, bends, explained, horizons, consistent)


def _horizon(sky: np.ndarray, unit: float) -> float:
    rows = sky.mean(1) >= 0.5
    height = int(rows.argmin()) if not rows.all() else len(rows)
    margin = round(unit)
    above, below = sky[: max(height - margin, 0)], sky[height + margin :]
    stray = int((~above).sum()) + int(below.sum())
    return float("nan") if height in (0, len(rows)) or stray > STRAY * sky.size else float(height)


def _lines(bright: np.ndarray, top: int, unit: float) -> tuple[list[_Line], float]:
    open_lines: list[_Line] = []
    closed: list[_Line] = []
    lowest, count = len(bright) - NEAR * (len(bright) - top), 0
    for row in range(len(bright) - 1, top - 1, -1):
        runs = _runs(bright[row], WIDEST * unit)
        if runs is None:
            continue
        y = row + 0.5
        count += sum(light < CUT for _, light in runs) if y >= lowest else 0
        for line in open_lines:
            line.misses += 1
        _extend(open_lines, runs, y, unit)
        closed += [line for line in open_lines if line.misses > 2 * unit]
        open_lines = [line for line in open_lines if line.misses <= 2 * unit]
        open_lines += [_Line([x], [y], light) for x, light in runs]
    lines = [line for line in closed + open_lines if line.y[0] >= lowest and len(line.x) >= FEWEST_ROWS * unit]
    lines = [line for line in lines if line.light < CUT]
    return lines, sum(y >= lowest for line in lines for y in line.y) / max(count, 1)


def _extend(lines: list[_Line], runs: list[tuple[float, float]], y: float, unit: float) -> None:
    """Give each line the run that lies nearest to its way, nearest pairs first, and take it out of `runs`."""
    pairs = []
    in_order = dict(zip(sorted(line.x[-1] for line in lines), runs, strict=False)) if len(lines) == len(runs) else {}
    for line in lines:
        expected, young = line.expected(y), len(line.x) < 3
        far = FIRST_STEP * max(1.0, line.y[-1] - y) if young else NEXT_STEP * unit
        near = [run for run in runs if abs(run[0] - expected) <= far and run[1] <= HEAVIER * line.light]
        if young and in_order:  # over several rows the nearest may be that of the next line, but lines do not cross
            near = [run for run in near if run == in_order[line.x[-1]]]
        pairs += [(abs(run[0] - expected), run, line) for run in near]
    for _, run, line in sorted(pairs, key=lambda pair: pair[0]):
        if run in runs and line.y[-1] != y:
            runs.remove(run)
            if line.light == CUT:
                line.x, line.y = [], []
            line.x.append(run[0])
            line.y.append(y)
            line.light, line.misses = run[1], 0


def _runs(row: np.ndarray, widest: float) -> list[tuple[float, float]] | None:
    """Centre and sum of the light of each run in a row; none at all of a row that a line across runs through."""
    edges = np.flatnonzero(np.diff(row > FAINT, prepend=False, append=False))
    found = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if end - start > widest:
            return None
        if row[start:end].max() <= BRIGHT:
            continue
        if start == 0 or end == len(row):
            found.append(((start + end) / 2, CUT))
            continue
        weights = row[start - 1 : end + 1]
        light = float(weights.sum())
        found.append((float((weights * (np.arange(start - 1, end + 1) + 0.5)).sum()) / light, light))
    return found


def _meeting(lines: list[_Line]) -> tuple[float, float, float]:
    """The point of least squared distance to all lines, and the largest of these distances."""
    if len(lines) < 2:
        return np.nan, np.nan, np.nan
    start, slope = np.array([line.fit for line in lines]).T
    norm = np.sqrt(1 + slope**2)
    rows = np.stack([1 / norm, -slope / norm], 1)
    point = np.linalg.lstsq(rows, start / norm, rcond=None)[0]
    return float(point[0]), float(point[1]), float(abs(rows @ point - start / norm).max())
