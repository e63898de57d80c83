"""The translating network of residual blocks between two halvings and two doublings (Zhu et al. 2017, section 7.2).

Zhu, Park, Isola & Efros, "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017
(arXiv:1703.10593), after Johnson, Alahi & Fei-Fei 2016. With `width` 64 and 9 blocks:

    c7s1-64, d128, d256, R256 x 9, u128, u64, c7s1-3

where c7s1 is a 7x7 convolution, d a 3x3 one of stride 2, R two of 3x3 whose result is added to what came in, and u the
transpose of d. Each but the last is followed by instance normalisation, and by ReLU except where R ends; edges are
reflected; the last is followed by tanh.
"""

from typing import Literal, cast

from torch import Tensor, nn

MULTIPLE = 4
"""Sides of images are halved twice."""
SMALLEST = 8
"""Below it the blocks' maps are of one pixel, which nothing can be reflected at."""


class ResidualBlock(nn.Module):
    """R: what is added to a map `[B, channels, H, W]`; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_convolved(channels, channels, 3), *_convolved(channels, channels, 3)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return cast(Tensor, x + self.layers(x))


def resnet(channels: int, width: int, blocks: int) -> nn.Sequential:
    """Images `[B, channels, H, W]` in [-1, 1] to images of that shape; H and W are multiples of `MULTIPLE`.

    Args:
        channels: of input and output.
        width: channels of the outermost maps.
        blocks: residual ones, of four times as many channels.
    """
    return nn.Sequential(
        *_convolved(channels, width, 7),
        *_convolved(width, 2 * width, 3, stride=2),
        *_convolved(2 * width, 4 * width, 3, stride=2),
        *(ResidualBlock(4 * width) for _ in range(blocks)),
        *_doubled(4 * width, 2 * width),
        *_doubled(2 * width, width),
        nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect"),
        nn.Tanh(),
    )


def reach(blocks: int) -> int:
    """Pixels on either side of one that convolutions alone bring to it; instance statistics are of the whole image."""
    # Of c7s1 and the last layer 3 each, of the halvings 1 and 2, of the doublings 2 and 1; of a block's map two of 4.
    return 12 + 8 * blocks


def _convolved(fan_in: int, fan_out: int, size: int, stride: int = 1) -> list[nn.Module]:
    # The halvings are padded with zeros, as in the released code; all others reflect.
    mode: Literal["reflect", "zeros"] = "reflect" if stride == 1 else "zeros"
    conv = nn.Conv2d(fan_in, fan_out, size, stride, size // 2, padding_mode=mode)
    return [conv, nn.InstanceNorm2d(fan_out), nn.ReLU()]


def _doubled(fan_in: int, fan_out: int) -> list[nn.Module]:
    up = nn.ConvTranspose2d(fan_in, fan_out, 3, stride=2, padding=1, output_padding=1)
    return [up, nn.InstanceNorm2d(fan_out), nn.ReLU()]
