"""Test-set -ELBO after equal images: fairdraw in fp32 and bf16 beside the plain loop, over training seeds.

    python benchmarks/bound_agreement.py [--data-source SOURCE] [--images N] [--seeds N]

The same 784-400-20 network, objective (binarised anew), optimizer and batch; each is judged by the same function on
the same binarised test images. fairdraw starts the output bias at the logit of the mean image; the plain loop is run
with that start too, so that the two differ in the loop alone.
"""

import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from reference import PlainVAE, PlainVAETraining

from fairdraw import VAE, Experiment, Training, VAEConfig, data, load, train
from fairdraw.metrics.likelihood import negative_elbo

CONFIG = VAEConfig(hidden=(400,), activation="relu")


def as_ours(plain: PlainVAE) -> VAE:
    """The plain network's weights in our model, so that one function judges both."""
    model = VAE(CONFIG, (1, 28, 28)).eval()
    encoder, decoder = model.encoder, model.decoder
    posterior = torch.cat([plain.fc21.weight, plain.fc22.weight]), torch.cat([plain.fc21.bias, plain.fc22.bias])
    pairs = [(encoder[1], (plain.fc1.weight, plain.fc1.bias)), (encoder[3], posterior)]
    pairs += [(decoder[0], (plain.fc3.weight, plain.fc3.bias)), (decoder[2], (plain.fc4.weight, plain.fc4.bias))]
    with torch.no_grad():
        for layer, (weight, bias) in pairs:
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
    return model


def main(data_source: str = "digits", images: int = 120_000, seeds: int = 3) -> None:
    dataset = data.open(data_source)
    test = dataset.test.images(np.arange(len(dataset.test)))
    training_images = dataset.train.images(np.arange(len(dataset.train)))
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        plain = PlainVAETraining(training_images, 128, binarised=True, seed=seed)
        plain.run(images // 128)
        found.setdefault("plain loop, bias from 0", []).append(bound(plain, test))
        plain = PlainVAETraining(training_images, 128, binarised=True, seed=seed)
        mean = torch.from_numpy(training_images.mean(axis=0, dtype=np.float64) / 255).float().flatten()
        plain.model.fc4.bias.data.copy_(torch.logit(mean, eps=1e-3))
        plain.run(images // 128)
        found.setdefault("plain loop, our bias", []).append(bound(plain, test))
        for precision in ("fp32", "bf16"):
            found.setdefault(f"fairdraw, {precision}", []).append(ours(data_source, precision, images, seed, test))
    print(f"-ELBO in nats on {len(test)} test images of {data_source} after {images:,} images, by training seed")
    for name, values in found.items():
        each = "  ".join(f"{value:.2f}" for value in values)
        print(f"{name:24} {each}   mean {np.mean(values):.2f}  sd {np.std(values, ddof=1):.2f}")


def bound(plain: PlainVAETraining, test: np.ndarray) -> float:
    return float(negative_elbo(as_ours(plain.model), test).mean())


def ours(source: str, precision: Literal["fp32", "bf16"], images: int, seed: int, test: np.ndarray) -> float:
    # A half-life of 0 is the plain loop's last weights, so that the two differ in the loop alone.
    training = Training(images=images // 128 * 128, batch=128, seed=seed, precision=precision, average_half_life=0)
    with tempfile.TemporaryDirectory() as folder:
        run = train(Experiment(CONFIG, source, training=training), Path(folder) / "run", quiet=True)
        return float(negative_elbo(load(run.folder), test).mean())


if __name__ == "__main__":
    tyro.cli(main)
