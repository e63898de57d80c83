"""Whether a translated image shows what its label map says: a segmenter, trained on real pairs, is asked.

Isola, Zhu, Zhou & Efros, "Image-to-image translation with conditional adversarial networks", CVPR 2017
(arXiv:1611.07004), section 4.1, after Long, Shelhamer & Darrell 2015: the share of pixels that are right, the mean of
that share over the classes, and the mean of intersection over union. The paper's FCN-8s was trained on Cityscapes;
this is a small network trained on the pairs at hand in a minute, so that its numbers are not the paper's and compare
translators of one data set only.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.data import Split
from fairdraw.images import to_signed
from fairdraw.inference import full_precision
from fairdraw.order import positions, spread

FEWEST_CLASSES, MOST_CLASSES = 3, 32
LOOKED_AT = 64
"""Inputs whose colours are counted."""
STEPS, BATCH, SIDE = 400, 8, 128
"""Of the segmenter's training: crops of at most `SIDE` px."""


@dataclass(frozen=True)
class Segmenter:
    """A network that tells the class of each pixel, and the colours that stand for the classes, `[K, C]`."""

    network: nn.Module
    palette: np.ndarray

    @torch.inference_mode()
    def confusion(self, labels: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Pixels of each true class (rows) that it takes for each class, of each image, `[N, K, K]`.

        Args:
            labels: uint8 label maps `[N, C, H, W]`, in colours.
            images: what is to show them, of that shape.
        """
        count = len(self.palette)
        found = np.empty((len(images), count, count), np.int64)
        with full_precision(torch.device("cpu")):
            for row in range(len(images)):
                seen = self.network(to_signed(torch.from_numpy(images[row : row + 1]))).argmax(1).numpy()
                true = classes_of(labels[row : row + 1], self.palette)
                pairs = np.bincount((true * count + seen).ravel(), minlength=count * count)
                found[row] = pairs.reshape(count, count)
        return found


def pixel_accuracy(confusion: np.ndarray) -> float:
    """Share of pixels whose class is right, of confusions `[N, K, K]`."""
    whole = confusion.sum(0)
    return float(np.trace(whole) / whole.sum())


def class_accuracy(confusion: np.ndarray) -> float:
    """Mean over the classes that occur of the share of their pixels that are right."""
    whole = confusion.sum(0)
    there = whole.sum(1) > 0
    return float((np.diag(whole)[there] / whole.sum(1)[there]).mean())


def intersection_over_union(confusion: np.ndarray) -> float:
    """Mean over the classes that occur of right pixels over those that are, or are taken for, the class."""
    whole = confusion.sum(0)
    there = whole.sum(1) > 0
    right = np.diag(whole)
    return float((right / np.maximum(whole.sum(1) + whole.sum(0) - right, 1))[there].mean())


def palette_of(train: Split) -> np.ndarray | None:
    """The colours `[K, C]` of the inputs of `train` where they are label maps: from 3 to 32 of them, else None."""
    inputs = train.inputs(spread(len(train), LOOKED_AT))
    colours = np.unique(inputs.transpose(0, 2, 3, 1).reshape(-1, inputs.shape[1]), axis=0)
    return colours if FEWEST_CLASSES <= len(colours) <= MOST_CLASSES else None


def classes_of(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The number of the nearest colour of the palette, `[N, H, W]`, of uint8 label maps `[N, C, H, W]`."""
    apart = [np.abs(labels - colour.astype(np.int16)[:, None, None]).sum(1) for colour in palette]
    found: np.ndarray = np.stack(apart).argmin(0)
    return found


def trained_segmenter(train: Split, palette: np.ndarray, seed: int = 0) -> Segmenter:
    """A segmenter of the images of `train`, of which the inputs are the label maps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SegmentingNetwork(train.dataset.shape[0], len(palette)).train()
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        generator = np.random.default_rng(seed)
        for step in range(STEPS):
            where = positions(seed, step * BATCH, min(BATCH, len(train)), len(train))
            labels, images = _augmented(train.inputs(where), train.images(where), generator)
            logits = network(to_signed(torch.from_numpy(images)))
            loss = F.cross_entropy(logits, torch.from_numpy(classes_of(labels, palette)))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (1 - step / STEPS)
            optimizer.step()
    return Segmenter(network.eval(), palette)


def _augmented(labels: np.ndarray, images: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same crop of both, mirrored or not."""
    height, width = (min(side, SIDE) for side in images.shape[2:])
    top, left = (int(generator.integers(0, n - m + 1)) for n, m in zip(images.shape[2:], (height, width), strict=True))
    place = (..., slice(top, top + height), slice(left, left + width))
    turn = -1 if generator.random() < 0.5 else 1
    return np.ascontiguousarray(labels[place][..., ::turn]), np.ascontiguousarray(images[place][..., ::turn])


class SegmentingNetwork(nn.Module):
    """Images `[B, C, H, W]`, sides of multiples of 4, to logits of `classes` for each pixel; it sees about 60 px."""

    def __init__(self, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.fine = _convolution(channels, width, 3)
        self.coarse = nn.Sequential(
            _convolution(width, 2 * width, 4, stride=2),
            _convolution(2 * width, 3 * width, 4, stride=2),
            _convolution(3 * width, 3 * width, 3, dilation=2),
            _convolution(3 * width, 3 * width, 3, dilation=4),
        )
        self.joined = nn.Sequential(_convolution(4 * width, width, 3), nn.Conv2d(width, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[B, classes, H, W]`."""
        fine = self.fine(x)
        coarse = F.interpolate(self.coarse(fine), size=fine.shape[2:], mode="bilinear", align_corners=False)
        logits: Tensor = self.joined(torch.cat([fine, coarse], dim=1))
        return logits


def _convolution(fan_in: int, fan_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation if kernel == 3 else 1
    convolution = nn.Conv2d(fan_in, fan_out, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(fan_out), nn.ReLU())
