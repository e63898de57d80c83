"""Pictures of what a trained model makes: the first draws of a seed, and reconstructions of given images."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from fairdraw.command import Result
from fairdraw.data.options import plural
from fairdraw.errors import InputError
from fairdraw.verbs.common import (
    Device,
    Part,
    check_count_and_out,
    check_folder_is_ours,
    chosen_part,
    opened,
    picture_path,
)
from fairdraw.verbs.draws import COUNT, FIRST_DRAWS, Draws

if TYPE_CHECKING:
    import numpy as np

    from fairdraw.trained import Trained


@dataclass(frozen=True)
class Neighbours:
    """The training images that lie nearest to the samples.

    Args:
        neighbours: put the nearest training image beside each sample.
        neighbours_as: beside each sample; or only beside the last one of each row, in a last column, as the figures of
            Goodfellow 2014.
        neighbours_by: the distance is between pixels; or between features, which are `pixels-pca64`.
    """

    neighbours: bool = False
    neighbours_as: Literal["pairs", "last-column"] = "pairs"
    neighbours_by: Literal["pixels", "features"] = "pixels"

    def check(self, to_a_sheet: bool) -> None:
        """Refuse options that do not go together.

        Raises:
            InputError: with the options.
        """
        if not self.neighbours and self != Neighbours():
            raise InputError("--neighbours-as and --neighbours-by say how they are shown: add --neighbours")
        if self.neighbours_as == "last-column" and not to_a_sheet:
            raise InputError("--neighbours-as last-column is a column of a sheet: give --out a .png file")

    @property
    def name(self) -> str:
        """For the file's name."""
        if not self.neighbours:
            return ""
        extras = ["features"] * (self.neighbours_by == "features") + ["column"] * (self.neighbours_as == "last-column")
        return "-".join(["-neighbours", *extras])


NO_NEIGHBOURS = Neighbours()


def sample(
    run: tyro.conf.Positional[Path],
    draws: tyro.conf.OmitArgPrefixes[Draws] = FIRST_DRAWS,
    neighbours: tyro.conf.OmitArgPrefixes[Neighbours] = NO_NEIGHBOURS,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Draw the first COUNT images of a seed, none picked and none dropped.

    Args:
        run: a run folder or a model.safetensors file.
        draws: which images.
        neighbours: what is shown beside them.
        out: a .png for one sheet, or a folder for one file an image (default: a sheet in the run's pictures).
        device: where to compute.
    """
    from fairdraw import pictures
    from fairdraw.capabilities import Generates

    draws.check()
    to_a_sheet = out is None or out.suffix.lower() == ".png"
    check_count_and_out(1 if draws.latents is not None else COUNT if draws.count is None else draws.count, out)
    neighbours.check(to_a_sheet)
    if out is not None and not to_a_sheet:
        check_folder_is_ours(out, ("seed*", "latents-*"), ", or a .png file for a sheet")
    trained = opened(run, device, Generates, verb="sample")
    assert isinstance(trained.model, Generates)
    draws = draws.named(trained)
    z = draws.of(trained, out)
    samples = pictures.generated(trained.model, z)
    facts = pictures.draw_facts(len(z), draws.seed or 0, trained.facts) | {"draws": draws.words}
    facts |= {name: getattr(draws, name) for name in ("label", "truncation") if getattr(draws, name) is not None}
    out = out or trained.pictures / f"samples-{draws.name}-count{len(z)}{neighbours.name}.png"
    lines = [f"{out}: {facts['draws']}" + ("" if to_a_sheet else f", in {plural(len(z), 'file')}")]
    near, known, said = _neighbours(samples, trained, neighbours)
    facts |= known
    if to_a_sheet:
        _save_sheet(out, samples, near, facts, draws.caption, neighbours.neighbours_as == "last-column")
    else:
        pictures.save_each(out, samples, near, facts, draws.name)
    return Result({**facts, "out": str(out)}, lines + said)


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
    from fairdraw.capabilities import Encodes, Generates
    from fairdraw.images import save_png
    from fairdraw.metrics.held_out import squared_error
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


def _save_sheet(
    out: Path,
    samples: "np.ndarray",
    near: "np.ndarray | None",
    facts: dict[str, Any],
    caption: str | None,
    column: bool,
) -> None:
    from fairdraw import pictures
    from fairdraw.images import captioned, save_png

    if near is None:
        shown = pictures.sample_sheet(samples)
    else:
        shown = (pictures.last_column_sheet if column else pictures.pair_sheet)(samples, near)
    save_png(out, captioned(shown, caption) if caption else shown, facts, machine_made=True)


def _neighbours(
    samples: "np.ndarray", trained: "Trained", beside: Neighbours
) -> "tuple[np.ndarray | None, dict[str, Any], list[str]]":
    """The nearest training images of the samples, or of the last in each row; facts about them, and a line."""
    from fairdraw import pictures
    from fairdraw.metrics.features import PixelPCA
    from fairdraw.metrics.neighbours import nearest_by_features, nearest_images

    if not beside.neighbours:
        return None, {}, []
    train = trained.training_data().train
    if beside.neighbours_as == "last-column":
        ends = pictures.last_of_rows(len(samples))
        samples, shows = samples[ends], "rows of samples, then the nearest training image of the last one by"
    else:
        ends, shows = list(range(len(samples))), "each sample, then the nearest training image by"
    if beside.neighbours_by == "pixels":
        by, unit = "pixel distance", "RMS pixel distance"
        where, distance = nearest_images(samples, train)
    else:
        features = PixelPCA.fitted(train)
        by = unit = f"distance between features {features.name}"
        where, distance = nearest_by_features(samples, train, features)
    facts = {
        "shows": f"{shows} {by}",
        "neighbours_of": ends,
        "neighbours": [train.dataset.names[i] for i in train.indices[where]],
        "neighbour_distance": [round(float(d), 5) for d in distance],
        "neighbour_distance_is": unit,
    }
    return train.images(where), facts, [f"nearest training image: {unit} {distance.min():.3f} to {distance.max():.3f}"]
