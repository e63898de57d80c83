"""Corruptions against their definitions: how much, where, and how anew."""

from typing import get_args

import pytest
import torch
from torch import Tensor
from toys import build

from fairdraw import DenoisingConfig, InputError
from fairdraw.model import Clock
from fairdraw.models.denoising import Denoising
from fairdraw.nets.corruption import Corruption, corrupt
from fairdraw.noise import Noise

KINDS: tuple[Corruption, ...] = get_args(Corruption)
every_kind = pytest.mark.parametrize("kind", KINDS)
every_mask = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gaussian"])


def images(count: int = 40, channels: int = 1, side: int = 12) -> Tensor:
    """On (0, 1): neither black nor white, so that what was set to either shows."""
    return 0.2 + 0.6 * torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def noise(count: int = 40, first: int = 0, seed: int = 0) -> Noise:
    return Noise(seed, count, first, "train")


@every_kind
def test_where_says_where(kind: Corruption) -> None:
    x = images()
    before = x.clone()
    corrupted, where = corrupt(x, kind, 0.3, noise())
    assert where.dtype == torch.bool
    assert corrupted.shape == where.shape == x.shape
    assert torch.equal(corrupted != x, where)
    assert torch.equal(x, before), "the target stays clean"


@every_kind
def test_nothing_is_corrupted_by_an_amount_of_nothing(kind: Corruption) -> None:
    corrupted, where = corrupt(images(), kind, 0.0, noise())
    assert torch.equal(corrupted, images())
    assert not where.any()


@every_mask
def test_everything_is_corrupted_by_an_amount_of_all(kind: Corruption) -> None:
    corrupted, where = corrupt(images(), kind, 1.0, noise())
    assert where.all()
    assert set(corrupted.unique().tolist()) == ({0.0, 1.0} if kind == "salt-and-pepper" else {0.0})


@every_kind
def test_it_is_fresh_at_each_visit_and_for_each_image(kind: Corruption) -> None:
    x = images(1).expand(40, -1, -1, -1)
    first, _ = corrupt(x, kind, 0.1, noise())
    assert not (first[1:] == first[0]).flatten(1).all(1).all(), "images have corruptions of their own"
    again, _ = corrupt(x, kind, 0.1, noise(first=40))  # image numbers of the next epoch
    assert not torch.equal(first, again)
    assert torch.equal(first, corrupt(x, kind, 0.1, noise())[0])


@every_kind
def test_it_does_not_depend_on_the_neighbours(kind: Corruption) -> None:
    whole, where = corrupt(images(), kind, 0.3, noise())
    part, part_where = corrupt(images()[10:13], kind, 0.3, noise(3, first=10))
    assert torch.equal(part, whole[10:13])
    assert torch.equal(part_where, where[10:13])


@pytest.mark.parametrize(("amount", "count"), [(0.1, 43), (0.3, 130), (0.25, 108), (0.5, 216), (1 / 432, 1)])
def test_masking_takes_an_exact_count_of_each_image(amount: float, count: int) -> None:
    corrupted, where = corrupt(images(channels=3), "masking", amount, noise())
    assert (where.flatten(1).sum(1) == count).all()
    assert (corrupted[where] == 0).all()


def test_masking_takes_every_component_alike() -> None:
    count = 4000
    _, where = corrupt(images(count, side=4), "masking", 0.25, noise(count))
    share = where.double().mean(0)
    assert float((share - 0.25).abs().max()) < 5 * (0.25 * 0.75 / count) ** 0.5


def test_independent_masking_is_binomial() -> None:
    count, side, p = 2000, 12, 0.3
    corrupted, where = corrupt(images(count, side=side), "independent-masking", p, noise(count))
    assert (corrupted[where] == 0).all()
    share, pixels = where.double().mean(), where.numel()
    assert abs(float(share) - p) < 5 * (p * (1 - p) / pixels) ** 0.5
    # the count of an image varies as that of independent components does
    spread = where.flatten(1).sum(1).double().var()
    assert float(spread) == pytest.approx(side * side * p * (1 - p), rel=5 * (2 / count) ** 0.5)


