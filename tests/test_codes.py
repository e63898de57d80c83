"""The Gaussian over the codes of an autoencoder."""

import pytest
import torch
from torch import Tensor, nn
from toys import VARIANTS, build, stripes

from fairdraw import AutoencoderConfig
from fairdraw.images import to_signed
from fairdraw.models.autoencoder import Autoencoder
from fairdraw.nets.codes import ENCODED_AT_A_TIME, GaussianCodes
from fairdraw.noise import Noise


def points(count: int, size: int = 3) -> Tensor:
    """`[count, size, 1, 1]`, correlated and off the origin; `nn.Flatten` is then the encoder."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.tensor([[2.0, 0, 0], [1.5, 0.5, 0], [-1, 0.3, 0.2]])[:size, :size]
    return (torch.randn(count, size, generator=generator) @ mix.T + torch.arange(1.0, size + 1))[..., None, None]


def fitted(images: Tensor) -> GaussianCodes:
    codes = GaussianCodes(images.shape[1])
    codes.fit(nn.Flatten(), images)
    return codes


@pytest.mark.parametrize("count", [50, ENCODED_AT_A_TIME, 2 * ENCODED_AT_A_TIME + 7])
def test_mean_and_covariance_are_those_of_the_codes(count: int) -> None:
    images = points(count)
    codes = fitted(images)
    torch.testing.assert_close(codes.mean, images.flatten(1).mean(0))
    torch.testing.assert_close(codes.factor @ codes.factor.T, torch.cov(images.flatten(1).T), rtol=1e-3, atol=1e-4)
    assert torch.equal(codes.factor, codes.factor.tril())


def test_draws_have_that_mean_and_covariance() -> None:
    count = 20_000
    codes = fitted(points(1000))
    draws = codes.draw(Noise(0, count))
    covariance = codes.factor @ codes.factor.T
    error = (covariance.diagonal() / count).sqrt()
    assert ((draws.mean(0) - codes.mean).abs() < 5 * error).all()
    largest = float(covariance.diagonal().max())
    assert float((torch.cov(draws.T) - covariance).abs().max()) < 5 * largest * (2 / count) ** 0.5


def test_before_it_is_fitted_it_is_the_standard_one() -> None:
    assert torch.equal(GaussianCodes(4).draw(Noise(3, 10)), Noise(3, 10).normal(4))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_do(count: int) -> None:
    """Their covariance has no full rank; draws stay where it has none."""
    images = points(count)
    draws = fitted(images).draw(Noise(0, 100))
    assert torch.isfinite(draws).all()
    if count == 1:
        torch.testing.assert_close(draws, images.flatten(1).expand(100, 3))


def test_units_that_are_always_off_do() -> None:
    images = points(100)
    images[:, 1] = 0
    draws = fitted(images).draw(Noise(0, 100))
    assert torch.isfinite(draws).all()
    assert float(draws[:, 1].abs().max()) < 0.1 * float(draws[:, 0].std())
    dead = fitted(torch.zeros(100, 3, 1, 1)).draw(Noise(0, 100))
    assert float(dead.abs().max()) < 1e-10


@pytest.mark.parametrize("name", ["autoencoder", "autoencoder, convolutional", "denoising, tied"])
def test_a_finished_model_draws_codes_like_those_of_its_images(name: str) -> None:
    model = build(VARIANTS[name]).eval()
    x = to_signed(torch.from_numpy(stripes()))
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    model.finish(x)
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, weights[key])}
    assert moved == {"codes.mean", "codes.factor"}, "nothing that is trained is touched"
    with torch.no_grad():
        codes = model.encode(x)  # type: ignore[operator]
    draws = model.prior(Noise(0, 10_000))  # type: ignore[operator]
    torch.testing.assert_close(draws.mean(0), codes.mean(0), rtol=0, atol=5 * float(codes.std(0).max()) / 100)
    torch.testing.assert_close(draws.var(0), codes.var(0), rtol=0.1, atol=1e-6)


def test_fitting_leaves_no_graph_behind() -> None:
    model = build(AutoencoderConfig(hidden=(8,), latent=2))
    assert isinstance(model, Autoencoder)
    model.finish(to_signed(torch.from_numpy(stripes(20))))
    assert not model.codes.factor.requires_grad
