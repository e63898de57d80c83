"""`digits`: a small convolutional classifier of handwritten digits, with the weights that `train_classifier` gave.

The recipe is `benchmarks/digit_classifier.py`, run with seed 0 on the 56,938 digits that are left for training of the
60,000 of MNIST; 99.35 % of the 10,000 test digits are told right. It judges digits alone: of other images its
features say little, and its classes nothing.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fairdraw.files import load_tensors
from fairdraw.images import to_signed
from fairdraw.metrics.extraction import FeatureNetwork
from fairdraw.metrics.resize import as_grey, resized
from fairdraw.nets.frozen import weights_sha256

WEIGHTS = Path(__file__).with_name("digits.safetensors")
SIZE = 28
WIDTHS = (16, 32, 64)
FEATURES = 64
DIGITS = tuple("0123456789")
CHUNK = 500


class DigitClassifier(FeatureNetwork):
    """Three halvings by strided convolutions, batch normalised, a layer of 64 units, and a logit for each digit.

    Args:
        size: of the square grey images that it sees; others are resized, and colours are turned to grey.
    """

    chunk = CHUNK

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        layers: list[nn.Module] = []
        channels, side = 1, size
        for width in WIDTHS:
            layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels, side = width, -(-side // 2)
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, len(DIGITS))

    @classmethod
    def packaged(cls) -> "DigitClassifier":
        """The classifier whose weights come with the package, in eval mode."""
        tensors, facts = load_tensors(WEIGHTS)
        model = cls(facts["size"])
        model.load_state_dict(tensors)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[B, 10]` of grey images `[B, 1, size, size]` in [-1, 1]."""
        return self.logits(self.body(x))

    def features(self, x: Tensor) -> Tensor:
        """The 64 units before the logits, of grey images `[B, 1, size, size]` on [0, 255]."""
        units: Tensor = self.body(to_signed(x.clone()))  # which works in place
        return units

    def logits(self, features: Tensor) -> Tensor:
        """`[B, 10]` of features `[B, 64]`."""
        found: Tensor = self.head(features)
        return found

    @property
    def name(self) -> str:
        """As in `FD(digits)`."""
        return "digits"

    @cached_property
    def sha256(self) -> str:
        """Of the weights."""
        return weights_sha256(self.state_dict())

    @property
    def classes(self) -> tuple[str, ...]:
        """The ten digits."""
        return DIGITS

    @property
    def learned_from(self) -> str:
        """Of MNIST; the built-in set `digits` is a part of its training digits."""
        return "56,938 of the 60,000 training digits of MNIST, of which the set digits is a part"

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """P(digit | image), float64 `[N, 10]`."""
        return self.judged(images)[1]

    def prepared(self, images: np.ndarray) -> np.ndarray:
        """uint8 `images` in grey, float32 `[N, 1, size, size]` on [0, 255]."""
        return resized(as_grey(images), self.size)
