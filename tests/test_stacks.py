"""Encoders and decoders: their shapes, the papers' parameter counts, tied weights, initial values."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import nn
from toys import build, parameters

from fairdraw import AutoencoderConfig, DenoisingConfig, InputError, Noise, VAEConfig
from fairdraw.model import Clock
from fairdraw.models.autoencoder import Autoencoder
from fairdraw.models.denoising import Denoising
from fairdraw.models.vae import VAE
from fairdraw.nets.output import Output, start_at_the_mean
from fairdraw.nets.stacks import Activation, Stack, TiedLinear, activation, initialise
from fairdraw.presets import preset

MNIST = (1, 28, 28)


def widths(layers: Iterable[nn.Module]) -> list[tuple[int, int]]:
    return [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]


def on_meta(config: Any) -> Any:
    with torch.device("meta"):  # no memory is needed to count
        return build(config, MNIST)


# The papers' networks


def test_the_deep_autoencoder_of_the_paper() -> None:
    model = on_meta(preset("autoencoder").model)
    assert isinstance(model, Autoencoder)
    assert parameters(model) == 2_837_314
    assert widths(model.encoder) == [(784, 1000), (1000, 500), (500, 250), (250, 30)]
    assert widths(model.decoder) == [(30, 250), (250, 500), (500, 1000), (1000, 784)]
    assert widths(on_meta(preset("autoencoder-2d").model).encoder)[-1] == (250, 2)


@pytest.mark.parametrize("name", ["iwae", "iwae-vae"])
def test_burdas_network_of_one_layer(name: str) -> None:
    model = on_meta(preset(name).model)
    assert isinstance(model, VAE)
    assert parameters(model.encoder) == 217_300
    assert parameters(model.decoder) == 207_984
    assert parameters(model) == 217_300 + 207_984


def test_burdas_network_of_two_layers() -> None:
    model = on_meta(preset("iwae-2-layers").model)
    assert isinstance(model, VAE)
    assert parameters(model.encoder, model.upper_encoder) == 267_700
    assert parameters(model.decoder, model.upper_decoder) == 253_384
    assert parameters(model) == 267_700 + 253_384
    assert widths(model.upper_encoder) == [(100, 100), (100, 100), (100, 2 * 50)]
    assert widths(model.upper_decoder) == [(50, 100), (100, 100), (100, 2 * 100)]


# Mirrors


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("hidden", [(), (9,), (9, 7, 5)])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 16), (4, 40, 40)], ids=str)
def test_shapes_on_the_way_out_mirror_those_on_the_way_in(
    architecture: Any, hidden: tuple[int, ...], shape: tuple[int, int, int]
) -> None:
    stack = Stack(architecture, hidden, "relu", 4, "vae")

    def sizes(network: nn.Sequential, x: torch.Tensor) -> list[tuple[int, ...]]:
        found = [tuple(x.shape[1:])]
        for layer in network:
            x = layer(x)
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                found.append(tuple(x.shape[1:]))
        return found

    inward = sizes(stack.encoder(shape, 3), torch.zeros(2, *shape))
    outward = sizes(stack.decoder(3, shape), torch.zeros(2, 3))
    flat = [(size[0] if len(size) == 1 else size[0] * size[1] * size[2]) for size in inward]
    assert [(s[0] if len(s) == 1 else s[0] * s[1] * s[2]) for s in outward][::-1] == flat
    assert inward[-1] == outward[0] == (3,)
    assert stack.decoder(3, shape)(torch.zeros(2, 3)).shape == (2, *shape)


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("name", ["tanh", "relu", "logistic"])
def test_non_linearities_stand_between_layers_and_at_neither_end(architecture: Any, name: Activation) -> None:
    stack = Stack(architecture, (9, 7), name, 4, "vae")
    kind = type(activation(name))
    for network in (stack.encoder(MNIST, 3), stack.decoder(3, MNIST)):
        layers = [layer for layer in network if not isinstance(layer, nn.Flatten | nn.Unflatten)]
        assert [isinstance(layer, kind) for layer in layers] == [i % 2 == 1 for i in range(len(layers))]
        assert len(layers) % 2 == 1, "the last is linear"


def test_a_size_that_convolutions_cannot_halve_is_refused_by_the_models_name() -> None:
    stack = Stack("conv", (9,), "relu", 4, "autoencoder")
    for make in (lambda: stack.encoder((1, 30, 30), 3), lambda: stack.decoder(3, (1, 30, 30))):
        with pytest.raises(InputError, match="the convolutional autoencoder cannot make images of 30 px"):
            make()


# Tied weights


def tied_model() -> Denoising:
    model = build(DenoisingConfig(hidden=(24, 12), activation="logistic", tied=True), (1, 8, 8))
    assert isinstance(model, Denoising)
    return model


def test_tied_weights_are_the_encoders_transposed() -> None:
    tied, free = tied_model(), build(DenoisingConfig(hidden=(24, 12)), (1, 8, 8))
    assert parameters(tied) == (64 * 24 + 24) + (24 * 12 + 12) + 24 + 64
    assert parameters(free) == parameters(tied) + 64 * 24 + 24 * 12
    code = torch.rand(5, 12)
    first, second = (layer for layer in tied.encoder if isinstance(layer, nn.Linear))
    inner, outer = (layer for layer in tied.decoder if isinstance(layer, TiedLinear))
    hidden = torch.sigmoid(code @ second.weight + inner.bias)
    expected = torch.sigmoid(hidden @ first.weight + outer.bias).reshape(5, 1, 8, 8)
    torch.testing.assert_close(tied.generate(code), 2 * expected - 1)


def test_tied_weights_are_saved_once() -> None:
    model = tied_model()
    names = [name for name in model.state_dict() if name.endswith("weight")]
    assert len(names) == 2
    assert all(name.startswith("encoder.") for name in names)
    other = tied_model()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.sample(3), model.sample(3))


def test_the_gradient_of_tied_weights_comes_from_both_sides() -> None:
    model, x = tied_model(), torch.rand(5, 1, 8, 8)
    (first, second) = (layer.weight for layer in model.encoder if isinstance(layer, nn.Linear))

    def gradients(code: torch.Tensor) -> tuple[torch.Tensor, ...]:
        loss = model.generate(code).square().sum()
        return torch.autograd.grad(loss, [first, second], allow_unused=True)

    both = gradients(model.encode(2 * x - 1))
    decoder_side = gradients(model.encode(2 * x - 1).detach())
    with torch.no_grad():
        frozen = tied_model()
        frozen.load_state_dict(model.state_dict())
    encoder_loss = frozen.generate(model.encode(2 * x - 1)).square().sum()
    encoder_side = torch.autograd.grad(encoder_loss, [first, second])
    for whole, inner, outer in zip(both, encoder_side, decoder_side, strict=True):
        assert float(inner.abs().max()) > 0
        assert float(outer.abs().max()) > 0
        torch.testing.assert_close(whole, inner + outer)


# Initial values


def test_weights_are_scaled_to_the_widths_and_biases_are_zero() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(300, 100)
    initialise(layer, "tanh")
    edge = (6 / 400) ** 0.5
    assert edge * 0.99 < float(layer.weight.detach().abs().max()) <= edge
    assert float(layer.weight.detach().var()) == pytest.approx(edge**2 / 3, rel=0.02)
    initialise(layer, "relu")
    assert float(layer.weight.detach().var()) == pytest.approx(2 / 300, rel=0.02)
    assert (layer.bias == 0).all()


def test_scaled_weights_reach_every_layer_of_a_model() -> None:
    model = build(VAEConfig(hidden=(24,), latent=6, upper_latent=3, initialisation="scaled"))
    biases = [layer.bias for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert len(biases) == 6
    assert all((bias == 0).all() for bias in biases)


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("kind", ["autoencoder", "autoencoder, linear", "vae", "logistic", "denoising, tied"])
def test_with_no_weights_a_model_starts_at_the_mean_image(architecture: Any, kind: str) -> None:
    """The mean of each pixel from dense layers, of each channel from convolutions."""
    configs: dict[str, Any] = {
        "autoencoder": AutoencoderConfig(architecture, (8,), 4, width=4),
        "autoencoder, linear": AutoencoderConfig(architecture, (8,), 4, width=4, output="linear", loss="squared-error"),
        "vae": VAEConfig(architecture, (8,), 4, width=4),
        "logistic": VAEConfig(architecture, (8,), 4, width=4, decoder="logistic", scale="predicted"),
        "denoising, tied": DenoisingConfig(hidden=(8,), tied=True),
    }
    model: Any = build(configs[kind], (3, 16, 16))
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    images = 1.8 * torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.9
    model.prepare(images)
    by_channel = architecture == "conv" and kind != "denoising, tied"
    expected = images.mean((0, 2, 3), keepdim=True) if by_channel else images.mean(0, keepdim=True)
    made = model.generate(torch.zeros(1, 8 if kind == "denoising, tied" else 4))
    torch.testing.assert_close(made, expected.expand_as(made), rtol=0, atol=1e-5)


def test_pixels_that_are_always_black_or_white_start_within_reach() -> None:
    decoder = Stack("mlp", (), "relu", 4, "vae").decoder(2, (1, 1, 2))
    images = torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2)
    start_at_the_mean(decoder, images, Output("logistic", "cross-entropy").inverse)
    layer = decoder[0]
    assert isinstance(layer, nn.Linear)
    torch.testing.assert_close(torch.sigmoid(layer.bias), torch.tensor([0.001, 0.999]))


# Outputs of autoencoders


def test_costs_of_pixels_are_the_papers() -> None:
    output = 3 * torch.randn(4, 1, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.rand(4, 1, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    r = torch.sigmoid(output)
    crossed = Output("logistic", "cross-entropy").costs(output, x)
    torch.testing.assert_close(crossed, -(x * r.log() + (1 - x) * (1 - r).log()))
    torch.testing.assert_close(Output("logistic", "squared-error").costs(output, x), (r - x) ** 2)
    torch.testing.assert_close(Output("linear", "squared-error").costs(output, x), (output - x) ** 2)


def test_a_linear_output_is_not_clipped_and_has_no_cross_entropy() -> None:
    output = torch.tensor([-0.5, 0.25, 1.5])
    assert torch.equal(Output("linear", "squared-error").image(output), output)
    with pytest.raises(InputError, match="no cross-entropy"):
        AutoencoderConfig(output="linear")


def test_a_linear_output_starts_near_the_mean_image() -> None:
    """Rectifiers and no logistic function: at full size its first guesses would be worse than no network at all."""
    x = torch.rand(64, 1, 8, 8)
    for config in (
        AutoencoderConfig(hidden=(100,), latent=10, output="linear", loss="squared-error"),
        DenoisingConfig(hidden=(100,), output="linear", loss="squared-error"),
    ):
        model = build(config, (1, 8, 8))
        model.prepare(2 * x - 1)
        (update,) = model.updates({"image": 2 * x - 1}, Clock(0, 100, Noise(0, 64)))
        mean_image = float((x - x.mean(0)).square().sum((1, 2, 3)).mean())
        assert float(update.log["squared_error"]) < 1.5 * mean_image  # thirteen and seven times at full size
