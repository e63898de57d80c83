"""The reader of scenes says of real pictures what is true, and no to broken ones; shares and their intervals."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fairdraw.data.scenes import MOST, Bar, Floor, Grid, Kind, Scene, Thing, _draw_figure, _draw_floor, scene
from fairdraw.data.scenes import _draw_things as draw_things
from fairdraw.errors import InputError
from fairdraw.metrics.components import components
from fairdraw.metrics.counting import objects
from fairdraw.metrics.figures import figures
from fairdraw.metrics.number import Number
from fairdraw.metrics.scenes import count_distance, count_shares, scene_numbers
from fairdraw.metrics.vanishing import TOLERANCE, floors

REAL, BROKEN = 400, 60
DARK, RED, BLUE = (20, 10, 30), (250, 20, 20), (20, 60, 250)


def drawn(kind: Kind, count: int = REAL, side: int = 32, first: int = 0) -> np.ndarray:
    return stacked([scene(kind, first + number).draw(side) for number in range(count)])


def stacked(pictures: list[np.ndarray]) -> np.ndarray:
    return np.stack(pictures).transpose(0, 3, 1, 2)


def pieces(one: Scene) -> tuple:  # type: ignore[type-arg]
    """What a scene is drawn of."""
    assert isinstance(one.draw, partial)
    return one.draw.args


# Real pictures


@pytest.mark.parametrize("side", [32, 48, 64])
def test_count_of_every_real_picture_is_the_truth(side: int) -> None:
    found = objects(drawn("counting", side=side))
    truth = [int(scene("counting", number).caption.split()[0]) for number in range(REAL)]
    assert found.counts.tolist() == truth
    assert found.sound.all()


@pytest.mark.parametrize(("side", "farthest"), [(32, 0.5), (48, 0.5), (64, 0.5)])
def test_vanishing_point_of_every_real_picture_is_within_half_a_pixel(side: int, farthest: float) -> None:
    found = floors(drawn("perspective", side=side))
    captions = [scene("perspective", number).caption for number in range(REAL)]
    truth = np.array([[float(value) * side for value in re.findall(r"0\.\d{4}", caption)] for caption in captions])
    assert np.linalg.norm(found.points - truth, axis=1).max() < farthest
    assert abs(found.horizons - truth[:, 1]).max() < 1
    assert found.residuals.max() < TOLERANCE / 3
    assert found.consistent.all()
    told = [int(re.findall(r"(\d) lines", caption)[0]) for caption in captions]
    assert found.lines.tolist() == told
    assert found.explained.min() == 1


@pytest.mark.parametrize("side", [32, 48, 64])
def test_every_real_figure_is_well_formed(side: int) -> None:
    found = figures(drawn("figure", side=side))
    assert (found.parts == 1).all()
    assert found.well_formed.all()


# Broken ones


def things(*places: tuple[float, float], half: float = 3.0, shape: str = "disc") -> np.ndarray:
    return draw_things(tuple(Thing(shape, x, y, half, RED) for x, y in places), DARK, 32)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("picture", "count"),
    [
        (things((10, 10), (15, 10)), 1),  # merged
        (things((10, 10), (15, 15), shape="block"), 1),
        (things((10, 10), (16, 10), (22, 10)), 1),
        (things((10, 10), half=6), 1),  # swollen
        (np.where(np.arange(32)[:, None, None] > 10, things((10, 10), half=4), 0).astype(np.uint8), 1),  # half of one
        (things(), 0),
        (things((10, 10), half=0.9), 0),  # a speck
    ],
)
def test_merged_swollen_torn_or_absent_objects_are_not_sound(picture: np.ndarray, count: int) -> None:
    found = objects(stacked([picture, things((10, 10), (20, 10))]))
    assert found.counts.tolist() == [count, 2]
    assert found.sound.tolist() == [False, True]


def test_seven_objects_are_seven() -> None:
    picture = things(*((4.0 + 9 * (k % 3), 4.0 + 9 * (k // 3)) for k in range(7)))
    assert objects(stacked([picture])).counts.tolist() == [7]


class Bent(Floor):
    """Each line is bowed sideways by four pixels."""

    def lines(self, y: np.ndarray) -> Grid:
        left, right = super().lines(y)
        near = ((y - self.horizon) / (32 - self.horizon)).clip(0, 1)[:, None]
        return left + 16 * near * (1 - near), right + 16 * near * (1 - near)


class Astray(Floor):
    """Every other line is two and a half pixels aside, in parallel to what it should be."""

    def lines(self, y: np.ndarray) -> Grid:
        left, right = super().lines(y)
        aside = np.arange(left.shape[1]) % 2 * 2.5
        return left + aside, right + aside


class Parallel(Floor):
    """The lines meet far above the horizon."""

    def lines(self, y: np.ndarray) -> Grid:
        return replace(Floor(**vars(self)), horizon=self.horizon - 8).lines(np.where(y < self.horizon, 0, y))


@pytest.mark.parametrize("kind", [Bent, Astray, Parallel])
def test_lines_that_are_bent_or_meet_elsewhere_are_not_consistent(kind: type[Floor]) -> None:
    real = [pieces(scene("perspective", number))[0] for number in range(3 * BROKEN)]
    broken = [kind(**vars(floor)) for floor in real if len(floor.slopes) > 3]
    found = floors(stacked([_draw_floor(floor, 32) for floor in broken]))
    assert found.consistent.mean() <= 0.05
    assert (found.lines >= 3).mean() > 0.5, "lines are seen, and not only missed"


def test_floor_without_sky_or_with_sky_in_pieces_is_not_consistent() -> None:
    real = drawn("perspective", BROKEN)
    no_sky = np.where((real[:, 2:] > real[:, :1] + 82), np.uint8(20), real)
    swapped = np.concatenate([real[:, :, 16:], real[:, :, :16]], axis=2)
    nearly_all_sky = np.concatenate([np.repeat(real[:, :, :1], 31, axis=2), real[:, :, -1:]], axis=2)
    assert not floors(nearly_all_sky).consistent.any()
    for broken in (no_sky, swapped, np.zeros_like(real), np.full_like(real, 255)):
        found = floors(broken)
        assert not found.consistent.any()
        assert np.isnan(found.horizons).all()


def fifth_limb(parts: dict[str, Bar]) -> dict[str, Bar]:
    (x, y), limb = parts["body"].centre, parts["left arm"]
    return {"left arm": Bar((x, y), (x - 8, y + 3), limb.half)}


def forked_arm(parts: dict[str, Bar]) -> dict[str, Bar]:
    limb = parts["left arm"]
    (x, y), (from_x, from_y) = limb.centre, limb.start
    return {"left arm": Bar((x, y), (x + 1.1 * (from_y - y), y - 1.1 * (from_x - x)), limb.half)}


BREAKS: dict[str, Callable[[dict[str, Bar]], tuple[dict[str, Bar], dict[str, Bar]]]] = {
    "fifth limb": lambda parts: (parts, fifth_limb(parts)),
    "forked arm": lambda parts: (parts, forked_arm(parts)),
    "detached head": lambda parts: (parts | {"head": parts["head"].moved(0, -4)}, {}),
    "head on a foot": lambda parts: (parts | {"head": Bar(parts["left leg"].end, parts["left leg"].end, 2.5)}, {}),
    "second head": lambda parts: (parts, {"head": parts["head"].moved(8, 0)}),
    "no head": lambda parts: ({name: part for name, part in parts.items() if name != "head"}, {}),
    "one leg": lambda parts: ({name: part for name, part in parts.items() if name != "left leg"}, {}),
    "torn leg": lambda parts: (parts, {"ground": Bar(*[parts["left leg"].centre] * 2, half=2.2)}),
    "arms exchanged": lambda parts: (
        parts | {"left arm": parts["right arm"], "right arm": parts["left arm"]},
        {},
    ),
    "arms at the hips": lambda parts: (
        parts | {name: parts[name].moved(0, 6.5) for name in ("left arm", "right arm")},
        {},
    ),
    "no body": lambda parts: ({name: part for name, part in parts.items() if name != "body"}, {}),
    "long neck": lambda parts: (parts | {"head": replace(parts["head"], end=parts["body"].centre, half=1.5)}, {}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_broken_figures_are_not_well_formed(name: str) -> None:
    broken = []
    for number in range(BROKEN):
        parts, colours, ground = pieces(scene("figure", number))
        changed, more = BREAKS[name](parts)
        picture = _draw_figure(changed, colours, ground, 32)
        grid = np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5)
        for part, bar in more.items():
            hit = bar.mask(*grid)
            body = _draw_figure({"body": parts["body"]}, {"body": (1, 1, 1)}, (0, 0, 0), 32).any(2)
            picture[hit & ~body] = (colours | {"ground": ground})[part]
        broken.append(picture)
    assert figures(stacked(broken)).well_formed.mean() <= 0.05


def blurred(images: np.ndarray) -> np.ndarray:
    """By a Gaussian of half a pixel."""
    soft = [Image.fromarray(image.transpose(1, 2, 0)).filter(ImageFilter.GaussianBlur(0.5)) for image in images]
    return stacked([np.asarray(image) for image in soft])


def noisy(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 10, images.shape)
    return (images + noise).clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("worse", [blurred, noisy])
def test_blurred_and_noisy_pictures_are_still_read(worse: Callable[[np.ndarray], np.ndarray]) -> None:
    """A generator's edges are soft and its ground is not even: what is asked is whether the scene is right."""
    assert objects(worse(drawn("counting", 200))).sound.mean() > 0.98
    assert floors(worse(drawn("perspective", 200))).consistent.mean() > 0.95
    assert figures(worse(drawn("figure", 200))).well_formed.mean() > 0.98


