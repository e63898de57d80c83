"""Points of a latent space: what lies on a line, an arc, a grid, and where a prior has its quantiles."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import build

from fairdraw import Autoencoder, AutoencoderConfig, DCGANConfig, Noise, VAEConfig
from fairdraw.latent import (
    STRATA,
    Chosen,
    Recorded,
    around,
    between_codes,
    between_draws,
    first_width,
    grid_scores,
    lerp,
    manifold,
    median,
    quantiles,
    slerp,
    traversal,
    walk,
)
from fairdraw.pictures import generated, sampled

TWO_LAYERS = VAEConfig(hidden=(12,), latent=5, upper_latent=2)


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.inference_mode():
        yield


def phi(score: float) -> float:
    return 0.5 * (1 + math.erf(score / math.sqrt(2)))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def fitted_autoencoder(latent: int) -> Autoencoder:
    """An untrained autoencoder whose prior is a Gaussian with a mean, and with covariances."""
    model = build(AutoencoderConfig(hidden=(12,), latent=latent)).eval()
    assert isinstance(model, Autoencoder)
    model.codes.mean.copy_(torch.arange(latent) - 3.0)
    model.codes.factor.copy_(torch.tril(random(latent, latent).float()) + 2 * torch.eye(latent))
    return model


# Lines and arcs


@pytest.mark.parametrize("way", [lerp, slerp])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [2, 3, 8])
def test_a_way_begins_and_ends_exactly_at_its_ends(way: Any, dtype: torch.dtype, steps: int) -> None:
    a, b = random(2, 7).to(dtype)
    found = way(a, b, steps)
    assert found.shape == (steps, 7)
    assert found.dtype == dtype
    assert torch.equal(found[0], a)
    assert torch.equal(found[-1], b)
    assert torch.allclose(way(b, a, steps).flip(0), found, atol=1e-5)


def test_points_of_a_line() -> None:
    found = lerp(torch.tensor([0.0, 4.0]), torch.tensor([3.0, 1.0]), 4)
    assert torch.allclose(found, torch.tensor([[0.0, 4.0], [1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]))


def test_points_of_an_arc() -> None:
    found = slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0]), 4)
    angles = torch.tensor([0, math.pi / 6, math.pi / 3, math.pi / 2])
    norms = torch.tensor([2, 2 + 2 / 3, 2 + 4 / 3, 4])[:, None]
    assert torch.allclose(found, norms * torch.stack([angles.cos(), angles.sin()], dim=1), atol=1e-6)


@pytest.mark.parametrize("between", ["random", "near", "equal", "opposite", "nearly opposite", "same direction"])
def test_an_arc_never_leaves_the_shell_and_turns_evenly(between: str) -> None:
    a, b = random(2, 20)
    b = {
        "near": a + 1e-9 * b,
        "equal": a.clone(),
        "opposite": -3 * a,
        "nearly opposite": -a + 1e-4 * b,
        "same direction": 2 * a,
    }.get(between, b)
    found = slerp(a, b, 9)
    low, high = sorted([float(a.norm()), float(b.norm())])
    norms = found.norm(dim=1)
    assert float(norms.min()) >= low * (1 - 1e-12)
    assert float(norms.max()) <= high * (1 + 1e-12)
    directions = found / norms[:, None]
    chords = torch.stack([(q - p).norm() for p, q in pairwise(directions)])
    assert torch.allclose(chords, chords.mean(), atol=1e-7)
    turned = 8 * 2 * torch.asin(chords.mean() / 2)
    cosine = float(a @ b / (a.norm() * b.norm()))
    assert float(turned) == pytest.approx(math.acos(max(-1.0, min(1.0, cosine))), abs=1e-6)


@pytest.mark.parametrize("ends", [([0.0, 0.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0]), ([1.5], [-2.0])])
def test_where_there_is_no_arc_it_is_the_line(ends: tuple[list[float], list[float]]) -> None:
    a, b = map(torch.tensor, ends)
    assert torch.equal(slerp(a, b, 5), lerp(a, b, 5))


# Chosen and recorded noise


def test_chosen_scores_are_what_is_drawn_and_the_median_beyond_them() -> None:
    scores = random(3, 5)
    noise = Chosen(scores)
    assert torch.equal(noise.normal(2), scores[:, :2])
    uniform = noise.uniform(2, 2)
    expected = [[phi(s) for s in row[2:5]] + [0.5] for row in scores.tolist()]
    assert uniform.shape == (3, 2, 2)
    assert torch.allclose(uniform.flatten(1), torch.tensor(expected, dtype=torch.float64))
    assert torch.equal(noise.normal(4), torch.zeros(3, 4, dtype=torch.float64))
    assert noise.widths == [2, 4, 4]
    assert torch.equal(Chosen(scores).rows(1, 2).normal(5), scores[1:])


def test_chosen_probabilities_stay_below_one() -> None:
    assert float(Chosen(torch.full((1, 1), 40.0)).uniform(1)) < 1


@pytest.mark.parametrize("config", [VAEConfig(hidden=(8,), latent=3), TWO_LAYERS, DCGANConfig(latent=6, width=2)])
def test_recorded_noise_draws_the_same_and_can_be_drawn_again(config: Any) -> None:
    model: Any = build(config).eval()
    recorded = Recorded(7, model)
    z = model.prior(recorded)
    assert torch.equal(z, model.prior(Noise(7, len(z))))
    assert torch.allclose(model.prior(Chosen(recorded.scores)), z, atol=1e-6)


# The prior's median and quantiles


def test_medians() -> None:
    autoencoder = fitted_autoencoder(4)
    assert torch.equal(median(autoencoder), autoencoder.codes.mean)
    assert median(build(VAEConfig(hidden=(8,), latent=3)).eval()).tolist() == [0, 0, 0]  # type: ignore[arg-type]
    assert median(build(DCGANConfig(latent=2, width=2)).eval()).tolist() == [0, 0]  # type: ignore[arg-type]
    two: Any = build(TWO_LAYERS).eval()
    mean, _ = two.upper_decoder(torch.zeros(1, 2)).chunk(2, dim=-1)
    assert torch.equal(median(two), mean[0])


SCORES = torch.tensor([-3.0, -1.0, 0.0, 0.5, 3.0])


def test_quantiles_of_a_standard_normal_are_the_scores() -> None:
    model: Any = build(VAEConfig(hidden=(8,), latent=3)).eval()
    assert torch.allclose(quantiles(model, SCORES), SCORES[:, None].expand(-1, 3), atol=1e-6)


def test_quantiles_of_a_uniform_prior_stay_within_it() -> None:
    model: Any = build(DCGANConfig(latent=3, width=2)).eval()
    expected = torch.tensor([2 * phi(s) - 1 for s in SCORES.tolist()])
    assert torch.allclose(quantiles(model, SCORES), expected[:, None].expand(-1, 3), atol=1e-4)


def test_quantiles_of_a_fitted_gaussian_are_those_of_each_code() -> None:
    model = fitted_autoencoder(4)
    deviation = (model.codes.factor @ model.codes.factor.T).diagonal().sqrt()
    found = (quantiles(model, SCORES) - model.codes.mean) / deviation
    # What the Latin hypercube leaves to chance: a quantile p of n draws has deviation sqrt(p (1 - p) / n) / density.
    p = torch.tensor([phi(s) for s in SCORES.tolist()])
    density = torch.exp(-(SCORES**2) / 2) / math.sqrt(2 * math.pi)
    error = (p * (1 - p) / STRATA).sqrt() / density
    assert bool(((found - SCORES[:, None]).abs() < 4 * error[:, None]).all())


# Grids and traverses


def test_the_grid_is_of_equal_shares_within_the_ends() -> None:
    shares = [phi(score) for score in grid_scores(7).tolist()]
    assert shares == pytest.approx(np.linspace(0.05, 0.95, 7).tolist())


def test_a_manifold_of_two_dimensions() -> None:
    model: Any = build(VAEConfig(hidden=(8,), latent=2)).eval()
    low, middle, high = grid_scores(3).tolist()
    assert (low, middle) == pytest.approx((-1.6448536, 0))
    expected = [(x, y) for y in (high, middle, low) for x in (low, middle, high)]
    assert torch.allclose(manifold(model, 3, (0, 1)), torch.tensor(expected))
    assert torch.allclose(manifold(model, 3, (1, 0)), torch.tensor(expected).flip(1))


def test_a_manifold_follows_a_prior_whose_two_codes_depend_on_each_other() -> None:
    model = fitted_autoencoder(2)
    scores = torch.tensor([(x, y) for y in grid_scores(4).flip(0) for x in grid_scores(4)], dtype=torch.float32)
    assert first_width(model) == 2
    assert torch.allclose(manifold(model, 4, (0, 1)), model.codes.mean + scores @ model.codes.factor.T, atol=1e-5)


def test_a_manifold_of_the_upper_of_two_layers() -> None:
    model: Any = build(TWO_LAYERS).eval()
    u = torch.tensor([(x, y) for y in grid_scores(3).flip(0) for x in grid_scores(3)], dtype=torch.float32)
    mean, _ = model.upper_decoder(u).chunk(2, dim=-1)
    assert torch.allclose(manifold(model, 3, (0, 1)), mean, atol=1e-6)


def test_a_manifold_of_two_of_many_dimensions() -> None:
    model: Any = build(VAEConfig(hidden=(8,), latent=5)).eval()
    z = manifold(model, 3, (3, 1))
    scores = grid_scores(3).float()
    assert torch.allclose(z[:, 3], scores.repeat(3), atol=1e-6)
    assert torch.allclose(z[:, 1], scores.flip(0).repeat_interleave(3), atol=1e-6)
    assert not z[:, [0, 2, 4]].any()


def test_a_traverse_moves_one_coordinate_in_a_row() -> None:
    model: Any = build(VAEConfig(hidden=(8,), latent=4)).eval()
    base = torch.tensor([1.0, 2.0, 3.0, 4.0])
    z = traversal(model, base, [2, 0], torch.tensor([-3.0, 0.0, 3.0])).reshape(2, 3, 4)
    for row, coordinate in enumerate([2, 0]):
        assert z[row, :, coordinate].tolist() == pytest.approx([-3, 0, 3], abs=1e-6)
        others = [k for k in range(4) if k != coordinate]
        assert torch.equal(z[row][:, others], base[others].expand(3, -1))
    assert base.tolist() == [1, 2, 3, 4]


# Between codes and draws


@pytest.mark.parametrize("how", ["linear", "spherical"])
@pytest.mark.parametrize(
    "config",
    [
        VAEConfig(hidden=(8,), latent=3),
        TWO_LAYERS,
        AutoencoderConfig(hidden=(8,), latent=3),
        DCGANConfig(latent=6, width=2),
    ],
)
def test_the_ends_between_seeds_are_the_images_of_their_sheets(config: Any, how: Any) -> None:
    model: Any = build(config).eval()
    images = generated(model, between_draws(model, (3, 4), 5, how))
    assert images.shape == (5, 1, 16, 16)
    assert np.array_equal(images[0], sampled(model, 1, 3)[0])
    assert np.array_equal(images[-1], sampled(model, 1, 4)[0])


def test_arcs_between_draws_stay_where_draws_fall() -> None:
    vae: Any = build(VAEConfig(hidden=(8,), latent=50)).eval()
    norms = between_draws(vae, (0, 1), 9, "spherical").norm(dim=1)
    assert torch.allclose(norms, torch.linspace(float(norms[0]), float(norms[-1]), 9))
    assert float(between_draws(vae, (0, 1), 9, "linear").norm(dim=1).min()) < 0.9 * float(norms.min())
    gan: Any = build(DCGANConfig(latent=50, width=2)).eval()
    arc = between_draws(gan, (0, 1), 9, "spherical")
    assert float(arc.abs().max()) < 1
    # Uniform numbers have the mean square 1/3, on the way as at the ends; half-way on a line it would be 1/6.
    assert float(arc[4].square().mean()) == pytest.approx(1 / 3, abs=0.1)


def test_arcs_between_codes_are_about_the_prior_s_median() -> None:
    model = fitted_autoencoder(3)
    centre = model.codes.mean
    ends = centre + torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    arc = between_codes(model, ends, 5, "spherical")
    assert torch.equal(arc[[0, -1]], ends)
    assert torch.allclose((arc - centre).norm(dim=1), torch.full((5,), 2.0))
    assert torch.allclose(between_codes(model, ends, 3, "linear")[1], ends.mean(0))


def test_what_is_around_a_latent_is_uniform_within_the_reach() -> None:
    z = random(40)
    found = around(z, 0.25, 9, seed=3) - z
    assert not found[4].any(), "the middle of the square is the latent itself"
    others = torch.cat([found[:4], found[5:]])
    assert 0.24 < float(others.max()) <= 0.25
    assert -0.25 <= float(others.min()) < -0.24
    assert float(others.mean()) == pytest.approx(0, abs=0.03)
    assert float(others.std()) == pytest.approx(0.25 / math.sqrt(3), rel=0.1)
    assert torch.equal(around(z, 0.25, 9, seed=3) - z, found)
    assert not torch.equal(around(z, 0.25, 9, seed=4) - z, found)


def test_a_walk_keeps_to_the_shell_between_its_draws() -> None:
    vae: Any = build(VAEConfig(hidden=(8,), latent=50)).eval()
    z = walk(vae, 3, seed=0, steps=6)
    norms = z.norm(dim=1)
    for start in range(3):  # the last arc goes back to the first draw
        low, high = norms[6 * start], norms[(6 * start + 6) % 18]
        arc = torch.lerp(low, high, torch.arange(6) / 6)
        assert torch.allclose(norms[6 * start : 6 * start + 6], arc, rtol=1e-5)
