"""How likely a trained model finds given images: bounds on -log p, and the Parzen-window estimate with its controls."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError
from fairdraw.order import spread
from fairdraw.verbs.common import Device, Part, check_table, chosen_part, label_names, opened, write_table

if TYPE_CHECKING:
    from fairdraw.data import Dataset, Split
    from fairdraw.metrics.importance import Evidence
    from fairdraw.metrics.number import Number
    from fairdraw.model import Model
    from fairdraw.trained import Trained

Found = tuple[dict[str, Any], list[str]]
"""Facts and lines of a result."""


def likelihood(
    run: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[str],
    samples: int = 5000,
    count: int | None = None,
    part: Part | None = None,
    seed: int = 0,
    per_image: Path | None = None,
    parzen: bool = False,
    device: Device = "auto",
) -> Result:
    """Bound -log p(x) of the images of a source by importance sampling, in nats and in bits/dim.

    Args:
        run: a run folder or a model.safetensors file.
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        samples: k, the draws of z for each image; the more, the tighter is the bound.
        count: how many images, spread evenly over the part (default: all of it).
        part: part of the source (default: test for the data that the model was trained on, else all).
        seed: of binarisation or dequantisation, and of the draws.
        per_image: a .csv for the figures of each image.
        parzen: add the Parzen-window estimate of GAN papers, with the controls that show what it is worth.
        device: where to compute.
    """
    _check(samples, count, per_image)
    trained = opened(run, device, verb="bound")
    bounded = _is_bounded(trained, needed=not parzen or per_image is not None)
    chosen, which = chosen_part(trained, source, part)
    control = _control(trained, chosen) if parzen else None
    places = np.arange(len(chosen)) if count is None else spread(len(chosen), count)
    which += "" if len(places) == len(chosen) else ", spread evenly over them"
    images = chosen.images(places)
    facts = {key: trained.facts[known] for key, known in (("model", "model"), ("model_sha256", "sha256"))}
    facts |= {"on": which, "count": len(images), "seed": seed}
    founds: list[Found] = []
    if bounded:
        found = _evidence(trained.model, images, samples, seed)
        founds.append(_bound(trained, images, found, which))
        if per_image:
            founds.append(_written(per_image, chosen, places, found))
    if control:
        founds.append(_parzen(trained.model, control, images, which, seed))
    return _together(facts, founds)


def _together(facts: dict[str, Any], founds: list[Found]) -> Result:
    for more, _ in founds:
        facts |= more
    return Result(facts, [line for _, lines in founds for line in lines])


def _check(samples: int, count: int | None, per_image: Path | None) -> None:
    for name, value in (("samples", samples), ("count", count)):
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: give at least 1")
    check_table(per_image)


def _is_bounded(trained: "Trained", needed: bool) -> bool:
    """Whether the model bounds the likelihood, which it must if that is `needed`."""
    from fairdraw.capabilities import Bounds

    bounded = isinstance(trained.model, Bounds)
    if needed and not bounded:
        raise InputError(
            f"{trained.path}: {trained.facts['model']} bounds no likelihood; `fairdraw models` tells which models do, "
            "and --parzen gives an estimate for others that must not be trusted"
        )
    return bounded


def _control(trained: "Trained", chosen: "Split") -> "Dataset":
    """The data that the Parzen-window estimate takes its width and its controls from."""
    from fairdraw.capabilities import Generates

    if not isinstance(trained.model, Generates):
        raise InputError(f"{trained.path}: {trained.facts['model']} draws no images: leave out --parzen")
    dataset = trained.training_data()
    own = chosen.name == "test" and chosen.dataset.fingerprint == dataset.fingerprint
    if not own or not len(dataset.validation):
        raise InputError(
            "--parzen takes its width from validation images and its controls from training images: "
            f"give {dataset.name}, which the model was trained on, and no --part but test"
            + ("" if len(dataset.validation) else "; but it has no validation images")
        )
    return dataset


def _evidence(model: "Model", images: np.ndarray, samples: int, seed: int) -> "Evidence":
    from fairdraw.metrics.importance import evidence
    from fairdraw.progress import Display

    with Display(0, len(images), quiet=False) as display:
        return evidence(model, images, samples, seed, display.advance)


def _bound(trained: "Trained", images: np.ndarray, found: "Evidence", which: str) -> Found:
    """The bound in both units, its terms, how it converges, and which units are active."""
    from fairdraw.capabilities import Bounds

    assert isinstance(trained.model, Bounds)
    nats, bits, missing = _numbers(trained, images, found, which)
    curve = {k: -float(bound.mean()) for k, bound in found.bounds.items()}
    means = {"negative_elbo": found.elbo, "reconstruction": found.log_likelihood}
    terms = {name: -float(values.mean()) for name, values in means.items()} | {"kl": float(found.kl.mean())}
    facts = {
        "samples": max(curve),
        "observation": trained.model.observation,
        "numbers": [asdict(nats), asdict(bits)],
        "standard_error": nats.standard_error,
        "no_baseline": missing,
        **terms,
        "convergence": curve,
        "kl_units": found.kl_units.mean(axis=0).tolist(),
        "active_units": None if found.active is None else int(found.active.sum()),
        "units": None if found.codes is None else found.codes.shape[1],
    }
    lines = [
        *(str(number) for number in (nats, bits)),
        *([f"baseline      no independent pixels: {missing}"] if missing else []),
        "-ELBO         {negative_elbo:.2f} = reconstruction {reconstruction:.2f} + KL {kl:.2f} nats".format(**terms),
        f"convergence   {', '.join(f'k = {k}: {value:.2f}' for k, value in curve.items())} nats",
    ]
    if found.active is not None:
        lines.append(f"active units  {facts['active_units']} of {facts['units']}: Var_x(E_q[u|x]) > 0.01")
    return facts, lines


def _numbers(trained: "Trained", images: np.ndarray, found: "Evidence", which: str) -> tuple["Number", "Number", str]:
    """The bound in nats and in bits/dim, and why it is not beside independent pixels, if it is not."""
    from fairdraw.capabilities import Bounds
    from fairdraw.metrics.likelihood import baselines, bits_per_dimension, untrained_pixels
    from fairdraw.metrics.number import Number

    assert isinstance(trained.model, Bounds)
    try:
        to_beat, missing = baselines(trained.model, trained.training_data().train, images), ""
    except InputError as error:
        to_beat, missing = untrained_pixels(trained.model), str(error)
    shape, k = trained.model.shape, max(found.bounds)
    in_bits = {name: bits_per_dimension(value, shape) for name, value in to_beat.items()}
    values, name = -found.bounds[k], f"-log p bound (k = {k})"
    note = f"an upper bound in expectation; observation model: {trained.model.observation}"
    nats = Number.mean(values, name=name, unit="nats per image", on=which, baselines=to_beat)
    if nats.standard_error is not None:
        nats = replace(nats, note=f"standard error {nats.standard_error:.2f}; {nats.note}".removesuffix("; "))
    bits = Number.mean(
        bits_per_dimension(values, shape), name=name, unit="bits/dim", on=which, note=note, baselines=in_bits
    )
    return nats, bits, missing


def _written(path: Path, chosen: "Split", places: np.ndarray, found: "Evidence") -> Found:
    """Write a line for each image, nats."""
    names = [chosen.dataset.names[place] for place in chosen.indices[places]]
    figures = (-found.bounds[max(found.bounds)], -found.elbo, -found.log_likelihood, found.kl)
    columns = ("name", "label", "negative_log_likelihood_bound", "negative_elbo", "reconstruction", "kl")
    texts = ([f"{value:.6f}" for value in values] for values in figures)
    write_table(path, columns, zip(names, label_names(chosen, places), *texts, strict=True))
    return {"per_image": str(path)}, [f"each image    {path}"]


def _parzen(model: "Model", control: "Dataset", images: np.ndarray, which: str, seed: int) -> Found:
    from fairdraw.capabilities import Generates
    from fairdraw.metrics import parzen

    assert isinstance(model, Generates)
    found = parzen.estimates(model, control.train, control.validation, images, seed)
    facts = {"parzen": [asdict(estimate) for estimate in found], "parzen_note": parzen.DISTRUST}
    title = f"Parzen window, mean log-density of {len(images):,} {which}, pixels on [0, 1]; the greater the better:"
    return facts, [title, *(f"  {estimate}" for estimate in found), f"  {parzen.DISTRUST}"]
