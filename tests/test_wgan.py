"""The Wasserstein GAN: critic steps, fresh noise, the penalty in the critic's loss."""

from typing import Any

import pytest
import torch
from torch import nn
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


def test_the_penalty_is_taken_at_uniform_places_between_the_images() -> None:
    model: Any = build(WGANConfig(latent=6, width=4)).eval()
    seen = []
    model.critic.register_forward_hook(lambda module, given, scores: seen.append(given[0].detach()))
    list(model.updates({"image": IMAGES}, clock()))
    noise = clock().noise
    fake = model.generate(model.prior(noise)).detach()
    mix = noise.uniform(1, 1, 1)
    torch.testing.assert_close(seen, [IMAGES, fake, mix * IMAGES + (1 - mix) * fake])


def test_the_generator_raises_the_critics_scores() -> None:
    model: Any = build(WGANConfig(latent=6, width=4, critic_steps=1)).eval()
    _, update = model.updates({"image": IMAGES}, clock())
    noise = clock().noise
    noise.normal(6), noise.uniform()  # the critic's
    expected = -model.realness(model.generate(model.prior(noise))).mean()
    torch.testing.assert_close(update.loss, expected)


def test_weights_start_uniform_with_the_released_deviations() -> None:
    model: Any = build(WGANConfig(width=64), (3, 32, 32))
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)}
    shapes = {  # fan in and fan out; a stride of 2 divides those of the larger side by 4
        "generator.0": (128, 4 * 4 * 256, 2),
        "generator.4": (256 * 25 / 4, 128 * 25, 4),
        "generator.7": (128 * 25 / 4, 64 * 25, 4),
        "generator.10": (64 * 25 / 4, 3 * 25, 4),
        "critic.0": (3 * 25, 64 * 25 / 4, 4),
        "critic.2": (64 * 25, 128 * 25 / 4, 4),
        "critic.4": (128 * 25, 256 * 25 / 4, 4),
        "critic.7": (4 * 4 * 256, 1, 2),
    }
    assert layers.keys() == shapes.keys()
    for name, (fan_in, fan_out, gain) in shapes.items():
        weight, bias = layers[name].weight.detach(), layers[name].bias
        edge = (3 * gain / (fan_in + fan_out)) ** 0.5
        assert float(weight.abs().max()) == pytest.approx(edge, rel=0.01)
        assert float(weight.std()) == pytest.approx(edge / 3**0.5, rel=0.05)
        assert (bias is None) == name.startswith("generator")
        assert bias is None or not bias.any()


@pytest.mark.parametrize("normalisation", ["none", "layer"])
def test_a_score_depends_on_its_own_image_alone(normalisation: Any) -> None:
    model: Any = build(WGANConfig(latent=6, width=4, normalisation=normalisation)).train()
    torch.testing.assert_close(model.critic(IMAGES)[:3], model.critic(IMAGES[:3]))


def test_layer_normalisation_is_over_channels_and_map() -> None:
    model: Any = build(WGANConfig(latent=6, width=4, normalisation="layer"))
    seen: list[torch.Tensor] = []
    (layer,) = (m for m in model.critic if isinstance(m, nn.GroupNorm))
    layer.register_forward_hook(lambda module, given, out: seen.append(out.detach()))
    model.critic(IMAGES)
    torch.testing.assert_close(seen[0].mean((1, 2, 3)), torch.zeros(8), rtol=0, atol=1e-5)
    assert float(seen[0].mean((2, 3)).abs().max()) > 0.1, "of all channels together"
    assert layer.weight.shape == layer.bias.shape == (8,)


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
