"""The judge: what its numbers say of models that are known to be good, bad, collapsed, or copyists."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairdraw import data
from fairdraw.data import Dataset
from fairdraw.errors import InputError
from fairdraw.judge import distances as distances_module
from fairdraw.judge import judge as judge_module
from fairdraw.judge import references as references_module
from fairdraw.judge.appearance import appearance
from fairdraw.judge.distances import distances, manifold_scores
from fairdraw.judge.evaluation import judge_for
from fairdraw.judge.judge import Judge
from fairdraw.judge.protocol import Protocol, nearly_trained_on
from fairdraw.judge.references import references
from fairdraw.judge.score import KINDS, Score, named, shown
from fairdraw.judge.trivial import TRIVIAL
from fairdraw.metrics.digits import DigitClassifier
from fairdraw.metrics.features import Classifies, PixelPCA
from fairdraw.metrics.frechet import Extrapolated, frechet_distance
from fairdraw.metrics.manifold import balls
from fairdraw.order import spread

COUNT = 400


def blobs(count: int, seed: int) -> np.ndarray:
    """Soft spots of random place, width and brightness, uint8 `[N, 12, 12, 1]`."""
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(3, 9, (2, count, 1, 1))
    width, light = rng.uniform(1.5, 3, (count, 1, 1)), rng.uniform(120, 250, (count, 1, 1))
    rows, columns = np.mgrid[:12, :12]
    images = light * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / width**2) + rng.normal(0, 3, (count, 12, 12))
    return images.round().clip(0, 255).astype(np.uint8)[..., None]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("blobs") / "blobs.npz"
    everything = {"x_train": blobs(2_400, 0), "x_test": blobs(COUNT, 1), "x_val": blobs(COUNT, 2)}
    np.savez(path, **everything)
    return data.open(str(path))


@pytest.fixture(scope="module")
def judge(dataset: Dataset) -> Judge:
    return judge_for(dataset, dataset, [PixelPCA.fitted(dataset.train, 8)], Protocol(COUNT))[0]


def nchw(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def numbers(judge: Judge, images: np.ndarray) -> dict[str, float]:
    return {score.kind: score.value for score in judge.judge(images).scores}


def test_fair_images_look_like_held_out_ones(judge: Judge) -> None:
    found = numbers(judge, nchw(blobs(COUNT, 7)))
    assert -3.5 < found["C_T"] < 3.5
    assert -3.5 < found["C_T in cells"] < 3.5
    assert found["nearer than held-out"] == pytest.approx(0.5, abs=0.08)
    assert found["exact copies"] == 0
    assert found["near copies"] < 0.02
    assert found["precision"] > 0.8
    assert found["recall"] > 0.8
    assert found["coverage"] > 0.9
    assert found["density"] == pytest.approx(1, abs=0.15)
    assert abs(found["FD-infinity"]) < 0.5 * found["FD"] + 0.05


def test_near_copies_are_flagged_where_held_out_images_are_too_few_for_their_border(judge: Judge) -> None:
    scores = {score.kind: score for score in judge.judge(nchw(blobs(COUNT, 7))).scores}
    assert len(judge.null) < 1_000
    assert f"{len(judge.null)} held-out images are few" in scores["near copies"].flag
    assert "few" not in scores["exact copies"].flag


def test_the_interval_of_the_patches_is_that_of_groups_of_both_kinds(judge: Judge) -> None:
    real = judge.train.images(np.arange(64)).repeat(2, axis=2).repeat(2, axis=3)
    others = nchw(blobs(64, 7)).repeat(2, axis=2).repeat(2, axis=3)
    score = next(score for score in appearance(real, others, 0) if score.kind == "SWD")
    assert score.interval is not None
    assert score.interval[1] - score.interval[0] > 0.02 * score.value


def test_a_copyist_has_the_best_distances_and_is_caught(judge: Judge) -> None:
    copyist = numbers(judge, TRIVIAL["training images"](judge.train, COUNT, 0))
    fair = numbers(judge, nchw(blobs(COUNT, 7)))
    assert copyist["FD"] < 1.3 * fair["FD"]
    assert copyist["C_T"] < -20
    assert copyist["authentic"] == 0
    assert copyist["exact copies"] == 1
    assert copyist["near copies"] == 1
    assert copyist["nearer than held-out"] == 1


def test_noisy_copies_are_no_exact_ones_and_are_caught_too(judge: Judge) -> None:
    images = judge.train.images(np.arange(COUNT)).astype(int) + np.random.default_rng(0).integers(
        -2, 3, (COUNT, 1, 12, 12)
    )
    found = numbers(judge, images.clip(0, 255).astype(np.uint8))
    assert found["exact copies"] == 0
    assert found["C_T"] < -10
    assert found["near copies"] > 0.5


def test_collapse_has_high_precision_and_low_recall(judge: Judge) -> None:
    one = judge.held_out.images(np.arange(1)).astype(int) + np.random.default_rng(0).integers(-1, 2, (COUNT, 1, 12, 12))
    found = numbers(judge, one.clip(0, 255).astype(np.uint8))
    assert found["precision"] > 0.95
    assert found["recall"] < 0.05
    assert found["coverage"] < 0.1


@pytest.mark.parametrize("spoil", ["noise", "blur", "patches"])
def test_every_distance_grows_with_what_spoils_images(judge: Judge, spoil: str) -> None:
    images = nchw(blobs(COUNT, 7)).astype(float)
    rng, rows = np.random.default_rng(0), []
    for amount in range(4):
        x = images.copy()
        if spoil == "noise":
            x += rng.normal(0, 25 * amount, x.shape)
        elif spoil == "blur":
            for _ in range(2 * amount):
                x = (x + np.roll(x, 1, 2) + np.roll(x, -1, 2) + np.roll(x, 1, 3) + np.roll(x, -1, 3)) / 5
        else:
            for image in x[: COUNT * amount // 3]:
                image[:, :6, :6], image[:, 6:, 6:] = image[:, 6:, 6:].copy(), image[:, :6, :6].copy()
        rows.append(numbers(judge, x.round().clip(0, 255).astype(np.uint8)))
    for kind in ("FD", "FD-infinity", "KD"):
        values = [row[kind] for row in rows]
        assert values == sorted(values), kind


def test_order_of_the_images_changes_nothing_but_what_is_drawn_by_the_seed(judge: Judge) -> None:
    images = nchw(blobs(COUNT, 7))
    turned = numbers(judge, images[::-1].copy())
    for kind, value in numbers(judge, images).items():
        if kind not in ("FD-infinity", "SWD", "MS-SSIM"):
            assert turned[kind] == pytest.approx(value, rel=1e-6, abs=1e-9), kind


def test_the_same_images_have_the_same_numbers_and_intervals_hold_them(judge: Judge) -> None:
    images = nchw(blobs(COUNT, 7))
    first, second = judge.judge(images).scores, judge.judge(images).scores
    assert first == second
    assert all(s.interval is not None and s.interval[0] <= s.value <= s.interval[1] for s in first)
    assert {s.kind for s in first} <= KINDS.keys()


def test_no_real_image_is_the_floor_of_a_distance_to_itself(dataset: Dataset) -> None:
    features = [PixelPCA.fitted(dataset.train, 8)]
    judge, remarks = judge_for(dataset, dataset, features, Protocol(COUNT, part="validation"))
    assert remarks == ()
    assert judge.against.startswith(f"{COUNT // 2} validation images")
    assert set(judge.spare).isdisjoint(judge.places)
    assert len(judge.spare) == COUNT // 2
    floor = {score.kind: score.value for score in references(judge, COUNT)["validation images"]}
    assert floor["FD"] > 1e-3
    assert floor["precision"] < 1
    other = judge_for(dataset, dataset, features, Protocol(COUNT))[0]
    assert len(other.spare) == len(dataset.validation), "images of another part are all beside those compared with"


def test_held_out_images_are_not_tested_for_copies_beside_themselves(judge: Judge) -> None:
    null = judge.null.images(np.arange(COUNT))
    beside_themselves = numbers(judge, null)
    assert beside_themselves["C_T"] == pytest.approx(0, abs=1e-9), "which says nothing"
    assert beside_themselves["nearer than held-out"] == pytest.approx(0.5, abs=1e-9)
    floor = {score.kind: score for score in references(judge, COUNT)["validation images"]}
    for kind in ("C_T", "C_T in cells", "nearer than held-out", "near copies"):
        assert (floor[kind].count, floor[kind].against) == (COUNT // 2, COUNT // 2)
    assert 0 < abs(floor["C_T"].value) < 3.5
    assert floor["nearer than held-out"].value == pytest.approx(0.5, abs=0.12)
    assert floor["near copies"].value < 0.03
    assert floor["FD"].value == beside_themselves["FD"], "distances are of all of them"
    assert floor["authentic"].count == COUNT
    few = judge.judge(null[:50], own=np.arange(50))
    assert not {"C_T", "nearer than held-out", "near copies"} & {score.kind for score in few.scores}, "25 are too few"


def test_an_exact_copy_is_a_near_one_whatever_is_held_out(dataset: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "twins.npy", dataset.train.images(np.arange(100)).transpose(0, 2, 3, 1))
    twins = data.open(str(tmp_path / "twins.npy")).all  # held out, and yet the same as training images
    judge = Judge(dataset.train, dataset.test, twins, [PixelPCA.fitted(dataset.train, 8)], COUNT)
    found = numbers(judge, dataset.train.images(np.arange(200, 300)))
    assert (found["exact copies"], found["near copies"]) == (1, 1)
    assert numbers(judge, nchw(blobs(100, 7)))["near copies"] == 0


def test_the_interval_of_a_distance_knows_of_both_kinds_of_images() -> None:
    def drawn(count: int, seed: int, mean: float = 0.0) -> np.ndarray:
        return np.random.default_rng(seed).normal(mean, 1, (count, 4))

    features = PixelPCA(np.zeros(4, np.float32), np.eye(4, dtype=np.float32))
    seen = [frechet_distance(drawn(60, seed), drawn(3_000, 1_000, 1.0)) for seed in range(100)]
    score = next(distances(features, drawn(60, 0), drawn(3_000, 1_000, 1.0), 0))
    assert score.interval is not None
    stated = (score.interval[1] - score.interval[0]) / (2 * 1.96)
    assert stated == pytest.approx(np.std(seen, ddof=1), rel=0.4), "hardly any of it is of the many generated images"


def flags(judge: Judge, images: np.ndarray) -> dict[str, str]:
    return {score.kind: score.flag for score in judge.judge(images).scores}


def test_held_out_images_of_another_origin_are_flagged(judge: Judge, dataset: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "brighter.npy", (blobs(200, 9) // 2 + 100).astype(np.uint8))
    brighter = data.open(str(tmp_path / "brighter.npy")).all
    fair = nchw(blobs(100, 7))
    for null in (brighter, dataset.test):
        found = flags(Judge(dataset.train, brighter, null, [PixelPCA.fitted(dataset.train, 8)], COUNT), fair)
        assert all("may differ from training by their origin" in found[kind] for kind in ("C_T", "near copies"))
    assert not any("by their origin" in flag for flag in flags(judge, fair).values())


def test_near_copies_are_no_silent_measure(dataset: Dataset, tmp_path: Path) -> None:
    train = dataset.train.images(np.arange(100)).astype(int)
    np.save(tmp_path / "near.npy", (train + 1).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1))
    features = [PixelPCA.fitted(dataset.train, 8)]
    near = data.open(str(tmp_path / "near.npy"))
    _, said = judge_for(dataset, near, features, Protocol(COUNT, part="all"))
    assert [line for line in said if "lie nearer to a training image" in line] == [said[0]]
    _, said = judge_for(dataset, dataset, features, Protocol(COUNT))
    assert not any("lie nearer" in line for line in said)


def test_near_copies_are_said_beside_exact_ones_and_not_by_chance(dataset: Dataset, tmp_path: Path) -> None:
    known = dataset.train.images(np.arange(100)).astype(int)
    near = (known + 1).clip(0, 255).astype(np.uint8)
    near[0] = known[0]
    np.save(tmp_path / "near.npy", near.transpose(0, 2, 3, 1))
    features = [PixelPCA.fitted(dataset.train, 8)]
    _, said = judge_for(dataset, data.open(str(tmp_path / "near.npy")), features, Protocol(COUNT, part="all"))
    assert said[0].startswith("1 of 100 images")
    assert said[1].startswith("99 of 99 images that are compared with lie nearer")


@pytest.mark.parametrize(("nearer", "said"), [(2, False), (3, True)])
def test_what_may_be_chance_is_not_said(nearer: int, said: bool, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the 2 nearest of 1,100 are among 100 has a chance of 0.008, the 3 nearest of 0.0007."""
    found = np.where(np.arange(100) < nearer, 0.1, 0.9)
    monkeypatch.setattr(judge, "distances_by_pixels", lambda: (found, np.append(0.0, np.full(1_000, 0.5))))
    assert bool(nearly_trained_on(judge)) == said


