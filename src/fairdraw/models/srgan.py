"""Super-resolution by a residual network (SRResNet) and by a generative adversarial network (SRGAN).

Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", CVPR 2017
(arXiv:1609.04802); with ESRGAN (Wang et al. 2018, arXiv:1809.00219) by option.

    SRResNet:   G:  min  mean (y - G(x))^2
    SRGAN:      D:  min  -E log D(y) - E log(1 - D(G(x))),    G:  min  l(y, G(x)) - 10^-3 E log D(G(x))

with y a crop of 96 px on [-1, 1], x on [0, 1] the same crop made smaller by `factor`, and l a distance of features. The
first `mse_images` images train G alone, by squared error; then the game begins from there. Its optimizers begin afresh
at 1e-4 and go on at 1e-5 in its second half. Adam with beta1 = 0.9, batches of 16; 10^6 steps and 2 * 10^5 steps. For
colour G has 1,549,462 parameters and, at 96 px, D 23,565,505.

What differs, and why:

* Features are D's own by default, because the paper's VGG-19 is a file of 548 MB that has to be fetched: `--perceptual
  vgg54` is the paper's. What is not VGG is measured in another way and named so: see `nets.perceptual`.
* x is made within the step: MATLAB's bicubic filter, anti-aliased, on levels and rounded to levels again, as files have
  them. So the low resolution is the same in training, at use and in a table.
* The G of the first part is kept, as running averages of its weights, beside the one that plays: `blend` mixes the two
  (ESRGAN's network interpolation).
* Samples come from averaged weights; the paper's are the last ones.
* Crops are mirrored and turned at random, of which the paper says nothing. G's output is linear; it is clipped at use.
* SRResNet-VGG22's total variation loss is not here.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.adversarial import (
    discriminator_loss,
    mean_of,
    non_saturating_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
)
from fairdraw.capabilities import Blends, Upscales
from fairdraw.errors import InputError, check_at_least
from fairdraw.losses import at_least_float32
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.bicubic import as_levels, resized
from fairdraw.nets.perceptual import Maps, Perceptual, distance, frozen_maps
from fairdraw.nets.upscaling import CropDiscriminator, Skip, Upscaler, rrdb, srresnet
from fairdraw.noise import Noise
from fairdraw.optimizers import SteppedAdam

HALF_LIFE, RAMP = 5_000, 0.05
"""In images, of the averages of the first G, and the share of the images seen that it is at most."""

FARTHEST = 48
"""Beyond so many pixels of the small image nearly nothing of a tile's result depends on it, however deep G is."""


@dataclass(frozen=True)
class SRGANConfig:
    """Options of SRResNet and SRGAN.

    Args:
        factor: how many times as long each side becomes.
        network: the paper's, or ESRGAN's residuals in residuals of dense blocks.
        width: channels of G.
        blocks: residual blocks of G.
        normalisation: of SRResNet's residuals, over the batch as in the paper, or none as later practice has it.
        skip: what G's output is added to: nothing as in the papers, or x enlarged without it.
        crop: side in pixels of what a step sees of each image.
        discriminator_width: channels of its first layers; 64 in the paper.
        mse_images: images of the first part, by pixels alone; none is SRResNet, with no second part and no D.
        pixel_error: of the first part: squared as in the paper, or absolute as in ESRGAN.
        perceptual: the network in whose features the second part compares.
        vgg_weights: a file of VGG-19 in place of a download.
        before_activation: whether VGG-19's features are taken before their rectifier (ESRGAN).
        feature_error: squared as in the paper, or absolute as in ESRGAN's code.
        content: weight of the distance of features in the second part.
        adversarial: weight of the game for G.
        pixel: weight of the pixel error in the second part; 0 in SRGAN, 0.01 in ESRGAN.
        game: each image by itself as in SRGAN, or against the mean of the others as in ESRGAN.
        optimizer: the same settings for both players.
    """

    factor: Literal[2, 4] = 4
    network: Literal["srresnet", "rrdb"] = "srresnet"
    width: int = 64
    blocks: int = 16
    normalisation: Literal["batch", "none"] = "batch"
    skip: Skip = "none"
    crop: int = 96
    discriminator_width: int = 64
    mse_images: int | None = 16_000_000
    pixel_error: Literal["squared", "absolute"] = "squared"
    perceptual: Perceptual = "discriminator"
    vgg_weights: str | None = None
    before_activation: bool = False
    feature_error: Literal["squared", "absolute"] = "squared"
    content: float = 1.0
    adversarial: float = 1e-3
    pixel: float = 0.0
    game: Literal["non-saturating", "relativistic"] = "non-saturating"
    optimizer: SteppedAdam = field(
        default_factory=lambda: SteppedAdam((1e-4, 1e-5), until=(17_600_000,), betas=(0.9, 0.999))
    )

    def __post_init__(self) -> None:
        check_at_least(1, self, "width", "blocks", "discriminator_width", "mse_images")
        check_at_least(0, self, "content", "adversarial", "pixel")
        check_at_least(16, self, "crop")
        if self.crop % self.factor:
            raise InputError(f"--crop {self.crop} is no multiple of --factor {self.factor}: give one that is")
        if not (self.content or self.adversarial or self.pixel):
            raise InputError("content, adversarial and pixel are all 0: there is nothing to learn in the second part")


