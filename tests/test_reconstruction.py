"""Squared error of reconstructions beside what PCA and the mean image leave."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import build, save_stripes, stripes

from fairdraw import Autoencoder, AutoencoderConfig, DCGANConfig, VAEConfig, data
from fairdraw.images import to_signed
from fairdraw.metrics.held_out import code_size, held_out_numbers, validation_means
from fairdraw.metrics.reconstruction import (
    FEW,
    mean_image_squared_errors,
    pca_squared_errors,
    principal_directions,
    squared_errors,
)

MNIST = Path(os.environ.get("FAIRDRAW_MNIST", Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist.npz"))


def linear(latent: int = 4) -> Autoencoder:
    model = build(AutoencoderConfig(hidden=(), latent=latent, output="linear", loss="squared-error")).eval()
    assert isinstance(model, Autoencoder)
    return model


def test_errors_are_summed_over_pixels_on_0_1_and_neither_rounded_nor_clipped() -> None:
    model, images = linear(), stripes(100)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model.decoder[0].bias.fill_(1.25)  # brighter than white
    expected = ((1.25 - images / 255) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(squared_errors(model, images), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="DCGAN"):
        squared_errors(build(DCGANConfig(latent=6, width=4)), images)


@pytest.mark.parametrize("count", [300, 60], ids=["by the covariance", "by the few images"])
def test_pca_leaves_the_small_eigenvalues(count: int, tmp_path: Path) -> None:
    dataset = data.open(str(save_stripes(tmp_path, count)))
    train = dataset.train
    images = train.images(np.arange(len(train)))
    assert (FEW * len(images) > images[0].size) == (count == 300)
    x = images.reshape(len(images), -1) / 255
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    found = pca_squared_errors(train, images, components=10)
    assert found.mean() == pytest.approx(eigenvalues[:-10].sum(), rel=1e-6)
    assert mean_image_squared_errors(train, images).mean() == pytest.approx(eigenvalues.sum(), rel=1e-6)


def test_there_are_as_many_directions_as_asked_for_whatever_the_number_of_images(tmp_path: Path) -> None:
    train = data.open(str(save_stripes(tmp_path, 12))).train
    directions = principal_directions(train, 20)[1]
    assert len(train) < 20
    np.testing.assert_allclose(directions @ directions.T, np.eye(20), atol=1e-9)


def test_errors_of_a_linear_autoencoder_that_is_pca_are_pcas(tmp_path: Path) -> None:
    dataset = data.open(str(save_stripes(tmp_path)))
    train, held_out = dataset.train, dataset.test.images(np.arange(len(dataset.test)))
    x = train.images(np.arange(len(train))).reshape(len(train), -1) / 255
    mean, directions = x.mean(0), np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:4]
    model = linear(4).double()
    with torch.no_grad():
        model.encoder[1].weight.copy_(torch.from_numpy(directions))
        model.encoder[1].bias.copy_(torch.from_numpy(-directions @ mean))
        model.decoder[0].weight.copy_(torch.from_numpy(directions.T))
        model.decoder[0].bias.copy_(torch.from_numpy(mean))
    np.testing.assert_allclose(squared_errors(model, held_out), pca_squared_errors(train, held_out, 4), rtol=1e-6)


def test_held_out_number_stands_beside_the_mean_image_and_pca(tmp_path: Path) -> None:
    dataset = data.open(str(save_stripes(tmp_path)))
    (number,) = held_out_numbers(linear(), dataset)
    assert number.count == len(dataset.test)
    assert [name for name, _ in number.baselines] == ["the mean image", "PCA with 4"]
    assert number.value > dict(number.baselines)["PCA with 4"]
    assert "NOT beaten" in str(number)
    overcomplete = build(AutoencoderConfig(hidden=(), latent=300)).eval()
    (number,) = held_out_numbers(overcomplete, dataset)
    assert [name for name, _ in number.baselines] == ["the mean image"], "PCA with 300 of 256 numbers loses nothing"


def test_a_bound_and_a_code_give_two_numbers(tmp_path: Path) -> None:
    dataset = data.open(str(save_stripes(tmp_path)))
    model = build(VAEConfig(hidden=(24,), latent=4)).eval()
    assert [number.name for number in held_out_numbers(model, dataset)] == [
        "-ELBO",
        "squared error through a code of 4",
    ]
    assert code_size(model) == 4
    held_out, where = dataset.validation, np.arange(len(dataset.validation))
    error = squared_errors(linear(), held_out.images(where)).mean()
    assert validation_means(model, held_out, where, seed=0).keys() == {"negative_elbo"}
    assert validation_means(linear(), held_out, where, seed=0) == {"squared_error": error}
    assert validation_means(build(DCGANConfig(latent=6, width=4)), held_out, where, seed=0) == {}


def test_codes_are_fitted_to_the_trained_networks(tmp_path: Path) -> None:
    model, x = linear(), to_signed(torch.from_numpy(stripes(200)))
    before = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("codes")}
    model.finish(x)
    with torch.no_grad():
        codes = model.encode(x)
    torch.testing.assert_close(model.codes.mean, codes.mean(0))
    assert all(torch.equal(before[k], model.state_dict()[k]) for k in before)


@pytest.mark.skipif(not MNIST.exists(), reason="needs the MNIST arrays")
def test_pca_on_mnist_is_the_papers() -> None:
    dataset = data.open(str(MNIST))
    held_out = dataset.test.images(np.arange(len(dataset.test)))
    assert pca_squared_errors(dataset.train, held_out, 30).mean() == pytest.approx(13.87, abs=0.01)
    assert mean_image_squared_errors(dataset.train, held_out).mean() == pytest.approx(52.90, abs=0.01)
