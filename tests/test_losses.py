"""Losses against closed forms, torch.distributions and Monte Carlo."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from fairdraw.losses import bernoulli_log_likelihood, discriminator_loss, gaussian_kl, non_saturating_loss

HALF = (torch.float16, torch.bfloat16)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# Kullback-Leibler divergence


def test_kl_is_zero_at_the_prior_and_only_there() -> None:
    zero = torch.zeros(3, 7)
    assert torch.equal(gaussian_kl(zero, zero), torch.zeros(3))
    for mean, log_var in ((0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)):
        assert (gaussian_kl(torch.full((1, 1), mean), torch.full((1, 1), log_var)) > 0).all()


@pytest.mark.parametrize(
    ("mean", "log_var", "nats"),
    [
        ([1.0], [0.0], 0.5),
        ([3.0, 4.0], [0.0, 0.0], 12.5),
        ([0.0], [1.0], (math.e - 2) / 2),
        ([0.0], [math.log(4)], 1.5 - math.log(2)),
        ([2.0, 0.0], [-1.0, 1.0], (4 + 1 / math.e + math.e - 2) / 2),
    ],
)
def test_kl_of_small_cases(mean: list[float], log_var: list[float], nats: float) -> None:
    found = gaussian_kl(torch.tensor([mean], dtype=torch.float64), torch.tensor([log_var], dtype=torch.float64))
    assert found.tolist() == pytest.approx([nats], rel=1e-12)


def test_kl_agrees_with_monte_carlo() -> None:
    mean, log_var = torch.tensor([[0.7, -1.2, 0.1]]).double(), torch.tensor([[-1.0, 0.5, 0.2]]).double()
    q, p = Normal(mean, (log_var / 2).exp()), Normal(torch.zeros(3).double(), torch.ones(3).double())
    z = mean + (log_var / 2).exp() * torch.randn(1_000_000, 3, generator=generator(), dtype=torch.float64)
    sampled = (q.log_prob(z) - p.log_prob(z)).sum(1).mean()
    assert float(gaussian_kl(mean, log_var)) == pytest.approx(float(sampled), rel=0.01)


def test_kl_sums_over_latents_and_keeps_images_apart() -> None:
    mean, log_var = torch.randn(5, 9, generator=generator()), torch.randn(5, 9, generator=generator())
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(gaussian_kl(mean, log_var), expected)


# Bernoulli likelihood


def test_bernoulli_likelihood_agrees_with_torch_distributions() -> None:
    logits = 3 * torch.randn(4, 3, 5, 5, generator=generator())
    x = torch.bernoulli(torch.full((4, 3, 5, 5), 0.4), generator=generator())
    expected = Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_log_likelihood(x, logits), expected)


def test_bernoulli_likelihood_of_small_cases() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    zeros = bernoulli_log_likelihood(x, torch.zeros(2, 2))
    assert zeros.tolist() == pytest.approx([2 * math.log(0.5)] * 2)
    logit = math.log(3)  # p = 3/4
    found = bernoulli_log_likelihood(x, torch.full((2, 2), logit))
    assert found.tolist() == pytest.approx([math.log(3 / 16), math.log(9 / 16)])


def test_bernoulli_likelihood_normalises() -> None:
    """Over all 2^6 images the probabilities add up to one."""
    images = torch.tensor([[i >> k & 1 for k in range(6)] for i in range(64)]).double()
    logits = torch.randn(6, generator=generator()).double().expand(64, 6)
    assert float(bernoulli_log_likelihood(images, logits).exp().sum()) == pytest.approx(1, rel=1e-12)


def test_likelihood_of_grey_images_is_the_mean_over_their_binarisations() -> None:
    grey, logits = torch.tensor([0.2, 0.7]).double(), torch.tensor([0.4, -1.5]).double()
    expected = 0.0
    for a in (0, 1):
        for b in (0, 1):
            weight = (grey[0] if a else 1 - grey[0]) * (grey[1] if b else 1 - grey[1])
            expected += float(weight * bernoulli_log_likelihood(torch.tensor([[a, b]]).double(), logits[None]))
    assert float(bernoulli_log_likelihood(grey[None], logits[None])) == pytest.approx(expected, rel=1e-12)


def test_extreme_logits_stay_exact() -> None:
    x, logits = torch.tensor([[1.0], [0.0], [1.0], [0.0]]), torch.tensor([[200.0], [-200.0], [-200.0], [200.0]])
    assert bernoulli_log_likelihood(x, logits).tolist() == [0, 0, -200, -200]


# Adversarial losses


def test_losses_at_a_discriminator_that_cannot_tell() -> None:
    zero = torch.zeros(7, 1).double()
    assert float(discriminator_loss(zero, zero)) == pytest.approx(math.log(4), rel=1e-12)
    assert float(non_saturating_loss(zero)) == pytest.approx(math.log(2), rel=1e-12)


def test_losses_are_the_papers_formulas() -> None:
    real, fake = torch.randn(2, 16, 1, generator=generator(), dtype=torch.float64)
    d_real, d_fake = torch.sigmoid(real), torch.sigmoid(fake)
    expected = -(d_real.log().mean() + (1 - d_fake).log().mean())
    torch.testing.assert_close(discriminator_loss(real, fake), expected)
    torch.testing.assert_close(non_saturating_loss(fake), -d_fake.log().mean())


def test_sides_differ_in_size_without_a_bias() -> None:
    """Real and fake means are taken apart: a batch of other size on one side weighs no more."""
    real, fake = torch.tensor([1.0, 2.0]), torch.tensor([0.5])
    assert float(discriminator_loss(real, fake)) == pytest.approx(
        (math.log1p(math.exp(-1)) + math.log1p(math.exp(-2))) / 2 + math.log1p(math.exp(0.5))
    )


def test_generator_keeps_its_gradient_where_the_discriminator_wins() -> None:
    logit = torch.tensor([-20.0], requires_grad=True)  # D(G(z)) = 2e-9
    (kept,) = torch.autograd.grad(non_saturating_loss(logit), logit)
    minimax = torch.log(1 - torch.sigmoid(logit.double())).mean()
    (vanished,) = torch.autograd.grad(minimax, logit)
    assert float(kept) == pytest.approx(-1)
    assert abs(float(vanished)) < 1e-8
    # Both pull D(G(z)) up: the same direction, at D = 1/2 the same size.
    assert float(vanished) < 0
    zero = torch.zeros(1, requires_grad=True)
    assert torch.autograd.grad(non_saturating_loss(zero), zero)[0].item() == pytest.approx(-0.5)
    assert torch.autograd.grad(torch.log(1 - torch.sigmoid(zero)).mean(), zero)[0].item() == pytest.approx(-0.5)


def test_gradients_stay_finite_for_extreme_logits() -> None:
    for value in (-1e4, 1e4):
        real, fake = (torch.full((2,), value, requires_grad=True) for _ in range(2))
        loss = discriminator_loss(real, fake) + non_saturating_loss(fake)
        gradients = torch.autograd.grad(loss, [real, fake])
        assert torch.isfinite(loss)
        assert all(torch.isfinite(g).all() for g in gradients)


# Precision

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bernoulli": lambda a, b: bernoulli_log_likelihood((a > 0).to(a.dtype), b),
    "kl": gaussian_kl,
    "discriminator": discriminator_loss,
    "non-saturating": lambda a, b: non_saturating_loss(a),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_inputs_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    a, b = torch.randn(2, 64, 300, generator=generator()).to(dtype)
    found = LOSSES[name](a, b)
    assert found.dtype == torch.float32
    assert torch.equal(found, LOSSES[name](a.float(), b.float()))


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_does_not_lower_the_precision(name: str) -> None:
    a, b = torch.randn(2, 64, 300, generator=generator())
    with torch.autocast("cpu", torch.bfloat16):
        found = LOSSES[name](a, b)
    assert found.dtype == torch.float32
    assert torch.equal(found, LOSSES[name](a, b))


@pytest.mark.parametrize("name", LOSSES)
def test_double_precision_is_kept(name: str) -> None:
    a, b = torch.randn(2, 4, 3, generator=generator(), dtype=torch.float64)
    assert LOSSES[name](a, b).dtype == torch.float64
