"""Every verb: what it prints, what it writes, and that the pictures of a seed are always the same."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fairdraw
import fairdraw.data
from fairdraw import presets
from fairdraw.cli import VERBS, main, spelled
from fairdraw.files import load_tensors
from fairdraw.images import MACHINE_MADE, facts_of
from fairdraw.metrics.neighbours import nearest_images
from fairdraw.models import MODELS
from fairdraw.pictures import sampled
from fairdraw.run import load, save_model

TRAIN = ["--images", "256", "--batch", "32", "--hidden", "16", "--latent", "2", "--precision", "fp32"]


Command = Callable[..., Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny.npz`, 300 pictures of 8 px, and `run`, a VAE trained on them."""
    folder = tmp_path_factory.mktemp("cli")
    pictures = np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8)
    np.savez(folder / "tiny.npz", images=pictures)
    with pytest.raises(SystemExit) as stopped:
        main(["train", "vae", "--data", str(folder / "tiny.npz"), *TRAIN, "--out", str(folder / "run")])
    assert stopped.value.code == 0
    return folder


def tiles(path: Path, count: int, columns: int = 8, side: int = 64) -> list[bytes]:
    sheet = np.asarray(Image.open(path))
    corners = [(2 + i // columns * (side + 2), 2 + i % columns * (side + 2)) for i in range(count)]
    return [sheet[y : y + side, x : x + side].tobytes() for y, x in corners]


# Training


def test_train_says_where_everything_is_and_ends_with_held_out_numbers(home: Path, command: Command) -> None:
    arguments = ["train", "vae", "--data", home / "tiny.npz", *TRAIN, "--out", home / "run"]
    found = command(*arguments, "--json")
    assert found.code == 0
    assert found.out.count("\n") == 1
    assert "resuming" in found.err
    facts = found.facts
    assert facts["run"] == str(home / "run")
    assert Path(facts["model"]).is_file()
    assert facts["pictures"]
    assert all(Path(path).is_file() for path in facts["pictures"])
    number, error = facts["numbers"]
    assert (number["name"], number["unit"]) == ("-ELBO", "nats per image")
    assert number["baselines"][0][0] == "independent Bernoulli"
    assert error["name"] == "squared error through a code of 2"
    assert json.loads((home / "run" / "numbers.json").read_text()) == facts["numbers"]

    lines = command(*arguments).out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["run", "model"]
    assert lines[-2].startswith(f"held out  -ELBO {number['value']:.2f} nats per image")
    assert lines[-1].startswith(f"held out  squared error through a code of 2 {error['value']:.2f} per image")


def test_train_says_that_nothing_was_held_out(tmp_path: Path, command: Command) -> None:
    two = np.random.default_rng(0).integers(0, 256, (2, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "copies.npz", x=np.repeat(two, 32, axis=0))  # which fall into one part together
    found = command("train", "vae", "--data", tmp_path / "copies.npz", *TRAIN, "--out", tmp_path / "run")
    assert found.out.splitlines()[-1] == "held out  nothing: no image of 64 fell into the test part"


def test_epochs_count_passes_over_the_training_part(home: Path, command: Command, tmp_path: Path) -> None:
    data = ["--data", home / "tiny.npz", "--out", tmp_path / "run"]
    assert command("train", "dcgan", *data, "--width", 2, "--batch", 32, "--epochs", 0.5).code == 0
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["experiment"]["training"]["images"] == round(record["data"]["train"] / 2)
    assert record["experiment"]["model"]["name"] == "dcgan"


def test_default_folder_is_named_after_model_and_data(
    home: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = command("train", "vae", "--data", home / "tiny.npz", *TRAIN, "--images", 32, "--json")
    assert found.facts["run"] == "runs/vae-tiny-npz"


def test_demo_trains_draws_and_measures(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = presets.PRESETS["demo"]
    short = replace(demo, data="digits8", training=replace(demo.training, images=128, precision="fp32"))
    monkeypatch.setitem(presets.PRESETS, "demo", short)
    found = command("demo", "--out", tmp_path / "run", "--seed", 5, "--json")
    assert found.code == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["experiment"]["training"]["seed"] == 5
    assert any("samples-" in path for path in found.facts["pictures"])
    assert found.facts["numbers"][0]["name"] == "-ELBO"


# Sampling


def test_sample_is_the_same_on_every_run(home: Path, command: Command, tmp_path: Path) -> None:
    contents = []
    for name in ("a.png", "b.png"):
        assert command("sample", home / "run", "--seed", 7, "--out", tmp_path / name).code == 0
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    command("sample", home / "run", "--seed", 8, "--out", tmp_path / "c.png")
    assert not set(tiles(tmp_path / "a.png", 64)) & set(tiles(tmp_path / "c.png", 64))


def test_shorter_sheet_is_the_beginning_of_a_longer_one(home: Path, command: Command, tmp_path: Path) -> None:
    for count in (10, 70):
        command("sample", home / "run", "--count", count, "--out", tmp_path / f"{count}.png")
    assert tiles(tmp_path / "10.png", 10) == tiles(tmp_path / "70.png", 70)[:10]
    assert len(set(tiles(tmp_path / "70.png", 70))) > 60


def test_samples_of_a_folder_are_those_of_the_sheet(home: Path, command: Command, tmp_path: Path) -> None:
    found = command("sample", home / "run", "--count", 5, "--out", f"{tmp_path}/deep/folder/", "--json")
    assert found.facts["out"] == str(tmp_path / "deep" / "folder")
    paths = sorted((tmp_path / "deep" / "folder").iterdir())
    assert [path.name for path in paths] == [f"seed0-{number:06d}.png" for number in range(5)]
    expected = sampled(load(home / "run"), 5, seed=0)  # type: ignore[arg-type]
    for number, path in enumerate(paths):
        assert np.array_equal(np.asarray(Image.open(path)), expected[number, 0])
        assert facts_of(path)["number"] == number


def test_sheet_says_how_it_was_made(home: Path, command: Command) -> None:
    found = command("sample", home / "run", "--count", 3, "--seed", 2, "--json").facts
    assert found["out"] == str(home / "run" / "pictures" / "samples-seed2-count3.png")
    said = facts_of(Path(found["out"]))
    digest = load_tensors(home / "run" / "model.safetensors")[1]["sha256"]
    expected = {"model": "vae", "model_sha256": digest, "seed": 2, "count": 3, "machine_made": True}
    assert {key: said[key] for key in expected} == expected
    assert said["draws"] == found["draws"] == "the first 3 of seed 2, none picked"
    assert MACHINE_MADE.encode() in Path(found["out"]).read_bytes()


def test_model_file_alone_gives_the_same_pictures(
    home: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "any.safetensors").write_bytes((home / "run" / "model.safetensors").read_bytes())
    found = command("sample", "any.safetensors", "--count", 4, "--json").facts
    assert found["out"] == "samples-seed0-count4.png"
    command("sample", home / "run", "--count", 4, "--out", "b.png")
    assert Path(found["out"]).read_bytes() == Path("b.png").read_bytes()


@pytest.mark.parametrize("out", ["sheet.png", "folder/"])
def test_neighbours_stand_beside_their_samples(home: Path, command: Command, tmp_path: Path, out: str) -> None:
    words = ["sample", home / "run", "--count", 4, "--neighbours", "--out", f"{tmp_path}/{out}", "--json"]
    found = command(*words).facts
    train = fairdraw.data.open(home / "tiny.npz").train
    samples = sampled(load(home / "run"), 4, seed=0)  # type: ignore[arg-type]
    where, distance = nearest_images(samples, train)
    assert found["neighbours"] == [train.dataset.names[i] for i in train.indices[where]]
    assert found["neighbour_distance"] == pytest.approx(distance.tolist(), abs=1e-5)
    enlarged = [
        image[0].repeat(8, 0).repeat(8, 1).tobytes() for image in np.concatenate([samples, train.images(where)])
    ]
    expected = [enlarged[place] for pair in range(4) for place in (pair, 4 + pair)]
    if out == "sheet.png":
        assert tiles(tmp_path / out, 8) == expected
    else:
        made = sorted((tmp_path / "folder").iterdir())
        assert [tile for path in made for tile in tiles(path, 2)] == expected
    assert MACHINE_MADE.encode() in next(tmp_path.rglob("*.png")).read_bytes()


def test_neighbours_need_the_data_of_the_training(home: Path, command: Command, tmp_path: Path) -> None:
    source = tmp_path / "gone.npz"
    np.savez(source, images=np.random.default_rng(1).integers(0, 256, (100, 8, 8), dtype=np.uint8))
    command("train", "vae", "--data", source, *TRAIN, "--out", tmp_path / "run")
    np.savez(source, images=np.random.default_rng(2).integers(0, 256, (100, 8, 8), dtype=np.uint8))
    found = command("sample", tmp_path / "run", "--neighbours")
    assert found.code == 2
    assert "is no longer the data that" in found.err
    assert command("sample", tmp_path / "run").code == 0


# Reconstructions


def test_reconstruct_takes_the_test_part_of_its_own_data(home: Path, command: Command, tmp_path: Path) -> None:
    test = fairdraw.data.open(home / "tiny.npz").test
    for run in (home / "run", home / "run" / "model.safetensors"):
        found = command("reconstruct", run, home / "tiny.npz", "--out", tmp_path / "a.png", "--json").facts
        assert found["shows"].startswith(f"{len(test)} test images of ")
    originals = [image[0].repeat(8, 0).repeat(8, 1).tobytes() for image in test.images(np.arange(len(test)))]
    assert tiles(tmp_path / "a.png", 2 * len(test))[::2] == originals
    (number,) = found["numbers"]
    assert number["count"] == len(test)
    assert facts_of(tmp_path / "a.png")["machine_made"] is True


def test_data_are_recognised_whatever_options_the_training_had(home: Path, command: Command, tmp_path: Path) -> None:
    data = ["--data", home / "tiny.npz", "--size", 8, "--fit", "pad", "--channels", 3]
    command("train", "vae", *data, *TRAIN, "--out", tmp_path / "run")
    found = command("reconstruct", tmp_path / "run", home / "tiny.npz", "--json").facts
    assert " test images of " in found["shows"]


def test_reconstruct_fits_other_pictures_to_the_model(home: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        colour = Image.new("RGB", (30 + number, 20), (0, 80 * number, 255))
        colour.save(tmp_path / "photos" / f"{number}.png")
    found = command("reconstruct", home / "run", tmp_path / "photos", "--count", 2, "--json").facts
    assert (
        found["shows"] == f"2 images of {tmp_path / 'photos'}, spread evenly over them, each beside its reconstruction"
    )
    one = command("reconstruct", home / "run", tmp_path / "photos", "--count", 1, "--json").facts
    assert one["numbers"][0]["interval"] is None


def test_models_without_the_ability_are_refused(home: Path, command: Command, tmp_path: Path) -> None:
    model = fairdraw.DCGAN(fairdraw.DCGANConfig(latent=2, width=2), (1, 8, 8))
    save_model(tmp_path / "gan.safetensors", model, {})
    found = command("reconstruct", tmp_path / "gan.safetensors", home / "tiny.npz")
    assert found.code == 2
    assert "dcgan has no encoder to reconstruct with; train a model that has one" in found.err


# Looking around


def test_data_check_counts(home: Path, command: Command) -> None:
    facts = command("data", "check", home / "tiny.npz", "--json").facts
    assert (facts["ok"], facts["count"], facts["sizes"]) == (True, 300, {"8x8": 300})
    assert command("data", "check", home / "tiny.npz").out.startswith(f"{home / 'tiny.npz'}: 300 pictures")


def test_data_list_and_models(command: Command) -> None:
    sets = command("data", "list", "--json").facts["sets"]
    assert sets["digits8"]["count"] == 1797
    lines = command("data", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(sets)
    assert "1,797 of 8x8x1  small handwritten digits; CC BY 4.0" in lines[1]

    found = command("models", "--json").facts["models"]
    assert list(found) == list(MODELS)
    assert found["pix2pix"]["capabilities"] == ["translates"]
    assert found["denoising"]["capabilities"] == ["generates", "encodes", "denoises"]
    assert {preset for model in found.values() for preset in model["presets"]} == set(presets.PRESETS)
    assert found["dcgan"]["capabilities"] == ["generates", "takes classes", "discriminates"]
    assert "Kingma & Welling 2014" in command("models").out


def test_version_and_usage(command: Command) -> None:
    assert command("--version").out == f"{fairdraw.__version__}\n"
    assert command("--version", "--json").facts == {"version": fairdraw.__version__}
    usage = command("--help").out
    assert command().out == usage
    assert all(f"\n  {verb} " in usage for verb in ["train MODEL", *map(spelled, VERBS)])


@pytest.mark.parametrize("verb", ["train vae", "train dcgan", "train", *map(spelled, VERBS)])
def test_every_verb_explains_itself(command: Command, verb: str) -> None:
    found = command(*verb.split(), "--help")
    assert found.code == 0
    assert f"usage: fairdraw {verb}" in found.out


@pytest.mark.slow
def test_interrupted_while_it_loads_it_ends_in_one_line(tmp_path: Path) -> None:
    # A module that is loaded early stands in for a slow disk.
    (tmp_path / "tyro.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "fairdraw", "models"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "fairdraw: interrupted\n")
