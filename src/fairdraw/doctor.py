"""What goes wrong in a training, read off its log: what was seen, the likely cause, and the option to turn.

Everything here is a function of the log and of the options, so that a training says the same after it was resumed, and
a log can be examined years later.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Entries = Sequence[Mapping[str, Any]]
Options = Mapping[str, Any]

LINES = 5
"""Lines of the log over which a game is looked at; a state of fewer may pass by itself."""
SURE = 0.02
"""A discriminator's loss below which the generator learns nothing from it any more."""
AT_CHANCE = 0.02
"""Distance of the mean logits of real and generated images below which a discriminator tells them apart by chance."""
LEAST_SPREAD, LEAST_NEAREST = 0.5, 0.3
"""Distances between draws, as shares of those in the data, below which a generator repeats itself."""
LEAST_GRADIENT = 1e-3
"""Norm of a gradient, as a share of the largest that its player had, below which the player is at a standstill."""
CONSTANT = 1e-6
"""Relative change of a loss below which it stands still."""
LEAST_LEARNED = 0.01
"""Share of itself by which a loss of one player falls at least from the start to the end."""
INVERTED = -0.3
"""Correlation of an image's luminance with that of its translation below which light and dark are exchanged."""
LEAST_IN_USE = 0.05
"""Share of the latents that must carry something."""
MOST_MEMORISED = 0.5
"""How far held-out images may have fallen from training images towards the model's own, in a discriminator's eyes
(the heuristic r_v of Karras 2020, arXiv:2006.06676)."""
MOST_WAITING = 0.5
"""Share of the time that may be spent on fetching images."""


@dataclass(frozen=True)
class Reading:
    """One thing that was looked at.

    Args:
        name: of what would be wrong.
        seen: what the log shows.
        sick: whether it is wrong.
        cause: the likely one, of what would be wrong.
        remedy: the options of this model to turn, in words.
    """

    name: str
    seen: str
    sick: bool
    cause: str
    remedy: str

    @property
    def said(self) -> str:
        """All of it on one line."""
        return f"{self.name}: {self.seen}. Likely cause: {self.cause}. Remedy: {self.remedy}."


def examine(entries: Entries, record: Mapping[str, Any]) -> list[Reading]:
    """All that the log's `entries` tell of a run whose config.json is `record`, in a constant order."""
    options = _flat(record["experiment"])
    return [reading for check in CHECKS if (reading := check(entries, options)) is not None]


def new_findings(entries: Entries, record: Mapping[str, Any]) -> list[Reading]:
    """What is wrong now and not in the log yet."""
    known = {entry["name"] for entry in entries if entry["event"] == "finding"}
    return [reading for reading in examine(entries, record) if reading.sick and reading.name not in known]


def _divergence(entries: Entries, options: Options) -> Reading | None:
    progress = _lines(entries, 1)
    bad = [entry for entry in entries if entry["event"] in ("rolled back", "diverged")]
    if not progress and not bad:
        return None
    seen = bad[-1]["why"] if bad else "all losses and weights are finite"
    cause = "steps that are too long for the loss, a precision that is too low, or images that are all alike"
    remedy = _remedy(options, "a lower --learning-rate", "--precision fp32")
    return Reading("divergence", seen, bool(bad), cause, f"{remedy}; look at the data with `fairdraw data check`")


def _generator_out(entries: Entries, options: Options) -> Reading | None:
    losses = _means(entries, "loss/discriminator")
    if not losses:
        return None
    seen = f"D's loss has been at most {max(losses):.2g} over the last {LINES} lines of the log"
    cause = "D tells generated images without a doubt, and where it is sure its slope tells the generator nothing"
    remedy = _remedy(
        options,
        *_from_minimax(options),
        "--normalisation spectral",
        "--r1 10 --normalisation none",
        "--augment colour translation cutout",
        "a lower --learning-rate",
    )
    return Reading("generator out of the game", seen, max(losses) < SURE, cause, remedy)


def _discriminator_out(entries: Entries, options: Options) -> Reading | None:
    real, fake = _means(entries, "real_logit"), _means(entries, "fake_logit")
    if not real or not fake:
        return None
    apart = max(abs(a - b) for a, b in zip(real, fake, strict=True))
    seen = f"D's mean logits of real and generated images have been at most {apart:.2g} apart over {LINES} lines"
    cause = "D learns too slowly to tell them at all, unless the sheet shows draws that nobody could tell"
    remedy = _remedy(
        options,
        "a higher --learning-rate",
        "--moves alternating --discriminator-steps 2",
        "fewer kinds of --augment",
        "a larger --discriminator-width",
        "a larger --width",
    )
    return Reading("discriminator out of the game", seen, apart < AT_CHANCE, cause, remedy)


