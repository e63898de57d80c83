"""What is compared with what, and whether that was trained on."""

from dataclasses import dataclass
from math import lgamma, log

import numpy as np

from fairdraw.data import Dataset, SplitName
from fairdraw.data.inputs import StoredInputs
from fairdraw.errors import InputError
from fairdraw.judge.judge import Judge

MOST_TRAINED_ON = 0.01
"""Share of the images to compare with that may have been trained on, as duplicates in an official split."""


RARE = 0.001
"""Chance below which what is seen is not taken for chance."""


@dataclass(frozen=True)
class Protocol:
    """What is compared with what.

    Args:
        count: images judged, and real ones to compare with, at most.
        seed: of the draws, the bootstrap and all random choices.
        part: the part of the data to compare with.
        on_training_images: compare with images that were trained on, knowing what that is worth.
        attacked: real images on which each classifier among the judges is attacked by one pixel, and draws on which the
            model's own discriminator is.
    """

    count: int
    seed: int = 0
    part: SplitName = "test"
    on_training_images: bool = False
    attacked: int = 0

    @property
    def which(self) -> str:
        """Of the images, before their name: `test `, or nothing for all of them."""
        return "" if self.part == "all" else f"{self.part} "


def trained_on(train: Dataset, real: Dataset, protocol: Protocol) -> tuple[str, ...]:
    """What a reader has to know of images to compare with that the training part of `train` has as well.

    So too of inputs, where these are a set of their own: one that belongs to an image may be that of another as well,
    and images may be what inputs were. Inputs of the data that were trained on are no more than named: images were set
    apart there, and two of them may have one input, as flags do that are drawn by the same line.

    Raises:
        InputError: for more than a few, unless that is wanted.
    """
    part, known = real.split(protocol.part), train.digests[train.train.indices]
    if isinstance(train.inputs, StoredInputs):
        known = np.concatenate([known, train.inputs.digests(train, "train")])
    found = _known(known, real.digests[part.indices], f"{protocol.which}images of {real.name}", protocol)
    if not isinstance(train.inputs, StoredInputs) or real.inputs is None:
        return found
    asked, what = real.inputs.digests(real, protocol.part), f"{protocol.which}inputs of {real.name}"
    if same_images(real, train):  # images apart from each other may well have the same input
        shared = _shared(known, asked)
        return (*found, *([f"{shared:,} of {len(asked):,} {what} belong to training images too"] if shared else []))
    return (*found, *_known(known, asked, what, protocol))


def same_images(one: Dataset, other: Dataset) -> bool:
    """Whether two data sets hold the same in the same parts, whatever the words that they were opened by."""
    return np.array_equal(one.digests, other.digests) and np.array_equal(one.parts, other.parts)


def _shared(known: np.ndarray, asked: np.ndarray) -> int:
    """How many of the digests `asked` `[N, 32]` are `known`."""
    rows = {row.tobytes() for row in known}
    return sum(row.tobytes() in rows for row in asked)


def _known(known: np.ndarray, asked: np.ndarray, what: str, protocol: Protocol) -> tuple[str, ...]:
    """The same in words, of `what`; nothing where there are none."""
    found = _shared(known, asked)
    if not found:
        return ()
    words = f"{found:,} of {len(asked):,} {what} were trained on"
    if found > MOST_TRAINED_ON * len(asked) and not protocol.on_training_images:
        raise InputError(
            f"{words}, and a copyist is best on them: compare with others by --part or --data, "
            "or give --on-training-images to do it knowingly"
        )
    return (f"{words}: a copyist is best on them",)


def nearly_trained_on(judge: Judge) -> str:
    """What has to be said where real images that are compared with are near copies of training images, or nothing.

    That the j nearest of all are among the m that are compared with, none of them among n validation images, has a
    chance of

        m! (m + n - j)! / ((m - j)! (m + n)!)

    where both are of one kind: said is what has a chance of less than 1 in 1,000. Copies of every pixel, which are
    known anyhow, are not counted.
    """
    if not judge.null_is_of_training_data:
        return ""
    found, null = (distances[distances > 0] for distances in judge.distances_by_pixels())
    nearer = int((found < null.min(initial=np.inf)).sum())
    m, n = len(found), len(null)
    log_chance = lgamma(m + 1) + lgamma(m + n - nearer + 1) - lgamma(m - nearer + 1) - lgamma(m + n + 1)
    if not n or log_chance >= log(RARE):
        return ""
    return (
        f"{nearer:,} of {m:,} images that are compared with lie nearer to a training image, pixel by pixel, "
        f"than any of {n:,} validation images: near copies, it seems, and a copyist is best on them"
    )
