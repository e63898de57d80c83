"""Augmentation of what a discriminator sees: what it does to images, its gradient, its probability."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from toys import build, drive, one_process, stripes, trainer

from fairdraw import DCGANConfig, InputError, Noise, Trainer, Training
from fairdraw.model import Clock
from fairdraw.nets.augmentation import Augmentation, Kind, colour, cutout, translation

KINDS: tuple[Kind, ...] = ("colour", "translation", "cutout")
ALWAYS = torch.tensor(1.0)


def images(count: int = 400, channels: int = 3, side: int = 16) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_colour_leaves_opacity_as_it_is() -> None:
    x = images(20, channels=4)
    y = colour(x, Noise(0, len(x)))
    assert torch.equal(y[:, 3], x[:, 3])
    assert torch.equal(y[:, :3], colour(x[:, :3], Noise(0, len(x))))
    assert not torch.equal(y[:, :3], x[:, :3])


def test_colour_keeps_what_it_does_not_move() -> None:
    x = images().double()
    y = colour(x, Noise(0, len(x), dtype=torch.float64))
    shift = (y - x).mean((1, 2, 3))
    assert 0.45 < float(shift.abs().max()) <= 0.5, "the mean moves by the brightness alone"
    assert abs(float(shift.mean())) < 0.05
    grey = x.mean(1, keepdim=True)
    contrast = (y.mean(1) - y.mean((1, 2, 3))[:, None, None]).std((1, 2)) / (grey - grey.mean()).std((1, 2, 3))
    assert 0.45 < float(contrast.min()) < 0.6
    assert 1.4 < float(contrast.max()) < 1.6
    # What is left of each pixel's colour, beside its lightness: from none to twice as much, evenly.
    hue = (y - y.mean(1, keepdim=True)) / (x - grey)
    lightness = (y.mean(1) - y.mean((1, 2, 3))[:, None, None]) / (x.mean(1) - x.mean((1, 2, 3))[:, None, None])
    saturation = (hue.flatten(1).median(1).values / lightness.flatten(1).median(1).values).sort().values
    torch.testing.assert_close(saturation, torch.linspace(0, 2, len(x)).double(), rtol=0, atol=0.15)


def test_translation_shifts_whole_pixels_both_ways_and_fills_with_grey() -> None:
    x = torch.zeros(400, 1, 16, 16)
    x[:, 0, 8, 5] = 1
    y = translation(x, Noise(0, len(x)))
    assert torch.equal(y.sum((1, 2, 3)), torch.ones(400)), "one bright pixel, wherever it went"
    where = y[:, 0].flatten(1).argmax(1)
    down, right = where // 16 - 8, where % 16 - 5
    assert set(down.tolist()) == set(right.tolist()) == set(range(-2, 3)), "an eighth of 16"
    assert abs(float((down.double() * right).mean())) < 0.3, "the two ways are independent"
    assert float(translation(torch.ones(9, 2, 16, 16), Noise(0, 9)).min()) == 0


def test_cutout_blanks_a_square_of_half_the_side() -> None:
    y = cutout(torch.ones(4000, 3, 8, 8), Noise(0, 4000))
    blank = (y == 0).all(1)
    assert int(blank.sum((1, 2)).max()) == 16
    assert int(blank.sum((1, 2)).min()) == 4, "at a corner half of it each way is outside"
    often = blank.double().mean(0)
    assert float(often.min()) > 0.1, "it comes everywhere"
    torch.testing.assert_close(often, often.flip(0, 1), rtol=0, atol=0.05)
    assert torch.equal(y == 0, blank[:, None].expand_as(y)), "in all channels alike"


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_pass_and_can_be_differentiated_again(kind: Kind) -> None:
    x = images(4).requires_grad_()
    y = Augmentation((kind,)).apply(x, Noise(0, 4), ALWAYS)
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    assert float(gradient.detach().abs().sum()) > 0
    (again,) = torch.autograd.grad(gradient.square().sum(), x)
    assert float(again.abs().sum()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_probability_is_that_of_each_transformation_of_each_image(kind: Kind) -> None:
    x = images()
    options = Augmentation((kind,))
    assert torch.equal(options.apply(x, Noise(0, len(x)), torch.tensor(0.0)), x)
    changed = (options.apply(x, Noise(0, len(x)), torch.tensor(0.3)) != x).flatten(1).any(1)
    assert float(changed.double().mean()) == pytest.approx(0.3, abs=0.07)


def test_each_transformation_is_chosen_by_itself() -> None:
    x = torch.ones(2000, 1, 16, 16)
    y = Augmentation(("translation", "cutout")).apply(x, Noise(0, len(x)), torch.tensor(0.5))
    untouched = float((y == x).flatten(1).all(1).double().mean())
    # Of the shifts one in 25 is none.
    assert untouched == pytest.approx((0.5 + 0.5 / 25) * 0.5, abs=0.03)


def test_an_image_is_augmented_alike_in_any_batch() -> None:
    x = images(8)
    whole = Augmentation(KINDS).apply(x, Noise(0, 8), ALWAYS)
    parts = [Augmentation(KINDS).apply(x[i : i + 4], Noise(0, 4, first=i), ALWAYS) for i in (0, 4)]
    torch.testing.assert_close(whole, torch.cat(parts))


def test_the_probability_follows_the_discriminators_certainty() -> None:
    options = Augmentation(KINDS, augment_target=0.6, augment_ramp_images=1000)
    sure, unsure = torch.ones(10, 1), torch.tensor([1.0, -1.0])
    p = options.adapted(torch.tensor(0.5), sure, 100)
    assert float(p) == pytest.approx(0.6)
    assert float(options.adapted(p, unsure, 100)) == pytest.approx(0.5)
    assert float(options.adapted(torch.tensor(0.99), sure, 100)) == 1
    assert float(options.adapted(torch.tensor(0.01), unsure, 100)) == 0


def certain(**augmentation: Any) -> DCGANConfig:
    return DCGANConfig(latent=6, width=4, augmentation=Augmentation(KINDS, augment_ramp_images=400, **augmentation))


def test_the_probability_moves_by_images_and_resumes_where_it_was() -> None:
    t = trainer(certain(augment_target=-0.99))  # always too sure
    drive(t, 3, stripes())
    assert float(t.model.augment_probability) == pytest.approx(2 * 16 / 400), "counted from the first move on"
    resumed = trainer(certain(augment_target=-0.99))
    resumed.restore(*t.state())
    assert float(drive(resumed, 1, stripes()).model.augment_probability) == pytest.approx(3 * 16 / 400)


class Decided(nn.Module):
    """A discriminator that says one thing of the first images that it sees, and another of all later ones."""

    def __init__(self, first: float, later: float) -> None:
        super().__init__()
        self.first, self.later, self.weight = first, later, nn.Parameter(torch.zeros(1))
        self.calls = 0

    def forward(self, x: torch.Tensor, condition: Any = None) -> torch.Tensor:
        self.calls += 1
        return x.flatten(1)[:, :1] * self.weight + (self.first if self.calls == 1 else self.later)


@pytest.mark.parametrize(
    ("loss", "real", "rises"),
    [
        ("non-saturating", 0.3, True),
        ("non-saturating", -0.3, False),
        ("least-squares", 0.7, True),
        ("least-squares", 0.3, False),  # nearer to 0, which is D of generated images, than to 1
    ],
)
def test_the_probability_follows_what_is_decided_of_real_images(loss: Any, real: float, rises: bool) -> None:
    model: Any = build(replace(certain(), loss=loss))
    model.augment_probability.fill_(0.5)
    model.discriminator = Decided(real, -real)
    list(model.updates({"image": images(16, 1)}, Clock(16, 1000, Noise(0, 16), 1)))
    assert float(model.augment_probability) == pytest.approx(0.5 + (16 if rises else -16) / 400)


def test_several_processes_agree_on_an_adaptive_probability() -> None:
    model: Any = build(certain())
    assert model.steering() == (model.augment_probability,)
    assert build(certain(augment_probability=0.5)).steering() == build(DCGANConfig(width=4)).steering() == ()


def test_the_probability_moves_once_a_step_whatever_the_micro_batches() -> None:
    found = []
    for micro_batches in (1, 2):
        model = build(certain(augment_target=-0.99))
        t = Trainer(model, Training(batch=16), one_process(), micro_batches)
        found.append(float(drive(t, 4, stripes()).model.augment_probability))
    assert found[0] == found[1] > 0


def test_a_given_probability_stays() -> None:
    t = drive(trainer(certain(augment_probability=0.7)), 3, stripes())
    assert float(t.model.augment_probability) == pytest.approx(0.7)


def test_samples_are_never_augmented() -> None:
    plain, augmented = build(DCGANConfig(latent=6, width=4)), build(certain(augment_probability=1.0))
    augmented.generator.load_state_dict(plain.generator.state_dict())
    assert torch.equal(augmented.eval().sample(4), plain.eval().sample(4))  # type: ignore[operator]
    x = images(4, 1)
    assert torch.equal(augmented.realness(x), augmented.discriminator(x)[:, 0]), "nor what is judged"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"augment_probability": 1.5}, "0 to 1"),
        ({"augment_target": 2.0}, "within"),
        ({"augment": ("cutout", "cutout")}, "twice"),
        ({"augment_ramp_images": 0}, "at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Augmentation(**options)
