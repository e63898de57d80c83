"""Bad input ends with exit code 2 and one line that names the thing and the remedy; nothing that was there is lost."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fairdraw import InputError, Noise, files
from fairdraw.cli import main
from fairdraw.run import Run

TRAIN = ["--images", "256", "--batch", "16", "--hidden", "16", "--latent", "2", "--precision", "fp32"]

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    np.savez(folder / "tiny.npz", images=np.random.default_rng(0).integers(0, 256, (100, 8, 8), dtype=np.uint8))
    with pytest.raises(SystemExit) as stopped:
        main(["train", "vae", "--data", str(folder / "tiny.npz"), *TRAIN, "--out", str(folder / "run")])
    assert stopped.value.code == 0
    return folder


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A folder with a training of its own, to be spoilt."""
    for path in [p for p in trained.rglob("*") if p.is_file()]:
        copy = tmp_path / path.relative_to(trained)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return tmp_path


def again(home: Path, trained: Path) -> list[object]:
    """The command that made `home / "run"`."""
    return ["train", "vae", "--data", trained / "tiny.npz", *TRAIN, "--out", home / "run"]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# Sources


def pictures(folder: Path, count: int = 40) -> Path:
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def truncated(folder: Path) -> None:
    whole = (folder / "05.png").read_bytes()
    (folder / "05.png").write_bytes(whole[: len(whole) // 2])


def texts(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "a.txt").write_text("no picture")
    (folder / "b.doc").write_text("no picture")


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def bomb(folder: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")


SOURCES: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "empty": (empty, ["no picture in the folder", "give a folder with"]),
    "texts": (texts, ["no picture in the folder", ".doc", "give a folder with"]),
    "text called picture": (lambda f: (f / "z.png").write_text("no"), ["z.png (not a picture", "--bad-images skip"]),
    "truncated": (truncated, ["05.png (damaged", "remove it", "--bad-images skip"]),
    "1x1": (lambda f: Image.new("RGB", (1, 1)).save(f / "dot.png"), ["8x8 (40), 1x1 (1)", "--size"]),
    "60000x1": (lambda f: Image.new("RGB", (60_000, 1)).save(f / "line.png"), ["line.png (60000x1", "--bad-images"]),
    "bomb": (bomb, ["bomb.png (", "decompression bomb", "--bad-images skip"]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_source_that_cannot_be_used_is_named_before_anything_is_made(
    refused: Refused, tmp_path: Path, name: str
) -> None:
    spoil, messages = SOURCES[name]
    folder = pictures(tmp_path / "pictures")
    spoil(folder)
    line = refused("train", "vae", "--data", folder, *TRAIN, "--out", tmp_path / "run")
    assert str(folder) in line
    assert all(message in line for message in messages)
    assert not (tmp_path / "run").exists()


def test_one_16_bit_and_one_rgba_picture_among_rgb_are_no_hindrance(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    Image.fromarray((np.arange(64).reshape(8, 8) * 1000).astype(np.uint16)).save(folder / "deep.png")
    Image.new("RGBA", (8, 8), (9, 9, 9, 128)).save(folder / "clear.png")
    with pytest.raises(SystemExit) as stopped:
        main(["train", "vae", "--data", str(folder), *TRAIN, "--out", str(tmp_path / "run")])
    assert stopped.value.code == 0
    assert Run(tmp_path / "run").record()["data"]["shape"] == [3, 8, 8]


def test_pictures_too_small_for_the_network_are_refused(refused: Refused, tmp_path: Path) -> None:
    np.save(tmp_path / "dots.npy", np.random.default_rng(0).integers(0, 256, (60, 1, 1), dtype=np.uint8))
    line = refused("train", "dcgan", "--data", tmp_path / "dots.npy", "--batch", 8, "--out", tmp_path / "run")
    assert "dcgan cannot make images of 1 px" in line
    assert "choose a size such as 8" in line


def test_batch_larger_than_the_set_is_refused(refused: Refused, home: Path) -> None:
    line = refused("train", "vae", "--data", home / "tiny.npz", "--batch", 500, "--out", home / "new")
    assert "--batch 500 is larger than the training set" in line
    assert "(of 100); choose a smaller --batch or add images" in line
    assert not (home / "new").exists()


# Words


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        ("trian vae", ["unknown verb 'trian' (did you mean train?)", "sample"]),
        ("smple run", ["unknown verb 'smple' (did you mean sample?)"]),
        ("data chek x", ["unknown verb 'data chek' (did you mean data check?)"]),
        ("data", ["unknown verb 'data'", "data list"]),
        ("train", ["train what? Name one of autoencoder, denoising, vae, gan, dcgan"]),
        ("train --data x", ["train what?"]),
        ("train vea", ["unknown model 'vea' (did you mean vae?)", "`fairdraw models` lists them"]),
        ("train vae --data mnsit", ["no data at 'mnsit' (did you mean mnist?)", "give a folder"]),
        ("data check fashion-mnis", ["'fashion-mnis' (did you mean fashion-mnist?)"]),
        ("data check no/such/folder", ["no data at 'no/such/folder'", "give a folder"]),
        ("train vae --bach 3", ["--bach", "(did you mean --batch?)", "`fairdraw train vae --help`"]),
        ("train dcgan --imagse 3", ["--imagse", "(did you mean --images?)"]),
        ("train vae --learning-rat 1", ["--learning-rat", "(did you mean --learning-rate?)"]),
        ("sample run --cuont 3", ["--cuont", "(did you mean --count?)", "`fairdraw sample --help`"]),
        ("demo --sed 3", ["--sed", "(did you mean --seed?)"]),
        ("models --josn", ["--josn", "`fairdraw models --help`"]),
        ("train vae --batch abc", ["--batch", "'abc'"]),
        ("train vae --batch 0", ["batch is 0: give at least 1 with --batch"]),
        ("train vae --latent 0", ["latent is 0: give at least 1 with --latent"]),
        ("train vae --epochs -1 --data digits8", ["--epochs -1: give more than 0"]),
        (
            "train vae --schedule linaer",
            ["--schedule linaer", "constant, cosine, half-linear or linear (did you mean linear?)"],
        ),
        ("train vae --betas 0.5", ["--betas", "Expected 2 values"]),
        ("train vae dcgan", ["dcgan"]),
        ("sample", ["PATH", "a run folder or a model.safetensors file"]),
        ("sample no/such/run", ["no/such/run does not exist: give a run folder"]),
        ("sample run extra", ["extra"]),
    ],
)
def test_slip_of_the_keyboard_is_named_with_a_suggestion(refused: Refused, words: str, messages: list[str]) -> None:
    line = refused(*words.split())
    assert all(message in line for message in messages), line
    assert not set("─│╭╰") & set(line)
    assert "---" not in line


def test_count_below_one_is_refused(refused: Refused, home: Path) -> None:
    for words in (["sample", home / "run"], ["reconstruct", home / "run", home / "tiny.npz"]):
        assert "--count 0: give at least 1" in refused(*words, "--count", 0)


def test_pictures_in_other_formats_are_refused(refused: Refused, home: Path) -> None:
    line = refused("sample", home / "run", "--out", home / "a.jpg")
    assert "a.jpg: pictures are written as PNG; give a .png file or a folder" in line


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_device_that_is_not_there_is_refused(
    refused: Refused, home: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    message = f"--device {device} is not there: this machine has cpu"
    assert message in refused("sample", home / "run", "--device", device)
    assert message in refused(
        "train", "vae", "--data", home / "tiny.npz", *TRAIN, "--device", device, "--out", home / "a"
    )


def test_name_with_a_line_break_stays_one_line(refused: Refused, tmp_path: Path) -> None:
    assert "does not exist" in refused("sample", tmp_path / "a\nb")


# Run folders and model files


def test_run_folder_of_another_config_is_kept(refused: Refused, home: Path, trained: Path) -> None:
    before = contents(home)
    line = refused(*again(home, trained), "--latent", 3)
    assert "experiment.model.latent: 2 -> 3" in line
    assert "choose another folder with --out" in line
    assert {k: v for k, v in contents(home).items() if k != "run/lock"} == {
        k: v for k, v in before.items() if k != "run/lock"
    }


def test_half_written_checkpoint_falls_back_to_the_one_before(
    home: Path, trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    finished = (home / "run" / "model.safetensors").read_bytes()
    (home / "run" / "model.safetensors").unlink()
    older, newest = Run(home / "run").checkpoints()
    newest.write_bytes(newest.read_bytes()[:999])
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in again(home, trained)])
    assert stopped.value.code == 0
    said = capfd.readouterr().err
    assert f"warning: {newest} is damaged" in said
    assert f"resuming {home / 'run'} at {int(older.stem)} images" in said
    assert (home / "run" / "model.safetensors").read_bytes() == finished


def test_no_whole_checkpoint_is_refused_and_nothing_is_overwritten(refused: Refused, home: Path, trained: Path) -> None:
    for path in Run(home / "run").checkpoints():
        path.write_bytes(path.read_bytes()[:999])
    model = (home / "run" / "model.safetensors").read_bytes()
    line = refused(*again(home, trained))
    assert "no checkpoint can be read" in line
    assert "restore it from a copy, or train again" in line
    assert (home / "run" / "model.safetensors").read_bytes() == model


def damaged(content: bytes) -> Iterator[tuple[bytes, str]]:
    yield content[:1000], "is damaged"
    yield content[:-1] + bytes([content[-1] ^ 1]), "is damaged: its checksum does not match its content"
    yield content[:100] + bytes([content[100] ^ 1]) + content[101:], "is damaged"
    yield content.replace(b'"format":"1"', b'"format":"2"'), "has format 2, this fairdraw reads format 1"
    yield b"", "is damaged"
    yield b"\x80\x04K\x01.", "is damaged"  # a pickle


def test_damaged_model_file_is_refused_by_every_verb(refused: Refused, home: Path) -> None:
    path = home / "run" / "model.safetensors"
    for content, message in damaged(path.read_bytes()):
        path.write_bytes(content)
        for words in (["sample", home / "run"], ["sample", path], ["reconstruct", path, home / "tiny.npz"]):
            line = refused(*words)
            assert f"{path} {message}" in line
            assert "train again" in line


def test_folders_without_a_model_are_refused(refused: Refused, home: Path) -> None:
    (home / "run" / "model.safetensors").unlink()
    assert "holds no model.safetensors: finish the training first" in refused("sample", home / "run")
    assert "holds no model.safetensors: give a run folder" in refused("sample", home)
    assert "is damaged" in refused("sample", home / "tiny.npz")


def test_neighbours_need_the_very_data_of_the_training(refused: Refused, home: Path, trained: Path) -> None:
    data = trained / "tiny.npz"
    before = data.read_bytes()
    try:
        np.savez(data, images=np.zeros((40, 8, 8), np.uint8))
        for run in (home / "run", home / "run" / "model.safetensors"):
            assert "is no longer the data that" in refused("sample", run, "--neighbours")
        data.unlink()
        assert "tiny.npz" in refused("sample", home / "run", "--neighbours")
    finally:
        data.write_bytes(before)


# The disk


def failing_fsync(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", fsync)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_full_or_read_only_disk_loses_nothing(
    refused: Refused, home: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    command = ["sample", home / "run", "--out", home / "a.png"]
    (home / "a.png").write_bytes(b"old")
    with monkeypatch.context() as patch:
        failing_fsync(patch, number)
        line = refused(*command)
    assert f"cannot write {home / 'a.png'} (" in line
    assert os.strerror(number) in line
    assert "free some space or choose a writable folder with --out" in line
    assert (home / "a.png").read_bytes() == b"old"
    assert not list(home.rglob("*.partial"))


def test_training_goes_on_when_there_is_space_again(
    refused: Refused, home: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        failing_fsync(patch, errno.ENOSPC)
        new = ["train", "vae", "--data", trained / "tiny.npz", *TRAIN, "--out", home / "new"]
        assert "No space left on device" in refused(*new)
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in new])
    assert stopped.value.code == 0
    model = "model.safetensors"
    assert (home / "new" / model).read_bytes() == (home / "run" / model).read_bytes()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder_is_named(refused: Refused, home: Path) -> None:
    (home / "locked").mkdir(mode=0o555)
    assert "Permission denied" in refused("sample", home / "run", "--out", home / "locked" / "a.png")
    new = ["train", "vae", "--data", home / "tiny.npz", *TRAIN, "--out", home / "locked" / "run"]
    assert "Permission denied; choose a writable one with --out" in refused(*new)


def test_file_in_the_way_of_the_folder_is_named(refused: Refused, home: Path) -> None:
    line = refused("sample", home / "run", "--out", home / "tiny.npz" / "folder")
    assert f"cannot make the folder {home / 'tiny.npz' / 'folder'}" in line
    line = refused("train", "vae", "--data", home / "tiny.npz", *TRAIN, "--out", home / "tiny.npz")
    assert f"cannot make the run folder {home / 'tiny.npz'}" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--learning-rate", "nan"], "learning_rate is nan"),
        (["--learning-rate", "inf"], "learning_rate is inf"),
        (["--epsilon", "nan"], "epsilon is nan"),
        (["--epochs", "nan"], "--epochs nan"),
        (["--epochs", "inf"], "--epochs inf"),
        (["--threads", "100000"], "--threads 100000: this machine has"),
        (["--nodes", "2"], "start it with torchrun"),
    ],
)
def test_numbers_without_sense_are_refused_by_name(
    refused: Refused, trained: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    line = refused("train", "vae", "--data", trained / "tiny.npz", *TRAIN, *words, "--out", tmp_path / "run")
    assert said in line


def test_a_rate_that_explodes_ends_in_plain_language(command: Any, trained: Path, tmp_path: Path) -> None:
    words = ["--data", trained / "tiny.npz", *TRAIN, "--learning-rate", "1e30", "--precision", "fp32"]
    found = command("train", "vae", *words, "--out", tmp_path / "run")
    assert found.code == 5
    assert "Traceback" not in found.err
    assert "diverged again" in found.err


def test_samples_do_not_lose_themselves_among_other_files(refused: Refused, home: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.png").write_bytes(b"")
    assert "other files in it" in refused("sample", home / "run", "--out", tmp_path / "photos")
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["mine.png"]
    assert "at most 10,000 on a sheet" in refused("sample", home / "run", "--count", "99999999999")


def test_check_of_a_source_that_cannot_be_trained_on_exits_with_2(command: Any, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = command("data", "check", tmp_path / "photos", "--json")
    assert found.code == 2
    assert found.facts["ok"] is False


def test_options_that_leave_nothing_to_train_on_are_named(refused: Refused, tmp_path: Path) -> None:
    digits, out = ["train", "vae", "--data", "digits8"], ["--out", tmp_path / "run"]
    line = refused(*digits, "--leave-out", *map(str, range(10)), *out)
    assert "without 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 has 0 training images" in line
    assert "leave out fewer labels" in line
    assert "give --decoder bernoulli" in refused(*digits, "--binarise", "--decoder", "logistic", *out)


@pytest.mark.parametrize("seed", [-1, 2**64, "9" * 2000])
def test_seeds_that_no_generator_takes_are_refused_in_a_line(refused: Refused, seed: object) -> None:
    said = refused("evaluate", "run", "--seed", seed)
    assert "give a whole number from 0 to 2^64 - 1" in said
    assert len(said) < 300
    with pytest.raises(InputError, match="give a whole number"):
        Noise(2**64, 1)


def test_what_is_too_long_to_read_is_not_repeated_whole(refused: Refused) -> None:
    said = refused("train", "vae", "--batch", "x" * 5000)
    assert "--batch: give a whole number, not" in said
    assert len(said) < 800
    assert len(refused("evaluate", "y" * 3000)) < 400


def test_a_probability_of_no_augmentation_is_refused(refused: Refused) -> None:
    said = refused("train", "dcgan", "--augment-probability", "0.5")
    assert "augment_probability is 0.5 of nothing: name what to do with --augment" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("dcgan --width 100000000000", "no dcgan can be built of these options"),
        ("dcgan --width 40000", "GB while they are trained"),
        ("vae --latent 99999999999", "choose smaller numbers"),
        ("gan --hidden 9999999999 9999999999", "choose smaller numbers"),
    ],
)
def test_models_that_no_machine_can_hold_are_refused(refused: Refused, tmp_path: Path, words: str, said: str) -> None:
    name, *options = words.split()
    found = refused("train", name, "--data", "digits8", "--size", 16, *options, "--out", tmp_path / "run")
    assert said in found
    assert not (tmp_path / "run").exists()


def test_what_may_not_be_looked_at_is_named(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(path: Path, **_: Any) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", locked)
    line = refused("evaluate", "closed/run")
    assert line == "fairdraw: cannot get at closed/run: permission denied; check the path and its permissions\n"
