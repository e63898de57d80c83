"""Does CycleGAN find a restyling that it never saw a pair of? Emoji, and what its parts are worth, by seed.

    python benchmarks/hidden_pairs.py [--seeds 0 1 2] [--arms full cycle-alone ...] [--out FOLDER]

Domain a is one half of the training emoji at 32 px, domain b the other half restyled: colours exchanged in a ring and
weakened, every other pair of rows darkened. No emoji is in both halves, nor is a skin tone of it. The restyling is
known, so that translations of the test emoji can be held against what they should be: mean absolute difference of
pixels on [0, 1], in both directions, beside leaving the image as it is. Its colours are not symmetric: light stays
light, so that exchanging light and dark does not fool a discriminator.
"""

import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from fairdraw import CycleGAN, CycleGANConfig, Experiment, Runtime, data, load, preset, train
from fairdraw.data import Options
from fairdraw.data.emoji import base_of
from fairdraw.images import save_png, sheet
from fairdraw.inference import translated
from fairdraw.metrics.bootstrap import deviation
from fairdraw.metrics.translation import absolute_errors, cycled

SIZE, SHOWN = 32, 8
WEAKENED = np.array([1.0, 0.8, 0.55])[:, None, None]
DARKENED = 0.7
Arm = Literal["full", "cycle-alone", "gan-alone", "no-identity", "forward", "backward"]
ARMS: tuple[Arm, ...] = ("full", "cycle-alone", "gan-alone", "no-identity", "forward", "backward")


def restyled(images: np.ndarray) -> np.ndarray:
    """T: uint8 `[N, 3, H, W]` of domain a as they look in domain b."""
    x = images[:, [2, 0, 1]] * WEAKENED
    x[:, :, np.arange(x.shape[2]) % 4 < 2] *= DARKENED
    return x.round().astype(np.uint8)


def config(arm: Arm, of: CycleGANConfig) -> CycleGANConfig:
    """The options of an arm; only "full" has the identity term, which pulls the same way as a cycle."""
    return {
        "full": of,
        "cycle-alone": replace(of, adversarial=0.0, identity=0.0),
        "gan-alone": replace(of, lambda_cycle=0.0),
        "no-identity": replace(of, identity=0.0),
        "forward": replace(of, cycles="forward", identity=0.0),
        "backward": replace(of, cycles="backward", identity=0.0),
    }[arm]


def halves(folder: Path) -> tuple[Path, Path, np.ndarray]:
    """Files of the two domains, and test images of domain a whose restyling nobody was trained on."""
    emoji = data.open("emoji", Options(size=SIZE))
    images = emoji.train.images(np.arange(len(emoji.train)))
    names = [emoji.names[row] for row in emoji.train.indices]
    first = np.array([zlib.crc32(base_of(name).encode()) % 2 == 0 for name in names])
    folder.mkdir(parents=True, exist_ok=True)
    a, b = folder / "a.npz", folder / "b.npz"
    np.savez(a, images=images[first].transpose(0, 2, 3, 1))
    np.savez(b, images=restyled(images[~first]).transpose(0, 2, 3, 1))
    return a, b, emoji.test.images(np.arange(len(emoji.test)))


def judged(model: CycleGAN, a: np.ndarray, folder: Path) -> dict[str, list[float]]:
    """Numbers with the standard deviation that other test images would give them; a sheet of the first images."""
    b = restyled(a)
    found: dict[str, list[float]] = {}
    for direction, given, truth in (("a-to-b", a, b), ("b-to-a", b, a)):
        made = translated(model, given, direction)
        ours, kept = absolute_errors(truth, made), absolute_errors(truth, given)
        numbers = {"L1": ours, "L1 of the input": kept}
        for name, in_levels in (("cycle", False), ("cycle in 8 bits", True)):
            numbers[name] = absolute_errors(given, cycled(model, given, direction, 0, in_levels))
        target = translated(model, truth, direction)
        numbers["change of its own target"] = absolute_errors(truth, target)
        found |= {f"{direction}, {name}": [float(v.mean()), deviation(np.mean, v)] for name, v in numbers.items()}
        # What is not background in domain a: there the restyling is of colours, not of white alone.
        inside = (a < 255).any(1, keepdims=True)
        pairs = {"ratio": (ours, kept), "ratio inside": tuple(_where(inside, truth, x) for x in (made, given))}
        for name, (of_model, of_input) in pairs.items():
            rows = np.stack([of_model, of_input], 1)
            found[f"{direction}, {name}"] = [_ratio(rows), deviation(_ratio, rows)]
        rows = np.concatenate([given[:SHOWN], made[:SHOWN], truth[:SHOWN]])
        said = f"the first {SHOWN} test images, their translations {direction}, and what these should be"
        save_png(folder / f"{direction}.png", sheet(rows, SHOWN), {"shows": said}, machine_made=True)
    return found


def _where(mask: np.ndarray, truth: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Sum of the absolute differences inside a mask `[N, 1, H, W]`, `[N]`."""
    found: np.ndarray = (np.abs(truth.astype(float) - images) * mask).sum((1, 2, 3))
    return found


def _ratio(rows: np.ndarray) -> float:
    return float(rows[:, 0].sum() / rows[:, 1].sum())


def main(
    seeds: tuple[int, ...] = (0, 1, 2),
    arms: tuple[Arm, ...] = ARMS,
    images: int | None = None,
    threads: int | None = None,
    out: Path = Path("runs/hidden-pairs"),
) -> None:
    a, b, held_out = halves(out)
    small = preset("cyclegan-small")
    length = small.training.images if images is None else images
    for arm in arms:
        for seed in seeds:
            folder = out / f"{arm}-{seed}"
            training = replace(small.training, images=length, seed=seed)
            what = Experiment(config(arm, small.model), str(b), Options(inputs=str(a)), training)
            run = train(what, folder, Runtime(device="cpu", threads=threads), quiet=True)
            model = load(folder)
            assert isinstance(model, CycleGAN)
            found = judged(model, held_out, folder)
            times = [entry["time"] for entry in run.read_log() if entry["event"] == "progress"]
            seconds = (times[-1] - times[0]) * len(times) / (len(times) - 1)
            (folder / "hidden-pairs.json").write_text(json.dumps({"seconds": seconds, **found}, indent=1))
            shown = {name: f"{value:.3f} +- {spread:.3f}" for name, (value, spread) in found.items()}
            print(f"{arm} {seed}: {seconds:.0f} s, {shown}", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
