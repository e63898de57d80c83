"""What a training stops for now and then: pictures of where it is, and the numbers that a loss does not tell."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from fairdraw.capabilities import Bounds, Discriminates, Encodes, Generates, Translates, Upscales
from fairdraw.data import Dataset, Domain, Split
from fairdraw.metrics.coordinates import ranking
from fairdraw.metrics.diversity import diversity
from fairdraw.metrics.held_out import validation_means
from fairdraw.metrics.realness import mean_realness
from fairdraw.model import Model
from fairdraw.models import model_name
from fairdraw.opening import affordable, some_images
from fairdraw.order import spread
from fairdraw.pictures import draw_data, draw_progress, draw_translations, draw_upscaled, sampled
from fairdraw.run import Run
from fairdraw.trainer import Trainer

SHEET = 64
VALIDATION_IMAGES = 2_048
TRANSLATED = 128
"""Validation images that are translated or made large: as many take a second or more at 256 px."""
COMPARED = 256
"""Draws, and images of each part, whose distances, latents and realness are looked at; fewer of large images."""
ACTIVE = 0.01
"""Nats of KL from which on a latent is in use (Burda 2016, appendix C, asks for as much of a variance)."""


def look_at_data(run: Run, dataset: Dataset) -> None:
    """Draw training images as the model sees them."""
    draw_data(run.pictures, dataset.train.images(spread(len(dataset.train), SHEET)), dataset.name)


def look(trainer: Trainer, run: Run, dataset: Dataset) -> list[dict[str, Any]]:
    """Draw what the averaged weights make now; returns what there is to log of it."""
    model, seed, held_out = finished(trainer, dataset), trainer.training.seed, dataset.validation
    where = spread(len(held_out), TRANSLATED if isinstance(model, Translates | Upscales) else VALIDATION_IMAGES)
    # By the averaged weights: what memorising the training set cannot improve.
    means = validation_means(trainer.average, held_out, where, seed) if len(where) else {}
    train = _some(dataset.train)
    draws = sampled(model, max(SHEET, len(train)), seed=0) if isinstance(model, Generates) else None
    originals = held_out.images(spread(len(held_out), SHEET // 2))
    sheet = None if draws is None else draws[:SHEET]
    draw_progress(run.pictures, model, model_name(model), trainer.images, sheet, originals)
    if isinstance(model, Translates):
        _look_at_translations(model, run, dataset, trainer.images)
    if isinstance(model, Upscales) and len(originals):
        draw_upscaled(run.pictures, model, model_name(model), trainer.images, originals)
    entries: list[tuple[str, Mapping[str, Any]]] = [
        ("validation", {"count": len(where), "means": means} if means else {}),
        ("look", _seen(model, None if draws is None else draws[: len(train)], train, _some(held_out), seed)),
    ]
    return [{"event": event, "images": trainer.images, **facts} for event, facts in entries if facts]


def _look_at_translations(model: Translates, run: Run, dataset: Dataset, images_seen: int) -> None:
    """Draw validation inputs beside what the model makes of them, and beside what they should become where known."""
    assert isinstance(model, Model)
    part = dataset.validation
    for direction in model.directions:
        beside = []
        if model.takes == "pairs":
            where = spread(len(part), SHEET // 2)
            begin, beside = part.inputs(where), [part.images(where)]
        else:
            domain: Domain = "a" if direction.startswith("a") else "b"
            begin = part.images_of(domain, spread(part.count_of(domain), SHEET // 2))
        if len(begin):
            draw_translations(run.pictures, model, model_name(model), images_seen, direction, begin, *beside)


def finished(trainer: Trainer, dataset: Dataset) -> Model:
    """The averaged model, or a copy of it with what is fitted to trained weights; the average itself is trained on."""
    if type(trainer.average).finish is Model.finish:  # nothing to fit
        return trainer.average
    model = copy.deepcopy(trainer.average)
    model.finish(some_images(dataset).to(trainer.processes.device, trainer.processes.dtype))
    return model


def _seen(model: Model, draws: np.ndarray | None, train: np.ndarray, held_out: np.ndarray, seed: int) -> dict[str, Any]:
    """Diversity of the draws, latents in use, and what a discriminator thinks of each kind of image."""
    found: dict[str, Any] = {}
    if draws is not None and len(train) > 1:
        found["diversity"] = diversity(draws, train)
        if isinstance(model, Discriminates):
            kinds = {"train": train, "validation": held_out, "draws": draws}
            found["realness"] = {name: mean_realness(model, kind) for name, kind in kinds.items() if len(kind)}
    if isinstance(model, Bounds) and isinstance(model, Encodes) and len(held_out):
        kl = ranking(model, held_out, seed).values
        found["latents"] = {"in_use": int((kl > ACTIVE).sum()), "of": len(kl), "kl": float(kl.sum())}
    return found


def _some(part: Split) -> np.ndarray:
    return part.images(spread(len(part), affordable(COMPARED, part.dataset.shape)))
