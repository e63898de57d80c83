"""Observation models against the definitions of their likelihoods."""

import math

import pytest
import torch
from torch import Tensor

from fairdraw.losses import LEVELS
from fairdraw.nets.observation import Bernoulli, DiscretisedLogistic, Gaussian, Observation, Scale
from fairdraw.noise import Noise

SCALES: tuple[Scale, ...] = ("fixed", "learned", "predicted")
SHAPE = (3, 4, 5)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def output_for(pixels: Observation, count: int = 2) -> Tensor:
    """Outputs of a decoder, not too far from 0."""
    return 0.5 * random(count, pixels.outputs * SHAPE[0], *SHAPE[1:])


def grey(level: int, count: int = 1, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """Images in [-1, 1] of that level everywhere."""
    return torch.full((count, *shape), 2 * level / 255 - 1, dtype=torch.float64)


def every() -> list[Observation]:
    return [Bernoulli(), *(kind(scale, 0.1) for kind in (Gaussian, DiscretisedLogistic) for scale in SCALES)]


def name(pixels: Observation) -> str:
    return f"{type(pixels).__name__} {pixels.outputs}"


@pytest.mark.parametrize("pixels", every(), ids=name)
def test_the_mean_image_is_where_the_output_of_it_says(pixels: Observation) -> None:
    mean = torch.linspace(0.001, 0.999, math.prod(SHAPE), dtype=torch.float64).reshape(1, *SHAPE)
    output = pixels.output_of(mean)
    if pixels.outputs == 2:
        output = torch.cat([output, torch.zeros_like(output)], dim=1)
    torch.testing.assert_close(pixels.mean(output), 2 * mean - 1)


@pytest.mark.parametrize("pixels", every(), ids=name)
def test_black_and_white_have_finite_outputs(pixels: Observation) -> None:
    ends = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    assert torch.isfinite(pixels.output_of(ends)).all()


@pytest.mark.parametrize("pixels", every(), ids=name)
def test_a_likelihood_is_per_image_and_broadcasts_over_draws(pixels: Observation) -> None:
    """As the bounds use it: images `[B, 1, ...]` under outputs `[B, K, ...]`."""
    observed = pixels.observe(2 * torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)) - 1, Noise(0, 4))
    output = output_for(pixels, 12).unflatten(0, (4, 3))
    found = pixels.log_likelihood(observed[:, None], output)
    assert found.shape == (4, 3)
    for i in range(4):
        for k in range(3):
            torch.testing.assert_close(found[i, k], pixels.log_likelihood(observed[i : i + 1], output[i, k][None])[0])


# Bernoulli


def test_bits_are_white_with_the_grey_level_as_probability() -> None:
    count, level = 4000, 51  # a fifth
    bits = Bernoulli().observe(grey(level, count), Noise(0, count, dtype=torch.float64))
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    assert float(bits.mean()) == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / bits.numel()) ** 0.5)


@pytest.mark.parametrize(("level", "bit"), [(0, 0.0), (255, 1.0)])
def test_black_and_white_are_kept(level: int, bit: float) -> None:
    assert (Bernoulli().observe(grey(level, 50), Noise(0, 50)) == bit).all()


def test_bits_are_drawn_anew_at_each_draw_and_for_each_image() -> None:
    noise = Noise(0, 2)
    first, again = (Bernoulli().observe(grey(128, 2), noise) for _ in range(2))
    assert not torch.equal(first, again)
    assert not torch.equal(first[0], first[1])


def test_probabilities_of_bits_are_the_likelihood() -> None:
    pixels, output = Bernoulli(), 3 * random(2, *SHAPE)
    bits = (random(2, *SHAPE, seed=1) > 0).double()
    table = pixels.probabilities(output)
    assert table.shape == (2, math.prod(SHAPE), 2)
    torch.testing.assert_close(table.sum(2), torch.ones_like(table[..., 0]))
    chosen = table.gather(2, bits.flatten(1).long()[..., None])
    torch.testing.assert_close(chosen.log().sum((1, 2)), pixels.log_likelihood(bits, output))
    torch.testing.assert_close(2 * table[..., 1] - 1, pixels.mean(output).flatten(1))


# Gaussian


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_dequantised_pixels_stay_in_the_cell_of_their_level(level: int) -> None:
    observed = Gaussian("learned", 0.1).observe(grey(level, 300).float(), Noise(0, 300))
    assert ((observed * LEVELS).floor() == level).all()
    assert float((observed * LEVELS - level).mean()) == pytest.approx(0.5, abs=4 / (12 * observed.numel()) ** 0.5)


def test_a_flat_density_costs_eight_bits_per_pixel() -> None:
    """A very broad Gaussian, brought to density 1 on [0, 1], is the uniform one: 8 bits for each pixel."""
    scale = 1e3
    pixels = Gaussian("fixed", scale).double()
    observed = pixels.observe(grey(200), Noise(0, 1, dtype=torch.float64))
    found = pixels.log_likelihood(observed, torch.zeros(1, *SHAPE, dtype=torch.float64))
    density = -0.5 * math.log(2 * math.pi) - math.log(scale)
    bits = (density * math.prod(SHAPE) - float(found)) / (math.prod(SHAPE) * math.log(2))
    assert bits == pytest.approx(8, abs=1e-5)


def test_gaussian_likelihood_is_that_of_torch() -> None:
    pixels, output = Gaussian("fixed", 0.07).double(), random(2, *SHAPE)
    observed = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    normal = torch.distributions.Normal(torch.sigmoid(output), float(pixels.log_scale.exp()))
    expected = (normal.log_prob(observed) - math.log(256)).sum((1, 2, 3))
    torch.testing.assert_close(pixels.log_likelihood(observed, output), expected)


