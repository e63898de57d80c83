"""The data and the untrained model of an experiment, checked against one another before anything is written."""

import math
import os
import sys
from bisect import bisect_left
from typing import Any

import numpy as np
import torch

from fairdraw import data
from fairdraw.capabilities import Bounds
from fairdraw.config import Experiment
from fairdraw.data import Dataset
from fairdraw.errors import InputError
from fairdraw.images import to_signed
from fairdraw.model import Model
from fairdraw.models import model_name
from fairdraw.order import spread
from fairdraw.progress import preparing

PREPARATION_IMAGES = 10_000
COPIES = 3
"""Of the weights that are there at least in a training: themselves, their averages, their gradients."""
PREPARATION_VALUES = 2**24  # 64 MiB in float32
LONGEST = 2**50
"""Images that no training sees."""


def open_experiment(experiment: Experiment[Any], kind: type[Model], quiet: bool) -> tuple[Dataset, Model]:
    """The data of an experiment, and its model as it is before training.

    Raises:
        InputError: for data that cannot be opened, or that this model or batch cannot be trained on.
    """
    dataset = data.open(experiment.data, experiment.options, progress=None if quiet else preparing(experiment.data))
    _, height, width = dataset.shape
    if height != width:
        raise InputError(f"{experiment.data} has images of {width}x{height} px: give the side of a square with --size")
    if len(dataset.train) < experiment.training.batch:
        left_out = f" without {', '.join(experiment.options.leave_out)}" if experiment.options.leave_out else ""
        raise InputError(
            f"--batch {experiment.training.batch} is larger than the training set: {experiment.data}{left_out} has "
            f"{len(dataset.train)} training images (of {len(dataset.all)}); choose a smaller --batch or "
            + ("leave out fewer labels" if left_out else "add images")
        )
    _check_inputs(kind, dataset, experiment)
    torch.manual_seed(experiment.training.seed)
    model = _built(kind, experiment.model, dataset.shape)
    if experiment.options.binarise and isinstance(model, Bounds) and model.observed == "levels":
        raise InputError("--binarise leaves two of 256 levels, a model of levels wants all: give --decoder bernoulli")
    _check_classes(model.classes, dataset, experiment.data)
    if experiment.training.batch < model.fewest:
        raise InputError(
            f"--batch {experiment.training.batch} has no batch statistics, which this model normalises by: "
            f"give at least {model.fewest}"
        )
    model.prepare(some_images(dataset))
    if not quiet:
        _warn_of_the_length(model, experiment.training.images)
    return dataset, model


def _built(kind: type[Model], config: Any, shape: tuple[int, int, int]) -> Model:
    """The model with its first weights.

    Raises:
        InputError: for options of which no network can be built, or none that this machine has the memory for.
    """
    smaller = "choose smaller numbers, such as of --width, --hidden or --latent"
    try:
        with torch.device("meta"):  # nothing is allocated there
            parameters = sum(p.numel() for p in kind(config, shape).parameters())
    except (ArithmeticError, MemoryError, RuntimeError, TypeError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"no {model_name(kind)} can be built of these options ({why}): {smaller}") from error
    needed, there = 4 * COPIES * parameters, _memory()
    if needed > there:
        raise InputError(
            f"{parameters:,} parameters need {needed / 1e9:,.0f} GB while they are trained, and this machine has "
            f"{there / 1e9:,.0f}: {smaller}"
        )
    return kind(config, shape)


def _memory() -> float:
    """Bytes of this machine's memory; without end where it does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def _check_inputs(kind: type[Model], dataset: Dataset, experiment: Experiment[Any]) -> None:
    inputs, named = dataset.inputs, experiment.options.inputs
    if kind.takes == "images":
        if inputs is not None:
            raise InputError(f"--inputs {named}: {model_name(kind)} learns from images alone; leave it out")
        return
    if inputs is None:
        how = "equal names" if kind.takes == "pairs" else "pictures of the other kind"
        raise InputError(
            f"{model_name(kind)} translates from one kind of image to another: name what into {experiment.data} with "
            f"--inputs: a source with {how}, left or right of side-by-side pictures, or edges, grey, mask or low"
        )
    if kind.takes == "pairs" and inputs.unpaired:
        raise InputError(inputs.unpaired)
    if not dataset.train.count_of("a"):
        raise InputError(f"--inputs {named} has no training images: add pictures")


def _check_classes(classes: int, dataset: Dataset, name: str) -> None:
    if classes == 0:
        return
    labels = dataset.train.labels
    found = 0 if labels is None else len(dataset.label_names)
    if found < 2:
        raise InputError(
            f"--classes {classes}: {name} has {'images of one label only' if found else 'no labels'}; sort the "
            "pictures into a folder for each label, or leave --classes out"
        )
    if found != classes:
        raise InputError(f"--classes {classes}: {name} has {found} labels; give --classes {found}")
    if labels is not None and len(np.unique(labels)) < 2:
        raise InputError(
            f"--classes {classes}: all training images of {name} have one label; leave out fewer labels, or leave "
            "--classes out"
        )


def _warn_of_the_length(model: Model, images: int) -> None:
    """Say that the last stage of the model, such as its full size, lies beyond the end of the training."""
    last = model.stage(LONGEST)
    if model.stage(images - 1) < last:
        begins = bisect_left(range(LONGEST), last, key=model.stage)
        print(
            f"warning: the last stage of this model begins after {begins:,} images and is not reached in {images:,}: "
            "give more --images, or shorten the stages before it",
            file=sys.stderr,
        )


def some_images(dataset: Dataset) -> torch.Tensor:
    """Training images spread over the set, as many as fit a modest memory, `[N, C, H, W]` in [-1, 1]."""
    where = spread(len(dataset.train), affordable(PREPARATION_IMAGES, dataset.shape))
    return to_signed(torch.from_numpy(dataset.train.images(where)))


def affordable(count: int, shape: tuple[int, int, int]) -> int:
    """At most `count` images of `shape`, so many that they fit a modest memory, and at least one."""
    return max(1, min(count, PREPARATION_VALUES // math.prod(shape)))