def test_noise_is_no_scene() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 3, 32, 32), dtype=np.uint8)
    assert not objects(noise).sound.any()
    assert not floors(noise).consistent.any()
    assert not figures(noise).well_formed.any()


def test_pieces_do_not_reach_into_the_next_image() -> None:
    masks = np.zeros((3, 4, 4), bool)
    masks[0, 3], masks[1, 0], masks[2, 0, 0], masks[2, 1, 1] = True, True, True, True
    found = components(masks, 2)
    assert found.counts().tolist() == [1, 1, 1]
    assert found.areas.tolist() == [4, 4, 2]
    assert components(masks, 3).counts().tolist() == [1, 1, 0]


@pytest.mark.parametrize("read", [objects, floors, figures])
@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 3, 28, 28), (2, 3, 32, 40), (3, 32, 32)])
def test_images_that_cannot_be_scenes_are_refused(read: Callable[[np.ndarray], object], shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"square uint8 images \[N, 3, H, H\] of 32 px or more, not"):
        read(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="float32"):
        read(np.zeros((1, 3, 32, 32), np.float32))


# Shares


def test_real_images_beside_real_ones() -> None:
    for kind in ("counting", "perspective", "figure"):
        found = scene_numbers(kind, drawn(kind), drawn(kind, first=5_000), on="draws", real_on="real images")  # type: ignore[arg-type]
        for beside in found[1:3] if kind == "counting" else found:
            assert beside.generated.value == beside.real.value == float("impossible" not in beside.real.name)
            assert (beside.generated.count, beside.real.count) == (REAL, REAL)
        if kind == "counting":
            assert found[0].real.interval is not None
            assert found[0].generated.value < found[0].real.interval[1]


