"""Random jitter of translated images: enlarged, cropped at a random place and mirrored (Isola et al. 2017, 6.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdraw.noise import Noise

ENLARGED = 286 / 256
"""Of the paper: images of 256 px are resized to 286 px and cropped to 256 px again."""


def jittered(images: tuple[Tensor, ...], noise: Noise, enlarge: float = ENLARGED, mirror: bool = True) -> list[Tensor]:
    """Each of the `images` `[B, C, H, W]` enlarged, cropped to its size at a random place, and mirrored at random.

    All of them are moved alike, each row by its own row of the noise. Values between pixels are bilinear.

    Args:
        images: of one height and width.
        noise: a row for each image.
        enlarge: how much larger the image is that the crop is taken of, from 1 on, which is no crop.
        mirror: whether left and right are exchanged in half of the cases.
    """
    if enlarge == 1 and not mirror:
        return list(images)
    count, _, height, width = images[0].shape
    u = noise.uniform(3)
    flip = 1 - 2 * (u[:, 2] < 0.5).to(u.dtype) if mirror else torch.ones_like(u[:, 2])
    shift = []
    for size, place in ((width, u[:, 0]), (height, u[:, 1])):
        room = round(size * enlarge) - size
        # The crop begins at a whole pixel of the enlarged image, as one cut out of a resized picture would.
        first = torch.floor(place * (room + 1))
        shift.append((2 * first - room) / (size + room))
    scale = width / round(width * enlarge), height / round(height * enlarge)
    theta = torch.zeros(count, 2, 3, dtype=u.dtype, device=u.device)
    theta[:, 0, 0], theta[:, 0, 2] = scale[0] * flip, shift[0]
    theta[:, 1, 1], theta[:, 1, 2] = scale[1], shift[1]
    moved = []
    for image in images:
        grid = F.affine_grid(theta.to(image.dtype), list(image.shape), align_corners=False)
        moved.append(F.grid_sample(image, grid, padding_mode="border", align_corners=False))
    return moved
