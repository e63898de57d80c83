"""compress and decompress on the command line: what they write, print and refuse."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toys import SMALL_CONFIGS, VARIANTS, build, save_stripes, stripes

from fairdraw.images import facts_of
from fairdraw.run import save_model
from fairdraw.verbs.decompress import targets

Command = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with models, grey and black-and-white stripes, and a folder of pictures; the place where we are."""
    monkeypatch.chdir(tmp_path)
    for name, variant in (("bits", "vae"), ("levels", "vae, logistic"), ("density", "vae, gaussian"), ("gan", "dcgan")):
        save_model(tmp_path / f"{name}.safetensors", build(VARIANTS[variant]), {})
    coder = build(SMALL_CONFIGS["autoencoder"])
    coder.finish(torch.from_numpy(stripes(64)) / 127.5 - 1)
    save_model(tmp_path / "coder.safetensors", coder, {})
    save_stripes(tmp_path, 20)
    np.save(tmp_path / "white.npy", two_valued(20)[:, 0])
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for number, image in enumerate(stripes(3)[:, 0]):
        Image.fromarray(image).save(tmp_path / "photos" / ("deep" if number else "") / f"no {number}.png")
    return tmp_path


def two_valued(count: int) -> np.ndarray:
    return np.where(stripes(count) > 30, 255, 0).astype(np.uint8)


def pixels(folder: Path, files: list[str]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(folder / file)) for file in files])


def test_black_and_white_images_come_back(home: Path, command: Command) -> None:
    found = command("compress", "bits.safetensors", "white.npy", "--out", "x.fairdraw", "--json")
    facts = found.facts
    assert (facts["kind"], facts["count"], facts["on"]) == ("lossless", 20, "images of white.npy")
    assert facts["bytes"] == (home / "x.fairdraw").stat().st_size
    number = facts["numbers"][0]
    assert number["unit"] == "bits per image"
    assert {name.partition(",")[0] for name, _ in number["baselines"]} == {"raw pixels", "PNG", "WebP lossless"}
    assert dict(number["baselines"])["raw pixels"] == pytest.approx(256)
    assert facts["initial_bits"] > 0
    assert 8 * facts["code_bytes"] == pytest.approx(facts["initial_bits"] + 20 * number["value"], abs=64)
    assert number["value"] == pytest.approx(facts["negative_elbo_bits"], rel=0.1)  # of an untrained model
    back = command("decompress", "bits.safetensors", "x.fairdraw", "--out", "back", "--json").facts
    assert np.array_equal(pixels(home / "back", back["files"]), two_valued(20)[:, 0])
    known = facts_of(home / "back" / back["files"][0])
    assert (known["machine_made"], known["kind"], known["from"]) == (False, "lossless", "x.fairdraw")


def test_grey_images_of_a_folder_come_back_under_their_names(home: Path, command: Command) -> None:
    words = ["compress", "levels.safetensors", "photos", "--out", "x", "--lossless"]
    first = command(*words)
    assert first.code == 0
    lines = first.out.splitlines()
    assert lines[0].startswith("x: 3 images of photos, lossless at the model's 16x16 px; decoded again here and found")
    assert lines[1].startswith(f"x: {(home / 'x').stat().st_size:,} bytes: ")
    assert lines[2].startswith("coded ")
    assert "does not say what it was trained on" in lines[2]
    assert "random bits that it begins with" in lines[3]
    assert lines[4].startswith("bits/dim: coded ")
    assert "raw pixels 8.0000" in lines[4]
    content = (home / "x").read_bytes()
    command(*words)
    assert (home / "x").read_bytes() == content
    printed = command("decompress", "levels.safetensors", "x", "--out", "back").out
    assert printed == "back: 3 images, the very pixels that were compressed\n"
    names = ["no 0.png", "deep/no 1.png", "deep/no 2.png"]
    assert sorted(p.relative_to(home / "back").as_posix() for p in (home / "back").rglob("*.png")) == sorted(names)
    assert np.array_equal(pixels(home / "back", names), stripes(3)[:, 0])


