"""CycleGAN: the paper's networks and objectives, whose gradients go where, the pool, and bad options."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toys import assert_same_gradients, build, drive, largest_difference, parameters, stripes, trainer

from fairdraw import CycleGAN, CycleGANConfig, InputError, Noise, Run, load
from fairdraw.images import to_signed
from fairdraw.model import Batch, Clock
from fairdraw.models.cyclegan import _correlation
from fairdraw.nets.pool import Pool
from fairdraw.nets.resnet import ResidualBlock, reach, resnet

SMALL = CycleGANConfig(width=4, blocks=1, discriminator_width=4, patch=16, pool=4)
STILL = replace(SMALL, enlarge=1, mirror=False)


def cyclegan(config: CycleGANConfig = STILL, shape: tuple[int, int, int] = (1, 16, 16)) -> CycleGAN:
    model = build(config, shape)
    assert isinstance(model, CycleGAN)
    return model


def batch(count: int = 4) -> Batch:
    image = to_signed(torch.from_numpy(stripes(2 * count)))
    return {"image": image[:count], "input": -image[count:]}


def clock(count: int = 4, first: int = 0) -> Clock:
    return Clock(0, 1000, Noise(0, count, first, purpose="train"))


# Networks


@pytest.mark.parametrize(("size", "blocks", "count"), [(128, 6, 7_837_699), (256, 9, 11_378_179)])
def test_it_has_the_papers_networks(size: int, blocks: int, count: int) -> None:
    with torch.device("meta"):
        model = CycleGAN(CycleGANConfig(), (3, size, size))
    assert parameters(model.to_b) == parameters(model.to_a) == count
    assert parameters(model.discriminator_a) == parameters(model.discriminator_b) == 2_764_737
    assert sum(isinstance(layer, ResidualBlock) for layer in model.to_b) == blocks


def test_weights_start_as_the_paper_says() -> None:
    model = cyclegan(CycleGANConfig(width=16), (3, 32, 32))
    weights = torch.cat([p.detach().flatten() for p in model.parameters() if p.dim() == 4])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.02)
    assert all(float(p.detach().abs().max()) == 0 for p in model.parameters() if p.dim() == 1)


@pytest.mark.parametrize("blocks", [1, 3])
def test_convolutions_reach_as_far_as_the_margin_says(blocks: int) -> None:
    network = resnet(1, 2, blocks).double()
    network[-1] = nn.Identity()
    for layer in network.modules():
        if isinstance(layer, nn.InstanceNorm2d):
            layer.forward = lambda x: x  # type: ignore[method-assign]
    for p in network.parameters():  # of one sign, so that nothing cancels
        nn.init.constant_(p, 1e-3)
    x = torch.rand(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    farthest = 0
    for at in range(80, 84):  # each place within the maps' pixels
        (gradient,) = torch.autograd.grad(network(x)[0, 0, at, at], x)
        rows = (gradient[0, 0].abs().sum(1) > 0).nonzero().flatten()
        farthest = max(farthest, at - int(rows[0]), int(rows[-1]) - at)
    assert farthest == reach(blocks) == cyclegan(replace(STILL, blocks=blocks)).margin


def test_edges_are_reflected() -> None:
    """What is constant stays constant, of the convolutions that are not padded with zeros."""
    block = ResidualBlock(3).double()
    made = block(torch.ones(1, 3, 6, 6, dtype=torch.float64))
    torch.testing.assert_close(made, made[:, :, :1, :1].expand_as(made))
    modes = [layer.padding_mode for layer in resnet(1, 2, 1).modules() if isinstance(layer, nn.Conv2d)]
    assert modes == ["reflect", "zeros", "zeros", "reflect", "reflect", "reflect"]


def test_nothing_is_cut_off_after_a_blocks_sum() -> None:
    x = -torch.rand(1, 3, 6, 6) - 5
    assert float(ResidualBlock(3)(x).detach().min()) < 0


def test_both_directions_take_any_size_of_whole_multiples() -> None:
    model = cyclegan().eval()
    x = torch.rand(2, 1, 20, 28) * 2 - 1
    with torch.no_grad():
        there, back = (model.translate(x, direction, Noise(0, 2)) for direction in model.directions)
    assert there.shape == back.shape == x.shape
    assert not torch.equal(there, back)
    assert torch.equal(there, model.to_b(x))


# Objectives


def test_the_generators_move_first_by_the_papers_sum() -> None:
    model, data = cyclegan(), batch()
    a, b = data["input"], data["image"]
    updates = model.updates(data, clock())
    first = next(updates)
    fake_a, fake_b = model.to_a(b), model.to_b(a)
    game = (model.discriminator_b(fake_b) - 1).square().mean() + (model.discriminator_a(fake_a) - 1).square().mean()
    cycle = (model.to_a(fake_b) - a).abs().mean() + (model.to_b(fake_a) - b).abs().mean()
    identity = (model.to_b(b) - b).abs().mean() + (model.to_a(a) - a).abs().mean()
    assert first.player == "generators"
    torch.testing.assert_close(first.loss, game + 10 * cycle + 5 * identity)
    for generator in (model.to_a, model.to_b):
        assert_same_gradients(first.loss, game + 10 * cycle + 5 * identity, generator)
    assert float(first.log["cycle"]) == pytest.approx(cycle.item())
    second = next(updates)
    real = (model.discriminator_b(b) - 1).square().mean() + (model.discriminator_a(a) - 1).square().mean()
    fake = model.discriminator_b(fake_b).square().mean() + model.discriminator_a(fake_a).square().mean()
    assert second.player == "discriminators"
    torch.testing.assert_close(second.loss, (real + fake) / 2)
    assert next(updates, None) is None


def test_the_discriminators_loss_tells_the_generators_nothing() -> None:
    model = cyclegan()
    _, second = model.updates(batch(), clock())
    generators = [*model.to_b.parameters(), *model.to_a.parameters()]
    assert torch.autograd.grad(second.loss, generators, allow_unused=True) == (None,) * len(generators)


def test_each_player_moves_alone() -> None:
    t = trainer(STILL, batch=4)
    model = t.model
    assert isinstance(model, CycleGAN)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def moved() -> set[str]:
        return {
            name.partition(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])
        }

    seen, backward = [], t._backward

    def watched(moves: Any) -> str | None:
        seen.append(moved())
        return backward(moves)

    t._backward = watched  # type: ignore[method-assign]
    drive(t, 1, stripes())
    generators, discriminators = {"to_a", "to_b"}, {"discriminator_a", "discriminator_b"}
    assert seen == [set(), generators, generators | discriminators]


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        (replace(STILL, lambda_cycle=0), {"luminance_a_to_b", "luminance_b_to_a"}),
        (replace(STILL, identity=0), {"luminance_a_to_b", "luminance_b_to_a", "cycle"}),
    ],
)
def test_a_term_without_weight_is_not_computed(config: CycleGANConfig, kept: set[str]) -> None:
    assert set(next(cyclegan(config).updates(batch(), clock())).log) == kept


def test_cycle_alone_leaves_the_discriminators_out_of_the_generators_loss() -> None:
    model = cyclegan(replace(STILL, adversarial=0, identity=0))
    first = next(model.updates(batch(), clock()))
    torch.testing.assert_close(first.loss, 10 * first.log["cycle"])
    others = [*model.discriminator_a.parameters(), *model.discriminator_b.parameters()]
    assert torch.autograd.grad(first.loss, others, allow_unused=True) == (None,) * len(others)


def test_one_cycle_alone_closes_that_one() -> None:
    """Tables 4 and 5: forward is F(G(x)) = x, backward G(F(y)) = y."""
    data = batch()
    for cycles, there, back, name in (("forward", "to_b", "to_a", "input"), ("backward", "to_a", "to_b", "image")):
        model = cyclegan(CycleGANConfig(4, 1, 4, 16, adversarial=0, identity=0, cycles=cycles, enlarge=1, mirror=False))
        networks, x = dict(model.named_children()), data[name]
        expected = (networks[back](networks[there](x)) - x).abs().mean()
        torch.testing.assert_close(next(model.updates(data, clock())).loss, 10 * expected)


def test_one_cycle_without_weight_is_refused() -> None:
    with pytest.raises(InputError, match="without lambda_cycle no cycle is closed"):
        CycleGANConfig(cycles="forward", lambda_cycle=0)


def test_the_domains_are_jittered_apart_from_one_another() -> None:
    model = cyclegan(replace(SMALL, enlarge=1.25, identity=0))
    given: dict[str, list[torch.Tensor]] = {"to_b": [], "to_a": []}
    for name, seen in given.items():
        getattr(model, name).register_forward_pre_hook(lambda _, x, seen=seen: seen.append(x[0].detach()))
    image = batch()["image"]
    next(model.updates({"image": image, "input": image}, clock()))
    a, b = given["to_b"][0], given["to_a"][0]
    assert a.shape == b.shape == image.shape
    assert not torch.equal(a, image)
    assert not torch.allclose(a, b)


def test_the_rate_is_constant_for_half_of_the_time_and_then_falls_to_nothing() -> None:
    t = trainer(SMALL, images=200, batch=1, schedule="half-linear")
    assert [2e-4 * t.learning_rate(epoch) for epoch in (0, 100, 150, 200)] == pytest.approx([2e-4, 2e-4, 1e-4, 0])


def test_the_correlation_of_luminance() -> None:
    grey = torch.rand(4, 1, 8, 8) * 2 - 1
    colour = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert float(_correlation(grey, 0.5 * grey + 0.1)) == pytest.approx(1, abs=1e-4)
    assert float(_correlation(grey, -grey)) == pytest.approx(-1, abs=1e-4)
    assert float(_correlation(grey, torch.zeros_like(grey))) == 0
    image = torch.rand(4, 3, 8, 8) * 2 - 1
    assert float(_correlation(image, (image * colour).sum(1, keepdim=True))) == pytest.approx(1, abs=1e-4)
    assert float(_correlation(torch.cat([image, grey], 1), image)) == pytest.approx(1, abs=1e-4)


# The pool


def numbered(first: int, count: int) -> torch.Tensor:
    return torch.arange(first, first + count, dtype=torch.float32)[:, None, None, None].expand(count, 1, 2, 2)


def test_the_pool_gives_back_what_fills_it_and_then_half_of_the_time_an_older_image() -> None:
    pool = Pool(50)
    assert torch.equal(pool.exchanged(numbered(0, 50), Noise(0, 50)), numbered(0, 50))
    given = pool.exchanged(numbered(50, 2000), Noise(0, 2000, first=50))[:, 0, 0, 0]
    older = given != torch.arange(50, 2050)
    assert float(older.float().mean()) == pytest.approx(0.5, abs=0.04)
    assert bool((given[older] < torch.arange(50, 2050)[older]).all())
    left = pool.remembered()[:, 0, 0, 0]
    assert len(left) == 50
    # Each image is given back once or still remembered; none is lost, none is given twice.
    assert sorted([*given.tolist(), *left.tolist()]) == list(range(2050))
    assert float(left.min()) >= 50, "those of the beginning have left"


def test_remembered_images_are_copies_without_a_graph() -> None:
    pool = Pool(2)
    x = torch.ones(3, 1, 4, 4, requires_grad=True) * 2
    given = pool.exchanged(x, Noise(0, 3))
    assert not given.requires_grad
    assert not pool.remembered().requires_grad
    x.data.zero_()
    assert float(pool.remembered().min()) == 2


def test_a_pool_of_none_gives_the_newest_back() -> None:
    pool, noise = Pool(0), Noise(0, 3)
    assert torch.equal(pool.exchanged(numbered(0, 3), noise), numbered(0, 3))
    assert noise._draw == 0
    assert not pool.remembered().numel()


def test_a_batch_is_exchanged_as_its_parts_would_be() -> None:
    whole, parts = Pool(5), Pool(5)
    images = numbered(0, 40)
    together = whole.exchanged(images, Noise(3, 40))
    apart = [parts.exchanged(images[row : row + 4], Noise(3, 4, first=row)) for row in range(0, 40, 4)]
    assert torch.equal(together, torch.cat(apart))
    assert torch.equal(whole.remembered(), parts.remembered())


def test_micro_batches_equal_one_batch_with_pools_too() -> None:
    whole = drive(trainer(SMALL, "fp64"), 5, stripes())
    parts = drive(trainer(SMALL, "fp64", micro_batches=4), 5, stripes())
    # Biases before a normalisation have gradients of rounding alone, which Adam enlarges; nothing depends on them.
    assert largest_difference(whole.model, parts.model) < 1e-8
    assert whole.means() == pytest.approx(parts.means(), rel=1e-12)
    pools = [t.state()[0]["memory.0.pool_a"] for t in (whole, parts)]
    torch.testing.assert_close(*pools, rtol=0, atol=1e-12)


def test_the_pools_are_in_the_checkpoint_alone() -> None:
    t = drive(trainer(SMALL), 3, stripes())
    tensors, metadata = t.state()
    model, average = t.model, t.average
    assert isinstance(model, CycleGAN)
    assert isinstance(average, CycleGAN)
    assert tensors["memory.0.pool_b"].shape == (4, 1, 16, 16)
    assert not any("pool" in name for name in model.state_dict())
    assert not average.pool_b.remembered().numel()
    other = trainer(SMALL)
    other.restore(tensors, metadata)
    assert torch.equal(other.state()[0]["memory.0.pool_b"], tensors["memory.0.pool_b"])
    # A checkpoint of before the first step forgets what came after it.
    first = trainer(SMALL).state()
    other.restore(*first)
    assert not other.state()[0]["memory.0.pool_b"].numel()


# Options and the command line


@pytest.mark.parametrize(
    ("config", "size", "said"),
    [
        (SMALL, 18, "cannot halve images of 18 px twice: choose a --size such as 64"),
        (SMALL, 4, "cannot halve images of 4 px twice"),
        (replace(SMALL, patch=70), 16, "--patch 70 does not fit into images of 16 px: choose a smaller"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(config: CycleGANConfig, size: int, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        CycleGAN(config, (3, size, size))


def test_options_that_leave_nothing_to_learn_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to learn"):
        CycleGANConfig(adversarial=0, lambda_cycle=0)
    with pytest.raises(InputError, match="pool"):
        CycleGANConfig(pool=-1)


def test_it_trains_from_two_sets_of_unequal_size(tmp_path: Path, command: Callable[..., Any]) -> None:
    np.save(tmp_path / "b.npy", stripes(100)[:, 0])
    np.save(tmp_path / "a.npy", 255 - stripes(61, seed=1)[:, 0])
    words = ["--images", 64, "--batch", 4, "--width", 4, "--blocks", 1, "--discriminator-width", 4, "--patch", 16]
    sources = ["--data", tmp_path / "b.npy", "--inputs", tmp_path / "a.npy", "--out", tmp_path / "run"]
    done = command("train", "cyclegan", *sources, *words)
    assert done.code == 0, done.err
    for direction in ("a-to-b", "b-to-a"):
        assert list((tmp_path / "run" / "pictures").glob(f"translations-{direction}-*.png"))
    last = [entry for entry in Run(tmp_path / "run").read_log() if entry["event"] == "progress"][-1]
    assert {"cycle", "identity", "real_logit", "fake_logit", "luminance_a_to_b"} <= set(last["means"])
    model = load(tmp_path / "run")
    assert isinstance(model, CycleGAN)
    model.to("cpu")
    assert not model.pool_a.remembered().numel()
