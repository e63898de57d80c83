"""Layers of progressively grown networks (Karras et al. 2018, arXiv:1710.10196, section 3 and 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.losses import at_least_float32

EPSILON = 1e-8
HE_GAIN = 2**0.5


class Equalised(nn.Module):
    """A dense layer or convolution at an equalised learning rate (section 4.1), with a bias for each channel.

    Weights start at N(0, 1) and are multiplied by gain / sqrt(fan in) at each use, so that a rule which scales its
    steps by the gradient's size, such as Adam, moves all layers alike. The bias is not scaled.

    Args:
        fan_in: channels that come in.
        fan_out: channels that go out.
        kernel: side of the convolution's kernel; 0 is a dense layer.
        gain: He's constant is the square root of 2.
        padding: of the convolution.
        bias: whether there is one.
    """

    def __init__(
        self, fan_in: int, fan_out: int, kernel: int, gain: float = HE_GAIN, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        taps = (kernel, kernel) if kernel else ()
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, *taps))
        self.bias = nn.Parameter(torch.zeros(fan_out)) if bias else None
        self.scale, self.padding = gain / (fan_in * max(1, kernel) ** 2) ** 0.5, padding

    def scaled(self) -> Tensor:
        """The weights as they are used."""
        weight: Tensor = self.weight * self.scale
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """`[B, fan_in]` or `[B, fan_in, H, W]` to the same with `fan_out` channels."""
        # The product is the same whichever factor is scaled; the smaller one is cheaper.
        weight: Tensor = self.weight
        if x.numel() < weight.numel():
            x = x * self.scale
        else:
            weight = self.scaled()
        if weight.dim() == 2:
            return F.linear(x, weight, self.bias)
        return F.conv2d(x, weight, self.bias, padding=self.padding)


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's channels `[B, C, ...]` scaled to a mean square of 1 (section 4.2)."""
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
    return x * torch.rsqrt(norm.square() / x.shape[1] + EPSILON).to(x.dtype)


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """`[B, C, H, W]` with one more channel: the standard deviation over a group of images, averaged over the rest.

    Section 3. Images of a group stand a stride apart, as in the released code.

    Args:
        x: activations.
        group: images in a group, 0 for all; where they do not divide the batch, the largest smaller group that does.
    """
    size = min(group or len(x), len(x))
    while len(x) % size:
        size -= 1
    groups = at_least_float32(x).reshape(size, -1, *x.shape[1:])
    deviation = (groups.var(0, unbiased=False) + EPSILON).sqrt().mean((1, 2, 3), keepdim=True)
    channel = deviation.repeat(size, 1, 1, 1).expand(-1, 1, *x.shape[2:])
    return torch.cat([x, channel.to(x.dtype)], dim=1)


def doubled(x: Tensor) -> Tensor:
    """Each pixel as four."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def halved(x: Tensor, times: int = 1) -> Tensor:
    """Blocks of four pixels as their mean, some times over."""
    return F.avg_pool2d(x, 2**times) if times else x
