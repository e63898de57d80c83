"""Pictures of a latent space: a grid of it, and one coordinate at a time."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError
from fairdraw.verbs.common import MOST_ON_A_SHEET, Device, check_png, held_out_or, opened, picture_path

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor

    from fairdraw.metrics.coordinates import Ranking
    from fairdraw.trained import Trained

RANKED_ON = 1000
"""Held-out images over which the KL of a coordinate, or the variance of a code, is averaged."""
RANKING_SEED = 0
"""Of the noise of the bound that a KL is taken from."""
REACH = 3.0
"""How far a traverse goes, in standard deviations of a Gaussian prior."""
MOST_IN_A_ROW = 1000
DIGITS = 10
"""A position has fewer."""


def manifold(
    run: tyro.conf.Positional[Path],
    side: int = 20,
    dimensions: tuple[int, int] | None = None,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Lay out the decoder's images over a grid of equal probability in two dimensions of the prior.

    Args:
        run: a run folder or a model.safetensors file.
        side: images along each side of the grid.
        dimensions: two coordinates of the latent, from 0; the others stay at their median (default: the two that carry
            most on held-out images).
        out: a .png, or a folder for it (default: the run's pictures).
        device: where to compute.
    """
    import torch

    from fairdraw import latent, pictures
    from fairdraw.capabilities import Generates
    from fairdraw.images import save_png, sheet

    check_size("--side", side, int(MOST_ON_A_SHEET**0.5))
    check_png(out)
    trained = opened(run, device, Generates, verb="explore")
    model = trained.model
    assert isinstance(model, Generates)
    with torch.inference_mode():
        size = 2 if latent.first_width(model) == 2 else len(latent.median(model))
        first, second, why = _two_dimensions(trained, dimensions, size)
        images = pictures.generated(model, latent.manifold(model, side, (first, second)))
    share = f"{latent.REACH:g} to {1 - latent.REACH:g}"
    shows = (
        f"{side} x {side} mean images, probability {share} of dimension {first} to the right and of {second} upwards"
        f"{why}" + ("" if size == 2 else f"; the other {size - 2} at the prior's median")
    )
    name = "manifold.png" if dimensions is None else f"manifold-{first}-{second}.png"
    out = picture_path(trained, out, name)
    facts = {**view_facts(trained, shows), "dimensions": [first, second], "side": side, "seed": RANKING_SEED}
    save_png(out, sheet(images, side), facts, machine_made=True)
    return Result({**facts, "out": str(out)}, [f"{out}: {shows}"])


