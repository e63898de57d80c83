"""`fairdraw evaluate`: the report, the same bytes again, pictures of other people's models, and what it refuses."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import SMALL_CONFIGS, experiment, stripes

import fairdraw
from fairdraw import data
from fairdraw.images import facts_of
from fairdraw.judge.evaluation import evaluate_images
from fairdraw.judge.protocol import Protocol
from fairdraw.metrics import networks
from fairdraw.metrics.features import PixelPCA
from fairdraw.nets import efficientnet
from fairdraw.verbs import evaluate as verb
from fairdraw.verbs.evaluate import Against

Command = Callable[..., Any]
Refused = Callable[..., str]
MADE = ("card.md", "metrics.jsonl", "nearest-to-training.png", "report.html", "samples.png")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, images=stripes(600)[:, 0])
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "vae"
    fairdraw.train(experiment(SMALL_CONFIGS["vae"], source, images=512, seed=4), folder, quiet=True)
    return folder


def save_pictures(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(folder / f"{number:03d}.png")
    return folder


def without_time(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    assert tuple(found) == MADE
    stamp = rb"[Mm]ade \d{4}-\d\d-\d\dT[\d:]+\+00:00"
    for name in ("report.html", "card.md"):
        assert len(re.findall(stamp, found[name])) == 1
        found[name] = re.sub(stamp, b"", found[name])
    return found


class Page(HTMLParser):
    """Which tags are open, what is fetched from elsewhere, and the cells of the table."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.rows: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "rect", "line", "br"):
            self.open.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("rect", "line")


def test_report_is_whole_and_the_same_again(command: Command, run: Path, tmp_path: Path) -> None:
    first = command("evaluate", run, "--count", 40, "--out", tmp_path / "a", "--json").facts
    assert first["model"] == "vae"
    assert first["training_seed"] == 4
    assert first["count"] == 40
    assert [network["name"] for network in first["features"]] == ["pixels-pca64"]
    assert all(len(network["sha256"]) == 64 for network in first["features"])
    command("evaluate", run, "--count", 40, "--out", tmp_path / "b")
    assert without_time(tmp_path / "a") == without_time(tmp_path / "b")
    command("evaluate", run, "--count", 40, "--seed", 1, "--out", tmp_path / "c")
    assert without_time(tmp_path / "a") != without_time(tmp_path / "c")


