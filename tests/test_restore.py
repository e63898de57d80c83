"""Denoising and filling in: known pixels stay, errors are of what they say, and the verbs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from toys import SMALL_CONFIGS, build, save_stripes, stripes

from fairdraw import restore
from fairdraw.capabilities import Denoises
from fairdraw.errors import InputError
from fairdraw.images import facts_of, to_signed, to_uint8
from fairdraw.models.autoencoder import AutoencoderConfig
from fairdraw.models.denoising import DenoisingConfig
from fairdraw.nets.corruption import Corruption
from fairdraw.run import save_model
from fairdraw.verbs.common import file_names
from fairdraw.verbs.restore import Kind

UNKNOWN = np.zeros((16, 16), bool)
UNKNOWN[4:10, 3:12] = True


# Denoising


def test_masking_takes_an_exact_count_and_costs_what_it_took() -> None:
    images = stripes(100)
    model = build(SMALL_CONFIGS["denoising"])
    parts = list(restore.denoised(model, images, ("masking", 0.25), seed=5))
    given, clean = (torch.cat([getattr(part, stage) for part in parts]) for stage in ("given", "clean"))
    taken = (given == -1) & (clean != -1)
    assert (taken.flatten(1).sum(1) <= 64).all()
    assert ((given == -1).flatten(1).sum(1) >= 64).all()
    errors = restore.errors(parts, {"given": restore.given})["given"]
    expected = (((clean + 1) / 2).square() * taken).flatten(1).sum(1)
    assert errors == pytest.approx(expected.numpy(), rel=1e-5)


def test_a_corruption_belongs_to_the_image_and_the_seed() -> None:
    model, images = build(SMALL_CONFIGS["denoising"]), stripes(100)
    given = {
        (seed, count): torch.cat([p.given for p in restore.denoised(model, images[:count], ("masking", 0.5), seed)])
        for seed, count in ((0, 100), (0, 70), (1, 70))
    }
    assert torch.equal(given[0, 100][:70], given[0, 70])
    assert not torch.equal(given[0, 70], given[1, 70])


def test_gaussian_noise_is_not_clipped() -> None:
    images = np.zeros((200, 1, 16, 16), np.uint8)
    parts = list(restore.denoised(build(SMALL_CONFIGS["denoising"]), images, ("gaussian", 0.3)))
    assert min(float(part.given.min()) for part in parts) < -1
    errors = restore.errors(parts, {"given": restore.given})["given"]
    assert errors.mean() == pytest.approx(256 * 0.09, rel=0.03)


def test_what_is_made_is_the_models_own_answer() -> None:
    model, images = build(SMALL_CONFIGS["denoising"]), stripes(5)
    assert isinstance(model, Denoises)
    (part,) = restore.denoised(model, images)
    x = to_signed(torch.from_numpy(images))
    with torch.no_grad():
        assert torch.equal(part.made, model.denoise(x))
    assert torch.equal(part.given, x)
    assert torch.equal(part.clean, x)


def test_the_mean_image_costs_the_variance() -> None:
    images = stripes(90)
    (cost,) = restore.errors(_untouched(images), {"mean": restore.mean_image(images)}).values()
    assert cost.mean() == pytest.approx((images / 255).var(0).sum(), rel=1e-5)


# Filling in


@pytest.mark.parametrize("config", [SMALL_CONFIGS["denoising"], AutoencoderConfig(hidden=(8,), latent=3)])
def test_known_pixels_are_kept_to_the_bit(config: Any) -> None:
    images = stripes(70)
    for part in restore.inpainted(build(config), images, UNKNOWN, steps=3):
        own = images[part.first : part.first + len(part.clean)]
        filled = to_uint8(part.made).numpy()
        assert np.array_equal(filled[..., ~UNKNOWN], own[..., ~UNKNOWN])
        assert (part.given.numpy()[..., UNKNOWN] == -1).all()
        assert not np.array_equal(filled, own)


def test_a_hole_is_filled_by_what_is_known_alone() -> None:
    model, images = build(AutoencoderConfig(hidden=(8,), latent=3)), stripes(10)
    scribbled = np.where(UNKNOWN, np.uint8(77), images)
    (one,), (other,) = (restore.inpainted(model, x, UNKNOWN, steps=4) for x in (images, scribbled))
    assert torch.equal(one.made, other.made)


def test_steps_are_the_models_restorations_with_the_known_put_back() -> None:
    model, images = build(AutoencoderConfig(hidden=(8,), latent=3, output="linear", loss="squared-error")), stripes(6)
    unknown = torch.from_numpy(UNKNOWN)
    x = to_signed(torch.from_numpy(images))
    expected = x.masked_fill(unknown, -1)
    with torch.no_grad():
        for _ in range(2):
            made = model.generate(model.encode(expected))  # type: ignore[operator]
            expected = torch.where(unknown, made.clamp(-1, 1), x)
    (part,) = restore.inpainted(model, images, UNKNOWN, steps=2)
    assert torch.equal(part.made, expected)


def test_errors_count_unknown_pixels_alone() -> None:
    images = np.full((3, 1, 16, 16), 255, np.uint8)
    answers = {"black": lambda part: torch.tensor(-1.0), "half": lambda part: part.clean - 1}
    found = restore.errors(_untouched(images), answers, UNKNOWN)
    assert found["black"] == pytest.approx([54, 54, 54])
    assert found["half"] == pytest.approx([54 / 4] * 3)


def test_the_mean_of_known_pixels_is_each_images_and_channels_own() -> None:
    images = stripes(4).repeat(3, axis=1)
    images[:, 1] //= 2
    (part,) = _untouched(images)
    found = (restore.mean_of_known(UNKNOWN)(part) + 1) * 127.5
    assert found.shape == (4, 3, 1, 1)
    assert found[..., 0, 0].numpy() == pytest.approx(images[..., ~UNKNOWN].mean(-1), rel=1e-4)


def test_holes_are_noticed() -> None:
    images = stripes(20)
    assert not restore.are_holed(images, UNKNOWN)
    assert restore.are_holed(np.where(UNKNOWN, np.uint8(0), images), UNKNOWN)
    assert restore.are_holed(np.where(UNKNOWN, np.uint8(255), images), UNKNOWN)


def test_steps_follow_the_training() -> None:
    assert restore.steps_for(build(DenoisingConfig(hidden=(8,), corruption="blocks"))) == 1
    assert restore.steps_for(build(SMALL_CONFIGS["denoising"])) == 20
    assert restore.steps_for(build(SMALL_CONFIGS["vae"])) == 20
    with pytest.raises(InputError, match="DCGAN cannot fill in, for it neither denoises nor encodes"):
        restore.steps_for(build(SMALL_CONFIGS["dcgan"]))


def test_grey_of_a_mask_is_split_in_the_middle() -> None:
    mask = np.array([[127, 128]], np.uint8)
    assert restore.check_mask(mask, (1, 1, 2), "m").tolist() == [[False, True]]


def _untouched(images: np.ndarray) -> list[restore.Restored]:
    x = to_signed(torch.from_numpy(images))
    return [restore.Restored(0, x, x, x)]


# The verbs


@pytest.fixture
def denoising(tmp_path: Path, home: Path) -> Path:
    save_model(tmp_path / "denoising.safetensors", build(DenoisingConfig(hidden=(24,))), {})
    return tmp_path / "denoising.safetensors"


@pytest.fixture
def striped(tmp_path: Path) -> Path:
    return save_stripes(tmp_path, count=50)


def save_mask(folder: Path, unknown: np.ndarray, mode: str = "L") -> Path:
    Image.fromarray(unknown.astype(np.uint8) * 255).convert(mode).save(folder / "mask.png")
    return folder / "mask.png"


def test_kinds_of_corruption_are_those_there_are() -> None:
    assert get_args(Kind) == get_args(Corruption)


def test_denoise_corrupts_and_measures(
    command: Callable[..., Any], denoising: Path, striped: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    facts = command("denoise", denoising, striped, "--corrupt", "--count", 6, "--out", out, "--json").facts
    (number,) = facts["numbers"]
    assert number["count"] == 50
    assert [name for name, _ in number["baselines"]] == ["the corrupted image", "their mean image"]
    assert facts["corruption"] == {"kind": "masking", "amount": 0.25, "seed": 0}
    assert facts_of(out)["machine_made"]
    assert facts_of(out)["shows"].startswith("6 images of ")
    with Image.open(out) as sheet:
        assert sheet.size == (6 * 66 + 2, 3 * 66 + 2)  # two triples in a row


def test_denoise_takes_another_corruption(command: Callable[..., Any], denoising: Path, striped: Path) -> None:
    words = ("denoise", denoising, striped, "--out", striped.with_suffix(".png"), "--json")
    found = command(*words, "--corruption", "gaussian", "--amount", 0.1).facts
    assert dict(found["numbers"][0]["baselines"])["the corrupted image"] == pytest.approx(256 * 0.01, rel=0.1)
    assert command(*words, "--amount", 0).facts["numbers"][0]["baselines"][0] == ["the corrupted image", 0]


def test_denoise_claims_nothing_of_images_as_they_are(
    command: Callable[..., Any], denoising: Path, striped: Path
) -> None:
    facts = command("denoise", denoising, striped, "--out", striped.with_suffix(".png"), "--json").facts
    assert facts["numbers"] == []
    assert "corruption" not in facts


def test_a_folder_gets_a_file_for_each_image(command: Callable[..., Any], denoising: Path, tmp_path: Path) -> None:
    for number, image in enumerate(stripes(12)):
        place = tmp_path / "in" / ("a" if number % 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(place / f"{number}.bmp")
    out = tmp_path / "out"
    facts = command("denoise", denoising, tmp_path / "in", "--out", out, "--json").facts
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert made == sorted(f"{'a' if number % 2 else 'b'}/{number}.png" for number in range(12))
    assert facts["count"] == 12
    with Image.open(out / "a" / "1.png") as picture:
        assert picture.size == (16, 16)


def test_inpaint_keeps_the_known_in_its_files(
    command: Callable[..., Any], denoising: Path, striped: Path, tmp_path: Path
) -> None:
    mask, out = save_mask(tmp_path, UNKNOWN, "RGB"), tmp_path / "filled"
    facts = command("inpaint", denoising, striped, "--mask", mask, "--out", out, "--steps", 2, "--json").facts
    for number, image in enumerate(stripes(50)):
        with Image.open(out / f"{number}.png") as picture:
            filled = np.asarray(picture)
        assert np.array_equal(filled[~UNKNOWN], image[0][~UNKNOWN])
    (number,) = facts["numbers"]
    names = ["black", "their mean image", "the mean of the known pixels", "the first step alone"]
    assert [name for name, _ in number["baselines"]] == names
    black = (np.where(UNKNOWN, stripes(50) / 255, 0) ** 2).sum((1, 2, 3)).mean()
    assert dict(number["baselines"])["black"] == pytest.approx(black, rel=1e-5)
    assert number["unit"] == "per image, pixels on [0, 1], clipped"
    assert facts["mask"] == {"unknown": 54, "pixels": 256}


def test_inpaint_claims_nothing_of_images_with_holes(
    command: Callable[..., Any], denoising: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "holed.npy", np.where(UNKNOWN, np.uint8(0), stripes(20)[:, 0]))
    words = ("inpaint", denoising, tmp_path / "holed.npy", "--mask", save_mask(tmp_path, UNKNOWN))
    found = command(*words, "--out", tmp_path / "x.png")
    assert found.out.splitlines()[1].startswith("no number: all pixels under the mask are alike")
    assert command(*words, "--out", tmp_path / "x.png", "--json").facts["numbers"] == []


def test_a_picture_file_is_restored(command: Callable[..., Any], denoising: Path, tmp_path: Path) -> None:
    Image.fromarray(stripes(1)[0, 0]).save(tmp_path / "one.bmp")
    words = ("denoise", denoising, tmp_path / "one.bmp")
    assert command(*words, "--out", tmp_path / "made").out.startswith(f"{tmp_path / 'made'}: 1 file, ")
    assert (tmp_path / "made" / "one.png").is_file()
    said = command(*words, "--out", tmp_path / "x.png").out
    assert said.startswith(f"{tmp_path / 'x.png'}: 1 image of {tmp_path / 'one.bmp'}, each beside")
    mask = save_mask(tmp_path, UNKNOWN)
    sheet, number = command("inpaint", *words[1:], "--mask", mask, "--out", tmp_path / "y.png").out.splitlines()
    assert "masked (54 of 256 pixels unknown)" in sheet
    assert "only 1 image: no interval" in number
    said = command("inpaint", *words[1:], "--mask", mask, "--out", tmp_path / "filled").out
    assert said.splitlines()[0].endswith("named as the images are; 54 of 256 pixels unknown")


def test_a_picture_file_is_no_set_and_is_not_written_over(
    refused: Callable[..., str], denoising: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "one.png"
    Image.fromarray(stripes(1)[0, 0]).save(picture)
    assert "is the picture itself: choose another name" in refused("denoise", denoising, picture, "--out", picture)
    assert "which has no test part: leave out --part" in refused("denoise", denoising, picture, "--part", "test")


@pytest.mark.parametrize(("colour", "what"), [((255, 255, 255, 0), "transparency"), ((255, 0, 0, 255), "colours")])
def test_a_mask_is_black_and_white_alone(
    refused: Callable[..., str], denoising: Path, striped: Path, colour: tuple[int, ...], what: str
) -> None:
    mask = striped.with_name("mask.png")
    Image.fromarray(np.where(UNKNOWN[..., None], np.uint8(colour), np.uint8((0, 0, 0, 255)))).save(mask)
    said = refused("inpaint", denoising, striped, "--mask", mask)
    assert f"mask.png has {what}: make a mask of black, which is known, and white, which is unknown, alone" in said


def test_files_are_named_as_the_images() -> None:
    assert file_names(["../a.jpg", "/b.png"]) == ["a.png", "b.png"]
    assert file_names(["A.png", "a.jpg"]) == ["A.png.png", "a.jpg.png"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--corruption gaussian",
            "--corruption gaussian: say how much with --amount; the model was trained on masking",
        ),
        ("--amount 1.5", "--amount 1.5: give a share from 0 to 1"),
        ("--amount nan", "--amount nan: give a share from 0 to 1"),
        ("--corruption gaussian --amount -1", "--amount -1: give"),
        ("--count 0", "--count 0: give at least 1"),
        ("--out x.jpg", "--out x.jpg: pictures are written as PNG"),
    ],
)
def test_slips_of_denoise_are_named(
    refused: Callable[..., str], denoising: Path, striped: Path, words: str, said: str
) -> None:
    assert said in refused("denoise", denoising, striped, *words.split())


def test_a_model_trained_on_no_corruption_needs_an_amount(
    refused: Callable[..., str], denoising: Path, striped: Path
) -> None:
    save_model(denoising, build(DenoisingConfig(hidden=(8,), amount=0)), {})
    said = refused("denoise", denoising, striped, "--corrupt")
    assert "the model was trained on masking 0, which corrupts nothing: say how much with --amount" in said


def test_slips_of_inpaint_are_named(refused: Callable[..., str], denoising: Path, striped: Path) -> None:
    def said(unknown: np.ndarray, *words: object) -> str:
        return refused("inpaint", denoising, striped, "--mask", save_mask(striped.parent, unknown), *words)

    assert "mask.png is 20x12, the model's images are 16x16: give a mask of that size" in said(np.ones((12, 20), bool))
    assert "mask.png is all white: no known pixel is left" in said(np.ones((16, 16), bool))
    assert "mask.png is all black: there is nothing to fill in" in said(np.zeros((16, 16), bool))
    assert "--steps 0: give at least 1" in said(UNKNOWN, "--steps", 0)
    assert "nowhere.png" in refused("inpaint", denoising, striped, "--mask", striped.with_name("nowhere.png"))
    assert "give a picture file" in refused("inpaint", denoising, striped, "--mask", striped)
    assert "is a folder with files in it: give a new folder" in said(UNKNOWN, "--out", striped.parent)


def test_models_that_cannot_are_named(refused: Callable[..., str], denoising: Path, striped: Path) -> None:
    vae, gan = denoising.with_name("vae.safetensors"), denoising.with_name("gan.safetensors")
    save_model(vae, build(SMALL_CONFIGS["vae"]), {})
    save_model(gan, build(SMALL_CONFIGS["dcgan"]), {})
    assert "vae was not trained to denoise" in refused("denoise", vae, striped)
    mask = save_mask(striped.parent, UNKNOWN)
    assert "neither denoises nor encodes" in refused("inpaint", gan, striped, "--mask", mask)
