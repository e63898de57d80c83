"""Deep convolutional generative adversarial networks.

Radford, Metz & Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks", ICLR 2016 (arXiv:1511.06434).

    D:  min  -E log D(x) - E log(1 - D(G(z))),    G:  min  -E log D(G(z)),    z ~ U(-1, 1)^100

Paper's text and released code: 5x5 kernels with stride 2 and no bias, batch normalisation everywhere but at G's output
and D's input, ReLU and tanh in G, LeakyReLU 0.2 in D, no hidden dense layers, weights N(0, 0.02), gains N(1, 0.02),
Adam at 2e-4 with beta1 = 0.5, batches of 128. At 64 px in colour G has 18,885,760 parameters and D 17,232,768.

What differs, and why:

* D moves first, then G, on the same z in one step. The released code lets each batch move either one or the other,
  and Goodfellow's algorithm 1 draws fresh z for G; reusing them saves a pass through G.
* Samples use running averages of the batch statistics, so that an image does not depend on its neighbours in the
  sheet; the released code used the statistics of the sampled batch. Its epsilon of 1e-8 is 1e-5 here.
* The weight decay of 1e-5 that the released face model had, but the paper does not mention, is left out.
* Sizes other than 64 px start from the map of 4 to 7 px that doubles to them, with `width` channels at the outermost
  hidden layer: 28 = 7 * 4 and 32 = 4 * 8.
* The features of D for classification, window removal and filter pictures of the paper are not here.

What came after, each as an option: hinge (Miyato 2018, arXiv:1802.05957, which also has the spectral normalisation)
and least-squares objectives (Mao 2017, arXiv:1611.04076), both of the normalisations other than the paper's with biases
in D, the R1 penalty (Mescheder 2018, arXiv:1801.04406) at every
16th step with 16 times its weight (Karras 2020, arXiv:1912.04958), augmentation of what D sees (see
`nets.augmentation`), and classes: a one-hot vector beside z in G, a projection in D (Miyato & Koyama 2018,
arXiv:1802.05637).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from fairdraw.adversarial import Game, discriminator_objective, generator_objective, mean_of, r1_penalty
from fairdraw.capabilities import BeginsLinearly, Conditions, Discriminates, Generates
from fairdraw.errors import InputError, check_at_least
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.augmentation import Augmentation
from fairdraw.nets.prior import Prior, drawn, drawn_classes, one_hot
from fairdraw.nets.pyramid import feature_network, generator_network, halvings, initialise
from fairdraw.nets.stacks import weights_of
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam

ITERATIONS = 20
"""Power iterations from which the largest singular value of averaged weights is taken."""


@dataclass(frozen=True)
class DCGANConfig:
    """Options of the DCGAN.

    Args:
        latent: dimensions of z.
        prior: distribution of z; the paper's text says uniform, its SVHN model was trained with a Gaussian.
        width: channels of the outermost hidden layer of both networks, doubled at each halving of the map.
        loss: the objectives of the two players, under the papers' names.
        classes: labels of the data that images are conditioned on; 0 ignores them.
        normalisation: of the discriminator: of the batch as in the paper, of each layer's spectrum in place of it, or
            none.
        r1: weight gamma of the penalty on D's gradient at real images; 0 is none.
        r1_every: steps from one R1 penalty to the next, which is weighed by as much.
        augmentation: of what the discriminator sees; for small sets.
        optimizer: the same settings for both players.
    """

    latent: int = 100
    prior: Prior = "uniform"
    width: int = 128
    loss: Game = "non-saturating"
    classes: int = 0
    normalisation: Literal["batch", "spectral", "none"] = "batch"
    r1: float = 0.0
    r1_every: int = 16
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimizer: Adam = field(default_factory=lambda: Adam(2e-4, (0.5, 0.999)))

    def __post_init__(self) -> None:
        check_at_least(1, self, "latent", "width", "r1_every")
        check_at_least(0, self, "classes", "r1")
        if self.classes == 1:
            raise InputError("classes is 1: a condition needs at least 2; give --classes 0 to ignore labels")
        if self.r1 and self.normalisation == "batch":
            raise InputError(
                "--r1 penalises D's gradient at each image, which normalisation over the batch mixes with the others': "
                "add --normalisation spectral or none"
            )


@final
class DCGAN(Model, Generates, Conditions, Discriminates, BeginsLinearly):
    """The deep convolutional GAN (Radford, Metz & Chintala 2016)."""

    Config = DCGANConfig
    config: DCGANConfig
    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    augment_probability: Tensor
    augmented_until: Tensor

    def __init__(self, config: DCGANConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        base, stages = halvings(shape[1], "dcgan")
        widths = [shape[0], *(config.width << k for k in range(stages))]
        self.generator = generator_network(config.latent + config.classes, base, widths[::-1])
        norm: Literal["batch", "none"] = "batch" if config.normalisation == "batch" else "none"
        # Batch normalisation shifts by itself; without it and without biases, twice an image had twice the logit.
        bias = norm == "none"
        features = feature_network(widths, norm, bias)
        self.discriminator = Discriminator(features, widths[-1] * base * base, config.classes, bias)
        self.apply(initialise)
        if config.normalisation == "spectral":
            _normalise_spectra(self.discriminator)
        self.register_buffer("augment_probability", torch.tensor(config.augmentation.first_probability))
        self.register_buffer("augmented_until", torch.tensor(0))

    def players(self) -> dict[str, Player]:
        """Discriminator and generator."""
        return {
            "discriminator": Player.of(self.discriminator, self.config.optimizer),
            "generator": Player.of(self.generator, self.config.optimizer),
        }

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """One step of D on a batch of real and a batch of generated images, then one of G (section 4)."""
        game, r1, r1_every = self.config.loss, self.config.r1, self.config.r1_every
        z = self.prior(clock.noise)
        fake, fake_class = self.generate(z), self._class_of(z)
        penalised = r1 > 0 and clock.step % r1_every == 0
        real = batch["image"].detach().requires_grad_(penalised)
        real_class = one_hot(batch["label"], self.classes).to(real.dtype) if self.classes else None

        # Real and generated images pass separately: each has its own batch statistics.
        real_logits = self.discriminator(self._shown(real, clock.noise), real_class)
        fake_logits = self.discriminator(self._shown(fake.detach(), clock.noise), fake_class)
        log = {"real_logit": mean_of(real_logits), "fake_logit": mean_of(fake_logits)}
        loss = discriminator_objective(game, real_logits, fake_logits)
        if penalised:
            penalty = r1_penalty(real, real_logits)
            loss, log = loss + r1 * r1_every * penalty, log | {"r1_penalty": penalty.detach()}
        if self.config.augmentation.adaptive:
            log["augment_probability"] = self.augment_probability.clone()
        yield Update("discriminator", loss, log)

        fake_logits = self.discriminator(self._shown(fake, clock.noise), fake_class)
        yield Update("generator", generator_objective(game, fake_logits))
        self._adapt(real_logits.detach(), clock)

    def steering(self) -> tuple[Tensor, ...]:
        """The probability of augmentation, where it is adapted."""
        return (self.augment_probability,) if self.config.augmentation.adaptive else ()

    @property
    def classes(self) -> int:
        """Labels that it is conditioned on."""
        return self.config.classes

    def prior(self, noise: Noise) -> Tensor:
        """z ~ U(-1, 1)^D or N(0, I), and beside it the class as a one-hot vector, `[B, D + classes]`."""
        z = drawn(self.config.prior, noise, self.config.latent)
        return torch.cat([z, drawn_classes(noise, self.classes)], dim=1) if self.classes else z

    def generate(self, z: Tensor) -> Tensor:
        """G(z)."""
        images: Tensor = self.generator(z)
        return images

    def with_class(self, z: Tensor, label: Tensor) -> Tensor:
        """The latents with another class."""
        return torch.cat([z[:, : self.config.latent], one_hot(label, self.classes).to(z)], dim=1)

    def class_of(self, z: Tensor) -> Tensor:
        """The class beside z."""
        return z[:, self.config.latent :].argmax(1)

    def first_weights(self) -> Tensor:
        """Of the projection to the smallest map; 0 for the class."""
        weights = weights_of(self.generator[0])
        return torch.cat([weights[:, : self.config.latent], torch.zeros_like(weights[:, self.config.latent :])], dim=1)

    def realness(self, x: Tensor) -> Tensor:
        """D's logits; with classes without the part that depends on the class."""
        logits: Tensor = self.discriminator(x)
        return logits.squeeze(1)

    def _class_of(self, z: Tensor) -> Tensor | None:
        return z[:, self.config.latent :] if self.classes else None

    def _shown(self, images: Tensor, noise: Noise) -> Tensor:
        """What D sees of the images."""
        return self.config.augmentation.apply(images, noise, self.augment_probability)

    @torch.no_grad()
    def _adapt(self, real_logits: Tensor, clock: Clock) -> None:
        """Move the probability of augmentation by the images since it was last moved."""
        if self.config.augmentation.adaptive:
            decided = torch.sign(real_logits - (0.5 if self.config.loss == "least-squares" else 0.0))
            elapsed = clock.images - int(self.augmented_until)
            moved = self.config.augmentation.adapted(self.augment_probability, decided, elapsed)
            self.augment_probability.copy_(moved)
            self.augmented_until.fill_(clock.images)