def test_any_seed_of_64_bits_will_do(dataset: Dataset) -> None:
    judge = Judge(
        dataset.train, dataset.test, dataset.validation, [PixelPCA.fitted(dataset.train, 8)], COUNT, 2**64 - 1
    )
    assert judge.judge(nchw(blobs(100, 7))).scores


def test_where_no_real_images_are_left_there_is_no_floor(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "FEWEST", COUNT // 2 + 1)  # half of them are too few
    features = [PixelPCA.fitted(dataset.train, 8)]
    judge, remarks = judge_for(dataset, dataset, features, Protocol(COUNT, part="validation"))
    assert len(judge.places) == COUNT
    assert any("no real images beside those that are compared with show" in remark for remark in remarks)
    assert list(references(judge, COUNT)) == list(TRIVIAL)


def test_few_images_are_flagged_with_their_bias(dataset: Dataset) -> None:
    wide = PixelPCA.fitted(dataset.train, 64)
    few = judge_for(dataset, dataset, [wide], Protocol(60))[0]
    flags = {s.kind: s.flag for s in few.judge(nchw(blobs(60, 7))).scores}
    assert flags["FD"] == "60 images are few for 64 features: biased upwards"
    more = judge_for(dataset, dataset, [PixelPCA.fitted(dataset.train, 8)], Protocol(COUNT))[0]
    flags = {s.kind: s.flag for s in more.judge(nchw(blobs(COUNT, 7))).scores}
    assert flags["FD"] == ""
    assert flags["near copies"] == "400 held-out images are few: the nearest of them is the border"


@pytest.mark.parametrize(("slope", "said"), [(60.0, ", by about 0.2 for the number of those judged alone"), (-6, "")])
def test_a_bias_is_told_where_a_line_shows_one(monkeypatch: pytest.MonkeyPatch, slope: float, said: str) -> None:
    monkeypatch.setattr(distances_module, "extrapolated_distance", lambda *_: Extrapolated(1.0, 0.1, slope))
    x, y = np.random.default_rng(0).normal(size=(2, 300, 200))
    first = next(iter(distances(PixelPCA(np.zeros(1), np.zeros((1, 1))), x, y, 0)))
    assert first.flag == f"300 images are few for 200 features: biased upwards{said}"


def test_an_extrapolated_distance_is_no_surer_than_the_distance_itself() -> None:
    """Of 24 sets of the same distribution it varies by about as much as it says, and not by far more."""
    rng = np.random.default_rng(0)
    real, features = rng.normal(size=(1_000, 16)), PixelPCA(np.zeros(1), np.zeros((1, 1)))
    found = [{s.kind: s for s in distances(features, real, rng.normal(size=(400, 16)), 0)} for _ in range(24)]
    intervals = np.array([one["FD-infinity"].interval for one in found])
    stated = (intervals[:, 1] - intervals[:, 0]).mean() / (2 * 1.96)
    seen = np.std([one["FD-infinity"].value for one in found], ddof=1)
    assert 0.6 * stated < seen < 1.4 * stated


def test_worst_copies_are_the_nearest(judge: Judge) -> None:
    images = nchw(blobs(COUNT, 7))
    images[[5, 70]] = judge.train.images(np.array([11, 900]))
    found = judge.judge(images)
    assert set(found.worst_copies(2)) == {5, 70}
    assert set(found.near.places[[5, 70]]) == {11, 900}
    assert len(found.worst_copies(10)) == 10


def test_of_slow_features_fewer_training_images_are_taken_and_the_right_ones_shown(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(PixelPCA):
        slow = True

    monkeypatch.setattr(judge_module, "MOST_OF_SLOW", 200)
    pca = PixelPCA.fitted(dataset.train, 8)
    judge = judge_for(dataset, dataset, [Slow(pca.mean, pca.directions)], Protocol(COUNT))[0]
    images, taken = nchw(blobs(COUNT, 7)), spread(len(dataset.train), 200)[[3, 150]]
    images[[5, 70]] = dataset.train.images(taken)
    found = judge.judge(images)
    assert set(found.worst_copies(2)) == {5, 70}
    assert found.near.places[[5, 70]].tolist() == taken.tolist()
    flags = {score.kind: score.flag for score in found.scores}
    assert flags["C_T"] == f"nearest among 200 of {len(dataset.train):,} training images"
    assert "nearest among" not in flags["exact copies"], "pixels are compared with all of them"


class Halves(Classifies):
    """Takes images for `left` or `right` by where they are brighter."""

    name = "halves"
    sha256 = "0"
    classes = ("left", "right")

    def of(self, images: np.ndarray) -> np.ndarray:
        return self.judged(images)[0]

    def judged(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = np.stack([images[..., :6].mean((1, 2, 3)), images[..., 6:].mean((1, 2, 3))], axis=1)
        right = (features[:, 1] > features[:, 0]).astype(float)
        return features, np.stack([1 - right, right], axis=1)


def test_a_classifier_counts_classes_and_checks_what_was_asked_for(dataset: Dataset) -> None:
    judge = judge_for(dataset, dataset, [Halves()], Protocol(COUNT))[0]
    images = nchw(blobs(COUNT, 7))
    seen = Halves().judged(images)[1].argmax(1)
    asked = np.array(["left", "right"])[seen]
    asked[:100] = np.where(asked[:100] == "left", "right", "left")
    found = judge.judge(images, asked)
    by_name = {score.name: score.value for score in found.scores}
    assert by_name["label accuracy(halves)"] == pytest.approx(1 - 100 / COUNT)
    assert by_name["classes(halves)"] == 2
    assert by_name["confidence(halves)"] == 1
    np.testing.assert_allclose(found.shares["halves"], [1 - seen.mean(), seen.mean()])
    others = judge.judge(images, np.full(COUNT, "up"))
    assert "label accuracy" not in {score.kind for score in others.scores}


def test_the_score_of_images_that_come_by_class_is_that_of_the_same_images_in_any_order(dataset: Dataset) -> None:
    judge = judge_for(dataset, dataset, [Halves()], Protocol(COUNT))[0]
    images = nchw(blobs(COUNT, 7))
    sorted_by_class = images[np.argsort(Halves().judged(images)[1].argmax(1), kind="stable")]
    for some in (images, sorted_by_class):
        score = next(score for score in judge.judge(some).scores if score.kind == "score")
        assert 1.9 < score.value <= 2, "two classes, about as many of each"
        assert score.flag == ""
    few = next(score for score in judge.judge(images[:35]).scores if score.kind == "score")
    assert few.flag == "3 images in a split are few for 2 classes: biased downwards"


def test_only_inception_gives_the_names_that_papers_print() -> None:
    class Inception(Halves):
        name = "inception"

    assert named("FD", Inception()) == "FID"
    assert named("KD", Inception()) == "KID"
    assert named("FD", DigitClassifier.packaged()) == "FD(digits)"
    assert named("precision", Inception()) == "precision(inception)"
    assert named("exact copies", None) == "exact copies"


def test_references_are_kept_and_what_is_damaged_is_made_again(
    judge: Judge, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path))
    monkeypatch.setattr(references_module, "TRIVIAL", {"training images": TRIVIAL["training images"]})
    said: list[str] = []
    first = references(judge, COUNT, said.append)
    assert list(first) == ["validation images", "training images"]
    assert said
    said.clear()
    assert references(judge, COUNT, said.append) == first
    assert not said
    (file,) = (tmp_path / "judge").glob("*.json")
    file.write_text(file.read_text()[:100])
    assert references(judge, COUNT, said.append) == first
    assert said
    said.clear()
    file.write_text(file.read_text().replace("0.", "1.", 1))
    assert references(judge, COUNT, said.append) == first, "numbers that somebody has changed are no numbers"
    assert said
    assert references(judge, COUNT - 50, said.append) != first
    other = judge_for(dataset, dataset, judge.features, Protocol(COUNT, seed=1))[0]
    assert references(other, COUNT, said.append) != first, "those of another seed are others"


def test_a_score_survives_json() -> None:
    score = Score("FD", "FD(x)", 1.25, (1.0, 1.5), 10, 20, "few")
    assert Score.from_facts(json.loads(json.dumps(score.facts()))) == score


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x: x[:10], "10 generated images: too few to judge, give at least 30"),
        (lambda x: x.repeat(3, axis=1), r"have the shape \[3, 12, 12\], real ones \[1, 12, 12\]"),
        (lambda x: x[..., :9], r"have the shape \[1, 12, 9\]"),
    ],
)
def test_images_of_which_numbers_mean_nothing_are_refused(
    judge: Judge, spoil: Callable[[np.ndarray], Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        judge.judge(spoil(nchw(blobs(COUNT, 7))))


def test_images_that_were_trained_on_are_refused_unless_wanted(dataset: Dataset) -> None:
    features = [PixelPCA.fitted(dataset.train, 8)]
    with pytest.raises(InputError, match=r"2,400 of 2,400 train images of .* were trained on, and a copyist is best"):
        judge_for(dataset, dataset, features, Protocol(COUNT, part="train"))
    _, remarks = judge_for(dataset, dataset, features, Protocol(COUNT, part="train", on_training_images=True))
    assert remarks == (f"2,400 of 2,400 train images of {dataset.name} were trained on: a copyist is best on them",)
    assert judge_for(dataset, dataset, features, Protocol(COUNT))[1] == ()


@pytest.mark.parametrize(("shared", "refused"), [(3, False), (5, True)])
def test_a_hundredth_of_duplicates_is_said_and_more_is_refused(
    shared: int, refused: bool, dataset: Dataset, tmp_path: Path
) -> None:
    known = dataset.train.images(np.arange(shared)).transpose(0, 2, 3, 1)
    np.save(tmp_path / "mixed.npy", np.concatenate([known, blobs(COUNT - shared, 11)]))
    mixed, features = data.open(str(tmp_path / "mixed.npy")), [PixelPCA.fitted(dataset.train, 8)]
    if refused:
        with pytest.raises(InputError, match=r"5 of 400 images of .* were trained on"):
            judge_for(dataset, mixed, features, Protocol(COUNT, part="all"))
    else:
        (said,) = judge_for(dataset, mixed, features, Protocol(COUNT, part="all"))[1]
        assert said.startswith("3 of 400 images")


def test_numbers_are_shown_with_few_digits() -> None:
    assert [shown(x) for x in (0.5, -3.14159, 1e-6, 123456.0)] == ["0.5", "-3.14", "1.0e-06", "123,456"]


def test_the_intervals_of_shares_know_of_the_balls_of_the_other_kind() -> None:
    """Of few real images and many others, those of 100 repetitions hold the mean as often as they should."""
    features = PixelPCA(np.zeros(1), np.zeros((1, 1)))
    found: dict[str, list[Score]] = {}
    for seed in range(100):
        random = np.random.default_rng(seed)
        x, y = random.normal(size=(200, 8)), random.normal(size=(1000, 8))
        for score in manifold_scores(features, x, y, balls(x)):
            found.setdefault(score.kind, []).append(score)
    assert set(found) == {"precision", "recall", "density", "coverage"}
    for kind, scores in found.items():
        mean = np.mean([score.value for score in scores])
        held = [s.interval is not None and s.interval[0] <= mean <= s.interval[1] for s in scores]
        assert np.mean(held) >= 0.88, kind
