"""Objectives under the papers' names. Likelihoods are nats per image: summed over pixels and latents, `[B]`.

Whatever the networks computed in, losses are computed in float32 or better.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) of independent Bernoulli pixels, `[B]` nats, for `x` in {0, 1} and `logits`, both `[B, ...]`.

    The sum over pixels of x a - softplus(a), with a the logit (Kingma & Welling 2014, appendix C.1). For grey `x` it
    is the expectation over binarisations of x, which is not a likelihood of the grey image.
    """
    a = _at_least_float32(logits).flatten(1)
    # Not vecdot: under autocast that is computed in bfloat16.
    return (x.to(a.dtype).flatten(1) * a).sum(1) - F.softplus(a).sum(1)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)), `[B]` nats, for `[B, D]` inputs (Kingma & Welling 2014, appendix B)."""
    mean, log_var = _at_least_float32(mean), _at_least_float32(log_var)
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-(E log D(x) + E log(1 - D(G(z)))), nats: the discriminator's side of the game (Goodfellow 2014, eq. 1).

    At D = 1/2 everywhere it is log 4.
    """
    real_logits, fake_logits = _at_least_float32(real_logits), _at_least_float32(fake_logits)
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def non_saturating_loss(fake_logits: Tensor) -> Tensor:
    """-E log D(G(z)), nats: the generator's loss that keeps its gradient where D wins (Goodfellow 2014, section 3).

    At D = 1/2 everywhere it is log 2.
    """
    return F.softplus(-_at_least_float32(fake_logits)).mean()


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
