"""The PatchGAN: a discriminator that judges each patch of an image by itself (Isola et al. 2017, section 3.2.2).

Isola, Zhu, Zhou & Efros, "Image-to-image translation with conditional adversarial networks", CVPR 2017
(arXiv:1611.07004). Of `layers` halvings it sees patches of

    layers  0    1     2     3     4      5
    px      1    16    34    70    142    286
"""

from typing import Literal

from torch import Tensor, nn

from fairdraw.errors import InputError

Norm = Literal["batch", "instance", "none"]
"""Statistics over the batch at hand, in training and at use; of each image by itself, without gains; or none."""

Patch = Literal[1, 16, 34, 70, 142, 286]
"""Side in pixels of what each logit sees."""

LAYERS: dict[int, int] = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}
"""Halvings of the discriminator of such patches."""

MOST_DOUBLINGS = 3


def layers_of(patch: int, size: int) -> int:
    """Halvings of the discriminator that sees patches of that side in images of `size` px.

    Raises:
        InputError: where its map would be smaller than a kernel.
    """
    fit = [side for side, layers in LAYERS.items() if layers == 0 or size >= 2 ** (layers + 2)]
    if patch not in fit:
        raise InputError(
            f"--patch {patch} does not fit into images of {size} px: choose a smaller one, such as {max(fit)}"
        )
    return LAYERS[patch]


def patch_network(channels: int, width: int, layers: int, norm: Norm) -> nn.Sequential:
    """Images `[B, channels, H, W]` to one logit a patch, `[B, 1, h, w]`: 30 px at 256 px and 3 layers.

    Args:
        channels: of the image, or of both images of a pair together.
        width: channels of the first hidden layer, doubled at each up to 8 times as many.
        layers: halvings; 0 judges each pixel by itself.
        norm: of all hidden layers but the first.
    """
    if layers == 0:
        hidden = [nn.Conv2d(channels, width, 1), nn.LeakyReLU(0.2)]
        hidden += [nn.Conv2d(width, 2 * width, 1, bias=norm != "batch"), *normalised(2 * width, norm)]
        return nn.Sequential(*hidden, nn.LeakyReLU(0.2), nn.Conv2d(2 * width, 1, 1))
    network: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    before = width
    for layer in range(1, layers + 1):
        after, stride = width << min(layer, MOST_DOUBLINGS), 2 if layer < layers else 1
        network += [nn.Conv2d(before, after, 4, stride, 1, bias=norm != "batch"), *normalised(after, norm)]
        network.append(nn.LeakyReLU(0.2))
        before = after
    return nn.Sequential(*network, nn.Conv2d(before, 1, 4, 1, 1))


def normalised(channels: int, norm: Norm) -> list[nn.Module]:
    """The layer that `norm` names, if any; a convolution before batch statistics needs no bias of its own."""
    if norm == "batch":
        # No running statistics: images are translated with those of the images at hand, as in training.
        return [nn.BatchNorm2d(channels, track_running_stats=False)]
    return [nn.InstanceNorm2d(channels)] if norm == "instance" else []


def judged(network: nn.Module, x: Tensor) -> Tensor:
    """The mean logit over the patches of each of the images `x`, `[B, 1]`."""
    logits: Tensor = network(x)
    return logits.flatten(1).mean(1, keepdim=True)
