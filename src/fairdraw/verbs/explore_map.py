"""Maps of held-out images: by the model's code beside PCA and t-SNE of the pixels."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from fairdraw.command import Result
from fairdraw.data.options import counted
from fairdraw.errors import InputError
from fairdraw.verbs.common import OTHER_FILES, Device, held_out_or, opened
from fairdraw.verbs.explore import codes_of

if TYPE_CHECKING:
    import numpy as np

    from fairdraw.data import Split
    from fairdraw.maps import Map, Panel
    from fairdraw.metrics.number import Number
    from fairdraw.trained import Trained

MOST = 20_000
"""More points are more than a browser draws at ease, and t-SNE of them takes many minutes."""
FITTED_ON = 10_000
"""Training images at most that PCA is fitted on."""


@dataclass(frozen=True)
class _Shown:
    """The images of a map: uint8 `[N, C, H, W]`, what they are, their labels and names."""

    images: "np.ndarray"
    which: str
    labels: "np.ndarray | None"
    label_names: tuple[str, ...]
    names: list[str]


def show_map(
    run: tyro.conf.Positional[Path],
    source: str | None = None,
    count: int = 5000,
    out: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> Result:
    """Lay out held-out images by their codes, beside PCA and t-SNE of their pixels: a picture and a page to point at.

    Args:
        run: a run folder or a model.safetensors file.
        source: images to show: all of it, or the test images of the data that the model was trained on, which is the
            default.
        count: images at most, spread evenly over them.
        out: a .png or .html file, beside which the other goes, or a folder (default: the run's pictures).
        seed: of t-SNE.
        device: where to compute.
    """
    from fairdraw import maps
    from fairdraw.capabilities import Encodes
    from fairdraw.images import make_folder

    if not maps.SMALLEST <= count <= MOST:
        raise InputError(f"--count {count}: give {maps.SMALLEST} to {MOST:,}")
    if out is not None and out.suffix.lower() in (*OTHER_FILES, ".mp4"):
        raise InputError(f"--out {out}: a map is written as .html and .png; give one of these, or a folder")
    trained = opened(run, device, Encodes, verb="map")
    chosen, which = held_out_or(trained, source)
    shown = _shown(chosen, which, count)
    page = _page(trained, out)
    make_folder(page.parent)
    panels, numbers = _panels(trained, chosen, shown, seed)
    laid = _laid(trained, shown, panels)
    facts = {
        "model": trained.facts["model"],
        "model_sha256": trained.facts["sha256"],
        "shows": laid.title,
        "notes": list(laid.lines),
        "seed": seed,
        "count": len(shown.images),
        "numbers": [asdict(number) for number in numbers],
    }
    outs, lines = _saved(page, laid, shown, facts)
    return Result({**facts, "out": outs}, [*lines, *laid.lines, *map(str, numbers)])


def _page(trained: "Trained", out: Path | None) -> Path:
    """Where the page goes, beside which the picture goes."""
    if out is None or out.suffix.lower() not in (".png", ".html"):
        return (out or trained.pictures) / "map.html"
    return out.with_suffix(".html")


def _saved(page: Path, laid: "Map", shown: _Shown, facts: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The files written, and lines about them; the picture is left out where matplotlib is missing."""
    from fairdraw import maps
    from fairdraw.images import save_png

    drawing = page.with_suffix(".png")
    maps.save_page(page, laid, shown.images, shown.names, facts)
    told = f"{page}: {laid.title}; open it in a browser and point at a dot"
    try:
        save_png(drawing, maps.draw(laid), facts, machine_made=False)
    except ImportError:
        return [str(page)], [told, "no PNG, for which matplotlib is missing: pip install 'fairdraw[plots]'"]
    return [str(page), str(drawing)], [told, f"{drawing}: the same as a picture"]


def _shown(chosen: "Split", which: str, count: int) -> _Shown:
    from fairdraw import maps
    from fairdraw.order import spread

    where = spread(len(chosen), count)
    if len(where) < maps.SMALLEST:
        raise InputError(f"only {counted(len(where), which)}: a map needs {maps.SMALLEST}; name others with --source")
    data = chosen.dataset
    labels = None if chosen.labels is None else chosen.labels[where]
    names = [data.names[i] for i in chosen.indices[where]]
    if len(where) < len(chosen):
        which += f" (spread evenly over {len(chosen):,})"
    return _Shown(chosen.images(where), which, labels, data.label_names, names)


def _panels(trained: "Trained", chosen: "Split", shown: _Shown, seed: int) -> "tuple[list[Panel], list[Number]]":
    """The code first, then what it has to be compared with; and the accuracy of each where there are labels."""
    import numpy as np

    from fairdraw.maps import pca_points, tsne_points
    from fairdraw.order import spread

    bank = _bank(trained, chosen)
    others = shown.images if bank is None else bank.images(spread(len(bank), FITTED_ON))
    pixels, other_pixels = (x.reshape(len(x), -1) / np.float32(255) for x in (shown.images, others))
    codes, other_codes = _codes(trained, shown.images), _codes(trained, others)
    size = codes.shape[1]
    found = {}
    if size <= 2:
        found[f"the model's {size}-D code"] = np.pad(codes, ((0, 0), (0, 2 - size)))
    else:
        found[f"2-D PCA of the {size}-D code"] = pca_points(other_codes, codes)
        found[f"2-D t-SNE of the {size}-D code"] = tsne_points(codes, seed)
    found["2-D PCA of the pixels"] = pca_points(other_pixels, pixels)
    found["2-D t-SNE of the pixels"] = tsne_points(pixels, seed)
    return _judged(found, shown)


def _judged(found: "dict[str, np.ndarray]", shown: _Shown) -> "tuple[list[Panel], list[Number]]":
    from fairdraw.maps import Panel
    from fairdraw.metrics.neighbour_accuracy import neighbour_accuracy

    if shown.labels is None or not _differ(shown.labels):
        return [Panel(title, points) for title, points in found.items()], []
    panels, numbers = [], []
    for title, points in found.items():
        number = neighbour_accuracy(points, shown.labels, where=title, on=shown.which)
        assert number.interval is not None
        low, high = number.interval
        note = f"5-NN accuracy {number.value:.1f} % ({low:.1f} to {high:.1f}), {number.count:,} images"
        panels.append(Panel(title, points, note))
        numbers.append(number)
    return panels, numbers


def _differ(labels: "np.ndarray") -> bool:
    return bool((labels != labels[0]).any())


def _bank(trained: "Trained", chosen: "Split") -> "Split | None":
    """What PCA is fitted on: the training images of the same data, where there are enough; None for the images shown.

    A model saw these images too, so neither has an advantage over the other on those that are shown.
    """
    train = chosen.dataset.train
    own = chosen.dataset.fingerprint == trained.facts.get("data", {}).get("fingerprint")
    return train if own and chosen.name != "train" and len(train) > 2 else None


def _codes(trained: "Trained", images: "np.ndarray") -> "np.ndarray":
    codes: np.ndarray = codes_of(trained, images).cpu().double().numpy()
    return codes


def _laid(trained: "Trained", shown: _Shown, panels: "list[Panel]") -> "Map":
    from fairdraw.maps import WARNING, Map

    title = f"{len(shown.images):,} {shown.which}, by the codes of {trained.facts['model']}"
    lines = [WARNING]
    if shown.labels is None:
        lines.append("The images have no labels: no colours, and no accuracy.")
    elif not _differ(shown.labels):
        lines.append("The images have one label: no accuracy.")
    return Map(title, panels, shown.labels, shown.label_names, lines)
