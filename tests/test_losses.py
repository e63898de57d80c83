"""Losses against closed forms, torch.distributions and Monte Carlo."""

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from fairdraw.adversarial import (
    discriminator_loss,
    hinge_discriminator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_loss,
    non_saturating_loss,
    wasserstein_critic,
    wasserstein_generator,
)
from fairdraw.losses import (
    LEVELS,
    bernoulli_log_likelihood,
    discretised_logistic_log_likelihood,
    gaussian_kl,
    gaussian_log_density,
    gaussian_log_likelihood,
    importance_weighted_bound,
    squared_error,
)

HALF = (torch.float16, torch.bfloat16)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def normal(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=generator(), dtype=dtype)


def row(*pixels: float) -> Tensor:
    """An image of one row, `[1, 1, W]`."""
    return torch.tensor(pixels, dtype=torch.float64).reshape(1, 1, -1)


# Kullback-Leibler divergence


def test_kl_is_zero_at_the_prior_and_only_there() -> None:
    zero = torch.zeros(3, 7)
    assert torch.equal(gaussian_kl(zero, zero), zero)
    for mean, log_var in ((0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)):
        assert float(gaussian_kl(torch.tensor(mean), torch.tensor(log_var))) > 0


@pytest.mark.parametrize(
    ("mean", "log_var", "nats"),
    [
        (1.0, 0.0, 0.5),
        (-4.0, 0.0, 8.0),
        (0.0, 1.0, (math.e - 2) / 2),
        (0.0, math.log(4), 1.5 - math.log(2)),
        (2.0, -1.0, (4 + 1 / math.e) / 2),
    ],
)
def test_kl_of_small_cases(mean: float, log_var: float, nats: float) -> None:
    found = gaussian_kl(*torch.tensor([mean, log_var], dtype=torch.float64))
    assert float(found) == pytest.approx(nats, rel=1e-12)


def test_kl_and_density_agree_with_monte_carlo() -> None:
    mean, log_var = torch.tensor([0.7, -1.2, 0.1]).double(), torch.tensor([-1.0, 0.5, 0.2]).double()
    z = mean + (log_var / 2).exp() * normal(1_000_000, 3)
    zero = torch.zeros(3).double()
    sampled = (gaussian_log_density(z, mean, log_var) - gaussian_log_density(z, zero, zero)).sum(1).mean()
    assert float(gaussian_kl(mean, log_var).sum()) == pytest.approx(float(sampled), rel=0.01)


def test_kl_is_that_of_each_latent() -> None:
    mean, log_var = normal(2, 5, 9)
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl(mean, log_var), expected)


def test_log_density_agrees_with_torch_distributions_and_broadcasts() -> None:
    z, mean, log_var = normal(4, 6, 3), normal(4, 1, 3), normal(3)
    expected = Normal(mean, (log_var / 2).exp()).log_prob(z)
    torch.testing.assert_close(gaussian_log_density(z, mean, log_var), expected)
    assert float(gaussian_log_density(*torch.zeros(3, 1).double())) == pytest.approx(-0.5 * math.log(2 * math.pi))


# Bernoulli likelihood


def test_bernoulli_likelihood_agrees_with_torch_distributions() -> None:
    logits = 3 * normal(4, 3, 5, 5)
    x = torch.bernoulli(torch.full((4, 3, 5, 5), 0.4).double(), generator=generator())
    expected = Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_log_likelihood(x, logits), expected)


def test_bernoulli_likelihood_of_small_cases() -> None:
    x = torch.stack([row(1, 0), row(1, 1)])
    assert bernoulli_log_likelihood(x, torch.zeros_like(x)).tolist() == pytest.approx([2 * math.log(0.5)] * 2)
    found = bernoulli_log_likelihood(x, torch.full_like(x, math.log(3)))  # p = 3/4
    assert found.tolist() == pytest.approx([math.log(3 / 16), math.log(9 / 16)])


def test_bernoulli_likelihood_normalises() -> None:
    """Over all 2^6 images the probabilities add up to one."""
    images = torch.tensor(list(product([0.0, 1.0], repeat=6))).double().reshape(64, 1, 2, 3)
    assert float(bernoulli_log_likelihood(images, normal(1, 2, 3)).exp().sum()) == pytest.approx(1, rel=1e-12)


