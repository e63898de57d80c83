"""Judging super-resolution: the protocol, the baseline, whole pictures, and `evaluate` for a model that upscales."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toys import SMALL_CONFIGS, SMALL_SRGAN, build, experiment

from fairdraw import InputError, data, train
from fairdraw.cli import main
from fairdraw.data.whole import Whole, seen_before, whole_pictures
from fairdraw.judge.upscaling import _with
from fairdraw.metrics.held_out import held_out_numbers, validation_means
from fairdraw.metrics.luma import luma_psnr
from fairdraw.metrics.upscaling import bicubic, compared, low_resolution, protocol, upscaled
from fairdraw.models.srgan import SRGAN
from fairdraw.nets.bicubic import resized_levels


def photo(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    """A smooth picture with edges, uint8 `[C, H, W]`."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (channels, -(-height // 8), -(-width // 8)), dtype=np.uint8)
    return np.ascontiguousarray(resized_levels(coarse, 8.0)[:, :height, :width])


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tall = pixels.transpose(1, 2, 0)
    Image.fromarray(tall[..., 0] if tall.shape[2] == 1 else tall).save(path)
    return path


def srgan(**changes: Any) -> SRGAN:
    model = build(replace(SMALL_SRGAN, skip="bicubic", **changes), (3, 24, 24))
    assert isinstance(model, SRGAN)
    for p in model.generator.tail[-1].parameters():  # type: ignore[index]
        torch.nn.init.zeros_(p)
    return model.eval()


def test_images_are_cropped_to_a_multiple_of_the_factor_before_they_are_made_small() -> None:
    image = photo(39, 42)
    cropped, small = low_resolution(image, 4)
    assert cropped.shape == (3, 36, 40)
    assert small.shape == (3, 9, 10)
    np.testing.assert_array_equal(cropped, image[:, :36, :40])
    np.testing.assert_array_equal(small, resized_levels(cropped, 0.25))
    with pytest.raises(InputError, match="18x40 px is too small"):
        low_resolution(photo(40, 18), 4)


def test_the_border_of_the_factor_is_left_out() -> None:
    image = photo(40, 40)
    _, small = low_resolution(image, 4)
    spoilt = image.copy()
    spoilt[:, :4], spoilt[:, :, -4:] = 255 - spoilt[:, :4], 0
    inside, exact = (compared([image], [small], [made]) for made in (spoilt, image))
    assert inside.psnr == exact.psnr == pytest.approx(10 * np.log10(255**2 * 1600))
    assert inside.ssim == exact.ssim == 1
    assert exact.sharpness == 1
    assert exact.consistency == 0
    spoilt[:, 4, 8] = 255 - spoilt[:, 4, 8]
    assert compared([image], [small], [spoilt]).psnr < exact.psnr - 10


def test_the_bicubic_filter_is_blurred_and_consistent() -> None:
    images = [photo(40, 48, seed) for seed in range(3)]
    smalls = [low_resolution(image, 4)[1] for image in images]
    found = compared(images, smalls, bicubic(smalls, 4))
    expected = [float(luma_psnr(x[None], y[None], 4)[0]) for x, y in zip(images, bicubic(smalls, 4), strict=True)]
    np.testing.assert_allclose(found.psnr, expected)
    assert bool((found.sharpness < 1).all())
    moved = compared(images, smalls, [np.clip(image.astype(int) + 9, 0, 255).astype(np.uint8) for image in images])
    assert bool(((moved.consistency > 6) & (moved.consistency < 9.1)).all()), "a shift of colour is seen, in levels"


def test_a_flat_image_does_not_outweigh_all_others() -> None:
    flat = np.full((3, 40, 40), 90, np.uint8)
    made = flat.copy()
    made[:, 20] += 2
    found = compared([flat], [low_resolution(flat, 4)[1]], [made])
    assert 0 < found.sharpness[0] < 1
    assert compared([flat], [low_resolution(flat, 4)[1]], [flat]).sharpness[0] == 0


def test_a_model_of_colours_takes_grey_and_a_model_that_adds_nothing_is_the_filter() -> None:
    model = srgan()
    for channels in (1, 3):
        small = photo(9, 11, channels=channels)
        made = upscaled(model, small)
        assert made.shape == (channels, 36, 44)
        np.testing.assert_array_equal(made, bicubic([small], 4)[0])


