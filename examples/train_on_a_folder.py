"""Train a small VAE on a folder of pictures and draw from it.

    python examples/train_on_a_folder.py --folder holiday-photos --images 200000

Without a folder it makes one of its own: discs of random grey and place.
"""

from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from fairdraw import Experiment, Generates, Training, VAEConfig, data, load, train
from fairdraw.images import save_png
from fairdraw.pictures import draw_facts, sample_sheet, sampled


def make_discs(folder: Path, count: int = 400, size: int = 32) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    for number in range(count):
        x, y = random.uniform(8, size - 8, 2)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < random.uniform(4, 8) ** 2
        disc = np.where(inside, random.integers(100, 256), 0).astype(np.uint8)
        Image.fromarray(disc).save(folder / f"disc-{number:03d}.png")
    return folder


def main(
    folder: Path | None = None, size: int = 32, images: int = 50_000, batch: int = 64, out: Path = Path("runs/folder")
) -> None:
    folder = folder or make_discs(out.with_name(f"{out.name}-discs"))
    options = data.Options(size=size)
    print(data.check(folder, options))

    training = Training(images=images, batch=batch, schedule="linear")
    config = VAEConfig(architecture="conv", hidden=(128,), latent=8, activation="relu", width=16)
    run = train(Experiment(config, str(folder), options, training), out)

    model = load(run.folder)
    assert isinstance(model, Generates)
    path = run.pictures / "first-draws.png"
    save_png(
        path, sample_sheet(sampled(model, count=64, seed=0)), draw_facts(64, 0, {"model": "vae"}), machine_made=True
    )
    print(f"the first 64 draws of seed 0: {path}")


if __name__ == "__main__":
    tyro.cli(main)