def test_likelihood_of_grey_images_is_the_mean_over_their_binarisations() -> None:
    grey, logits = row(0.2, 0.7), row(0.4, -1.5)
    expected = 0.0
    for a, b in product((0, 1), repeat=2):
        weight = (0.2 if a else 0.8) * (0.7 if b else 0.3)
        expected += weight * float(bernoulli_log_likelihood(row(a, b), logits))
    assert float(bernoulli_log_likelihood(grey, logits)) == pytest.approx(expected, rel=1e-12)


def test_extreme_logits_stay_exact() -> None:
    x, logits = (torch.tensor(v).reshape(4, 1, 1, 1) for v in ([1.0, 0, 1, 0], [200.0, -200, -200, 200]))
    assert bernoulli_log_likelihood(x, logits).tolist() == [0, 0, -200, -200]


def test_likelihoods_keep_images_and_draws_apart() -> None:
    """An image against several outputs, as draws of z give them: `[B, 1, ...]` against `[B, S, ...]`."""
    x, output = torch.rand(2, 1, 3, 4, 4, generator=generator()).double().round(), normal(2, 5, 3, 4, 4)
    scale = torch.tensor(-1.0)
    for likelihood in (
        bernoulli_log_likelihood,
        lambda x, output: gaussian_log_likelihood(x, output, scale),
        lambda x, output: discretised_logistic_log_likelihood(x, output, scale),
    ):
        found = likelihood(x, output)
        assert found.shape == (2, 5)
        for image, draw in product(range(2), range(5)):
            torch.testing.assert_close(found[image, draw], likelihood(x[image, 0], output[image, draw]))


# Likelihoods of 8-bit images


def test_gaussian_likelihood_is_the_density_on_the_scale_of_levels() -> None:
    y, mean, log_scale = torch.rand(4, 3, 2, 2, generator=generator()).double(), normal(4, 3, 2, 2), normal(3, 1, 1)
    of_levels = Normal(LEVELS * mean, LEVELS * log_scale.exp()).log_prob(LEVELS * y)
    torch.testing.assert_close(gaussian_log_likelihood(y, mean, log_scale), of_levels.sum((1, 2, 3)))


def test_gaussian_likelihood_bounds_the_mass_of_a_level() -> None:
    """E_u log p(level + u) <= log of the integral over u, and close where the density is nearly flat."""
    u = ((torch.arange(1000).double() + 0.5) / 1000).reshape(-1, 1, 1, 1)
    for level, scale in ((100, 2.0), (100, 30.0), (180, 1.0)):
        mean, log_scale = torch.tensor(101 / LEVELS).double(), torch.tensor(math.log(scale / LEVELS)).double()
        bound = float(gaussian_log_likelihood((level + u) / LEVELS, mean, log_scale).mean())
        ends = torch.tensor([level, level + 1]).double()
        z = (ends - 101) / scale
        low, high = torch.special.log_ndtr(-z if level > 101 else z)
        mass = float(torch.log((high - low).exp().sub(1).abs()) + low)
        assert bound < mass
        if scale == 30:
            assert bound == pytest.approx(mass, abs=1e-3)


@pytest.mark.parametrize("mean", [-40.0, 0.0, 0.3, 127.5, 200.2, 255.0, 400.0])
@pytest.mark.parametrize("log_scale", [-3.0, 0.0, 1.5, 5.0])
def test_masses_of_all_levels_add_up_to_one(mean: float, log_scale: float) -> None:
    levels = torch.arange(LEVELS).reshape(-1, 1, 1, 1)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        arguments = (torch.tensor(mean, dtype=dtype), torch.tensor(log_scale, dtype=dtype))
        mass = discretised_logistic_log_likelihood(levels.to(dtype), *arguments).double().exp()
        assert float(mass.sum()) == pytest.approx(1, abs=tolerance)


def test_mass_of_a_level_is_the_difference_of_the_logistic_distribution() -> None:
    mean, scale = 100.3, 4.0
    zero = torch.zeros(1, 1, 1).double()
    for level, expected in (
        (0, 1 / (1 + math.exp((mean - 0.5) / scale))),
        (97, 1 / (1 + math.exp((mean - 97.5) / scale)) - 1 / (1 + math.exp((mean - 96.5) / scale))),
        (255, 1 - 1 / (1 + math.exp((mean - 254.5) / scale))),
    ):
        found = discretised_logistic_log_likelihood(zero + level, zero + mean, zero + math.log(scale))
        assert float(found.exp()) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("level", "mean"), [(0.0, 255.0), (128.0, -300.0), (128.0, 128.0), (255.0, 0.0)])
