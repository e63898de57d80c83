"""The verbs `translate` and `upscale`: pictures as they are, folders that go on, videos, and what is refused."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_exact import SRGB, by_ffmpeg, noise
from test_tiling import photo
from test_videos import frames_of, save_video, sound_of
from toys import SMALL_CONFIGS, SMALL_SRGAN, build

from fairdraw import load
from fairdraw.data.exact import decode_exact
from fairdraw.images import facts_of
from fairdraw.models.pix2pix import Pix2PixConfig
from fairdraw.run import save_model
from fairdraw.tiling import translating, upscaling

BILINEAR = replace(SMALL_SRGAN, network="rrdb", skip="bilinear", factor=2)
"""With weights of zero it enlarges as its skip does."""


@pytest.fixture
def enlarging(tmp_path: Path, home: Path) -> Path:
    model: Any = build(BILINEAR, (3, 16, 16))
    with torch.no_grad():
        for network in (model.generator, model.first):
            for value in network.state_dict().values():
                value.zero_()
        model.generator.body[0].bias.fill_(1)  # the two networks differ, not what they do
    save_model(tmp_path / "enlarging.safetensors", model, {})
    return tmp_path / "enlarging.safetensors"


@pytest.fixture
def translating_(tmp_path: Path, home: Path) -> Path:
    save_model(
        tmp_path / "pix2pix.safetensors", build(Pix2PixConfig(4, 3, discriminator_width=4, patch=1), (3, 16, 16)), {}
    )
    return tmp_path / "pix2pix.safetensors"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with pictures of many kinds, at two depths, and files of other kinds."""
    folder = tmp_path / "photos"
    (folder / "deep" / "er").mkdir(parents=True)
    save(folder / "colour.jpg", photo(20, 31))
    save(folder / "grey.png", photo(9, 7, 1))
    save(folder / "deep" / "alpha.png", photo(12, 12, 4))
    (folder / "deep" / "er" / "sixteen.png").write_bytes(by_ffmpeg(noise(3)))
    (folder / "about.txt").write_text("photos", encoding="utf-8")
    (folder / "raw.cr2").write_text("photos", encoding="utf-8")
    return folder


def save(path: Path, image: np.ndarray, **options: Any) -> Path:
    pixels = image.transpose(1, 2, 0)
    Image.fromarray(pixels[..., 0] if len(image) == 1 else pixels).save(path, **options)
    return path


def enlarged(image: np.ndarray) -> np.ndarray:
    """By 2, as `BILINEAR` does."""
    x = torch.from_numpy(image.astype(np.float64))[None]
    made = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return made[0].round().numpy().astype(image.dtype).transpose(1, 2, 0)


def close(made: np.ndarray, expected: np.ndarray) -> bool:
    return made.dtype == expected.dtype and bool(np.abs(made.astype(int) - expected).max() <= 1)


# Pictures


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (33, 47), (70, 300)])
def test_a_picture_of_any_size_is_enlarged(command: Callable[..., Any], enlarging: Path, size: tuple[int, int]) -> None:
    source, out = save(enlarging.with_name("a.bmp"), photo(*size)), enlarging.with_name("b.png")
    facts = command("upscale", enlarging, source, "--out", out, "--tile", 110, "--json").facts
    assert close(decode_exact(out.read_bytes()).pixels, enlarged(photo(*size)))
    assert facts["size"] == [2 * size[1], 2 * size[0]]
    assert (facts["bits"], facts["factor"], facts["tile"], facts["out"]) == (8, 2, 110, str(out))
    known = facts_of(out)
    assert known["machine_made"] is True
    assert known["model_sha256"] == facts["model_sha256"]
    assert (known["source"], known["verb"], known["blend"]) == ("a.bmp", "enlarged", None)


def test_a_picture_is_translated_as_by_the_model(command: Callable[..., Any], translating_: Path) -> None:
    source = save(translating_.with_name("a.png"), photo(50, 70))
    words = ("translate", translating_, source, "--tile", 40, "--seed")
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        command(*words, seed, "--out", translating_.with_name(f"{name}.png"))
    one, same, other = (
        decode_exact(translating_.with_name(f"{name}.png").read_bytes()).pixels for name in ("one", "same", "other")
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other), "dropout is the noise of pix2pix"
    number = int(facts_of(translating_.with_name("one.png"))["source_sha256"][:12], 16)
    model: Any = load(translating_)
    assert np.array_equal(one.transpose(2, 0, 1), translating(model, "a-to-b", 3, 40).of(photo(50, 70), number))


