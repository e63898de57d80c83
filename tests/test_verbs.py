"""What verbs share: how their words are found, capabilities that lack, parts, and where a picture goes."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tyro
from PIL import Image
from toys import SMALL_CONFIGS, build, stripes

import fairdraw
from fairdraw import AutoencoderConfig, cli
from fairdraw.capabilities import Bounds, Encodes, Generates
from fairdraw.command import Result
from fairdraw.errors import InputError
from fairdraw.run import save_model
from fairdraw.verbs.common import check_table, chosen_part, label_names, opened, picture_path, write_table


def _show_map(run: tyro.conf.Positional[Path], name: tyro.conf.Positional[str] = "all", count: int = 3) -> Result:
    """Lay out a run.

    Args:
        run: a run folder.
        name: of the map.
        count: how many images.
    """
    return Result({"run": str(run), "name": name, "count": count}, [f"{run!r}"])


def _show_line(run: tyro.conf.Positional[Path]) -> Result:
    """Walk along a line."""
    return Result({"line": str(run)})


@pytest.fixture
def explore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two verbs with the run between their words, in place of the real ones."""
    others = {verb: function for verb, function in cli.VERBS.items() if not verb.startswith("explore ")}
    monkeypatch.setattr(cli, "VERBS", others | {"explore map": _show_map, "explore line": _show_line})


# Words


@pytest.mark.usefixtures("explore")
def test_the_run_stands_between_the_words(command: Callable[..., Any]) -> None:
    expected = {"run": "runs/a b", "name": "north", "count": 5}
    assert command("explore", "runs/a b", "map", "north", "--count", 5, "--json").facts == expected
    assert command("explore", "map", "map", "--json").facts == {"run": "map", "name": "all", "count": 3}
    assert command("explore", "x", "line", "--json").facts == {"line": "x"}
    assert command("explore", "x", "map").out == f"{Path('x')!r}\n"


@pytest.mark.usefixtures("explore")
@pytest.mark.parametrize("words", ["explore --help", "explore -h", "explore runs/a --help"])
def test_help_of_a_first_word_lists_the_second(command: Callable[..., Any], words: str) -> None:
    found = command(*words.split())
    assert found.code == 0
    lines = [line.split(maxsplit=1) for line in found.out.splitlines() if line.startswith("  ")]
    assert lines == [["map", "Lay out a run."], ["line", "Walk along a line."]]
    assert found.out.startswith("usage: fairdraw explore RUN WHAT")


def test_help_of_data_lists_its_verbs(command: Callable[..., Any]) -> None:
    lines = command("data", "--help").out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == ["check", "list"]


@pytest.mark.usefixtures("explore")
def test_help_of_a_verb_does_not_ask_for_the_run_again(command: Callable[..., Any]) -> None:
    shown = command("explore", "RUN", "map", "--help").out
    assert shown.startswith("usage: fairdraw explore RUN map [-h] [STR] [--count INT]\n")
    assert "PATH" not in shown


@pytest.mark.usefixtures("explore")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("explore", "explore what? Name one of map, line after the run: `fairdraw explore RUN WHAT`"),
        ("explore runs/a", "explore what? Name one of map, line after the run: `fairdraw explore RUN WHAT`"),
        ("explore runs/a mapp", "unknown word 'mapp' (did you mean map?); name one of map, line after the run"),
        ("explore map runs/a", "unknown word 'runs/a'; name one of map, line after the run: `fairdraw explore RUN"),
        ("explore runs/a map --cuont 3", "(did you mean --count?); `fairdraw explore runs/a map --help`"),
        ("explore runs/a line extra", "extra"),
        ("smaple", "data list, models, explore RUN map, explore RUN line"),
    ],
)
def test_slip_in_words_with_a_run_between_is_named(refused: Callable[..., str], words: str, said: str) -> None:
    assert said in refused(*words.split())


# Runs and sources


@pytest.fixture
def gan(tmp_path: Path) -> Path:
    save_model(tmp_path / "gan.safetensors", fairdraw.DCGAN(fairdraw.DCGANConfig(latent=2, width=2), (1, 8, 8)), {})
    return tmp_path / "gan.safetensors"


def test_a_model_is_opened_for_what_it_can_do(gan: Path) -> None:
    assert isinstance(opened(gan, "cpu", Generates, verb="sample").model, Generates)
    assert opened(gan, "cpu", verb="look").path == gan
    for needed, said in (
        (
            (Generates, Encodes),
            'dcgan has no encoder to explore with; name draws by their numbers, as in "0,1 - 2 + 3"',
        ),
        ((Bounds,), "dcgan cannot explore, for it is no model that bounds; `fairdraw models` tells which are"),
    ):
        with pytest.raises(InputError) as refusal:
            opened(gan, "cpu", *needed, verb="explore")
        assert str(refusal.value) == f"{gan}: {said}"


