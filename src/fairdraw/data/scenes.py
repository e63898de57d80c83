"""Scenes with a known truth: objects to count, a floor in perspective, a figure of six parts. Drawn here, at any size.

They are what the GANs of 2014 to 2018 got wrong: "counting", "perspective" and "global structure" in Goodfellow's
tutorial (NIPS 2016, arXiv:1701.00160), figures 29 to 31. `fairdraw.metrics.scenes` reads the truth off a picture.

Lengths are in units of a picture that is `UNITS` wide, x to the right and y downwards; a pixel is what its centre is,
but for the floor, whose lines are anti-aliased so that their places can be read to less than a pixel.
"""

import colorsys
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.decode import Probe
from fairdraw.data.formats import digest
from fairdraw.data.options import plural
from fairdraw.data.source import Item, Pictures, Source

Kind = Literal["counting", "perspective", "figure"]

KINDS: Mapping[str, tuple[Kind, ...]] = {
    "scenes": ("counting", "perspective", "figure"),
    "scenes-counting": ("counting",),
    "scenes-perspective": ("perspective",),
    "scenes-figures": ("figure",),
}
"""Which kinds each of the sets holds; a picture is the same in each set that holds it."""

COUNT = 5_000
"""Pictures of each kind."""
UNITS = 32
SEED = 1701
EDITION = "1"
"""Part of the fingerprint: it has to change whenever a pixel does."""

MOST = 6
"""Objects in a picture."""
GAP = 2.5
"""Between two objects: more than two pixels of ground, even at 32 px."""
SUBROWS = 8
FOCAL = 32.0
"""Of the camera that sees the floor: 53 degrees wide."""

PARTS = ("head", "body", "left arm", "right arm", "left leg", "right leg")
"""Left and right as the picture shows them."""
HUES = {"head": 56.0, "left arm": 128.0, "left leg": 200.0, "right leg": 272.0, "right arm": 344.0}
"""Degrees. The body is white: mixed with it or with the ground, as a blurred edge is, a hue stays what it is."""

Colour = tuple[int, int, int]
Mask = NDArray[np.bool_]
Grid = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Scene:
    """What can be seen, in words, and how it is drawn at a side in pixels, uint8 `[H, W, 3]`."""

    kind: Kind
    caption: str
    draw: Callable[[int], NDArray[np.uint8]]


def scenes(name: str, size: int | None) -> Source:
    """The source with one of the names in `KINDS`, drawn at `size` pixels, or at 32 for what is smaller."""
    side = max(size or UNITS, UNITS)
    stamp = f"{name} {EDITION} {side}"
    return Source(f"builtin:{name}:{side}", lambda: stamp, partial(_load, name, side, stamp))


def _load(name: str, side: int, stamp: str) -> Pictures:
    drawn = [scene(kind, number) for kind in KINDS[name] for number in range(COUNT)]
    items = [Item(f"{one.kind}-{place % COUNT:04d}", one.kind, one.caption) for place, one in enumerate(drawn)]
    return Pictures(
        items,
        lambda index: drawn[index].draw(side),
        KINDS[name],
        digest=digest(stamp, "".join(one.caption for one in drawn).encode()),
        uniform=Probe(side, side, False, "RGB"),
    )


def scene(kind: Kind, number: int) -> Scene:
    """The scene of that number, from 0 on: a function of kind and number, whatever else is drawn."""
    makers: Mapping[Kind, Callable[[np.random.Generator], Scene]] = {
        "counting": _counting,
        "perspective": _perspective,
        "figure": _figure,
    }
    return makers[kind](np.random.default_rng([SEED, list(makers).index(kind), number]))


# Counting


