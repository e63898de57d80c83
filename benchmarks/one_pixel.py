"""How brittle are the judges of digits when one pixel changes, or three, or five? Beside random search.

    python benchmarks/one_pixel.py --data mnist.npz --run runs/dcgan --out pictures

Classifiers are those of `digit_classifier.py`, trained anew for each seed, and attacked on test images that are spread
evenly over the test part. The discriminator is that of a trained run (`fairdraw train dcgan-mnist --data mnist.npz
--images 60000 --out runs/dcgan`), attacked on the first draws of a seed, none picked, against all test images as the
real ones. The search is the paper's, but for fewer generations. With --out, sheets show what was attacked.
"""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from digit_classifier import accuracy, has_digits, train_classifier

from fairdraw import data
from fairdraw.capabilities import Discriminates, Generates
from fairdraw.data import Dataset
from fairdraw.errors import InputError
from fairdraw.images import captioned, labelled, save_png, sheet, to_uint8
from fairdraw.metrics.one_pixel import attack_classifier, attack_realness
from fairdraw.metrics.pixel_search import Attacked, Search
from fairdraw.metrics.realness import realness
from fairdraw.order import spread
from fairdraw.trained import Trained

SHOWN = 12
RED = np.array([255, 0, 0], np.uint8)


def classifiers(dataset: Dataset, seeds: tuple[int, ...], count: int, searches: list[Search], out: Path | None) -> None:
    test = dataset.test
    rows = spread(len(test), count)
    images = test.images(rows)
    assert test.labels is not None
    labels = test.labels[rows]
    rates = {search.pixels: [] for search in searches}
    for seed in seeds:
        model = train_classifier(dataset.train, seed)
        print(
            f"\nclassifier of seed {seed}: {100 * accuracy(model, test):.2f} % of {len(test):,} test images", flush=True
        )
        for search in searches:
            start = time.process_time()
            attack = attack_classifier(model.probabilities, images, labels, search, on=f"test images of {dataset.name}")
            rates[search.pixels].append((attack.rate.value, attack.control.value))
            print(f"{attack} [{time.process_time() - start:.0f} s]", flush=True)
            if out is not None:
                told = labels[attack.found.rows]
                words = [f"{a} > {b}" for a, b in zip(told, attack.found.answers.argmax(1), strict=True)]
                caption = f"the first of {attack.found.success.sum()} fooled of {len(told)} attacked"
                path = out / f"classifier-{seed}-{search.pixels}-pixels.png"
                show(path, images, attack.found, words, caption, {"seed": seed}, machine_made=False)
    for pixels, pairs in rates.items():
        (mean, other), (spread_over, other_spread) = np.mean(pairs, axis=0), np.std(pairs, axis=0, ddof=len(pairs) > 1)
        print(
            f"{pixels} pixels, {len(pairs)} seeds: {100 * mean:.1f} % (sd {100 * spread_over:.1f}), "
            f"random search {100 * other:.1f} % (sd {100 * other_spread:.1f})"
        )


def discriminator(run: Path, dataset: Dataset, count: int, searches: list[Search], out: Path | None) -> None:
    trained = Trained.open(run, "cpu")
    model = trained.model
    if not isinstance(model, Generates) or not isinstance(model, Discriminates):
        raise InputError(f"{run}: {trained.facts['model']} has no generator with a discriminator")
    if model.shape != dataset.shape:
        raise InputError(f"{run} draws images of {model.shape}, the data are {dataset.shape}")

    draws = to_uint8(model.sample(count, 0)).numpy()
    real = dataset.test.images(np.arange(len(dataset.test)))
    before = realness(model, draws)
    print(f"\ndiscriminator of {run}: median realness of {count} draws of seed 0 {np.median(before):.3f}, ", end="")
    print(f"of {len(real):,} test images {np.median(realness(model, real)):.3f}", flush=True)
    for search in searches:
        start = time.process_time()
        attack = attack_realness(partial(realness, model), draws, real, search, on="draws of seed 0")
        print(f"{attack} [{time.process_time() - start:.0f} s]", flush=True)
        if out is not None:
            pairs = zip(before[attack.found.rows], attack.found.answers, strict=True)
            words = [f"{a:.1f} > {b:.1f}" for a, b in pairs]
            caption = f"the first of {attack.found.success.sum()} as real as the median, of {len(words)} attacked"
            path = out / f"discriminator-{search.pixels}-pixels.png"
            facts = {"seed": 0, "model_sha256": trained.facts["sha256"]}
            show(path, draws, attack.found, words, caption, facts, machine_made=True)


def show(
    path: Path,
    images: np.ndarray,
    found: Attacked,
    words: list[str],
    caption: str,
    facts: dict[str, object],
    *,
    machine_made: bool,
) -> None:
    """The first images on which the attack succeeded: as they were, as they are, and in red where they differ."""
    first = np.flatnonzero(found.success)[:SHOWN]
    if not len(first):
        print(f"nothing to show in {path.name}: no success")
        return
    before, after = (np.repeat(a, 3, axis=1) for a in (images[found.rows[first]], found.images[first]))
    differ = (before != after).any(1, keepdims=True)
    where = np.where(differ, RED[:, None, None], before // 2)
    tiles = sheet(np.concatenate([before, after, where]), len(first))
    tiles = labelled(tiles, ["original", "changed", "where"], [words[i] for i in first])
    save_png(path, captioned(tiles, caption), {**facts, "rows": found.rows[first].tolist()}, machine_made=machine_made)


def main(
    source: Annotated[str, tyro.conf.arg(name="data")],
    run: Path | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    pixels: tuple[int, ...] = (1, 3, 5),
    count: int = 100,
    population: int = 400,
    generations: int = 20,
    out: Path | None = None,
) -> None:
    """Attack a classifier for each of the seeds, and the discriminator of a run if one is named."""
    torch.set_num_threads(1)
    dataset = data.open(source)
    if not has_digits(dataset):
        raise InputError(f"{source} holds no grey images with the labels 0 to 9")
    searches = [Search(number, population, generations) for number in pixels]
    classifiers(dataset, seeds, count, searches, out)
    if run is not None:
        discriminator(run, dataset, count, searches, out)
    print(f"\n{time.process_time():.0f} s of a core")


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
