"""The way between two points of a latent space: a strip, a GIF or an MP4."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError
from fairdraw.verbs.common import Device, check_film, film_path, opened
from fairdraw.verbs.explore import check_size, codes_of, image_at, view_facts

if TYPE_CHECKING:
    from torch import Tensor

    from fairdraw.latent import How
    from fairdraw.trained import Trained

MOST_FRAMES = 1000


def interpolate(
    run: tyro.conf.Positional[Path],
    images: tuple[str, str] | None = None,
    seeds: tuple[int, int] | None = None,
    steps: int = 16,
    how: Literal["linear", "spherical"] | None = None,
    source: str | None = None,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Go from one image to another through the latents between them, as a strip, a GIF or an MP4.

    Args:
        run: a run folder or a model.safetensors file.
        images: two picture files, or two positions in the images of SOURCE.
        seeds: in their place, two seeds, whose first draws are the ends.
        steps: images in all, with both ends.
        how: a straight line, or an arc that keeps between the norms of its ends (default: linear between images,
            spherical between seeds).
        source: where positions count: all of it, or the test images of the data that the model was trained on, which
            is the default.
        out: a .png, .gif or .mp4 file, or a folder (default: a .png in the run's pictures).
        device: where to compute.
    """
    from fairdraw import films, pictures
    from fairdraw.model import Encodes, Generates

    check_size("--steps", steps, MOST_FRAMES)
    _check_ends(images, seeds, source)
    check_film(out)
    trained = opened(run, device, Generates, *([Encodes] if images else []), verb="interpolate")
    assert isinstance(trained.model, Generates)
    how = how or ("linear" if images else "spherical")
    if images:
        z, words, name = _way_between_images(trained, images, source, steps, how)
    else:
        assert seeds is not None
        z, words, name = _way_between_seeds(trained, seeds, steps, how)
    shows = f"{steps} images on the {'line' if how == 'linear' else 'arc'} between latents, from {words}"
    out = film_path(trained, out, f"interpolation-{name}-{how}.png")
    ends = {"images": list(images)} if images else {"seeds": list(seeds or ())}
    facts = {**view_facts(trained, shows), **ends, "steps": steps, "how": how}
    films.save_frames(out, pictures.generated(trained.model, z), facts)
    return Result({**facts, "out": str(out)}, [f"{out}: {shows}"])


def _way_between_images(
    trained: "Trained", images: tuple[str, str], source: str | None, steps: int, how: "How"
) -> "tuple[Tensor, str, str]":
    """Latents from the code of one image to that of another, their ends in words, and a word for a file's name."""
    import numpy as np
    import torch

    from fairdraw import latent
    from fairdraw.model import Generates

    assert isinstance(trained.model, Generates)
    (a, from_a, name_a), (b, to_b, name_b) = (image_at(trained, image, source) for image in images)
    with torch.inference_mode():
        z = latent.between_codes(trained.model, codes_of(trained, np.stack([a, b])), steps, how)
    return z, f"the code of {from_a} to that of {to_b}", f"{name_a}-{name_b}"


def _way_between_seeds(trained: "Trained", seeds: tuple[int, int], steps: int, how: "How") -> "tuple[Tensor, str, str]":
    """The same between the first draws of two seeds."""
    import torch

    from fairdraw import latent
    from fairdraw.model import Generates

    assert isinstance(trained.model, Generates)
    with torch.inference_mode():
        z = latent.between_draws(trained.model, seeds, steps, how)
    a, b = seeds
    return z, f"the first draw of seed {a} to that of seed {b}", f"seed{a}-seed{b}"


def _check_ends(images: tuple[str, str] | None, seeds: tuple[int, int] | None, source: str | None) -> None:
    if (images is None) == (seeds is None):
        raise InputError("interpolate between what? Give --images A B or --seeds A B, one of them")
    if source is not None and images is None:
        raise InputError("--source is where --images A B count: leave it out with --seeds")