def test_far_tails_keep_their_logarithm_and_its_gradient(level: float, mean: float) -> None:
    """In float32, where the mass itself is 0."""
    at = torch.tensor(mean, requires_grad=True)
    log_scale = torch.tensor(-2.0, requires_grad=True)
    found = discretised_logistic_log_likelihood(torch.full((1, 1, 1), level), at, log_scale)
    slope, slope_of_scale = torch.autograd.grad(found, [at, log_scale])
    found, inverse = found.detach(), math.exp(2)
    distance = abs(level - mean) - 0.5
    if level == mean:
        assert float(found) == pytest.approx(math.log(math.tanh(inverse / 4)), abs=1e-6)
        assert float(slope) == pytest.approx(0, abs=1e-6)
    else:
        # On an end of the range the tail is whole; inside it ends one level on, which takes off exp(-1 / scale) of it.
        whole = 0 if level in (0, 255) else math.log1p(-math.exp(-inverse))
        assert float(found) == pytest.approx(-distance * inverse + whole, rel=1e-6)
        assert float(slope) == pytest.approx(math.copysign(inverse, level - mean), rel=1e-6)
    assert torch.isfinite(slope_of_scale)


# The importance-weighted bound


def test_bound_is_the_log_of_the_mean_weight() -> None:
    weights = torch.tensor([[1.0, 3.0], [0.5, 0.5], [2.0, 0.0]]).double()
    expected = [math.log(2), math.log(0.5), 0.0]
    assert importance_weighted_bound(weights.log()).tolist() == pytest.approx(expected, abs=1e-12)
    # weights that no floating-point number could hold
    assert importance_weighted_bound(weights.log() - 5000).tolist() == pytest.approx([e - 5000 for e in expected])
    assert torch.equal(importance_weighted_bound(weights[:, :1].log()), weights[:, 0].log())


def test_gradient_of_the_bound_weighs_the_draws() -> None:
    log_weights = normal(4, 7).requires_grad_()
    (found,) = torch.autograd.grad(importance_weighted_bound(log_weights).sum(), log_weights)
    weights = log_weights.detach().exp()
    torch.testing.assert_close(found, weights / weights.sum(1, keepdim=True))


# Squared error


def test_squared_error_is_summed_over_pixels() -> None:
    made, x = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4) / 2
    x[1] = 0.1
    assert squared_error(made, x).tolist() == pytest.approx([12.0, 0.48])


# Precision

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bernoulli": lambda a, b: bernoulli_log_likelihood((a > 0).to(a.dtype), b),
    "gaussian": lambda a, b: gaussian_log_likelihood(a.float(), b, a),
    "logistic": lambda a, b: discretised_logistic_log_likelihood(128 * a.float().round(), b, a),
    "density": lambda a, b: gaussian_log_density(a, b, a),
    "kl": gaussian_kl,
    "squared error": lambda a, b: squared_error(a, b.float()),
    "discriminator": discriminator_loss,
    "non-saturating": lambda a, b: non_saturating_loss(a),
    "minimax": lambda a, b: minimax_loss(a),
    "hinge": hinge_discriminator_loss,
    "least squares": lambda a, b: least_squares_discriminator_loss(a, b) + least_squares_generator_loss(b),
    "wasserstein": lambda a, b: wasserstein_critic(a, b) + wasserstein_generator(b),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_inputs_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    a, b = normal(2, 64, 3, 10, 10).to(dtype)
    found = LOSSES[name](a, b)
    assert found.dtype == torch.float32
    assert torch.equal(found, LOSSES[name](a.float(), b.float()))


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_does_not_lower_the_precision(name: str) -> None:
    a, b = normal(2, 64, 3, 10, 10, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = LOSSES[name](a, b)
    assert found.dtype == torch.float32
    assert torch.equal(found, LOSSES[name](a, b))


@pytest.mark.parametrize("name", LOSSES)
def test_double_precision_is_kept(name: str) -> None:
    a, b = normal(2, 4, 3, 1, 2)
    assert LOSSES[name](a, b).dtype == torch.float64
