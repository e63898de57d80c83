"""The FID network of `fairdraw.metrics.inception` beside torch-fidelity's: the same numbers, and how fast.

    pip install --no-deps --target peers torch-fidelity==0.4.0
    python benchmarks/inception_parity.py --peers peers [--images N] [--rounds N]

torch-fidelity imports torchvision, which would put another torch in place of this one; here it sees empty modules of
that name, and its class gets random weights, for the comparison needs no real ones. Its batch is 64 images, as its
default says; `--batch` changes it. One thread.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import tyro
from side_by_side import compare
from torch import Tensor, nn

from fairdraw.metrics.inception import CHUNK, SIZE, Inception
from fairdraw.nets.frozen import made_fast

AGREED = 1e-4
STUB = {
    "__init__.py": "",
    "datasets.py": "CIFAR10 = STL10 = CIFAR100 = object\n",
    "transforms/__init__.py": "",
    "transforms/functional.py": "",
}
"""What torch-fidelity imports of torchvision, for other purposes than this."""


def random_weights() -> dict[str, Tensor]:
    """Such that activations keep their scale through all layers, and normalisation has something to do."""
    torch.manual_seed(0)
    network = Inception()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0.0, 0.1)
            nn.init.normal_(module.running_mean, 0.0, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return network.state_dict()


def peer(folder: Path, weights: dict[str, Tensor]) -> nn.Module:
    """torch-fidelity's extractor with `weights`."""
    with tempfile.TemporaryDirectory() as temporary:
        for name, text in STUB.items():
            path = Path(temporary) / "torchvision" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        file = Path(temporary) / "random.pth"
        torch.save(weights, file)
        sys.path[:0] = [temporary, str(folder)]
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        names = ["2048", "logits_unbiased"]
        found: nn.Module = FeatureExtractorInceptionV3("peer", names, feature_extractor_weights_path=str(file))
    return found


def agreement(theirs: nn.Module, ours: Inception, images: np.ndarray) -> float:
    """The largest difference of a feature or logit, relative to the largest of all."""
    with torch.inference_mode():
        wanted = theirs(torch.from_numpy(images))
        features = torch.from_numpy(ours.of(images)).float()
        found = features, ours.logits(features)
    worst = 0.0
    for name, a, b in zip(("features", "logits"), wanted, found, strict=True):
        largest = float(a.abs().max())
        worst = max(worst, float((a - b).abs().max()) / largest)
        print(
            f"{name}: largest {largest:.3f}, spread {float(a.std()):.3f}, difference {float((a - b).abs().max()):.1e}"
        )
    return worst


def main(peers: Path, images: int = 32, batch: int = 64, rounds: int = 3, size: int = 32) -> None:
    torch.set_num_threads(1)
    weights = random_weights()
    theirs, ours = peer(peers, weights), Inception()
    ours.load_state_dict(weights)
    made_fast(ours)
    random = np.random.default_rng(0)
    exact = random.integers(0, 256, (4, 3, SIZE, SIZE), np.uint8)  # neither resizes these
    difference = agreement(theirs, ours, exact)
    print(f"relative difference {difference:.1e}: {'agree' if difference < AGREED else 'DIFFER'}")

    small = random.integers(0, 256, (images, 3, size, size), np.uint8)
    ready = torch.from_numpy(ours.prepared(small))

    def extractor() -> int:
        with torch.inference_mode():
            for start in range(0, images, batch):
                theirs(torch.from_numpy(small[start : start + batch]))
        return images

    def network() -> int:
        with torch.inference_mode():
            for start in range(0, images, CHUNK):
                ours.features(ready[start : start + CHUNK].contiguous(memory_format=torch.channels_last))
        return images

    def features() -> int:
        ours.of(small)
        return images

    def resizing() -> int:
        ours.prepared(small)
        return images

    ways = {"torch-fidelity's extractor": extractor, "our network alone": network, "resizing and network": features}
    compare({**ways, "resizing alone": resizing}, rounds, digits=2)


if __name__ == "__main__":
    tyro.cli(main)
