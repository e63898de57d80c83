"""Optimizers and the schedules that belong to them."""

import pytest
import torch
from torch import nn

from fairdraw import InputError
from fairdraw.optimizers import Adam, Momentum, SteppedAdam


def test_momentum_rises_along_a_line_and_the_rate_halves() -> None:
    rule = Momentum(0.1, 0.5, 0.7, ramp_images=1000, half_life_images=400, lowest=0.01)
    assert rule.settings(0) == pytest.approx({"lr": 0.1, "momentum": 0.5})
    assert rule.settings(400) == pytest.approx({"lr": 0.05, "momentum": 0.58})
    assert rule.settings(10**6) == pytest.approx({"lr": 0.01, "momentum": 0.7})
    assert Momentum(0.1, 0.5, 0.7).settings(5) == pytest.approx({"lr": 0.1, "momentum": 0.7})
    assert Adam(2e-4).settings(10**6) == {"lr": 2e-4}


def test_momentum_moves_as_written() -> None:
    p = nn.Parameter(torch.zeros(1))
    optimizer = Momentum(0.1).build([p])
    for group in optimizer.param_groups:
        group |= Momentum(0.1, final_momentum=0.5).settings(0)
    for _ in range(2):
        p.grad = torch.ones(1)
        optimizer.step()
    assert float(p.detach()) == pytest.approx(-0.1 * (1 + 1.5))


def test_momentum_of_1_and_more_is_refused() -> None:
    with pytest.raises(InputError, match="below 1"):
        Momentum(final_momentum=1.0)


def test_a_stepped_rate_changes_at_its_times() -> None:
    rule = SteppedAdam((1e-3, 1e-4, 1e-5), until=(100, 200))
    assert [rule.settings(images)["lr"] for images in (0, 99, 100, 199, 200, 10**9)] == [
        *[1e-3] * 2,
        *[1e-4] * 2,
        *[1e-5] * 2,
    ]
    with pytest.raises(InputError, match="--until"):
        SteppedAdam((1e-3, 1e-4))
    with pytest.raises(InputError, match="--until"):
        SteppedAdam((1e-3, 1e-4, 1e-5), until=(200, 100))
