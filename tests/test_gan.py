"""The GAN of 2014: its networks, its two orders of moves, its dropout."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import SMALL_GAN, build, drive, stripes, trainer

from fairdraw import GAN, GANConfig, InputError, Noise, preset
from fairdraw.adversarial import minimax_loss, non_saturating_loss
from fairdraw.images import to_signed
from fairdraw.model import Clock
from fairdraw.models import gan
from fairdraw.nets.maxout import Maxout, MaxoutConvolution
from fairdraw.optimizers import Momentum

IMAGES = to_signed(torch.from_numpy(stripes(16)))
SURE = replace(SMALL_GAN, input_keep=1.0, hidden_keep=1.0)
"""Without dropout, so that a loss can be computed twice."""


def clock(step: int = 0) -> Clock:
    return Clock(16 * step, 1000, Noise(0, 16, first=16 * step, purpose="train"), step)


def counts(config: GANConfig, shape: tuple[int, int, int]) -> dict[str, int]:
    with torch.device("meta"):
        model = GAN(config, shape)
    return {name: sum(p.numel() for p in player.parameters) for name, player in model.players().items()}


def test_the_digit_networks_have_the_released_sizes() -> None:
    assert counts(GANConfig(), (1, 28, 28)) == {"generator": 2_503_984, "discriminator": 1_231_441}


def test_the_colour_networks_are_the_released_ones() -> None:
    dense = counts(preset("gan-cifar").model, (3, 32, 32))
    assert dense["generator"] == 101 * 8000 + 8001 * 8000 + 8001 * 3072
    assert dense["discriminator"] == 3073 * 8000 + 1601 * 8000 + 1601
    convolutional = counts(preset("gan-cifar-conv").model, (3, 32, 32))
    assert convolutional["generator"] == 101 * 8000 + 8001 * 8000 + 80 * 3 * 25 + 3072
    maps = (3 * 64 * 64 + 64) + (32 * 64 * 64 + 64) + (32 * 25 * 384 + 384)
    assert convolutional["discriminator"] == maps + (192 * 25 + 1) * 2500 + 501


def test_weights_start_within_the_stated_ranges() -> None:
    model = build(GANConfig(), (1, 28, 28))
    for name, p in model.named_parameters():
        if name.endswith("weight"):
            reach = 0.05 if name.startswith("generator") else 0.005
            assert float(p.detach().abs().max()) == pytest.approx(reach, rel=0.01)
            assert abs(float(p.detach().mean())) < 0.05 * reach
        else:
            assert float(p.detach().abs().max()) == 0


def test_the_convolutional_networks_start_without_biases() -> None:
    model = build(replace(SMALL_GAN, architecture="convolutional", hidden=(24,), activations=("relu",)))
    assert not any(p.any() for name, p in model.named_parameters() if name.endswith("bias"))


def test_the_generator_starts_at_the_mean_image() -> None:
    model: Any = build(replace(SMALL_GAN, generator_range=0.0))
    model.prepare(IMAGES)
    assert torch.allclose(model.eval().sample(2), IMAGES.mean(0).clamp(-0.998, 0.998), atol=1e-5)


def test_rates_and_momentum_are_the_released_schedule() -> None:
    rule = preset("gan").model.optimizer
    assert isinstance(rule, Momentum)
    updates = 100_000
    assert rule.settings(100 * updates)["lr"] == pytest.approx(0.1 / 1.000004**updates, rel=1e-5)
    assert rule.settings(10**12)["lr"] == 1e-6
    assert rule.settings(125 * 50_000)["momentum"] == pytest.approx(0.6)


def test_maxout_is_the_largest_of_its_pieces() -> None:
    layer = Maxout(5, 7, 3)
    x = torch.randn(4, 5)
    pieces = torch.stack([x @ w.T + b for w, b in zip(*_pieces(layer.linear, 7, 3), strict=True)])
    torch.testing.assert_close(layer(x), pieces.max(0).values)


def _pieces(linear: nn.Linear, units: int, pieces: int) -> tuple[torch.Tensor, torch.Tensor]:
    weight = linear.weight.unflatten(0, (units, pieces)).transpose(0, 1)
    return weight, linear.bias.unflatten(0, (units, pieces)).transpose(0, 1)


def test_maxout_convolutions_pool_to_the_released_sizes() -> None:
    x = torch.randn(2, 3, 32, 32)
    first = MaxoutConvolution(3, 32, 2, kernel=8, padding=4, pool=4)
    second = MaxoutConvolution(32, 32, 2, kernel=8, padding=3, pool=4)
    third = MaxoutConvolution(32, 192, 2, kernel=5, padding=3, pool=2)
    maps = [first(x)]
    maps += [second(maps[0])]
    maps += [third(maps[1])]
    assert [m.shape[1:] for m in maps] == [(32, 16, 16), (32, 7, 7), (192, 5, 5)]
    convolved = first.convolution(x).unflatten(1, (32, 2)).max(2).values
    torch.testing.assert_close(maps[0], F.max_pool2d(convolved, 4, 2, ceil_mode=True))


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_simultaneous_moves_are_both_gradients_at_the_old_weights(loss: Any) -> None:
    model: Any = build(replace(SURE, loss=loss)).double()
    images = IMAGES.double()
    noise = Noise(0, 16, purpose="train", dtype=torch.float64)
    objective = {"non-saturating": non_saturating_loss, "minimax": minimax_loss}[loss]
    fake = model.generate(model.prior(Noise(0, 16, purpose="train", dtype=torch.float64)))
    value = objective(model.discriminator((fake + 1) / 2))
    expected = torch.autograd.grad(value, list(model.generator.parameters()))

    updates = model.updates({"image": images}, Clock(0, 1000, noise))
    next(updates)
    with torch.no_grad():
        for p in model.discriminator.parameters():  # D moves, far
            p.add_(torch.randn_like(p))
    update = next(updates)
    found = torch.autograd.grad(update.loss, list(model.generator.parameters()))
    torch.testing.assert_close(found, expected)
    assert float(update.loss.detach()) == pytest.approx(float(value.detach()), rel=1e-12)


def test_moves_in_turn_see_the_discriminator_that_moved_and_fresh_noise() -> None:
    model: Any = build(replace(SURE, moves="alternating"))
    seen = []
    model.generator.register_forward_hook(lambda module, given, images: seen.append(given[0]))
    updates = model.updates({"image": IMAGES}, clock())
    next(updates)
    with torch.no_grad():
        model.discriminator[-1].bias.fill_(5.0)
    loss = float(next(updates).loss.detach())
    assert not torch.equal(seen[0], seen[1])
    assert loss < 0.05, "the moved D takes everything for real"


def test_the_generator_moves_after_k_steps() -> None:
    model: Any = build(replace(SURE, moves="alternating", discriminator_steps=3))
    moved = [[u.player for u in model.updates({"image": IMAGES}, clock(step))] for step in range(3)]
    assert moved == [["discriminator"], ["discriminator"], ["discriminator", "generator"]]


def test_losses_where_the_discriminator_cannot_tell() -> None:
    for loss, value in (("non-saturating", math.log(2)), ("minimax", -math.log(2))):
        model = build(replace(SMALL_GAN, loss=loss, discriminator_range=0.0))
        d, g = list(model.updates({"image": IMAGES}, clock()))
        assert float(d.loss.detach()) == pytest.approx(math.log(2)), "half of log 4"
        assert float(g.loss.detach()) == pytest.approx(value)


def test_dropout_keeps_the_stated_shares_while_both_train() -> None:
    model: Any = build(GANConfig(), (1, 28, 28)).train()
    kept: dict[int, list[float]] = {}
    for number, layer in enumerate(m for m in model.discriminator if isinstance(m, nn.Dropout)):
        layer.register_forward_hook(
            lambda module, given, out, n=number: kept.setdefault(n, []).append(float((out != 0).sum() / out.numel()))
        )
    list(model.updates({"image": torch.ones(64, 1, 28, 28)}, Clock(0, 1, Noise(0, 64))))
    assert [len(kept[n]) for n in range(3)] == [2, 2, 2], "the real images; the generated ones, for both players"
    assert kept[0][0] == pytest.approx(0.8, abs=0.02)
    assert all(share == pytest.approx(0.5, abs=0.05) for n in (1, 2) for share in kept[n])


def test_the_convolutional_discriminator_drops_before_each_layer() -> None:
    config = preset("gan-cifar-conv").model
    with torch.device("meta"):
        model = GAN(config, (3, 32, 32))
    layers = [m for m in model.discriminator if not isinstance(m, nn.Flatten)]
    assert [m.p for m in layers[::2]] == pytest.approx([0.2, 0.5, 0.5, 0.5, 0.5])
    kinds = [MaxoutConvolution] * 3 + [Maxout, nn.Linear]
    assert [type(m) for m in layers[1::2]] == kinds


@pytest.mark.parametrize("architecture", ["dense", "convolutional"])
def test_weights_into_a_unit_are_bounded_after_each_update(architecture: Any) -> None:
    config = replace(SMALL_GAN, architecture=architecture, largest_norm=0.1)
    if architecture == "convolutional":
        config = replace(config, hidden=(24,), activations=("relu",))
    model: Any = drive(trainer(config), 3, stripes()).model
    for player in (model.generator, model.discriminator):
        layers = [m for m in player.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        largest = [float(m.weight.detach().flatten(1).norm(dim=1).max()) for m in layers]
        assert max(largest) == pytest.approx(0.1, rel=1e-4)


def test_the_priors_have_mean_0_and_variance_1() -> None:
    for prior in ("uniform", "gaussian"):
        z = build(replace(SMALL_GAN, prior=prior)).prior(Noise(0, 20_000))  # type: ignore[operator]
        assert abs(float(z.mean())) < 0.01
        assert float(z.var()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"activations": ("relu",)}, "2 hidden layers and 1 activations"),
        ({"discriminator_steps": 2}, "--moves alternating"),
        ({"input_keep": 0.0}, "more than 0"),
        ({"pieces": 0}, "at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        GANConfig(**options)


def test_the_convolutional_networks_say_how_small_images_may_be() -> None:
    config = GANConfig(architecture="convolutional", hidden=(4,), activations=("relu",))
    least = gan.LEAST_SIDE
    GAN(config, (3, least, least))
    with pytest.raises(InputError, match=f"images of {least - 1} px.* at least {least} with --size"):
        GAN(config, (3, least - 1, least - 1))
