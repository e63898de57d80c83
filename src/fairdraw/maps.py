"""Images as points in the plane: projections, a picture of them, and a page where pointing at one shows its image."""

import base64
import html
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from fairdraw.files import write_atomically
from fairdraw.images import make_folder, mosaic, picture

COLOURS = (
    "#3f90da",
    "#e69500",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b0a160",
    "#717581",
    "#1aa39b",
)
"""After Petroff 2021 (arXiv:2107.02270), for eyes that see few colours; those too pale for white paper are darker."""
SHAPES = "os^D"
"""Of the first ten labels, of the next ten, and so on."""
NEUTRAL = "#717581"

PERPLEXITY = 30
COMPONENTS = 50
"""t-SNE begins from so many principal components, which takes noise and time away (van der Maaten & Hinton 2008)."""
SMALLEST = 10
"""Fewer points make no map."""
TILE = 40
"""Longest side in pixels of the small images on the page."""
MOST_EXACT = 1_024
"""Pixels up to which principal components come from the whole covariance; beyond, a randomised search is quicker.

A picture can do with that sooner than a baseline, which `metrics.reconstruction` makes exact up to more pixels."""
FIGURES = 4
LONGEST_NAME = 3
"""Labels with more letters would hide the points that they are written on."""
MOST_IN_LEGEND = len(COLOURS) * len(SHAPES)

WARNING = (
    "t-SNE keeps neighbours together; distances between its clusters, their sizes and its axes mean little, "
    "and it has no place for an image that was not among those it was made of."
)


@dataclass(frozen=True)
class Panel:
    """One arrangement of the images.

    Args:
        title: what the points are.
        points: `[N, 2]`.
        note: a line below the title, such as the accuracy.
    """

    title: str
    points: np.ndarray
    note: str = ""


@dataclass(frozen=True)
class Map:
    """Several arrangements of the same images.

    Args:
        title: of the whole.
        panels: all of the same N points in the same order.
        labels: `[N]`, places in `label_names`; None where the images have none.
        label_names: their words.
        lines: what a reader should know.
    """

    title: str
    panels: Sequence[Panel]
    labels: np.ndarray | None
    label_names: Sequence[str]
    lines: Sequence[str]


