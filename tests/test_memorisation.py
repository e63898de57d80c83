"""Copies of training images: the test statistic under the null and on copyists, authenticity, nearest images."""

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from fairdraw.errors import InputError
from fairdraw.metrics import distances
from fairdraw.metrics.distances import nearest
from fairdraw.metrics.memorisation import Copying, NearestTraining, TrainingFeatures, copying


def normal(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def found(distances: np.ndarray, cells: np.ndarray | None = None) -> NearestTraining:
    none = np.zeros(len(distances), int)
    return NearestTraining(none, distances, np.ones(len(distances)), none if cells is None else cells)


def test_of_copies_the_distance_is_0_and_of_others_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE", (3, 5))
    x, y = torch.from_numpy(normal(10, 4) + 1e3), torch.from_numpy(normal(23, 4, 1) + 1e3)
    x[4] = y[17]
    places, off = nearest(x, y)
    between = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(places, between.argmin(1))
    torch.testing.assert_close(off, between.amin(1))
    assert off[4] == 0
    between.fill_diagonal_(torch.inf)
    _, others = nearest(x, y, left_out=torch.arange(10))
    torch.testing.assert_close(others, between.amin(1))


def test_what_float32_cannot_tell_apart_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE", (7, 11))
    monkeypatch.setattr(distances, "PIECE", 2)
    x, y = torch.from_numpy(1e-6 * normal(40, 5)), torch.from_numpy(1e-6 * normal(300, 5, 1))
    y[123] = 1e3
    exact = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    assert nearest(x, y)[0].tolist() == exact.argmin(1).tolist()


def test_the_first_of_those_that_are_alike_but_for_rounding_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE", (7, 11))
    x, y = torch.from_numpy(normal(40, 5)), torch.from_numpy(normal(30, 5, 1)).repeat(3, 1)
    y += 1e-15 * torch.from_numpy(normal(90, 5, 2))
    assert nearest(x, y, rounding=1e-12)[0].max() < 30
    assert nearest(x, y)[0].max() >= 30


def test_statistic_is_the_standardised_u_of_mann_and_whitney() -> None:
    q, p = normal(60, 1)[:, 0] ** 2 + 0.3, normal(80, 1, 1)[:, 0] ** 2
    u = mannwhitneyu(q, p).statistic
    expected = (u - 60 * 80 / 2) / np.sqrt(60 * 80 * 141 / 12)
    assert copying(found(q), found(p)).statistic == pytest.approx(expected)
    assert copying(found(q), found(p)).nearer == pytest.approx(1 - u / (60 * 80))


def test_cells_are_weighted_by_their_held_out_images_and_small_ones_left_out() -> None:
    cells_q, cells_p = np.repeat([0, 1, 2], [50, 30, 5]), np.repeat([0, 1, 2], [60, 20, 40])
    q, p = normal(85, 1)[:, 0] ** 2, normal(120, 1, 1)[:, 0] ** 2
    each = [copying(found(q[cells_q == c]), found(p[cells_p == c])).statistic for c in (0,)]
    q1, p1 = q[cells_q == 1], p[cells_p == 1]
    u = mannwhitneyu(q1, p1).statistic
    each.append((u - 300) / np.sqrt(600 * 51 / 12))
    expected = (60 * each[0] + 20 * each[1]) / 80
    assert copying(found(q, cells_q), found(p, cells_p)).statistic == pytest.approx(expected)


def test_cells_that_are_left_out_have_no_share_in_the_deviation() -> None:
    random = np.random.default_rng(0)
    cells = np.repeat([0, 1, 2], [100, 60, 15])  # the last has too few
    q, p = (found(random.random(175), cells) for _ in range(2))
    assert copying(q, p).deviation == pytest.approx((100**2 + 60**2) ** 0.5 / 160)


def test_of_fair_images_the_statistic_is_standard_normal() -> None:
    values = []
    for seed in range(20):
        x = normal(900, 4, seed)
        train = TrainingFeatures(x[:500])
        values.append(copying(train.nearest(x[500:700]), train.nearest(x[700:])).statistic)
    assert abs(np.mean(values)) < 3 / 20**0.5
    assert 0.6 < np.std(values) < 1.5


def test_over_cells_the_deviation_of_fair_images_is_smaller_and_known() -> None:
    values, deviations = [], []
    for seed in range(60):
        x = normal(2_500, 3, seed)
        train = TrainingFeatures(x[:500], cells=5)
        found_here = copying(train.nearest(x[500:1_500]), train.nearest(x[1_500:]))
        values.append(found_here.statistic)
        deviations.append(found_here.deviation)
    assert 0.4 < np.mean(deviations) < 0.6, "one over the root of five cells, which are not equal"
    assert np.std(values) == pytest.approx(np.mean(deviations), rel=0.3)
    assert copying(train.nearest(x[500:1_500]).in_one_cell, train.nearest(x[1_500:]).in_one_cell).deviation == 1


def test_copyists_are_far_below_and_bad_models_far_above() -> None:
    x = normal(4_000, 6)
    train = TrainingFeatures(x[:2_000], cells=4)
    held_out, fair = train.nearest(x[2_000:3_000]), train.nearest(x[3_000:])
    noisy = train.nearest(x[:1_000] + 0.01 * normal(1_000, 6, 1))
    bad = train.nearest(2 * normal(1_000, 6, 2))
    assert -3 < copying(fair, held_out).statistic < 3
    assert copying(noisy.in_one_cell, held_out.in_one_cell).statistic < -30
    assert copying(noisy, held_out).statistic < -10
    assert copying(bad, held_out).statistic > 5
    assert noisy.authentic.mean() < 0.05 < 0.4 < fair.authentic.mean() < 0.7 < bad.authentic.mean()
    low, high = copying(noisy, held_out).interval
    assert 0.98 < low <= high <= 1


def test_cells_notice_copies_of_one_kind_beside_bad_images_of_another() -> None:
    """Half of the space copied and half of it missed: without cells the two cancel (Meehan 2020, figure 1)."""
    side = np.array([[10.0, 0.0]])
    x = normal(3_000, 2) + side * (np.arange(3_000) % 2)[:, None]
    train = TrainingFeatures(x[:1_000], cells=2)
    held_out = train.nearest(x[1_000:2_000])
    copies = x[:500:2] + 1e-4
    bad = side + 1.7 * normal(250, 2, 1)
    mixed = train.nearest(np.concatenate([copies, bad]))
    one_sided = train.nearest(copies)
    assert copying(one_sided, held_out).statistic < -10
    cells = [
        copying(*(NearestTraining(f.places[k], f.distances[k], f.own[k], f.cells[k]) for f, k in pair)).statistic
        for pair in ([(f, f.cells == c) for f in (mixed, held_out)] for c in (0, 1))
    ]
    assert min(cells) < -10 < 2 < max(cells)


def test_closeness_of_a_copy_is_0_even_where_training_images_are_equal() -> None:
    x = normal(30, 3)
    x[1] = x[0]
    near = TrainingFeatures(x).nearest(x[:1])
    assert near.closeness[0] == 0
    assert near.distances[0] == near.own[0] == 0
    assert not near.authentic[0]


def test_interval_covers_the_truth() -> None:
    """P(q < p) of two exponential distributions with rates 2 and 1 is 2 / 3."""
    inside, values, widths = 0, [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        nearer: Copying = copying(found(rng.exponential(0.5, 80)), found(rng.exponential(1, 60)))
        inside += nearer.interval[0] <= 2 / 3 <= nearer.interval[1]
        values.append(nearer.nearer)
        widths.append(nearer.interval[1] - nearer.interval[0])
    assert 88 <= inside <= 100
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(values), rel=0.2), "and is no wider than it has to be"


def test_few_images_and_no_numbers_are_refused() -> None:
    train = TrainingFeatures(normal(50, 3))
    with pytest.raises(InputError, match="10 generated images are too few to test for copies"):
        copying(train.nearest(normal(10, 3)), train.nearest(normal(40, 3)))
    with pytest.raises(InputError, match="not finite"):
        train.nearest(np.full((3, 3), np.nan))
    with pytest.raises(InputError, match="1 real images are too few for a search for copies"):
        TrainingFeatures(normal(1, 3))