def test_notes_are_told_apart(home: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairdraw.metrics.formats.MOST_IMAGES", 2)
    shown = command("compress", "levels.safetensors", "photos", "--out", "x").out
    assert "trained on: name the data; the other formats on 2 of them, spread evenly" in shown


def test_grey_images_are_binarised_only_when_asked(home: Path, command: Command, refused: Refused) -> None:
    words = ["compress", "bits.safetensors", "stripes16.npy", "--out", "x"]
    said = refused(*words)
    assert "stripes16.npy has grey pixels and bits.safetensors codes black and white ones" in said
    assert "--binarise" in said
    assert not (home / "x").exists()
    facts = command(*words, "--binarise", "--seed", 5, "--json").facts
    assert facts["on"] == "images of stripes16.npy, binarised with seed 5"
    back = command("decompress", "bits.safetensors", "x", "--out", "back", "--json").facts
    drawn = pixels(home / "back", back["files"])
    assert set(np.unique(drawn)) == {0, 255}
    assert drawn.mean() == pytest.approx(stripes(20).mean(), rel=0.05)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("coder.safetensors", "autoencoder gives pixels no probability"),
        ("density.safetensors", "its Gaussian decoder gives pixels a density and no probability"),
        ("bits.safetensors --step 0.25", "--step was given"),
    ],
)
def test_what_cannot_be_lossless_is_lossy_and_says_so(home: Path, command: Command, words: str, why: str) -> None:
    found = command("compress", *words.split(), "stripes16.npy", "--out", "x", "--count", 15, "--json")
    facts = found.facts
    assert (facts["kind"], facts["step"], facts["count"]) == ("lossy", 0.25, 15)
    assert facts["on"] == "images of stripes16.npy, spread evenly over 20"
    assert facts["psnr_mean_image"] > 0
    assert len(facts["rivals"]) == 9
    shown = command("compress", *words.split(), "stripes16.npy", "--out", "x", "--count", 15).out.splitlines()
    assert shown[0].startswith("x: 15 images of stripes16.npy, spread evenly over 20, lossy with step 0.25 (")
    assert why in shown[0]
    assert f"PSNR {facts['psnr']:.2f} dB" in shown[2]
    model = words.split()[0]
    back = command("decompress", model, "x", "--out", "back", "--json").facts
    assert back["kind"] == "lossy"
    error = np.square(
        pixels(home / "back", back["files"]) / 255 - stripes(20)[np.linspace(0, 19, 15).astype(int), 0] / 255
    )
    assert -10 * np.log10(error.mean()) == pytest.approx(facts["psnr"])
    (number,) = facts["numbers"]
    assert number["value"] == pytest.approx(256 * error.mean())
    assert number["unit"] == "per image, pixels on [0, 1], clipped and rounded to levels"
    assert facts_of(home / "back" / back["files"][0])["machine_made"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "levels.safetensors stripes16.npy --out photos",
            "--out photos is a folder: name a file in it, such as photos",
        ),
        ("levels.safetensors stripes16.npy --out no/x", "there is no folder no; make it first"),
        (
            "levels.safetensors stripes16.npy --out white.npy",
            "white.npy is there already and no file of `fairdraw comp",
        ),
        ("levels.safetensors stripes16.npy --out x --count 0", "--count 0: give at least 1"),
        ("levels.safetensors stripes16.npy --out x --step 0", "--step 0: give a number from 0.001 to 1000"),
        ("levels.safetensors stripes16.npy --out x --step nan", "--step nan: give a number from 0.001 to 1000"),
        ("levels.safetensors stripes16.npy --out x --step 1 --lossless", "leave out --step or --lossless"),
        ("levels.safetensors stripes16.npy --out x --binarise", "codes all 256 levels of grey: leave out --binarise"),
        ("coder.safetensors stripes16.npy --out x --binarise", "--binarise is for lossless coding, and this is lossy"),
        ("coder.safetensors stripes16.npy --out x --lossless", "autoencoder gives pixels no probability; or leave out"),
        ("density.safetensors stripes16.npy --out x --lossless", "train with --decoder logistic; or leave out --loss"),
        ("gan.safetensors stripes16.npy --out x", "dcgan has no encoder to compress with"),
        ("levels.safetensors nowhere --out x", "nowhere"),
        (
            "levels.safetensors wide.npy --out x",
            "wide.npy holds images of 8x8 px and 1 channel, levels.safetensors is a",
        ),
        ("levels.safetensors stripes16.npy", "--out"),
        ("nothing stripes16.npy --out x", "nothing does not exist"),
    ],
)
def test_what_cannot_be_compressed_is_told_in_a_line(home: Path, refused: Refused, words: str, said: str) -> None:
    np.save(home / "wide.npy", np.zeros((3, 8, 8), np.uint8))
    assert said in refused("compress", *words.split())
    assert not (home / "x").exists()


