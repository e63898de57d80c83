"""The contract that every model of the table meets."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from toys import SMALL_CONFIGS, VARIANTS, build, drive, largest_difference, same, stripes, trainer

from fairdraw import Bounds, Encodes, Generates, InputError, Model, Noise
from fairdraw.capabilities import Discriminates
from fairdraw.config import from_json, to_json
from fairdraw.images import to_signed
from fairdraw.model import Clock, Update
from fairdraw.models import MODELS, model_class, model_name, model_of_config
from fairdraw.nets.augmentation import Augmentation
from fairdraw.optimizers import Adam
from fairdraw.run import load, save_model

every_variant = pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
IMAGES = stripes()
KINDS = ("real", "fake")


def batch(count: int = 8) -> dict[str, torch.Tensor]:
    image = to_signed(torch.from_numpy(IMAGES[:count]))
    return {"image": image, "input": -image, "label": torch.arange(count) % 3}


def clock(count: int = 8, seed: int = 0, step: int = 0) -> Clock:
    return Clock(40 * step, 1000, Noise(seed, count, purpose="train"), step)


def updates_of_some_steps(model: Model) -> Iterator[Update]:
    """So many that every player has moved and grown, where some move at every k-th step only."""
    for step in range(10):
        yield from model.updates(batch(), clock(step=step))


def test_every_model_of_the_table_is_tested() -> None:
    assert set(SMALL_CONFIGS) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_the_table_is_right(name: str) -> None:
    kind = model_class(name)
    assert issubclass(kind, Model)
    assert kind.__bases__[0] is Model, "no model inherits from another"
    assert getattr(kind, "__final__", False), "a model class is final"
    assert model_name(kind) == name
    assert model_of_config(kind.Config()) is kind
    assert "arXiv" in (__import__(kind.__module__, fromlist=["x"]).__doc__ or ""), "the module names its paper"


@every_variant
def test_config_survives_json(config: Any) -> None:
    assert from_json(type(config), to_json(config)) == config


@every_variant
def test_players_own_every_parameter_once(config: Any) -> None:
    model = build(config)
    owned = [id(p) for player in model.players().values() for p in player.parameters]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())


@every_variant
def test_updates_are_finite_scalars_that_reach_their_player(config: Any) -> None:
    model = build(config).train()
    players = model.players()
    seen, reached = set(), set()
    for update in updates_of_some_steps(model):
        assert update.loss.shape == ()
        assert torch.isfinite(update.loss)
        assert all(value.shape == () and not value.requires_grad for value in update.log.values())
        parameters = players[update.player].parameters
        gradients = torch.autograd.grad(update.loss, parameters, retain_graph=True, allow_unused=True)
        found = {id(p): g for p, g in zip(parameters, gradients, strict=True) if g is not None}
        assert all(bool(torch.isfinite(g).all()) for g in found.values())
        assert any(float(g.abs().max()) > 0 for g in found.values())
        seen.add(update.player)
        reached |= set(found)
    assert seen == set(players)
    assert reached == {id(p) for p in model.parameters()}, "each is trained at some time"


@every_variant
def test_updates_depend_on_the_noise_source_alone(config: Any) -> None:
    model = build(config).eval()  # batch statistics do not move in between

    def losses(source: Clock) -> list[torch.Tensor]:
        model.recall({})  # nothing of the time before
        return [update.loss for update in model.updates(batch(), source)]

    torch.manual_seed(1)
    first = losses(clock())
    torch.manual_seed(2)
    assert first == losses(clock())
    source = clock(seed=1)
    other = losses(source)
    assert (first != other) == (source.noise._draw > 0), "noise that was drawn is used"


@every_variant
def test_a_discriminator_says_of_images_what_it_learns_from(config: Any) -> None:
    model = build(config).eval()
    if not isinstance(model, Discriminates) or model.classes:
        pytest.skip("has no discriminator, or one that wants a class beside an image")
    log = next(model.updates(batch(), clock())).log
    real, fake = (next(log[f"{kind}_{of}"] for of in ("logit", "score") if f"{kind}_{of}" in log) for kind in KINDS)
    assert isinstance(model, Generates)
    with torch.no_grad():
        drawn = model.generate(model.prior(clock().noise))
        expected = [model.realness(x).mean() for x in (batch()["image"], drawn)]
    torch.testing.assert_close([real, fake], expected)


@every_variant
def test_a_step_moves_each_player_and_the_average_follows(config: Any) -> None:
    t = trainer(config)
    before = {k: v.clone() for k, v in t.model.state_dict().items()}
    drive(t, 1, IMAGES)
    assert not same(before, t.model.state_dict())
    drive(t, 20, IMAGES)
    assert largest_difference(t.model, t.average) > 0


@every_variant
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 28, 28), (4, 32, 32)], ids=str)
def test_generates_images_of_its_shape(config: Any, shape: tuple[int, int, int]) -> None:
    model = build(config, shape).eval()
    if not isinstance(model, Generates):
        pytest.skip("does not generate")
    images = model.sample(5, seed=3)
    assert images.shape == (5, *shape)
    assert float(images.abs().max()) <= 1
    assert images.dtype == torch.float32


@every_variant
def test_draws_of_a_seed_are_fixed_and_longer_sheets_begin_with_shorter_ones(config: Any) -> None:
    model = build(config).eval()
    if not isinstance(model, Generates):
        pytest.skip("does not generate")
    long = model.sample(300, seed=7)  # more than are generated at a time
    assert torch.equal(model.sample(300, seed=7), long)
    assert torch.equal(model.sample(10, seed=7), long[:10])
    assert torch.equal(model.sample(270, seed=7), long[:270])
    assert not torch.equal(model.sample(10, seed=8), long[:10])


@every_variant
def test_an_image_does_not_depend_on_its_neighbours(config: Any) -> None:
    model = build(config).eval()
    if not isinstance(model, Generates):
        pytest.skip("does not generate")
    z = model.prior(Noise(0, 16))
    with torch.no_grad():
        together = model.generate(z)
        alone = torch.cat([model.generate(z[i : i + 1]) for i in range(16)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5 * max(1.0, float(together.abs().max())))


@every_variant
def test_encodes_to_what_it_generates_from(config: Any) -> None:
    model = build(config).eval()
    if not isinstance(model, Encodes):
        pytest.skip("does not encode")
    assert isinstance(model, Generates)
    x = batch()["image"]
    model.finish(x)
    z = model.encode(x)
    assert z.shape == model.prior(Noise(0, len(x))).shape
    assert torch.equal(z, model.encode(x))
    assert model.generate(z).shape == x.shape


@every_variant
def test_bound_is_per_image_and_its_kl_is_never_negative(config: Any) -> None:
    model = build(config).eval().requires_grad_(False)
    if not isinstance(model, Bounds):
        pytest.skip("bounds no likelihood")
    x = model.observe(batch()["image"], Noise(0, 8, purpose="observe"))
    assert 0 <= float(x.min()) <= float(x.max()) <= 1
    assert set(x.unique().tolist()) == {0.0, 1.0} if model.observed == "bits" else x.unique().numel() > 2
    bound = model.elbo(x, Noise(0, 8), samples=200)
    assert bound.value.shape == bound.kl.shape == (8,)
    assert float(bound.kl.min()) >= 0
    assert float(bound.log_likelihood.max()) <= 0
    assert bound.kl_units.shape[1] >= model.encode(batch()["image"]).shape[1]
    assert model.observation


@every_variant
def test_bound_does_not_depend_on_the_batch(config: Any) -> None:
    model = build(config).eval().requires_grad_(False)
    if not isinstance(model, Bounds):
        pytest.skip("bounds no likelihood")
    x = model.observe(batch()["image"], Noise(0, 8, purpose="observe"))
    for bound in (lambda rows, noise: model.elbo(rows, noise, 3).value, lambda *rows: model.log_weights(*rows, 3)):
        halves = torch.cat([bound(x[i : i + 4], Noise(0, 4, first=i)) for i in (0, 4)])
        torch.testing.assert_close(bound(x, Noise(0, 8)), halves, rtol=1e-5, atol=1e-4)


@every_variant
def test_mean_log_weight_is_the_bound(config: Any) -> None:
    model = build(config).eval().requires_grad_(False).double()
    if not isinstance(model, Bounds):
        pytest.skip("bounds no likelihood")
    x = model.observe(batch()["image"].double(), Noise(0, 8, purpose="observe", dtype=torch.float64))
    log_w = model.log_weights(x, Noise(0, 8, dtype=torch.float64), 4000)
    elbo = model.elbo(x, Noise(0, 8, purpose="other", dtype=torch.float64), 4000).value
    error = log_w.std(1) / 4000**0.5
    assert bool(((log_w.mean(1) - elbo).abs() < 6 * error + 1e-9).all())


@every_variant
def test_a_file_gives_the_same_model_back(config: Any, tmp_path: Any) -> None:
    model = drive(trainer(config), 2, IMAGES).average
    save_model(tmp_path / "model.safetensors", model, {})
    loaded = load(tmp_path / "model.safetensors")
    assert not loaded.training
    assert loaded.config == config
    assert same(loaded.state_dict(), model.state_dict())
    if isinstance(model, Generates):
        assert isinstance(loaded, Generates)
        assert torch.equal(loaded.sample(3), model.sample(3))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler itself looks at it
@every_variant
def test_weights_keep_their_names_when_compiled(config: Any) -> None:
    t = trainer(config)
    names = list(t.model.state_dict())
    for network in t.model.children():
        network.compile(backend="eager")
    drive(t, 1, IMAGES)
    assert list(t.model.state_dict()) == names


@every_variant
def test_works_in_float64(config: Any) -> None:
    t = drive(trainer(config, precision="fp64"), 1, IMAGES)
    assert t.model.dtype == torch.float64
    assert all(torch.isfinite(torch.tensor(value)) for value in t.means().values())


@every_variant
def test_works_in_bf16(config: Any) -> None:
    t = drive(trainer(config, precision="bf16"), 2, IMAGES)
    assert all(torch.isfinite(torch.tensor(value)) for value in t.means().values())


@pytest.mark.parametrize("name", ["vae", "dcgan"])
def test_a_size_that_cannot_be_made_is_named_with_those_that_can(name: str) -> None:
    config = VARIANTS["vae, convolutional"] if name == "vae" else SMALL_CONFIGS[name]
    with pytest.raises(InputError, match=r"30 px.*28, 32"):
        build(config, (1, 30, 30))


def test_dcgan_has_the_released_models_parameter_counts() -> None:
    kind = model_class("dcgan")
    with torch.device("meta"):
        model = kind(kind.Config(), (3, 64, 64))
    counts = {name: sum(p.numel() for p in player.parameters) for name, player in model.players().items()}
    assert counts == {"generator": 18_885_760, "discriminator": 17_232_768}


@pytest.mark.parametrize(
    ("name", "rule", "numbers"),
    [
        ("dcgan", Adam(2e-4, (0.5, 0.999)), {"latent": 100, "prior": "uniform", "r1_every": 16}),
        ("wgan", Adam(1e-4, (0.0, 0.9)), {"latent": 128, "prior": "gaussian", "penalty": 10, "critic_steps": 5}),
        ("progressive", Adam(1e-3, (0.0, 0.99)), {"latent": 512, "penalty": 10, "target": 1, "drift": 1e-3}),
    ],
)
def test_the_papers_numbers_are_the_defaults(name: str, rule: Adam, numbers: dict[str, Any]) -> None:
    config = model_class(name).Config()
    assert config.optimizer == rule
    assert {option: getattr(config, option) for option in numbers} == numbers


def test_augmentation_adapts_as_fast_as_the_papers() -> None:
    assert (Augmentation().augment_target, Augmentation().augment_ramp_images) == (0.6, 500_000)
    assert Augmentation(("colour",)).first_probability == 0


def test_dcgan_starts_as_the_paper_says() -> None:
    model = build(model_class("dcgan").Config(width=32), (3, 32, 32))
    convolutions = torch.cat([p.detach().flatten() for name, p in model.named_parameters() if p.dim() == 4])
    assert float(convolutions.mean().abs()) < 1e-3
    assert float(convolutions.std()) == pytest.approx(0.02, rel=0.02)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    gains = torch.cat([m.weight.detach() for m in norms])
    assert float(gains.mean()) == pytest.approx(1, abs=0.005)
    assert float(gains.std()) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("name", ["dcgan", "wgan"])
def test_a_discriminator_lets_a_fifth_of_what_is_negative_through(name: str) -> None:
    model: Any = build(SMALL_CONFIGS[name])
    slopes = [m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.2] * 2


def test_vae_is_the_papers_network_by_default() -> None:
    model = build(model_class("vae").Config(), (1, 28, 28))
    encoder, decoder = (784 * 500 + 500) + (500 * 40 + 40), (20 * 500 + 500) + (500 * 784 + 784)
    assert sum(p.numel() for p in model.parameters()) == encoder + decoder


def test_vae_binarises_anew_at_each_visit_with_the_grey_level_as_probability() -> None:
    model = build(SMALL_CONFIGS["vae"])
    grey = torch.full((64, 1, 16, 16), 0.25)
    first = model.observe(2 * grey - 1, Noise(0, 64, first=0))  # type: ignore[operator]
    second = model.observe(2 * grey - 1, Noise(0, 64, first=64))  # type: ignore[operator]
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    assert float(first.mean()) == pytest.approx(0.25, abs=0.01)
    edges = model.observe(torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 16, 16), Noise(0, 2))  # type: ignore[operator]
    assert torch.equal(edges[0], torch.zeros(1, 16, 16))
    assert torch.equal(edges[1], torch.ones(1, 16, 16))


def test_vae_output_bias_starts_at_the_logit_of_the_mean_image() -> None:
    for name in ("vae", "vae, convolutional"):
        model = build(VARIANTS[name])
        model.prepare(to_signed(torch.from_numpy(IMAGES)))
        output = model.decoder[-2] if name == "vae" else model.decoder[-1]  # type: ignore[index]
        mean = torch.from_numpy(IMAGES).double().mean() / 255
        assert float(torch.sigmoid(output.bias.detach()).mean()) == pytest.approx(float(mean), abs=1e-3)  # type: ignore[union-attr]
