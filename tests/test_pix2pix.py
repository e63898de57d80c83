"""pix2pix: the paper's sizes, whose gradients go where, dropout at use, and bad options."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import assert_same_gradients, build, drive, parameters, stripes, trainer

from fairdraw import InputError, Noise, Pix2PixConfig
from fairdraw.images import to_signed
from fairdraw.inference import translated
from fairdraw.model import Clock
from fairdraw.models.pix2pix import Pix2Pix
from fairdraw.nets.unet import UNet

SMALL = Pix2PixConfig(width=4, discriminator_width=4, patch=16)


def pix2pix(config: Pix2PixConfig = SMALL, shape: tuple[int, int, int] = (1, 16, 16)) -> Pix2Pix:
    model = build(config, shape)
    assert isinstance(model, Pix2Pix)
    return model


def images(count: int = 4, size: int = 16) -> torch.Tensor:
    return to_signed(torch.from_numpy(stripes(count, size)))


def clock(count: int = 4) -> Clock:
    return Clock(0, 1000, Noise(0, count, purpose="train"))


def test_at_256_px_it_has_the_papers_networks() -> None:
    with torch.device("meta"):
        model = Pix2Pix(Pix2PixConfig(), (3, 256, 256))
    assert parameters(model.generator) == 54_413_955
    assert model.discriminator is not None
    assert parameters(model.discriminator) == 2_768_705
    assert model.multiple == 256
    decoder = [layer[0] for layer in model.generator.decoder]
    assert [layer.in_channels for layer in decoder] == [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    assert len(model.generator.encoder[7]) == 1, "the innermost map is not normalised"
    assert len(model.generator.encoder[0]) == 1, "nor the outermost"


@pytest.mark.parametrize(("size", "depth"), [(32, 5), (64, 6), (96, 5), (128, 7), (512, 8)])
def test_depth_follows_from_the_size(size: int, depth: int) -> None:
    with torch.device("meta"):
        model = Pix2Pix(replace(SMALL, depth=None), (3, size, size))
    assert len(model.generator.encoder) == len(model.generator.decoder) == depth
    assert model.generator.dropping == 3


def test_dropout_is_at_use_too_and_follows_the_noise() -> None:
    model, x = pix2pix().eval(), images()
    with torch.no_grad():
        one, again, other = (model.translate(x, "a-to-b", Noise(seed, 4, purpose="use")) for seed in (0, 0, 1))
        still = pix2pix(replace(SMALL, dropout=0)).eval()
        assert torch.equal(one, again)
        assert not torch.equal(one, other)
        assert torch.equal(*(still.translate(x, "a-to-b", Noise(seed, 4)) for seed in (0, 1)))


@pytest.mark.parametrize("normalisation", ["batch", "instance"])
def test_a_row_does_not_depend_on_its_neighbours(normalisation: str) -> None:
    model = pix2pix(replace(SMALL, normalisation=normalisation)).eval()  # type: ignore[arg-type]
    given = stripes(40)
    together = translated(model, given, "a-to-b")
    alone = translated(model, np.concatenate([given[:33], 255 - given[:7]]), "a-to-b")
    assert np.abs(together[:33].astype(int) - alone[:33]).max() <= 1


def test_training_with_batches_of_one_is_what_is_translated() -> None:
    model, x = pix2pix(replace(SMALL, dropout=0)), images(1)
    with torch.no_grad():
        assert torch.equal(model.train()._generated(x, Noise(0, 1)), model.eval().translate(x, "a-to-b", Noise(0, 1)))


def test_the_discriminator_sees_the_input_and_the_generator_moves_by_its_own_loss() -> None:
    model = pix2pix(replace(SMALL, enlarge=1, mirror=False, dropout=0))
    batch = {"image": images(), "input": -images()}
    updates = model.updates(batch, clock())
    first = next(updates)
    assert first.player == "discriminator"
    assert torch.autograd.grad(
        first.loss, list(model.generator.parameters()), allow_unused=True, retain_graph=True
    ) == ((None,) * len(list(model.generator.parameters())))
    others = model.updates({**batch, "input": images()}, clock())
    assert float(next(others).loss.detach()) != float(first.loss.detach())
    second = next(updates)
    made = model._generated(batch["input"], Noise(0, 4))
    logits = model._logits(batch["input"], made)
    expected = torch.nn.functional.softplus(-logits).mean() + 100 * (made - batch["image"]).abs().mean()
    torch.testing.assert_close(second.loss, expected)
    assert_same_gradients(second.loss, expected, model.generator)
    assert next(updates, None) is None


def test_both_sides_are_jittered_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pix2pix(replace(SMALL, enlarge=1.5, mirror=True))
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(model, "_logits", lambda x, y: seen.extend((x, y)) or y.mean((2, 3)))
    next(model.updates({"image": images(), "input": images()}, clock()))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], images())


def test_an_unconditional_discriminator_does_not_see_the_input() -> None:
    model = pix2pix(replace(SMALL, discriminator="unconditional"))
    assert torch.equal(model._logits(images(), images()), model._logits(-images(), images()))


def test_l1_alone_learns_an_inversion_and_has_no_discriminator() -> None:
    config = Pix2PixConfig(8, discriminator="none", normalisation="instance", dropout=0, enlarge=1, mirror=False)
    t = trainer(replace(config, optimizer=replace(config.optimizer, learning_rate=2e-3)), batch=16)
    assert list(t.players) == ["generator"]
    data = stripes(64)
    drive(t, 150, data)
    error = np.abs(translated(t.average, 255 - data, "a-to-b").astype(float) - data).mean() / 255
    copying = np.abs(255 - 2 * data.astype(float)).mean() / 255
    mean = np.abs(data - data.mean(0, keepdims=True)).mean() / 255
    assert error < 0.3 * min(copying, mean)


@pytest.mark.parametrize(
    ("config", "size", "said"),
    [
        (SMALL, 18, "cannot halve images of 18 px twice: choose a --size such as 64"),
        (replace(SMALL, depth=6), 32, "--depth 6: images of 32 px can be halved 5 times"),
        (
            replace(SMALL, patch=70),
            16,
            "--patch 70 does not fit into images of 16 px: choose a smaller one, such as",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(config: Pix2PixConfig, size: int, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        Pix2Pix(config, (3, size, size))


def test_options_that_leave_nothing_to_learn_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to learn"):
        Pix2PixConfig(discriminator="none", l1=0)
    with pytest.raises(InputError, match="dropout is 1"):
        Pix2PixConfig(dropout=1.0)


SMALL_RUN = ["--images", 64, "--batch", 8, "--width", 4, "--discriminator-width", 4, "--patch", 16, "--size", 16]


def test_it_trains_from_edges_of_a_built_in_set(tmp_path: Path, command: Callable[..., Any]) -> None:
    out = tmp_path / "run"
    done = command("train", "pix2pix", "--data", "digits8", "--inputs", "edges", "--out", out, *SMALL_RUN)
    assert done.code == 0
    assert "L1, a-to-b" in done.out
    assert "the input itself" in done.out
    assert list((out / "pictures").glob("translations-a-to-b-*.png"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pix2pix --data digits8", "name what into digits8 with --inputs"),
        ("pix2pix --data digits8 --inputs digits", "pairs have equal names but for the suffix; "),
        ("vae --data digits8 --inputs edges", "--inputs edges: vae learns from images alone; leave it out"),
        ("pix2pix --data digits8 --inputs nothing-there", "no data at 'nothing-there'"),
    ],
)
def test_inputs_that_do_not_suit_the_model_are_refused(
    tmp_path: Path, refused: Callable[..., str], words: str, said: str
) -> None:
    size = [] if words.startswith("vae") else SMALL_RUN
    assert said in refused("train", *words.split(), "--out", tmp_path / "run", *size)
    assert not (tmp_path / "run").exists()


def test_dropout_takes_single_numbers_and_keeps_the_mean() -> None:
    net = UNet(1, 8, 4, True, "instance", 0.5)
    kept = net.kept(Noise(0, 40, purpose="train"), 32, 32)
    assert [tuple(one.shape) for one in kept] == [(40, 32, 4, 4), (40, 16, 8, 8)]
    for one in kept:
        assert set(one.unique().tolist()) == {0.0, 2.0}
        assert float(one.mean()) == pytest.approx(1, abs=0.05)
    x = torch.rand(1, 1, 32, 32) * 2 - 1
    left = [torch.zeros_like(one[:1]) for one in kept]
    for one in left:
        one[..., : one.shape[-1] // 2] = 2
    assert not torch.allclose(net(x, left), net(x, [torch.ones_like(one) for one in left]), atol=1e-4)
