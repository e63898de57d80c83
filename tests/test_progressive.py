"""Progressive growing: layers, fade, growth by the clock, resume over a growth."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toys import SMALL_PROGRESSIVE, build, drive, experiment, same, save_stripes, stripes, trainer

from fairdraw import InputError, Noise, Progressive, ProgressiveConfig, load, preset, train
from fairdraw.adversarial import gradient_penalty
from fairdraw.images import to_signed
from fairdraw.model import Clock
from fairdraw.nets.equalised import Equalised, doubled, halved, minibatch_deviation, pixel_norm

IMAGES = to_signed(torch.from_numpy(stripes(8)))
CONFIG = SMALL_PROGRESSIVE  # 4 px for 48 images, fades for 64, and so on to 16 px


def model(**options: Any) -> Progressive:
    found = build(replace(CONFIG, **options))
    assert isinstance(found, Progressive)
    return found


def clock(images: int, count: int = 8) -> Clock:
    return Clock(images, 1000, Noise(0, count, first=images, purpose="train"), images // count)


# Layers


@pytest.mark.parametrize("kernel", [0, 1, 3])
def test_layers_keep_the_deviation_of_what_comes_in(kernel: int) -> None:
    torch.manual_seed(0)
    layer = Equalised(256, 256, kernel, gain=1.0, padding=kernel // 2)
    x = torch.randn(64, 256, 8, 8) if kernel else torch.randn(4096, 256)
    inner = layer(x)[..., 1:-1, 1:-1] if kernel else layer(x)
    assert 0.9 < float(inner.detach().std()) < 1.1
    assert float(layer.weight.detach().std()) == pytest.approx(1, abs=0.05)
    assert layer.bias is not None
    assert not layer.bias.any()


def test_the_scale_is_of_the_weight_alone_whichever_factor_is_scaled() -> None:
    layer = Equalised(8, 16, 3, padding=1)
    with torch.no_grad():
        layer.bias += 1  # type: ignore[operator]
    for count in (1, 64):  # fewer values than weights, and more
        x = torch.randn(count, 8, 4, 4)
        scaled = layer.weight * 2**0.5 / (8 * 9) ** 0.5
        expected = torch.nn.functional.conv2d(x, scaled, layer.bias, padding=1)
        torch.testing.assert_close(layer(x), expected)


def test_pixel_norm_brings_each_pixel_to_a_mean_square_of_1() -> None:
    x = 5 * torch.randn(4, 32, 3, 3)
    torch.testing.assert_close(pixel_norm(x).square().mean(1), torch.ones(4, 3, 3), rtol=0, atol=1e-5)


def test_minibatch_deviation_is_that_of_its_group() -> None:
    x = torch.randn(8, 5, 4, 4)
    found = minibatch_deviation(x, 4)
    assert torch.equal(found[:, :5], x)
    for place in range(2):
        group = x[place::2]
        expected = group.std(0, unbiased=False).mean()
        torch.testing.assert_close(found[place::2, 5], expected.expand(4, 4, 4))
    assert float(minibatch_deviation(x[:1].expand(8, -1, -1, -1), 4)[:, 5].max()) < 1.1e-4, "the root of epsilon"
    whole = minibatch_deviation(x, 0)[:, 5]
    torch.testing.assert_close(whole, x.std(0, unbiased=False).mean().expand(8, 4, 4))
    assert minibatch_deviation(x[:6], 4)[:, 5, 0, 0].unique().numel() == 2, "groups of 3 where 4 do not divide 6"


def random_biases(m: nn.Module) -> None:
    for name, p in m.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(p)


def scaled(layer: Any, x: Tensor, gain: float) -> Tensor:
    """A layer of the paper: weights times gain / sqrt(fan in), then the bias."""
    weight = layer.weight * gain / layer.weight[0].numel() ** 0.5
    if weight.dim() == 2:
        return F.linear(x, weight, layer.bias)
    return F.conv2d(x, weight, layer.bias, padding=weight.shape[2] // 2)


def normalised(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def twice(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def half(x: Tensor) -> Tensor:
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def test_the_generator_is_the_papers() -> None:
    g: Any = model().double().generator
    random_biases(g)
    z = torch.randn(3, 6, dtype=torch.float64)
    x = scaled(g.dense, normalised(z), 2**0.5 / 4).view(3, 8, 4, 4)
    x = normalised(leaky(scaled(g.first, normalised(leaky(x + g.bias)), 2**0.5)))
    for block in g.blocks:
        before, x = x, twice(x)
        for layer in block:
            x = normalised(leaky(scaled(layer, x, 2**0.5)))
    old, new = scaled(g.to_image[1], before, 1.0), scaled(g.to_image[2], x, 1.0)
    torch.testing.assert_close(g(z, 2, None), new)
    torch.testing.assert_close(g(z, 2, torch.tensor(0.3).double()), 0.7 * twice(old) + 0.3 * new)


def test_the_critic_is_the_papers() -> None:
    d: Any = model().double().critic
    random_biases(d)
    x = IMAGES.double()
    y = leaky(scaled(d.from_image[2], x, 2**0.5))
    for depth in (1, 0):
        for layer in d.blocks[depth]:
            y = leaky(scaled(layer, y, 2**0.5))
        y = half(y)
        if depth == 1:
            y = 0.3 * y + 0.7 * leaky(scaled(d.from_image[1], half(x), 2**0.5))
    groups = y.reshape(4, 2, *y.shape[1:])  # the images of a group of 4 stand 2 apart
    deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).repeat(4)
    y = torch.cat([y, deviation[:, None, None, None].expand(-1, 1, 4, 4)], 1)
    y = leaky(scaled(d.last, y, 2**0.5)).flatten(1)
    expected = scaled(d.score, leaky(scaled(d.dense, y, 2**0.5)), 1.0)
    torch.testing.assert_close(d(x, 2, torch.tensor(0.3).double()), expected)


def test_the_papers_minibatch_deviation_is_over_the_whole_minibatch() -> None:
    d: Any = model(group=0).critic
    seen: list[Tensor] = []
    d.last.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    d(IMAGES, 2, None)
    assert seen[0][:, -1].unique().numel() == 1
    assert ProgressiveConfig().group == 0


# Sizes


def test_the_networks_have_the_released_sizes() -> None:
    with torch.device("meta"):
        largest = Progressive(ProgressiveConfig(), (3, 1024, 1024))
    counts = {name: sum(p.numel() for p in player.parameters) for name, player in largest.players().items()}
    assert counts == {"generator": 23_079_115, "critic": 23_087_249}
    assert [ProgressiveConfig().channels(k) for k in range(9)] == [512, 512, 512, 512, 256, 128, 64, 32, 16]


def test_digits_of_28_px_grow_from_7() -> None:
    assert build(CONFIG, (1, 28, 28)).top == 2
    with pytest.raises(InputError, match=r"30 px.*28, 32"):
        build(CONFIG, (1, 30, 30))


def test_growth_is_a_function_of_images() -> None:
    m = model()
    sizes = {0: 0, 47: 0, 48: 0, 80: 0.5, 111: 63 / 64, 112: 1, 160: 1, 192: 1.5, 224: 2, 10**6: 2}
    assert {images: m.size(images) for images in sizes} == pytest.approx(sizes)
    stages = [m.stage(images) for images in (0, 48, 49, 111, 112, 160, 161, 223, 224)]
    assert stages == [0, 0, 1, 1, 2, 2, 3, 3, 4], "it changes where a fade begins and where it ends"
    assert [m.batch(images, 99) for images in (0, 49, 300)] == [16, 8, 8]
    assert m.batch(0, 4) == 4
    assert model(growth="none").size(0) == 2


def test_the_papers_minibatches_shrink_with_the_size() -> None:
    with torch.device("meta"):
        m = Progressive(ProgressiveConfig(), (3, 1024, 1024))
    phase = 1_600_000
    assert [m.batch(phase * k, 16) for k in range(9)] == [16, 16, 16, 16, 16, 16, 14, 6, 3]


def test_the_fade_counts_images_not_steps() -> None:
    found = []
    for batch in (4, 8):
        t = drive(trainer(replace(CONFIG, batches=(batch,)), batch=batch), 80 // batch, stripes())
        assert isinstance(t.model, Progressive)
        found.append((t.images, t.model.size(t.images)))
    assert found[0] == found[1] == (80, 0.5)


# The fade


def layers_faded(m: Progressive, alpha: float, level: int = 2) -> tuple[Tensor, Tensor]:
    """Images of some z, and scores of some images, at a size that counts by `alpha`."""
    z, weight = m.prior(Noise(0, 8)), torch.tensor(alpha)
    return m.generator(z, level, weight), m.critic(m.faded(IMAGES, level, weight), level, weight)


def test_where_a_fade_begins_both_networks_are_the_old_ones() -> None:
    m = model()
    images, scores = layers_faded(m, 0.0)
    torch.testing.assert_close(images, doubled(m.generator(m.prior(Noise(0, 8)), 1, None)), rtol=0, atol=1e-6)
    torch.testing.assert_close(scores, m.critic(m.faded(IMAGES, 1, None), 1, None), rtol=0, atol=1e-6)


def test_where_a_fade_ends_the_old_converters_have_no_part() -> None:
    m = model()
    images, scores = layers_faded(m, 1.0)
    old = [m.generator.to_image[1].weight, m.critic.from_image[1].weight]
    gradients = torch.autograd.grad(images.square().sum() + scores.square().sum(), old)
    assert all(float(g.abs().max()) == 0 for g in gradients)
    torch.testing.assert_close(images, m.generator(m.prior(Noise(0, 8)), 2, None))


def test_real_images_are_faded_too() -> None:
    m = model()
    assert torch.equal(m.faded(IMAGES, 2, None), IMAGES)
    torch.testing.assert_close(m.faded(IMAGES, 1, None), halved(IMAGES))
    mixed = m.faded(IMAGES, 2, torch.tensor(0.25))
    torch.testing.assert_close(mixed, 0.25 * IMAGES + 0.75 * doubled(halved(IMAGES)))


def test_a_step_works_at_the_size_of_the_moment() -> None:
    m = model()
    seen: list[int] = []
    m.critic.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[-1]))
    for images, side in ((0, 4), (80, 8), (120, 8), (300, 16)):
        seen.clear()
        list(m.updates({"image": IMAGES}, clock(images)))
        assert seen == [side] * 4, "real, generated, between, generated again"


# Training


@pytest.mark.parametrize("moves", ["alternating", "simultaneous"])
def test_the_critics_loss_is_the_papers(moves: Any) -> None:
    m = model(moves=moves, penalty=7.0, target=3.0, drift=0.5)
    update = next(iter(m.updates({"image": IMAGES}, clock(300))))
    log = {k: float(v) for k, v in update.log.items()}
    scores = m.critic(IMAGES, 2, None)
    drift = 0.5 * float(scores.detach().square().mean())
    expected = log["fake_score"] - log["real_score"] + 7 * log["gradient_penalty"] + drift
    assert float(update.loss.detach()) == pytest.approx(expected, rel=1e-4)
    assert log["size"] == 2


def test_the_penalty_is_between_the_faded_images_and_generated_ones() -> None:
    m = model(moves="alternating", target=3.0)
    seen: list[Tensor] = []
    hook = m.critic.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    first, _ = m.updates({"image": IMAGES}, clock(176))  # a quarter of the fade to 16 px
    hook.remove()
    noise, alpha = clock(176).noise, torch.tensor(0.25)
    real = 0.25 * IMAGES + 0.75 * twice(half(IMAGES))
    fake = m.generator(m.prior(noise), 2, alpha).detach()
    mix = noise.uniform(1, 1, 1)
    own = m.generator(m.prior(noise), 2, alpha).detach()  # of a z of its own
    torch.testing.assert_close(seen, [real, fake, mix * real + (1 - mix) * fake, own])
    penalty = gradient_penalty(lambda x: m.critic(x, 2, alpha), real, fake, mix.flatten(), 3.0)
    torch.testing.assert_close(first.log["gradient_penalty"], penalty.detach())


def test_images_are_judged_and_made_as_far_as_the_size_is_faded_in() -> None:
    m = model().eval()
    m.seen.fill_(96)  # three quarters of the fade to 8 px
    alpha = torch.tensor(0.75)
    small = half(IMAGES)
    scores = m.critic(0.75 * small + 0.25 * twice(half(small)), 1, alpha)
    torch.testing.assert_close(m.realness(IMAGES), scores[:, 0])
    z = m.prior(Noise(0, 4))
    torch.testing.assert_close(m.generate(z), twice(m.generator(z, 1, alpha)))


def test_simultaneous_moves_are_both_gradients_at_the_old_weights() -> None:
    m = model(moves="simultaneous").double()
    noise = Noise(0, 8, first=300, purpose="train", dtype=torch.float64)
    z = m.prior(Noise(0, 8, first=300, purpose="train", dtype=torch.float64))
    value = -m.critic(m.generator(z, 2, None), 2, None).mean()
    names = list(m.generator.parameters())
    expected = torch.autograd.grad(value, names, allow_unused=True)
    updates = m.updates({"image": IMAGES.double()}, Clock(300, 1000, noise))
    next(updates)
    with torch.no_grad():
        for p in m.critic.parameters():
            p.add_(torch.randn_like(p))
    found = torch.autograd.grad(next(updates).loss, names, allow_unused=True)
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b)


def test_layers_are_untouched_until_they_grow_and_the_average_has_them_then() -> None:
    t = trainer(CONFIG)
    assert isinstance(t.model, Progressive)
    assert isinstance(t.average, Progressive)
    late = t.model.generator.to_image[2].weight.detach().clone()
    drive(t, 5, stripes())  # 48 images at 4 px, then 8 a step
    assert torch.equal(t.model.generator.to_image[2].weight, late)
    drive(t, 40, stripes())
    assert not torch.equal(t.average.generator.to_image[2].weight, late)
    assert int(t.average.seen) == int(t.model.seen) > 300
    z = t.average.prior(Noise(0, 4))
    torch.testing.assert_close(t.average.generate(z), t.average.generator(z, 2, None))


def test_optimizers_forget_at_each_growth() -> None:
    t = trainer(CONFIG)
    counts = []
    for _ in range(30):
        drive(t, 1, stripes())
        first = t.optimizers["generator"].state[t.model.generator.dense.weight]  # type: ignore[union-attr, index]
        counts.append(int(first["step"]))
    assert [n for n, count in enumerate(counts) if count == 1] == [0, 4, 10, 17, 24]


@pytest.mark.parametrize("after", [2, 5, 12, 20])
def test_a_resumed_growth_equals_an_uninterrupted_one(after: int) -> None:
    through = drive(trainer(CONFIG), 28, stripes())
    first = drive(trainer(CONFIG), after, stripes())
    second = trainer(CONFIG)
    second.restore(*first.state())
    drive(second, 28 - after, stripes())
    assert same(through.state()[0], second.state()[0])


def test_a_grown_model_loads_as_any_other(tmp_path: Path) -> None:
    source = save_stripes(tmp_path)
    for images in (80, 400):
        run = train(experiment(CONFIG, source, images=images), tmp_path / str(images), quiet=True)
        loaded = load(run.folder)
        assert isinstance(loaded, Progressive)
        assert loaded.sample(3).shape == (3, 1, 16, 16)
        blocks = loaded.sample(3)
        assert torch.equal(doubled(halved(blocks)), blocks) == (images == 80), "half the size so far"


def test_presets_differ_as_the_papers_settings_do() -> None:
    config = preset("progressive-cifar").model
    with torch.device("meta"):
        m = Progressive(config, (3, 32, 32))
    assert [config.channels(k) for k in range(4)] == [128] * 4
    assert (config.target, config.moves, m.top) == (750.0, "simultaneous", 3)
    assert m.size(400_000) == 0
    assert m.size(2_400_000) == 3


def test_the_papers_training_comes_to_the_full_size() -> None:
    """19,000,000 images, of which 1024 px are faded in after 12,800,000; averages keep 0.999 at each of 16 images."""
    paper = preset("progressive")
    with torch.device("meta"):
        m = Progressive(paper.model, (3, 1024, 1024))
    assert m.size(12_800_000) == m.size(paper.training.images) == m.top == 8
    assert m.size(12_799_000) < 8
    for name in ("progressive", "progressive-cifar"):
        training = preset(name).training
        assert 0.5 ** (16 / training.average_half_life) == pytest.approx(0.999, abs=1e-6)


@pytest.mark.parametrize("target", [0.0, math.nan, math.inf])
def test_a_norm_that_cannot_be_a_target_is_refused(target: float) -> None:
    with pytest.raises(InputError, match="--target one above 0"):
        ProgressiveConfig(target=target)
