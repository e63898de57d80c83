"""A trained model at use: pictures, folders and videos of any size, translated or made larger."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError
from fairdraw.verbs.any_picture import Work
from fairdraw.verbs.common import Device, opened

if TYPE_CHECKING:
    from fairdraw.model import Model

Direction = Literal["a-to-b", "b-to-a"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Folder:
    """What is done with a folder of pictures.

    Args:
        bad_images: a picture that cannot be read is an error that names it, or is left out and named.
        skip_existing: leave alone what is in --out already, by the same model, options and picture: so a command that
            was interrupted goes on.
    """

    bad_images: Literal["error", "skip"] = "error"
    skip_existing: bool = False


FOLDER = Folder()


def translate(
    run: tyro.conf.Positional[Path],
    pictures: tyro.conf.Positional[Path],
    out: Path | None = None,
    direction: Direction | None = None,
    tile: int | None = None,
    folder: tyro.conf.OmitArgPrefixes[Folder] = FOLDER,
    seed: int = 0,
    precision: Precision = "fp32",
    device: Device = "auto",
) -> Result:
    """Translate pictures of any size; transparency, 16 bits and colour profiles are kept.

    Args:
        run: a run folder or a model.safetensors file.
        pictures: a picture, a folder of pictures, or a video.
        out: a .png or .mp4 file, or a folder (default: in the run's pictures).
        direction: which way, where the model has learnt both (default: its first).
        tile: side in pixels of the tiles that a larger picture is cut into (default: 512, or as the model needs it).
        folder: what is done with a folder of pictures.
        seed: of the noise, for models that have any.
        precision: bf16 is several times as fast on processors and GPUs that have it, and off by a level or more.
        device: where to compute.
    """
    from fairdraw.capabilities import Translates
    from fairdraw.tiling import translating

    trained = opened(run, device, Translates, verb="translate")
    model = trained.model
    assert isinstance(model, Translates)
    which = direction or model.directions[0]
    if which not in model.directions:
        raise InputError(
            f"--direction {which}: {trained.path} has learnt {' and '.join(model.directions)} alone; leave it out"
        )
    tiled = translating(model, which, seed, tile, precision)
    options = {"direction": which, "seed": seed, "tile": tiled.side, "precision": precision}
    work = Work(trained, tiled, "translated", which, options, folder.bad_images == "skip", folder.skip_existing)
    return work.on(pictures, out)


def upscale(
    run: tyro.conf.Positional[Path],
    pictures: tyro.conf.Positional[Path],
    out: Path | None = None,
    blend: float | None = None,
    tile: int | None = None,
    folder: tyro.conf.OmitArgPrefixes[Folder] = FOLDER,
    precision: Precision = "fp32",
    device: Device = "auto",
) -> Result:
    """Make pictures of any size larger; transparency, 16 bits and colour profiles are kept.

    Args:
        run: a run folder or a model.safetensors file.
        pictures: a picture, a folder of pictures, or a video.
        out: a .png or .mp4 file, or a folder (default: in the run's pictures).
        blend: mix the model's two networks, from 0, the least error, to 1, the most detail (default: 1).
        tile: side in pixels of the tiles that a larger picture is cut into, before they are made larger (default: 256,
            or as the model needs it).
        folder: what is done with a folder of pictures.
        precision: bf16 is several times as fast on processors and GPUs that have it, and off by a level or more.
        device: where to compute.
    """
    from fairdraw.capabilities import Blends, Upscales
    from fairdraw.tiling import upscaling

    if blend is not None and not 0 <= blend <= 1:
        raise InputError(f"--blend {blend:g}: give a number from 0, the least error, to 1, the most detail")
    trained = opened(run, device, Upscales, verb="upscale")
    if blend is not None:
        if not isinstance(trained.model, Blends) or _holds_one(trained.model):
            raise InputError(f"--blend {blend:g}: {trained.path} holds one network alone; leave it out")
        trained = replace(trained, model=trained.model.blend(blend))
    model = trained.model
    assert isinstance(model, Upscales)
    tiled = upscaling(model, tile, precision)
    options = {"factor": model.factor, "blend": blend, "tile": tiled.side, "precision": precision}
    name = f"x{model.factor}" + ("" if blend is None else f"-blend{blend:g}")
    work = Work(trained, tiled, "enlarged", name, options, folder.bad_images == "skip", folder.skip_existing)
    return work.on(pictures, out)


def _holds_one(model: "Model") -> bool:
    """Whether a model that could blend has nothing to do so with, as SRResNet has not."""
    from fairdraw.capabilities import Blends

    assert isinstance(model, Blends)
    other = model.blend(0.0).state_dict()
    return all(bool((value == other[name]).all()) for name, value in model.state_dict().items())
