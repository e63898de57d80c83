"""Pictures of what a trained model makes: the first draws of a seed, and reconstructions of given images."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from fairdraw.command import Result
from fairdraw.data.options import plural
from fairdraw.verbs.common import (
    Device,
    Part,
    check_count_and_out,
    check_folder_is_ours,
    chosen_part,
    opened,
    picture_path,
)

if TYPE_CHECKING:
    from fairdraw.data import Split


def sample(
    run: tyro.conf.Positional[Path],
    count: int = 64,
    seed: int = 0,
    out: Path | None = None,
    neighbours: bool = False,
    device: Device = "auto",
) -> Result:
    """Draw the first COUNT images of a seed, none picked and none dropped.

    Args:
        run: a run folder or a model.safetensors file.
        count: how many images.
        seed: the same seed gives the same images; a larger count only adds to them.
        out: a .png for one sheet, or a folder for one file an image (default: a sheet in the run's pictures).
        neighbours: put the nearest training image beside each sample.
        device: where to compute.
    """
    from fairdraw import pictures
    from fairdraw.model import Generates

    check_count_and_out(count, out)
    if out is not None and out.suffix.lower() != ".png":
        check_folder_is_ours(out)
    trained = opened(run, device, Generates, verb="sample")
    assert isinstance(trained.model, Generates)
    samples = pictures.sampled(trained.model, count, seed)
    facts = pictures.draw_facts(count, seed, trained.facts)
    out = out or trained.pictures / f"samples-seed{seed}-count{count}{'-neighbours' if neighbours else ''}.png"
    lines = [f"{out}: {facts['draws']}" + ("" if out.suffix.lower() == ".png" else f", in {plural(count, 'file')}")]
    beside = None
    if neighbours:
        beside, known, line = _neighbours(samples, trained.training_data().train)
        facts |= known
        lines.append(line)
    pictures.save_samples(out, samples, beside, facts)
    return Result({**facts, "out": str(out)}, lines)


def reconstruct(
    run: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[str],
    count: int = 32,
    part: Part | None = None,
    out: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> Result:
    """Show COUNT images spread evenly over a source, each beside what the model makes of it.

    Args:
        run: a run folder or a model.safetensors file.
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        count: how many images.
        part: part of the source (default: test for the data that the model was trained on, else all).
        out: a .png, or a folder for it (default: the run's pictures).
        seed: of the random numbers, for models whose reconstructions are drawn.
        device: where to compute.
    """
    from fairdraw import pictures
    from fairdraw.images import save_png
    from fairdraw.metrics.held_out import squared_error
    from fairdraw.model import Encodes, Generates
    from fairdraw.order import spread

    check_count_and_out(count, out)
    trained = opened(run, device, Encodes, Generates, verb="reconstruct")
    assert isinstance(trained.model, Encodes)
    chosen, which = chosen_part(trained, source, part)
    originals = chosen.images(spread(len(chosen), count))
    made = pictures.reconstructed(trained.model, originals)
    number = squared_error(trained.model, originals, on=which)
    out = picture_path(trained, out, f"reconstructions-{Path(source).stem}-{chosen.name}.png")
    facts = {
        "model": trained.facts["model"],
        "model_sha256": trained.facts["sha256"],
        "shows": f"{len(originals)} {which}, spread evenly over them, each beside its reconstruction",
        "seed": seed,
        "count": len(originals),
    }
    save_png(out, pictures.pair_sheet(originals, made), facts, machine_made=True)
    return Result({**facts, "out": str(out), "numbers": [asdict(number)]}, [f"{out}: {facts['shows']}", str(number)])


def _neighbours(samples: np.ndarray, train: "Split") -> tuple[np.ndarray, dict[str, Any], str]:
    """The nearest training image of each sample, the facts about them, and a line."""
    from fairdraw.metrics.neighbours import nearest_images

    where, distance = nearest_images(samples, train)
    facts = {
        "shows": "each sample, then the nearest training image by pixel distance",
        "neighbours": [train.dataset.names[i] for i in train.indices[where]],
        "neighbour_rms_distance": [round(float(d), 5) for d in distance],
    }
    line = f"nearest training image: RMS pixel distance {distance.min():.3f} to {distance.max():.3f}"
    return train.images(where), facts, line