def _collapse(entries: Entries, options: Options) -> Reading | None:
    found = _looks(entries, "diversity")
    if not found:
        return None
    spread, nearest = (max(look[name] for look in found) for name in ("spread", "nearest"))
    seen = (
        f"draws of seed 0 lie {spread:.2f} times as far from one another as training images do, and {nearest:.2f} "
        "times as far from the nearest other one"
    )
    cause = "the generator makes few images, whatever the latent: a GAN has collapsed, or a decoder ignores its latents"
    remedy = _remedy(
        options,
        _warmup(options),
        "a lower --beta",
        "--normalisation spectral",
        "--r1 10 --normalisation none",
        "--moves alternating --discriminator-steps 2",
        "a lower --learning-rate",
        *(["another model: `wgan` collapses less"] if _looks(entries, "realness") else []),
    )
    sick = len(found) == 2 and (spread < LEAST_SPREAD or nearest < LEAST_NEAREST)
    return Reading("mode collapse", seen, sick, cause, remedy)


def _overfitting(entries: Entries, options: Options) -> Reading | None:
    found = [look for look in _looks(entries, "realness") if "validation" in look]
    if not found:
        return None
    shares = [(at["train"] - at["validation"]) / max(abs(at["train"] - at["draws"]), 1e-9) for at in found]
    seen = (
        f"in D's eyes images that it has not seen have fallen {min(shares):.0%} of the way from training images to "
        "the model's own"
    )
    cause = "D knows the training images by heart; then it teaches the generator nothing that holds for others"
    adaptive = bool(options.get("augment")) and options.get("augment_probability") == "adaptive"
    remedy = _remedy(
        options,
        "--augment colour translation cutout",
        *(["a lower --augment-target"] if adaptive else []),
        "--r1 10 --normalisation none",
        "fewer --images",
    )
    sick = len(found) == 2 and min(shares) > MOST_MEMORISED
    return Reading("discriminator knows its images by heart", seen, sick, cause, f"{remedy}; or more pictures")


def _vanishing(entries: Entries, options: Options) -> Reading | None:
    norms = _by_player(entries, lambda line, player: line["gradient_norm"].get(player))
    shares = {player: max(n[-LINES:]) / max(*n, 1e-30) for player, n in norms.items() if len(n) > LINES}
    if not shares:
        return None
    player, share = min(shares.items(), key=lambda item: item[1])
    seen = f"the gradient of the {player} has at most {share:.2g} of the norm it once had, over the last {LINES} lines"
    cause = "its loss is flat where it stands: saturated units, or a game that the other player has won"
    others = ("--normalisation spectral", "--activation relu", "a lower --learning-rate")
    remedy = _remedy(options, *_from_minimax(options), *others)
    return Reading("vanishing gradient", seen, share < LEAST_GRADIENT, cause, remedy)


def _standstill(entries: Entries, options: Options) -> Reading | None:
    values = _by_player(entries, lambda line, player: line["means"].get(f"loss/{player}"))
    ranges = {p: _relative(v[-2 * LINES :]) for p, v in values.items() if len(v) >= 2 * LINES}
    if not ranges:
        return None
    player = min(ranges, key=lambda p: ranges[p])
    seen = f"the loss of the {player} has changed by {ranges[player]:.2g} of itself over the last {2 * LINES} lines"
    sick = ranges[player] <= CONSTANT
    if not sick and len(values) == 1 and not options.get("warmup"):  # a game's losses need not fall, nor a growing sum
        (losses,) = values.values()
        first, last = losses[0], sum(losses[-LINES:]) / LINES
        seen = f"the loss went from {first:.5g} in the first line of the log to {last:.5g} in the last {LINES}"
        sick = first - last < LEAST_LEARNED * max(abs(first), abs(last))
    cause = "nothing moves: a learning rate that is next to 0, units that are all dead, or images that are all alike"
    remedy = _remedy(options, "a higher --learning-rate")
    return Reading("loss stands still", seen, sick, cause, f"{remedy}; look at the data with `fairdraw data check`")


