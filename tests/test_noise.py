"""Noise is a function of (seed, purpose, image number, draw), and is distributed as it says."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairdraw.noise import Noise

ROWS = 24
# More than one block of 8 numbers, less than one, odd and even widths.
SHAPES = [(), (1,), (2,), (3,), (8,), (9,), (17,), (2, 3, 5)]

seeds = st.integers(-(2**63), 2**64 - 1)


@st.composite
def partitions(draw: st.DrawFn) -> list[range]:
    """Consecutive, possibly empty stretches that together are all rows."""
    cuts = sorted(draw(st.lists(st.integers(0, ROWS), max_size=6)))
    return [range(a, b) for a, b in itertools.pairwise([0, *cuts, ROWS])]


def draws(noise: Noise) -> list[torch.Tensor]:
    """Several draws of both kinds, in a fixed order."""
    return [draw for shape in SHAPES for draw in (noise.uniform(*shape), noise.normal(*shape))]


@settings(max_examples=60, deadline=None)
@given(seed=seeds, first=st.integers(0, 2**40) | st.integers(2**61 - 30, 2**64), parts=partitions())
def test_any_division_of_the_rows_gives_the_same_bits(seed: int, first: int, parts: list[range]) -> None:
    source = Noise(seed, ROWS, first)
    whole = draws(Noise(seed, ROWS, first))
    views = [draws(source.rows(part.start, len(part))) for part in parts]
    alone = [draws(Noise(seed, len(part), first + part.start)) for part in parts]
    for pieces in (views, alone):
        for number, expected in enumerate(whole):
            assert torch.equal(torch.cat([piece[number] for piece in pieces]), expected)


def test_row_by_row_equals_the_whole() -> None:
    whole = draws(Noise(3, ROWS, 7))
    for row in range(ROWS):
        for one, every in zip(draws(Noise(3, 1, 7 + row)), whole, strict=True):
            assert torch.equal(one[0], every[row])


def test_a_prefix_of_a_longer_source_is_the_shorter_one() -> None:
    assert torch.equal(Noise(0, 1000).normal(20)[:64], Noise(0, 64).normal(20))


def test_rows_start_at_the_first_draw() -> None:
    noise = Noise(5, ROWS)
    first = noise.normal(4)
    assert not torch.equal(noise.normal(4), first)
    assert torch.equal(noise.rows(6, 3).normal(4), first[6:9])


def test_shape_of_the_result() -> None:
    for shape in SHAPES:
        assert Noise(0, 5).uniform(*shape).shape == (5, *shape)
        assert Noise(0, 5).normal(*shape).shape == (5, *shape)
    assert Noise(0, 0).normal(3).shape == (0, 3)


def test_every_argument_changes_every_number() -> None:
    sources = {
        "base": Noise(0, 8),
        "seed": Noise(1, 8),
        "negative seed": Noise(-1, 8),
        "purpose": Noise(0, 8, purpose="train"),
        "rows": Noise(0, 8, first=8),
    }
    seen = {name: source.uniform(16) for name, source in sources.items()}
    seen["draw"] = sources["base"].uniform(16)
    seen["width"] = Noise(0, 8).uniform(17)[:, :16]
    for (one, a), (other, b) in itertools.combinations(seen.items(), 2):
        assert not (a == b).any(), (one, other)


def test_no_number_comes_twice_across_rows_draws_and_widths() -> None:
    noise = Noise(0, 500)
    numbers = torch.cat([noise.uniform(16).flatten() for _ in range(4)] + [noise.uniform(40).flatten()]).numpy()
    # 24 bits each: n^2 / 2^25 pairs are equal by chance; overlapping streams would give tens of thousands.
    repeated = len(numbers) - len(np.unique(numbers))
    assert repeated < 1.3 * len(numbers) ** 2 / 2**25


def test_uniform_numbers_are_multiples_of_2_to_the_minus_24_below_one() -> None:
    u = Noise(0, 1000).uniform(1000)
    assert 0 <= u.min() < 1e-5
    assert 1 - 1e-5 < u.max() < 1
    assert torch.equal(u.double() * 2**24, (u.double() * 2**24).round())


def test_largest_and_smallest_uniform_number_give_finite_normals(monkeypatch: pytest.MonkeyPatch) -> None:
    extremes = np.array([[0, 1 - 2**-24] * 4], np.float32)
    monkeypatch.setattr(Noise, "_uniform", lambda self, width: extremes[:, :width])
    normal = Noise(0, 1).normal(8)
    assert torch.isfinite(normal).all()
    assert abs(float(normal.abs().max()) - (48 * np.log(2)) ** 0.5) < 1e-3  # sqrt(-2 log 2^-24)


def test_distributions() -> None:
    noise = Noise(0, 1000)
    for _ in range(3):
        assert stats.kstest(noise.uniform(200).flatten().numpy(), "uniform").pvalue > 0.01
        assert stats.kstest(noise.normal(201).flatten().numpy(), "norm").pvalue > 0.01


def test_each_column_is_distributed_alike() -> None:
    normal, uniform = Noise(1, 20_000).normal(20), Noise(1, 20_000).uniform(20)
    for values, law in ((normal, "norm"), (uniform, "uniform")):
        smallest = min(stats.kstest(column.numpy(), law).pvalue for column in values.T)
        assert smallest > 0.01 / 20


def test_moments_of_the_normal_numbers() -> None:
    x = Noise(2, 4000).normal(250).flatten().double()
    n = len(x)
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((x**power).mean()) - expected) < 4 * (variance / n) ** 0.5


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_columns_rows_and_draws_are_uncorrelated(kind: str) -> None:
    noise = Noise(3, 4096)
    draws = [getattr(noise, kind)(32).numpy() for _ in range(3)]
    rows = [draws[0][:64, :], Noise(4, 64).normal(32).numpy()]
    together = np.concatenate(draws, axis=1)  # columns of several draws: 96 of them
    shifted = np.concatenate([draws[0][:-1], draws[0][1:]], axis=1)  # a row beside the next one
    many = np.concatenate([getattr(Noise(seed, 64), kind)(64).reshape(1, -1).numpy() for seed in range(1000)]).T[:64]
    for table in (together, shifted, many.T):
        r = np.corrcoef(table, rowvar=False)
        pairs = r[np.triu_indices_from(r, 1)] * len(table) ** 0.5
        assert np.abs(pairs).max() < 5  # each is a standard normal number; there are some thousands
        assert abs(pairs.std() - 1) < 0.05
    assert abs(np.corrcoef(rows[0].ravel(), rows[1].ravel())[0, 1]) < 5 / rows[0].size ** 0.5


def test_radius_and_angle_do_not_show_through() -> None:
    """Box-Muller's two halves share a radius: their squares would be correlated if the angle were not uniform."""
    x = Noise(5, 100_000).normal(2).double().square()
    r = float(torch.corrcoef(x.T)[0, 1])
    assert abs(r) < 5 / 100_000**0.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_type_and_device_are_as_asked(dtype: torch.dtype) -> None:
    noise = Noise(0, 4, dtype=dtype, device="cpu")
    assert noise.normal(3).dtype == noise.uniform(3).dtype == dtype
    assert noise.rows(1, 2).uniform(3).dtype == dtype
    expected = Noise(0, 4).normal(3).to(dtype)
    assert torch.equal(Noise(0, 4, dtype=dtype).normal(3), expected)
    assert Noise(0, 4, device="meta").normal(3).device.type == "meta"


def test_first_numbers_of_seed_0_stay_what_they_were() -> None:
    """Whoever published a seed has published its pictures: a change here breaks them."""
    uniform = Noise(0, 1).uniform(3)[0] * 2**24
    normal = Noise(0, 1).normal(2)[0]
    assert uniform.tolist() == [14074502, 7525904, 14483543]
    assert normal.tolist() == pytest.approx([-1.8120267, 0.6067040], abs=1e-6)
