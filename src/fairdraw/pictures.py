"""Sheets of what a model makes: the first draws of a seed, and reconstructions of given images. None picked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fairdraw.capabilities import Encodes, Generates, Translates, Upscales, sample_chunk
from fairdraw.images import labelled, picture, save_png, sheet, to_uint8
from fairdraw.inference import in_chunks, translated
from fairdraw.model import Model
from fairdraw.nets.bicubic import resized_levels

COLUMNS = 8
UPSCALED_CHUNK = 8


def sampled(model: Generates, count: int, seed: int) -> np.ndarray:
    """The first `count` draws of `seed`, uint8 `[count, C, H, W]`."""
    return np.concatenate([to_uint8(chunk).cpu().numpy() for chunk in model.draws(count, seed)])


def generated(model: Generates, z: Tensor) -> np.ndarray:
    """The images of the latents `z` `[N, D]`, uint8 `[N, C, H, W]`."""
    # Chunks of one size, as `Generates.sample` has them: a latent of its own gives the very image of the sheet.
    assert isinstance(model, Model)
    chunk = sample_chunk(model.shape)
    padded = torch.cat([z, z[:1].expand(-len(z) % chunk, -1)])
    with torch.inference_mode():
        parts = [to_uint8(model.generate(part)).cpu() for part in torch.split(padded, chunk)]
    return torch.cat(parts)[: len(z)].numpy()


def reconstructed(model: Encodes, images: np.ndarray) -> np.ndarray:
    """What the model makes of `images` when it has to pass them through its latents, both uint8 `[N, C, H, W]`."""
    assert isinstance(model, Model)
    assert isinstance(model, Generates)
    made = in_chunks(lambda _, x: to_uint8(model.generate(model.encode(x))).cpu(), model, images)
    return torch.cat(made).numpy()


def sample_sheet(samples: np.ndarray) -> Image.Image:
    """Samples in the order of their draws."""
    return sheet(samples, min(COLUMNS, len(samples)))


def pair_sheet(left: np.ndarray, right: np.ndarray) -> Image.Image:
    """Pairs side by side: what is in `left`, then what belongs to it in `right`."""
    return group_sheet(left, right)


def group_sheet(*members: np.ndarray) -> Image.Image:
    """Groups side by side, the k-th of each of the uint8 `members` `[N, C, H, W]`; no group goes over two rows."""
    tiles = np.stack(members, axis=1).reshape(-1, *members[0].shape[1:])
    return sheet(tiles, min(max(1, COLUMNS // len(members)) * len(members), len(tiles)))


def last_column_sheet(samples: np.ndarray, beside: np.ndarray) -> Image.Image:
    """Rows of samples, each with the image of `beside` that belongs to the row's last sample in the last column.

    Args:
        samples: uint8 `[N, C, H, W]`.
        beside: one for each row, `[rows, C, H, W]`.
    """
    ends = last_of_rows(len(samples))
    tiles = np.full((len(ends), min(COLUMNS, len(samples) + 1), *samples.shape[1:]), 255, np.uint8)
    for row, (first, end) in enumerate(zip([0, *(end + 1 for end in ends)], ends, strict=False)):
        tiles[row, : end + 1 - first] = samples[first : end + 1]
        tiles[row, -1] = beside[row]
    columns = tiles.shape[1]
    return labelled(
        sheet(tiles.reshape(-1, *samples.shape[1:]), columns), [""] * len(ends), [""] * (columns - 1) + ["nearest"]
    )


def last_of_rows(count: int) -> list[int]:
    """Which of `count` samples are the last in their rows, where each row has a place more than it has samples."""
    return [min(first + COLUMNS - 1, count) - 1 for first in range(0, count, COLUMNS - 1)]


def save_each(
    folder: Path, samples: np.ndarray, beside: np.ndarray | None, facts: Mapping[str, Any], name: str
) -> None:
    """Write a file for each sample, `name` with its number, beside its image of `beside` if there is any."""
    for number, tile in enumerate(samples):
        one = slice(number, number + 1)
        shown = picture(tile) if beside is None else pair_sheet(samples[one], beside[one])
        save_png(folder / f"{name}-{number:06d}.png", shown, {**facts, "number": number}, machine_made=True)


def draw_data(folder: Path, images: np.ndarray, source: str) -> None:
    """Training images as the model sees them, so that a person can check that before the hours pass."""
    facts = {"data": source, "shows": f"{len(images)} training images spread over the set"}
    save_png(folder / "training-images.png", sample_sheet(images), facts, machine_made=False)


def draw_progress(
    folder: Path, model: Model, name: str, images_seen: int, draws: np.ndarray | None, held_out: np.ndarray
) -> None:
    """What the model makes after `images_seen`: its first `draws` of seed 0, if any, and its copies of `held_out`."""
    facts = {"model": name, "images_seen": images_seen}
    if draws is not None:
        said = draw_facts(len(draws), 0, facts) | facts
        save_png(folder / f"samples-{images_seen:012d}.png", sample_sheet(draws), said, machine_made=True)
    if isinstance(model, Generates) and isinstance(model, Encodes) and len(held_out):
        facts |= {"shows": f"{len(held_out)} validation images spread over the set, each beside its reconstruction"}
        sheet = pair_sheet(held_out, reconstructed(model, held_out))
        save_png(folder / f"reconstructions-{images_seen:012d}.png", sheet, facts, machine_made=True)


def draw_translations(
    folder: Path,
    model: Translates,
    name: str,
    images_seen: int,
    direction: str,
    given: np.ndarray,
    *truth: np.ndarray,
) -> None:
    """Images `given`, each beside what the model makes of it and, where it is known, what it should become."""
    beside = ", and the image that it should be" if truth else ""
    facts = {
        "model": name,
        "images_seen": images_seen,
        "seed": 0,
        "shows": f"{len(given)} validation inputs spread over the set, each beside its translation {direction}{beside}",
    }
    shown = group_sheet(given, translated(model, given, direction), *truth)
    save_png(folder / f"translations-{direction}-{images_seen:012d}.png", shown, facts, machine_made=True)


def draw_upscaled(folder: Path, model: Upscales, name: str, images_seen: int, originals: np.ndarray) -> None:
    """Images made small and large again: by the bicubic filter, by the model, and the `originals` themselves."""
    assert isinstance(model, Model)
    sides = [side - side % model.factor for side in originals.shape[2:]]
    originals = originals[:, :, : sides[0], : sides[1]]
    low = resized_levels(originals, 1 / model.factor)
    made = in_chunks(lambda _, x: to_uint8(model.upscale(x)).cpu(), model, low, UPSCALED_CHUNK)
    facts = {
        "model": name,
        "images_seen": images_seen,
        "shows": f"{len(originals)} validation images spread over the set, made {model.factor} times smaller and large "
        "again: bicubic filter, model, original",
    }
    shown = group_sheet(resized_levels(low, float(model.factor)), torch.cat(made).numpy(), originals)
    save_png(folder / f"upscaled-{images_seen:012d}.png", shown, facts, machine_made=True)


def draw_facts(count: int, seed: int, model_facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a sheet of samples says of itself."""
    return {
        "model": model_facts.get("model"),
        "model_sha256": model_facts.get("sha256"),
        "seed": seed,
        "count": count,
        "draws": f"the first {count} of seed {seed}, none picked",
    }