class Discriminator(nn.Module):
    """A logit `[B, 1]` for each image; with classes plus the projection of its features on those of its class."""

    def __init__(self, features: nn.Module, size: int, classes: int, bias: bool) -> None:
        super().__init__()
        self.features = features
        self.output = nn.Linear(size, 1, bias=bias)
        self.of_class = nn.Linear(classes, size, bias=False) if classes else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """D(x), or D(x | class) for the class as a one-hot vector `[B, classes]` (Miyato & Koyama 2018, eq. 3)."""
        features = self.features(x)
        logits: Tensor = self.output(features)
        if self.of_class is not None and condition is not None:
            logits = logits + (self.of_class(condition) * features).sum(1, keepdim=True)
        return logits


class Spectrum(nn.Module):
    """A layer's weights `[K, ...]` by their largest singular value as a matrix of K rows (Miyato 2018, algorithm 1).

    In training one power iteration a pass goes on from the vector of the pass before. In eval mode there are more, and
    nothing is kept: there the weights are averages, and so is the vector, which is no singular vector of theirs.
    """

    u: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("u", F.normalize(torch.randn(len(weight)), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """W / (u^T W v) with u and v as constants."""
        matrix = weight.flatten(1)
        with torch.no_grad():
            u = self.u
            for _ in range(1 if self.training else ITERATIONS):
                v = F.normalize(torch.mv(matrix.T, u), dim=0)
                u = F.normalize(torch.mv(matrix, v), dim=0)
            if self.training:
                self.u.copy_(u)
        return weight / (u * torch.mv(matrix, v)).sum()


def _normalise_spectra(network: nn.Module) -> None:
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            register_parametrization(module, "weight", Spectrum(module.weight))
