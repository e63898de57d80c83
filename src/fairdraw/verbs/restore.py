"""Removing a corruption from images, and filling in what a mask says is unknown."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import tyro

from fairdraw.command import Result
from fairdraw.data.options import counted, plural
from fairdraw.errors import InputError
from fairdraw.verbs.common import Device, Part, check_count_and_out, chosen_part, file_names, opened, picture_path

if TYPE_CHECKING:
    from fairdraw.data import Split
    from fairdraw.metrics.number import Number
    from fairdraw.model import Model
    from fairdraw.restore import Answer, Restored
    from fairdraw.trained import Trained

ON_A_SHEET = 32

Kind = Literal["masking", "independent-masking", "salt-and-pepper", "gaussian", "blocks"]
"""The corruptions of `nets.corruption`, which imports torch."""


def denoise(
    run: tyro.conf.Positional[Path],
    images: tyro.conf.Positional[str],
    corrupt: bool = False,
    corruption: Kind | None = None,
    amount: float | None = None,
    count: int | None = None,
    part: Part | None = None,
    out: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> Result:
    """Remove the corruption from images; with --corrupt, corrupt clean ones first and measure what comes back.

    Args:
        run: a run folder or a model.safetensors file.
        images: a picture, a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        corrupt: the images are clean: corrupt them as in the model's training, and measure the squared error.
        corruption: corrupt them in this way instead.
        amount: share of the components, or the standard deviation on [0, 1], instead of that in training.
        count: how many images, spread evenly over the source (default: 32 on a sheet, all in a folder).
        part: part of the source (default: test for the data that the model was trained on, else all).
        out: a .png for a sheet, or a new folder for one file an image (default: a sheet in the run's pictures).
        seed: of the corruption.
        device: where to compute.
    """
    from fairdraw.capabilities import Denoises

    _check(count, out)
    trained = opened(run, device, Denoises, verb="denoise")
    assert isinstance(trained.model, Denoises)
    how = _corruption(trained.model.corruption, corrupt, corruption, amount)
    pictures = _Pictures(trained, images, part, out, count, "denoised")
    return _as_they_are(pictures, trained.model) if how is None else _corrupted(pictures, trained.model, how, seed)


def inpaint(
    run: tyro.conf.Positional[Path],
    images: tyro.conf.Positional[str],
    mask: Path,
    steps: int | None = None,
    count: int | None = None,
    part: Part | None = None,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Fill in the pixels under a mask: the model restores the image, what is known is put back, and so on.

    Args:
        run: a run folder or a model.safetensors file.
        images: a picture, a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name; whole, or with
            holes already.
        mask: a picture of the size of the model's images: white (128 and above) is unknown and filled in.
        steps: how often the model restores the image and the known pixels are put back (default: once for a model
            that was trained to fill in blocks, else 20).
        count: how many images, spread evenly over the source (default: 32 on a sheet, all in a folder).
        part: part of the source (default: test for the data that the model was trained on, else all).
        out: a .png for a sheet, or a new folder for one file an image (default: a sheet in the run's pictures).
        device: where to compute.
    """
    from fairdraw import restore

    _check(count, out)
    if steps is not None and steps < 1:
        raise InputError(f"--steps {steps}: give at least 1")
    trained = opened(run, device, verb="fill in")
    steps = steps or restore.steps_for(trained.model)
    unknown = _unknown(mask, trained.model.shape)
    pictures = _Pictures(trained, images, part, out, count, "filled")
    return _filled(pictures, trained.model, unknown, steps)


def _as_they_are(pictures: "_Pictures", model: "Model") -> Result:
    """Denoise images that are corrupted already: there is nothing to measure by."""
    from fairdraw import restore

    facts = {"shows": f"{pictures.words}, each beside what the model makes of it"}
    made = restore.denoised(model, pictures.chosen.images(pictures.positions))
    for _ in pictures.kept(made, None, ("clean", "made"), facts):
        pass  # what is kept is all that is wanted
    return pictures.result(facts, [])


def _corrupted(pictures: "_Pictures", model: "Model", how: tuple[Kind, float], seed: int) -> Result:
    """Corrupt clean images, denoise them, and measure over the whole part."""
    from fairdraw import restore

    words = f"{how[0]} {how[1]:g}"
    facts = {
        "shows": f"{pictures.words}: clean, after {words}, denoised",
        "corruption": {"kind": how[0], "amount": how[1], "seed": seed},
    }
    clean = pictures.chosen.images(np.arange(len(pictures.chosen)))
    made = restore.denoised(model, clean, how, seed)
    made = pictures.kept(made, pictures.positions, ("clean", "given", "made"), facts)
    errors = restore.errors(made, {"made": restore.made, "the corrupted image": restore.given} | _their_mean(clean))
    return pictures.result(facts, [_number(f"squared error after {words}", errors, pictures.which)])


def _filled(pictures: "_Pictures", model: "Model", unknown: np.ndarray, steps: int) -> Result:
    """Fill in images, and measure over the whole part where their own pixels are there to compare with."""
    from fairdraw import restore

    facts = {
        "shows": f"{pictures.words}: as given, masked ({unknown.sum()} of {unknown.size} pixels unknown), filled in",
        "mask": {"unknown": int(unknown.sum()), "pixels": unknown.size},
        "steps": steps,
    }
    stages = ("clean", "given", "made")
    clean = pictures.chosen.images(np.arange(len(pictures.chosen)))
    if restore.are_holed(clean, unknown):
        made = restore.inpainted(model, clean[pictures.positions], unknown, steps)
        for _ in pictures.kept(made, None, stages, facts):
            pass  # what is kept is all that is wanted
        holes = "no number: all pixels under the mask are alike, as in images that have the holes already"
        return pictures.result(facts, [holes])
    made = pictures.kept(restore.inpainted(model, clean, unknown, steps), pictures.positions, stages, facts)
    answers = {"made": restore.made, "black": restore.given} | _their_mean(clean)
    answers |= {"the mean of the known pixels": restore.mean_of_known(unknown)}
    errors = restore.errors(made, answers, unknown)
    if steps > 1:
        once = restore.inpainted(model, clean, unknown, steps=1)
        errors |= restore.errors(once, {"the first step alone": restore.made}, unknown)
    on = f"{pictures.which}, their {unknown.sum()} unknown of {unknown.size} pixels, taken as whole images"
    return pictures.result(facts, [_number(f"squared error after {plural(steps, 'step')}", errors, on, "clipped")])


class _Pictures:
    """Images of a part, and where they go once restored: to a sheet if the path is a .png, else to a file each.

    `positions` are those of the images that are kept, spread evenly over the part.
    """

    def __init__(
        self, trained: "Trained", source: str, part: Part | None, out: Path | None, count: int | None, prefix: str
    ) -> None:
        from fairdraw.order import spread

        if out is not None and out.is_file() and out.resolve() == Path(source).resolve():
            raise InputError(f"--out {out} is the picture itself: choose another name")
        self.chosen, self.which = _chosen(trained, source, part)
        name = f"{prefix}-{Path(source).stem}-{self.chosen.name}.png"
        self.path = picture_path(trained, None, name) if out is None else out
        self.one_sheet = self.path.suffix.lower() == ".png"
        self.positions = spread(len(self.chosen), count or (ON_A_SHEET if self.one_sheet else len(self.chosen)))
        few = ", spread evenly over them" if len(self.positions) < len(self.chosen) else ""
        self.words = counted(len(self.positions), self.which) + few
        self.files = file_names([self.chosen.dataset.names[k] for k in self.chosen.indices[self.positions]])
        self.model = {"model": trained.facts["model"], "model_sha256": trained.facts["sha256"]}
        self._tiles: list[list[np.ndarray]] = []

    def kept(
        self, parts: Iterator["Restored"], positions: np.ndarray | None, stages: Sequence[str], facts: dict[str, Any]
    ) -> Iterator["Restored"]:
        """Pass on `parts`, and keep `stages` of the images at `positions` (None for all), the last being the result."""
        from fairdraw.images import picture, save_png, to_uint8

        for part in parts:
            places = np.arange(part.first, part.first + len(part.clean))
            for row in np.flatnonzero(np.isin(places, places if positions is None else positions)):
                tiles = [to_uint8(getattr(part, stage)[row]).numpy() for stage in stages]
                if self.one_sheet:
                    self._tiles.append(tiles)
                else:
                    number = int(places[row] if positions is None else np.searchsorted(positions, places[row]))
                    about = {**self.model, **facts, "shows": "one restored image", "count": 1}
                    save_png(self.path / self.files[number], picture(tiles[-1]), about, machine_made=True)
            yield part

    def result(self, facts: dict[str, Any], lines: Sequence["Number | str"]) -> Result:
        """Write the sheet, if it is one; what was made and measured."""
        from fairdraw.images import save_png
        from fairdraw.pictures import group_sheet

        facts = {**self.model, **facts, "count": len(self.positions)}
        if self.one_sheet:
            sheet = group_sheet(*(np.stack(stage) for stage in zip(*self._tiles, strict=True)))
            save_png(self.path, sheet, facts, machine_made=True)
            first = f"{self.path}: {facts['shows']}"
        else:
            first = f"{self.path}: {plural(len(self.positions), 'file')}, one for each image, named as the images are"
            if mask := facts.get("mask"):
                first += f"; {mask['unknown']} of {mask['pixels']} pixels unknown"
        numbers = [asdict(number) for number in lines if not isinstance(number, str)]
        return Result({**facts, "out": str(self.path), "numbers": numbers}, [first, *map(str, lines)])


def _chosen(trained: "Trained", source: str, part: Part | None) -> tuple["Split", str]:
    """As `chosen_part`, of a lone picture file too."""
    from fairdraw.data.folder import is_picture
    from fairdraw.data.single import set_of_one

    if not (is_picture(source) and Path(source).is_file()):
        return chosen_part(trained, source, part)
    if part not in (None, "all"):
        raise InputError(f"{source} is a single picture, which has no {part} part: leave out --part")
    pixels, fitted = trained.picture(source)
    return set_of_one(source, pixels).all, f"images of {source}" + (f" ({fitted})" if fitted else "")


def _check(count: int | None, out: Path | None) -> None:
    check_count_and_out(1 if count is None else count, out)
    if out is not None and out.is_dir() and any(out.iterdir()):
        raise InputError(f"--out {out} is a folder with files in it: give a new folder, or a .png file for a sheet")


def _corruption(
    own: tuple[str, float], corrupt: bool, kind: Kind | None, amount: float | None
) -> tuple[Kind, float] | None:
    """Kind and amount of the corruption to be added, if any: the model's `own` but for what is given."""
    if not corrupt and kind is None and amount is None:
        return None
    kind = kind or cast(Kind, own[0])
    if amount is None:
        if kind != own[0]:
            raise InputError(f"--corruption {kind}: say how much with --amount; the model was trained on {own[0]}")
        amount = own[1]
        if amount == 0:
            raise InputError(f"the model was trained on {kind} 0, which corrupts nothing: say how much with --amount")
    if not 0 <= amount < np.inf or (kind != "gaussian" and amount > 1):
        raise InputError(f"--amount {amount:g}: give a share from 0 to 1, or a standard deviation from 0 on")
    return kind, amount


def _unknown(mask: Path, shape: tuple[int, int, int]) -> np.ndarray:
    from fairdraw.data.single import open_picture
    from fairdraw.restore import check_mask

    pixels = open_picture(mask)
    if pixels.shape[2] > 1:
        what = "colours" if pixels.shape[2] == 3 else "transparency"
        raise InputError(f"{mask} has {what}: make a mask of black, which is known, and white, which is unknown, alone")
    return check_mask(pixels[..., 0], shape, str(mask))


def _their_mean(clean: np.ndarray) -> dict[str, "Answer"]:
    from fairdraw.restore import mean_image

    return {"their mean image": mean_image(clean)} if len(clean) > 1 else {}


def _number(name: str, errors: dict[str, np.ndarray], on: str, kept_in: str = "not clipped") -> "Number":
    """The squared error of what the model made, beside those of the trivial answers."""
    from fairdraw.metrics.number import Number

    baselines = {answer: float(values.mean()) for answer, values in errors.items() if answer != "made"}
    unit = f"per image, pixels on [0, 1], {kept_in}"
    return Number.mean(errors["made"], name=name, unit=unit, on=on, baselines=baselines)
