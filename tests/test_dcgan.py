"""The DCGAN's options: what D sees, classes, spectra, the lazy penalty."""

from typing import Any

import pytest
import torch
from toys import build, stripes

from fairdraw import DCGANConfig, InputError, Noise
from fairdraw.images import to_signed
from fairdraw.model import Clock, Update

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


def test_spectra_are_normalised() -> None:
    model: Any = build(DCGANConfig(latent=6, width=8, normalisation="spectral")).train()
    for _ in range(20):
        model.discriminator(IMAGES)
    layers = [m for m in model.discriminator.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.02)
    assert not [m for m in model.discriminator.modules() if isinstance(m, torch.nn.BatchNorm2d)]


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
