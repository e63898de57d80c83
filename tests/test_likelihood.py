"""The importance-weighted bound against exact log-likelihoods; baselines, units, Parzen windows in closed form."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
import torch
from test_metrics import dataset, noise_images, vae
from torch import Tensor
from torch.distributions import MultivariateNormal
from toys import VARIANTS, build

from fairdraw import InputError
from fairdraw.capabilities import Bounds, Elbo, Encodes, Generates
from fairdraw.images import to_signed
from fairdraw.inference import full_precision
from fairdraw.metrics import importance, likelihood, parzen
from fairdraw.metrics.importance import Evidence, curve, evidence
from fairdraw.metrics.likelihood import baselines, bits_per_dimension, independent_gaussian, negative_elbo
from fairdraw.metrics.parzen import WIDTHS, Parzen, estimates, log_densities
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.models.autoencoder import AutoencoderConfig
from fairdraw.models.vae import VAE, VAEConfig
from fairdraw.noise import Noise
from fairdraw.sklearn.vae import RealValues


class Toy(Model, Encodes, Bounds):
    """A model that is never trained; its one parameter says on which device and in which type it is."""

    Config = object

    def __init__(self, shape: tuple[int, int, int] = (1, 4, 4)) -> None:
        super().__init__(None, shape)
        self.parameter = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    def players(self) -> dict[str, Player]:
        return {}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        return iter(())

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    @property
    def observation(self) -> str:
        return "made up"

    @property
    def observed(self) -> Literal["bits", "levels"]:
        return "levels"

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        return (x + 1) / 2

    def elbo(self, observed: Tensor, noise: Noise, samples: int = 1) -> Elbo:
        log_weights = self.log_weights(observed, noise, samples)
        return Elbo(log_weights.mean(1), torch.zeros(len(observed), 2).double())

    def log_weights(self, observed: Tensor, noise: Noise, samples: int) -> Tensor:
        raise NotImplementedError


class LinearGaussian(Toy):
    """p(z) = N(0, I), p(x|z) = N(W z + b, s^2 I): log p(x) is known. q is off the posterior, and a little too wide."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(16, 3, generator=generator, dtype=torch.float64) / 3
        self.bias, self.deviation = torch.full((16,), 0.5).double(), 0.4
        precision = torch.eye(3).double() + self.weight.T @ self.weight / self.deviation**2
        self.posterior = torch.linalg.inv(precision)
        self.marginal = MultivariateNormal(
            self.bias, self.weight @ self.weight.T + self.deviation**2 * torch.eye(16).double()
        )

    def log_weights(self, observed: Tensor, noise: Noise, samples: int) -> Tensor:
        x = observed.flatten(1)
        mean = 0.8 * (x - self.bias) @ self.weight @ self.posterior / self.deviation**2 + 0.15
        q = MultivariateNormal(mean[:, None], 1.3 * self.posterior)
        z = q.loc + noise.normal(samples, 3) @ q.scale_tril.mT[0]
        zero, eye = torch.zeros(3).double(), torch.eye(3).double()
        residual = (x[:, None] - self.bias - z @ self.weight.T) / self.deviation
        log_likelihood = -0.5 * residual.square().sum(2) - 16 * (math.log(self.deviation) + 0.5 * math.log(2 * math.pi))
        log_weights: Tensor = log_likelihood + MultivariateNormal(zero, eye).log_prob(z) - q.log_prob(z)
        return log_weights