@dataclass(frozen=True)
class Thing:
    """A disc or a square block: its centre, and its radius or half its side."""

    shape: Literal["disc", "block"]
    x: float
    y: float
    half: float
    colour: Colour

    def mask(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
        """Which of the points are in it."""
        if self.shape == "disc":
            inside: Mask = (x - self.x) ** 2 + (y - self.y) ** 2 <= self.half**2
            return inside
        return np.maximum(abs(x - self.x), abs(y - self.y)) <= self.half


def _counting(rng: np.random.Generator) -> Scene:
    count, ground = int(rng.integers(1, MOST + 1)), _ground(rng)
    things: list[Thing] | None = None
    while things is None:  # the count stays: whoever drew it anew would see fewer sixes
        things = _placed(rng, count)
    discs = sum(thing.shape == "disc" for thing in things)
    caption = f"{plural(count, 'object')}: {plural(discs, 'disc')}, {plural(count - discs, 'block')}"
    return Scene("counting", caption, partial(_draw_things, tuple(things), ground))


def _placed(rng: np.random.Generator, count: int, tries: int = 40) -> list[Thing] | None:
    found: list[Thing] = []
    for _ in range(tries):
        half, disc = float(rng.uniform(2.5, 4)), bool(rng.integers(2))
        half -= 0.0 if disc else 0.5  # so that neither covers much more than the other
        x, y = (float(place) for place in rng.uniform(half + 0.5, UNITS - half - 0.5, 2))
        colour = _hsv(float(rng.uniform(0, 360)), float(rng.uniform(0.75, 1)), float(rng.uniform(0.85, 1)))
        if all(max(abs(x - one.x), abs(y - one.y)) >= half + one.half + GAP for one in found):
            found.append(Thing("disc" if disc else "block", x, y, half, colour))
        if len(found) == count:
            return found
    return None


def _draw_things(things: tuple[Thing, ...], ground: Colour, side: int) -> NDArray[np.uint8]:
    picture, grid = _blank(side, ground), _centres(side)
    for thing in things:
        picture[thing.mask(*grid)] = thing.colour
    return picture


# Perspective


@dataclass(frozen=True)
class Floor:
    """A floor of square tiles, as wide as the picture at its near edge, and what is around it."""

    x: float
    horizon: float
    """(x, horizon) is the vanishing point."""
    slopes: tuple[float, ...]
    """Of the lines that meet there: dx/dy."""
    across: tuple[float, ...]
    """Of the lines across: how far each is below the horizon."""
    sky: Colour
    ground: Colour
    line: Colour

    def lines(self, y: NDArray[np.float64]) -> Grid:
        """Left and right end of each line at the heights `y` `[R]`, two of `[R, L]`; no line ends before it begins."""
        below = (y - self.horizon)[:, None].clip(0)
        near = below / (UNITS - self.horizon)
        slopes = np.array(self.slopes)
        half = 0.3 * (near > 0) + 0.35 * near  # nearer lines are wider, and far ones still visible
        hit = abs(below - np.array(self.across)) <= 0.3 + 0.25 * near
        left = np.where(hit, self.x + slopes.min() * below, np.inf)
        right = np.where(hit, self.x + slopes.max() * below, -np.inf)
        centres = self.x + slopes * below
        return np.hstack([centres - half, left]), np.hstack([centres + half, right])


def _perspective(rng: np.random.Generator) -> Scene:
    x, horizon = float(rng.uniform(6, 26)), float(rng.uniform(7, 15))
    depth, tile = UNITS - horizon, float(rng.uniform(5.5, 9))
    ends = np.arange(float(rng.uniform(0.5, 0.5 + tile)), UNITS - 0.5, tile)
    across, ratio, step = [], tile / FOCAL, 1 + float(rng.uniform(0, tile / FOCAL))
    while depth / step - depth / (step + ratio) >= 2:  # those behind would run into one another
        across.append(depth / step)
        step += ratio
    colours = [((20, 90), (90, 170), (200, 255)), ((0, 40), (0, 50), (0, 40)), ((200, 255), (200, 255), (120, 255))]
    sky, ground, line = (_within(rng, ranges) for ranges in colours)
    slopes = tuple(float((end - x) / depth) for end in ends)
    caption = f"vanishing point at {x / UNITS:.4f} {horizon / UNITS:.4f}, {plural(len(slopes), 'line')} to it"
    return Scene(
        "perspective", caption, partial(_draw_floor, Floor(x, horizon, slopes, tuple(across), sky, ground, line))
    )


def _draw_floor(floor: Floor, side: int) -> NDArray[np.uint8]:
    rows = np.linspace(0, UNITS, side * SUBROWS, endpoint=False) + UNITS / (2 * side * SUBROWS)
    left, right = (ends[:, :, None] * (side / UNITS) for ends in floor.lines(rows))
    pixels = np.arange(side)
    covered = (np.minimum(right, pixels + 1) - np.maximum(left, pixels)).clip(0, 1).sum(1).clip(0, 1)[..., None]
    under = np.where((rows < floor.horizon)[:, None, None], floor.sky, floor.ground)
    mixed = under + covered * (np.array(floor.line) - under)
    picture: NDArray[np.uint8] = np.rint(mixed.reshape(side, SUBROWS, side, 3).mean(1)).astype(np.uint8)
    return picture


# Figures


@dataclass(frozen=True)
class Bar:
    """A straight part: the points no farther than `half` from the line between its ends, which for a head agree."""

    start: tuple[float, float]
    end: tuple[float, float]
    half: float
    square: bool = False
    """Whether its ends are cut off straight, as the body's are; else they are round."""

    @property
    def centre(self) -> tuple[float, float]:
        """Midway between its ends."""
        return (self.start[0] + self.end[0]) / 2, (self.start[1] + self.end[1]) / 2

    def moved(self, dx: float, dy: float) -> "Bar":
        """The same elsewhere."""
        (a, b), (c, d) = self.start, self.end
        return Bar((a + dx, b + dy), (c + dx, d + dy), self.half, self.square)

    def mask(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
        """Which of the points are in it."""
        dx, dy = self.end[0] - self.start[0], self.end[1] - self.start[1]
        along = ((x - self.start[0]) * dx + (y - self.start[1]) * dy) / max(dx * dx + dy * dy, 1e-12)
        nearest = along.clip(0, 1)
        away = (x - self.start[0] - nearest * dx) ** 2 + (y - self.start[1] - nearest * dy) ** 2
        inside: Mask = away <= self.half**2
        return inside & (along >= 0) & (along <= 1) if self.square else inside


def _figure(rng: np.random.Generator) -> Scene:
    scale, lean, ground = float(rng.uniform(0.85, 1.1)), math.radians(rng.uniform(-12, 12)), _ground(rng)
    parts = _pose(rng, scale, lean)
    low = [min(min(p.start[i], p.end[i]) - p.half for p in parts.values()) for i in (0, 1)]
    high = [max(max(p.start[i], p.end[i]) + p.half for p in parts.values()) for i in (0, 1)]
    dx, dy = (float(rng.uniform(0.5 - low[i], UNITS - 0.5 - high[i])) for i in (0, 1))
    placed = {name: part.moved(dx, dy) for name, part in parts.items()}
    jitter = {name: (rng.uniform(-8, 8), rng.uniform(0.85, 1), rng.uniform(0.8, 1)) for name in PARTS}
    colours = {
        name: _hsv(HUES[name] + turn, full, bright) if name in HUES else _hsv(0, 0, bright)
        for name, (turn, full, bright) in jitter.items()
    }
    places = ", ".join(
        f"{name} {placed[name].centre[0] / UNITS:.3f} {placed[name].centre[1] / UNITS:.3f}" for name in PARTS
    )
    return Scene("figure", f"figure at {places}", partial(_draw_figure, placed, colours, ground))


def _pose(rng: np.random.Generator, scale: float, lean: float) -> dict[str, Bar]:
    """A figure about the middle of its body."""

    def at(right: float, up: float) -> tuple[float, float]:
        x, y = scale * right, -scale * up
        return x * math.cos(lean) - y * math.sin(lean), x * math.sin(lean) + y * math.cos(lean)

    def limb(right: float, up: float, length: float, degrees: float) -> Bar:
        """From a joint, `degrees` outwards from straight down."""
        out = math.copysign(math.sin(math.radians(degrees)), right)
        end = at(right + length * out, up - length * math.cos(math.radians(degrees)))
        return Bar(at(right, up), end, 1.15 * scale)

    arms, legs = rng.uniform(40, 140, 2), rng.uniform(5, 35, 2)
    head = at(0, 6.9)
    return {
        "left arm": limb(-3, 3, 6.5, arms[0]),
        "right arm": limb(3, 3, 6.5, arms[1]),
        "left leg": limb(-1.9, -4.2, 7, legs[0]),
        "right leg": limb(1.9, -4.2, 7, legs[1]),
        "body": Bar(at(0, 4.2), at(0, -4.2), 3 * scale, square=True),
        "head": Bar(head, head, 2.9 * scale),
    }


def _draw_figure(
    parts: Mapping[str, Bar], colours: Mapping[str, Colour], ground: Colour, side: int
) -> NDArray[np.uint8]:
    picture, grid = _blank(side, ground), _centres(side)
    for name, part in parts.items():
        picture[part.mask(*grid)] = colours[name]
    return picture


# For all


def _ground(rng: np.random.Generator) -> Colour:
    return _within(rng, ((0, 40), (0, 40), (0, 40)))


def _within(rng: np.random.Generator, ranges: tuple[tuple[int, int], ...]) -> Colour:
    red, green, blue = (int(rng.integers(low, high + 1)) for low, high in ranges)
    return red, green, blue


def _hsv(degrees: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(degrees / 360 % 1, saturation, value))
    return red, green, blue


def _blank(side: int, colour: Colour) -> NDArray[np.uint8]:
    return np.full((side, side, 3), colour, np.uint8)


def _centres(side: int) -> Grid:
    places = (np.arange(side) + 0.5) * (UNITS / side)
    x, y = np.meshgrid(places, places)
    return x, y
