"""Progressively grown generative adversarial networks.

Karras, Aila, Laine & Lehtinen, "Progressive growing of GANs for improved quality, stability, and variation", ICLR 2018
(arXiv:1710.10196).

    D:  min  E D(G(z)) - E D(x) + lambda E (|grad D(x^)| - gamma)^2 / gamma^2 + epsilon E D(x)^2,    G:  min  -E D(G(z))

Both networks begin with images of 4 px. When they have seen `stable_images` there, layers for twice the size are faded
in over `fade_images`, in G, in D and in the real images alike; and so on to the full size. Paper's text and released
code: equalised learning rate, pixel normalisation in G, LeakyReLU 0.2, standard deviation over the whole minibatch
before D's last block, z on the hypersphere of radius sqrt(512), 8192 / 2^k channels and at most 512, lambda = 10,
gamma = 1, epsilon = 0.001, Adam at 1e-3 with betas 0 and 0.99, forgotten where a fade begins and where it ends,
minibatches of 16 that shrink to 3 at 1024 px. At 1024 px in colour G has 23,079,115 parameters and D 23,087,249.

What differs, and why:

* All layers are there from the start, so that any file loads and the averaged weights cover them; those that have not
  grown in yet are neither computed nor moved. Images are of the full size always, each pixel as many until it is
  reached.
* G moves after D on z of its own, or, for CIFAR-10's preset, both at once on the same z, as the paper did there.
* Sizes start from a map of 4 to 7 px, so that digits of 28 px grow from 7.
* The rise of the learning rate over the first 40,000 images is a line (`--warmup-images`), not an exponential. Rates of
  their own for the sizes of the multi-GPU configurations, the fused resampling convolutions and the mirrored images of
  the released code are not here; nor are the ablations of table 1, other than `growth="none"`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.adversarial import gradient_penalty, mean_of, wasserstein_critic, wasserstein_generator
from fairdraw.capabilities import BeginsLinearly, Discriminates, Generates
from fairdraw.errors import InputError, check_at_least
from fairdraw.losses import at_least_float32
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.equalised import HE_GAIN, Equalised, doubled, halved, minibatch_deviation, pixel_norm
from fairdraw.nets.prior import Prior, drawn
from fairdraw.nets.pyramid import halvings
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam

SLOPE = 0.2


@dataclass(frozen=True)
class ProgressiveConfig:
    """Options of the progressively grown GAN.

    Args:
        latent: dimensions of z.
        prior: distribution of z, before it is put on the hypersphere.
        feature_base: channels are feature_base / 2^k at the k-th size, of 4, 8, 16 px and so on, from k = 1.
        feature_max: and no more than this.
        growth: from the smallest map on, or with all layers from the start, as the paper's baseline.
        stable_images: images at a size before the next begins.
        fade_images: images over which the next size is faded in.
        batches: images of a step at most, for each size from the smallest on; the last is for all that follow.
        penalty: weight lambda of the gradient penalty.
        target: norm gamma that the critic's gradient is drawn to.
        drift: weight epsilon of the squared scores of real images.
        group: images over which the minibatch standard deviation is taken; 0 is all.
        moves: G after D on z of its own, or both at once on the same z.
        optimizer: the same settings for both players.
    """

    latent: int = 512
    prior: Prior = "gaussian"
    feature_base: int = 8192
    feature_max: int = 512
    growth: Literal["progressive", "none"] = "progressive"
    stable_images: int = 800_000
    fade_images: int = 800_000
    batches: tuple[int, ...] = (16, 16, 16, 16, 16, 16, 14, 6, 3)
    penalty: float = 10.0
    target: float = 1.0
    drift: float = 0.001
    group: int = 0
    moves: Literal["alternating", "simultaneous"] = "alternating"
    optimizer: Adam = field(default_factory=lambda: Adam(1e-3, (0.0, 0.99)))

    def __post_init__(self) -> None:
        check_at_least(1, self, "latent", "feature_base", "feature_max", "stable_images", "fade_images", "batches")
        check_at_least(0, self, "penalty", "drift", "group")
        if not self.batches or not 0 < self.target < math.inf:
            raise InputError("--batches wants a number for each size, and --target one above 0")

    def channels(self, level: int) -> int:
        """Channels at the size that is doubled `level` times: nf(level + 1) of the paper's table 2."""
        return max(1, min(self.feature_base >> (level + 1), self.feature_max))


