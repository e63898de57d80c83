"""A whole evaluation: the images of one source or model, judged beside real and trivial ones, by a stated protocol."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

import fairdraw
from fairdraw.capabilities import Conditions, Discriminates, Generates, sample_chunk
from fairdraw.data import Dataset, Split
from fairdraw.errors import InputError
from fairdraw.judge.brittleness import Accuracies, accuracies, classifier_attacks, discriminator_attack
from fairdraw.judge.judge import Judge, Tick
from fairdraw.judge.judgement import Judgement
from fairdraw.judge.probe import Probe
from fairdraw.judge.protocol import Protocol, nearly_trained_on, trained_on
from fairdraw.judge.references import References, beside_references
from fairdraw.judge.scenes import scene_probes
from fairdraw.judge.score import Score
from fairdraw.latent import drawn
from fairdraw.metrics.features import Features
from fairdraw.metrics.held_out import held_out_numbers
from fairdraw.metrics.number import FEWEST, Number
from fairdraw.model import Model
from fairdraw.order import positions
from fairdraw.pictures import generated
from fairdraw.share import Share, in_turn
from fairdraw.trained import Trained

SHOWN = 64
DRAWN_AT_A_TIME = 256
"""As one task of those that processes share."""
WORST = 10


class Copies(NamedTuple):
    """How near images come to those that were trained on.

    Args:
        closeness: of each, as `NearestTraining.closeness`.
        nulls: of held-out images.
        worst: the images that come nearest, `[10, C, H, W]`, and their training images.
    """

    closeness: np.ndarray
    nulls: np.ndarray
    worst: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """What the report is made of.

    Args:
        subject: what was judged, in words.
        about: what it depends on, as JSON: model, data, protocol, feature networks, versions.
        scores: the numbers of what was judged.
        references: the same numbers of real images and of what needs no model.
        samples: the first images, `[N, C, H, W]`, in groups that are shown side by side.
        caption: what these are, in words.
        shares: of the images that each class is the most probable of, `[K]`, by the name of each classifier.
        copies: how near they come to training images, where that is a question.
        numbers: held-out reconstruction and likelihood, where the model has them.
        remarks: what a reader has to know before the numbers.
        accuracies: how often the classifiers are right that make some of the scores.
        probes: numbers of other kinds, beside what these have to be read by.
    """

    subject: str
    about: dict[str, Any]
    scores: tuple[Score, ...]
    references: References
    samples: tuple[np.ndarray, ...]
    caption: str
    shares: Mapping[str, np.ndarray] = field(default_factory=dict)
    copies: Copies | None = None
    numbers: tuple[Number, ...] = ()
    remarks: tuple[str, ...] = ()
    accuracies: Accuracies = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()


def judge_for(
    train: Dataset, real: Dataset, features: Sequence[Features | str], protocol: Protocol, share: Share = in_turn
) -> tuple[Judge, tuple[str, ...]]:
    """A judge by the images of `real`, of a model of the training part of `train`; and what a reader has to know.

    Raises:
        InputError: where the part to compare with was trained on, unless that is wanted, or has too few images.
    """
    held_out = real.split(protocol.part)
    if len(held_out) < FEWEST:
        raise InputError(
            f"{real.name} has {len(held_out)} {protocol.which}images (of {len(real):,}), too few to judge by: "
            f"give at least {FEWEST}, or choose another --part"
        )
    if protocol.count < FEWEST:
        raise InputError(f"--count {protocol.count}: too few to judge by, give at least {FEWEST}")
    remarks = trained_on(train, real, protocol)
    null = train.validation if len(train.validation) >= FEWEST else held_out
    judge = Judge(train.train, held_out, null, features, protocol.count, protocol.seed, share)
    if not protocol.on_training_images and (copies := nearly_trained_on(judge)):
        remarks = (*remarks, copies)
    if len(judge.spare) < FEWEST:
        remarks = (*remarks, "no real images beside those that are compared with show what a perfect model would get")
    return judge, remarks


def evaluate_model(
    trained: Trained,
    train: Dataset,
    real: Dataset,
    features: Sequence[Features | str],
    protocol: Protocol,
    tick: Tick = lambda _: None,
    share: Share = in_turn,
) -> Evaluation:
    """Judge the first draws of a model that was trained on `train` by the images of `real`; `features` as in `Judge`.

    Raises:
        InputError: as `judge_for`, and for a model that draws nothing.
    """
    model = trained.model
    if not isinstance(model, Generates):
        raise InputError(f"{trained.path}: {trained.facts['model']} draws no images to be judged")
    judge, remarks = judge_for(train, real, features, protocol, share)
    tick(f"{protocol.count:,} draws")
    images, labels = draws(model, train, protocol, share)
    subject = f"{len(images):,} draws of seed {protocol.seed} of {trained.facts['model']} ({trained.path})"
    found = _evaluation(subject, provenance(trained), judge, images, labels, protocol, tick)
    (numbers,) = share([lambda: tuple(held_out_numbers(model, train, protocol.seed))])
    if protocol.attacked and isinstance(model, Discriminates):
        tick("one-pixel attack on the model's own discriminator")
        held_out = judge.held_out.images(judge.places)
        (own,) = share([lambda: discriminator_attack(model, images, held_out, protocol.attacked, protocol.seed)])
        found = replace(found, probes=(*found.probes, own))
    return replace(found, numbers=numbers, remarks=remarks)


def evaluate_images(
    generated: Split,
    real: Dataset,
    features: Sequence[Features | str],
    protocol: Protocol,
    tick: Tick = lambda _: None,
    share: Share = in_turn,
) -> Evaluation:
    """Judge pictures that come from anywhere, as if they had been made by a model of the training part of `real`.

    Raises:
        InputError: as `judge_for`, and where all are one picture, or all are pictures of the data.
    """
    judge, remarks = judge_for(real, real, features, protocol, share)
    name = generated.dataset.name
    # A folder may be sorted by class: the first of it would be all that a reader sees, and fewer than all one sort.
    images = generated.images(positions(protocol.seed, 0, min(len(generated), protocol.count), len(generated)))
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
    of = f"{len(images):,} pictures of {name}"
    subject = of if len(images) == len(generated) else f"{of}, drawn from {len(generated):,} by seed {protocol.seed}"
    found = _evaluation(subject, about, judge, images, None, protocol, tick)
    caption = f"first {len(found.samples[0])} pictures, in an order drawn by seed {protocol.seed}"
    return replace(found, remarks=remarks, caption=caption)


def draws(
    model: Generates, dataset: Dataset, protocol: Protocol, share: Share = in_turn
) -> tuple[np.ndarray, np.ndarray | None]:
    """The first draws of a seed, and the names of the classes that they were asked for where there are any."""
    assert isinstance(model, Model)
    z, chunk = drawn(model, protocol.count, protocol.seed), sample_chunk(model.shape)
    parts = torch.split(z, chunk * max(1, DRAWN_AT_A_TIME // chunk))
    images = np.concatenate(share([partial(generated, model, part) for part in parts]))
    if not (isinstance(model, Conditions) and model.classes):
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
    judge.prepare(tick)
    tick(f"features of {len(images):,} images")
    values = judge.values_of(images)

    def judged() -> Judgement:
        return judge.judge(images, labels, tick, values=values)

    found, known = beside_references(judged, judge, len(images), tick)
    others: list[Callable[[], Any]] = [
        lambda: accuracies(judge.features, judge.held_out, judge.places),
        lambda: tuple(_probes(judge, images, protocol, tick)),
    ]
    right, probes = judge.share(others)
    worst = found.worst_copies(WORST)
    return Evaluation(
        subject,
        about | conditions(judge.train, judge.features, protocol, len(images), judge.against),
        found.scores,
        known,
        (images[:SHOWN],),
        f"first {len(images[:SHOWN])} images",
        found.shares,
        Copies(
            found.near.closeness,
            judge.null_closeness(),
            (images[worst], judge.train.images(found.near.places[worst])),
        ),
        accuracies=right,
        probes=probes,
    )


def _probes(judge: Judge, images: np.ndarray, protocol: Protocol, tick: Tick) -> Iterator[Probe]:
    tick("what can be read off the images")
    yield from scene_probes(images, "judged images", judge.held_out.dataset, judge.train.dataset)
    if protocol.attacked:
        tick("one-pixel attack on the classifiers")
        yield from classifier_attacks(judge.features, judge.held_out, judge.places, protocol.attacked, protocol.seed)


def provenance(trained: Trained) -> dict[str, Any]:
    """What a report says of a model."""
    return {
        "model": trained.facts["model"],
        "model_sha256": trained.facts["sha256"],
        "parameters": sum(parameter.numel() for parameter in trained.model.parameters()),
        "config": trained.facts["config"],
        "images_seen": trained.facts.get("images"),
        "training_seed": trained.facts.get("training", {}).get("seed"),
    }


def conditions(
    train: Split, features: Sequence[Features], protocol: Protocol, count: int, against: str
) -> dict[str, Any]:
    """What numbers depend on beside the model: the data, what was compared with what, the feature networks."""
    data = train.dataset
    return {
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "training_images": len(train),
        "against": against,
        "count": count,
        "seed": protocol.seed,
        "part": protocol.part,
        "features": [{"name": f.name, "sha256": f.sha256, "resize": f.resize} for f in features],
        "versions": {"fairdraw": fairdraw.__version__, "torch": torch.__version__, "numpy": np.__version__},
    }
