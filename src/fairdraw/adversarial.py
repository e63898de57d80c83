"""The two sides of an adversarial game under the papers' names, and the penalties that tame its discriminator.

A discriminator puts out logits, whose sigmoid is the probability that an image is real; a critic puts out scores that
are no probabilities. Every objective is to be minimised, and is the mean over the batch of logits `[B, 1]`.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdraw.losses import at_least_float32

Game = Literal["non-saturating", "minimax", "hinge", "least-squares"]
"""The pairs of objectives of `discriminator_objective` and `generator_objective`."""


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-(E log D(x) + E log(1 - D(G(z)))), nats: the discriminator's side of the game (Goodfellow 2014, eq. 1).

    At D = 1/2 everywhere it is log 4.
    """
    return F.softplus(-at_least_float32(real_logits)).mean() + F.softplus(at_least_float32(fake_logits)).mean()


def minimax_loss(fake_logits: Tensor) -> Tensor:
    """E log(1 - D(G(z))), nats: the generator's side of the game as written (Goodfellow 2014, eq. 1).

    At D = 1/2 everywhere it is -log 2. Where D wins it saturates: its gradient vanishes with D(G(z)).
    """
    return -F.softplus(at_least_float32(fake_logits)).mean()


def non_saturating_loss(fake_logits: Tensor) -> Tensor:
    """-E log D(G(z)), nats: the generator's loss that keeps its gradient where D wins (Goodfellow 2014, section 3).

    At D = 1/2 everywhere it is log 2.
    """
    return F.softplus(-at_least_float32(fake_logits)).mean()


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))) (Miyato 2018, eq. 16); its generator's is `wasserstein_generator`."""
    return F.relu(1 - at_least_float32(real_logits)).mean() + F.relu(1 + at_least_float32(fake_logits)).mean()


def least_squares_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E (D(x) - 1)^2 / 2 + E D(G(z))^2 / 2 (Mao 2017, eq. 9); D is the output itself."""
    return 0.5 * ((at_least_float32(real_logits) - 1).square().mean() + at_least_float32(fake_logits).square().mean())


def least_squares_generator_loss(fake_logits: Tensor) -> Tensor:
    """E (D(G(z)) - 1)^2 / 2 (Mao 2017, eq. 9)."""
    return 0.5 * (at_least_float32(fake_logits) - 1).square().mean()


def relativistic_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-(E log D(x, G) + E log(1 - D(G, x))) / 2 with D(a, b) = sigmoid(C(a) - E C(b)) (Wang 2018, eq. 1), nats.

    Each image is judged against the mean of those of the other kind in the batch; log 2 where they are alike. Half of
    the paper's sum, as in its code.
    """
    real, fake = at_least_float32(real_logits), at_least_float32(fake_logits)
    return 0.5 * discriminator_loss(real - fake.mean(), fake - real.mean())


def relativistic_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-(E log(1 - D(x, G)) + E log D(G, x)) / 2 (Wang 2018, eq. 2), nats: the other side of the same game."""
    return relativistic_discriminator_loss(fake_logits, real_logits)


def wasserstein_critic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E D(G(z)) - E D(x): minus the estimate of the Wasserstein distance (Arjovsky 2017, eq. 3)."""
    return at_least_float32(fake_scores).mean() - at_least_float32(real_scores).mean()


def wasserstein_generator(fake_scores: Tensor) -> Tensor:
    """-E D(G(z)) (Arjovsky 2017, eq. 3; Miyato 2018, eq. 17)."""
    return -at_least_float32(fake_scores).mean()


def discriminator_objective(game: Game, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """What the discriminator of the `game` minimises."""
    return {
        "non-saturating": discriminator_loss,
        "minimax": discriminator_loss,
        "hinge": hinge_discriminator_loss,
        "least-squares": least_squares_discriminator_loss,
    }[game](real_logits, fake_logits)


def generator_objective(game: Game, fake_logits: Tensor) -> Tensor:
    """What the generator of the `game` minimises."""
    return {
        "non-saturating": non_saturating_loss,
        "minimax": minimax_loss,
        "hinge": wasserstein_generator,
        "least-squares": least_squares_generator_loss,
    }[game](fake_logits)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor, target: float = 1.0
) -> Tensor:
    """E (|grad D(x^)| - t)^2 / t^2 at x^ between real and fake images (Gulrajani 2017, eq. 3; Karras 2018, appendix A).

    Args:
        critic: scores `[B, 1]` of images. Where a score depends on other images of the batch, as by the minibatch
            standard deviation, an image's gradient is that of the sum of the scores, as in the code of Karras 2018.
        real: images `[B, C, H, W]`.
        fake: images of the same shape, without gradient.
        mix: x^ = mix * real + (1 - mix) * fake, uniform on [0, 1), `[B]`.
        target: the norm t that the gradient is drawn to.
    """
    between = torch.lerp(fake.to(real.dtype), real, mix[:, None, None, None].to(real.dtype)).requires_grad_()
    norm = _gradient(critic(between), between).norm(dim=1)
    penalty: Tensor = (norm - target).square().mean() / target**2
    return penalty


def r1_penalty(real: Tensor, real_logits: Tensor) -> Tensor:
    """E |grad D(x)|^2 / 2 at real images, to be weighed by gamma (Mescheder 2018, eq. 9).

    Args:
        real: images `[B, C, H, W]` that require a gradient.
        real_logits: what the discriminator made of them.
    """
    return 0.5 * _gradient(real_logits, real).square().sum(1).mean()


def mean_of(logits: Tensor) -> Tensor:
    """The mean of logits or scores, to be logged."""
    return at_least_float32(logits.detach()).mean()


def _gradient(outputs: Tensor, images: Tensor) -> Tensor:
    """Gradients of the outputs by their images, `[B, C * H * W]`, which can be differentiated again."""
    (gradient,) = torch.autograd.grad(outputs.sum(), images, create_graph=True)
    return at_least_float32(gradient.flatten(1))
