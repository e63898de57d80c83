"""The Wasserstein GAN: critic steps, fresh noise, the penalty in the critic's loss."""

from typing import Any

import pytest
import torch
from toys import build, drive, stripes, trainer

from fairdraw import Noise, WGANConfig
from fairdraw.adversarial import gradient_penalty
from fairdraw.images import to_signed
from fairdraw.model import Clock

IMAGES = to_signed(torch.from_numpy(stripes(8)))


def clock(step: int = 0) -> Clock:
    return Clock(8 * step, 1000, Noise(0, 8, first=8 * step, purpose="train"), step)


def test_the_generator_moves_after_every_kth_step_of_the_critic() -> None:
    model: Any = build(WGANConfig(latent=6, width=4, critic_steps=3))
    moved = [[u.player for u in model.updates({"image": IMAGES}, clock(step))] for step in range(6)]
    assert moved == [["critic"], ["critic"], ["critic", "generator"]] * 2


def test_critic_steps_go_on_where_a_resumed_training_was() -> None:
    through = drive(trainer(WGANConfig(latent=6, width=4, critic_steps=3)), 5, stripes())
    first = drive(trainer(WGANConfig(latent=6, width=4, critic_steps=3)), 2, stripes())
    resumed = trainer(WGANConfig(latent=6, width=4, critic_steps=3))
    resumed.restore(*first.state())
    drive(resumed, 3, stripes())
    assert through._counts["loss/generator"] == resumed._counts["loss/generator"] == 1
    assert all(torch.equal(a, b) for a, b in zip(through.model.parameters(), resumed.model.parameters(), strict=True))


def test_the_generators_z_is_not_the_critics() -> None:
    model: Any = build(WGANConfig(latent=6, width=4, critic_steps=1)).eval()
    seen = []
    model.generator.register_forward_hook(lambda module, given, images: seen.append(given[0]))
    list(model.updates({"image": IMAGES}, clock()))
    assert not torch.equal(seen[0], seen[1])


def test_the_critics_loss_is_its_logged_terms() -> None:
    model: Any = build(WGANConfig(latent=6, width=4, penalty=7.0))
    (update,) = model.updates({"image": IMAGES}, clock())
    log = update.log
    expected = log["fake_score"] - log["real_score"] + 7 * log["gradient_penalty"]
    assert float(update.loss.detach()) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("normalisation", ["none", "layer"])
def test_a_score_depends_on_its_own_image_alone(normalisation: Any) -> None:
    model: Any = build(WGANConfig(latent=6, width=4, normalisation=normalisation)).train()
    torch.testing.assert_close(model.critic(IMAGES)[:3], model.critic(IMAGES[:3]))


def test_the_penalty_draws_the_gradient_to_1() -> None:
    t = trainer(WGANConfig(latent=6, width=4, critic_steps=100, penalty=10.0))
    model: Any = t.model

    def penalty() -> float:
        fake = model.generate(model.prior(Noise(1, 8))).detach()
        found = gradient_penalty(model.critic, IMAGES, fake, torch.full((8,), 0.5))
        return float(found.detach())

    before = penalty()
    drive(t, 60, stripes())
    assert penalty() < 0.7 * before