def test_a_density_has_no_probabilities() -> None:
    with pytest.raises(TypeError, match="density"):
        Gaussian("learned", 0.1).probabilities(torch.zeros(1, *SHAPE))


# Discretised logistic


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("start", [0.002, 0.1, 2.0])
def test_probabilities_of_levels_add_up_and_are_the_likelihood(scale: Scale, start: float) -> None:
    pixels = DiscretisedLogistic(scale, start).double().requires_grad_(False)
    output = torch.cat([random(50, 1, 1, 1), 0.5 * random(50, 1, 1, 1, seed=1)], dim=1)[:, : pixels.outputs]
    table = pixels.probabilities(output)
    assert table.shape == (50, 1, LEVELS)
    assert float((table.sum(2) - 1).abs().max()) < 1e-12
    assert float(table.min()) >= 0
    for level in range(LEVELS):
        observed = pixels.observe(grey(level, 50, (1, 1, 1)), Noise(0, 50))
        found = pixels.log_likelihood(observed, output).exp()
        torch.testing.assert_close(found, table[:, 0, level], rtol=1e-6, atol=1e-15)


def test_probabilities_of_all_pixels_are_in_their_order() -> None:
    pixels, output = DiscretisedLogistic("fixed", 0.1), random(2, *SHAPE).float()
    table = pixels.probabilities(output)
    alone = pixels.probabilities(output.flatten()[:, None, None, None])
    assert torch.equal(table.flatten(0, 1), alone[:, 0])


def test_levels_in_the_tails_keep_their_likelihood() -> None:
    """Where the difference of two logistic functions is 0 in floating point, its logarithm is not."""
    pixels = DiscretisedLogistic("fixed", 0.004).double()
    output = torch.full((1, 1, 1, 1), -0.5, dtype=torch.float64)  # level 63.75, scale 1.02 levels
    scale, mean = float(pixels.log_scale.exp()) * 255, 255 / 4
    found = pixels.log_likelihood(torch.full_like(output, 200 / 255), output)
    # far out a logistic density falls as exp(-distance / scale), and so does the mass on a level
    mass = -(200 - 0.5 - mean) / scale + math.log1p(-math.exp(-1 / scale))
    assert float(found) == pytest.approx(mass, rel=1e-9)


def test_levels_are_observed_as_they_are() -> None:
    levels = torch.arange(LEVELS, dtype=torch.float32).reshape(LEVELS, 1, 1, 1)
    observed = DiscretisedLogistic("fixed", 0.1).observe(levels / 127.5 - 1, Noise(0, LEVELS))
    torch.testing.assert_close(observed, levels / 255)


def test_a_mean_beyond_white_is_allowed_and_shown_as_white() -> None:
    pixels = DiscretisedLogistic("fixed", 0.01)
    beyond = torch.full((1, 1, 1, 1), 3.0)
    assert pixels.mean(beyond).item() == 1
    assert float(pixels.log_likelihood(torch.ones(1, 1, 1, 1), beyond)) == pytest.approx(0, abs=1e-6)


# Scales


@pytest.mark.parametrize("kind", [Gaussian, DiscretisedLogistic])
def test_where_the_scale_comes_from(kind: type[Gaussian] | type[DiscretisedLogistic]) -> None:
    fixed, learned, predicted = (kind(scale, 0.2) for scale in SCALES)
    assert [len(list(pixels.parameters())) for pixels in (fixed, learned, predicted)] == [0, 1, 0]
    assert [pixels.outputs for pixels in (fixed, learned, predicted)] == [1, 1, 2]
    # it is a part of what is saved, whether or not it is trained
    assert [list(pixels.state_dict()) for pixels in (fixed, learned, predicted)] == [["log_scale"]] * 3
    output = random(2, *SHAPE).float()
    for pixels in (fixed, learned):
        assert pixels.split(output)[1].exp().item() == pytest.approx(0.2)
    both = torch.cat([output, torch.full_like(output, math.log(3))], dim=1)
    mean, log_scale = predicted.split(both)
    assert torch.equal(mean, output)
    torch.testing.assert_close(log_scale.exp(), torch.full_like(output, 0.6))


def test_a_learned_scale_has_its_best_value_at_the_spread_of_the_data() -> None:
    """The gradient of the likelihood vanishes where the scale is the root mean square distance."""
    pixels = Gaussian("learned", 0.1).double()
    observed = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spread = (observed - 0.5).square().mean().sqrt()
    with torch.no_grad():
        pixels.log_scale.copy_(spread.log())
    loss = pixels.log_likelihood(observed, torch.zeros_like(observed)).mean()
    (gradient,) = torch.autograd.grad(loss, [pixels.log_scale])
    assert float(gradient) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", [Gaussian, DiscretisedLogistic])
def test_a_scale_cannot_fall_to_nothing(kind: type[Gaussian] | type[DiscretisedLogistic]) -> None:
    """Else the likelihood of a flat area would grow without bound."""
    pixels = kind("predicted", 0.1)
    output = torch.cat([torch.zeros(1, *SHAPE), torch.full((1, *SHAPE), -1e6)], dim=1)
    _, log_scale = pixels.split(output)
    assert (log_scale == -7).all()
    observed = pixels.observe(grey(128).float(), Noise(0, 1))
    assert torch.isfinite(pixels.log_likelihood(observed, output)).all()
