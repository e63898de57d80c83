"""Compression from inside: rates in closed form, exact round trips, and files that refuse what is not theirs."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import SMALL_CONFIGS, VARIANTS, build, drive, stripes, trainer

from fairdraw import VAE, AutoencoderConfig, VAEConfig
from fairdraw.compress import bits_back, container
from fairdraw.compress.archive import Archive
from fairdraw.compress.entropy import Stack
from fairdraw.compress.quantised import Quantiser, codes_of, images_of
from fairdraw.errors import InputError
from fairdraw.images import mosaic
from fairdraw.metrics.formats import LOSSY, MOSAIC, Rival, _tiles, lossless_rivals, lossy_rivals
from fairdraw.metrics.likelihood import negative_elbo

ENTROPY_OF_UNIT = 0.5 * math.log2(2 * math.pi * math.e)
KNOWN = {"model": "vae", "sha256": "ab" * 32}


def quiet(_: int) -> None:
    """Nobody watches."""


def two_valued(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    return np.where(stripes(count, size, seed) > 30, 255, 0).astype(np.uint8)


def noise_images(count: int, shape: tuple[int, int, int] = (1, 16, 16)) -> np.ndarray:
    """Every level, black and white among them, where no model expects it."""
    return np.random.default_rng(1).integers(0, 256, (count, *shape)).astype(np.uint8)


# The entropy coder


def test_gaussian_numbers_take_their_entropy() -> None:
    deviation = np.array([3.0, 40.0, 700.0]).repeat(4000)
    mean = np.array([-5.25, 0.0, 1000.5]).repeat(4000)
    symbols = np.rint(np.random.default_rng(0).normal(mean, deviation)).astype(np.int32)
    stack = Stack()
    stack.push_gaussian(symbols, 2**13, mean, deviation)
    assert stack.bits / len(symbols) == pytest.approx(np.log2(deviation).mean() + ENTROPY_OF_UNIT, rel=0.005)
    assert np.array_equal(Stack(stack.words).pop_gaussian(2**13, mean, deviation), symbols)


def test_numbers_by_a_table_take_their_surprise() -> None:
    weights = np.array([[1.0, 2, 4, 1], [0, 0, 0, 1], [1, 1, 1, 1]]).repeat(1000, axis=0)
    symbols = np.array([2, 3, 1]).repeat(1000)
    stack = Stack()
    stack.push_by_table(symbols, weights)
    assert stack.bits == pytest.approx(1000 * (1 + 0 + 2), abs=40)
    assert np.array_equal(Stack(stack.words).pop_by_table(weights), symbols)


def test_what_has_no_weight_can_be_pushed_all_the_same() -> None:
    stack = Stack()
    stack.push_by_table(np.zeros(1, np.int32), np.array([[0.0, 1.0]]))
    assert stack.pop_by_table(np.array([[0.0, 1.0]])).tolist() == [0]


def test_popping_what_was_never_pushed_is_undone_by_pushing_it() -> None:
    words = np.random.default_rng(0).integers(1, 2**32, 20, np.uint32)
    stack, mean, deviation = Stack(words), np.linspace(-50, 50, 12), np.full(12, 9.0)
    drawn = stack.pop_gaussian(1000, mean, deviation)
    assert stack.bits < 20 * 32 - 12 * 4
    assert (np.abs(drawn - mean) / 9 < 5).all()
    stack.push_gaussian(drawn, 1000, mean, deviation)
    assert np.array_equal(stack.words, words)


# Bits back


@pytest.mark.parametrize("name", ["vae", "vae, convolutional", "iwae", "vae, logistic", "vae, logistic, convolutional"])
def test_images_come_back_as_they_were(name: str) -> None:
    model = build(VARIANTS[name]).eval()
    assert isinstance(model, VAE)
    images = two_valued(12) if model.observed == "bits" else np.concatenate([stripes(6), noise_images(6)])
    coded = bits_back.encode(model, images, seed=3)
    assert np.array_equal(bits_back.decode(model, coded.words, coded.grid, coded.initial_bits, 12), images)
    assert Stack(coded.words).bits == coded.initial_bits + coded.bits.sum()
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_colour_comes_back() -> None:
    model = build(VAEConfig(hidden=(8,), latent=2, decoder="logistic", scale="fixed"), (3, 5, 7)).eval()
    assert isinstance(model, VAE)
    images = noise_images(3, (3, 5, 7))
    coded = bits_back.encode(model, images, seed=0)
    assert np.array_equal(bits_back.decode(model, coded.words, coded.grid, coded.initial_bits, 3), images)


def test_the_code_is_a_function_of_images_model_and_seed() -> None:
    model = build(SMALL_CONFIGS["vae"]).eval()
    assert isinstance(model, VAE)
    threads = torch.get_num_threads()
    codes = [bits_back.encode(model, two_valued(5), seed).words for seed in (0, 0, 1)]
    assert np.array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[0], codes[2])
    assert torch.get_num_threads() == threads


def constant_vae(mean: float, deviation: float) -> VAE:
    """q(z|x) = N(mean, deviation^2) for every x, and every pixel is a fair coin: 16 latents, 256 pixels."""
    model = build(VAEConfig(hidden=(4,), latent=16)).eval()
    assert isinstance(model, VAE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        bias = model.encoder[-1].bias
        bias[:16] = mean
        bias[16:] = 2 * math.log(deviation)
    return model


def test_where_posterior_and_prior_are_one_only_pixels_cost() -> None:
    coded = bits_back.encode(constant_vae(0, 1), two_valued(20), seed=0)
    assert coded.bits.mean() == pytest.approx(256, abs=0.5)


@pytest.mark.parametrize(("mean", "deviation"), [(1.0, 0.5), (0.3, 0.02), (-2.0, 1.0)])
def test_latents_cost_their_kl(mean: float, deviation: float) -> None:
    # Images of the model itself: latents are popped from the bits of the image before, which have to be random.
    images = (255 * np.random.default_rng(0).integers(0, 2, (200, 1, 16, 16))).astype(np.uint8)
    coded = bits_back.encode(constant_vae(mean, deviation), images, seed=0)
    kl = 16 * 0.5 * (mean**2 + deviation**2 - 1 - 2 * math.log(deviation)) / math.log(2)
    error = coded.bits.std(ddof=1) / 200**0.5
    assert coded.bits.mean() == pytest.approx(256 + kl, abs=4 * error + 0.003 * kl)


@pytest.mark.parametrize("name", ["vae", "vae, logistic"])
def test_the_rate_is_that_of_the_bound(name: str) -> None:
    model = drive(trainer(VARIANTS[name]), 150, stripes(256)).model.eval()
    assert isinstance(model, VAE)
    images = two_valued(200, seed=1) if name == "vae" else stripes(200, seed=1)
    coded = bits_back.encode(model, images, seed=0)
    bound = np.mean([negative_elbo(model, images, seed).mean() for seed in range(10)]) / math.log(2)
    assert coded.bits.mean() == pytest.approx(bound, rel=0.03)


def test_a_posterior_beyond_the_grid_costs_bits_but_no_pixel() -> None:
    model = constant_vae(300.0, 1e-6)
    coded = bits_back.encode(model, two_valued(3), seed=0)
    assert coded.grid.reach == 2**16
    assert np.array_equal(bits_back.decode(model, coded.words, coded.grid, coded.initial_bits, 3), two_valued(3))


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="not finite, so nothing can be coded"):
        bits_back.encode(constant_vae(math.nan, 1), two_valued(1), seed=0)


# Quantised codes


def autoencoder(latent: int = 6) -> Any:
    model = build(AutoencoderConfig(hidden=(24,), latent=latent))
    model.finish(torch.from_numpy(stripes(256)) / 127.5 - 1)
    return model.eval()


def test_codes_take_their_entropy() -> None:
    quantiser = Quantiser(*(np.array(v, np.float32) for v in ([1, -2], [3, 0.5], [0.1, 0.05])))
    codes = np.random.default_rng(0).normal([1, -2], [3, 0.5], (20_000, 2)).astype(np.float32)
    symbols = quantiser.symbols(codes)
    words = quantiser.pack(symbols, 200)
    expected = np.log2([3 / 0.1, 0.5 / 0.05]).sum() + 2 * ENTROPY_OF_UNIT
    assert 32 * len(words) / 20_000 == pytest.approx(expected, rel=0.005)
    assert np.array_equal(quantiser.unpack(words, 20_000, 200), symbols)
    assert (np.abs(quantiser.codes(symbols) - codes) <= quantiser.step * 0.5001).all()


def test_the_step_is_that_of_the_most_sensitive_dimension_in_its_deviations() -> None:
    model = autoencoder()
    codes = codes_of(model, stripes(64))
    quantiser = Quantiser.fit(model, codes, 0.25)
    steps = quantiser.step / quantiser.deviation
    assert steps.min() == pytest.approx(0.25)
    assert steps.max() > 0.26
    assert np.allclose(Quantiser.fit(model, codes, 0.5).step, 2 * quantiser.step)
    assert np.allclose(quantiser.deviation, codes_of(model, stripes(256)).std(0), rtol=0.1)


def test_each_dimension_adds_the_same_error() -> None:
    model = build(AutoencoderConfig(hidden=(), latent=3, output="linear", loss="squared-error")).eval()
    with torch.no_grad():
        model.decoder[0].weight *= torch.tensor([1.0, 5.0, 0.2])
    codes = codes_of(model, stripes(64))
    quantiser = Quantiser.fit(model, codes, 0.1)
    lengths = model.decoder[0].weight.detach().norm(dim=0).numpy()  # of a linear decoder's columns
    assert np.allclose(quantiser.step * lengths, (quantiser.step * lengths)[0], rtol=1e-3)


def test_a_dimension_that_the_image_does_not_depend_on_costs_nothing() -> None:
    model = build(VAEConfig(hidden=(), latent=3)).eval()
    with torch.no_grad():
        model.decoder[0].weight[:, 1] = 0
    codes = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    quantiser = Quantiser.fit(model, codes, 0.25)
    symbols = quantiser.symbols(codes)
    assert not symbols[:, 1].any()
    alone = Quantiser(*(values[1:2] for values in quantiser))
    assert len(alone.pack(symbols[:, 1:2], 1)) <= 2


def test_a_unit_that_was_always_off_does_no_harm() -> None:
    model = autoencoder()
    model.codes.factor[2] = 0
    codes = codes_of(model, stripes(64))
    codes[:, 2] = 5
    quantiser = Quantiser.fit(model, codes, 0.25)
    assert np.isfinite(quantiser.step).all()
    symbols = quantiser.symbols(codes)
    words = quantiser.pack(symbols, int(np.abs(symbols).max()))
    assert np.array_equal(quantiser.unpack(words, 64, int(np.abs(symbols).max())), symbols)


def test_a_finer_step_comes_nearer() -> None:
    model = autoencoder()
    images = stripes(64)
    codes = codes_of(model, images)
    errors = []
    for step in (2.0, 0.5, 0.02):
        quantiser = Quantiser.fit(model, codes, step)
        rounded = quantiser.codes(quantiser.symbols(codes))
        errors.append(float(np.square(images_of(model, rounded).astype(float) - images_of(model, codes)).mean()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1


# Files


def write(path: Path, kind: str) -> tuple[Archive, np.ndarray]:
    model = autoencoder() if kind == "lossy" else build(SMALL_CONFIGS["vae"]).eval()
    archive = Archive(path, model, KNOWN)
    images, names = two_valued(4), ["a.jpg", "b", "deep/c.png", "é"]
    if kind == "lossy":
        return archive, archive.write_lossy(images, names, 0.1).images
    return archive, archive.write_lossless(images, names, 0, quiet).images


@pytest.mark.parametrize("kind", ["lossless", "lossy"])
def test_a_file_gives_back_images_and_names(tmp_path: Path, kind: str) -> None:
    archive, images = write(tmp_path / "x", kind)
    content = archive.open()
    assert np.array_equal(archive.images(content, quiet), images)
    assert content.header.names == ("a.jpg", "b", "deep/c.png", "é")
    assert content.header.kind == kind
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("kind", ["lossless", "lossy"])
def test_a_changed_or_cut_file_is_refused(tmp_path: Path, kind: str) -> None:
    archive, _ = write(tmp_path / "x", kind)
    whole = (tmp_path / "x").read_bytes()
    for place in range(0, len(whole), 37):
        changed = bytearray(whole)
        changed[place] ^= 4
        for content in (bytes(changed), whole[:place]):
            (tmp_path / "x").write_bytes(content)
            with pytest.raises(InputError, match=r"is damaged|is no file of|has another format") as refusal:
                archive.open()
            assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "cd" * 32}, "x was compressed by the vae abababababab, and this is the vae cdcdcdcdcdcd: give"),
        ({}, "decodes to other images here than went in"),
    ],
)
def test_another_model_is_refused(tmp_path: Path, change: dict[str, str], said: str) -> None:
    archive, _ = write(tmp_path / "x", "lossless")
    other = Archive(archive.path, build(SMALL_CONFIGS["vae"], seed=1).eval(), KNOWN | change)
    with pytest.raises(InputError, match=said):
        other.images(other.open(), quiet)


def test_last_digits_of_the_networks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, images = write(tmp_path / "x", "lossless")
    assert isinstance(archive.model, VAE)
    exact = VAE.posterior, VAE.pixel_probabilities

    def nudged(self: VAE, observed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, deviation = exact[0](self, observed)
        return mean * (1 + 1e-15), deviation * (1 - 1e-15)

    monkeypatch.setattr(VAE, "posterior", nudged)
    monkeypatch.setattr(VAE, "pixel_probabilities", lambda self, z: exact[1](self, z) * (1 + 1e-15))
    assert np.array_equal(archive.images(archive.open(), quiet), images)


def test_nothing_is_written_where_images_do_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bits_back, "decode", lambda *_: np.zeros((4, 1, 16, 16), np.uint8))
    with pytest.raises(InputError, match="was not written, for the images did not come back"):
        write(tmp_path / "x", "lossless")
    assert not list(tmp_path.iterdir())


def test_another_format_number_and_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, _ = write(tmp_path / "x", "lossy")
    monkeypatch.setattr(container, "FORMAT", 2)
    with pytest.raises(InputError, match="has another format than 2, which this fairdraw reads"):
        archive.open()
    (tmp_path / "x").write_bytes(b"\x89PNG and so on")
    with pytest.raises(InputError, match="x is no file of `fairdraw compress`"):
        archive.open()
    (tmp_path / "x").unlink()
    with pytest.raises(InputError, match=r"cannot read .*x: No such file"):
        archive.open()


def test_a_forged_header_is_refused(tmp_path: Path) -> None:
    archive, _ = write(tmp_path / "x", "lossy")
    header, words, numbers = archive.open()
    for forged in ({"names": ()}, {"grid": bits_back.Grid((), 0)}, {"latent": 0}, {"shape": (1, 2)}):
        container.write(tmp_path / "x", container.Header(**{**vars(header), **forged}), words, numbers)
        with pytest.raises(InputError, match="x is damaged"):
            archive.open()


# Other formats


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_a_mosaic_holds_every_image(count: int) -> None:
    images = noise_images(count, (3, 4, 6))
    laid = mosaic(images)
    assert laid.ndim == 3
    assert np.array_equal(laid[:, :4, :6], images[0])
    assert np.array_equal(_tiles(laid, images.shape), images)


def test_black_and_white_is_saved_as_bits() -> None:
    found = {rival.name: rival.bits for rival in lossless_rivals(np.repeat(two_valued(4, 64), 2, axis=0))}
    grey = {rival.name: rival.bits for rival in lossless_rivals(np.repeat(two_valued(4, 64) // 255 * 254, 2, axis=0))}
    assert (found.pop("raw pixels"), grey.pop("raw pixels")) == (64 * 64, 8 * 64 * 64)
    assert found.keys() == {f"{name}, {way}" for name in ("PNG", "WebP lossless") for way in ("one file each", MOSAIC)}
    assert found["PNG, one file each"] < grey["PNG, one file each"]
    assert found["PNG, one mosaic"] < found["PNG, one file each"]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossy_formats_stay_within_the_size_or_say_so(channels: int) -> None:
    images = np.repeat(stripes(9, 32), channels, axis=1)
    roomy, tight = lossy_rivals(images, 20_000.0), lossy_rivals(images, 10.0)
    assert len(roomy) == (2 if channels == 4 else 4)
    for rival, small in zip(roomy, tight, strict=True):
        assert rival.fits
        assert rival.bits <= 20_000
        assert rival.psnr is not None
        assert small.psnr is not None
        assert rival.psnr >= small.psnr
        assert not small.fits
        assert small.quality == LOSSY[small.name.partition(",")[0]][1][0]
        assert "at its smallest, which is larger" in str(small)


def test_a_format_in_words() -> None:
    assert str(Rival("PNG, one mosaic", 1234.5)) == "PNG, one mosaic: 1,234.50 bits per image"
    lossy = Rival("JPEG, one mosaic", 99.0, quality=7, psnr=20.0)
    assert str(lossy) == "JPEG, one mosaic: 99.00 bits per image, quality 7, PSNR 20.00 dB"
