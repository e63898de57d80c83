"""The order of the data is a function of (seed, image number) and shows every image once in each epoch."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdraw.order import positions

sizes = st.integers(1, 200)
seeds = st.integers(-(2**65), 2**65)


@settings(max_examples=80, deadline=None)
@given(seed=seeds, size=sizes, epochs=st.integers(1, 4), batch=st.integers(1, 250), processes=st.integers(1, 4))
def test_each_image_once_an_epoch_for_any_batch_and_any_sharing(
    seed: int, size: int, epochs: int, batch: int, processes: int
) -> None:
    share = -(-batch // processes)
    seen: list[int] = []
    for step in range(-(-epochs * size // (share * processes))):
        first = step * share * processes
        for rank in range(processes):
            seen += positions(seed, first + rank * share, share, size).tolist()
    for epoch in range(epochs):
        assert sorted(seen[epoch * size : (epoch + 1) * size]) == list(range(size))


@settings(max_examples=80, deadline=None)
@given(seed=seeds, size=sizes, first=st.integers(0, 10_000), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_any_division_gives_the_same_order(seed: int, size: int, first: int, cuts: list[int]) -> None:
    whole = positions(seed, first, 60, size)
    parts = [positions(seed, first + a, b - a, size) for a, b in pairwise([0, *sorted(cuts), 60]) if b > a]
    assert np.array_equal(np.concatenate(parts), whole)


def test_what_was_asked_before_makes_no_difference() -> None:
    expected = positions(0, 950, 100, 100)
    for seed, first, size in [(1, 0, 100), (0, 10**9, 100), (0, 950, 99)]:
        positions(seed, first, 300, size)
        assert np.array_equal(positions(0, 950, 100, 100), expected)


def test_result_is_the_callers_own() -> None:
    found = positions(0, 0, 50, 50)
    found[:] = -1
    assert sorted(positions(0, 0, 50, 50)) == list(range(50))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    first, second = positions(0, 0, 1000, 1000), positions(0, 1000, 1000, 1000)
    other = positions(1, 0, 1000, 1000)
    for one, two in ((first, second), (first, other), (first, np.arange(1000)), (second, other)):
        assert (one == two).sum() < 10  # one is expected by chance


def test_every_place_is_as_likely_at_every_turn() -> None:
    size, epochs = 10, 2000
    table = np.stack([positions(0, epoch * size, size, size) for epoch in range(epochs)])
    counts = np.stack([np.bincount(column, minlength=size) for column in table.T])
    chi_squared = ((counts - epochs / size) ** 2 / (epochs / size)).sum()
    assert 40 < chi_squared < 140  # (10 - 1)^2 = 81 degrees of freedom


def test_first_order_of_seed_0_stays_what_it_was() -> None:
    """A change here changes every training that is resumed or repeated."""
    assert positions(0, 0, 8, 8).tolist() == [3, 6, 4, 0, 7, 5, 2, 1]
    assert positions(0, 0, 1, 60_000).dtype == np.int64