def test_alpha_bits_profile_and_orientation_are_kept(command: Callable[..., Any], enlarging: Path) -> None:
    source, out = enlarging.with_name("a.png"), enlarging.with_name("new") / "b.png"
    source.write_bytes(by_ffmpeg(noise(4)))
    said = command("upscale", enlarging, source, "--out", out).out
    assert said == f"{out}: {source} enlarged (x2), 18x140 px, 16 bits, alpha\n"
    made = decode_exact(out.read_bytes())
    assert made.alpha is not None
    assert (made.pixels.dtype, made.alpha.dtype) == (np.uint16, np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    save(enlarging.with_name("turned.jpg"), photo(20, 30), exif=exif, icc_profile=SRGB, quality=100)
    command("upscale", enlarging, enlarging.with_name("turned.jpg"), "--out", out)
    made = decode_exact(out.read_bytes())
    assert made.pixels.shape == (60, 40, 3)
    assert made.profile == SRGB
    assert close(made.pixels // 16, np.rot90(enlarged(photo(20, 30)), -1) // 16)


def test_the_default_place_is_the_runs(
    command: Callable[..., Any], enlarging: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    run = enlarging.parent / "run"
    run.mkdir()
    enlarging.rename(run / "model.safetensors")
    assert command("upscale", run, photos / "grey.png", "--json").facts["out"].endswith("pictures/enlarged-x2-grey.png")
    facts = command("upscale", run, photos, "--blend", 0.25, "--json").facts
    assert facts["out"].endswith("pictures/enlarged-x2-blend0.25-photos")
    assert facts["blend"] == 0.25
    assert (run / "pictures" / "enlarged-x2-blend0.25-photos" / "grey.png").is_file()


def test_the_blend_is_the_models(command: Callable[..., Any], tmp_path: Path) -> None:
    model: Any = build(BILINEAR, (3, 16, 16))
    with torch.no_grad():
        for p in model.generator.parameters():
            p.zero_()  # the first network keeps its weights
    save_model(tmp_path / "srgan.safetensors", model, {})
    save(tmp_path / "a.png", photo(20, 20))
    for blend in (0, 1):
        command(
            "upscale",
            tmp_path / "srgan.safetensors",
            tmp_path / "a.png",
            "--blend",
            blend,
            "--out",
            tmp_path / f"{blend}.png",
        )
    assert close(decode_exact((tmp_path / "1.png").read_bytes()).pixels, enlarged(photo(20, 20)))
    expected = upscaling(model.eval().blend(0)).of(photo(20, 20)).transpose(1, 2, 0)
    assert np.array_equal(decode_exact((tmp_path / "0.png").read_bytes()).pixels, expected)
    assert not close(expected, enlarged(photo(20, 20)))


def test_the_first_of_several_frames_is_taken_and_said(command: Callable[..., Any], enlarging: Path) -> None:
    frames = [Image.fromarray(photo(20 + k, 20)[:, :20].transpose(1, 2, 0)) for k in range(3)]
    frames[0].save(enlarging.with_name("a.gif"), save_all=True, append_images=frames[1:])
    said = command("upscale", enlarging, enlarging.with_name("a.gif"), "--out", enlarging.with_name("b.png")).out
    assert said.splitlines()[1] == "only the first frame or page is taken of a.gif"


# Folders


NAMES = ["colour.png", "deep/alpha.png", "deep/er/sixteen.png", "grey.png"]


def made_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_keeps_its_structure(command: Callable[..., Any], enlarging: Path, photos: Path) -> None:
    out = photos.parent / "out"
    found = command("upscale", enlarging, photos, "--out", out, "--json")
    assert made_in(out) == NAMES
    assert (found.facts["count"], found.facts["kept"], found.facts["left_out"]) == (4, 0, [])
    sixteen, alpha = (decode_exact((out / "deep" / name).read_bytes()) for name in ("er/sixteen.png", "alpha.png"))
    assert sixteen.pixels.dtype == np.uint16
    assert alpha.alpha is not None
    lines = command("upscale", enlarging, photos, "--out", photos.parent / "again").out.splitlines()
    again = photos.parent / "again"
    assert lines == [f"{again}: 4 pictures of {photos} enlarged (x2), under their names as PNG", "passed over: 1 .cr2"]


def test_a_command_that_was_interrupted_goes_on(command: Callable[..., Any], enlarging: Path, photos: Path) -> None:
    out = photos.parent / "out"
    words = ("upscale", enlarging, photos, "--out", out, "--json")
    command(*words)
    before = {name: (out / name).stat().st_mtime_ns for name in NAMES}
    (out / "grey.png").unlink()
    save(photos / "colour.jpg", photo(21, 31))  # another picture of the same name
    (out / ".colour.png.1.partial").touch()  # what a killed process leaves
    found = command(*words, "--skip-existing")
    assert (found.facts["count"], found.facts["kept"]) == (2, 2)
    changed = {name for name in NAMES if (out / name).stat().st_mtime_ns != before[name]}
    assert changed == {"colour.png", "grey.png"}
    assert "4 pictures had been made before" in command(*words[:-1], "--skip-existing", "--bad-images", "skip").out


def test_progress_names_the_picture_the_tile_and_the_frame(
    command: Callable[..., Any], enlarging: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairdraw.progress.SECONDS_BETWEEN_LINES", -1)
    save(photos / "large.png", photo(40, 150))
    err = command("upscale", enlarging, photos, "--out", photos.parent / "out", "--tile", 110).err.splitlines()
    assert "enlarged: 2 of 5: deep/alpha.png" in err
    assert "enlarged: 5 of 5: large.png, tile 1 of 2" in err
    source = save_video(photos.parent / "a.mp4")
    err = command("upscale", enlarging, source, "--out", photos.parent / "b.mp4").err.splitlines()
    assert err == [f"enlarged: frame {number} of 4" for number in range(1, 5)]


def test_a_result_does_not_depend_on_its_neighbours(
    command: Callable[..., Any], translating_: Path, photos: Path
) -> None:
    out = photos.parent / "out"
    command("translate", translating_, photos, "--out", out)
    command("translate", translating_, photos / "grey.png", "--out", photos.parent / "alone.png")
    alone = decode_exact((photos.parent / "alone.png").read_bytes()).pixels
    assert np.array_equal(decode_exact((out / "grey.png").read_bytes()).pixels, alone)


def test_pictures_that_cannot_be_used_stop_or_are_left_out(
    command: Callable[..., Any], refused: Callable[..., str], enlarging: Path, photos: Path
) -> None:
    whole = (photos / "deep" / "alpha.png").read_bytes()
    (photos / "deep" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    out = photos.parent / "out"
    said = refused("upscale", enlarging, photos, "--out", out)
    assert f"{photos}/gone.png: broken link; mend or remove it, or leave it out with --bad-images skip" in said
    (photos / "gone.png").unlink()
    assert f"{photos}/deep/cut.png: " in refused("upscale", enlarging, photos, "--out", out)
    assert made_in(out) == ["colour.png", "deep/alpha.png"]
    words = ("upscale", enlarging, photos, "--out", out, "--bad-images", "skip", "--skip-existing")
    found = command(*words, "--json").facts
    assert made_in(out) == NAMES
    assert (found["count"], found["kept"]) == (2, 2)
    assert [one["name"] for one in found["left_out"]] == ["deep/cut.png"]
    lines = command(*words).out.splitlines()
    assert lines[1] == "4 pictures had been made before"
    assert lines[2].startswith("left out: deep/cut.png (")


def test_colour_is_not_made_grey(
    command: Callable[..., Any], refused: Callable[..., str], tmp_path: Path, photos: Path
) -> None:
    save_model(tmp_path / "grey.safetensors", build(BILINEAR, (1, 16, 16)), {})
    words = ("upscale", tmp_path / "grey.safetensors")
    said = refused(*words, photos / "colour.jpg")
    assert f"{photos}/colour.jpg: it is in colour, and the model is one of grey images; make it grey first" in said
    found = command(*words, photos, "--out", tmp_path / "out", "--bad-images", "skip", "--json").facts
    assert [one["name"] for one in found["left_out"]] == ["colour.jpg", "deep/alpha.png", "deep/er/sixteen.png"]
    assert decode_exact((tmp_path / "out" / "grey.png").read_bytes()).pixels.shape == (18, 14, 1)
    (photos / "grey.png").unlink()
    said = refused(*words, photos, "--out", tmp_path / "none", "--bad-images", "skip")
    assert f"{photos}: none of 3 pictures can be used: colour.jpg (it is in colour" in said


def test_the_place_for_a_folder_is_its_own(refused: Callable[..., str], enlarging: Path, photos: Path) -> None:
    def said(*words: object) -> str:
        return refused("upscale", enlarging, photos, *words)

    for inside in (photos, photos / "out", photos / ".." / "photos" / "deep"):
        assert "whose pictures it would be among the next time; give a folder outside" in said("--out", inside)
    assert "a picture for each of" in said("--out", photos.parent / "a.png")
    other = photos.parent / "other"
    other.mkdir()
    save(other / "mine.png", photo(5, 5))
    assert "is a folder with files in it: give a new folder, or go on" in said("--out", other)
    assert "holds what is no result of" in said("--out", other, "--skip-existing")
    (other / "mine.png").rename(other / "grey.png")
    assert "holds results of another model or other options: grey.png" in said("--out", other, "--skip-existing")
    assert "is a folder with files in it" in said("--out", photos.parent), "what holds the pictures holds files"


def test_other_options_are_not_mixed(
    command: Callable[..., Any], refused: Callable[..., str], enlarging: Path, photos: Path
) -> None:
    words = ("upscale", enlarging, photos, "--out", photos.parent / "out", "--skip-existing")
    command(*words)
    said = refused(*words, "--blend", 0.5)
    assert "holds results of another model or other options: colour.png, deep/alpha.png" in said


# Videos


def test_a_video_is_enlarged(command: Callable[..., Any], enlarging: Path) -> None:
    pytest.importorskip("av")
    source = save_video(enlarging.with_name("a.mp4"), sound="aac")
    out = enlarging.with_name("b.mp4")
    found = command("upscale", enlarging, source, "--out", out)
    said = f"{out}: 4 frames of {source} enlarged (x2), 128x96 px, 12.5 a second, sound: copied (aac)"
    assert found.out.splitlines() == [said]
    frames = frames_of(out)
    assert [(frame.width, frame.height) for frame in frames] == [(128, 96)] * 4
    assert sound_of(out) == sound_of(source)
    import av

    with av.open(str(out)) as video:
        facts = json.loads(video.metadata["comment"])
    assert facts["machine_made"] is True
    assert facts["factor"] == 2
    found = command("upscale", enlarging, source, "--out", enlarging.with_name("c.mp4"), "--json").facts
    assert (found["count"], found["size"], found["rate"], found["sound"]) == (4, [128, 96], "25/2", "copied (aac)")


def test_frames_have_the_same_noise(command: Callable[..., Any], translating_: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(translating_.with_name("a.mkv")), "w") as made:
        stream = made.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for _ in range(3):
            made.mux(stream.encode(av.VideoFrame.from_ndarray(photo(24, 32).transpose(1, 2, 0).copy(), "rgb24")))
        made.mux(stream.encode())
    out = translating_.with_name("new")
    command("translate", translating_, translating_.with_name("a.mkv"), "--out", out)
    frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in frames_of(out / "a.mp4")]
    assert len(frames) == 3
    assert max(np.abs(frame - frames[0]).mean() for frame in frames) < 3


def test_what_is_wrong_with_a_video_is_said(
    refused: Callable[..., str], enlarging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    broken = enlarging.with_name("a.mp4")
    broken.write_bytes(b"no video")
    assert f"cannot read {broken}: " in refused("upscale", enlarging, broken, "--out", enlarging.with_name("b.mp4"))
    assert "written as MP4; give a .mp4 file" in refused("upscale", enlarging, broken, "--out", "b.png")
    assert "a.mp4 is what is to be enlarged" in refused("upscale", enlarging, broken, "--out", broken)
    assert "it holds a a.mp4 already" not in refused("upscale", enlarging, broken, "--out", broken.parent)
    monkeypatch.setitem(sys.modules, "av", None)
    assert "a video needs PyAV: pip install 'fairdraw[video]'" in refused("upscale", enlarging, broken)


# Slips


def test_slips_are_named(refused: Callable[..., str], enlarging: Path, translating_: Path, photos: Path) -> None:
    picture = photos / "colour.jpg"

    def upscale(*words: object) -> str:
        return refused("upscale", enlarging, *words)

    assert "nowhere.png does not exist: give a picture, a folder of pictures, or a video" in upscale("nowhere.png")
    assert "about.txt is named like no picture" in upscale(photos / "about.txt")
    (photos / "text.png").write_text("text", encoding="utf-8")
    assert "text.png: not a picture in any of the formats PNG, " in upscale(photos / "text.png")
    (photos.parent / "device.png").symlink_to(os.devnull)
    assert "device.png is no file: give a picture, a folder of" in upscale(photos.parent / "device.png")
    assert "--tile 40: a result depends on" in upscale(picture, "--tile", 40)
    assert "--blend 1.5: give a number from 0" in upscale(picture, "--blend", 1.5)
    assert "the result is written as PNG; give a .png file or a folder" in upscale(picture, "--out", "b.jpg")
    assert "grey.png is what is to be enlarged; choose another" in upscale(photos / "grey.png", "--out", photos)
    save(photos.parent / "colour.png", photo(5, 5))
    assert "it holds a colour.png already; name a .png file" in upscale(picture, "--out", photos.parent)
    assert "--skip-existing and --bad-images are for folders" in upscale(picture, "--skip-existing")
    empty = photos.parent / "empty"
    empty.mkdir()
    assert "no picture in the folder" in upscale(empty)
    (empty / "film.mp4").touch()
    assert "(found 1 .mp4); give one with pictures, or a single video" in upscale(empty)
    said = refused("translate", translating_, picture, "--direction", "b-to-a")
    assert "--direction b-to-a: " in said
    assert "has learnt a-to-b alone; leave it out" in said
    said = refused("translate", translating_, picture, "--direction", "a-to-c")
    assert "--direction a-to-c: choose a-to-b or b-to-a (did you mean a-to-b?)" in said


def test_models_that_cannot_are_named(refused: Callable[..., str], enlarging: Path, photos: Path) -> None:
    save_model(photos.parent / "vae.safetensors", build(SMALL_CONFIGS["vae"]), {})
    vae = photos.parent / "vae.safetensors"
    assert "vae does not translate images: train `pix2pix` or `cyclegan` for that" in refused("translate", vae, photos)
    assert "vae does not make images larger: train `srgan` for that" in refused("upscale", vae, photos)
    assert "srgan does not translate images" in refused("translate", enlarging, photos)


def test_one_network_has_no_blend(
    refused: Callable[..., str], tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "srgan.safetensors"
    save_model(path, build(replace(BILINEAR, mse_images=None), (3, 16, 16)), {})
    assert f"--blend 0.5: {path} holds one network alone" in refused("upscale", path, photos, "--blend", 0.5)
    monkeypatch.setattr("fairdraw.capabilities.Blends", type("Another", (), {}))
    assert f"--blend 0.5: {path} holds one network alone" in refused("upscale", path, photos, "--blend", 0.5)


def test_what_is_computed_in_bf16_says_so_and_has_8_bits(
    enlarging: Path, tmp_path: Path, command: Callable[..., Any], refused: Callable[..., str]
) -> None:
    source, out = save(tmp_path / "small.png", photo(20, 30)), tmp_path / "large.png"
    assert command("upscale", enlarging, source, "--precision", "bf16", "--out", out).code == 0
    assert facts_of(out)["precision"] == "bf16"
    assert np.abs(decode_exact(out.read_bytes()).pixels.astype(int) - enlarged(photo(20, 30))).max() <= 2
    sixteen = tmp_path / "sixteen.png"
    sixteen.write_bytes(by_ffmpeg(noise(3)))
    said = refused("upscale", enlarging, sixteen, "--precision", "bf16", "--out", out)
    assert "16 bits are more than bf16 can tell apart: use --precision fp32" in said