def _kl_collapse(entries: Entries, options: Options) -> Reading | None:
    found = _looks(entries, "latents")
    if not found:
        return None
    best = max(found, key=lambda look: look["in_use"])
    seen = f"{best['in_use']} of {best['of']} latents carry more than 0.01 nats; all together {best['kl']:.3g} nats"
    cause = "the KL term wins before the decoder has learned to use a latent, so that the code is the prior's noise"
    remedy = _remedy(options, _warmup(options), "--free-bits 0.1", "a lower --beta")
    sick = len(found) == 2 and best["in_use"] <= LEAST_IN_USE * best["of"]
    return Reading("KL collapse", seen, sick, cause, remedy)


def _inversion(entries: Entries, options: Options) -> Reading | None:
    found = {name: _means(entries, f"luminance_{name}") for name in ("a_to_b", "b_to_a")}
    if not all(found.values()):
        return None
    there, back = (max(values) for values in found.values())
    seen = f"images and their translations have luminances correlated by at most {there:.2f} and, back, {back:.2f}"
    cause = "each generator exchanges light and dark and the other undoes it; unless images of a are negatives of b"
    remedy = _remedy(options, "another --seed", "a higher --identity")
    return Reading("colour inversion", seen, max(there, back) < INVERTED, cause, remedy)


def _starvation(entries: Entries, options: Options) -> Reading | None:
    shares = [line["waiting"] for line in _lines(entries, LINES) if "waiting" in line]
    if not shares:
        return None
    seen = f"at least {min(shares):.0%} of the time went by waiting for images, over the last {LINES} lines of the log"
    cause = (
        "they come from a disk or a network that is slower than the steps, or another program keeps the machine busy"
    )
    remedy = "set FAIRDRAW_CACHE to a folder on a fast disk, free memory for the images, or stop what else runs"
    return Reading("waiting for data", seen, min(shares) > MOST_WAITING, cause, remedy)


CHECKS: tuple[Callable[[Entries, Options], Reading | None], ...] = (
    _divergence,
    _generator_out,
    _discriminator_out,
    _collapse,
    _overfitting,
    _vanishing,
    _standstill,
    _kl_collapse,
    _inversion,
    _starvation,
)


def _remedy(options: Options, *choices: str) -> str:
    """Those of the `choices` whose options the model has and that are not chosen already, at most three of them."""
    open_to_it = [choice for choice in choices if _is_open(options, choice)]
    return "try " + ", or ".join(open_to_it[:3]) if open_to_it else "try another model"


def _warmup(options: Options) -> str:
    return f"--warmup {options.get('images', 400_000) // 4}"


def _from_minimax(options: Options) -> list[str]:
    """The other objective, where the generator has the one that saturates."""
    return ["--loss non-saturating"] if options.get("loss") == "minimax" else []


def _is_open(options: Options, choice: str) -> bool:
    settings = re.findall(r"--([a-z0-9-]+)((?: [a-z0-9.][a-z0-9.-]*)*)", choice)
    names = [name.replace("-", "_") for name, _ in settings]
    if not all(name in options for name in names):
        return False
    chosen = [words.split() == _words(options[name]) for name, (_, words) in zip(names, settings, strict=True)]
    return not chosen or not all(chosen)


def _words(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by their names on the command line, which has no prefixes."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        found |= _flat(value) if isinstance(value, dict) else {name: value}
    return found


def _progress(entries: Entries) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if entry["event"] == "progress"]


def _lines(entries: Entries, count: int) -> list[Mapping[str, Any]]:
    """The last `count` lines of progress; none where there are fewer."""
    found = _progress(entries)[-count:]
    return found if len(found) == count else []


def _means(entries: Entries, name: str) -> list[float]:
    """A logged mean over the last lines; empty where one of them lacks it."""
    values = [line["means"].get(name) for line in _lines(entries, LINES)]
    return values if all(map(_number, values)) else []


def _looks(entries: Entries, name: str) -> list[Mapping[str, Any]]:
    """The last two looks at something: what is seen once may pass."""
    return [entry[name] for entry in entries if entry["event"] == "look" and name in entry][-2:]


def _by_player(entries: Entries, of: Callable[[Mapping[str, Any], str], Any]) -> dict[str, list[float]]:
    """What the lines of progress say of each player; a player that moves seldom is not in all of them."""
    lines = _progress(entries)
    names = {name.removeprefix("loss/") for line in lines for name in line["means"] if name.startswith("loss/")}
    return {player: [v for line in lines if _number(v := of(line, player))] for player in sorted(names)}


def _relative(values: list[float]) -> float:
    """The range of the values as a share of the largest."""
    return (max(values) - min(values)) / max(*map(abs, values), 1e-30)


def _number(value: Any) -> bool:
    return isinstance(value, int | float)