def traverse(
    run: tyro.conf.Positional[Path],
    image: str | None = None,
    rows: int = 16,
    steps: int = 11,
    source: str | None = None,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Move each coordinate of the latent from -3 to 3 standard deviations of the prior, those that carry most first.

    Args:
        run: a run folder or a model.safetensors file.
        image: a picture file or a position in the images of SOURCE, whose code the others stay at (default: the prior's
            median).
        rows: coordinates shown at most.
        steps: images in a row.
        source: where the position counts and what the coordinates are ranked on: all of it, or the test images of the
            data that the model was trained on, which is the default.
        out: a .png, or a folder for it (default: the run's pictures).
        device: where to compute.
    """
    from fairdraw.capabilities import Encodes, Generates
    from fairdraw.images import save_png

    check_size("--steps", steps, MOST_IN_A_ROW)
    if not 1 <= rows <= MOST_ON_A_SHEET // steps:
        raise InputError(f"--rows {rows}: give 1 to {MOST_ON_A_SHEET // steps:,} with --steps {steps}")
    check_png(out)
    trained = opened(run, device, Generates, *([Encodes] if image is not None else []), verb="traverse")
    base, around, name = _base(trained, image, source)
    ranked, on = _ranked(trained, source)
    order = ranked.order if ranked else list(range(len(base)))
    chosen = order[:rows]
    left = f"; {len(order) - len(chosen)} more not shown" if len(order) > len(chosen) else ""
    shows = f"{len(chosen)} of {len(order)} coordinates from -3 to 3 standard deviations around {around}, {on}{left}"
    labels = [f"z{k}" + (f"  {ranked.name} {ranked.values[k]:.2f}" if ranked else "") for k in chosen]
    values = {"ranked_by": ranked.name, "values": [float(ranked.values[k]) for k in chosen]} if ranked else {}
    facts = {**view_facts(trained, shows), "coordinates": chosen, "steps": steps, "seed": RANKING_SEED, **values}
    out = picture_path(trained, out, f"traverse-{name}.png")
    save_png(out, _traverse_sheet(trained, base, chosen, steps, labels), facts, machine_made=True)
    return Result({**facts, "out": str(out)}, [f"{out}: {shows}"])


def _traverse_sheet(
    trained: "Trained", base: "Tensor", chosen: list[int], steps: int, labels: list[str]
) -> "Image.Image":
    import torch

    from fairdraw import latent, pictures
    from fairdraw.capabilities import Generates
    from fairdraw.images import labelled, sheet

    assert isinstance(trained.model, Generates)
    with torch.inference_mode():
        scores = torch.linspace(-REACH, REACH, steps, device=base.device, dtype=base.dtype)
        images = pictures.generated(trained.model, latent.traversal(trained.model, base, chosen, scores))
    return labelled(sheet(images, steps), labels, [f"{round(score, 1) or 0:+.1f}" for score in scores.tolist()])


def _two_dimensions(trained: "Trained", given: tuple[int, int] | None, size: int) -> tuple[int, int, str]:
    """Two of `size` dimensions, and why those."""
    if size < 2:
        raise InputError(f"{trained.path}: its latent has 1 dimension, a manifold needs 2; use `explore RUN traverse`")
    if given is not None:
        first, second = given
        if first == second or not all(0 <= k < size for k in given):
            raise InputError(f"--dimensions {first} {second}: give two different numbers from 0 to {size - 1}")
        return first, second, ""
    if size == 2:
        return 0, 1, ""
    ranked, on = _ranked(trained, None)
    if ranked is None:
        return 0, 1, f" ({on})"
    first, second = ranked.order[:2]
    return first, second, f" ({on})"


def _ranked(trained: "Trained", source: str | None) -> "tuple[Ranking | None, str]":
    """What each coordinate of the latent carries on held-out images, and in words how they are ordered."""
    from fairdraw.capabilities import Encodes
    from fairdraw.metrics.coordinates import ranking
    from fairdraw.order import spread

    if not isinstance(trained.model, Encodes):
        return None, "in their own order: the model has no encoder to rank them by"
    chosen, which = held_out_or(trained, source)
    images = chosen.images(spread(len(chosen), RANKED_ON))
    ranked = ranking(trained.model, images, RANKING_SEED)
    return ranked, f"largest {ranked.name} first, over {len(images):,} {which}"


def _base(trained: "Trained", image: str | None, source: str | None) -> "tuple[Tensor, str, str]":
    """The latent that a traverse starts from, what it is, and a word for the file's name."""
    import torch

    from fairdraw import latent
    from fairdraw.capabilities import Generates

    assert isinstance(trained.model, Generates)
    if image is None:
        with torch.inference_mode():
            return latent.median(trained.model), "the prior's median", "median"
    pixels, words, name = image_at(trained, image, source)
    return codes_of(trained, pixels[None])[0], f"the code of {words}", name


def codes_of(trained: "Trained", images: "np.ndarray") -> "Tensor":
    """Latents `[N, D]` of uint8 `images` `[N, C, H, W]`."""
    from fairdraw.capabilities import Encodes
    from fairdraw.latent import encoded

    assert isinstance(trained.model, Encodes)
    return encoded(trained.model, images)


def image_at(trained: "Trained", given: str, source: str | None) -> "tuple[np.ndarray, str, str]":
    """An image uint8 `[C, H, W]` by its position in a source or by its file, what it is, and a word for a file's name.

    Raises:
        InputError: where there is no such position or no such picture.
    """
    import numpy as np

    if not given.isdecimal():
        pixels, fitted = trained.picture(given)
        return pixels, given + (f" ({fitted})" if fitted else ""), Path(given).stem
    chosen, which = held_out_or(trained, source)
    # Python reads no number of thousands of digits.
    position = int(given) if len(given) < DIGITS else None
    if position is None or position >= len(chosen):
        shown = given if position is not None else f"{given[:DIGITS]}..."
        raise InputError(f"there is no image {shown} among the {len(chosen):,} {which}: give 0 to {len(chosen) - 1}")
    return chosen.images(np.array([position]))[0], f"image {given} of the {which}", given


def view_facts(trained: "Trained", shows: str) -> dict[str, Any]:
    """What every picture of a latent space says of itself."""
    return {"model": trained.facts["model"], "model_sha256": trained.facts["sha256"], "shows": shows}


def check_size(option: str, value: int, most: int) -> None:
    """Refuse a number of images in a row that is below 2 or above `most`.

    Raises:
        InputError: with the option.
    """
    if not 2 <= value <= most:
        raise InputError(f"{option} {value}: give 2 to {most:,}")
