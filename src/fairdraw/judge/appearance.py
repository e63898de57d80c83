"""Numbers of images as images, without a feature network: texture at each scale, and how alike they are."""

from collections.abc import Iterator

import numpy as np

from fairdraw.data.options import plural
from fairdraw.judge.score import Score
from fairdraw.metrics.number import interval_of_parts
from fairdraw.metrics.sliced_wasserstein import COARSEST, sliced_wasserstein
from fairdraw.metrics.ssim import WINDOW, ms_ssim_name
from fairdraw.metrics.structural_diversity import similarity_within
from fairdraw.order import spread

MOST_PATCHED = 2_000
"""Images whose patches are compared."""
ENOUGH = 1_000
"""Images of a kind below which the distance between patches is flagged: of real images it falls with their number."""
GROUPS = 4
"""Parts of the images, whose distances tell how much that of all would vary."""


def appearance(real: np.ndarray, images: np.ndarray, seed: int) -> Iterator[Score]:
    """Numbers of uint8 `images` `[N, C, H, W]` beside `real` ones `[M, C, H, W]`; none of those that are too small."""
    smallest = min(images.shape[2:])
    if smallest >= COARSEST:
        yield _patches(real, images, seed)
    if smallest >= WINDOW:
        found = similarity_within(images, "generated", seed)
        yield Score("MS-SSIM", ms_ssim_name(*images.shape[2:]), found.value, found.interval, len(images), 0, found.note)


def _patches(real: np.ndarray, images: np.ndarray, seed: int) -> Score:
    count = min(len(real), len(images), MOST_PATCHED)
    ours, theirs = images[spread(len(images), count)], real[spread(len(real), count)]
    value = sliced_wasserstein(theirs, ours, seed).mean
    # All groups are projected in the same directions, of which fewer tell as well how far the groups are apart.
    parts = [(theirs[k::GROUPS], ours[k::GROUPS]) for k in range(GROUPS)]
    groups = [sliced_wasserstein(*part, seed, repeats=1).mean for part in parts]
    flag = f"{plural(count, 'image')}: biased upwards" if count < ENOUGH else ""
    return Score("SWD", "SWD", value, interval_of_parts(value, groups), count, count, flag)
