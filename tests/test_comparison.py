"""Models side by side: groups, intervals over seeds and over images, and what is refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t, ttest_ind, ttest_rel
from toys import SMALL_CONFIGS, experiment, stripes

import fairdraw
from fairdraw.data import Options
from fairdraw.judge.comparison import Judged, differences, groups, unequal
from fairdraw.judge.score import KINDS, Score

Command = Callable[..., Any]
Refused = Callable[..., str]


def judged(
    name: str, value: float, seed: int | None, model: str = "vae", images: int = 100, error: float = 0
) -> Judged:
    interval = (value - 1.96 * error, value + 1.96 * error)
    facts = {"model": model, "config": {}, "training": {"seed": seed, "batch": 8}, "images": images}
    return Judged(name, facts, (Score("FD", "FD(x)", value, interval, 50, 50),))


def test_runs_that_differ_in_the_seed_alone_are_one_group() -> None:
    runs = [judged("a", 1, 0), judged("b", 2, 0, "gan"), judged("c", 3, 1), judged("d", 4, 1, "gan")]
    longer = replace(runs[0], name="e", facts=runs[0].facts | {"training": {"seed": 0, "batch": 16}})
    assert [[run.name for run in group] for group in groups([*runs, longer])] == [["a", "c"], ["b", "d"], ["e"]]


def test_paired_seeds_have_the_interval_of_a_paired_t_test() -> None:
    a, b = np.array([1.0, 1.4, 0.7]), np.array([2.1, 2.3, 2.0])
    first = [judged(str(k), float(v), k) for k, v in enumerate(a)]
    other = [judged(str(k), float(v), k, "gan") for k, v in reversed(list(enumerate(b)))]
    (found,) = differences(first, other)
    assert found.over == "training seeds, in pairs"
    expected = ttest_rel(b, a).confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.tells
    assert found.spreads == pytest.approx((a.std(ddof=1), b.std(ddof=1)))


def test_other_seeds_have_the_interval_of_welch() -> None:
    a, b = np.array([1.0, 1.4, 0.7]), np.array([0.9, 2.3])
    first = [judged(str(k), float(v), k) for k, v in enumerate(a)]
    other = [judged(str(k), float(v), 7 + k, "gan") for k, v in enumerate(b)]
    (found,) = differences(first, other)
    expected = ttest_ind(b, a, equal_var=False).confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.over == "training seeds"
    assert not found.tells
    assert unequal(first, other) == ["training seeds are not paired: 0, 1, 2 against 7, 8"]


def test_one_run_beside_several_seeds_is_taken_to_be_spread_as_they_are() -> None:
    a = np.array([5.0, 9.0, 10.0])
    first = [judged(str(k), float(v), k, error=0.05) for k, v in enumerate(a)]
    other = [judged("b", 7.0, 0, "gan", error=0.05)]
    (found,) = differences(first, other)
    half = t.ppf(0.975, 2) * a.std(ddof=1) * (1 + 1 / 3) ** 0.5
    assert found.over == "training seeds of one of them"
    assert found.interval == pytest.approx((7 - 8 - half, 7 - 8 + half))
    (turned,) = differences(other, first[::-1])
    assert turned.interval == pytest.approx((8 - 7 - half, 8 - 7 + half))


def test_single_runs_have_an_interval_over_images() -> None:
    (found,) = differences([judged("a", 1.0, 0, error=0.3)], [judged("b", 2.0, 0, "gan", error=0.4)])
    assert found.interval == pytest.approx((1 - 1.96 * 0.5, 1 + 1.96 * 0.5), abs=1e-3)
    assert found.over == "images"
    assert found.spreads == (None, None)


def test_single_runs_that_act_on_the_same_images_are_compared_image_by_image() -> None:
    random = np.random.default_rng(0)
    hard = random.normal(size=40)
    ours, theirs = hard + 0.01 * random.normal(size=40), hard + 0.1 + 0.01 * random.normal(size=40)
    first, other = (
        replace(judged(name, 0, 0, name), scores=(Score("L1", "L1", float(each.mean()), (0, 1), 40, 40, each=each),))
        for name, each in (("a", ours), ("b", theirs))
    )
    (found,) = differences([first], [other])
    expected = ttest_rel(theirs, ours).confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.over == "images, in pairs"
    assert "each" not in first.scores[0].facts()
    assert Score.from_facts(first.scores[0].facts()) == first.scores[0]


def shares(name: str, each: Any) -> Judged:
    values = np.array(each, bool)
    score = Score("found again", "found again", float(values.mean()), (0, 1), len(values), len(values), each=values)
    return replace(judged(name, 0, 0, name), scores=(score,))


def test_shares_in_pairs_have_a_width_where_all_pairs_agree_and_stay_within_1() -> None:
    (same,) = differences([shares("a", [True] * 38)], [shares("b", [True] * 38)])
    # Agresti & Min 2005: 1/2 to each of the four kinds of pairs, of which two disagree.
    half = 1.96 * (1 / 40 / 40) ** 0.5
    assert same.interval == pytest.approx((-half, half), rel=1e-3)
    assert not same.tells
    (opposite,) = differences([shares("a", [False] * 38)], [shares("b", [True] * 38)])
    assert opposite.interval is not None
    assert opposite.interval[1] == 1
    assert 0.85 < opposite.interval[0] < 0.95
    some = np.arange(40) < 10
    (few,) = differences([shares("a", some)], [shares("b", some | (np.arange(40) >= 36))])
    mean = 4 / 42
    half = 1.96 * ((5 / 42 - mean**2) / 42) ** 0.5
    assert few.interval == pytest.approx((mean - half, mean + half), rel=1e-3)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].share])
def test_differences_of_shares_stay_within_1(kind: str) -> None:
    first, other = (
        replace(judged(name, 0, 0, name), scores=(Score(kind, kind, value, (value - 0.05, value + 0.05), 40, 40),))
        for name, value in (("a", 0.0), ("b", 1.0))
    )
    (found,) = differences([first], [other])
    assert found.interval is not None
    assert found.interval[1] == 1
    assert found.tells


def test_other_budgets_are_named() -> None:
    first, other = [judged("a", 1, 0, images=1000)], [judged("b", 1, 0, "gan", images=3000)]
    assert unequal(first, other) == ["budgets differ: 1,000 against 3,000 images seen"]
    assert unequal(first, first) == []


def test_numbers_that_one_run_lacks_are_left_out() -> None:
    first, other = judged("a", 1, 0), judged("b", 2, 0, "gan")
    more = replace(first, scores=(*first.scores, Score("KD", "KD(x)", 1.0, None, 5, 5)))
    assert [row.name for row in differences([more], [other])] == ["FD(x)"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    np.savez(folder / "stripes.npz", images=stripes(600)[:, 0])
    np.savez(folder / "others.npz", images=stripes(600, seed=1)[:, 0])
    made = []
    for model, seed, source in (
        ("vae", 0, "stripes"),
        ("vae", 1, "stripes"),
        ("gan", 0, "stripes"),
        ("vae", 0, "others"),
    ):
        made.append(folder / f"{model}-{seed}-{source}")
        config = SMALL_CONFIGS[model]
        fairdraw.train(experiment(config, folder / f"{source}.npz", images=128, seed=seed), made[-1], quiet=True)
    return made


def test_a_size_that_the_pictures_have_anyhow_makes_no_other_data(command: Command, runs: list[Path]) -> None:
    source, sized = runs[0].parent / "stripes.npz", runs[0].parent / "sized"
    fairdraw.train(replace(experiment(SMALL_CONFIGS["gan"], source, images=64), options=Options(size=16)), sized)
    assert command("compare", runs[0], sized, "--count", 40, "--features", "pixels-pca64").code == 0


def test_the_same_images_with_other_labels_are_other_data(runs: list[Path], refused: Refused, tmp_path: Path) -> None:
    images = stripes(600)[:, 0]
    np.savez(tmp_path / "labelled.npz", images=images, labels=np.arange(600) % 3)
    fairdraw.train(experiment(SMALL_CONFIGS["gan"], tmp_path / "labelled.npz", images=64), tmp_path / "run", quiet=True)
    assert "were trained on different data" in refused("compare", runs[0], tmp_path / "run")


def test_runs_are_judged_by_the_same_real_images(command: Command, runs: list[Path]) -> None:
    found = command("compare", *runs[:3], "--count", 40)
    assert found.code == 0
    assert re.search(r"^A: vae \(.*\), training seeds 0, 1, 128 images seen$", found.out, re.MULTILINE)
    assert "training seeds are not paired: 0, 1 against 0" in found.out
    assert re.match(r"40 draws of each, seed 0, compared with 40 test images of .*, spread over \d+\n", found.out)
    assert "about one in twenty differs by chance" in found.out
    assert "* FD(pixels-pca64): 40 images are few for 64 features" in found.out
    facts = command("compare", *runs[:3], "--count", 40, "--json").facts
    assert [len(group) for group in facts["groups"]] == [2, 1]
    (comparison,) = facts["comparisons"]
    assert comparison["rows"][0]["name"] == "FD(pixels-pca64)"


def test_what_was_trained_on_is_said(command: Command, runs: list[Path]) -> None:
    found = command("compare", runs[0], runs[2], "--count", 40, "--part", "train", "--on-training-images", "--json")
    assert any("were trained on: a copyist is best on them" in remark for remark in found.facts["remarks"])


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ([0], "give two or more runs, each once"),
        ([0, 0], "give two or more runs, each once"),
        ([0, 1], "all runs differ in the training seed alone"),
        ([0, 3], "were trained on different data"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(
    refused: Refused, runs: list[Path], which: list[int], words: str
) -> None:
    assert words in refused("compare", *(runs[k] for k in which), "--count", 40)


def test_inputs_without_their_images_are_refused(refused: Refused, runs: list[Path]) -> None:
    said = refused("compare", runs[0], runs[2], "--inputs", "edges", "--count", 40)
    assert "--inputs edges: name the images that these belong to with --data" in said


def test_one_training_by_two_names_is_no_spread_over_seeds(refused: Refused, runs: list[Path]) -> None:
    said = refused("compare", runs[0], runs[0] / "model.safetensors", runs[2], "--count", 40)
    assert f"{runs[0]} and {runs[0] / 'model.safetensors'} are one training with seed 0: give one of them" in said
