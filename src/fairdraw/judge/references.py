"""What to read the numbers of a model by: real images that nobody trained on, and trivial generators.

They depend on the data and on the judge alone, so they are computed once and kept in the cache.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fairdraw.data.places import cache_folder
from fairdraw.files import write_atomically
from fairdraw.images import make_folder
from fairdraw.judge.judge import Judge, Tick
from fairdraw.judge.score import Score
from fairdraw.judge.trivial import TRIVIAL
from fairdraw.metrics.number import FEWEST
from fairdraw.order import spread

VERSION = 8
"""Of what the judge computes: another number makes what is in the cache void."""

T = TypeVar("T")

References = Mapping[str, tuple[Score, ...]]
"""Numbers by the name of what they are of."""


def references(judge: Judge, count: int, tick: Tick = lambda _: None) -> References:
    """The numbers of the `spare` images of `null`, if there are enough, and of `count` of each trivial generator.

    Raises:
        InputError: where the cache cannot be written.
    """
    return beside_references(lambda: None, judge, count, tick)[1]


def beside_references(
    task: Callable[[], T], judge: Judge, count: int, tick: Tick = lambda _: None
) -> tuple[T, References]:
    """What `task` gives, and the `references`, which several processes compute side by side.

    Raises:
        InputError: as `references`.
    """
    judge.prepare(tick)
    path = cache_folder() / "judge" / f"{_key(judge, count)}.json"
    # The first process alone looks, so that all agree on what there is.
    (kept,) = judge.share([lambda: _kept(path)])
    if kept is not None:
        (done,) = judge.share([task])
        return done, kept

    def scores_of(name: str, images: Callable[[], np.ndarray], own: np.ndarray | None) -> tuple[Score, ...]:
        return judge.judge(images(), tick=_named(tick, name), own=own).scores

    arms = _made(judge, count)
    tasks: list[Callable[[], Any]] = [task, *(partial(scores_of, *arm) for arm in arms)]
    done, *scores = judge.share(tasks)
    made: References = {name: found for (name, _, _), found in zip(arms, scores, strict=True)}
    judge.share([lambda: _keep(path, made)])
    return done, made


def _made(judge: Judge, count: int) -> list[tuple[str, Callable[[], np.ndarray], np.ndarray | None]]:
    """Names, images, and of those that are of `null` their places there."""
    trivial = [(name, lambda make=make: make(judge.train, count, judge.seed), None) for name, make in TRIVIAL.items()]
    null, spare = judge.null, judge.spare
    if len(spare) < FEWEST:  # images beside themselves would be a floor that nothing can reach
        return [*trivial]
    own = spare[spread(len(spare), count)]
    return [(f"{null.name} images", lambda: null.images(own), own), *trivial]


def _named(tick: Tick, name: str) -> Tick:
    return lambda what: tick(f"{name}: {what}")


def _key(judge: Judge, count: int) -> str:
    parts = [(part.dataset.fingerprint, part.name, len(part)) for part in (judge.train, judge.held_out, judge.null)]
    identities = zip(judge.features, judge.identities(), strict=True)
    features = [(features.name, identity, features.resize) for features, identity in identities]
    of: list[Any] = [VERSION, parts, len(judge.places), judge.most, features, count, judge.seed, list(TRIVIAL)]
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()


def _keep(path: Path, found: References) -> None:
    make_folder(path.parent)
    scores = json.dumps({name: [score.facts() for score in scores] for name, scores in found.items()})
    write_atomically(path, json.dumps({"sha256": _digest(scores), "scores": scores}).encode())


def _digest(scores: str) -> str:
    return hashlib.sha256(scores.encode()).hexdigest()


def _kept(path: Path) -> References | None:
    try:
        content = json.loads(path.read_text())
        if content["sha256"] != _digest(content["scores"]):
            return None
        kept = json.loads(content["scores"])
        return {name: tuple(Score.from_facts(facts) for facts in scores) for name, scores in kept.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # missing, or damaged: it is made again
        return None
