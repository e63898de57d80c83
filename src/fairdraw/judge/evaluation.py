"""A whole evaluation: the images of one source or model, judged beside real and trivial ones, by a stated protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import fairdraw
from fairdraw.data import Dataset, Split
from fairdraw.errors import InputError
from fairdraw.judge.judge import Judge, Judgement, Tick
from fairdraw.judge.references import References, references
from fairdraw.latent import drawn
from fairdraw.metrics.features import Features
from fairdraw.metrics.held_out import held_out_numbers
from fairdraw.metrics.number import FEWEST, Number
from fairdraw.model import Conditions, Generates, Model
from fairdraw.pictures import generated
from fairdraw.trained import Trained

SHOWN = 64
WORST = 10


@dataclass(frozen=True)
class Protocol:
    """What is compared with what.

    Args:
        count: images judged, and real ones to compare with, at most.
        seed: of the draws, the bootstrap and all random choices.
        part: the part of the data to compare with; `train` only where `on_training_images` says so.
        on_training_images: compare with images that were trained on, knowing what that is worth.
    """

    count: int
    seed: int = 0
    part: str = "test"
    on_training_images: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What the report is made of.

    Args:
        subject: what was judged, in words.
        about: what it depends on, as JSON: model, data, protocol, feature networks, versions.
        judgement: the numbers of the images.
        references: the numbers of real images and of trivial generators.
        numbers: held-out reconstruction and likelihood, where the model has them.
        samples: the first images, `[64, C, H, W]`.
        worst: the images nearest to training images, `[10, C, H, W]`, and these.
        nulls: how close held-out images come to training images.
        remarks: what a reader has to know before the numbers.
    """

    subject: str
    about: dict[str, Any]
    judgement: Judgement
    references: References
    numbers: Sequence[Number]
    samples: np.ndarray
    worst: tuple[np.ndarray, np.ndarray]
    nulls: np.ndarray
    remarks: tuple[str, ...] = ()


def judge_for(dataset: Dataset, features: Sequence[Features], protocol: Protocol) -> Judge:
    """A judge of images like those of `dataset`.

    Raises:
        InputError: where the part to compare with was trained on, unless that is wanted, or has too few images.
    """
    held_out = dataset.split(protocol.part)  # type: ignore[arg-type]
    if protocol.part in ("train", "all") and not protocol.on_training_images:
        raise InputError(
            f"the {protocol.part} part of {dataset.name} was trained on, and a copyist is best on it: "
            "give --part test, or --on-training-images to do it knowingly"
        )
    if len(held_out) < FEWEST:
        raise InputError(
            f"{dataset.name} has {len(held_out)} {protocol.part} images (of {len(dataset):,}), too few to judge by: "
            f"give at least {FEWEST}, or choose another --part"
        )
    null = dataset.validation if len(dataset.validation) >= FEWEST else held_out
    return Judge(dataset.train, held_out, null, features, protocol.count, protocol.seed)


def evaluate_model(
    trained: Trained, dataset: Dataset, features: Sequence[Features], protocol: Protocol, tick: Tick
) -> Evaluation:
    """Judge the first draws of a trained model.

    Raises:
        InputError: as `judge_for`, and for a model that draws nothing.
    """
    model = trained.model
    if not isinstance(model, Generates):
        raise InputError(f"{trained.path}: {trained.facts['model']} draws no images to be judged")
    judge = judge_for(dataset, features, protocol)
    tick(f"{protocol.count:,} draws")
    images, labels = _draws(model, dataset, protocol)
    numbers = held_out_numbers(model, dataset, protocol.seed)
    about = {
        "model": trained.facts["model"],
        "model_sha256": trained.facts["sha256"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "config": trained.facts["config"],
        "images_seen": trained.facts.get("images"),
        "training_seed": trained.facts.get("seed"),
    }
    subject = f"{len(images):,} draws of seed {protocol.seed} of {trained.facts['model']} ({trained.path})"
    return _evaluation(subject, about, judge, images, labels, numbers, protocol, tick)


def evaluate_images(
    generated: Split, dataset: Dataset, features: Sequence[Features], protocol: Protocol, tick: Tick
) -> Evaluation:
    """Judge pictures that come from anywhere, as if they had been made by a model of the training part of `dataset`.

    Raises:
        InputError: as `judge_for`, and where all are one picture, or all are pictures of the data.
    """
    judge = judge_for(dataset, features, protocol)
    name = generated.dataset.name
    images = generated.images(np.arange(min(len(generated), protocol.count)))
    judge.check(images, f"pictures of {name}")
    digests = generated.dataset.digests[generated.indices]
    if len(np.unique(digests, axis=0)) == 1 and len(digests) > 1:
        raise InputError(f"all {len(digests):,} pictures of {name} are the same one: there is nothing to measure")
    known = {row.tobytes() for row in dataset.digests}
    shared = sum(row.tobytes() in known for row in digests)
    if shared == len(digests):
        raise InputError(f"all {shared:,} pictures of {name} are pictures of {dataset.name}: copies, not samples")
    remarks = (f"{shared:,} of {len(digests):,} pictures are pictures of {dataset.name}",) if shared else ()
    about = {"generated": name, "generated_fingerprint": generated.dataset.fingerprint}
    subject = f"{len(images):,} pictures of {name}"
    return _evaluation(subject, about, judge, images, None, (), protocol, tick, remarks)


def _draws(model: Generates, dataset: Dataset, protocol: Protocol) -> tuple[np.ndarray, np.ndarray | None]:
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
    numbers: Sequence[Number],
    protocol: Protocol,
    tick: Tick,
    remarks: tuple[str, ...] = (),
) -> Evaluation:
    found = judge.judge(images, labels, tick)
    worst = found.worst_copies(WORST)
    data = judge.train.dataset
    if protocol.part in ("train", "all"):
        remarks = ("the numbers are against images that were trained on: a copyist is best on them", *remarks)
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
        numbers,
        images[:SHOWN],
        (images[worst], judge.train.images(found.near.places[worst])),
        judge.null_closeness(),
        remarks,
    )
