"""`efficientnet-lite0` as a judge: its features, and what it takes an image for.

A Frechet distance in its features is `FD(efficientnet-lite0)`; it is not FID, nor comparable to one.
"""

from torch import Tensor

from fairdraw.metrics.extraction import FeatureNetwork
from fairdraw.nets.efficientnet import CLASSES, SHA256, Lite0

SIZE, CHUNK = 224, 16


class EfficientNetLite0(Lite0, FeatureNetwork):
    """1,280 pooled numbers and P(class | image) over the 1,000 classes of ImageNet, of images of any size and colours.

    Built in eval mode with random weights; those of the package are in `packaged`.
    """

    chunk, size = CHUNK, SIZE

    @classmethod
    def packaged(cls) -> "EfficientNetLite0":
        """With the weights of the package, made fast.

        Raises:
            InputError: where the package is not installed, or its file is not the one that is known.
        """
        network = cls()
        network.take_weights()
        return network

    def features(self, x: Tensor) -> Tensor:
        """Features `[B, 1280]` of `[B, 3, 224, 224]` on [0, 255]."""
        return self.pooled(x)

    def logits(self, features: Tensor) -> Tensor:
        """`[B, 1000]` of features `[B, 1280]`."""
        found: Tensor = self.fc(features)
        return found

    @property
    def name(self) -> str:
        """As in `FD(efficientnet-lite0)`."""
        return "efficientnet-lite0"

    @property
    def slow(self) -> bool:
        """14 ms an image on one thread."""
        return True

    @property
    def sha256(self) -> str:
        """Of the file of weights."""
        return SHA256

    @property
    def classes(self) -> tuple[str, ...]:
        """`ImageNet 0` to `ImageNet 999`, in the order of ILSVRC 2012; their words do not come with it."""
        return tuple(f"ImageNet {number}" for number in range(CLASSES))