def test_whole_pictures_keep_their_sizes_and_what_is_stored_as_grey_is_grey(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(20, 30))
    grey = photo(24, 18, channels=1)
    save(tmp_path / "b.png", grey)
    save(tmp_path / "c.png", grey.repeat(3, axis=0))
    found = whole_pictures(tmp_path, 3, 10)
    assert [(name, pixels.shape) for name, pixels in found] == [
        ("a.png", (3, 20, 30)),
        ("b.png", (1, 24, 18)),
        ("c.png", (3, 24, 18)),
    ]
    np.testing.assert_array_equal(found[0].pixels, photo(20, 30))
    assert len(whole_pictures(tmp_path, 3, 2)) == 2
    (tmp_path / "d.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"d.png"):
        whole_pictures(tmp_path, 3, 10)


def test_pictures_are_known_again_by_their_tiles(tmp_path: Path) -> None:
    for name, seed in (("a.png", 0), ("b.png", 1)):
        save(tmp_path / name, photo(20, 30, seed))
    tiles = data.open(tmp_path, data.Options(size=8, fit="tiles"))
    known = tiles.digests[[name.startswith("b@8,16") for name in tiles.names]]
    assert len(known) == 1
    assert seen_before(whole_pictures(tmp_path, 3, 10), known, 8) == ["b.png"]


# The verb


def call(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained for a moment on tiles of twelve pictures, which lie in `photos` beside it."""
    folder = tmp_path_factory.mktemp("upscaling")
    for number in range(12):
        save(folder / "photos" / f"{number:02d}.png", photo(48, 72, number))
    config = replace(SMALL_SRGAN, skip="bicubic", mse_images=96, width=4)
    wanted = experiment(config, folder / "photos", images=128, batch=16, picture_every=64, log_every=32)
    train(replace(wanted, options=data.Options(size=24, fit="tiles")), folder / "run", quiet=True)
    return folder / "run"


def test_training_draws_and_counts_what_it_makes_large(run: Path) -> None:
    assert list((run / "pictures").glob("upscaled-*.png"))
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    errors = [line["means"]["squared_error"] for line in lines if line["event"] == "validation"]
    assert errors
    assert all(0 < error < 0.2 for error in errors)


def test_held_out_numbers_stand_beside_the_filter(tmp_path: Path) -> None:
    for number in range(30):
        save(tmp_path / f"{number:02d}.png", photo(24, 24, number))
    found = data.open(tmp_path)
    (number,) = held_out_numbers(srgan(), found)
    assert number.baselines == (("bicubic", pytest.approx(number.value)),)
    assert "border 4" in number.note
    tiny = data.open(tmp_path, data.Options(size=16))
    assert held_out_numbers(srgan(), tiny) == []
    assert validation_means(srgan(), tiny.all, np.arange(4), 0) == {}
    means = validation_means(srgan(), found.all, np.arange(4), 0)
    assert means["squared_error"] > 0


def test_evaluate_prints_the_table_and_names_its_protocol(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, size in enumerate([(40, 50), (61, 47)]):
        save(tmp_path / "set" / f"{number}.png", photo(*size, seed=100 + number))
    call(["evaluate", str(run), "--data", str(tmp_path / "set"), "--device", "cpu"])
    printed = capsys.readouterr().out
    assert f"protocol: {protocol(4)}" in printed
    assert "only 2 images" in printed
    lines = [json.loads(line) for line in (run / "evaluation" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["protocol"] == protocol(4)
    scores = {(line["of"], line["name"]): line["value"] for line in lines if line["event"] == "score"}
    images = [low_resolution(pixels, 4) for _, pixels in whole_pictures(tmp_path / "set", 3, 9)]
    plain = compared(*zip(*images, strict=True), bicubic([low for _, low in images], 4))  # type: ignore[arg-type]
    assert scores["bicubic", "PSNR on Y"] == pytest.approx(float(plain.psnr.mean()))
    assert ("judged", "sharpness") in scores


def trained(photos: Path, out: Path, config: Any, **options: Any) -> Path:
    wanted = experiment(config, photos, images=32, batch=16)
    train(replace(wanted, options=data.Options(**{"size": 24, "fit": "tiles"} | options)), out, quiet=True)
    return out


def test_two_are_compared_picture_by_picture(run: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    other = trained(run.parent / "photos", tmp_path / "other", replace(SMALL_SRGAN, width=4))
    for number in range(3):
        save(tmp_path / "set" / f"{number}.png", photo(40, 50, seed=100 + number))
    done = command("compare", run, other, "--data", tmp_path / "set", "--device", "cpu", "--json")
    assert done.code == 0, done.err
    (compared_,) = done.facts["comparisons"]
    assert [row["name"] for row in compared_["rows"]] == ["PSNR on Y", "SSIM on Y", "sharpness", "consistency"]
    assert {row["over"] for row in compared_["rows"]} == {"images, in pairs"}
    assert f"protocol: {protocol(4)}" in done.facts["remarks"]
    values = []
    for one in (run, other):
        found = command(
            "evaluate", one, "--data", tmp_path / "set", "--device", "cpu", "--json", "--out", tmp_path / "o"
        )
        values.append(next(line["value"] for line in found.facts["scores"] if line["name"] == "PSNR on Y"))
    row = compared_["rows"][0]
    assert [row["first"], row["other"]] == pytest.approx(values)
    low, high = row["interval"]
    assert low < values[1] - values[0] < high
    alone = command("compare", run, other, "--data", tmp_path / "set", "--count", 1, "--device", "cpu", "--json").facts
    assert all(row["interval"] is None for row in alone["comparisons"][0]["rows"]), "one picture tells nothing"


def test_what_cannot_be_compared_or_measured_is_refused(run: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    photos = run.parent / "photos"
    twice = trained(photos, tmp_path / "twice", replace(SMALL_SRGAN, width=4, factor=2))
    assert "numbers of one factor say nothing beside those of another" in refused("compare", run, twice)
    draws = trained(photos, tmp_path / "draws", SMALL_CONFIGS["gan"])
    assert "--count 0: give at least 1" in refused("compare", run, twice, "--count", 0)
    assert f"{run} upscales, and {draws} does not" in refused("compare", draws, run)
    for number in range(3):
        save(tmp_path / "same" / f"{number}.png", photo(40, 50, seed=100))
    said = refused("evaluate", run, "--data", tmp_path / "same", "--device", "cpu", "--out", tmp_path / "out")
    assert "same are the same one: there is nothing to measure" in said
    for name in ("a.png", "a.jpg"):
        save(tmp_path / "small" / name, photo(10, 12, seed=1))
    with pytest.raises(InputError, match="2 small pictures of one name but for the ending"):
        _with([], whole_pictures(tmp_path / "small", 3), 4)


def test_evaluate_takes_small_pictures_that_come_with_the_large_ones(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = photo(40, 50, seed=100)
    save(tmp_path / "large" / "0.png", image)
    save(tmp_path / "small" / "0.png", 255 - low_resolution(image, 4)[1])
    words = ["evaluate", str(run), "--data", str(tmp_path / "large"), "--inputs", str(tmp_path / "small")]
    call([*words, "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert protocol(4, given=True) in printed
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    psnr = next(line["value"] for line in lines if line.get("of") == "bicubic" and line["name"] == "PSNR on Y")
    assert psnr < 15, "the filter was given the negative"


def test_a_small_picture_belongs_to_the_upper_left_of_its_large_one() -> None:
    image = photo(43, 54)
    cropped, low = low_resolution(image, 4)
    ((original, small),) = _with([Whole("0.png", image)], [Whole("0.jpg", low)], 4)
    np.testing.assert_array_equal(original, cropped)
    np.testing.assert_array_equal(small, low)
    for other in (low[:, :-1], low[:, :, :-2]):
        with pytest.raises(InputError, match="is not that of one of 54x43 at x4"):
            _with([Whole("0.png", image)], [Whole("0.png", other)], 4)
    with pytest.raises(InputError, match="12x12 px is too small"):
        _with([Whole("0.png", image[:, :12, :12])], [Whole("0.png", low[:, :3, :3])], 4)


def test_evaluate_without_data_takes_tiles_that_were_held_out(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(["evaluate", str(run), "--part", "validation"])
    assert "validation images of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--data", "PHOTOS"], "were trained on, at least in part"),
        (["--part", "train"], "--on-training-images"),
        (["--data", "PHOTOS", "--part", "test"], "--part test"),
        (["--data", "SET", "--inputs", "PHOTOS"], "without a small one of the same name: x.png"),
        (["--data", "SET", "--inputs", "SET"], "is not that of one of 50x40"),
        (["--data", "TINY"], "too small"),
        (["--features", "digits"], "compared pixel by pixel"),
        (["--one-pixel", "3"], "--one-pixel 3: it attacks judges of what a model draws"),
        (["--inputs", "SET"], "name the images that these belong to with --data"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    run: Path, tmp_path: Path, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "set" / "x.png", photo(40, 50, seed=100))
    save(tmp_path / "tiny" / "x.png", photo(12, 40, seed=100))
    places = {"PHOTOS": run.parent / "photos", "SET": tmp_path / "set", "TINY": tmp_path / "tiny"}
    with pytest.raises(SystemExit):
        main(["evaluate", str(run), *(str(places.get(word, word)) for word in words)])
    assert complaint in capsys.readouterr().err
