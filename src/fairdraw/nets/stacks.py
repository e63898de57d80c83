"""Encoders and decoders that mirror one another: fully connected, or strided convolutions with dense layers inside."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from fairdraw.nets.eager import eager
from fairdraw.nets.pyramid import halvings

SMALL_START = 0.1

Activation = Literal["tanh", "relu", "logistic"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "logistic": nn.Sigmoid}


@dataclass(frozen=True)
class Stack:
    """The layers between an image and a code.

    Args:
        architecture: fully connected, or strided convolutions down to a map of 4 to 7 px and then dense layers.
        hidden: units of the dense layers, from the image inwards.
        activation: non-linearity after every layer but the last.
        width: channels of the outermost convolution, doubled at each halving of the map.
        model: who asks, for error messages.
    """

    architecture: Literal["mlp", "conv"]
    hidden: tuple[int, ...]
    activation: Activation
    width: int
    model: str

    def encoder(self, shape: tuple[int, int, int], outputs: int) -> nn.Sequential:
        """`[B, C, H, W] -> [B, outputs]`."""
        convolutions: list[nn.Module] = []
        inputs = shape[0] * shape[1] * shape[2]
        if self.architecture == "conv":
            base, channels = self._maps(shape)
            for fan_in, fan_out in pairwise(channels):
                convolutions += [nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1), activation(self.activation)]
            inputs = channels[-1] * base * base
        return nn.Sequential(*convolutions, nn.Flatten(), *dense([inputs, *self.hidden, outputs], self.activation))

    def decoder(self, inputs: int, shape: tuple[int, int, int]) -> nn.Sequential:
        """`[B, inputs] -> [B, C, H, W]`, linear at the end; the mirror image of the encoder."""
        inward = [inputs, *self.hidden[::-1]]
        if self.architecture == "mlp":
            pixels = shape[0] * shape[1] * shape[2]
            return nn.Sequential(*dense([*inward, pixels], self.activation), nn.Unflatten(1, shape))
        base, channels = self._maps(shape)
        layers = dense([*inward, channels[-1] * base * base], self.activation)
        layers += [activation(self.activation), nn.Unflatten(1, (channels[-1], base, base))]
        for fan_in, fan_out in pairwise(channels[::-1]):
            layers += [nn.ConvTranspose2d(fan_in, fan_out, 4, stride=2, padding=1), activation(self.activation)]
        return nn.Sequential(*layers[:-1])

    def _maps(self, shape: tuple[int, int, int]) -> tuple[int, list[int]]:
        base, stages = halvings(shape[1], f"the convolutional {self.model}")
        return base, [shape[0], *(self.width << k for k in range(stages))]


def dense(widths: list[int], non_linearity: Activation) -> list[nn.Module]:
    """Fully connected layers through `widths`, with the non-linearity between them and none at the end."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), activation(non_linearity)]
    return layers[:-1]


def activation(name: Activation) -> nn.Module:
    """The non-linearity of that name."""
    return _ACTIVATIONS[name]()


class TiedLinear(nn.Module):
    """A dense layer with a bias of its own, whose weights are those of another layer, transposed."""

    def __init__(self, bias: nn.Parameter, of: nn.Linear) -> None:
        super().__init__()
        self.bias = bias
        self._of = (of,)  # in a tuple, so that its parameters are not counted twice

    @property
    def weight(self) -> Tensor:
        """`[outputs, inputs]`, as that of a dense layer."""
        return self._of[0].weight.T

    @eager
    def forward(self, x: Tensor) -> Tensor:
        """`[B, outputs of the other] -> [B, its inputs]`; not compiled: torch warns of weights from elsewhere."""
        return x @ self._of[0].weight + self.bias


def tie(decoder: nn.Sequential, encoder: nn.Sequential) -> None:
    """Let the dense layers of `decoder` use the weights of the mirrored ones of `encoder`, in place."""
    mirrored = [layer for layer in encoder if isinstance(layer, nn.Linear)]
    for index, layer in enumerate(decoder):
        if isinstance(layer, nn.Linear):
            decoder[index] = TiedLinear(layer.bias, mirrored.pop())


def weights_of(layer: nn.Module) -> Tensor:
    """The matrix `[outputs, inputs]` of a dense layer, which may be tied."""
    assert isinstance(layer, nn.Linear | TiedLinear)
    return layer.weight


def output_layer(decoder: nn.Sequential) -> nn.Linear | nn.ConvTranspose2d | TiedLinear:
    """The last layer with a bias, which is the image that a decoder makes of nothing."""
    return [layer for layer in decoder if isinstance(layer, nn.Linear | nn.ConvTranspose2d | TiedLinear)][-1]


def initialise(network: nn.Module, non_linearity: Activation) -> None:
    """Weights scaled to the layers' widths, so that deep stacks start to learn at once, and zero biases.

    Of He et al. 2015 for rectifiers, of Glorot & Bengio 2010 (uniform) for the others.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            fan_in, fan_out = _fans(layer)
            if non_linearity == "relu":
                nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)
            else:
                edge = (6 / (fan_in + fan_out)) ** 0.5
                nn.init.uniform_(layer.weight, -edge, edge)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def start_small(decoder: nn.Sequential) -> None:
    """Shrink the output layer: its first guesses, which no logistic function bounds, would swamp the mean image."""
    layer = output_layer(decoder)
    if not isinstance(layer, TiedLinear):  # tied weights are the encoder's own
        with torch.no_grad():
            layer.weight.mul_(SMALL_START)


def _fans(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> tuple[float, float]:
    """How many inputs each output has and the reverse; a stride divides those of the larger side."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    reach = layer.kernel_size[0] * layer.kernel_size[1]
    thinned = reach / (layer.stride[0] * layer.stride[1])
    here, there = (thinned, reach) if isinstance(layer, nn.ConvTranspose2d) else (reach, thinned)
    return layer.in_channels * here, layer.out_channels * there
