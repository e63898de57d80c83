"""A whole evaluation: the images of one source or model, judged beside real and trivial ones, by a stated protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

import fairdraw
from fairdraw.capabilities import Conditions, Generates
from fairdraw.data import Dataset, Split, SplitName
from fairdraw.errors import InputError
from fairdraw.judge.judge import Judge, Judgement, Tick
from fairdraw.judge.references import References, references
from fairdraw.latent import drawn
from fairdraw.metrics.features import Features
from fairdraw.metrics.held_out import held_out_numbers
from fairdraw.metrics.number import FEWEST, Number
from fairdraw.model import Model
from fairdraw.pictures import generated
from fairdraw.trained import Trained

SHOWN = 64
WORST = 10
MOST_TRAINED_ON = 0.01
"""Share of the images to compare with that may have been trained on, as duplicates in an official split."""


@dataclass(frozen=True)
class Protocol:
    """What is compared with what.

    Args:
        count: images judged, and real ones to compare with, at most.
        seed: of the draws, the bootstrap and all random choices.
        part: the part of the data to compare with.
        on_training_images: compare with images that were trained on, knowing what that is worth.
    """

    count: int
    seed: int = 0
    part: SplitName = "test"
    on_training_images: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What the report is made of.

    Args:
        subject: what was judged, in words.
        about: what it depends on, as JSON: model, data, protocol, feature networks, versions.
        judgement: the numbers of the images.
        references: the numbers of real images and of trivial generators.
        samples: the first images, `[64, C, H, W]`.
        worst: the images nearest to training images, `[10, C, H, W]`, and these.
        nulls: how close held-out images come to training images.
        numbers: held-out reconstruction and likelihood, where the model has them.
        remarks: what a reader has to know before the numbers.
    """

    subject: str
    about: dict[str, Any]
    judgement: Judgement
    references: References
    samples: np.ndarray
    worst: tuple[np.ndarray, np.ndarray]
    nulls: np.ndarray
    numbers: tuple[Number, ...] = ()
    remarks: tuple[str, ...] = ()


def judge_for(
    train: Dataset, real: Dataset, features: Sequence[Features], protocol: Protocol
) -> tuple[Judge, tuple[str, ...]]:
    """A judge by the images of `real`, of a model of the training part of `train`; and what a reader has to know.

    Raises:
        InputError: where the part to compare with was trained on, unless that is wanted, or has too few images.
    """
    held_out = real.split(protocol.part)
    if len(held_out) < FEWEST:
        raise InputError(
            f"{real.name} has {len(held_out)} {protocol.part} images (of {len(real):,}), too few to judge by: "
            f"give at least {FEWEST}, or choose another --part"
        )
    known = {row.tobytes() for row in train.digests[train.train.indices]}
    trained_on = sum(row.tobytes() in known for row in real.digests[held_out.indices])
    remarks: tuple[str, ...] = ()
    if trained_on:
        words = f"{trained_on:,} of {len(held_out):,} {protocol.part} images of {real.name} were trained on"
        if trained_on > MOST_TRAINED_ON * len(held_out) and not protocol.on_training_images:
            raise InputError(
                f"{words}, and a copyist is best on them: compare with others by --part or --data, "
                "or give --on-training-images to do it knowingly"
            )
        remarks = (f"{words}: a copyist is best on them",)
    null = train.validation if len(train.validation) >= FEWEST else held_out
    return Judge(train.train, held_out, null, features, protocol.count, protocol.seed), remarks


def evaluate_model(
    trained: Trained, train: Dataset, real: Dataset, features: Sequence[Features], protocol: Protocol, tick: Tick
) -> Evaluation:
    """Judge the first draws of a model that was trained on `train` by the images of `real`.

    Raises:
        InputError: as `judge_for`, and for a model that draws nothing.
    """
    model = trained.model
    if not isinstance(model, Generates):
        raise InputError(f"{trained.path}: {trained.facts['model']} draws no images to be judged")
    judge, remarks = judge_for(train, real, features, protocol)
    tick(f"{protocol.count:,} draws")
    images, labels = draws(model, train, protocol)
    about = {
        "model": trained.facts["model"],
        "model_sha256": trained.facts["sha256"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "config": trained.facts["config"],
        "images_seen": trained.facts.get("images"),
        "training_seed": trained.facts.get("training", {}).get("seed"),
    }
    subject = f"{len(images):,} draws of seed {protocol.seed} of {trained.facts['model']} ({trained.path})"
    found = _evaluation(subject, about, judge, images, labels, protocol, tick)
    numbers = tuple(held_out_numbers(model, train, protocol.seed))
    return replace(found, numbers=numbers, remarks=remarks)


def evaluate_images(
    generated: Split, real: Dataset, features: Sequence[Features], protocol: Protocol, tick: Tick
) -> Evaluation:
    """Judge pictures that come from anywhere, as if they had been made by a model of the training part of `real`.

    Raises:
        InputError: as `judge_for`, and where all are one picture, or all are pictures of the data.
    """
    judge, remarks = judge_for(real, real, features, protocol)
    name = generated.dataset.name
    images = generated.images(np.arange(min(len(generated), protocol.count)))
    judge.check(images, f"pictures of {name}")
    digests = [row.tobytes() for row in generated.dataset.digests[generated.indices]]
    if len(set(digests)) == 1:
        raise InputError(f"all {len(digests):,} pictures of {name} are the same one: there is nothing to measure")
    known = {row.tobytes() for row in real.digests}
    shared = sum(digest in known for digest in digests)
    if shared == len(digests):
        raise InputError(f"all {shared:,} pictures of {name} are pictures of {real.name}: copies, not samples")
    if shared:
        remarks = (f"{shared:,} of {len(digests):,} pictures are pictures of {real.name}", *remarks)
    about = {"model": None, "generated": name, "generated_fingerprint": generated.dataset.fingerprint}
    found = _evaluation(f"{len(images):,} pictures of {name}", about, judge, images, None, protocol, tick)
    return replace(found, remarks=remarks)


def draws(model: Generates, dataset: Dataset, protocol: Protocol) -> tuple[np.ndarray, np.ndarray | None]:
    """The first draws of a seed, and the names of the classes that they were asked for where there are any."""
    z = drawn(model, protocol.count, protocol.seed)
    images = generated(model, z)
    if not (isinstance(model, Conditions) and isinstance(model, Model) and model.classes):
        return images, None
    return images, np.array(dataset.label_names)[model.class_of(z).cpu().numpy()]


def _evaluation(
    subject: str,
    about: dict[str, Any],
    judge: Judge,
    images: np.ndarray,
    labels: np.ndarray | None,
    protocol: Protocol,
    tick: Tick,
) -> Evaluation:
    found = judge.judge(images, labels, tick)
    worst = found.worst_copies(WORST)
    data = judge.train.dataset
    about = about | {
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "training_images": len(judge.train),
        "against": judge.against,
        "count": len(images),
        "seed": protocol.seed,
        "part": protocol.part,
        "features": [{"name": f.name, "sha256": f.sha256, "resize": f.resize} for f in judge.features],
        "versions": {"fairdraw": fairdraw.__version__, "torch": torch.__version__, "numpy": np.__version__},
    }
    return Evaluation(
        subject,
        about,
        found,
        references(judge, len(images), tick),
        images[:SHOWN],
        (images[worst], judge.train.images(found.near.places[worst])),
        judge.null_closeness(),
    )