def test_model_that_miscounts_is_seen() -> None:
    images = drawn("counting", 200)
    images[:50] = 0
    distance, impossible, sound, none, *_ = scene_numbers(
        "counting", images, drawn("counting", 300), on="draws", real_on="real"
    )
    assert distance.generated.value == pytest.approx(0.25, abs=0.03)
    assert impossible.generated.value == 0.25
    assert sound.generated.value == 0.75
    assert (none.generated.value, none.real.value) == (0.25, 0)
    assert distance.generated.interval is not None
    assert distance.real.interval is not None
    assert distance.generated.interval[0] > distance.real.interval[1]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng, p = np.random.default_rng(0), np.full(MOST, 1 / MOST)
    q = np.array([0.35, 0.25, 0.15, 0.1, 0.1, 0.05])
    truth = abs(p - q).sum() / 2
    held = shares = 0
    for _ in range(400):
        one, other = (1 + rng.choice(MOST, 300, p=of) for of in (q, p))
        low, high = count_distance(one, other, "draws").interval or (1, 0)
        held += low <= truth <= high
        low, high = Number.share(rng.random(40) < 0.03, name="a", on="draws").interval or (1, 0)
        shares += low <= 0.03 <= high
    assert 0.92 <= held / 400 <= 0.98
    assert 0.92 <= shares / 400 <= 1


def test_shares_of_none_and_of_all_have_an_interval() -> None:
    """Wilson's: z^2 / (n + z^2) from the end."""
    edge = 1.96**2 / (100 + 1.96**2)
    assert Number.share(np.zeros(100, bool), name="a", on="draws").interval == pytest.approx((0, edge))
    assert Number.share(np.ones(100, bool), name="a", on="draws").interval == pytest.approx((1 - edge, 1))
    assert "only 10 images" in Number.share(np.ones(10, bool), name="a", on="draws").note


def test_shares_of_counts_add_up_and_gather_what_is_too_many() -> None:
    found = count_shares(np.array([0, 1, 1, 6, 7, 12]))
    assert found == pytest.approx(np.array([1, 2, 0, 0, 0, 0, 1, 2]) / 6)


def test_too_few_real_images_are_refused() -> None:
    images = drawn("figure", 3)
    for made in (images, images[:0]):
        with pytest.raises(InputError, match="as many real ones"):
            scene_numbers("figure", made, images[:2], on="draws", real_on="real images")
