"""Points of a latent space: lines and arcs between two of them, grids, and quantiles of the prior.

What a prior is made of is asked through its noise. A `Chosen` noise hands it standard normal scores of one's own, and a
`Recorded` one remembers what it drew; so the same few functions serve N(0, I), a uniform prior, a Gaussian fitted to
codes, and one that draws twice.
"""

import math
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fairdraw.capabilities import Conditions, Encodes, Generates, sample_chunk
from fairdraw.inference import in_chunks, to_numpy
from fairdraw.model import Model
from fairdraw.noise import Noise

How = Literal["linear", "spherical"]

REACH = 0.05
"""The grid of a manifold leaves out this share of the probability at either end: at 0 and 1 the scores are infinite."""
NOTHING = 1e-6
"""Share of the strongest direction below which another one moves nothing but rounding."""
STRATA = 4096
"""Draws of the prior from which quantiles are taken."""
LARGEST_UNIFORM = 1 - 2**-24
SMALLEST_UNIFORM = 2**-25


class Chosen(Noise):
    """Noise whose numbers are chosen: each draw takes the next of the given standard normal scores.

    `normal` gives the scores and `uniform` their probabilities; whatever is drawn beyond them is at its median.

    Args:
        scores: `[count, K]`, a row for each image.
    """

    def __init__(self, scores: Tensor) -> None:
        super().__init__(0, len(scores), purpose="chosen", device=scores.device, dtype=scores.dtype)
        self._scores = scores
        self.widths: list[int] = []
        """How many numbers each draw took."""

    def rows(self, start: int, count: int) -> "Chosen":
        """The source for `count` of these images from row `start` on, at its first draw."""
        return Chosen(self._scores[start : start + count])

    def normal(self, *shape: int) -> Tensor:
        """The next scores, `[count, *shape]`."""
        first, width = sum(self.widths), math.prod(shape)
        self.widths.append(width)
        taken = self._scores[:, first : first + width]
        rest = taken.new_zeros(self.count, width - taken.shape[1])
        return torch.cat([taken, rest], dim=1).reshape(self.count, *shape)

    def uniform(self, *shape: int) -> Tensor:
        """The probabilities of the next scores, `[count, *shape]`, below 1 as ever."""
        probabilities: Tensor = torch.special.ndtr(self.normal(*shape))
        return probabilities.clamp_max(LARGEST_UNIFORM)


class Recorded(Noise):
    """Noise that remembers what was drawn, as standard normal scores; it is used up by one prior.

    Args:
        seed: as that of the noise it behaves as, the one of `Generates.sample`.
        model: for whose device and type.
    """

    def __init__(self, seed: int, model: Model) -> None:
        super().__init__(seed, sample_chunk(model.shape), 0, "sample", model.device, model.dtype)
        self._drawn: list[Tensor] = []

    @property
    def scores(self) -> Tensor:
        """All numbers drawn so far, `[count, K]`."""
        return torch.cat(self._drawn, dim=1)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, `[count, *shape]`."""
        drawn = super().normal(*shape)
        self._drawn.append(drawn.reshape(self.count, -1))
        return drawn

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers on [0, 1), `[count, *shape]`."""
        drawn = super().uniform(*shape)
        self._drawn.append(torch.special.ndtri(drawn.clamp_min(SMALLEST_UNIFORM)).reshape(self.count, -1))
        return drawn


