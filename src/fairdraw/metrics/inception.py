"""`inception`: the network of the Frechet inception distance. Only a distance in its features is FID.

Szegedy et al., "Rethinking the inception architecture for computer vision", CVPR 2016 (arXiv:1512.00567), as Google
published it on 2015-12-05; Heusel et al., NIPS 2017 (arXiv:1706.08500), took its last pooling layer for FID. The
weights are the file that pytorch-fid and torch-fidelity share. It is not torchvision's network: average pools do not
count the padding, the last block pools by maximum, and there are 1,008 outputs. Images are brought to 299 x 299 as
clean-fid does, anti-aliased, and not as the graph of 2015 did.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.data.download import Remote, fetch
from fairdraw.data.places import cache_folder
from fairdraw.metrics.extraction import FeatureNetwork
from fairdraw.nets.frozen import NormalisedConv, load_weights, made_fast, weights_sha256

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
WEIGHTS = Remote(
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    f"sha256:{SHA256}",
)
SIZE, FEATURES, OUTPUTS = 299, 2048, 1008
CHUNK = 16


class Conv(NamedTuple):
    """A convolution of a block, by its name in the file of weights; its stride is 2 where a block halves images."""

    name: str
    width: int
    size: int | tuple[int, int]
    stride: int = 1


Branch = tuple[tuple[Conv, ...], ...]
"""Steps one after the other; convolutions of one step are side by side."""
Pool = Literal["average", "maximum", "halving"]


class RectifiedConv(NormalisedConv):
    """A convolution, batch normalisation, and a rectifier."""

    def forward(self, x: Tensor) -> Tensor:
        """At least 0."""
        return F.relu_(self.linear(x))

    def linear(self, x: Tensor) -> Tensor:
        """Before the rectifier."""
        return super().forward(x)


def rectified(fan_in: int, conv: Conv) -> RectifiedConv:
    """Padded to keep the size, where it does not halve it."""
    height, width = (conv.size, conv.size) if isinstance(conv.size, int) else conv.size
    padding = (height // 2, width // 2) if conv.stride == 1 else (0, 0)
    return RectifiedConv(fan_in, conv.width, (height, width), conv.stride, padding)


def chain(name: str, *convs: tuple[int, int | tuple[int, int]] | tuple[int, int, int]) -> Branch:
    """Convolutions one after the other, named and numbered as in the file; each is its width, size and stride."""
    return tuple((Conv(f"{name}_{number}", *conv),) for number, conv in enumerate(convs, 1))


class Mixed(nn.Module):
    """Branches side by side, and a branch that pools, joined along the channels.

    Args:
        pooled: channels after the pool by a convolution of 1 x 1; 0: the pool alone.
    """

    def __init__(self, fan_in: int, branches: Sequence[Branch], pool: Pool, pooled: int = 0) -> None:
        super().__init__()
        self.pool = pool
        self.branches = [[[conv.name for conv in step] for step in branch] for branch in branches]
        self.width = pooled or fan_in
        for branch in branches:
            channels = fan_in
            for step in branch:
                for conv in step:
                    self.add_module(conv.name, rectified(channels, conv))
                channels = sum(conv.width for conv in step)
            self.width += channels
        self.branch_pool = rectified(fan_in, Conv("branch_pool", pooled, 1)) if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]`, or half of H and W."""
        outputs = []
        for branch in self.branches:
            y = x
            for step in branch:
                found = [self.get_submodule(name)(y) for name in step]
                y = torch.cat(found, 1) if len(found) > 1 else found[0]
            outputs.append(y)
        return torch.cat([*outputs, self._pooled(x)], 1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.branch_pool is None:
            return F.max_pool2d(x, 3, 2)
        if self.pool == "maximum":
            y: Tensor = self.branch_pool(F.max_pool2d(x, 3, 1, 1))
            return y
        # An average of what a 1 x 1 convolution gives is the convolution of the average, bias and all, for padding is
        # not counted. After the convolution there are far fewer channels to average.
        return F.relu_(F.avg_pool2d(self.branch_pool.linear(x), 3, 1, 1, count_include_pad=False))


def block_a(fan_in: int, pooled: int) -> Mixed:
    """For images of 35 x 35."""
    ends = (Conv("branch1x1", 64, 1),)
    fives = chain("branch5x5", (48, 1), (64, 5))
    return Mixed(fan_in, [(ends,), fives, chain("branch3x3dbl", (64, 1), (96, 3), (96, 3))], "average", pooled)


def block_b(fan_in: int) -> Mixed:
    """From 35 x 35 to 17 x 17."""
    halving = (Conv("branch3x3", 384, 3, 2),)
    return Mixed(fan_in, [(halving,), chain("branch3x3dbl", (64, 1), (96, 3), (96, 3, 2))], "halving")


def block_c(fan_in: int, width: int) -> Mixed:
    """For images of 17 x 17, by rows and columns of seven."""
    row, column = (1, 7), (7, 1)
    once = chain("branch7x7", (width, 1), (width, row), (192, column))
    twice = chain("branch7x7dbl", (width, 1), (width, column), (width, row), (width, column), (192, row))
    return Mixed(fan_in, [((Conv("branch1x1", 192, 1),),), once, twice], "average", 192)


def block_d(fan_in: int) -> Mixed:
    """From 17 x 17 to 8 x 8."""
    threes = chain("branch3x3", (192, 1), (320, 3, 2))
    return Mixed(fan_in, [threes, chain("branch7x7x3", (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2))], "halving")


def block_e(fan_in: int, pool: Pool) -> Mixed:
    """For images of 8 x 8."""
    once = (*chain("branch3x3", (384, 1)), _fork("branch3x3_2"))
    twice = (*chain("branch3x3dbl", (448, 1), (384, 3)), _fork("branch3x3dbl_3"))
    return Mixed(fan_in, [((Conv("branch1x1", 320, 1),),), once, twice], pool, 192)


def _fork(name: str) -> tuple[Conv, ...]:
    return Conv(f"{name}a", 384, (1, 3)), Conv(f"{name}b", 384, (3, 1))


BLOCKS: Mapping[str, Callable[[int], Mixed]] = {
    "5b": lambda fan_in: block_a(fan_in, 32),
    "5c": lambda fan_in: block_a(fan_in, 64),
    "5d": lambda fan_in: block_a(fan_in, 64),
    "6a": block_b,
    "6b": lambda fan_in: block_c(fan_in, 128),
    "6c": lambda fan_in: block_c(fan_in, 160),
    "6d": lambda fan_in: block_c(fan_in, 160),
    "6e": lambda fan_in: block_c(fan_in, 192),
    "7a": block_d,
    "7b": lambda fan_in: block_e(fan_in, "average"),
    "7c": lambda fan_in: block_e(fan_in, "maximum"),
}
"""Each is made for the channels that the one before it gives."""


class Inception(FeatureNetwork):
    """2,048 pooled numbers, and P(output | image) as the inception score takes it, of images of any size and colours.

    Built in eval mode with random weights, under the names of the file; those of the file are in `from_file`.
    """

    chunk, size = CHUNK, SIZE

    def __init__(self) -> None:
        super().__init__()
        self.official = False
        self.Conv2d_1a_3x3 = RectifiedConv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = RectifiedConv(32, 32, 3)
        self.Conv2d_2b_3x3 = RectifiedConv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = RectifiedConv(64, 80)
        self.Conv2d_4a_3x3 = RectifiedConv(80, 192, 3)
        channels = 192
        for name, make in BLOCKS.items():
            block = make(channels)
            self.add_module(f"Mixed_{name}", block)
            channels = block.width
        self.fc = nn.Linear(FEATURES, OUTPUTS)
        self.eval()

    @classmethod
    def from_file(cls, path: Path | None = None) -> "Inception":
        """With the weights of `path`, by default downloaded once, and made fast.

        Raises:
            InputError: where there is no such file, no network, or the file is not the one that gives FID.
        """
        network = cls()
        found = fetch(WEIGHTS, cache_folder() / "networks") if path is None else path
        network.load_state_dict(load_weights(found, SHA256))
        network.official = True
        made_fast(network)
        return network

    def features(self, x: Tensor) -> Tensor:
        """Features `[B, 2048]` of `[B, 3, 299, 299]` on [0, 255]."""
        y: Tensor = self.Conv2d_1a_3x3((x - 128) / 128)
        y = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(y)), 3, 2)
        y = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(y)), 3, 2)
        for name in BLOCKS:
            y = self.get_submodule(f"Mixed_{name}")(y)
        return y.mean((2, 3))

    def logits(self, features: Tensor) -> Tensor:
        """`[B, 1008]` of features `[B, 2048]`; without the bias, as the inception score is defined."""
        return F.linear(features, self.fc.weight)

    @property
    def name(self) -> str:
        """Another name for other weights: a distance in their features is no FID."""
        return "inception" if self.official else "inception-other-weights"

    @property
    def slow(self) -> bool:
        """About 70 ms an image on one thread."""
        return True

    @property
    def sha256(self) -> str:
        """Of the file of weights, or of other weights as they are now."""
        return SHA256 if self.official else weights_sha256(self.state_dict())

    @property
    def classes(self) -> tuple[str, ...]:
        """`output 0` to `output 1007`: 1,000 are classes of ImageNet, in an order of their own."""
        return tuple(f"output {number}" for number in range(OUTPUTS))
