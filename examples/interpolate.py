"""From one held-out image to another through the latents of a trained VAE.

    python examples/interpolate.py --run runs/demo

Each row starts with an image of the test part and ends with the next, of images spread over the part; between them is
what the decoder makes of points on the line between their latents. Without a run, a small VAE is trained first.
"""

from pathlib import Path

import numpy as np
import torch
import tyro

from fairdraw import Encodes, Experiment, Generates, Run, Training, VAEConfig, data, load, train
from fairdraw.images import save_png, sheet, to_signed, to_uint8


def main(
    run: Path = Path("runs/interpolate"),
    source: str = "digits",
    images: int = 100_000,
    rows: int = 6,
    steps: int = 8,
    out: Path = Path("interpolation.png"),
) -> None:
    if not (run / "model.safetensors").exists():
        train(Experiment(VAEConfig(), source, training=Training(images=images, schedule="linear")), run)
    model = load(run)
    assert isinstance(model, Encodes)
    assert isinstance(model, Generates)

    experiment = Run(run).experiment()
    held_out = data.open(experiment.data, experiment.options).test
    originals = torch.from_numpy(held_out.images(np.linspace(0, len(held_out) - 1, rows + 1).astype(int)))
    with torch.inference_mode():
        z = model.encode(to_signed(originals))
        line = torch.linspace(0, 1, steps)[None, :, None]
        between = torch.lerp(z[:-1, None], z[1:, None], line)
        made = to_uint8(model.generate(between.flatten(0, 1))).reshape(rows, steps, *originals.shape[1:])
    picture = sheet(
        torch.cat([originals[:-1, None], made, originals[1:, None]], dim=1).flatten(0, 1), columns=steps + 2
    )
    facts = {"shows": f"{rows + 1} test images spread over {experiment.data}, and lines between their latents"}
    save_png(out, picture, facts, machine_made=True)
    print(f"{out}: {facts['shows']}")


if __name__ == "__main__":
    tyro.cli(main)
