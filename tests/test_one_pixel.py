"""The one-pixel attack, on judges of which it is known what one pixel can do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fairdraw.errors import InputError
from fairdraw.metrics.one_pixel import ClassifierAttack, attack_classifier, attack_realness
from fairdraw.metrics.pixel_search import Search, changed

SIDE = 24
PEAK = (15, 6)
CLOSE = 0.985
"""Of what the best change can do; the next best pixel can do 0.9802 of it."""


def _weights() -> np.ndarray:
    row, column = np.mgrid[:SIDE, :SIDE]
    return np.exp(-((row - PEAK[0]) ** 2 + (column - PEAK[1]) ** 2) / (2 * 5**2))


def _bump(images: np.ndarray) -> np.ndarray:
    """Linear in the images: of all single pixels the one at `PEAK`, made white, raises it most, by 255."""
    return (images[:, 0] * _weights()).sum((1, 2))


def _linear(images: np.ndarray) -> np.ndarray:
    """Class 1 wins where `_bump` is above `CLOSE` of what one pixel can make it on a black image."""
    other = 1 / (1 + np.exp(-(_bump(images) - CLOSE * 255) / 50))
    return np.stack([1 - other, other], axis=1)


BLACK = np.zeros((20, 1, SIDE, SIDE), np.uint8)
ZEROS = np.zeros(20, int)
SHORT = Search(population=40, generations=25)


def _attack(search: Search = SHORT, judge: Callable[[np.ndarray], np.ndarray] = _linear) -> ClassifierAttack:
    return attack_classifier(judge, BLACK, ZEROS, search, on="black images")


def test_it_finds_the_known_best_pixel_where_random_search_rarely_does() -> None:
    attack = _attack()
    assert attack.rate.value >= 0.9
    assert attack.control.value <= attack.rate.value - 0.4
    assert attack.queries < attack.control_queries
    for image in attack.found.images[attack.found.success]:
        ((row, column),) = np.argwhere(image[0])
        assert (row, column) == PEAK
        assert image[0][PEAK] >= CLOSE * 255
    assert attack.confidence is not None
    assert 0.5 < attack.confidence < 0.52


def test_one_generation_is_the_random_search() -> None:
    attack = _attack(Search(population=400, generations=0, seed=3))
    np.testing.assert_array_equal(attack.found.images, attack.found_by_control.images)
    assert attack.rate.value == attack.control.value
    assert attack.found.images.any()


@pytest.mark.parametrize("pixels", [1, 3, 5])
def test_no_more_pixels_change_than_were_asked_for(pixels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), np.uint8)

    def redness(given: np.ndarray) -> np.ndarray:
        """The sum of all red levels has to rise by more than any of these changes can."""
        return given[:, 0].sum((1, 2)) / 1e6

    attack = attack_realness(redness, images, np.full((1, 3, 8, 8), 255, np.uint8), Search(pixels, 60, 20), on="noise")
    differ = (attack.found.images != images).any(1).sum((1, 2))
    assert differ.max() == pixels
    assert differ.min() >= 1
    assert attack.rate.value == 0
    assert 0 < attack.moved.value <= pixels * 255 / 1e6
    np.testing.assert_allclose(attack.found.answers, redness(attack.found.images))


def test_the_last_row_and_column_can_change_and_levels_are_rounded() -> None:
    candidates = np.array([[0.99, 2.5, 254.6], [3.0, 4.0, 0.4]])
    found = changed(np.full((1, 3, 4), 9, np.uint8), candidates, 1)
    assert found[0, 0, 0, 2] == 255
    assert found[1, 0, 2, 3] == 0
    assert (found != 9).sum() == 2


def test_a_constant_classifier_is_never_fooled_and_both_searches_ask_equally_often() -> None:
    asked = []

    def constant(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        return np.full((len(images), 10), 0.1)

    attack = _attack(judge=constant)
    assert attack.rate.value == attack.control.value == 0
    assert attack.rate.interval is not None
    assert attack.rate.interval[1] > 0.1
    assert attack.confidence is None
    assert attack.queries == attack.control_queries == SHORT.budget == 40 * 26
    assert sum(asked) == len(BLACK) + 2 * len(BLACK) * SHORT.budget
    assert set(asked[1:]) == {40}


def test_the_search_ends_with_the_generation_of_success() -> None:
    asked = []

    def counting(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        return _linear(images)

    attack = _attack(judge=counting)
    assert sum(asked[1:]) == attack.found.queries.sum() + attack.found_by_control.queries.sum()
    assert (attack.found.queries[attack.found.success] < SHORT.budget).any()


def test_a_seed_gives_the_same_and_an_image_has_its_own_draws() -> None:
    once, again, other = _attack(), _attack(), _attack(replace(SHORT, seed=1))
    assert once == again
    np.testing.assert_array_equal(once.found.images, again.found.images)
    np.testing.assert_array_equal(once.found.answers, again.found.answers)
    assert (once.found.queries != other.found.queries).any()
    assert len(set(once.found.queries.tolist())) > 3


def test_what_is_misclassified_from_the_start_is_left_out() -> None:
    images = BLACK.copy()
    images[[2, 5], 0, PEAK[0], PEAK[1]] = 255
    attack = attack_classifier(_linear, images, ZEROS, SHORT, on="images")
    assert attack.excluded == 2
    assert attack.rate.count == len(attack.found.rows) == 18
    assert not {2, 5} & set(attack.found.rows.tolist())
    whole = _attack()
    np.testing.assert_array_equal(attack.found.images, whole.found.images[attack.found.rows])
    with pytest.raises(InputError, match="nothing to attack"):
        attack_classifier(_linear, images[[2, 5]], ZEROS[:2], SHORT, on="images")


def test_a_discriminator_is_moved_by_what_one_pixel_can_do() -> None:
    real, easy = BLACK.copy(), BLACK.copy()
    real[:, 0, PEAK[0], PEAK[1]] = 250
    easy[0] = real[0]
    attack = attack_realness(_bump, easy, real, SHORT, on="draws")
    assert attack.excluded == 1
    assert attack.gap == 250
    assert 0.95 * 255 < attack.moved.value <= 255
    assert attack.control_moved.value < attack.moved.value
    np.testing.assert_array_equal(attack.found.success, attack.found.answers >= 250)
    assert attack.rate.value >= 0.9 > attack.control.value
    with pytest.raises(InputError, match="as real as the median real one"):
        attack_realness(_bump, real, BLACK, SHORT, on="draws")


def test_it_is_told_in_one_line() -> None:
    line = str(_attack())
    assert line.startswith("success of the 1-pixel attack 1.00 of images, 95 % interval 0.84 to 1.00, 20 black images")
    for part in ("random search with the same budget 0.", "of 1,040 at the most", "0 left out", "do not rely on"):
        assert part in line
    real = np.full_like(BLACK, 255)
    moved = str(attack_realness(_bump, BLACK, real, Search(population=6, generations=1), on="draws"))
    assert "of the gap of" in moved
    assert "\n" not in line + moved


def _answers(value: object) -> Callable[[np.ndarray], np.ndarray]:
    return lambda images: np.broadcast_to(np.asarray(value, float), (len(images), 2))


def _soon_broken(images: np.ndarray) -> np.ndarray:
    return _linear(images) * (np.nan if images.any() else 1)


@pytest.mark.parametrize(
    ("judge", "images", "labels", "pixels", "says"),
    [
        (_linear, BLACK.astype(float), ZEROS, 1, "give uint8"),
        (_linear, BLACK[:, 0], ZEROS, 1, "give uint8"),
        (_linear, BLACK[:0], ZEROS[:0], 1, "give uint8"),
        (_linear, BLACK, ZEROS[:3], 1, "labels must be 20 whole numbers from 0 to 1"),
        (_linear, BLACK, ZEROS + 2, 1, "labels must be"),
        (_linear, BLACK, ZEROS + 0.5, 1, "labels must be"),
        (_linear, BLACK[..., :2, :2], ZEROS, 5, "5 pixels are more than images of 2x2 have"),
        (_answers([np.nan, 1]), BLACK, ZEROS, 1, "not all finite"),
        (_soon_broken, BLACK, ZEROS, 1, "not all finite"),
        (lambda images: np.zeros(len(images)), BLACK, ZEROS, 1, "2 or more classes"),
    ],
)
def test_bad_input_is_one_clear_line(
    judge: Callable[[np.ndarray], np.ndarray], images: np.ndarray, labels: np.ndarray, pixels: int, says: str
) -> None:
    with pytest.raises(InputError, match=says) as error:
        attack_classifier(judge, images, labels, Search(pixels, 10, 1), on="images")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options", [{"pixels": 0}, {"population": 5}, {"generations": -1}, {"seed": -1}, {"pixels": 1.5}, {"pixels": True}]
)
def test_a_search_that_makes_no_sense_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="give a whole number"):
        Search(**options)
