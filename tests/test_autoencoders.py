"""What autoencoders converge to, where that is known."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toys import build, one_process

from fairdraw import DenoisingConfig, Trainer, Training
from fairdraw.capabilities import Encodes, Generates
from fairdraw.losses import squared_error
from fairdraw.models.denoising import Denoising
from fairdraw.optimizers import Adam
from fairdraw.presets import PRESETS


def trained(config: object, x: Tensor, steps: int, batch: int) -> Trainer:
    """Trained on `x` `[N, C, H, W]` in [-1, 1], the rate falling to 0 along a cosine."""
    model = build(config, (x.shape[1], x.shape[2], x.shape[3]))
    model.prepare(x)
    trainer = Trainer(model, Training(images=steps * batch, batch=batch, schedule="cosine"), one_process())
    order = torch.Generator().manual_seed(0)
    for _ in range(steps):
        trainer.step({"image": x[torch.randint(len(x), (batch,), generator=order)]})
    trainer.model.eval()
    return trainer


def low_rank(count: int = 400, rank: int = 4) -> Tensor:
    """Images of a few patterns and a little noise; that they leave [-1, 1] is no matter to a linear output."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(count, rank, generator=generator) * 0.7 ** torch.arange(rank)
    images = weights @ torch.randn(rank, 64, generator=generator) + 0.3 * torch.randn(count, 64, generator=generator)
    return (images / images.std()).reshape(count, 1, 8, 8)


def test_a_linear_autoencoder_learns_the_subspace_of_pca() -> None:
    x, size = low_rank(), 4
    preset = PRESETS["autoencoder-linear"].model
    config = replace(preset, latent=size, optimizer=Adam(0.04))  # for a few steps on a small set
    model = trained(config, x, 800, len(x)).model
    assert isinstance(model, Encodes)
    assert isinstance(model, Generates)
    with torch.no_grad():
        found = float(squared_error(model.generate(model.encode(x)), x).mean())
    flat = x.flatten(1).double()
    values = torch.linalg.svdvals(flat - flat.mean(0))
    best = float((values[size:] ** 2).sum() / len(x))
    assert best <= found < 1.01 * best
    (decoder,) = (layer.weight for layer in model.decoder if isinstance(layer, torch.nn.Linear))
    basis = torch.linalg.svd(flat - flat.mean(0), full_matrices=False).Vh[:size]
    cosines = torch.linalg.svdvals(torch.linalg.qr(decoder.detach().double()).Q.T @ basis.T)
    assert math.degrees(math.acos(min(1.0, float(cosines.min())))) < 5


RADIUS = 2.0


def circle(count: int, generator: torch.Generator) -> Tensor:
    """Points on a circle around the origin, `[count, 1, 1, 2]`."""
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    return (RADIUS * torch.stack([angle.cos(), angle.sin()], dim=1))[:, None, None]


def score_of_smoothed_circle(points: Tensor, sigma: float) -> Tensor:
    """The gradient of the log-density of the circle blurred by a Gaussian, by 2000 points on it."""
    angle = torch.linspace(0, 2 * math.pi, 2001)[:-1]
    centres = RADIUS * torch.stack([angle.cos(), angle.sin()], dim=1)
    away = centres - points[:, None]
    weight = torch.softmax(-away.square().sum(2) / (2 * sigma**2), dim=1)
    return (weight[..., None] * away).sum(1) / sigma**2


def test_a_gaussian_denoiser_points_along_the_score() -> None:
    """(r(x) - x) / sigma^2 is the gradient of the log-density of the blurred data (Alain & Bengio 2014)."""
    sigma, generator = 0.5, torch.Generator().manual_seed(0)
    config = DenoisingConfig(
        hidden=(48,),
        activation="tanh",
        corruption="gaussian",
        amount=sigma,
        output="linear",
        loss="squared-error",
        optimizer=Adam(0.03),
    )
    model = trained(config, 2 * circle(4000, generator) - 1, 700, 128).model
    assert isinstance(model, Denoising)
    x = circle(1000, generator).flatten(1)
    x = x + sigma * torch.randn(x.shape, generator=generator)
    with torch.no_grad():
        made = (model.denoise(2 * x[:, None, None] - 1).flatten(1) + 1) / 2
    found, true = (made - x) / sigma**2, score_of_smoothed_circle(x, sigma)
    correlation = float(torch.corrcoef(torch.stack([found.flatten(), true.flatten()]))[0, 1])
    assert correlation > 0.9
    slope = float((found * true).sum() / true.square().sum())
    assert slope == pytest.approx(1, abs=0.1), "the size is that of the score as well"
