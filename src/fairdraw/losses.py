"""Objectives under the papers' names. Likelihoods are nats per image: summed over pixels and latents.

A likelihood is that of discrete pixels, bits or the 256 levels of an 8-bit image; a density is brought to that scale.
Whatever the networks computed in, losses are computed in float32 or better.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256
PIXELS = (-3, -2, -1)
LOG_2PI = math.log(2 * math.pi)


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) of independent Bernoulli pixels, `[...]` nats, for `x` in {0, 1} and `logits`, both `[..., C, H, W]`.

    The sum over pixels of x a - softplus(a), with a the logit (Kingma & Welling 2014, appendix C.1). For grey `x` it
    is the expectation over binarisations of x, which is not a likelihood of the grey image.
    """
    a = at_least_float32(logits)
    # Not vecdot: under autocast that is computed in bfloat16.
    return (x.to(a.dtype) * a).sum(PIXELS) - F.softplus(a).sum(PIXELS)


def gaussian_log_likelihood(y: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log of a bound on P(8-bit image), `[...]` nats, from the density of the dequantised `y` `[..., C, H, W]`.

    `y` is (level + u) / 256 with u uniform on [0, 1), and the density on [0, 1] is brought to that of levels by
    -log 256 for each pixel: E_u log p(level + u) <= log P(level) (Theis 2016, section 3.1). `log_scale` is the log
    of the standard deviation on [0, 1], of any shape that broadcasts with `y`.
    """
    mean, log_scale = at_least_float32(mean), at_least_float32(log_scale)
    log_density = -0.5 * (((y - mean) * (-log_scale).exp()).square() + LOG_2PI) - log_scale
    return (log_density - math.log(LEVELS)).sum(PIXELS)


def discretised_logistic_log_likelihood(levels: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log P(8-bit image), `[...]` nats: the mass of a logistic distribution on each level, the tails on 0 and 255.

    All arguments are in units of levels; `levels` are whole numbers in 0..255 (Kingma 2016, section 6.2).
    """
    mean, log_scale = at_least_float32(mean), at_least_float32(log_scale)
    inverse = (-log_scale).exp()
    above, below = (levels + 0.5 - mean) * inverse, (levels - 0.5 - mean) * inverse
    # s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)), which loses no digits however far from the mean
    inside = -F.softplus(-above) - F.softplus(below) + torch.log(-torch.expm1(-inverse))
    log_mass = torch.where(levels < 0.5, -F.softplus(-above), torch.where(levels > 254.5, -F.softplus(below), inside))
    return log_mass.sum(PIXELS)


def gaussian_log_density(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, exp(log_var)) of each latent, nats, in the shape that the arguments broadcast to."""
    z, mean, log_var = at_least_float32(z), at_least_float32(mean), at_least_float32(log_var)
    return -0.5 * ((z - mean).square() * (-log_var).exp() + log_var + LOG_2PI)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, 1)) of each latent, nats, in their shape (Kingma & Welling 2014, appendix B)."""
    mean, log_var = at_least_float32(mean), at_least_float32(log_var)
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """log of the mean of w over k draws, `[B]` nats, for `log_weights` `[B, k]` (Burda 2016, eq. 8).

    Its gradient weighs the draws by w / sum(w), as the paper's equation 14.
    """
    return torch.logsumexp(log_weights, dim=1) - math.log(log_weights.shape[1])


def squared_error(made: Tensor, x: Tensor) -> Tensor:
    """The sum over pixels of (made - x)^2, `[...]`, for `[..., C, H, W]` inputs; the papers' are on [0, 1]."""
    return (at_least_float32(made) - x).square().sum(PIXELS)


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32, or in its own type where that is finer."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
