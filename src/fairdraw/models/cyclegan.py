"""Unpaired image-to-image translation using cycle-consistent adversarial networks (CycleGAN).

Zhu, Park, Isola & Efros, "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017
(arXiv:1703.10593).

    G, F:      min  E (D_Y(G(x)) - 1)^2 + E (D_X(F(y)) - 1)^2 + lambda (E |F(G(x)) - x| + E |G(F(y)) - y|)
                    + lambda iota (E |G(y) - y| + E |F(x) - x|),
    D_X, D_Y:  min  (E (D_Y(y) - 1)^2 + E D_Y(y')^2 + E (D_X(x) - 1)^2 + E D_X(x')^2) / 2

with lambda = 10, iota = 0.5, |.| the mean over pixels on [-1, 1], and x', y' from pools of the last 50 translations
(section 4). X is domain `a`, Y domain `b`. G and F are networks of residual blocks, 6 below 256 px and 9 from there on
(11,378,179 parameters for colour; of 6 blocks 7,837,699), D_X and D_Y PatchGANs of 70 px (2,764,737). Adam at 2e-4 with
beta1 = 0.5, batches of 1, a constant rate in the first half and then along a line to 0; weights N(0, 0.02); images are
enlarged by 286 / 256, cropped and mirrored, those of the two domains apart from one another.

What differs, and why:

* G and F move together, then D_X and D_Y together: the order of the authors' later PyTorch code. The released Torch
  code moves G, D_Y, F, D_X, one after the other; the paper does not say.
* The paper has the identity term for paintings to photographs alone (section 5.2). Both released codes have it always,
  with iota = 0.5, and so has this; `identity=0` is the paper's objective for everything else. Where colours must
  change it stands in the way.
* D's objective is half the sum, as in the paper's appendix; under Adam that is the same move but for its epsilon.
* Instance normalisation has no gains, D's convolutions are padded by 1, as in the PyTorch code; the Torch code has
  gains N(1, 0.02) and pads by 2.
* Translations come from averaged weights; the paper's are the last ones.
* With several processes each has pools of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.adversarial import least_squares_discriminator_loss, least_squares_generator_loss, mean_of
from fairdraw.capabilities import Translates
from fairdraw.errors import InputError, check_at_least
from fairdraw.losses import at_least_float32
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.jitter import ENLARGED, jittered
from fairdraw.nets.patch import Patch, layers_of, patch_network
from fairdraw.nets.pool import Pool
from fairdraw.nets.pyramid import initialise
from fairdraw.nets.resnet import MULTIPLE, SMALLEST, reach, resnet
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam

Pair = tuple[Tensor, Tensor]
Cycles = Literal["both", "forward", "backward"]

LARGE = 256
"""Pixels from which on there are 9 residual blocks by default."""
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class CycleGANConfig:
    """Options of CycleGAN.

    Args:
        width: channels of the outermost hidden layer of both generators.
        blocks: residual blocks of each (default: 6 below 256 px, 9 from there on).
        discriminator_width: channels of their first hidden layer.
        patch: side in pixels of what each of their logits sees.
        adversarial: weight of the generators' adversarial terms; 0 is the paper's "cycle alone".
        lambda_cycle: weight lambda of what is lost on the way there and back; 0 is the paper's "GAN alone".
        cycles: which of them are closed: `forward` is F(G(x)), `backward` G(F(y)); one alone is an ablation.
        identity: share of lambda that weighs what a generator changes in images of its own target domain.
        pool: past translations of each domain that the discriminators are shown some of.
        enlarge: how much images are enlarged before they are cropped again; 1 is no jitter.
        mirror: exchange left and right in half of the cases.
        optimizer: the same settings for both players.
    """

    width: int = 64
    blocks: int | None = None
    discriminator_width: int = 64
    patch: Patch = 70
    adversarial: float = 1.0
    lambda_cycle: float = 10.0
    cycles: Cycles = "both"
    identity: float = 0.5
    pool: int = 50
    enlarge: float = ENLARGED
    mirror: bool = True
    optimizer: Adam = field(default_factory=lambda: Adam(2e-4, (0.5, 0.999)))

    def __post_init__(self) -> None:
        check_at_least(1, self, "width", "blocks", "discriminator_width", "enlarge")
        check_at_least(0, self, "adversarial", "lambda_cycle", "identity", "pool")
        if not self.adversarial and not self.lambda_cycle:
            raise InputError("without adversarial and without lambda_cycle there is nothing to learn: give one")
        if self.cycles != "both" and not self.lambda_cycle:
            raise InputError(f"cycles {self.cycles}: without lambda_cycle no cycle is closed; leave it out")


@final
class CycleGAN(Model, Translates):
    """CycleGAN (Zhu et al. 2017): between two kinds of images, both ways, learnt without pairs."""

    Config = CycleGANConfig
    config: CycleGANConfig
    takes = "two sets"
    directions = ("a-to-b", "b-to-a")

    def __init__(self, config: CycleGANConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        channels, size, _ = shape
        if size % MULTIPLE or size < SMALLEST:
            raise InputError(f"cyclegan cannot halve images of {size} px twice: choose a --size such as 64, 128 or 256")
        blocks = config.blocks or (9 if size >= LARGE else 6)
        layers = layers_of(config.patch, size)
        self.multiple, self.margin = MULTIPLE, reach(blocks)
        self.to_b, self.to_a = (resnet(channels, config.width, blocks) for _ in range(2))
        self.discriminator_b, self.discriminator_a = (
            patch_network(channels, config.discriminator_width, layers, "instance") for _ in range(2)
        )
        self.pool_b, self.pool_a = Pool(config.pool), Pool(config.pool)
        self.apply(initialise)

    def players(self) -> dict[str, Player]:
        """The two generators as one, and the two discriminators."""
        optimizer = self.config.optimizer
        both = nn.ModuleList([self.to_b, self.to_a]), nn.ModuleList([self.discriminator_b, self.discriminator_a])
        return {"generators": Player.of(both[0], optimizer), "discriminators": Player.of(both[1], optimizer)}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """One step of G and F, then one of D_X and D_Y (section 3; the order of the authors' PyTorch code)."""
        enlarge, mirror = self.config.enlarge, self.config.mirror
        (a,), (b,) = (jittered((batch[name],), clock.noise, enlarge, mirror) for name in ("input", "image"))
        # Images of both domains pass through a network together where both have to: no row depends on another.
        if self.config.lambda_cycle and self.config.identity:
            (fake_b, same_b), (fake_a, same_a) = _both(self.to_b, a, b), _both(self.to_a, b, a)
        else:
            fake_b, fake_a, same_b, same_a = self.to_b(a), self.to_a(b), b, a
        yield self._generators((a, b), (fake_a, fake_b), (same_a, same_b))

        past_b = self.pool_b.exchanged(fake_b, clock.noise)
        past_a = self.pool_a.exchanged(fake_a, clock.noise)
        real_b, judged_b = _both(self.discriminator_b, b, past_b)
        real_a, judged_a = _both(self.discriminator_a, a, past_a)
        loss = least_squares_discriminator_loss(real_b, judged_b) + least_squares_discriminator_loss(real_a, judged_a)
        log = {"real_logit": _middle((real_b, real_a)), "fake_logit": _middle((judged_b, judged_a))}
        yield Update("discriminators", loss, log)

    def _generators(self, real: Pair, fake: Pair, same: Pair) -> Update:
        """The objective of G and F (section 3.3, and 5.2 for the identity), of pairs in the order a, b."""
        config, (a, b), (fake_a, fake_b) = self.config, real, fake
        log = {"luminance_a_to_b": _correlation(a, fake_b), "luminance_b_to_a": _correlation(b, fake_a)}
        loss = torch.zeros((), device=a.device)
        if config.adversarial:
            # Twice Mao's, as the paper writes it: lambda is relative to that.
            for logits in (self.discriminator_b(fake_b), self.discriminator_a(fake_a)):
                loss = loss + config.adversarial * 2 * least_squares_generator_loss(logits)
        if config.lambda_cycle:
            cycle = self._cycle(real, fake)
            loss, log["cycle"] = loss + config.lambda_cycle * cycle, cycle.detach()
        if config.lambda_cycle and config.identity:
            identity = _l1(same[0], a) + _l1(same[1], b)
            loss, log["identity"] = loss + config.lambda_cycle * config.identity * identity, identity.detach()
        return Update("generators", loss, log)

    def _cycle(self, real: Pair, fake: Pair) -> Tensor:
        """What is lost on the way there and back (section 3.2); forward or backward alone in tables 4 and 5."""
        (a, b), (fake_a, fake_b), cycles = real, fake, self.config.cycles
        forward = () if cycles == "backward" else (_l1(self.to_a(fake_b), a),)
        backward = () if cycles == "forward" else (_l1(self.to_b(fake_a), b),)
        return torch.stack([*forward, *backward]).sum()

    def translate(self, x: Tensor, direction: str, noise: Noise) -> Tensor:
        """G(x) or F(x); no randomness."""
        images: Tensor = self.to_b(x) if direction == "a-to-b" else self.to_a(x)
        return images

    def memory(self) -> dict[str, Tensor]:
        """The pools."""
        return {"pool_a": self.pool_a.remembered(), "pool_b": self.pool_b.remembered()}

    def recall(self, memory: Mapping[str, Tensor]) -> None:
        """The pools as they were."""
        for name, pool in (("pool_a", self.pool_a), ("pool_b", self.pool_b)):
            pool.remember(memory.get(name, torch.empty(0)))


def _both(network: nn.Module, x: Tensor, y: Tensor) -> Pair:
    """What it makes of the images `x` and of the images `y`, in one pass."""
    of_x, of_y = network(torch.cat([x, y])).chunk(2)
    return of_x, of_y


def _l1(x: Tensor, y: Tensor) -> Tensor:
    return F.l1_loss(at_least_float32(x), at_least_float32(y))


def _middle(logits: Pair) -> Tensor:
    """The mean over both domains, to be logged."""
    return (mean_of(logits[0]) + mean_of(logits[1])) / 2


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """How the luminance of the images `x` goes with that of `y`, from -1 to 1: the mean over images, to be logged.

    Near -1 a translation exchanges light and dark. Of an image without contrast it is 0.
    """
    of = [_luminance(at_least_float32(image.detach())).flatten(1) for image in (x, y)]
    u, v = (values - values.mean(1, keepdim=True) for values in of)
    return ((u * v).mean(1) / (u.square().mean(1) * v.square().mean(1) + 1e-12).sqrt()).mean()


def _luminance(x: Tensor) -> Tensor:
    """`[B, H, W]` of grey images or of the first three channels of others (BT.601)."""
    if x.shape[1] < len(LUMA):
        return x[:, 0]
    return (x[:, : len(LUMA)] * torch.tensor(LUMA, dtype=x.dtype, device=x.device)[:, None, None]).sum(1)
