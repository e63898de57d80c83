"""How brittle are the judges of digits when one pixel changes, or three, or five? Beside random search.

    python benchmarks/one_pixel.py --data mnist.npz --runs runs/dcgan-0 runs/dcgan-1 --out pictures

Classifiers are those of `digit_classifier.py`, trained anew for each seed, and attacked on test images that are spread
evenly over the test part. Discriminators are those of trained runs (`fairdraw train dcgan-mnist --data mnist.npz
--out runs/dcgan-0`), attacked on the first draws of a seed, none picked, against all test images as the real ones;
`--seeds` without a number leaves the classifiers out. The search is the paper's, but for fewer generations. With --out,
sheets show what was attacked: where it succeeded first, then where it did not.
"""

import sys
import time
from collections import Counter
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
from fairdraw.data.options import counted, plural
from fairdraw.errors import InputError
from fairdraw.images import captioned, labelled, save_png, sheet, to_uint8
from fairdraw.metrics.one_pixel import OnePixel, attack_classifier, attack_realness
from fairdraw.metrics.pixel_search import Attacked, Search
from fairdraw.metrics.realness import realness
from fairdraw.model import Model
from fairdraw.order import spread
from fairdraw.trained import Trained

SHOWN = 12
LARGER = 3
"""Times that images are enlarged, so that one pixel can be seen."""
OTHERS = 1_000
RED = np.array([255, 0, 0], np.uint8)


def classifiers(dataset: Dataset, seeds: tuple[int, ...], count: int, searches: list[Search], out: Path | None) -> None:
    if not has_digits(dataset):
        raise InputError(f"{dataset.name} holds no grey images with the labels 0 to 9: leave the classifiers out")
    test = dataset.test
    rows = spread(len(test), count)
    images = test.images(rows)
    assert test.labels is not None
    labels = test.labels[rows]
    found: dict[int, list[OnePixel]] = {search.pixels: [] for search in searches}
    for seed in seeds:
        model = train_classifier(dataset.train, seed)
        print(f"\nclassifier of seed {seed}: {100 * accuracy(model, test):.2f} % of {len(test):,} test images")
        for search in searches:
            start = time.process_time()
            attack = attack_classifier(model.probabilities, images, labels, search, on=f"test images of {dataset.name}")
            found[search.pixels].append(attack)
            told = labels[attack.found.rows]
            sure, by_random = (
                answers[np.arange(len(told)), told]
                for answers in (attack.found.answers, attack.found_by_control.answers)
            )
            print(
                f"{attack}; true class left with {sure.mean():.4f} on average, the least sure {sure.min():.4f} "
                f"(random search {by_random.mean():.4f}, {by_random.min():.4f}) [{time.process_time() - start:.0f} s]",
                flush=True,
            )
            if out is not None:
                pairs = zip(told, attack.found.answers, sure, strict=True)
                words = [f"{a}: {p:.2f}" if y.argmax() == a else f"{a} > {y.argmax()}" for a, y, p in pairs]
                caption = f"{attack.found.success.sum()} fooled of {len(told)} attacked; else how sure of the true one"
                path = out / f"classifier-{seed}-{search.pixels}-pixels.png"
                show(path, images, attack.found, words, caption, {"seed": seed}, machine_made=False)
    summary("classifiers", found)


