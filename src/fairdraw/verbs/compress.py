"""Images to one small file by a trained model, and what it cost."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tyro

from fairdraw.command import Result
from fairdraw.data.options import counted, plural
from fairdraw.errors import InputError
from fairdraw.verbs.common import Part, check_capabilities, chosen_part, opened
from fairdraw.verbs.decompress import targets

if TYPE_CHECKING:
    from fairdraw.compress.archive import Archive, Stored
    from fairdraw.metrics.number import Number
    from fairdraw.trained import Trained

STEP = 0.25

Found = tuple[dict[str, Any], list[str]]
"""Facts and lines of a result."""


class _Images(NamedTuple):
    """uint8 images `[N, C, H, W]`, the name of each, and words for them."""

    pixels: np.ndarray
    names: list[str]
    which: str


def compress(
    run: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[str],
    out: Path,
    part: Part | None = None,
    count: int | None = None,
    lossless: bool = False,
    step: float | None = None,
    binarise: bool = False,
    seed: int = 0,
) -> Result:
    """Compress the images of a source into one file, losslessly where the model can, and measure it.

    Args:
        run: a run folder or a model.safetensors file; whoever decompresses needs it too.
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        out: the file.
        part: part of the source (default: test for the data that the model was trained on, else all).
        count: how many images, spread evenly over the part (default: all of it).
        lossless: refuse a model that can only code lossily.
        step: code lossily; the width of a cell of the most sensitive dimension of the code, in its standard deviations
            (default: 0.25 where the model can only code lossily).
        binarise: draw each pixel black or white once, white with its grey level as the probability, for models of bits.
        seed: of --binarise and of the initial random bits.
    """
    from fairdraw.compress.archive import Archive

    _check(out, count, lossless, step)
    trained = opened(run, "cpu", verb="compress")
    archive = Archive(out, trained.model, trained.facts)
    why = _why_lossy(trained, lossless, step)
    images = _taken(trained, source, part, count)
    if why:
        if binarise:
            raise InputError(f"--binarise is for lossless coding, and this is lossy ({why}): leave it out")
        stored, found = _lossily(archive, images, step or STEP)
        return _result(archive, images, stored, f"lossy with step {step or STEP:g} ({why})", found)
    images = _observable(trained, images, source, binarise, seed)
    stored, found = _losslessly(trained, archive, images, seed)
    how = "lossless at the model's {2}x{1} px; decoded again here and found the same".format(*trained.model.shape)
    return _result(archive, images, stored, how, found)


def _result(archive: "Archive", images: _Images, stored: "Stored", how: str, found: Found) -> Result:
    code, count, numbered = stored.code_bits // 8, len(images.pixels), targets(images.names)[1]
    facts = {
        "model": archive.facts["model"],
        "model_sha256": archive.facts["sha256"],
        "out": str(archive.path),
        "on": images.which,
        "count": count,
        "bytes": stored.size,
        "code_bytes": code,
        "names_not_kept": numbered,
        **found[0],
    }
    lines = [
        f"{archive.path}: {counted(count, images.which)}, {how}",
        f"{archive.path}: {stored.size:,} bytes: {code:,} of code, {stored.size - code:,} of header and names",
        *found[1],
    ]
    if numbered:
        lines.append(f"{plural(numbered, 'name')} cannot be kept, as no files everywhere: decompress gives numbers")
    return Result(facts, lines)


def _check(out: Path, count: int | None, lossless: bool, step: float | None) -> None:
    from fairdraw.compress.container import is_ours

    if count is not None and count < 1:
        raise InputError(f"--count {count}: give at least 1")
    if step is not None and lossless:
        raise InputError("--step is for lossy coding: leave out --step or --lossless")
    if step is not None and not 1e-3 <= step <= 1e3:
        raise InputError(f"--step {step:g}: give a number from 0.001 to 1000")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder: name a file in it, such as {out / 'images.fairdraw'}")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first")
    if out.exists() and not is_ours(out):
        raise InputError(f"--out {out} is there already and no file of `fairdraw compress`: choose another name")


def _why_lossy(trained: "Trained", lossless: bool, step: float | None) -> str:
    """What speaks against lossless coding; empty where nothing does."""
    from fairdraw.capabilities import CodesLosslessly, Encodes, Generates

    model, name = trained.model, trained.facts["model"]
    why = model.why_not_lossless if isinstance(model, CodesLosslessly) else f"{name} gives pixels no probability"
    if why and lossless:
        raise InputError(f"{trained.path} cannot code losslessly: {why}; or leave out --lossless")
    why = "--step was given" if step is not None else why
    if why:
        check_capabilities(trained, Encodes, Generates, verb="compress")
    return why


def _taken(trained: "Trained", source: str, part: Part | None, count: int | None) -> _Images:
    from fairdraw.order import spread

    chosen, which = chosen_part(trained, source, part)
    positions = spread(len(chosen), count or len(chosen))
    names = [chosen.dataset.names[place] for place in chosen.indices[positions]]
    which += f", spread evenly over {len(chosen):,}" if len(positions) < len(chosen) else ""
    return _Images(chosen.images(positions), names, which)


def _observable(trained: "Trained", images: _Images, source: str, binarise: bool, seed: int) -> _Images:
    """The images as the model can code them losslessly: black and white for bits."""
    from fairdraw.capabilities import CodesLosslessly
    from fairdraw.compress.bits_back import binarised

    model = trained.model
    assert isinstance(model, CodesLosslessly)
    if model.observed != "bits":
        if binarise:
            raise InputError(f"{trained.path} codes all 256 levels of grey: leave out --binarise")
        return images
    if binarise:
        drawn = binarised(model, images.pixels, seed)
        return images._replace(pixels=drawn, which=f"{images.which}, binarised with seed {seed}")
    if not np.isin(images.pixels, (0, 255)).all():
        raise InputError(
            f"{source} has grey pixels and {trained.path} codes black and white ones: draw them once with --binarise, "
            "or code lossily with --step, or train with --decoder logistic"
        )
    return images


def _losslessly(trained: "Trained", archive: "Archive", images: _Images, seed: int) -> tuple["Stored", Found]:
    from fairdraw.metrics.formats import lossless_rivals
    from fairdraw.metrics.likelihood import negative_elbo
    from fairdraw.metrics.number import Number
    from fairdraw.progress import Display

    with Display(0, 2 * len(images.pixels), quiet=False) as display:
        stored = archive.write_lossless(images.pixels, images.names, seed, display.advance)
    assert stored.bits is not None
    compared = _compared(images.pixels)
    rivals = lossless_rivals(compared)
    independent, missing = _independent_pixels(trained, images.pixels)
    coded = Number.mean(
        stored.bits,
        name="coded",
        unit="bits per image",
        on=images.which,
        note="; ".join(filter(None, (missing, _on_fewer(compared, images)))),
        baselines=independent | {rival.name: rival.bits for rival in rivals},
    )
    bound = float(negative_elbo(trained.model, images.pixels, seed).mean()) / math.log(2)
    facts = {
        "kind": "lossless",
        "seed": seed,
        "numbers": [asdict(coded)],
        "negative_elbo_bits": bound,
        "initial_bits": stored.initial_bits,
        "rivals": [asdict(rival) for rival in rivals],
    }
    return stored, (facts, _rate_lines(coded, bound, stored.initial_bits, images.pixels[0].size))


def _rate_lines(coded: "Number", bound: float, initial_bits: int, dimensions: int) -> list[str]:
    with_initial = coded.value + initial_bits / coded.count
    rates = {"coded": coded.value, "-ELBO": bound, **dict(coded.baselines)}
    return [
        str(coded),
        f"-ELBO {bound:.2f} bits per image, of one sample of z: the code is {_longer(coded.value, bound)}, and with "
        f"the {initial_bits:,} random bits that it begins with {_longer(with_initial, bound)}",
        "bits/dim: " + ", ".join(f"{name} {bits / dimensions:.4f}" for name, bits in rates.items()),
    ]


def _longer(bits: float, bound: float) -> str:
    return f"{abs(bits / bound - 1):.2%} {'longer' if bits >= bound else 'shorter'}"


def _independent_pixels(trained: "Trained", pixels: np.ndarray) -> tuple[dict[str, float], str]:
    """Bits per image of independent pixels, fitted on the training images; or why there are none."""
    from fairdraw.metrics.likelihood import independent_pixels

    try:
        train = trained.training_data().train
    except InputError as error:
        return {}, f"not beside independent pixels: {error}"
    return {name: nats / math.log(2) for name, nats in independent_pixels(trained.model, train, pixels).items()}, ""


def _lossily(archive: "Archive", images: _Images, step: float) -> tuple["Stored", Found]:
    from fairdraw.files import only_finite
    from fairdraw.metrics.formats import lossless_rivals, lossy_rivals
    from fairdraw.metrics.held_out import delivered_squared_error
    from fairdraw.metrics.psnr import psnr

    pixels, names, which = images
    stored = archive.write_lossy(pixels, names, step)
    assert stored.unrounded is not None
    bits = 8 * stored.size / len(pixels)
    compared = _compared(pixels)
    rivals = [*lossy_rivals(compared, bits), *lossless_rivals(compared)]
    number = delivered_squared_error(pixels, stored.images, on=which)
    found = {
        "psnr": psnr(pixels, stored.images),
        "psnr_unrounded": psnr(pixels, stored.unrounded),
        "psnr_mean_image": psnr(pixels, np.broadcast_to(pixels.mean(0), pixels.shape)),
    }
    lines = [
        f"{bits:.2f} bits per image with header and names, {stored.code_bits / len(pixels):.2f} without; PSNR "
        f"{found['psnr']:.2f} dB of the mean squared error; with the code not rounded {found['psnr_unrounded']:.2f}, "
        f"their mean image {found['psnr_mean_image']:.2f}",
        str(number),
        *(str(rival) for rival in rivals),
        *([_on_fewer(compared, images)] if len(compared) < len(pixels) else []),
    ]
    facts = {
        "kind": "lossy",
        "step": step,
        **only_finite(found),
        "numbers": [asdict(number)],
        "rivals": [only_finite(asdict(rival)) for rival in rivals],
    }
    return stored, (facts, lines)


def _compared(pixels: np.ndarray) -> np.ndarray:
    """The images that other formats are measured on: all, or some of very many spread evenly."""
    from fairdraw.metrics.formats import MOST_IMAGES, MOST_PIXELS
    from fairdraw.order import spread

    most = max(1, min(MOST_IMAGES, MOST_PIXELS // pixels[0, 0].size))
    found: np.ndarray = pixels[spread(len(pixels), most)]
    return found


def _on_fewer(compared: np.ndarray, images: _Images) -> str:
    fewer = len(compared) < len(images.pixels)
    return f"the other formats on {len(compared):,} of them, spread evenly" if fewer else ""