def test_images_of_other_data_are_all_of_them(gan: Path, tmp_path: Path) -> None:
    trained = opened(gan, "cpu", verb="look")
    np.save(tmp_path / "few.npy", np.zeros((2, 8, 8), np.uint8))
    source = str(tmp_path / "few.npy")
    chosen, words = chosen_part(trained, source, None)
    assert (len(chosen), chosen.name, words) == (2, "all", f"images of {source}")
    parts = ("train", "validation", "test")
    sizes = {part: len(chosen.dataset.split(part)) for part in parts}  # type: ignore[arg-type]
    assert 0 in sizes.values()
    for part in parts:
        if sizes[part]:
            chosen, words = chosen_part(trained, source, part)  # type: ignore[arg-type]
            assert (len(chosen), words) == (sizes[part], f"{part} images of {source}")
        else:
            with pytest.raises(InputError, match=f"has no {part} images .of 2.: choose another --part"):
                chosen_part(trained, source, part)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words",
    [
        "outliers MODEL SOURCE",
        "denoise MODEL SOURCE",
        "inpaint MODEL SOURCE --mask mask.png",
        "reconstruct MODEL SOURCE",
        "explore MODEL traverse --source SOURCE",
        "explore MODEL map --source SOURCE",
    ],
)
def test_arrays_of_another_shape_are_refused(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(Path("MODEL"), build(SMALL_CONFIGS["denoising"]), {})
    Image.fromarray(np.eye(16, dtype=np.uint8) * 255).save("mask.png")
    for array, is_of in ((stripes(20, 32).repeat(3, 1), "32x32 px and 3 channels"), (stripes(20, 8), "8x8 px and 1")):
        np.save("SOURCE.npy", array.transpose(0, 2, 3, 1).squeeze())
        said = refused(*words.replace("SOURCE", "SOURCE.npy").split())
        assert f"SOURCE.npy holds images of {is_of}" in said
        assert "MODEL is a model of 16x16 px and 1 channel: give images of the model's size and channels" in said


def test_a_model_need_not_be_square(tmp_path: Path) -> None:
    save_model(tmp_path / "wide.safetensors", build(SMALL_CONFIGS["vae"], (1, 10, 20)), {})
    trained = opened(tmp_path / "wide.safetensors", "cpu", verb="look")
    images = stripes(6, 20)[:, 0, :10]
    np.save(tmp_path / "wide.npy", images)
    chosen, _ = chosen_part(trained, str(tmp_path / "wide.npy"), None)
    assert np.array_equal(chosen.images(np.arange(6))[:, 0], images)
    (tmp_path / "tall").mkdir()
    Image.fromarray(images[0].T).save(tmp_path / "tall" / "1.png")
    with pytest.raises(InputError) as refusal:
        chosen_part(trained, str(tmp_path / "tall"), None)
    assert str(refusal.value) == (
        f"{tmp_path / 'tall'} holds images of 10x20 px and 1 channel, {trained.path} is a model of 20x10 px and "
        "1 channel: give images of the model's size and channels"
    )


def test_a_picture_goes_where_it_is_sent(gan: Path, tmp_path: Path) -> None:
    trained = opened(gan, "cpu", verb="look")
    assert picture_path(trained, None, "a.png") == Path("a.png")
    assert picture_path(trained, tmp_path / "b.PNG", "a.png") == tmp_path / "b.PNG"
    assert picture_path(trained, tmp_path / "folder", "a.png") == tmp_path / "folder" / "a.png"


# Numbers


def test_the_error_of_a_reconstruction_is_neither_clipped_nor_rounded(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    model = build(AutoencoderConfig(hidden=(), latent=2, output="linear", loss="squared-error"))
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model.get_parameter("decoder.0.bias").fill_(1.25)  # brighter than white
    save_model(tmp_path / "bright.safetensors", model, {})
    np.save(tmp_path / "a.npy", stripes(9)[:, 0])
    words = ("reconstruct", tmp_path / "bright.safetensors", tmp_path / "a.npy", "--out", tmp_path / "x.png", "--json")
    (number,) = command(*words).facts["numbers"]
    x = stripes(9) / 255
    assert number["value"] == pytest.approx(((1.25 - x) ** 2).sum((1, 2, 3)).mean(), rel=1e-6)
    assert number["unit"] == "per image, pixels on [0, 1], not clipped"
    assert number["baselines"] == [["their mean image", pytest.approx(256 * x.var(0).mean())]]


# Tables


def test_a_table_is_refused_before_its_figures_are_computed(tmp_path: Path) -> None:
    check_table(None)
    check_table(tmp_path / "new.csv")
    (tmp_path / "folder.csv").mkdir()
    for path, said in (
        ("a.txt", "the figures are written as a table; give a .csv file"),
        ("folder.csv", "is a folder: name a .csv file in it"),
        ("no/a.csv", f"there is no folder {tmp_path / 'no'}; make it first"),
    ):
        with pytest.raises(InputError) as refusal:
            check_table(tmp_path / path)
        assert str(refusal.value).startswith(f"--per-image {tmp_path / path}")
        assert str(refusal.value).endswith(said)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ("name", "label"), [("one, two", 1), ('"', "")])
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["name", "label"], ["one, two", "1"], ['"', ""]]


def test_labels_are_those_of_the_positions_of_a_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=stripes(40)[:, 0], labels=np.arange(40) % 3)
    np.save(tmp_path / "plain.npy", stripes(3)[:, 0])
    part = fairdraw.data.open(tmp_path / "set.npz").train
    where = np.array([5, 0, 7])
    assert label_names(part, where) == [str(place % 3) for place in part.indices[where]]
    assert label_names(fairdraw.data.open(tmp_path / "plain.npy").all, np.arange(3)) == [""] * 3
