"""How well the scores of `fairdraw outliers` tell outliers: AUROC, mean and spread over training seeds.

    python benchmarks/outliers.py digits --data mnist.npz
    python benchmarks/outliers.py sources --data mnist.npz --against fashion.npz

`digits` trains a model without one label after the other, and looks for the images of that label in the test part.
`sources` trains on one source, and looks for the test images of another among its own. Models are the autoencoder
784-500-250-30 and the VAE 784-400-20, both small and shortly trained; the background model of the likelihood ratio
(sources only) is a second VAE, trained on the images with a fifth of their pixels replaced by random ones (Ren 2019).
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro

import fairdraw
from fairdraw import AutoencoderConfig, Experiment, Runtime, Training, VAEConfig, data
from fairdraw.data import Options
from fairdraw.metrics.outliers import auroc, outlier_scores
from fairdraw.model import Model
from fairdraw.optimizers import Adam

MODELS: dict[str, Any] = {
    "autoencoder": AutoencoderConfig(hidden=(500, 250)),
    "vae": VAEConfig(hidden=(400,), activation="relu", optimizer=Adam(2e-3)),
}
REPLACED = 0.2


def trained(config: Any, source: str, seed: int, images: int, leave_out: tuple[str, ...] = ()) -> Model:
    training = Training(images, batch=100, seed=seed, schedule="linear", precision="fp32", picture_every=images)
    experiment = Experiment(config, source, Options(leave_out=leave_out), training)
    with tempfile.TemporaryDirectory() as folder:
        fairdraw.train(experiment, Path(folder) / "run", Runtime(device="cpu"), quiet=True)
        return fairdraw.load(Path(folder) / "run")


def found(model: Model, regular: data.Split, unusual: data.Split | None, label: int, background: Model | None) -> Any:
    """AUROC by score; the outliers are all of `unusual`, or what has `label` among `regular`."""
    scores = [outlier_scores(model, part, background) for part in (regular, unusual) if part is not None]
    labels = regular.labels
    assert labels is not None
    outlier = labels == label
    if unusual is not None:
        outlier = np.repeat([False, True], [len(regular), len(unusual)])
    return {name: auroc(name, np.concatenate([s[name] for s in scores]), outlier).value for name in scores[0]}


def show(what: str, runs: list[dict[str, float]]) -> None:
    for score in runs[0]:
        values = np.array([run[score] for run in runs])
        spread = f"{values.std(ddof=1):.3f}" if len(values) > 1 else "  -  "
        each = " ".join(f"{value:.3f}" for value in values)
        print(f"{what:28} {score:18} {values.mean():.3f}  {spread}   ({each})", flush=True)


def perturbed(source: str, folder: str) -> str:
    """The training images of `source` with random pixels among theirs, as an array file."""
    train = data.open(source).train
    images = train.images(np.arange(len(train)))
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, images.shape, np.uint8)
    np.save(Path(folder) / "perturbed.npy", np.where(rng.random(images.shape) < REPLACED, noise, images))
    return str(Path(folder) / "perturbed.npy")


def main(
    what: tyro.conf.Positional[Literal["digits", "sources"]],
    source: Annotated[str, tyro.conf.arg(name="data")],
    against: str | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    images: int = 100_000,
    models: tuple[str, ...] = ("autoencoder", "vae"),
) -> None:
    """Print a table of AUROC by score: mean, standard deviation over seeds, and each seed."""
    torch.set_num_threads(1)
    dataset = data.open(source)
    for name in models:
        if what == "digits":
            for label, words in enumerate(dataset.label_names):
                left = [trained(MODELS[name], source, seed, images, (words,)) for seed in seeds]
                show(f"{name}, without {words}", [found(m, dataset.test, None, label, None) for m in left])
            continue
        assert against is not None, "name the source of outliers with --against"
        unusual = data.open(against).test
        runs = []
        for seed in seeds:
            background = None
            if name == "vae":
                with tempfile.TemporaryDirectory() as folder:
                    background = trained(MODELS[name], perturbed(source, folder), seed, images)
            model = trained(MODELS[name], source, seed, images)
            runs.append(found(model, dataset.test, unusual, 0, background))
        show(f"{name}, against {Path(against).stem}", runs)


if __name__ == "__main__":
    tyro.cli(main)
