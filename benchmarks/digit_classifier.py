"""A small convolutional classifier of digits, for judging generated ones: its classes, and its last layer as features.

    python benchmarks/digit_classifier.py --data mnist.npz --out digits.safetensors

Half a minute on one core; this is how the weights of `fairdraw.metrics.digits` were made. The same data, size and seed
give the same weights on the same machine. Shifts by a pixel, drawn for each visit, make it less particular about where
a digit stands.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from fairdraw import data
from fairdraw.data import Options, Split
from fairdraw.files import save_tensors
from fairdraw.images import to_signed
from fairdraw.metrics.digits import DigitClassifier
from fairdraw.metrics.networks import has_digits
from fairdraw.order import positions

BATCH = 128
EPOCHS = 4
PEAK_RATE = 5e-3
SHIFT = 1


def accuracy(model: DigitClassifier, part: Split) -> float:
    """Share of the images of `part` whose most probable digit is their label."""
    guesses = model.probabilities(part.images(np.arange(len(part)))).argmax(1)
    return float((guesses == part.labels).mean())


def train_classifier(train: Split, seed: int = 0) -> DigitClassifier:
    """A classifier of the digits of `train`, in eval mode."""
    assert train.labels is not None
    size = train.dataset.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DigitClassifier(size).to(memory_format=torch.channels_last)
    steps = EPOCHS * len(train) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, steps)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        rows = positions(seed, step * BATCH, BATCH, len(train))
        x = shifted(to_signed(torch.from_numpy(train.images(rows))), generator)
        loss = F.cross_entropy(model(x), torch.from_numpy(train.labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each of the grey images `x` `[B, 1, S, S]` moved by up to `SHIFT` pixels either way, dark at the border."""
    padded = F.pad(x, (SHIFT,) * 4, value=-1.0)[:, 0]
    down, right = torch.randint(0, 2 * SHIFT + 1, (2, len(x), 1, 1), generator=generator)
    along = torch.arange(x.shape[-1])
    moved = padded[torch.arange(len(x))[:, None, None], down + along[:, None], right + along]
    return moved[:, None].contiguous(memory_format=torch.channels_last)


def save_classifier(path: Path, model: DigitClassifier) -> None:
    save_tensors(path, model.state_dict(), {"size": model.size, "features": model.name})


def main(
    source: Annotated[str, tyro.conf.arg(name="data")], out: Path | None = None, size: int = 28, seed: int = 0
) -> None:
    """Train a classifier, print its accuracy, and keep it with --out."""
    torch.set_num_threads(1)
    dataset = data.open(source, Options(size=size))
    if not has_digits(dataset):
        raise SystemExit(f"{source} holds no grey images with the labels 0 to 9")
    start = time.process_time()
    model = train_classifier(dataset.train, seed)
    print(f"{len(dataset.train):,} training digits of {size} px, {time.process_time() - start:.0f} s of a core")
    for part in (dataset.validation, dataset.test):
        print(f"accuracy on {len(part):,} {part.name} digits: {100 * accuracy(model, part):.2f} %")
    if out is not None:
        save_classifier(out, model)


if __name__ == "__main__":
    tyro.cli(main)
