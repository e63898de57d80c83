"""Networks that come with their weights and are not trained here: loading them, and making them fast."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fairdraw.errors import InputError

NORM_EPSILON = 1e-3
"""That of TensorFlow, where the weights of both ImageNet networks come from."""


class NormalisedConv(nn.Module):
    """A convolution without bias, and batch normalisation, which `fold_norms` makes one.

    Args:
        size: of the kernel.
        padding: zeros on either side; by default such that only `stride` makes an image smaller.
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        size: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(fan_in, fan_out, size, stride, padding, groups=groups, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(fan_out, eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Without an activation."""
        y: Tensor = self.bn(self.conv(x))
        return y


def fold_norms(network: nn.Module) -> None:
    """Put each batch normalisation of `network`, in eval mode, into the weights of its convolution."""
    for module in network.modules():
        if isinstance(module, NormalisedConv) and isinstance(module.bn, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()


def made_fast(network: nn.Module) -> None:
    """`network` in eval mode, its normalisations folded, and its weights and activations channels last."""
    network.eval().requires_grad_(False)
    fold_norms(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Of the names and values of a state dict, in its order."""
    digest = hashlib.sha256()
    for name, values in tensors.items():
        digest.update(name.encode() + values.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def load_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a file by `torch.save`, if it is the very file that is meant.

    Raises:
        InputError: where it cannot be read, or is another.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {(error.strerror or str(error)).lower()}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(
            f"{path} is another file of weights: its SHA-256 is {found[:16]}..., not {sha256[:16]}...; give that one, "
            "or leave the option out to have it downloaded"
        )
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    return tensors
