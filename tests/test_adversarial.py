"""Adversarial objectives and penalties against closed forms."""

import math

import pytest
import torch
from torch import Tensor, nn

from fairdraw.adversarial import (
    Game,
    discriminator_loss,
    discriminator_objective,
    generator_objective,
    gradient_penalty,
    minimax_loss,
    non_saturating_loss,
    r1_penalty,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    wasserstein_critic,
    wasserstein_generator,
)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("game", "logit", "discriminator", "generator"),
    [
        ("non-saturating", 0.0, math.log(4), math.log(2)),
        ("minimax", 0.0, math.log(4), -math.log(2)),
        ("hinge", 0.0, 2.0, 0.0),
        ("least-squares", 0.5, 0.25, 0.125),
    ],
)
def test_objectives_at_a_discriminator_that_cannot_tell(
    game: Game, logit: float, discriminator: float, generator: float
) -> None:
    logits = torch.full((7, 1), logit).double()
    assert float(discriminator_objective(game, logits, logits)) == pytest.approx(discriminator, rel=1e-12)
    assert float(generator_objective(game, logits)) == pytest.approx(generator, rel=1e-12, abs=1e-12)


def test_objectives_are_the_papers_formulas() -> None:
    real, fake = normal(2, 16, 1)
    d_real, d_fake = torch.sigmoid(real), torch.sigmoid(fake)
    expected = {
        "non-saturating": (-(d_real.log().mean() + (1 - d_fake).log().mean()), -d_fake.log().mean()),
        "minimax": (-(d_real.log().mean() + (1 - d_fake).log().mean()), (1 - d_fake).log().mean()),
        "hinge": ((1 - real).clamp_min(0).mean() + (1 + fake).clamp_min(0).mean(), -fake.mean()),
        "least-squares": (((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2),
    }
    games: tuple[Game, ...] = ("non-saturating", "minimax", "hinge", "least-squares")
    assert set(expected) == set(games)
    for game in games:
        found = discriminator_objective(game, real, fake), generator_objective(game, fake)
        torch.testing.assert_close(found, expected[game])
    torch.testing.assert_close(wasserstein_critic(real, fake), fake.mean() - real.mean())
    torch.testing.assert_close(wasserstein_generator(fake), -fake.mean())


@pytest.mark.parametrize("game", ["non-saturating", "minimax", "hinge", "least-squares"])
def test_each_side_pulls_the_logits_its_own_way(game: Game) -> None:
    real, fake = (torch.zeros(4, 1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    up, down = torch.autograd.grad(discriminator_objective(game, real, fake), [real, fake])
    assert float(up.sum()) < 0 <= float(down.sum())
    (lifted,) = torch.autograd.grad(generator_objective(game, fake), fake)
    assert float(lifted.sum()) < 0


def test_sides_differ_in_size_without_a_bias() -> None:
    """Real and fake means are taken apart: a batch of other size on one side weighs no more."""
    real, fake = torch.tensor([1.0, 2.0]), torch.tensor([0.5])
    assert float(discriminator_loss(real, fake)) == pytest.approx(
        (math.log1p(math.exp(-1)) + math.log1p(math.exp(-2))) / 2 + math.log1p(math.exp(0.5))
    )


def test_the_saturating_loss_loses_its_gradient_where_the_discriminator_wins() -> None:
    for probability in (0.5, 1e-4, 1e-8):
        logit = torch.logit(torch.tensor([probability], dtype=torch.float64)).requires_grad_()
        (kept,) = torch.autograd.grad(non_saturating_loss(logit), logit)
        (vanished,) = torch.autograd.grad(minimax_loss(logit), logit)
        assert float(kept) == pytest.approx(probability - 1)
        assert float(vanished) == pytest.approx(-probability)


def test_gradients_stay_finite_for_extreme_logits() -> None:
    for value in (-1e4, 1e4):
        real, fake = (torch.full((2,), value, requires_grad=True) for _ in range(2))
        loss = discriminator_loss(real, fake) + non_saturating_loss(fake) + minimax_loss(fake)
        gradients = torch.autograd.grad(loss, [real, fake])
        assert torch.isfinite(loss)
        assert all(torch.isfinite(g).all() for g in gradients)


def linear_critic(norm: float) -> nn.Module:
    """D(x) = a . x with |a| = norm."""
    layer = nn.Linear(12, 1, bias=False, dtype=torch.float64)
    layer.weight.data = norm * nn.functional.normalize(normal(1, 12))
    return nn.Sequential(nn.Flatten(), layer)


@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("target", [1.0, 750.0])
def test_gradient_penalty_of_a_linear_critic(norm: float, target: float) -> None:
    real, fake = normal(2, 5, 3, 2, 2)
    mix = torch.linspace(0, 1, 5, dtype=torch.float64)
    found = gradient_penalty(linear_critic(norm), real, fake, mix, target)
    assert float(found.detach()) == pytest.approx((norm - target) ** 2 / target**2, abs=1e-12)


def test_gradient_penalty_is_taken_between_the_images() -> None:
    seen = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.square().sum((1, 2, 3))[:, None]

    real, fake = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    mix = torch.tensor([0.0, 0.25, 1.0])
    found = gradient_penalty(critic, real, fake, mix)
    assert seen[0][:, 0, 0, 0].tolist() == mix.tolist()
    # The gradient of |x|^2 is 2x, whose norm at mix m is 2 * m * sqrt(4).
    assert float(found.detach()) == pytest.approx(float(((4 * mix - 1) ** 2).mean()))


def test_gradient_penalty_reaches_the_critics_weights() -> None:
    critic = linear_critic(3.0)
    gradient_penalty(critic, *normal(2, 5, 3, 2, 2), torch.full((5,), 0.5, dtype=torch.float64)).backward()
    gradient = critic[1].weight.grad  # type: ignore[index]
    # d/da (|a| - 1)^2 = 2 (|a| - 1) a / |a|
    torch.testing.assert_close(gradient, 2 * (3 - 1) * critic[1].weight.detach() / 3)  # type: ignore[index, union-attr]


def test_r1_of_a_linear_discriminator_is_half_its_squared_norm() -> None:
    real = normal(5, 3, 2, 2).requires_grad_()
    assert float(r1_penalty(real, linear_critic(3.0)(real)).detach()) == pytest.approx(4.5)


def test_relativistic_losses_are_two_sides_of_one_game() -> None:
    real, fake = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5], [-1.5]])
    a, b = real - fake.mean(), fake - real.mean()
    expected = -(a.sigmoid().log().mean() + (1 - b.sigmoid()).log().mean()) / 2
    torch.testing.assert_close(relativistic_discriminator_loss(real, fake), expected)
    swapped = -((1 - a.sigmoid()).log().mean() + b.sigmoid().log().mean()) / 2
    torch.testing.assert_close(relativistic_generator_loss(real, fake), swapped)
    alike = torch.full((3, 1), 7.0)
    assert float(relativistic_generator_loss(alike, alike)) == pytest.approx(math.log(2))