@final
class SRGAN(Model, Upscales, Blends):
    """SRResNet and SRGAN (Ledig et al. 2017)."""

    Config = SRGANConfig
    config: SRGANConfig
    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    remembered: Tensor

    def __init__(self, config: SRGANConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        channels, *sides = shape
        if min(sides) < config.crop:
            raise InputError(
                f"--crop {config.crop} does not fit into images of {min(sides)} px: give a smaller one, "
                "or larger tiles with --fit tiles --size 96"
            )
        self.factor = config.factor
        self.generator = _generator(config, channels)
        self.margin = min(FARTHEST, _reach(config))
        self.discriminator: CropDiscriminator | None = None
        self.first: nn.Module | None = None
        if config.mse_images is not None:
            self.discriminator = CropDiscriminator(channels, config.discriminator_width, config.crop)
            self.first = _as_buffers(copy.deepcopy(self.generator))
        self.register_buffer("remembered", torch.tensor(0))

    def players(self) -> dict[str, Player]:
        """Generator, and discriminator where there is a second part."""
        found = {"generator": Player.of(self.generator, self.config.optimizer)}
        if self.discriminator is not None:
            found["discriminator"] = Player.of(self.discriminator, self.config.optimizer)
        return found

    def stage(self, images: int) -> int:
        """0 while pixels alone are learnt from, then 1."""
        return int(self.config.mse_images is not None and images >= self.config.mse_images)

    def prepare(self, images: Tensor) -> None:
        """Load the network of features, if the second part needs one, to find out now whether it is there."""
        if self.discriminator is not None and self.config.perceptual != "discriminator" and self.config.content:
            self._frozen(images[:1])

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """In the first part a step of G by pixels; in the second one of D, then one of G (section 2)."""
        y = crops(batch["image"], self.config.crop, clock.noise)
        made: Tensor = self.generator(small(y, self.factor))
        measure = F.mse_loss if self.config.pixel_error == "squared" else F.l1_loss
        error = measure(at_least_float32(made), at_least_float32(y))
        log = {"pixel_error": error.detach()}
        self._remember(clock.images)
        if self.discriminator is None or not self.stage(clock.images):
            yield Update("generator", error, log)
            return
        real_logits, _ = self.discriminator(y)
        fake_logits, _ = self.discriminator(made.detach())
        logits = {"real_logit": mean_of(real_logits), "fake_logit": mean_of(fake_logits)}
        relativistic = self.config.game == "relativistic"
        loss = (relativistic_discriminator_loss if relativistic else discriminator_loss)(real_logits, fake_logits)
        yield Update("discriminator", loss, logits)

        fake_logits, fake_maps = self.discriminator(made)
        real_maps: list[Tensor] = []
        if relativistic or self.config.perceptual == "discriminator":
            with torch.no_grad():
                real_logits, real_maps = self.discriminator(y)
        if relativistic:
            game = relativistic_generator_loss(real_logits, fake_logits)
        else:
            game = non_saturating_loss(fake_logits)
        content = torch.zeros((), device=y.device)
        if self.config.content:
            content = self._content(made, y, fake_maps, real_maps)
        loss = self.config.content * content + self.config.adversarial * game + self.config.pixel * error
        yield Update("generator", loss, log | {"content": content.detach(), "game": game.detach()})

    def over_the_batch(self) -> tuple[str, ...]:
        """The relativistic average."""
        return ("the relativistic average",) if self.config.game == "relativistic" and self.discriminator else ()

    def upscale(self, x: Tensor) -> Tensor:
        """G(x), clipped: by pixels in the first part of the training and by the game after it."""
        images: Tensor = self.generator((x + 1) / 2)
        return images.clamp(-1, 1)

    def blend(self, alpha: float) -> Self:
        """Weights (1 - alpha) theta_MSE + alpha theta_GAN, and statistics alike (Wang et al. 2018, section 3.4)."""
        mixed = copy.deepcopy(self)
        if self.first is not None:
            with torch.no_grad():
                for found, first in _pairs(mixed.generator, self.first):
                    found.copy_(torch.lerp(first, found, alpha))
        return mixed

    def _content(self, made: Tensor, y: Tensor, fake_maps: list[Tensor], real_maps: list[Tensor]) -> Tensor:
        """The distance of features, of D or of the network that comes with its weights."""
        name, absolute = self.config.perceptual, self.config.feature_error == "absolute"
        if name != "discriminator":
            maps = self._frozen(y)
            with torch.no_grad():
                real_maps = maps(y)
            fake_maps = maps(made.to(y.dtype))
        return distance(name, fake_maps, real_maps, absolute)

    def _frozen(self, like: Tensor) -> Maps:
        config = self.config
        return frozen_maps(config.perceptual, config.vgg_weights, config.before_activation, like.device, like.dtype)

    @torch.no_grad()
    def _remember(self, images: int) -> None:
        """Move the averages of the first G by the images since they were last moved, up to the end of its part."""
        if self.first is None or self.config.mse_images is None:
            return
        until = min(images, self.config.mse_images)
        elapsed = until - int(self.remembered)
        if elapsed <= 0:
            return
        share = 1 - 0.5 ** (elapsed / min(HALF_LIFE, RAMP * until))
        for now, first in _pairs(self.generator, self.first):
            first.lerp_(now, share)
        self.remembered.fill_(until)


def halved(first: float, ends: tuple[int, ...], second: float, later: tuple[int, ...]) -> SteppedAdam:
    """ESRGAN's rates: one that is halved at `ends`, and a second one from the first of `later` on, halved at the rest.

    Times are in thousands of steps, each of 16 images.
    """
    rates = [first / 2**k for k in range(len(ends) + 1)] + [second / 2**k for k in range(len(later))]
    return SteppedAdam(tuple(rates), tuple(16_000 * end for end in (*ends, *later)))


def crops(images: Tensor, size: int, noise: Noise) -> Tensor:
    """A square of `size` px of each of the `images` `[B, C, H, W]`, at random, mirrored and turned at random."""
    count, _, height, width = images.shape
    draws = noise.uniform(5).float()
    along = torch.arange(size, device=images.device)
    rows = (draws[:, :1] * (height - size + 1)).long() + torch.where(draws[:, 2:3] < 0.5, along, along.flip(0))
    columns = (draws[:, 1:2] * (width - size + 1)).long() + torch.where(draws[:, 3:4] < 0.5, along, along.flip(0))
    number = torch.arange(count, device=images.device)[:, None, None]
    found = images.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
    return torch.where(draws[:, 4, None, None, None] < 0.5, found, found.transpose(2, 3))


def small(y: Tensor, factor: int) -> Tensor:
    """Images `y` on [-1, 1] made smaller by MATLAB's bicubic filter, of whole levels as in a file, on [0, 1]."""
    return (as_levels(resized(127.5 * (y + 1), 1 / factor)) / 255).to(y.dtype)


def _generator(config: SRGANConfig, channels: int) -> Upscaler:
    if config.network == "rrdb":
        return rrdb(channels, config.width, config.blocks, config.factor, config.skip)
    return srresnet(channels, config.width, config.blocks, config.factor, config.normalisation == "batch", config.skip)


def _reach(config: SRGANConfig) -> int:
    """Pixels of the small image on either side that a pixel of the result depends on."""
    if config.network == "rrdb":
        return 1 + 15 * config.blocks + 1 + 4
    return 4 + 2 * config.blocks + 1 + 3


def _as_buffers(network: nn.Module) -> nn.Module:
    """`network` with every parameter made a buffer: kept with the model, and moved by no optimizer."""
    for module in network.modules():
        for name, value in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, value.detach().clone())
    return network


def _pairs(network: nn.Module, first: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Weights and statistics of a generator, each beside that of the first one."""
    others = first.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            yield value, others[name]
