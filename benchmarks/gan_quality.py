"""How good the images of a trained model are: distances, shares and classes, beside real and trivial images.

    python benchmarks/gan_quality.py runs/dcgan-mnist --classifier digits.safetensors

The first draws of a seed, none picked, are judged against held-out images. The same numbers of training images are what
perfect images would get; those of the mean image and of a Gaussian for each pixel are what has to be beaten. Grey
images with the labels 0 to 9 are judged in the features of `digit_classifier.py` too, which is trained on the run's own
training images where its file is not there; of other images there is only what `pixels-pca64` tells.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from digit_classifier import (
    accuracy,
    load_classifier,
    save_classifier,
    train_classifier,
)

from fairdraw.capabilities import Generates
from fairdraw.data import Dataset, SplitName
from fairdraw.errors import InputError
from fairdraw.images import to_uint8
from fairdraw.judge.trivial import TRIVIAL
from fairdraw.metrics.digits import DIGITS, DigitClassifier
from fairdraw.metrics.features import Features, PixelPCA
from fairdraw.metrics.frechet import frechet_distance
from fairdraw.metrics.manifold import manifold
from fairdraw.metrics.networks import has_digits
from fairdraw.order import spread
from fairdraw.trained import Trained

COUNT = 10_000


class Judge:
    """Real images to compare with, of a part that was not trained on, and the features to do it in."""

    def __init__(self, dataset: Dataset, classifier: DigitClassifier | None, part: SplitName, count: int) -> None:
        held_out = dataset.split(part)
        self.dataset, self.classifier = dataset, classifier
        pixels = PixelPCA.fitted(dataset.train)
        self.features: tuple[Features, ...] = (pixels,) if classifier is None else (pixels, classifier)
        images = held_out.images(spread(len(held_out), count))
        self.count = len(images)
        self.real = {features.name: features.of(images) for features in self.features}

    def numbers(self, images: np.ndarray) -> dict[str, Any]:
        """What is told of uint8 `images` `[N, C, H, W]`; shares are on [0, 1], and those of digits are in their order.

        Raises:
            InputError: for fewer than 30 images, or another shape.
        """
        if images.shape[1:] != self.dataset.shape:
            raise InputError(f"images of {images.shape[1:]} cannot be judged by real ones of {self.dataset.shape}")
        found: dict[str, Any] = {"count": len(images)}
        for features in self.features:
            made = features.of(images)
            found[f"FD({features.name})"] = frechet_distance(self.real[features.name], made)
        found |= {f"{k}({features.name})": v for k, v in asdict(manifold(self.real[features.name], made)).items()}
        if self.classifier is not None:
            probabilities = self.classifier.probabilities(images)
            found["confidence"] = float(probabilities.max(1).mean())
            found["digits"] = (np.bincount(probabilities.argmax(1), minlength=len(DIGITS)) / len(images)).tolist()
        return found

    def references(self, count: int) -> dict[str, dict[str, Any]]:
        """The numbers of `count` training images, of their mean, and of a Gaussian for each of their pixels."""
        return {
            name: self.numbers(TRIVIAL[name](self.dataset.train, count, 0))
            for name in ("training images", "mean image", "pixel Gaussian")
        }


def judge_for(dataset: Dataset, file: Path | None, part: SplitName = "test", count: int = COUNT) -> Judge:
    """A judge of images like those of `dataset`; a classifier is read from `file`, or trained and written there."""
    if not has_digits(dataset):
        return Judge(dataset, None, part, count)
    if file is not None and file.exists():
        return Judge(dataset, load_classifier(file, dataset.shape[1]), part, count)
    classifier = train_classifier(dataset.train)
    if file is not None:
        save_classifier(file, classifier)
    return Judge(dataset, classifier, part, count)


def show(rows: dict[str, dict[str, Any]]) -> None:
    names = list(next(iter(rows.values())))
    print(f"{'':24}" + "".join(f"{row:>20}" for row in rows))
    for name in names:
        if name == "digits":
            for digit in DIGITS:
                cells = (f"{100 * row[name][int(digit)]:.1f} %" for row in rows.values())
                print(f"{'taken for ' + digit:24}" + "".join(f"{cell:>20}" for cell in cells))
        else:
            cells = (f"{row[name]:,}" if name == "count" else f"{row[name]:.3f}" for row in rows.values())
            print(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells))


def main(
    run: tyro.conf.Positional[Path],
    source: Annotated[str | None, tyro.conf.arg(name="data")] = None,
    part: Literal["validation", "test"] = "test",
    count: int = COUNT,
    classifier: Path | None = None,
    seed: int = 0,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Print a table of the numbers of `count` draws of a run, and of what to compare them with.

    Choose by the validation part, and look at the test part once.
    """
    torch.set_num_threads(1)
    trained = Trained.open(run, "cpu")
    if not isinstance(trained.model, Generates):
        raise InputError(f"{run}: {trained.facts['model']} generates no images")
    dataset = trained.training_data() if source is None else trained.open_data(source)[0]
    judge = judge_for(dataset, classifier, part, count)
    rows = {"model": judge.numbers(to_uint8(trained.model.sample(count, seed)).numpy()), **judge.references(count)}
    share = None if judge.classifier is None else accuracy(judge.classifier, dataset.test)
    facts = {
        "run": str(run),
        "model_sha256": trained.facts["sha256"],
        "seed": seed,
        "part": part,
        "against": judge.count,
    }
    if as_json:
        print(json.dumps({**facts, "classifier_accuracy": share, **rows}, allow_nan=False))
        return
    print(f"{count:,} draws of seed {seed} of {run} against {judge.count:,} {part} images of {dataset.name}")
    if share is not None:
        print(f"the classifier takes {100 * share:.2f} % of {len(dataset.test):,} test digits for what they are")
    show(rows)


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
