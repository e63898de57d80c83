"""Image-to-image translation with conditional adversarial networks (pix2pix).

Isola, Zhu, Zhou & Efros, "Image-to-image translation with conditional adversarial networks", CVPR 2017
(arXiv:1611.07004).

    D:  min  -E log D(x, y) - E log(1 - D(x, G(x))),    G:  min  -E log D(x, G(x)) + lambda E |y - G(x)|

with lambda = 100 and |.| the mean over pixels on [-1, 1]. G is a U-Net, whose only noise is dropout, at use too; D is a
PatchGAN on input and image together. Adam at 2e-4 with beta1 = 0.5, batches of 1, a constant rate over 200 epochs;
weights N(0, 0.02); images are enlarged by 286 / 256, cropped and mirrored, both sides alike. For colour at 256 px G has
54,413,955 parameters and D, of patches of 70 px, 2,768,705.

What differs, and why:

* D moves first and G then sees the D that has just moved (the paper's text). The released code reuses what D said
  before its move. D's objective is the whole sum: half of it, as the paper says to slow D down, is the same move under
  Adam but for its epsilon.
* The innermost map is not normalised: at 1 px its batch statistics would make it zero, as the authors' erratum says.
* Samples come from averaged weights; the paper's are the last ones.
* A U-Net halves the image `depth` times: 8 at 256 px, so many as its size allows elsewhere. Dropout is in the first
  three layers of the decoder but never in its last two, which shallow networks would otherwise be left without.
* Colourisation is not done in Lab, and input and image have the same number of channels.

`batch` normalisation takes the statistics of each image by itself when it translates, which is what the paper's batches
of 1 do; in larger batches it is trained with those of the batch. `instance` is the same in training and at use.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.adversarial import discriminator_loss, mean_of, non_saturating_loss
from fairdraw.capabilities import Translates
from fairdraw.errors import InputError, check_at_least
from fairdraw.losses import at_least_float32
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.jitter import ENLARGED, jittered
from fairdraw.nets.patch import Patch, layers_of, patch_network
from fairdraw.nets.pyramid import initialise
from fairdraw.nets.unet import UNet
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam

DEEPEST = 8


@dataclass(frozen=True)
class Pix2PixConfig:
    """Options of pix2pix.

    Args:
        width: channels of the outermost hidden layer of the U-Net, doubled at each halving up to 8 times as many.
        depth: halvings of the image (default: as many as its size allows, at most 8).
        skips: whether each map is handed over to the decoder; without it is the paper's encoder-decoder.
        normalisation: of the images of a batch together, or of each by itself.
        dropout: share of the numbers that the decoder's first layers drop, in training and at use; 0 is no noise.
        discriminator: sees input and image as in the paper, the image alone, or is left out.
        discriminator_width: channels of its first hidden layer.
        patch: side in pixels of what each of its logits sees; 1 is the paper's PixelGAN.
        l1: weight lambda of the distance to the image; 0 is the adversarial objective alone.
        enlarge: how much images are enlarged before they are cropped again; 1 is no jitter.
        mirror: exchange left and right in half of the cases.
        optimizer: the same settings for both players.
    """

    width: int = 64
    depth: int | None = None
    skips: bool = True
    normalisation: Literal["batch", "instance"] = "batch"
    dropout: float = 0.5
    discriminator: Literal["conditional", "unconditional", "none"] = "conditional"
    discriminator_width: int = 64
    patch: Patch = 70
    l1: float = 100.0
    enlarge: float = ENLARGED
    mirror: bool = True
    optimizer: Adam = field(default_factory=lambda: Adam(2e-4, (0.5, 0.999)))

    def __post_init__(self) -> None:
        check_at_least(1, self, "width", "discriminator_width", "depth", "enlarge")
        check_at_least(0, self, "dropout", "l1")
        if self.dropout >= 1:
            raise InputError(f"dropout is {self.dropout:g}: of all numbers nothing is left; give less than 1")
        if self.discriminator == "none" and not self.l1:
            raise InputError("without discriminator and without l1 there is nothing to learn: give one of the two")


@final
class Pix2Pix(Model, Translates):
    """pix2pix (Isola et al. 2017): from an input to its image, learnt from pairs."""

    Config = Pix2PixConfig
    config: Pix2PixConfig
    takes = "pairs"
    directions = ("a-to-b",)

    def __init__(self, config: Pix2PixConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        channels, size, _ = shape
        depth = _depth(config.depth, size)
        # A tile's result depends on the whole tile, the less the farther away.
        self.multiple, self.margin = 1 << depth, size // 4
        self.generator = UNet(channels, config.width, depth, config.skips, config.normalisation, config.dropout)
        self.discriminator: nn.Sequential | None = None
        if config.discriminator != "none":
            seen = 2 * channels if config.discriminator == "conditional" else channels
            layers = layers_of(config.patch, size)
            self.discriminator = patch_network(seen, config.discriminator_width, layers, config.normalisation)
        self.apply(initialise)

    def players(self) -> dict[str, Player]:
        """Discriminator, where there is one, and generator."""
        found = {"generator": Player.of(self.generator, self.config.optimizer)}
        if self.discriminator is not None:
            found["discriminator"] = Player.of(self.discriminator, self.config.optimizer)
        return found

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """One step of D, then one of G (section 3.3)."""
        x, y = jittered((batch["input"], batch["image"]), clock.noise, self.config.enlarge, self.config.mirror)
        fake = self._generated(x, clock.noise)
        loss = torch.zeros((), device=y.device)
        if self.discriminator is not None:
            real_logits, fake_logits = self._logits(x, y), self._logits(x, fake.detach())
            log = {"real_logit": mean_of(real_logits), "fake_logit": mean_of(fake_logits)}
            yield Update("discriminator", discriminator_loss(real_logits, fake_logits), log)
            loss = non_saturating_loss(self._logits(x, fake))
        distance = F.l1_loss(at_least_float32(fake), at_least_float32(y))
        yield Update("generator", loss + self.config.l1 * distance, {"l1": distance.detach()})

    def translate(self, x: Tensor, direction: str, noise: Noise) -> Tensor:
        """G(x), with dropout as in training (section 3.2.1)."""
        if self.config.normalisation == "instance":
            return self._generated(x, noise)
        # Each image by itself: its statistics are its own, as in the paper's batches of 1.
        return torch.cat([self._generated(x[row : row + 1], noise.rows(row, 1)) for row in range(len(x))])

    def _generated(self, x: Tensor, noise: Noise) -> Tensor:
        images: Tensor = self.generator(x, self.generator.kept(noise, *x.shape[2:]))
        return images

    def _logits(self, x: Tensor, y: Tensor) -> Tensor:
        assert self.discriminator is not None
        seen = torch.cat([x, y], dim=1) if self.config.discriminator == "conditional" else y
        logits: Tensor = self.discriminator(seen)
        return logits


def _depth(asked: int | None, size: int) -> int:
    """How often images of `size` px can be halved, at most `DEEPEST` times, or as often as is `asked`.

    Raises:
        InputError: where the size does not allow it.
    """
    possible = min(DEEPEST, (size & -size).bit_length() - 1)
    if asked is not None and asked > possible:
        raise InputError(f"--depth {asked}: images of {size} px can be halved {possible} times; choose a smaller one")
    if possible < 2:
        raise InputError(f"pix2pix cannot halve images of {size} px twice: choose a --size such as 64, 128 or 256")
    return asked or possible
