"""Counting, perspective and global structure, read off the draws of a model of the built-in sets `scenes-*`."""

from collections.abc import Iterator

import numpy as np

from fairdraw.data import Dataset
from fairdraw.data.scenes import COUNT, KINDS, UNITS, Kind, scene
from fairdraw.judge.probe import Probe
from fairdraw.metrics.scenes import scene_numbers

MOST_READ = 2_000
COLUMNS = "judged", "real images", "halves of two real images"


def scene_probes(images: np.ndarray, on: str, *datasets: Dataset) -> Iterator[Probe]:
    """What can be read off uint8 `images` `[N, C, H, W]`, if one of `datasets` is one of the sets of scenes.

    The first 2,000 are read, beside as many real ones that are in no set, and beside left and right halves of two
    others put together: right in each half, wrong as a whole.

    Args:
        images: in the order in which they were drawn.
        on: which images these are, in words, such as "draws of seed 0".
        datasets: what the images may be of; the first set of scenes among them counts.
    """
    kinds = next((KINDS[one.name] for one in datasets if one.label_names == KINDS.get(one.name)), None)
    if kinds is None:
        return
    if len(kinds) > 1:
        yield Probe("Scenes", "What a picture is meant to show is not known where a set holds several kinds: not read.")
        return
    title, side = f"Scenes: {kinds[0]}", images.shape[2]
    if images.shape[1] != 3 or side != images.shape[3] or side < UNITS:
        yield Probe(title, f"Scenes are read in colour, square, from {UNITS} px up: not read.")
        return
    images = images[:MOST_READ]
    real = unseen(kinds[0], 2 * len(images), side)
    real, others = real[: len(images)], real[len(images) :]
    read = scene_numbers(kinds[0], images, real, on=on, real_on="pictures that are in no set")
    mixed = scene_numbers(kinds[0], halves(others), real, on="such halves", real_on="pictures that are in no set")
    rows = tuple((a.generated, a.real, b.generated) for a, b in zip(read, mixed, strict=True))
    yield Probe(title, "Shares of images that obey the rules by which real ones are drawn.", COLUMNS, rows)


def unseen(kind: Kind, count: int, side: int) -> np.ndarray:
    """Real pictures that are in no set, uint8 `[N, 3, H, H]`."""
    return np.stack([scene(kind, COUNT + number).draw(side) for number in range(count)]).transpose(0, 3, 1, 2)


def halves(real: np.ndarray) -> np.ndarray:
    """The left half of each picture beside the right half of the next."""
    middle = real.shape[3] // 2
    return np.concatenate([real[..., :middle], np.roll(real, -1, axis=0)[..., middle:]], axis=3)
