"""The convolutions of VGG-19, whose features the papers on super-resolution compare images by.

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015 (arXiv:1409.1556),
configuration E, with the weights that torchvision publishes: for colours on [0, 1], less the mean of ImageNet and
divided by its deviation. What is fed otherwise has other features.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from fairdraw.data.download import Remote, fetch
from fairdraw.data.places import cache_folder
from fairdraw.nets.frozen import load_weights

SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
WEIGHTS = Remote("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", f"sha256:{SHA256}")
WIDTHS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
"""Of the convolutions between one halving and the next."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19(nn.Module):
    """The layers up to the `j`-th convolution before the `i`-th halving: phi_ij of Ledig et al. 2017.

    Built with random weights; those that are published are put in by `take_weights`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, i: int, j: int, rectified: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block, widths in enumerate(WIDTHS[:i], 1):
            for width in widths[: j if block == i else len(widths)]:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers += [nn.MaxPool2d(2)] if block < i else []
        self.features = nn.Sequential(*(layers if rectified else layers[:-1]))
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)
        self.eval().requires_grad_(False)

    def take_weights(self, path: Path | None = None) -> None:
        """Those of `path`, by default downloaded once (548 MB).

        Raises:
            InputError: where there is no such file, no network, or the file is another one.
        """
        tensors = load_weights(fetch(WEIGHTS, cache_folder() / "networks") if path is None else path, SHA256)
        self.load_state_dict({name: tensors[name] for name in self.state_dict()})

    def forward(self, x: Tensor) -> Tensor:
        """Features of colours `[B, 3, H, W]` on [0, 1]."""
        found: Tensor = self.features((x - self.mean) / self.deviation)
        return found