def pca_points(fitted_on: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """The first two principal components of `fitted_on` `[M, D]`, of `shown` `[N, D]`: `[N, 2]`; one is put on a line.

    M is at least 2. Where all of `fitted_on` are equal there are no components, and all points are in one place.
    """
    if _are_equal(fitted_on):
        return np.zeros((len(shown), 2))
    width = shown.shape[1]
    if width == 1:
        return np.column_stack([shown, np.zeros(len(shown))])
    solver = "covariance_eigh" if width <= MOST_EXACT else "randomized"
    found: np.ndarray = PCA(2, svd_solver=solver, random_state=0).fit(fitted_on).transform(shown)
    return found


def tsne_points(x: np.ndarray, seed: int) -> np.ndarray:
    """t-SNE of `x` `[N, D]`: `[N, 2]`, from principal components, started at the first two of them."""
    if _are_equal(x):
        return np.zeros((len(x), 2))
    kept = min(COMPONENTS, len(x))
    if x.shape[1] > kept:
        solver = "covariance_eigh" if x.shape[1] <= MOST_EXACT else "randomized"
        x = PCA(kept, svd_solver=solver, random_state=0).fit_transform(x)
    start = "pca" if x.shape[1] > 1 else "random"
    made = TSNE(perplexity=min(PERPLEXITY, (len(x) - 1) / 3), init=start, random_state=seed % 2**32)
    found: np.ndarray = made.fit_transform(x.astype(np.float32))
    return found


def _are_equal(x: np.ndarray) -> bool:
    """Whether the rows of `x` `[N, D]` are equal to the rounding of float32."""
    return bool(np.ptp(x, axis=0).max() <= 1e-6 * np.abs(x).max())


def draw(shown: Map) -> Image.Image:
    """All panels side by side.

    Raises:
        ImportError: where matplotlib is missing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(shown.panels)
    area = min(max(8_000 / len(shown.panels[0].points), 4), 30)
    figure = Figure(figsize=(5 * count, 5.9), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(shown.title, fontsize=11)
    for axes, panel in zip(figure.subplots(1, count, squeeze=False)[0], shown.panels, strict=True):
        axes.set_title(f"{panel.title}\n{panel.note}".strip(), fontsize=9)
        axes.set_box_aspect(1)
        axes.set_aspect("equal", adjustable="datalim")
        axes.tick_params(labelsize=7)
        for label in [None] if shown.labels is None else np.unique(shown.labels):
            at = panel.points if label is None else panel.points[shown.labels == label]
            colour, shape = _look(label)
            name = "" if label is None else shown.label_names[label].replace("$", r"\$")  # else mathematics begins
            axes.scatter(*at.T, s=area, c=colour, marker=shape, linewidths=0, alpha=0.75, label=name)
            if label is not None and _written(shown):
                _name(axes, np.median(at, axis=0), name)
    if shown.labels is not None and not _written(shown) and len(np.unique(shown.labels)) <= MOST_IN_LEGEND:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8, markerscale=2)
    figure.supxlabel("\n".join(shown.lines), fontsize=8)
    buffer = io.BytesIO()
    canvas.print_figure(buffer, format="png")
    return Image.open(buffer).convert("RGB")


def save_page(path: Path, shown: Map, images: np.ndarray, names: Sequence[str], facts: Mapping[str, Any]) -> None:
    """Write one page that needs nothing else: the panels, and the uint8 `images` `[N, C, H, W]` behind the points.

    Raises:
        InputError: where it cannot be written.
    """
    tiles, columns = _sprite(images)
    content = {
        "title": shown.title,
        "lines": list(shown.lines),
        "panels": [
            {"title": p.title, "note": p.note, "x": _short(p.points[:, 0]), "y": _short(p.points[:, 1])}
            for p in shown.panels
        ],
        "labels": None if shown.labels is None else shown.labels.tolist(),
        "labelNames": list(shown.label_names),
        "looks": [_look(label) for label in range(len(shown.label_names))],
        "neutral": _look(None),
        "written": _written(shown),
        "names": list(names),
        "columns": columns,
        "facts": dict(facts),
    }
    # A label or a file may be named `</script>`.
    data = json.dumps(content).replace("<", "\\u003c")
    page = files("fairdraw").joinpath("map.html").read_text(encoding="utf-8")
    parts = {"TITLE": html.escape(shown.title), "SPRITE": tiles, "DATA": data}
    make_folder(path.parent)
    write_atomically(path, re.sub("@(TITLE|SPRITE|DATA)@", lambda found: parts[found[1]], page).encode())


def _sprite(images: np.ndarray) -> tuple[str, int]:
    """All images on one sheet without gaps, as base64 of a PNG, and how many are in a row of it."""
    channels, height, width = images.shape[1:]
    if max(height, width) > TILE:
        small = [picture(image) for image in images]
        for tile in small:
            tile.thumbnail((TILE, TILE))
        arrays = np.stack([np.asarray(tile).reshape(tile.height, tile.width, channels) for tile in small])
        images = arrays.transpose(0, 3, 1, 2)
    laid = mosaic(images)
    buffer = io.BytesIO()
    picture(laid).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii"), laid.shape[2] // images.shape[3]


def _look(label: int | None) -> tuple[str, str]:
    """Colour and shape of the points of a label."""
    if label is None:
        return NEUTRAL, SHAPES[0]
    return COLOURS[label % len(COLOURS)], SHAPES[label // len(COLOURS) % len(SHAPES)]


def _written(shown: Map) -> bool:
    """Whether labels are written on their points."""
    return all(len(name) <= LONGEST_NAME for name in shown.label_names)


def _name(axes: Any, at: np.ndarray, name: str) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="white")]
    axes.text(*at, name, fontsize=9, fontweight="bold", ha="center", va="center", path_effects=halo)


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{FIGURES}g}") for value in values]
