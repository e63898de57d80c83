"""The DCGAN's options: what D sees, classes, spectra, the lazy penalty."""

from typing import Any

import pytest
import torch
from torch import nn
from toys import build, stripes

from fairdraw import DCGANConfig, InputError, Noise
from fairdraw.adversarial import discriminator_objective, generator_objective
from fairdraw.images import to_signed
from fairdraw.model import Clock, Update
from fairdraw.models.dcgan import Spectrum
from fairdraw.nets.augmentation import Augmentation

IMAGES = to_signed(torch.from_numpy(stripes(8)))


def moves(model: Any, step: int = 0) -> list[Update]:
    batch = {"image": IMAGES, "label": torch.arange(8) % 3}
    return list(model.updates(batch, Clock(8 * step, 1000, Noise(0, 8, first=8 * step, purpose="train"), step)))


def test_real_and_generated_images_pass_the_discriminator_apart() -> None:
    model: Any = build(DCGANConfig(latent=6, width=4))
    seen = []
    model.discriminator.register_forward_hook(lambda module, given, logits: seen.append(len(given[0])))
    moves(model)
    assert seen == [8, 8, 8], "real; generated; generated again for G: batch statistics of each alone"


def test_r1_is_lazy_and_weighed_by_its_interval() -> None:
    found = {}
    for r1 in (0.0, 10.0):
        model: Any = build(DCGANConfig(latent=6, width=4, normalisation="none", r1=r1, r1_every=4)).eval()
        found[r1] = [moves(model, step)[0] for step in range(5)]
    for step in range(5):
        difference = float((found[10.0][step].loss - found[0.0][step].loss).detach())
        if step % 4:
            assert difference == 0
            assert "r1_penalty" not in found[10.0][step].log
        else:
            assert difference == pytest.approx(10 * 4 * float(found[10.0][step].log["r1_penalty"]), rel=2e-2)
            assert difference > 0


def spectra(network: nn.Module) -> list[float]:
    """The largest singular value of the weights of each layer, as they are used."""
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return [float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) for layer in layers]


