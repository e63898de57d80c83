"""Super-resolution, judged beside the bicubic filter on images of their own sizes, by the literature's protocol."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from fairdraw.capabilities import Upscales
from fairdraw.data import Dataset
from fairdraw.data.options import few, plural
from fairdraw.data.whole import Whole, seen_before, whole_pictures
from fairdraw.errors import InputError
from fairdraw.judge.evaluation import Evaluation, conditions, provenance
from fairdraw.judge.judge import Tick
from fairdraw.judge.protocol import Protocol
from fairdraw.judge.score import Score
from fairdraw.metrics.number import doubt, interval_of_mean
from fairdraw.metrics.upscaling import Upscaled, bicubic, compared, cropped, low_resolution, protocol, upscaled
from fairdraw.order import spread
from fairdraw.share import Share, in_turn
from fairdraw.trained import Trained

SHOWN, SHOWN_SIDE = 16, 96
NAMES = {"PSNR": "PSNR on Y", "SSIM": "SSIM on Y", "sharpness": "sharpness", "consistency": "consistency"}


def evaluate_upscaler(
    trained: Trained,
    train: Dataset,
    data: str | None,
    inputs: str | None,
    settings: Protocol,
    tick: Tick,
    share: Share = in_turn,
) -> Evaluation:
    """Judge what a model makes of small images, beside the bicubic filter.

    Args:
        trained: a model that upscales.
        train: what it was trained on.
        data: pictures to judge by, taken whole; by default held-out images of `train`.
        inputs: small pictures of the same names that come with them; by default they are made of them.
        settings: how many, and which part of `train`.
        tick: is told what is being done.
        share: how several processes share the pictures.

    Raises:
        InputError: for pictures that were trained on, are too small, or do not belong together.
    """
    model = trained.model
    assert isinstance(model, Upscales)
    pictures = _pictures(train, data, settings)
    remarks = () if data is None else _trained_on(pictures, train, settings)
    pairs = _pairs(pictures, None if inputs is None else whole_pictures(inputs, train.shape[0]), model.factor)
    originals, smalls = [x for x, _ in pairs], [low for _, low in pairs]
    tick(f"making {plural(len(smalls), 'image')} large")
    made, plain = share([partial(upscaled, model, low) for low in smalls]), bicubic(smalls, model.factor)
    against = f"{settings.part} images of {train.name if data is None else data}"
    name, how = trained.facts["model"], protocol(model.factor, inputs is not None)
    about = provenance(trained) | conditions(train.train, (), settings, len(made), against) | {"protocol": how}
    shown = tuple(np.stack([_centre(image, originals) for image in kind[:SHOWN]]) for kind in (plain, made, originals))
    return Evaluation(
        f"{plural(len(made), 'image')} made large by {name} ({trained.path})",
        about,
        tuple(_scores(compared(originals, smalls, made))),
        {"bicubic": tuple(_scores(compared(originals, smalls, plain)))},
        shown,
        f"centres of the first {len(shown[0])} images: bicubic filter, model, original",
        remarks=(f"protocol: {how}", *remarks),
    )


def _pictures(train: Dataset, data: str | None, settings: Protocol) -> list[Whole]:
    found = _held_out(train, settings) if data is None else whole_pictures(data, train.shape[0], settings.count)
    if len(found) > 1 and all(np.array_equal(pixels, found[0].pixels) for _, pixels in found):
        of = data or train.name
        raise InputError(f"all {len(found):,} pictures of {of} are the same one: there is nothing to measure")
    return found


def _held_out(train: Dataset, settings: Protocol) -> list[Whole]:
    part = train.split(settings.part)
    if not len(part):
        raise InputError(f"{train.name} has no {settings.part} images: name pictures with --data")
    where = spread(len(part), settings.count)
    return [Whole(train.names[part.indices[at]], image) for at, image in zip(where, part.images(where), strict=True)]


def _trained_on(pictures: Sequence[Whole], train: Dataset, settings: Protocol) -> tuple[str, ...]:
    names = seen_before(pictures, train.digests[train.train.indices], train.shape[1])
    if not names:
        return ()
    words = f"{plural(len(names), 'picture')} of {len(pictures)} were trained on, at least in part: {few(names)}"
    if not settings.on_training_images:
        raise InputError(f"{words}; judge by others, or give --on-training-images to do it knowingly")
    return (words,)


def _with(pictures: Sequence[Whole], given: Sequence[Whole], factor: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Originals, cropped to the size that belongs to their small pictures, and these."""
    small = {_stem(name): pixels for name, pixels in given}
    if len(small) < len(given):
        stems = [_stem(name) for name, _ in given]
        twice = [name for name, _ in given if stems.count(_stem(name)) > 1]
        raise InputError(f"{plural(len(twice), 'small picture')} of one name but for the ending: {few(twice)}")
    missing = [name for name, _ in pictures if _stem(name) not in small]
    if missing:
        raise InputError(f"{plural(len(missing), 'picture')} without a small one of the same name: {few(missing)}")
    found = []
    for name, pixels in pictures:
        low = small[_stem(name)]
        original = cropped(pixels, factor)
        if original.shape != (len(low), *(factor * side for side in low.shape[1:])):
            raise InputError(
                f"{name}: a small picture of {low.shape[2]}x{low.shape[1]} px is not that of one of "
                f"{pixels.shape[2]}x{pixels.shape[1]} at x{factor}, or one of the two is grey"
            )
        found.append((original, low))
    return found


def _pairs(
    pictures: Sequence[Whole], given: Sequence[Whole] | None, factor: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Originals and their small pictures: those that are `given`, or else made of them."""
    if given is not None:
        return _with(pictures, given, factor)
    found = []
    for name, pixels in pictures:
        try:
            found.append(low_resolution(pixels, factor))
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    return found


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _scores(found: Upscaled) -> list[Score]:
    values = dict(zip(NAMES, (found.psnr, found.ssim, found.sharpness, found.consistency), strict=True))
    count = len(found.psnr)

    def score(kind: str) -> Score:
        interval = interval_of_mean(values[kind]) if count > 1 else None
        return Score(kind, NAMES[kind], float(values[kind].mean()), interval, count, count, doubt(count), values[kind])

    return [score(kind) for kind in NAMES]


def _centre(image: np.ndarray, all_of_them: Sequence[np.ndarray]) -> np.ndarray:
    """A square of a size that all images have, in as many channels as the most of them."""
    side = min(SHOWN_SIDE, *(min(other.shape[1:]) for other in all_of_them))
    top, left = ((length - side) // 2 for length in image.shape[1:])
    square = image[:, top : top + side, left : left + side]
    return np.broadcast_to(square, (max(len(other) for other in all_of_them), side, side))
