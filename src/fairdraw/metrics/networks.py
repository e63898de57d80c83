"""Feature networks by name."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from fairdraw.data import Dataset, Split
from fairdraw.errors import InputError, nearest
from fairdraw.metrics.digits import DIGITS, DigitClassifier
from fairdraw.metrics.efficientnet import EfficientNetLite0
from fairdraw.metrics.features import Features, PixelPCA
from fairdraw.metrics.inception import Inception
from fairdraw.nets.efficientnet import PACKAGE

NAMES = ("pixels-pca64", "digits", "efficientnet-lite0", "inception")


def features_named(
    name: str, train: Split | None = None, weights: Path | None = None, device: torch.device | str = "cpu"
) -> Features:
    """The features called `name`.

    Args:
        name: one of `NAMES`.
        train: training images, whose principal directions `pixels-pca64` are.
        weights: a file to take instead of a download, for networks that have one.
        device: where the network computes.

    Raises:
        InputError: for another name, or `pixels-pca64` without training images.
    """
    if name == "pixels-pca64":
        if train is None:
            raise InputError("pixels-pca64 are the principal directions of training images: give some")
        return PixelPCA.fitted(train)
    if name == "digits":
        return DigitClassifier.packaged().to(device)
    if name == "efficientnet-lite0":
        return EfficientNetLite0.packaged().to(device)
    if name == "inception":
        return Inception.from_file(weights).to(device)
    raise InputError(f"no features {name!r}{nearest(name, NAMES)}; there are {', '.join(NAMES)}")


def features_for(given: Sequence[Features | str], train: Split) -> list[Features]:
    """The features `given`, by name or as they are; `train` are the training images of what they judge.

    Raises:
        InputError: as `features_named`; for none at all, what are no features, or two kinds of one name.
    """
    found: list[Features] = []
    for each in given:
        if not isinstance(each, Features | str):
            what = type(each).__name__
            raise InputError(f"{what} are no features: give a name, or ModuleFeatures(module, name) of a module")
        features = features_named(each, train) if isinstance(each, str) else each
        if features.name in {other.name for other in found}:
            raise InputError(f"two kinds of features are called {features.name}: their numbers could not be told apart")
        found.append(features)
    if not found:
        raise InputError(f"there are no features to judge by: give some, as {NAMES[0]}")
    return found


def suitable(dataset: Dataset) -> tuple[str, ...]:
    """The names of the features that images like those of `dataset` are judged by where nothing else is said."""
    if has_digits(dataset):
        return "pixels-pca64", "digits"
    return ("pixels-pca64", "efficientnet-lite0") if dataset.shape[0] > 1 and has_photographs() else ("pixels-pca64",)


def has_photographs() -> bool:
    """Whether the package of a network that knows colour photographs and drawings is installed."""
    return find_spec(PACKAGE) is not None


def has_digits(dataset: Dataset) -> bool:
    """Whether the classifier of digits can judge such images: grey, and labelled 0 to 9."""
    return dataset.shape[0] == 1 and dataset.label_names == DIGITS