def discriminators(
    runs: tuple[Path, ...], dataset: Dataset, count: int, searches: list[Search], out: Path | None
) -> None:
    real = dataset.test.images(np.arange(len(dataset.test)))
    found: dict[int, list[OnePixel]] = {search.pixels: [] for search in searches}
    for run in runs:
        trained = Trained.open(run, "cpu")
        model = trained.model
        if not isinstance(model, Generates) or not isinstance(model, Discriminates):
            raise InputError(f"{run}: {trained.facts['model']} has no generator with a discriminator")
        if model.shape != dataset.shape:
            raise InputError(f"{run} draws images of {model.shape}, the data are {dataset.shape}")
        draws = to_uint8(model.sample(count, 0)).numpy()
        before = realness(model, draws)
        medians = np.median(before), np.median(realness(model, real))
        print(f"\ndiscriminator of {run}: median realness of {count} draws of seed 0 {medians[0]:.3f}, ", end="")
        print(f"of {len(real):,} test images {medians[1]:.3f}", flush=True)
        for search in searches:
            start = time.process_time()
            attack = attack_realness(partial(realness, model), draws, real, search, on="draws of seed 0")
            found[search.pixels].append(attack)
            print(f"{attack} [{time.process_time() - start:.0f} s]", flush=True)
            if search.pixels == 1:
                print(one_place(model, draws, attack.found, real), flush=True)
            if out is not None:
                pairs = zip(before[attack.found.rows], attack.found.answers, strict=True)
                words = [f"{a:.1f} > {b:.1f}" for a, b in pairs]
                reached = f"{attack.found.success.sum()} of {len(words)} attacked"
                caption = f"{reached} reach the median real one, {medians[1]:.1f}"
                path = out / f"{run.name}-{search.pixels}-pixels.png"
                facts = {"seed": 0, "model_sha256": trained.facts["sha256"]}
                show(path, draws, attack.found, words, caption, facts, machine_made=True)
    summary("discriminators", found)


def one_place(model: Model, draws: np.ndarray, found: Attacked, real: np.ndarray) -> str:
    """What the change that was found most often does to other images: is it about the image, or about the place?"""
    differ = (draws[found.rows] != found.images).any(1)
    changes = Counter(tuple(np.argwhere(each)[0].tolist()) for each in differ if each.any())
    ((row, column), times) = changes.most_common(1)[0]
    level = np.median(found.images[differ[:, row, column], :, row, column], axis=0).astype(np.uint8)
    assert isinstance(model, Generates)
    others = {
        "draws of seed 1": to_uint8(model.sample(OTHERS, 1)).numpy(),
        "real images": real[spread(len(real), OTHERS)],
    }
    words = []
    for name, images in others.items():
        changed = images.copy()
        changed[:, :, row, column] = level
        rise = realness(model, changed) - realness(model, images)
        words.append(f"{counted(len(rise), name)} by {rise.mean():.2f} ({100 * (rise > 0).mean():.1f} % of them rise)")
    return f"found {times} times: row {row}, column {column}, level {level.tolist()}; it raises {' and '.join(words)}"


def summary(judges: str, found: dict[int, list[OnePixel]]) -> None:
    """Success over several trainings: the mean, and how much it differs between them."""
    for pixels, attacks in found.items():
        rates = 100 * np.array([(attack.rate.value, attack.control.value) for attack in attacks])
        words = [f"{rate:.1f} %" for rate in rates.mean(0)]
        if len(attacks) > 1:
            words = [f"{word} (sd {sd:.1f})" for word, sd in zip(words, rates.std(0, ddof=1), strict=True)]
        print(f"{plural(pixels, 'pixel')}, {len(attacks)} {judges}: {words[0]}, random search {words[1]}")


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
    """The first images, fooled ones before others: as they were, as they are, and in red where they differ."""
    first = np.argsort(~found.success, kind="stable")[:SHOWN]
    before, after = (np.repeat(a, 3, axis=1) for a in (images[found.rows[first]], found.images[first]))
    differ = (before != after).any(1, keepdims=True)
    where = np.where(differ, RED[:, None, None], before // 2)
    tiles = np.concatenate([before, after, where]).repeat(LARGER, axis=2).repeat(LARGER, axis=3)
    labels = labelled(sheet(tiles, len(first)), ["original", "changed", "where"], [words[i] for i in first])
    save_png(path, captioned(labels, caption), {**facts, "rows": found.rows[first].tolist()}, machine_made=machine_made)


def main(
    source: Annotated[str, tyro.conf.arg(name="data")],
    runs: tuple[Path, ...] = (),
    seeds: tuple[int, ...] = (0, 1, 2),
    pixels: tuple[int, ...] = (1, 3, 5),
    count: int = 100,
    population: int = 400,
    generations: int = 20,
    out: Path | None = None,
) -> None:
    """Attack a classifier for each of the seeds, and the discriminator of each of the runs."""
    torch.set_num_threads(1)
    dataset = data.open(source)
    searches = [Search(number, population, generations) for number in pixels]
    if seeds:
        classifiers(dataset, seeds, count, searches, out)
    if runs:
        discriminators(runs, dataset, count, searches, out)
    print(f"\n{time.process_time():.0f} s of a core")


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
