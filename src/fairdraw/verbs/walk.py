"""Moving a draw about: along the directions that a first layer answers to most, and on a closed walk through draws."""

from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError
from fairdraw.verbs.common import Device, check_film, check_png, film_path, opened, picture_path
from fairdraw.verbs.draws import class_name, draws_of, for_a_name, of_class, of_label
from fairdraw.verbs.explore import check_size, view_facts

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from fairdraw.trained import Trained

MOST_STOPS = 64
MOST_BETWEEN = 100
MOST_ROWS = 64
MOST_STEPS = 101


def directions(
    run: tyro.conf.Positional[Path],
    rows: int = 8,
    steps: int = 9,
    reach: float = 3.0,
    seed: int = 0,
    label: str | None = None,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Move the first draw of a seed along the directions in which the first layer of the generator moves most.

    Args:
        run: a run folder or a model.safetensors file.
        rows: directions shown, the strongest first.
        steps: images in a row.
        reach: how far they go to either side, in units of the latent.
        seed: of the draw.
        label: of the draw, for a model that was trained with labels.
        out: a .png, or a folder for it (default: the run's pictures).
        device: where to compute.
    """
    from fairdraw.capabilities import BeginsLinearly, Generates
    from fairdraw.images import save_png

    check_size("--steps", steps, MOST_STEPS)
    if not 1 <= rows <= MOST_ROWS:
        raise InputError(f"--rows {rows}: give 1 to {MOST_ROWS}")
    if not 0 < reach < 1e6:
        raise InputError(f"--reach {reach:g}: give a distance above 0")
    check_png(out)
    trained = opened(run, device, Generates, BeginsLinearly, verb="explore")
    label = class_name(trained, label)
    shown, strengths, of = _along_directions(trained, draws_of(trained, 1, seed, label=label)[0], rows, steps, reach)
    shows = (
        f"the first draw of seed {seed}{of_label(label)} moved by {-reach:g} to {reach:g} along the {len(strengths)} "
        f"strongest of {of} directions of the first layer"
    )
    facts = {**view_facts(trained, shows), "seed": seed, "reach": reach, "strengths": strengths}
    out = picture_path(trained, out, f"directions-seed{seed}{for_a_name(label)}.png")
    save_png(out, shown, facts, machine_made=True)
    return Result({**facts, "out": str(out)}, [f"{out}: {shows}"])


def _along_directions(
    trained: "Trained", base: "Tensor", rows: int, steps: int, reach: float
) -> "tuple[Image.Image, list[float], int]":
    """The labelled sheet, the strengths of the directions on it, and how many there are."""
    import torch

    from fairdraw import latent, pictures
    from fairdraw.capabilities import BeginsLinearly, Generates
    from fairdraw.images import labelled, sheet

    assert isinstance(trained.model, BeginsLinearly)
    assert isinstance(trained.model, Generates)
    with torch.inference_mode():
        found, strengths = latent.directions(trained.model.first_weights())
        distances = torch.linspace(-reach, reach, steps, device=base.device, dtype=base.dtype)
        z = base + distances[None, :, None] * found[:rows, None]
    known = [float(strength) for strength in strengths[:rows]]
    names = [f"{number}  strength {strength:.3g}" for number, strength in enumerate(known)]
    images = sheet(pictures.generated(trained.model, z.flatten(0, 1)), steps)
    return (
        labelled(images, names, [f"{round(d, 2):+.3g}" if round(d, 2) else "0" for d in distances.tolist()]),
        known,
        len(found),
    )


def walk(
    run: tyro.conf.Positional[Path],
    stops: int = 6,
    steps: int = 12,
    seed: int = 0,
    label: str | None = None,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Walk through the first draws of a seed and back to the first: a film without end, or a sheet of it.

    Args:
        run: a run folder or a model.safetensors file.
        stops: draws on the way.
        steps: images from one to the next.
        seed: of the draws.
        label: of all of them, for a model that was trained with labels.
        out: a .gif, .mp4 or .png file, or a folder (default: a .gif in the run's pictures).
        device: where to compute.
    """
    import torch

    from fairdraw import films, latent, pictures
    from fairdraw.capabilities import Generates

    check_size("--stops", stops, MOST_STOPS)
    check_size("--steps", steps, MOST_BETWEEN)
    check_film(out)
    trained = opened(run, device, Generates, verb="explore")
    assert isinstance(trained.model, Generates)
    label = class_name(trained, label)
    with torch.inference_mode():
        z = of_class(trained, latent.walk(trained.model, stops, seed, steps), label)
    shows = (
        f"a closed walk through the first {stops} draws of seed {seed}{of_label(label)}, "
        f"{steps} images from one to the next, on arcs"
    )
    out = film_path(trained, out, f"walk-seed{seed}{for_a_name(label)}.gif")
    facts = {**view_facts(trained, shows), "seed": seed, "stops": stops, "steps": steps}
    films.save_frames(out, pictures.generated(trained.model, z), facts, columns=steps, closed=True)
    return Result({**facts, "out": str(out)}, [f"{out}: {shows}"])
