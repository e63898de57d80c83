"""A pool of past images, from which a discriminator is shown some instead of the newest (Shrivastava et al. 2017).

Shrivastava et al., "Learning from simulated and unsupervised images through adversarial training", CVPR 2017
(arXiv:1612.07828), section 2.3, as in the released code of Zhu et al. 2017.
"""

import torch
from torch import Tensor

from fairdraw.noise import Noise


class Pool:
    """Up to `size` images of earlier steps. It is no module: what a training remembers is no part of the model.

    Args:
        size: images; 0 remembers none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._images: list[Tensor] = []

    def exchanged(self, images: Tensor, noise: Noise) -> Tensor:
        """For each of the `images` `[B, C, H, W]` itself, or one that was put in before; without gradient.

        While the pool fills, each is put in and given back. Then half of the time an image at random leaves, and the
        new one takes its place. Each image is dealt with before the next, so that a batch is as good as its parts.

        Args:
            images: the newest.
            noise: a row for each: whether to exchange, and which place.
        """
        if not self.size:
            return images.detach()
        # Of the layout of what came in, whatever that of the remembered ones is: a resumed training computes the same.
        given = torch.empty_like(images)
        for row, (image, (chance, place)) in enumerate(zip(images.detach(), noise.uniform(2).tolist(), strict=True)):
            if len(self._images) < self.size:
                self._images.append(image.clone())
            elif chance < 0.5:
                where = int(place * self.size)
                given[row] = self._images[where]
                self._images[where] = image.clone()
                continue
            given[row] = image
        return given

    def remembered(self) -> Tensor:
        """The images, `[N, C, H, W]`; `[0]` where there are none."""
        return torch.stack(self._images) if self._images else torch.empty(0)

    def remember(self, images: Tensor) -> None:
        """Go back to what `remembered` gave."""
        self._images = list(images.clone())