class Truncated(Noise):
    """Noise from the central share of its distribution (the truncation trick of Brock 2019, arXiv:1809.11096).

    Their numbers beyond a threshold are drawn again; here the probability u of each becomes 1/2 + share (u - 1/2). That
    is the same distribution, for a prior of uniform numbers too, and a draw stays as near to what it was as it can.
    """

    def __init__(self, noise: Noise, share: float) -> None:
        super().__init__(noise.seed, noise.count, noise.first, noise.purpose, noise.device, noise.dtype)
        self.share = share

    def rows(self, start: int, count: int) -> "Truncated":
        """The source for `count` of these images from row `start` on, at its first draw."""
        return Truncated(super().rows(start, count), self.share)

    def normal(self, *shape: int) -> Tensor:
        """Normal numbers within the quantiles that bound the central share, `[count, *shape]`."""
        # By the lower tail: an upper one of 1e-8 is lost beside 1, whose score is infinite.
        scores = super().normal(*shape)
        tail = (1 - self.share) / 2 + self.share * torch.special.ndtr(-scores.abs())
        distances: Tensor = torch.special.ndtri(tail).abs()
        return distances.copysign(scores)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers on the middle of [0, 1), `[count, *shape]`."""
        return 0.5 + self.share * (super().uniform(*shape) - 0.5)


def drawn(model: Generates, count: int, seed: int, share: float = 1.0) -> Tensor:
    """The latents of the first `count` draws of `seed`, `[count, D]`, from the central `share` of the prior.

    The class of a draw stays what it is.
    """
    assert isinstance(model, Model)
    chunk, parts = sample_chunk(model.shape), []
    for first in range(0, count, chunk):
        noise = Noise(seed, chunk, first, "sample", model.device, model.dtype)
        z = model.prior(noise.rows(0, chunk))
        if share < 1:
            central = model.prior(Truncated(noise, share))
            z = (
                model.with_class(central, model.class_of(z))
                if isinstance(model, Conditions) and model.classes
                else central
            )
        parts.append(z)
    return torch.cat(parts)[:count]


def lerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """`steps` points at equal distances on the line from `a` to `b` `[D]`, `[steps, D]`; its ends are `a` and `b`."""
    t = _places(a, steps)
    return torch.cat([a[None], a + t * (b - a), b[None]])


def slerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """`steps` points on the arc about the origin from `a` to `b` `[D]`, `[steps, D]`; its ends are `a` and `b`.

    The direction turns at a constant rate in the plane of the two (Shoemake 1985) while the norm goes evenly from one
    to the other, so that no point leaves the shell between them. Two opposite vectors have no such plane: then the arc
    goes by the coordinate that they have least of. Where one is 0, or there is one dimension only, it is the line.
    """
    norms = torch.stack([a.norm(), b.norm()])
    if norms.min() == 0 or len(a) == 1:
        return lerp(a, b, steps)
    start, end = a / norms[0], b / norms[1]
    # By halves of chords: the arc cosine has no digits left where the angle is small or nearly half a turn.
    angle = 2 * torch.atan2((end - start).norm(), (end + start).norm())
    across = end - start * (start @ end)
    if across.norm() < 1e-6:
        across = torch.zeros_like(start)
        across[start.abs().argmin()] = 1
        across -= start * (start @ across)
    across = across / across.norm()
    t = _places(a, steps)
    direction = torch.cos(t * angle) * start + torch.sin(t * angle) * across
    return torch.cat([a[None], torch.lerp(norms[0], norms[1], t) * direction, b[None]])


def between_codes(model: Generates, ends: Tensor, steps: int, how: How) -> Tensor:
    """Latents from one of the two `ends` `[2, D]` to the other, `[steps, D]`; arcs are about the prior's median."""
    a, b = ends
    if how == "linear":
        return lerp(a, b, steps)
    centre = median(model)
    return torch.cat([a[None], slerp(a - centre, b - centre, steps)[1:-1] + centre, b[None]])


def between_draws(model: Generates, seeds: tuple[int, int], steps: int, how: How) -> Tensor:
    """Latents from the first draw of one seed to that of another, `[steps, D]`.

    The arc is one of the standard normal scores that the prior makes its draws of. So it stays where draws fall, for a
    uniform or a correlated prior as for N(0, I).
    """
    assert isinstance(model, Model)
    noises = [Recorded(seed, model) for seed in seeds]
    a, b = (model.prior(noise)[0] for noise in noises)
    if how == "linear":
        return lerp(a, b, steps)
    scores = slerp(noises[0].scores[0], noises[1].scores[0], steps)
    return torch.cat([a[None], model.prior(Chosen(scores))[1:-1], b[None]])


def walk(model: Generates, stops: int, seed: int, steps: int) -> Tensor:
    """A closed way through the first `stops` draws of `seed` and back to the first, `[stops * steps, D]`.

    Every `steps`-th point is a draw; between two of them it is an arc of the normal scores behind them.
    """
    assert isinstance(model, Model)
    noise = Recorded(seed, model)
    z = model.prior(noise)[:stops]
    ends = [*noise.scores[:stops], noise.scores[0]]
    arcs = [slerp(a, b, steps + 1)[:-1] for a, b in pairwise(ends)]
    points = model.prior(Chosen(torch.cat(arcs)))
    points[::steps] = z
    return points


