"""Finding the images of a source that a model finds unusual."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError, nearest
from fairdraw.verbs.common import (
    Device,
    Part,
    check_capabilities,
    check_count_and_out,
    check_table,
    chosen_part,
    label_names,
    opened,
    picture_path,
    write_table,
)

if TYPE_CHECKING:
    from PIL import Image

    from fairdraw.data import Split
    from fairdraw.model import Model
    from fairdraw.trained import Trained

Score = Literal["squared-error", "negative-elbo", "complexity-ratio", "likelihood-ratio"]

UNITS = {
    "squared-error": "per image, pixels on [0, 1], not clipped",
    "negative-elbo": "nats",
    "complexity-ratio": "nats above its PNG",
    "likelihood-ratio": "nats above the background's",
}
ACROSS = 8
ALONE = "; alone it rates simple images as typical, whatever they show"


def outliers(
    run: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[str],
    by: Score | None = None,
    count: int = 16,
    part: Part | None = None,
    outlier_labels: tuple[str, ...] = (),
    against: str | None = None,
    background: Path | None = None,
    samples: int = 8,
    per_image: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> Result:
    """Score how unusual each image is to a model, and show the most and the least typical.

    Args:
        run: a run folder or a model.safetensors file.
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        by: the score that the sheet is ordered by (default: squared-error, or complexity-ratio for a model that has
            a bound alone).
        count: how many images at either end of the sheet.
        part: part of the source (default: test for the data that the model was trained on, else all).
        outlier_labels: which labels of the source are outliers, for AUROC.
        against: a second source, whose images are all outliers, and those of the first all regular, for AUROC.
        background: run folder or model file of a second model, for the likelihood ratio.
        samples: draws of z for each image in the -ELBO.
        per_image: a .csv file to write all scores to.
        out: a .png, or a folder for it (default: the run's pictures).
        seed: of the binarisation and of z.
        device: where to compute.
    """
    _check(count, out, samples, per_image, outlier_labels, against)
    trained = opened(run, device, verb="find outliers")
    behind = _background(trained, background, device)
    parts, which = _parts(trained, source, part, against)
    scored = _Scored.of(trained, parts, _outliers_of(parts, outlier_labels, which), behind, seed, samples)
    return scored.result(scored.order(by), count, which, out, per_image, {"seed": seed})


@dataclass(frozen=True)
class _Scored:
    """Images of one or two sources with their scores, `[N]` by name, and which are outliers where that is known."""

    trained: "Trained"
    parts: list["Split"]
    scores: dict[str, np.ndarray]
    outlier: np.ndarray | None

    @classmethod
    def of(
        cls,
        trained: "Trained",
        parts: list["Split"],
        outlier: np.ndarray | None,
        background: "Model | None",
        seed: int,
        samples: int,
    ) -> "_Scored":
        """Score all images of `parts`."""
        from fairdraw.metrics.outliers import outlier_scores

        found = [outlier_scores(trained.model, part, background, seed, samples) for part in parts]
        if not found[0]:
            name = trained.facts["model"]
            raise InputError(
                f"{trained.path}: {name} can score no image, for it neither encodes nor bounds a likelihood"
            )
        scores = {score: np.concatenate([part[score] for part in found]) for score in found[0]}
        return cls(trained, parts, scores, outlier)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def order(self, by: Score | None) -> str:
        """The score to go by: `by`, or the squared error, into which nothing enters but the images and the model."""
        if by is None:
            return "squared-error" if "squared-error" in self.scores else "complexity-ratio"
        if by not in self.scores:
            how = "name a second model with --background" if by == "likelihood-ratio" else "choose another --by"
            raise InputError(f"there is no {by} among {', '.join(self.scores)}: {how}")
        return by

    def result(
        self, by: str, count: int, which: str, out: Path | None, table: Path | None, facts: dict[str, Any]
    ) -> Result:
        """Write the sheet and the table; what they show, and how well each score tells the outliers."""
        from fairdraw.images import save_png

        sheet, shown = self.sheet(by, count, which)
        facts = {"model": self.trained.facts["model"], "model_sha256": self.trained.facts["sha256"], **facts, **shown}
        first = self.parts[0]
        out = picture_path(self.trained, out, f"outliers-{Path(first.dataset.name).stem}-{first.name}-{by}.png")
        save_png(out, sheet, facts, machine_made=False)
        lines, measured = self.lines()
        if table is not None:
            self.write(table)
            lines.append(f"{table}: all scores of all {len(self):,} images")
        return Result({**facts, "out": str(out), "auroc": measured}, [f"{out}: {facts['shows']}", *lines])

    def sheet(self, by: str, count: int, which: str) -> tuple["Image.Image", dict[str, Any]]:
        """The `count` images with the highest scores, a gap, and those with the lowest; what it says of itself."""
        from fairdraw.images import sheet
        from fairdraw.metrics.outliers import extremes

        unusual, typical = extremes(self.scores[by], count)
        columns = min(ACROSS, len(unusual))
        tiles = [self._images(unusual), self._images(typical)]
        blank = np.full((columns, *tiles[0].shape[1:]), 255, np.uint8)
        to_the_end = blank[: -len(unusual) % columns]
        names, values = self._names(), self.scores[by]
        facts: dict[str, Any] = {
            end: [{"image": names[place], "score": float(values[place])} for place in places]
            for end, places in (("most_unusual", unusual), ("most_typical", typical))
        }
        facts["by"] = by
        facts["shows"] = (
            f"the {len(unusual)} most unusual of {len(self):,} {which} by {by}, most unusual first; below the gap the "
            f"{len(typical)} most typical, most typical first"
        )
        return sheet(np.concatenate([tiles[0], to_the_end, blank, tiles[1]]), columns), facts

    def lines(self) -> tuple[list[str], list[dict[str, Any]]]:
        """AUROC by each score where outliers are known, else the range of each score; AUROC as facts."""
        from fairdraw.metrics.outliers import auroc

        names, lines, facts = self._names(), [], []
        for score, values in self.scores.items():
            note = ALONE if score == "negative-elbo" else ""
            if self.outlier is None:
                most = f"{values.max():.2f} ({names[int(values.argmax())]})"
                lines.append(f"{score} ({UNITS[score]}): median {np.median(values):.2f}, highest {most}{note}")
            else:
                found = auroc(score, values, self.outlier)
                lines.append(f"{found}{note}")
                facts.append(asdict(found))
        return lines, facts

    def write(self, path: Path) -> None:
        """A row for each image: source, name, label, whether it is an outlier, and every score."""
        sources = [part.dataset.name for part in self.parts for _ in range(len(part))]
        outlier = [""] * len(self) if self.outlier is None else [str(int(known)) for known in self.outlier]
        labels = [label for part in self.parts for label in label_names(part, np.arange(len(part)))]
        values = zip(*(map(repr, values.tolist()) for values in self.scores.values()), strict=True)
        rows = zip(sources, self._names(), labels, outlier, values, strict=True)
        columns = ("source", "name", "label", "outlier", *self.scores)
        write_table(path, columns, ([*row[:-1], *row[-1]] for row in rows))

    def _names(self) -> list[str]:
        return [part.dataset.names[place] for part in self.parts for place in part.indices]

    def _images(self, places: np.ndarray) -> np.ndarray:
        kept = []
        for place in map(int, places):
            for part in self.parts:
                if place < len(part):
                    kept.append(part.images(np.array([place])))
                    break
                place -= len(part)
        return np.concatenate(kept)


def _check(
    count: int, out: Path | None, samples: int, per_image: Path | None, labels: tuple[str, ...], against: str | None
) -> None:
    check_count_and_out(count, out, to_a_sheet=True)
    if samples < 1:
        raise InputError(f"--samples {samples}: give at least 1")
    check_table(per_image)
    if labels and against is not None:
        raise InputError("--outlier-labels and --against both say what the outliers are: give one of them")


def _parts(trained: "Trained", source: str, part: Part | None, against: str | None) -> tuple[list["Split"], str]:
    """The images to score, of one source or two, and words for them."""
    chosen, which = chosen_part(trained, source, part)
    if against is None:
        if len(chosen) < 2:
            raise InputError(f"{source}: one image is not to be compared with others; give a source with several")
        return [chosen], which
    others, and_which = chosen_part(trained, against, part)
    return [chosen, others], f"{which} and {and_which}"


def _background(trained: "Trained", path: Path | None, device: Device) -> "Model | None":
    """The second model of a likelihood ratio; it must be of the same pixels."""
    from fairdraw.capabilities import Bounds

    if path is None:
        return None
    check_capabilities(trained, Bounds, verb="be compared with a background")
    background = opened(path, device, Bounds, verb="be a background").model
    model = trained.model
    assert isinstance(model, Bounds)
    assert isinstance(background, Bounds)
    if background.shape != model.shape or background.observed != model.observed:
        ours, theirs = (f"{m.observed} of {'x'.join(map(str, m.shape))}" for m in (model, background))
        raise InputError(f"--background {path} bounds the likelihood of {theirs}, {trained.path} that of {ours}")
    return background


def _outliers_of(parts: list["Split"], outlier_labels: tuple[str, ...], which: str) -> np.ndarray | None:
    """Which images are outliers, boolean `[N]`: those of some labels, or those of the second part; None if unsaid."""
    if len(parts) == 2:
        return np.repeat([False, True], [len(part) for part in parts])
    if not outlier_labels:
        return None
    part = parts[0]
    source, known = part.dataset.name, part.dataset.label_names
    if part.labels is None:
        raise InputError(f"{source} has no labels: say with --against which source holds the outliers")
    for label in outlier_labels:
        if label not in known:
            meant = nearest(label, known)
            raise InputError(f"{source} has no label {label!r}{meant} for --outlier-labels; it has {', '.join(known)}")
    outlier = np.isin(part.labels, [known.index(label) for label in outlier_labels])
    if outlier.all() or not outlier.any():
        share = "all" if outlier.all() else "none"
        raise InputError(
            f"{share} of the {len(part):,} {which} have --outlier-labels "
            f"{' '.join(outlier_labels)}: AUROC needs images of both kinds"
        )
    return outlier