def test_spectra_are_normalised() -> None:
    model: Any = build(DCGANConfig(latent=6, width=8, normalisation="spectral")).train()
    for _ in range(20):
        model.discriminator(IMAGES)
    assert spectra(model.discriminator) == pytest.approx([1] * 3, abs=0.02)
    assert not [m for m in model.discriminator.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_averaged_weights_have_normalised_spectra_whatever_became_of_their_vectors() -> None:
    """The mean of singular vectors is none: where the largest value goes over to another one, it is near 0."""
    model: Any = build(DCGANConfig(latent=6, width=8, classes=3, normalisation="spectral")).eval()
    for name, buffer in model.discriminator.named_buffers():
        assert name.endswith(".u")
        buffer.mul_(1e-3 * torch.rand(len(buffer)))
    before = [buffer.clone() for buffer in model.discriminator.buffers()]
    assert spectra(model.discriminator) == pytest.approx([1] * 4, abs=0.05)
    model.realness(IMAGES)
    assert all(map(torch.equal, model.discriminator.buffers(), before)), "looking at it changes nothing"


def test_a_power_iteration_a_pass_goes_on_from_the_one_before() -> None:
    torch.manual_seed(0)
    weight = torch.randn(6, 10, dtype=torch.float64)
    spectrum = Spectrum(weight).double().train()
    u = spectrum.u.clone()
    for _ in range(3):
        v = nn.functional.normalize(weight.T @ u, dim=0)
        u = nn.functional.normalize(weight @ v, dim=0)
        torch.testing.assert_close(spectrum(weight), weight / (u @ weight @ v))
    torch.testing.assert_close(spectrum.u, u)
    # The gradient is of W and of sigma, with the vectors as constants: d sigma / dW = u v^T.
    v = nn.functional.normalize(weight.T @ u, dim=0)
    u = nn.functional.normalize(weight @ v, dim=0)
    sigma = u @ weight @ v
    expected = -weight[0, 0] / sigma**2 * torch.outer(u, v)
    expected[0, 0] += 1 / sigma
    weight.requires_grad_()
    (gradient,) = torch.autograd.grad(spectrum(weight)[0, 0], weight)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("normalisation", ["spectral", "none"])
def test_without_batch_normalisation_the_discriminator_has_biases(normalisation: Any) -> None:
    """Else D(t x) = t D(x) for t > 0, and no threshold could be learnt."""
    model: Any = build(DCGANConfig(latent=6, width=4, normalisation=normalisation))
    layers = [m for m in model.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(layer.bias is not None and not layer.bias.any() for layer in layers)
    paper: Any = build(DCGANConfig(latent=6, width=4))
    names = [name for name, _ in paper.named_parameters() if name.endswith("bias")]
    norms = {name for name, m in paper.named_modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)}
    assert {name.removesuffix(".bias") for name in names} == norms


@pytest.mark.parametrize("where", [0, 1, 2])
def test_all_that_the_discriminator_sees_is_augmented(where: int) -> None:
    augmentation = Augmentation(("cutout",), augment_probability=1.0)
    model: Any = build(DCGANConfig(latent=6, width=4, augmentation=augmentation))
    seen: list[torch.Tensor] = []
    model.discriminator.register_forward_hook(lambda module, given, logits: seen.append(given[0]))
    moves(model)
    blank = (seen[where] == 0).flatten(1).sum(1)
    assert int(blank.min()) >= 16, "a quarter of the square of 8 px at least is within the image"


def test_each_image_is_judged_as_one_of_its_own_class() -> None:
    model: Any = build(DCGANConfig(latent=6, width=4, classes=3))
    seen: list[torch.Tensor] = []
    model.discriminator.register_forward_hook(lambda module, given, logits: seen.append(given[1].argmax(1)))
    moves(model)
    generated = model.class_of(model.prior(Noise(0, 8, purpose="train")))
    assert [labels.tolist() for labels in seen] == [[0, 1, 2, 0, 1, 2, 0, 1], *[generated.tolist()] * 2]


@pytest.mark.parametrize("game", ["non-saturating", "minimax", "hinge", "least-squares"])
def test_both_players_play_the_game_that_was_chosen_on_the_same_z(game: Any) -> None:
    model: Any = build(DCGANConfig(latent=6, width=4, loss=game, normalisation="none")).eval()
    with torch.no_grad():
        model.discriminator.output.bias.fill_(0.7)
        real, fake = model.discriminator(IMAGES), model.discriminator(model.generate(z_of_the_first_step(model)))
    d, g = moves(model)
    torch.testing.assert_close(d.loss.detach(), discriminator_objective(game, real, fake))
    torch.testing.assert_close(g.loss.detach(), generator_objective(game, fake))


def z_of_the_first_step(model: Any) -> torch.Tensor:
    z: torch.Tensor = model.prior(Noise(0, 8, purpose="train"))
    return z


def test_classes_are_part_of_the_latent_and_each_as_likely() -> None:
    model: Any = build(DCGANConfig(latent=6, width=4, classes=3)).eval()
    z = model.prior(Noise(0, 3000))
    assert z.shape == (3000, 9)
    assert torch.equal(z[:, 6:].sum(1), torch.ones(3000))
    assert z[:, 6:].mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.04)
    chosen = model.with_class(z, torch.full((3000,), 2))
    assert torch.equal(chosen[:, :6], z[:, :6])
    assert torch.equal(chosen[:, 6:], torch.tensor([0.0, 0.0, 1.0]).expand(3000, 3))
    assert not torch.equal(model.generate(chosen[:4]), model.generate(model.with_class(chosen[:4], torch.zeros(4))))


def test_the_class_enters_the_discriminator_as_a_projection_of_its_features() -> None:
    model: Any = build(DCGANConfig(latent=6, width=4, classes=3)).eval()
    d = model.discriminator
    condition = torch.eye(3)[torch.arange(8) % 3]
    features = d.features(IMAGES)
    projected = torch.einsum("bf,fk,bk->b", features, d.of_class.weight, condition)
    torch.testing.assert_close(d(IMAGES, condition), d.output(features) + projected[:, None])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"r1": 1.0}, "--normalisation spectral or none"),
        ({"classes": 1}, "--classes 0"),
        ({"r1_every": 0}, "at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        DCGANConfig(**options)