def directions(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Directions of the latent in which a first layer `weights` `[K, D]` moves most, the strongest first.

    Eigenvectors of A^T A (Shen & Zhou 2021, "Closed-form factorization of latent semantics in GANs", eq. 4), as rows of
    length 1 `[R, D]` whose largest entry is positive; and how far A moves along each, `[R]`. R is the rank of A: what
    moves nothing, such as the columns of a class, is none.
    """
    _, strengths, rows = torch.linalg.svd(weights.detach().double(), full_matrices=False)
    moves = strengths > NOTHING * strengths[:1]
    strengths, rows = strengths[moves], rows[moves]
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return (rows * largest.sign()).to(weights), strengths.to(weights)


def around(z: Tensor, reach: float, count: int, seed: int) -> Tensor:
    """Latents near `z` `[D]`, `[count, D]`: uniform noise within `reach` is added to all but the middle one."""
    noise = 2 * Noise(seed, count, 0, "around", z.device, z.dtype).uniform(len(z)) - 1
    noise[count // 2] = 0
    return z + reach * noise


def median(model: Generates) -> Tensor:
    """The latent that the prior makes of noise at its median, `[D]`: 0 for N(0, I), the mean of a fitted Gaussian."""
    return model.prior(Chosen(_nothing(model)))[0]


def first_width(model: Generates) -> int:
    """How many numbers the prior's first draw takes for an image."""
    noise = Chosen(_nothing(model))
    model.prior(noise)
    return noise.widths[0]


def quantiles(model: Generates, scores: Tensor) -> Tensor:
    """Quantiles of each coordinate of the prior at the probabilities of standard normal `scores` `[K]`, `[K, D]`.

    Of N(0, I) these are the scores themselves. The prior is drawn `STRATA` times, with each number of its noise once in
    every one of as many equal shares of the probability (Latin hypercube sampling), and interpolated by score.
    """
    noise = Chosen(_nothing(model))
    model.prior(noise)
    middles = torch.special.ndtri((torch.arange(STRATA, dtype=torch.float64) + 0.5) / STRATA).numpy()
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(STRATA), (sum(noise.widths), 1)), axis=1)
    drawn = model.prior(Chosen(torch.from_numpy(middles[orders].T).to(scores)))
    found = [np.interp(scores.cpu(), middles, column) for column in np.sort(to_numpy(drawn), axis=0).T]
    return torch.from_numpy(np.stack(found, axis=1)).to(scores)


def grid_scores(side: int) -> Tensor:
    """Standard normal scores of `side` probabilities at equal distances within (0, 1), `[side]`."""
    scores: Tensor = torch.special.ndtri(torch.linspace(REACH, 1 - REACH, side, dtype=torch.float64))
    return scores


def manifold(model: Generates, side: int, dimensions: tuple[int, int]) -> Tensor:
    """Latents of a square grid, `[side * side, D]`: equal shares of probability from one to the next.

    Row by row; the first of the `dimensions` rises to the right, the second upwards. Where the prior makes its draws of
    two numbers, the grid is one of these numbers, so that it follows a prior whose coordinates depend on each other.
    Else it is one of two coordinates of the latent by their own quantiles, with the others at the median.
    """
    assert isinstance(model, Model)
    scores = grid_scores(side).to(model.device, model.dtype)
    right, up = scores.repeat(side), scores.flip(0).repeat_interleave(side)
    if first_width(model) == 2:
        chosen = torch.zeros(side * side, 2, device=model.device, dtype=model.dtype)
        chosen[:, dimensions[0]], chosen[:, dimensions[1]] = right, up
        return model.prior(Chosen(chosen))
    z = median(model).repeat(side * side, 1)
    values = quantiles(model, scores)
    z[:, dimensions[0]] = values[:, dimensions[0]].repeat(side)
    z[:, dimensions[1]] = values[:, dimensions[1]].flip(0).repeat_interleave(side)
    return z


def traversal(model: Generates, base: Tensor, coordinates: list[int], scores: Tensor) -> Tensor:
    """Latents with one coordinate moved at a time, `[len(coordinates) * K, D]`, row by row.

    Each of the `coordinates` takes the prior's quantiles at the probabilities of `scores` `[K]`; the others stay as in
    `base` `[D]`.
    """
    z = base.repeat(len(coordinates), len(scores), 1)
    values = quantiles(model, scores)
    for row, coordinate in enumerate(coordinates):
        z[row, :, coordinate] = values[:, coordinate]
    return z.flatten(0, 1)


def encoded(model: Encodes, images: np.ndarray) -> Tensor:
    """Latents `[N, D]` of the uint8 `images` `[N, C, H, W]`, where the model is."""
    assert isinstance(model, Model)
    return torch.cat(in_chunks(lambda _, x: model.encode(x), model, images))


def _places(like: Tensor, steps: int) -> Tensor:
    """Where on the way the points between the ends are, `[steps - 2, 1]`."""
    return torch.linspace(0, 1, steps, device=like.device, dtype=like.dtype)[1:-1, None]


def _nothing(model: Generates) -> Tensor:
    assert isinstance(model, Model)
    return torch.zeros(1, 0, device=model.device, dtype=model.dtype)