@final
class Progressive(Model, Generates, Discriminates, BeginsLinearly):
    """The progressively grown GAN (Karras et al. 2018)."""

    Config = ProgressiveConfig
    config: ProgressiveConfig
    seen: Tensor

    def __init__(self, config: ProgressiveConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        base, self.top = halvings(shape[1], "progressive")
        channels = [config.channels(level) for level in range(self.top + 1)]
        first = self.top if config.growth == "none" else 0
        self.generator = Generator(config.latent, base, channels, shape[0], first)
        self.critic = Critic(base, channels, shape[0], first, config.group)
        self.register_buffer("seen", torch.tensor(0))  # whole, so that it is copied where weights are averaged

    def players(self) -> dict[str, Player]:
        """Critic and generator."""
        return {
            "critic": Player.of(self.critic, self.config.optimizer),
            "generator": Player.of(self.generator, self.config.optimizer),
        }

    def size(self, images: int) -> float:
        """How often the smallest size is doubled after `images`: a whole number, or one between while it is faded."""
        if self.config.growth == "none":
            return float(self.top)
        phase, within = divmod(images, self.config.stable_images + self.config.fade_images)
        return min(phase + max(0, within - self.config.stable_images) / self.config.fade_images, float(self.top))

    def stage(self, images: int) -> int:
        """Changes where a fade begins and where it ends."""
        return math.floor(self.size(images)) + math.ceil(self.size(images))

    def batch(self, images: int, batch: int) -> int:
        """What the size allows, of the `batch` that was asked for."""
        allowed = self.config.batches
        return min(batch, allowed[min(math.ceil(self.size(images)), len(allowed) - 1)])

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """One step of D, then one of G, at the size of the moment (section 2, appendix A)."""
        self.seen.fill_(clock.images)
        level, alpha = self._level(clock.images)
        real = self.faded(batch["image"], level, alpha)
        at_once = self.config.moves == "simultaneous"
        with torch.set_grad_enabled(at_once):
            images = self.generator(self.prior(clock.noise), level, alpha)
        fake = images.detach().requires_grad_(at_once)

        real_scores, fake_scores = self.critic(real, level, alpha), self.critic(fake, level, alpha)
        if at_once:
            loss = wasserstein_generator(fake_scores)
            (pull,) = torch.autograd.grad(loss, fake, retain_graph=True)
        penalty = gradient_penalty(
            lambda x: self.critic(x, level, alpha), real, fake.detach(), clock.noise.uniform(), self.config.target
        )
        log = {"real_score": mean_of(real_scores), "fake_score": mean_of(fake_scores)}
        yield Update(
            "critic",
            wasserstein_critic(real_scores, fake_scores)
            + self.config.penalty * penalty
            + self.config.drift * at_least_float32(real_scores).square().mean(),
            log | {"gradient_penalty": penalty.detach(), "size": real.new_tensor(self.size(clock.images))},
        )

        if at_once:
            # The gradient at G's images from before D moved; the value is that of the loss.
            follow = (pull * images).sum()
            yield Update("generator", follow + (loss - follow).detach())
        else:
            images = self.generator(self.prior(clock.noise), level, alpha)
            yield Update("generator", wasserstein_generator(self.critic(images, level, alpha)))

    def faded(self, images: Tensor, level: int, alpha: Tensor | None) -> Tensor:
        """Real images of the full size as D sees them: box-filtered to a level, mixed with half of its size."""
        images = halved(images, self.top - level)
        return images if alpha is None else torch.lerp(doubled(halved(images)), images, alpha)

    def over_the_batch(self) -> tuple[str, ...]:
        """The minibatch standard deviation."""
        return ("the minibatch standard deviation",)

    def prior(self, noise: Noise) -> Tensor:
        """z `[B, D]`; G puts it on the hypersphere."""
        return drawn(self.config.prior, noise, self.config.latent)

    def generate(self, z: Tensor) -> Tensor:
        """G(z) at the size that has been reached, each pixel as many as make the full size."""
        level, alpha = self._level(int(self.seen))
        images: Tensor = self.generator(z, level, alpha)
        return F.interpolate(images, scale_factor=2.0 ** (self.top - level), mode="nearest")

    def first_weights(self) -> Tensor:
        """Of the dense layer that z, on its hypersphere, comes to."""
        return self.generator.dense.scaled()

    def realness(self, x: Tensor) -> Tensor:
        """The critic's scores of images of the full size, at the size that has been reached."""
        level, alpha = self._level(int(self.seen))
        scores: Tensor = self.critic(self.faded(x, level, alpha), level, alpha)
        return scores.squeeze(1)

    def _level(self, images: int) -> tuple[int, Tensor | None]:
        """The largest size in use, as doublings, and how far it is faded in; None where it is whole."""
        size = self.size(images)
        level = math.ceil(size)
        alpha = None if size == level else torch.tensor(1 + size - level, device=self.device, dtype=self.dtype)
        return level, alpha


class Generator(nn.Module):
    """z `[B, D]` to images `[B, C, s, s]` of any of its sizes, from the one that is doubled `first` times on."""

    def __init__(self, latent: int, base: int, channels: list[int], colours: int, first: int) -> None:
        super().__init__()
        self.base, self.smallest = base, first
        # The gain of the released code, where the 16 pixels of a map share their fan.
        self.dense = Equalised(latent, channels[0] * base * base, 0, gain=HE_GAIN / 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels[0], 1, 1))
        self.first = Equalised(channels[0], channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Equalised(a, b, 3, padding=1), Equalised(b, b, 3, padding=1)]) for a, b in pairwise(channels)
        )
        self.to_image = nn.ModuleList(Equalised(c, colours, 1, gain=1.0) for c in channels[first:])

    def forward(self, z: Tensor, level: int, alpha: Tensor | None) -> Tensor:
        """Images of the size that is doubled `level` times, `alpha` of them and the rest of half that size."""
        x = self.dense(pixel_norm(z)).view(len(z), -1, self.base, self.base)
        x = _active(self.first(_active(x + self.bias)))
        before = x
        for block in list(self.blocks)[:level]:
            assert isinstance(block, nn.ModuleList)
            before, x = x, doubled(x)
            for layer in block:
                x = _active(layer(x))
        images: Tensor = self.to_image[level - self.smallest](x)
        if alpha is None:
            return images
        return torch.lerp(doubled(self.to_image[level - self.smallest - 1](before)), images, alpha.to(images.dtype))


