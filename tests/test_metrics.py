"""Nearest images are the nearest, numbers carry their interval, and bounds are nats of what they say."""

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import fairdraw.data
from fairdraw.data import Dataset
from fairdraw.metrics import likelihood, neighbours
from fairdraw.metrics.likelihood import held_out_bound, independent_bernoulli, negative_elbo
from fairdraw.metrics.neighbours import nearest_images
from fairdraw.metrics.number import FEWEST, Number, interval_of_parts
from fairdraw.models.dcgan import DCGAN, DCGANConfig
from fairdraw.models.vae import VAE, VAEConfig


def dataset(images: np.ndarray, parts: np.ndarray | None = None, name: str = "made up") -> Dataset:
    count = len(images)
    parts = np.zeros(count, np.uint8) if parts is None else parts
    names = [str(i) for i in range(count)]
    return Dataset(name, images, None, (), names, None, "0" * 64, (), parts, np.zeros((count, 32), np.uint8))


def noise_images(count: int, shape: tuple[int, ...] = (1, 5, 5), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


# Nearest images


@pytest.fixture(params=["by whole numbers", "by floats"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a processor that multiplies bytes fast, and of one that does not."""
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: request.param == "by whole numbers")


def brute_force(queries: np.ndarray, bank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    difference = queries[:, None].astype(np.int64) - bank[None]
    squared = (difference**2).reshape(len(queries), len(bank), -1)
    where = squared.sum(2).argmin(1)
    return where, np.sqrt(squared[np.arange(len(queries)), where].mean(1)) / 255


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("block", [1, 25, 26, 75, 10**9])
@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 4, 2), (4, 1, 1), (1, 1, 1), (1, 2, 4)])
def test_neighbours_are_those_of_brute_force(
    monkeypatch: pytest.MonkeyPatch, block: int, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", block)
    monkeypatch.setattr(neighbours, "TILE", (4, 5))
    monkeypatch.setattr(neighbours, "PIECE", 7)
    bank, queries = noise_images(31, shape), noise_images(9, shape, seed=1)
    where, distance = nearest_images(queries, dataset(bank).train)
    expected, expected_distance = brute_force(queries, bank)
    assert where.tolist() == expected.tolist()
    np.testing.assert_allclose(distance, expected_distance, rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), by_bytes=st.booleans())
def test_of_equally_near_images_the_first_is_taken_across_blocks(seed: int, rows: int, by_bytes: bool) -> None:
    random = np.random.default_rng(seed)
    bank, queries = random.integers(0, 2, (33, 1, 2, 2), np.uint8), random.integers(0, 2, (16, 1, 2, 2), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK", 4 * rows)
        patch.setattr(neighbours, "TILE", (4, 5))
        patch.setattr(torch.cpu, "_is_vnni_supported", lambda: by_bytes)
        where, distance = nearest_images(queries, dataset(bank).train)
    expected, expected_distance = brute_force(queries, bank)
    assert where.tolist() == expected.tolist()
    np.testing.assert_allclose(distance, expected_distance, rtol=1e-12)


@pytest.mark.usefixtures("either_way")
def test_planted_copies_are_found_among_images_that_differ_by_one_level() -> None:
    picture = noise_images(1, (3, 64, 64))
    bank = np.repeat(picture, 200, axis=0)
    bank.reshape(200, -1)[np.arange(200), np.arange(200)] ^= 1
    bank[[17, 150]] = picture
    where, distance = nearest_images(picture, dataset(bank).train)
    assert (where.tolist(), distance.tolist()) == ([17], [0.0])
    bank[[17, 150]] ^= 255
    where, distance = nearest_images(picture, dataset(bank).train)
    assert where.tolist() == [0]
    assert distance.tolist() == pytest.approx([1 / 255 / (3 * 64 * 64) ** 0.5], rel=1e-12)


@pytest.mark.usefixtures("either_way")
def test_distance_is_the_root_of_the_mean_square() -> None:
    black = np.zeros((1, 1, 2, 2), np.uint8)
    one_white_pixel = black.copy()
    one_white_pixel[..., 0, 0] = 255
    for bank, expected in ((black, 0.0), (one_white_pixel, 0.5), (black + 255, 1.0)):
        assert nearest_images(black, dataset(bank).train)[1].tolist() == pytest.approx([expected])


def test_the_farthest_images_there_are_do_not_overflow() -> None:
    queries, bank = np.zeros((1, 3, 128, 200), np.uint8), np.full((2, 3, 128, 200), 255, np.uint8)
    for by_bytes in (neighbours._by_whole_numbers, neighbours._by_floats):
        assert by_bytes(queries, dataset(bank).train)[1] == pytest.approx(255 * (3 * 128 * 200) ** 0.5, rel=1e-12)


def test_positions_count_within_the_split() -> None:
    images = noise_images(12)
    data = dataset(images, np.array([0, 1, 2] * 4, np.uint8))
    where, distance = nearest_images(images[[0, 3, 9]], data.train)
    assert where.tolist() == [0, 1, 3]
    assert not distance.any()
    assert nearest_images(images[[1]], data.train)[1][0] > 0.1


# Numbers


def number(values: list[float], **more: Any) -> Number:
    return Number.mean(np.array(values), name="-ELBO", unit="nats", on="test images", **{"baselines": {}, **more})


def test_interval_is_the_normal_one_of_the_mean() -> None:
    found = number([1.0, 3.0] * 50)
    half_width = 1.96 * math.sqrt(100 / 99) / 10
    assert (found.value, found.count, found.note) == (2.0, 100, "")
    assert found.interval == pytest.approx((2 - half_width, 2 + half_width))


def test_interval_covers_the_mean_in_95_of_100_cases() -> None:
    samples = np.random.default_rng(0).exponential(size=(2000, 200))
    covered = 0
    for values in samples:
        interval = number(values.tolist()).interval
        assert interval is not None
        covered += interval[0] <= 1 <= interval[1]
    assert 0.92 < covered / 2000 < 0.965


def test_few_images_are_flagged() -> None:
    assert "only" not in number([1.0] * FEWEST).note
    assert number([1.0] * (FEWEST - 1)).note == "only 29 images: do not rely on the interval"
    assert number([1.0, 2.0], note="one sample").note == "one sample; only 2 images: do not rely on the interval"


def test_one_image_has_no_interval() -> None:
    found = number([4.0])
    assert found.interval is None
    assert found.note == "only 1 image: no interval"
    assert str(found) == "-ELBO 4.00 nats, 1 test image (only 1 image: no interval)"
    json.dumps(vars(found), allow_nan=False)


def test_number_is_printed_with_everything_that_it_needs() -> None:
    found = number([10.0, 14.0] * 500, note="a bound", baselines={"independent Bernoulli": 206.0, "mean": 1.5})
    assert str(found) == (
        "-ELBO 12.00 nats, 95 % interval 11.88 to 12.12, 1,000 test images; "
        "to beat: independent Bernoulli 206.00; mean 1.50 (NOT beaten) (a bound)"
    )


def test_small_numbers_have_more_digits() -> None:
    found = number([0.1, 0.14] * 500, baselines={"a": 0.2})
    assert str(found) == "-ELBO 0.1200 nats, 95 % interval 0.1188 to 0.1212, 1,000 test images; to beat: a 0.2000"


def test_standard_error_is_that_of_the_mean() -> None:
    assert number([1.0, 3.0] * 50).standard_error == pytest.approx(math.sqrt(100 / 99) / 10)
    assert number([4.0]).standard_error is None


# Independent Bernoulli


def test_independent_bernoulli_in_closed_form() -> None:
    # Two pixels; of 3 training images the first pixel is white in 2, the second grey (51 = 0.2) in all.
    train = np.array([[[[255, 51]]], [[[255, 51]]], [[[0, 51]]]], np.uint8)
    p, q = (2 + 1) / (3 + 2), (0.6 + 1) / (3 + 2)  # smoothed by one dark and one light image
    images = np.array([[[[255, 0]]], [[[0, 255]]], [[[51, 102]]]], np.uint8)
    expected = [
        -math.log(p) - math.log(1 - q),
        -math.log(1 - p) - math.log(q),
        -0.2 * math.log(p) - 0.8 * math.log(1 - p) - 0.4 * math.log(q) - 0.6 * math.log(1 - q),
    ]
    assert independent_bernoulli(dataset(train).train, images).tolist() == pytest.approx(expected, rel=1e-12)


def test_independent_bernoulli_is_a_probability_and_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    train = dataset(noise_images(37, (1, 2, 2))).train
    binary = 255 * np.array(list(product([0, 1], repeat=4)), np.uint8).reshape(16, 1, 2, 2)
    expected = independent_bernoulli(train, binary)
    assert np.exp(-expected).sum() == pytest.approx(1, rel=1e-12)
    monkeypatch.setattr(likelihood, "CHUNK", 10)
    assert independent_bernoulli(train, binary).tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_pixels_never_lit_in_training_do_not_cost_infinitely_much() -> None:
    train = dataset(np.zeros((8, 1, 1, 1), np.uint8)).train
    assert independent_bernoulli(train, np.full((1, 1, 1, 1), 255, np.uint8)) == pytest.approx([math.log(10)])


def test_independent_bernoulli_of_mnist(real_data: Path) -> None:
    with np.load(real_data / "mnist.npz") as arrays:
        train, test = arrays["x_train"], arrays["x_test"]
    train, test = train.transpose(0, 3, 1, 2), test.transpose(0, 3, 1, 2)
    found = independent_bernoulli(dataset(train).train, test)
    assert len(train) == 60_000
    assert len(found) == 10_000
    assert found.mean() == pytest.approx(205.807, abs=0.001)
    # The same from the formula; the smoothing hardly matters: clipped at 1e-4 it is 205.816, at 1e-3 it is 205.967.
    p = np.clip((train / 255).mean(0), 1e-4, 1 - 1e-4)
    clipped = -(test / 255 * np.log(p) + (1 - test / 255) * np.log(1 - p)).sum((1, 2, 3)).mean()
    assert found.mean() == pytest.approx(clipped, abs=0.01)


def test_independent_bernoulli_of_the_mnist_that_is_trained_on(real_data: Path) -> None:
    """A twentieth of the official training part is for validation: the baseline hardly moves."""
    data = fairdraw.data.open(real_data / "mnist.npz")
    assert len(data.test) == 10_000
    assert 56_500 < len(data.train) < 57_500
    found = independent_bernoulli(data.train, data.test.images(np.arange(10_000)))
    assert found.mean() == pytest.approx(205.807, abs=0.02)


# Bounds


def vae(dtype: torch.dtype = torch.float64) -> VAE:
    torch.manual_seed(0)
    return VAE(VAEConfig(hidden=(8,), latent=3), (1, 5, 5)).to(dtype).eval()


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_bound_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    images = noise_images(40)
    expected = negative_elbo(vae(), images)
    monkeypatch.setattr(likelihood, "CHUNK", chunk)
    np.testing.assert_allclose(negative_elbo(vae(), images), expected, rtol=1e-12)
    np.testing.assert_allclose(negative_elbo(vae(torch.float32), images), expected, rtol=1e-5)


def test_bound_of_a_model_that_ignores_its_latent_is_the_likelihood() -> None:
    """With q = p the KL is 0, and with a constant decoder the bound is tight."""
    model = vae()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    binary = 255 * (noise_images(10) // 128)
    assert negative_elbo(model, binary).tolist() == pytest.approx([25 * math.log(2)] * 10, rel=1e-12)


def test_bound_is_drawn_anew_for_another_seed_only() -> None:
    images = noise_images(10)
    assert np.array_equal(negative_elbo(vae(), images), negative_elbo(vae(), images))
    assert not (negative_elbo(vae(), images) == negative_elbo(vae(), images, seed=1)).any()


def test_model_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="DCGAN bounds no likelihood"):
        negative_elbo(DCGAN(DCGANConfig(latent=2, width=2), (1, 8, 8)), noise_images(1, (1, 8, 8)))


def test_one_image_is_singular() -> None:
    assert ", 1 test image of a (" in str(
        Number.mean(np.ones(1), name="x", unit="u", on="test images of a", baselines={})
    )


def test_held_out_bound_says_all_that_it_means() -> None:
    images = noise_images(90)
    data = dataset(images, np.repeat(np.array([0, 2], np.uint8), [50, 40]), name="digits")
    found = held_out_bound(vae(), data.train, data.test)
    values = negative_elbo(vae(), images[50:])
    assert found.value == pytest.approx(values.mean())
    assert (found.count, found.on, found.unit) == (40, "test images of digits", "nats per image")
    assert f"observation model: {vae().observation}" in found.note
    assert "upper bound" in found.note
    ((name, baseline), (untrained, _)) = found.baselines
    assert (name, untrained) == ("independent Bernoulli", "every level alike")
    assert baseline == pytest.approx(independent_bernoulli(data.train, images[50:]).mean())


def test_an_interval_of_few_parts_is_student_s() -> None:
    parts = np.array([3.0, 5.0, 4.5, 4.0])
    expected = stats.t.interval(0.95, 3, loc=7.0, scale=stats.sem(parts))
    assert interval_of_parts(7.0, parts) == pytest.approx(expected, rel=1e-12)