class Echo(Toy):
    """Its weights are the noise that it was given; it counts the images that it observed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        self.seen += len(x)
        return noise.uniform(1, 4, 4)

    def log_weights(self, observed: Tensor, noise: Noise, samples: int) -> Tensor:
        return noise.normal(samples) + observed.mean((1, 2, 3))[:, None]


class Uniform(Toy):
    """Every level of every pixel is equally likely."""

    def log_weights(self, observed: Tensor, noise: Noise, samples: int) -> Tensor:
        nats = observed[0].numel() * math.log(256)
        return torch.full((len(observed), samples), -nats, dtype=torch.float64)


# The bound


def test_bound_of_a_linear_gaussian_model_is_its_log_likelihood() -> None:
    model, images = LinearGaussian(), noise_images(60, (1, 4, 4))
    found = evidence(model, images, 5000)
    exact = model.marginal.log_prob((to_signed(torch.from_numpy(images), torch.float64).flatten(1) + 1) / 2).numpy()
    gaps = {k: exact - bound for k, bound in found.bounds.items()}
    error = gaps[5000].std(ddof=1) / len(images) ** 0.5
    assert abs(gaps[5000].mean()) < min(3 * error, 0.05)
    assert list(gaps) == [1, 10, 100, 1000, 5000]
    assert gaps[1].mean() > 0.3, "q is so good that one draw tells nothing of many"


def linear_vae() -> tuple[VAE, MultivariateNormal]:
    """A VAE whose p(x) is known, p(z) = N(0, I) and p(x|z) = N(W z + 1/2, 0.4^2 I); q is off, and a little too wide."""
    model = VAE(VAEConfig(hidden=(), latent=3, decoder="gaussian"), (1, 4, 4))
    model.pixels = RealValues()
    model = model.double().eval().requires_grad_(False)
    weight = torch.randn(16, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 3
    deviation = 0.4
    model.pixels.log_deviation.fill_(math.log(deviation))
    model.decoder[0].weight.copy_(weight)
    model.decoder[0].bias.fill_(0.5)
    posterior = torch.linalg.inv(torch.eye(3).double() + weight.T @ weight / deviation**2)
    to_mean = 0.8 * posterior @ weight.T / deviation**2
    model.encoder[1].weight.copy_(torch.cat([to_mean, torch.zeros_like(to_mean)]))
    model.encoder[1].bias.copy_(torch.cat([0.15 - 0.5 * to_mean.sum(1), (1.3 * posterior.diagonal()).log()]))
    covariance = weight @ weight.T + deviation**2 * torch.eye(16).double()
    return model, MultivariateNormal(torch.full((16,), 0.5).double(), covariance)


def test_bound_of_a_linear_vae_is_its_log_likelihood() -> None:
    (model, marginal), images = linear_vae(), noise_images(60, (1, 4, 4))
    found = evidence(model, images, 5000)
    exact = marginal.log_prob(torch.from_numpy(images / 255).flatten(1)).numpy()
    gap = exact - found.bounds[5000]
    assert abs(gap.mean()) < min(3 * gap.std(ddof=1) / len(gap) ** 0.5, 0.05)
    off = exact - found.bounds[1]
    assert off.mean() > max(0.3, 3 * off.std(ddof=1) / len(off) ** 0.5), "one draw would pass as well"


def test_more_draws_tighten_the_bound() -> None:
    (model, _), images = linear_vae(), noise_images(500, (1, 4, 4))
    # Each k by draws of its own: on the same draws in groups it rises by Jensen's inequality, whatever the weights.
    bounds = [evidence(model, images, k, seed=k).bounds[k] for k in (1, 4, 16)]
    for fewer, more in pairwise(bounds):
        gain = more - fewer
        assert gain.mean() > 2 * gain.std(ddof=1) / len(gain) ** 0.5


def test_bound_of_two_layers_agrees_with_draws_from_the_prior() -> None:
    torch.manual_seed(1)
    config = VAEConfig(hidden=(6,), latent=2, upper_hidden=(4,), upper_latent=2)
    model = VAE(config, (1, 3, 3)).double().eval()
    with torch.no_grad():
        images = 255 * (noise_images(6, (1, 3, 3)) // 128)
        z = model.prior(Noise(0, 200_000, purpose="prior", dtype=torch.float64))
        observed = torch.from_numpy(images / 255)
        given = model.pixels.log_likelihood(observed[:, None], model.decoder(z)[None]).exp()
    exact, error = given.mean(1), given.std(1) / len(z) ** 0.5
    found = evidence(model, images, 50_000)
    bound = torch.from_numpy(found.bounds[50_000]).exp()
    assert float((error / exact).max()) < 0.01
    assert float(((bound - exact) / exact).abs().max()) < 0.03
    assert (found.bounds[1] < exact.log().numpy() - 0.1).all()
    assert (found.elbo < exact.log().numpy() - 0.1).all()


def test_curve_takes_the_mean_over_groups() -> None:
    log_weights = torch.log(torch.arange(1, 26).double())[None]
    found = {k: float(value) for k, value in curve(log_weights).items()}
    assert found == pytest.approx(
        {
            1: math.lgamma(26) / 25,  # the mean log weight
            10: (math.log(5.5) + math.log(15.5)) / 2,  # what is left over is not a group
            25: math.log(13),
        }
    )
    assert list(curve(torch.zeros(2, 1000).double())) == [1, 10, 100, 1000]
    assert list(curve(torch.zeros(2, 7000).double())) == [1, 10, 100, 1000, 5000, 7000]
    assert list(curve(torch.zeros(2, 1).double())) == [1]


@pytest.mark.parametrize("rows", [1, 3, 7])
@pytest.mark.parametrize("name", ["vae", "vae, gaussian", "iwae, two layers", "vae, logistic, convolutional"])
def test_nothing_depends_on_how_many_images_are_worked_on_at_a_time(
    monkeypatch: pytest.MonkeyPatch, name: str, rows: int
) -> None:
    images = noise_images(16, (1, 16, 16))
    model = build(VARIANTS[name]).eval()
    monkeypatch.setattr(importance, "images_at_a_time", lambda *_: 16)
    expected = evidence(model, images, 130)
    monkeypatch.setattr(importance, "images_at_a_time", lambda *_: rows)
    found = evidence(model, images, 130)
    for k in (1, 10, 100, 130):
        np.testing.assert_allclose(found.bounds[k], expected.bounds[k], rtol=1e-5)
    for a, b in ((found.elbo, expected.elbo), (found.kl_units, expected.kl_units), (found.codes, expected.codes)):
        assert a is not None
        assert b is not None
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_more_samples_go_on_with_the_same_draws_of_images_observed_once() -> None:
    images, model = noise_images(5, (1, 4, 4)), Echo()
    many, few = evidence(model, images, 1030, seed=3), evidence(model, images, 130, seed=3)
    assert model.seen == 10
    noise = Noise(3, 5, 0, "likelihood", dtype=torch.float64)
    observed = noise.uniform(1, 4, 4).mean((1, 2, 3))[:, None]
    model.elbo(observed[..., None, None], noise, importance.ELBO_DRAWS)
    drawn = observed + torch.cat([noise.normal(importance.MOST_DRAWS) for _ in range(11)], dim=1)
    for samples, found in ((1030, many), (130, few)):
        expected = torch.logsumexp(drawn[:, :samples], 1) - math.log(samples)
        np.testing.assert_allclose(found.bounds[samples], expected.numpy(), rtol=1e-12)
    assert not np.isclose(evidence(model, images, 130, seed=4).bounds[130], few.bounds[130]).any()


def test_a_uniform_model_takes_eight_bits_for_each_pixel() -> None:
    model = Uniform((3, 4, 4))
    found = evidence(model, noise_images(3, (3, 4, 4)), 200)
    assert bits_per_dimension(-found.bounds[200], model.shape).tolist() == pytest.approx([8.0] * 3, abs=1e-12)
    assert bits_per_dimension(-found.elbo, model.shape).tolist() == pytest.approx([8.0] * 3, abs=1e-12)


def test_beta_and_free_bits_have_no_part_in_the_evaluation() -> None:
    images, plain = noise_images(4, (1, 16, 16)), VAEConfig(hidden=(24,), latent=4)
    expected = evidence(build(plain).eval(), images, 20)
    found = evidence(build(VARIANTS["vae, beta and free bits"]).eval(), images, 20)
    assert np.array_equal(found.bounds[20], expected.bounds[20])
    assert np.array_equal(found.elbo, expected.elbo)


def test_terms_are_those_of_the_bound() -> None:
    images = noise_images(300)
    found = evidence(vae(), images, 1)
    assert found.elbo.tolist() == pytest.approx((found.log_likelihood - found.kl).tolist())
    single = -negative_elbo(vae(), images)
    error = (found.elbo - single).std() / 300**0.5
    assert abs((found.elbo - single).mean()) < 3 * error


def test_autocast_around_it_changes_nothing() -> None:
    model, images = vae(torch.float32), noise_images(20)
    expected, elbo = evidence(model, images, 50), negative_elbo(model, images)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(evidence(model, images, 50).bounds[50], expected.bounds[50])
        assert np.array_equal(negative_elbo(model, images), elbo)


def test_units_are_active_whose_mean_varies_by_more_than_a_hundredth() -> None:
    deviations = np.array([0.0, 0.09, 0.11, 2.0])
    codes = np.array([[-1.0], [1.0]] * 5) * deviations + 7
    active = Evidence({}, np.zeros(10), np.zeros((10, 4)), codes).active
    assert active is not None
    assert active.tolist() == [False, False, True, True]
    assert Evidence({}, np.zeros(1), np.zeros((1, 4)), codes[:1]).active is None
    assert Evidence({}, np.zeros(10), np.zeros((10, 4)), None).active is None


def test_codes_are_the_posterior_means_of_what_was_observed() -> None:
    model, images = vae(), noise_images(6)
    codes = evidence(model, images, 1).codes
    noise = Noise(0, 6, 0, "likelihood", dtype=torch.float64)
    observed = model.observe(to_signed(torch.from_numpy(images), torch.float64), noise)
    mean, _ = model.posterior(observed)
    assert codes is not None
    np.testing.assert_allclose(codes, mean.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "samples", "images", "draws"),
    [
        ((1, 28, 28), 5000, 20, 100),
        ((1, 8, 8), 10**6, 16, 100),
        ((1, 8, 8), 10**8, 1, 100),
        ((3, 256, 256), 5000, 1, 8),
        ((3, 1024, 1024), 5000, 1, 1),
    ],
)
def test_work_at_a_time_is_bounded_whatever_is_asked(
    shape: tuple[int, int, int], samples: int, images: int, draws: int
) -> None:
    assert importance.images_at_a_time(Toy(shape), samples) == images
    assert importance.draws_at_a_time(shape) == draws


def test_large_images_go_on_with_the_same_draws_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "MOST_DECODED", 16 * 30)
    images, model = noise_images(5, (1, 4, 4)), Echo()
    found = evidence(model, images, 70).bounds[70]
    noise = Noise(0, 5, 0, "likelihood", dtype=torch.float64)
    observed = noise.uniform(1, 4, 4)
    model.elbo(observed, noise, importance.ELBO_DRAWS)
    drawn = torch.cat([model.log_weights(observed, noise, 30) for _ in range(3)], dim=1)[:, :70]
    np.testing.assert_allclose(found, (torch.logsumexp(drawn, 1) - math.log(70)).numpy(), rtol=1e-12)


@pytest.mark.parametrize("setting", ["highest", "high", "medium"])
def test_products_of_matrices_are_in_full_precision_and_the_setting_comes_back(setting: str) -> None:
    backends: Any = torch.backends
    places = (backends.cuda.matmul, backends.mkldnn.matmul, backends.cudnn.conv, backends.mkldnn.conv)
    start, newer = torch.get_float32_matmul_precision(), [place.fp32_precision for place in places]
    torch.set_float32_matmul_precision(setting)
    before = [place.fp32_precision for place in places]
    try:
        with full_precision(torch.device("cpu")):
            assert [place.fp32_precision for place in places] == ["ieee"] * 4
            assert torch.get_float32_matmul_precision() == "highest"
            assert not backends.cuda.matmul.allow_tf32
        assert [place.fp32_precision for place in places] == before
        assert torch.get_float32_matmul_precision() == setting
    finally:
        torch.set_float32_matmul_precision(start)
        for place, value in zip(places, newer, strict=True):
            place.fp32_precision = value


def test_what_cannot_be_bounded_is_refused() -> None:
    with pytest.raises(InputError, match="--samples 0: give at least 1"):
        evidence(vae(), noise_images(1), 0)
    with pytest.raises(ValueError, match="Autoencoder bounds no likelihood"):
        evidence(build(AutoencoderConfig(hidden=(4,), latent=2), (1, 5, 5)), noise_images(1), 1)


# Baselines


def test_independent_gaussian_in_closed_form() -> None:
    # One pixel, 2 at both of two training images; one black and one white image smooth it.
    train = dataset(np.full((2, 1, 1, 1), 2, np.uint8)).train
    levels = np.array([2, 2, 0, 255])
    mean, variance = levels.mean() + 0.5, levels.var() + 1 / 12
    u = (np.arange(10_000) + 0.5) / 10_000
    for level in (0, 7, 255):
        log_density = -0.5 * ((level + u - mean) ** 2 / variance + np.log(2 * np.pi * variance))
        found = independent_gaussian(train, np.full((1, 1, 1, 1), level, np.uint8))
        assert found.tolist() == pytest.approx([-log_density.mean()], rel=1e-7)


def test_independent_gaussian_sums_over_pixels_and_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    train, images = noise_images(37, (3, 2, 2)), noise_images(9, (3, 2, 2), seed=1)
    expected = independent_gaussian(dataset(train).train, images)
    by_pixel = sum(
        independent_gaussian(dataset(a).train, b)
        for a, b in zip(
            np.split(train.reshape(37, 12, 1, 1), 12, axis=1),
            np.split(images.reshape(9, 12, 1, 1), 12, axis=1),
            strict=True,
        )
    )
    np.testing.assert_allclose(expected, by_pixel, rtol=1e-12)
    monkeypatch.setattr(likelihood, "CHUNK", 4)
    np.testing.assert_allclose(independent_gaussian(dataset(train).train, images), expected, rtol=1e-12)


def test_the_baseline_observes_pixels_as_the_model_does() -> None:
    images = noise_images(40)
    train = dataset(images).train
    assert list(baselines(vae(), train, images)) == ["independent Bernoulli", "every level alike"]
    assert baselines(vae(), train, images)["every level alike"] == pytest.approx(25 * math.log(2))
    gaussian = build(VAEConfig(hidden=(4,), latent=2, decoder="gaussian"), (1, 5, 5))
    assert baselines(gaussian, train, images) == {
        "independent Gaussian": pytest.approx(independent_gaussian(train, images).mean()),
        "every level alike": pytest.approx(25 * math.log(256)),
    }


# Parzen windows


def test_log_density_of_windows_is_that_of_a_double_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    centres, x, widths = random.random((7, 5)), random.random((11, 5)), np.array([0.1, 0.7])
    expected = np.empty((2, 11))
    for (s, n), _ in np.ndenumerate(expected):
        densities = [
            math.exp(-((x[n] - c) ** 2).sum() / (2 * widths[s] ** 2)) / (widths[s] * math.sqrt(2 * math.pi)) ** 5
            for c in centres
        ]
        expected[s, n] = math.log(sum(densities) / 7)
    np.testing.assert_allclose(log_densities(centres, x, widths), expected, rtol=1e-9)
    monkeypatch.setattr(parzen, "DISTANCES_AT_A_TIME", 14)
    np.testing.assert_allclose(log_densities(centres, x, widths), expected, rtol=1e-9)
    far = log_densities(centres, x + 1000, widths[:1])  # no window's density is a number that floats hold
    assert np.isfinite(far).all()


def test_width_is_the_best_on_validation_images() -> None:
    random = np.random.default_rng(0)
    centres, validation, test = random.normal(size=(3, 200, 4)) * 0.3 + 0.5
    found = Parzen.of("x", centres, validation, test)
    scores = {float(width): log_densities(centres, validation, np.array([width])).mean() for width in WIDTHS}
    assert found.width == max(scores, key=scores.__getitem__)
    assert WIDTHS[0] < found.width < WIDTHS[-1]
    values = log_densities(centres, test, np.array([found.width]))[0]
    assert found.value == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(values.std(ddof=1) / 200**0.5)
    assert Parzen.of("x", centres, validation, test[:1]).standard_error is None


def test_controls_stand_beside_the_model() -> None:
    images = noise_images(90, (1, 16, 16))
    data = dataset(images, np.repeat(np.array([0, 1, 2], np.uint8), 30))
    model = build(VARIANTS["vae"]).eval()
    assert isinstance(model, Generates)
    found = estimates(model, data.train, data.validation, images[60:])
    assert [estimate.windows for estimate in found] == [
        "10,000 draws of the model, none picked",
        "30 training images (control)",
        "3 k-means centroids of training images (control)",
    ]
    real = Parzen.of("x", *(part.reshape(30, -1) / 255 for part in np.split(images, 3)))
    assert found[1].value == pytest.approx(real.value)
    assert str(found[1]).startswith(f"{real.value:.1f} +- {real.standard_error:.1f} nats with windows of width ")
