"""The U-Net of pix2pix: an encoder and a decoder whose maps of one size are joined (Isola et al. 2017, 3.2.1, 6.1.1).

Isola, Zhu, Zhou & Efros, "Image-to-image translation with conditional adversarial networks", CVPR 2017
(arXiv:1611.07004). With `width` 64 and depth 8:

    encoder  C64-C128-C256-C512-C512-C512-C512-C512          4x4 convolutions, stride 2, LeakyReLU 0.2
    decoder  CD512-CD1024-CD1024-C1024-C1024-C512-C256-C128  their transposes, ReLU; D drops half, then tanh

where the decoder's numbers are channels after the encoder's map has been joined.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.nets.patch import MOST_DOUBLINGS, normalised
from fairdraw.noise import Noise

DROPPING = 3
"""Layers of the decoder that drop, of which there must be two more."""


class UNet(nn.Module):
    """Images `[B, channels, H, W]` in [-1, 1] to images of that shape; H and W are multiples of 2**depth.

    Args:
        channels: of input and output.
        width: channels of the outermost maps.
        depth: halvings.
        skips: whether the maps are joined.
        norm: of all maps but the outermost and the innermost.
        dropout: share of numbers that the decoder's first layers drop, whatever the mode of the module.
    """

    def __init__(
        self, channels: int, width: int, depth: int, skips: bool, norm: Literal["batch", "instance"], dropout: float
    ) -> None:
        super().__init__()
        self.skips, self.dropout = skips, dropout
        self.dropping = min(DROPPING, max(0, depth - 2))
        widths = self.widths = [channels, *(width << min(k, MOST_DOUBLINGS) for k in range(depth))]
        bias = norm != "batch"
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for k in range(depth):
            layers = normalised(widths[k + 1], norm) if 0 < k < depth - 1 else []
            self.encoder.append(nn.Sequential(nn.Conv2d(widths[k], widths[k + 1], 4, 2, 1, bias=bias), *layers))
        for k in reversed(range(depth)):
            # Before each but the innermost comes what the layer below made, joined with the encoder's map of that size.
            joined = widths[k + 1] * (2 if skips and k < depth - 1 else 1)
            layers = normalised(widths[k], norm) if k else []
            up = nn.ConvTranspose2d(joined, widths[k], 4, 2, 1, bias=bias or k == 0)
            self.decoder.append(nn.Sequential(up, *layers))

    def kept(self, noise: Noise, height: int, width: int) -> list[Tensor]:
        """What the dropping layers of the decoder keep of images of that size, 0 or 1 / (1 - dropout); none without."""
        found = []
        for number in range(self.dropping if self.dropout else 0):
            halvings = len(self.widths) - 1 - number
            u = noise.uniform(self.widths[halvings - 1], height >> (halvings - 1), width >> (halvings - 1))
            found.append((u >= self.dropout).to(u.dtype) / (1 - self.dropout))
        return found

    def forward(self, x: Tensor, kept: list[Tensor]) -> Tensor:
        """The images, with what `kept` draws for them; random numbers are not the network's own to draw."""
        maps = []
        for number, layer in enumerate(self.encoder):
            x = layer(F.leaky_relu(x, 0.2) if number else x)
            maps.append(x)
        x = maps.pop()
        for number, layer in enumerate(self.decoder):
            if number and self.skips:
                x = torch.cat([x, maps.pop()], dim=1)
            x = layer(F.relu(x))
            if number < len(kept):
                x = x * kept[number]
        return torch.tanh(x)