class Critic(nn.Module):
    """Images `[B, C, s, s]` of any of its sizes, from the one that is doubled `first` times on, to scores `[B, 1]`."""

    def __init__(self, base: int, channels: list[int], colours: int, first: int, group: int) -> None:
        super().__init__()
        self.smallest, self.group = first, group
        self.from_image = nn.ModuleList(Equalised(colours, c, 1) for c in channels[first:])
        self.blocks = nn.ModuleList(
            nn.ModuleList([Equalised(b, b, 3, padding=1), Equalised(b, a, 3, padding=1)]) for a, b in pairwise(channels)
        )
        self.last = Equalised(channels[0] + 1, channels[0], 3, padding=1)
        self.dense = Equalised(channels[0] * base * base, channels[0], 0)
        self.score = Equalised(channels[0], 1, 0, gain=1.0)

    def forward(self, x: Tensor, level: int, alpha: Tensor | None) -> Tensor:
        """D(x) of images of the size that is doubled `level` times, whose layers count by `alpha`."""
        y = F.leaky_relu(self.from_image[level - self.smallest](x), SLOPE)
        for depth in range(level, 0, -1):
            block = self.blocks[depth - 1]
            assert isinstance(block, nn.ModuleList)
            for layer in block:
                y = F.leaky_relu(layer(y), SLOPE)
            y = halved(y)
            if depth == level and alpha is not None:
                before = F.leaky_relu(self.from_image[level - self.smallest - 1](halved(x)), SLOPE)
                y = torch.lerp(before, y, alpha.to(y.dtype))
        y = F.leaky_relu(self.last(minibatch_deviation(y, self.group)), SLOPE)
        y = F.leaky_relu(self.dense(y.flatten(1)), SLOPE)
        scores: Tensor = self.score(y)
        return scores


def _active(x: Tensor) -> Tensor:
    """What follows each of G's convolutions."""
    return pixel_norm(F.leaky_relu(x, SLOPE))