def test_report_can_be_written_where_one_stands(command: Command, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    for _ in range(2):
        found = command("evaluate", tmp_path / "run", "--count", 40)
        assert found.code == 0
    assert str(tmp_path / "run" / "evaluation" / "report.html") in found.out


def test_page_needs_nothing_but_itself(command: Command, run: Path, tmp_path: Path) -> None:
    command("evaluate", run, "--count", 40, "--out", tmp_path / "a")
    page = Page()
    page.feed((tmp_path / "a" / "report.html").read_text())
    assert page.open == []
    assert len(page.fetched) == 2
    assert all(address.startswith("data:image/png;base64,") for address in page.fetched)
    assert len(set(page.rows)) == 1  # every line of the table has a cell for every column
    assert facts_of(tmp_path / "a" / "samples.png")["machine_made"]


def test_every_number_has_its_counts_its_interval_and_its_references(
    command: Command, run: Path, tmp_path: Path
) -> None:
    command("evaluate", run, "--count", 40, "--out", tmp_path / "a")
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["event"] == "evaluation"
    scores = [line for line in lines if line["event"] == "score"]
    subjects = {line["of"] for line in scores}
    assert {"judged", "validation images", "training images", "mean image", "shuffled patches"} < subjects
    for line in scores:
        assert line["count"] > 0
        assert line["interval"] is not None or line["kind"] == "classes"
    names = {line["name"] for line in scores if line["of"] == "judged"}
    assert {"FD(pixels-pca64)", "KD(pixels-pca64)", "C_T(pixels-pca64)", "exact copies"} <= names
    assert not {name for name in names if name.startswith(("FID", "KID"))}
    numbers = [line["name"] for line in lines if line["event"] == "number"]
    assert numbers == ["-ELBO", "squared error through a code of 4"]
    card = (tmp_path / "a" / "card.md").read_text()
    for heading in ("Model", "Training", "Data", "Numbers", "Limits", "Misuse to consider", "Provenance"):
        assert f"\n## {heading}\n" in card


def test_pictures_of_other_peoples_models_are_judged(command: Command, source: Path, tmp_path: Path) -> None:
    folder = save_pictures(tmp_path / "theirs", stripes(50, seed=9))
    found = command("evaluate", "--generated", folder, "--data", source, "--out", tmp_path / "a", "--json").facts
    assert found["model"] is None
    assert found["count"] == 50
    assert "## Model" not in (tmp_path / "a" / "card.md").read_text()
    exact = {line["name"]: line["value"] for line in found["scores"] if line["of"] == "judged"}
    assert exact["exact copies"] == 0


def test_pictures_that_are_in_the_data_are_named(command: Command, source: Path, tmp_path: Path) -> None:
    mixed = np.concatenate([stripes(50, seed=9), stripes(600)[:20]])
    folder = save_pictures(tmp_path / "theirs", mixed)
    found = command("evaluate", "--generated", folder, "--data", source, "--out", tmp_path / "a")
    assert f"20 of 70 pictures are pictures of {source}" in found.out
    assert f"20 of 70 pictures are pictures of {source}" in (tmp_path / "a" / "report.html").read_text()


def test_training_images_are_refused_silently_and_marked_when_wanted(
    command: Command, refused: Refused, run: Path, source: Path, tmp_path: Path
) -> None:
    said = refused("evaluate", run, "--part", "train", "--out", tmp_path / "a")
    assert "were trained on, and a copyist is best on them" in said
    assert "--on-training-images" in said
    assert not (tmp_path / "a").exists()
    found = command("evaluate", run, "--part", "train", "--on-training-images", "--count", 40, "--out", tmp_path / "a")
    assert "were trained on: a copyist is best on them" in found.out
    assert "a copyist is best on them" in (tmp_path / "a" / "card.md").read_text()
    copy = tmp_path / "copy.npz"
    shutil.copy(source, copy)  # the same images under another name are found out
    assert "were trained on" in refused("evaluate", run, "--data", copy, "--out", tmp_path / "b")


def test_other_real_images_may_be_compared_with(command: Command, run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "others.npy", stripes(70, seed=8)[:, 0])
    found = command(
        "evaluate", run, "--data", tmp_path / "others.npy", "--count", 50, "--out", tmp_path / "a", "--json"
    )
    assert found.facts["part"] == "all"
    assert found.facts["against"] == f"50 images of {tmp_path / 'others.npy'}, spread over 70"


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (stripes(10, seed=9), "10 pictures of .*: too few to judge, give at least 30"),
        (stripes(1, seed=9).repeat(40, axis=0), "all 40 pictures of .* are the same one: there is nothing to measure"),
        (
            stripes(40, 12, seed=9),
            r"pictures of 12x12 px, 1 channel, .* of 16x16 px, 1 channel: bring",
        ),
        (stripes(40, seed=9).repeat(3, axis=1) // np.array([1, 2, 3]).reshape(3, 1, 1).astype(np.uint8), "3 channels"),
        (stripes(600)[:50], "all 50 pictures of .* are pictures of .*: copies, not samples"),
    ],
)
def test_pictures_of_which_nothing_can_be_said_are_refused(
    refused: Refused, source: Path, tmp_path: Path, images: np.ndarray, words: str
) -> None:
    folder = save_pictures(tmp_path / "theirs", images)
    assert re.search(words, refused("evaluate", "--generated", folder, "--data", source, "--out", tmp_path / "a"))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give either a run folder, or pictures with --generated"),
        (("--generated", "digits8"), "give --data SOURCE"),
        (("--generated", "digits8", "--data", "digits8", "--features", "pixel-pca64"), "did you mean pixels-pca64?"),
        (("--generated", "digits8", "--data", "digits8", "--count", "0"), "--count 0: give at least 1"),
        (("--generated", "digits8", "--data", "digits8", "--out", "x.html"), "a report is a folder of several files"),
        (("--generated", "digits8", "--data", "digits8", "--weights", "x.pth"), "name it with --features inception"),
        (("--generated", "digits8", "--data", "digits8", "--count", "1e3"), "--count: give a whole number, not '1e3'"),
    ],
)
def test_words_that_make_no_sense_are_refused(refused: Refused, words: tuple[str, ...], said: str) -> None:
    assert said in refused("evaluate", *words)


