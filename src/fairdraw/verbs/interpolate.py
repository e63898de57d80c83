"""The way between two points of a latent space: a strip, a GIF or an MP4."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError
from fairdraw.verbs.common import Device, check_film, film_path, opened
from fairdraw.verbs.draws import class_name, for_a_name, of_class, of_label
from fairdraw.verbs.explore import check_size, codes_of, image_at, view_facts

if TYPE_CHECKING:
    from torch import Tensor

    from fairdraw.latent import How
    from fairdraw.trained import Trained

MOST_FRAMES = 1000


@dataclass(frozen=True)
class Ends:
    """What is gone between.

    Args:
        images: two picture files, or two positions in the images of SOURCE.
        source: where positions count: all of it, or the test images of the data that the model was trained on, which
            is the default.
        seeds: in place of images, two seeds, whose first draws are the ends.
        label: of all images between seeds, for a model that was trained with labels.
    """

    images: tuple[str, str] | None = None
    source: str | None = None
    seeds: tuple[int, int] | None = None
    label: str | None = None

    def check(self) -> None:
        """Refuse none and both, and what belongs to the other.

        Raises:
            InputError: with the options.
        """
        if (self.images is None) == (self.seeds is None):
            raise InputError("interpolate between what? Give --images A B or --seeds A B, one of them")
        if self.source is not None and self.images is None:
            raise InputError("--source is where --images A B count: leave it out with --seeds")
        if self.label is not None and self.images is not None:
            raise InputError("--label is that of draws: leave it out with --images")


NO_ENDS = Ends()


def interpolate(
    run: tyro.conf.Positional[Path],
    ends: tyro.conf.OmitArgPrefixes[Ends] = NO_ENDS,
    steps: int = 16,
    how: Literal["linear", "spherical"] | None = None,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Go from one image to another through the latents between them, as a strip, a GIF or an MP4.

    Args:
        run: a run folder or a model.safetensors file.
        ends: what is gone between.
        steps: images in all, with both ends.
        how: a straight line, or an arc that keeps between the norms of its ends (default: linear between images,
            spherical between seeds).
        out: a .png, .gif or .mp4 file, or a folder (default: a .png in the run's pictures).
        device: where to compute.
    """
    from fairdraw import films, pictures
    from fairdraw.capabilities import Encodes, Generates

    check_size("--steps", steps, MOST_FRAMES)
    ends.check()
    check_film(out)
    trained = opened(run, device, Generates, *([Encodes] if ends.images else []), verb="interpolate")
    assert isinstance(trained.model, Generates)
    how = how or ("linear" if ends.images else "spherical")
    if ends.images:
        z, words, name = _way_between_images(trained, ends.images, ends.source, steps, how)
        which: dict[str, list[Any]] = {"images": list(ends.images)}
    else:
        assert ends.seeds is not None
        z, words, name = _way_between_seeds(trained, ends.seeds, steps, how, ends.label)
        which = {"seeds": list(ends.seeds)}
    shows = f"{steps} images on the {'line' if how == 'linear' else 'arc'} between latents, from {words}"
    out = film_path(trained, out, f"interpolation-{name}-{how}.png")
    facts = {**view_facts(trained, shows), **which, "steps": steps, "how": how}
    films.save_frames(out, pictures.generated(trained.model, z), facts)
    return Result({**facts, "out": str(out)}, [f"{out}: {shows}"])


def _way_between_images(
    trained: "Trained", images: tuple[str, str], source: str | None, steps: int, how: "How"
) -> "tuple[Tensor, str, str]":
    """Latents from the code of one image to that of another, their ends in words, and a word for a file's name."""
    import numpy as np
    import torch

    from fairdraw import latent
    from fairdraw.capabilities import Generates

    assert isinstance(trained.model, Generates)
    (a, from_a, name_a), (b, to_b, name_b) = (image_at(trained, image, source) for image in images)
    with torch.inference_mode():
        z = latent.between_codes(trained.model, codes_of(trained, np.stack([a, b])), steps, how)
    return z, f"the code of {from_a} to that of {to_b}", f"{name_a}-{name_b}"


def _way_between_seeds(
    trained: "Trained", seeds: tuple[int, int], steps: int, how: "How", label: str | None
) -> "tuple[Tensor, str, str]":
    """The same between the first draws of two seeds."""
    import torch

    from fairdraw import latent
    from fairdraw.capabilities import Generates

    assert isinstance(trained.model, Generates)
    with torch.inference_mode():
        z = of_class(trained, latent.between_draws(trained.model, seeds, steps, how), label)
    (a, b), label = seeds, class_name(trained, label)
    words = f"the first draw of seed {a} to that of seed {b}{', all' * bool(label)}{of_label(label)}"
    return z, words, f"seed{a}-seed{b}{for_a_name(label)}"