def test_what_cannot_be_decompressed_is_told_in_a_line(home: Path, command: Command, refused: Refused) -> None:
    assert command("compress", "coder.safetensors", "stripes16.npy", "--out", "x").code == 0
    (home / "y").write_bytes((home / "x").read_bytes()[:-3])
    for words, said in (
        ("bits.safetensors x --out back", "x was compressed by the autoencoder "),
        ("coder.safetensors y --out back", "y is damaged: its checksum does not match"),
        ("coder.safetensors white.npy --out back", "white.npy is no file of `fairdraw compress`"),
        ("coder.safetensors none --out back", "cannot read none: No such file"),
        ("coder.safetensors photos --out back", "cannot read photos: "),
        ("coder.safetensors x --out photos", "--out photos is a folder with files in it: give a new folder"),
        ("coder.safetensors x --out white.npy", "--out white.npy is a file: give a new folder"),
    ):
        assert said in refused("decompress", *words.split())
    assert not (home / "back").exists()


@pytest.mark.usefixtures("home")
def test_without_the_coder_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    for words in ("compress bits.safetensors white.npy --out x", "decompress bits.safetensors white.npy --out x"):
        assert "needs the package constriction; install it with: pip install 'fairdraw[compress]'" in refused(
            *words.split()
        )


@pytest.mark.parametrize(
    "names",
    [
        ("",),
        ("..",),
        ("a/..",),
        ("a\\b",),
        ("c:d",),
        ("a\nb",),
        ("n" * 300,),
        ("a", "a"),
        ("a", "A"),
        ("CON",),
        ("sub/nul.tar.gz", "Com1 .png"),
        ("a./b", "a /b"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_names_that_would_do_harm_become_numbers(names: tuple[str, ...]) -> None:
    assert targets(names) == ([f"{number:06d}.png" for number in range(len(names))], len(names))


def test_names_stay_in_their_folder() -> None:
    assert targets(("/etc/a.jpg", "../../b", "train/7", "7")) == (["etc/a.png", "b.png", "train/7.png", "7.png"], 0)


def test_only_names_that_would_do_harm_become_numbers() -> None:
    assert targets(("a", "con.jpg", "b/c")) == (["a.png", "000001.png", "b/c.png"], 1)
    assert targets(("a.png/b", "a.png")) == (["a.png/b.png", "000001.png"], 1)
    assert targets(("x", "a", "A", "y")) == (["x.png", "000001.png", "000002.png", "y.png"], 2)
    # a name that is the number of another gives way, and so does one that is then in its own way
    assert targets(("000002", "console", "", "000000")) == (
        ["000000.png", "console.png", "000002.png", "000003.png"],
        3,
    )


def test_compress_tells_of_names_that_are_not_kept(home: Path, command: Command) -> None:
    Image.fromarray(stripes(1)[0, 0]).save(home / "photos" / "con.png")
    words = ("compress", "coder.safetensors", "photos", "--out", "x")
    assert command(*words).out.splitlines()[-1].startswith("1 name cannot be kept")
    assert command(*words, "--json").facts["names_not_kept"] == 1
    printed = command("decompress", "coder.safetensors", "x", "--out", "back").out
    assert "4 images, " in printed
    assert printed.endswith("; 1 of them numbered, as their names make no file names\n")
    assert (home / "back" / "no 0.png").is_file()