def test_salt_and_pepper_are_tossed_by_a_fair_coin() -> None:
    count, p = 1000, 0.4
    corrupted, where = corrupt(images(count), "salt-and-pepper", p, noise(count))
    assert abs(float(where.double().mean()) - p) < 5 * (p * (1 - p) / where.numel()) ** 0.5
    tossed = corrupted[where].double()
    assert set(tossed.unique().tolist()) == {0.0, 1.0}
    assert abs(float(tossed.mean()) - 0.5) < 5 * (0.25 / tossed.numel()) ** 0.5


def test_salt_and_pepper_that_changes_nothing_is_still_counted() -> None:
    """A black pixel that turns black was chosen all the same: the emphasised loss is of what was chosen."""
    _, where = corrupt(torch.zeros(50, 1, 12, 12), "salt-and-pepper", 0.4, noise(50))
    assert abs(float(where.double().mean()) - 0.4) < 5 * (0.24 / where.numel()) ** 0.5


def test_gaussian_noise_has_its_variance_and_is_not_clipped() -> None:
    count, sigma = 1000, 0.3
    x = torch.ones(count, 1, 12, 12)
    corrupted, where = corrupt(x, "gaussian", sigma, noise(count))
    assert where.all()
    added = (corrupted - x).double()
    assert abs(float(added.mean())) < 5 * sigma / added.numel() ** 0.5
    assert float(added.var()) == pytest.approx(sigma**2, rel=5 * (2 / added.numel()) ** 0.5)
    assert abs(float((corrupted > 1).double().mean()) - 0.5) < 5 * (0.25 / added.numel()) ** 0.5


@pytest.mark.parametrize(("amount", "side"), [(0.25, 6), (0.04, 2), (1 / 144, 1), (0.9, 11)])
def test_a_block_is_one_square_of_its_share_in_all_channels(amount: float, side: int) -> None:
    corrupted, where = corrupt(images(channels=3), "blocks", amount, noise())
    assert (corrupted[where] == 0).all()
    assert (where == where[:, :1]).all(), "all channels alike"
    for mask in where[:, 0]:
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        assert len(rows) == len(columns) == side
        assert int(rows[-1] - rows[0]) == int(columns[-1] - columns[0]) == side - 1
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_a_block_may_lie_anywhere_alike() -> None:
    count, places = 4000, 5 * 5  # a square of 4 within 8 pixels
    _, where = corrupt(images(count, side=8), "blocks", 0.25, noise(count))
    corners = where[:, 0].flatten(1).double().argmax(1)
    counts = torch.bincount(corners, minlength=64).double().reshape(8, 8)
    assert counts[5:].sum() == counts[:, 5:].sum() == 0
    assert float((counts[:5, :5] / count - 1 / places).abs().max()) < 5 * (1 / places / count) ** 0.5


# The loss that is made of them


@every_kind
@pytest.mark.parametrize("emphasis", [(1.0, 1.0), (1.0, 0.0), (0.1, 1.0), (2.0, 0.5)])
def test_the_loss_is_of_the_clean_image_weighed_by_where(kind: Corruption, emphasis: tuple[float, float]) -> None:
    config = DenoisingConfig(hidden=(5,), corruption=kind, amount=0.3, emphasis=emphasis, loss="squared-error")
    model = build(config, (1, 12, 12))
    assert isinstance(model, Denoising)
    x = images(6)
    (update,) = model.updates({"image": 2 * x - 1}, Clock(0, 100, noise(6)))
    corrupted, where = corrupt(x, kind, 0.3, noise(6))
    made = torch.sigmoid(model.decoder(model.encoder(corrupted)))
    errors = (made - x).square() * torch.where(where, *emphasis)
    torch.testing.assert_close(update.loss, errors.sum((1, 2, 3)).mean())
    torch.testing.assert_close(update.log["corrupted_squared_error"], (corrupted - x).square().sum((1, 2, 3)).mean())


def test_an_emphasis_that_leaves_nothing_to_learn_is_refused() -> None:
    with pytest.raises(InputError, match="emphasis"):
        DenoisingConfig(emphasis=(0.0, 0.0))
    with pytest.raises(InputError, match="emphasis"):
        DenoisingConfig(corruption="gaussian", emphasis=(0.0, 1.0))
    assert DenoisingConfig(emphasis=(0.0, 1.0)).emphasis == (0.0, 1.0)