def test_a_report_that_could_not_be_written_is_refused_before_anything_is_computed(
    refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    said = refused("evaluate", "no-such-run", "--out", tmp_path / "notes.txt" / "report" / "deep")
    assert f"{tmp_path / 'notes.txt'} is a file; choose another with --out" in said


def test_training_data_that_are_gone_are_named_as_such(
    refused: Refused, run: Path, source: Path, tmp_path: Path
) -> None:
    moved = source.rename(source.with_name("moved.npz"))
    try:
        said = refused("evaluate", run, "--out", tmp_path / "a")
    finally:
        moved.rename(source)
    assert f"{run} was trained on {source}, which cannot be opened from here: no data at" in said


def test_pictures_that_come_by_kind_are_all_seen(source: Path) -> None:
    """Of a folder sorted by class, the first ones would be of one class."""
    real = data.open(str(source))
    kinds = stripes(200, seed=9)
    kinds[100:] = 255 - kinds[100:] // 2
    np.save(source.with_name("sorted.npy"), kinds[:, 0])
    made = data.open(str(source.with_name("sorted.npy"))).all
    found = evaluate_images(made, real, ["pixels-pca64"], Protocol(count=80))
    assert found.subject == f"80 pictures of {made.dataset.name}, drawn from 200 by seed 0"
    assert found.caption == "first 64 pictures, in an order drawn by seed 0"
    assert 0.3 < (found.samples[0].mean((1, 2, 3)) > 127).mean() < 0.7
    assert len({image.tobytes() for image in found.samples[0]}) == 64, "none twice"


def test_a_folder_with_a_persons_own_files_is_refused(refused: Refused, run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    assert "a folder with other files in it" in refused("evaluate", run, "--out", tmp_path / "mine")


def test_what_a_killed_evaluation_left_does_not_keep_the_next_one_out(
    command: Command, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".report.html.1.partial").touch()
    assert command("evaluate", run, "--count", 60, "--out", tmp_path / "killed").code == 0


def test_data_with_too_few_held_out_images_are_refused(refused: Refused, tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", stripes(100)[:, 0])
    np.save(tmp_path / "made.npy", stripes(60, seed=9)[:, 0])
    said = refused("evaluate", "--generated", tmp_path / "made.npy", "--data", tmp_path / "few.npy")
    assert re.search(r"has \d+ test images \(of 100\), too few to judge by: give at least 30", said)


def test_colour_is_judged_by_a_network_of_photographs_where_it_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (400, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "colour.npy", colour)
    dataset = data.open(tmp_path / "colour.npy")
    pytest.importorskip(efficientnet.PACKAGE)
    assert networks.suitable(dataset) == ("pixels-pca64", "efficientnet-lite0")
    against, slow = Against(), networks.features_named("efficientnet-lite0")
    assert against.count(None, [slow], dataset) == (
        1_000,
        ("1,000 images at most, for efficientnet-lite0 is slow: more with --count",),
    )
    assert against.count(70, [slow], dataset) == (70, ())
    monkeypatch.setattr(networks, "PACKAGE", "no_such_package")
    assert networks.suitable(dataset) == ("pixels-pca64",)
    np.save(tmp_path / "made.npy", colour[:60, ::-1])
    words = ["--generated", tmp_path / "made.npy", "--data", tmp_path / "colour.npy", "--out", tmp_path / "report"]
    assert "judged by pixels alone; pip install 'fairdraw[judge]'" in command("evaluate", *words).out


def test_fewer_images_for_a_slow_network_are_never_taken_silently(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    class Slow(PixelPCA):
        name, slow = "slow-network", True

    pca = PixelPCA.fitted(data.open("digits8").train, 8)
    monkeypatch.setattr(networks, "features_named", lambda *_: Slow(pca.mean, pca.directions))
    monkeypatch.setattr(verb, "COUNT_OF_SLOW", 40)
    np.save(tmp_path / "made.npy", np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8))
    words = ["--generated", tmp_path / "made.npy", "--data", "digits8", "--features", "slow-network"]
    said = "40 images at most, for slow-network is slow: more with --count"
    printed = command("evaluate", *words, "--out", tmp_path / "few").out
    assert said in printed
    assert printed.startswith("40 pictures of")
    for name in ("report.html", "card.md", "metrics.jsonl"):
        assert said in (tmp_path / "few" / name).read_text()
    printed = command("evaluate", *words, "--count", 50, "--out", tmp_path / "asked").out
    assert "is slow" not in printed
    assert printed.startswith("50 pictures of")
