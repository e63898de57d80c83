"""Sums of latents: `man with glasses - man without + woman without`, from draws on a sheet or from labels."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from fairdraw.command import Result
from fairdraw.errors import InputError, nearest
from fairdraw.verbs.common import Device, check_png, opened, picture_path, some_of, word_for_a_file
from fairdraw.verbs.draws import DIGITS, draws_of, place_of
from fairdraw.verbs.explore import codes_of, view_facts

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor

    from fairdraw.trained import Trained

AROUND = 0.25
"""Half the width of the uniform noise around the result (Radford 2016, section 6.3.2)."""
SIDE = 3
"""Of the square of images around the result."""
SHOWN = 4
"""Images of a term on the sheet at most, beside their mean."""
LAYOUT = "each term as its mean and some of it; below the result in the middle, and around it with uniform noise"
MOST_OF_A_LABEL = 1_000
LARGEST_DRAW = 9_999
NUMBER = rf"\d{{1,{DIGITS - 1}}}"


@dataclass(frozen=True)
class Term:
    """A set of latents of which the mean is taken.

    Args:
        sign: 1 or -1.
        words: as they were given.
        draws: numbers of draws of the seed; or none, and
        label: the training images of this label.
    """

    sign: int
    words: str
    draws: tuple[int, ...]
    label: str | None = None


def arithmetic(
    run: tyro.conf.Positional[Path],
    expression: tyro.conf.Positional[str],
    seed: int = 0,
    around: float = AROUND,
    out: Path | None = None,
    device: Device = "auto",
) -> Result:
    """Add and subtract mean latents, as in "0,5,9 - 3,8,12 + 1,4,7", and show what comes out.

    Args:
        run: a run folder or a model.safetensors file.
        expression: terms with + or - between them, set off by spaces: numbers of draws of the seed, as they stand on
            the sheet of `fairdraw sample` from 0 on; or, for a model that encodes, label:NAME or label:NUMBER, the
            training images of that label.
        seed: of the draws.
        around: half the width of uniform noise in the latents of the eight images around the result.
        out: a .png, or a folder for it (default: the run's pictures).
        device: where to compute.
    """
    import torch

    from fairdraw import latent, pictures
    from fairdraw.capabilities import Encodes, Generates
    from fairdraw.images import save_png

    terms = parsed(expression)
    if not 0 <= around < 1e6:
        raise InputError(f"--around {around:g}: give a distance of at least 0")
    check_png(out)
    labels = any(term.label is not None for term in terms)
    trained = opened(run, device, Generates, *([Encodes] if labels else []), verb="explore")
    assert isinstance(trained.model, Generates)
    found = [_latents(trained, term, seed) for term in terms]
    with torch.inference_mode():
        result = torch.stack([term.sign * z.mean(0) for term, z in zip(terms, found, strict=True)]).sum(0)
        near = latent.around(result, around, SIDE**2, seed)
    made = [pictures.generated(trained.model, torch.cat([z.mean(0, keepdim=True), z[:SHOWN]])) for z in found]
    shows = f"{expression}, of {_kinds(terms, seed)}: {LAYOUT} of {around:g}"
    facts = {**view_facts(trained, shows), "expression": expression, "seed": seed, "around": around}
    facts["terms"] = [{"sign": t.sign, "is": t.words, "count": len(z)} for t, z in zip(terms, found, strict=True)]
    out = picture_path(trained, out, f"arithmetic-{_name(terms)}-seed{seed}.png")
    save_png(out, _sheet(terms, made, pictures.generated(trained.model, near)), facts, machine_made=True)
    return Result({**facts, "out": str(out)}, [f"{out}: {shows}"])


def parsed(expression: str) -> list[Term]:
    """The terms of an expression.

    >>> parsed("0,5 - label:cat")
    [Term(sign=1, words='0,5', draws=(0, 5), label=None), Term(sign=-1, words='label:cat', draws=(), label='cat')]

    Raises:
        InputError: for what is none, with its place.
    """
    parts = re.split(r"\s+([+-])\s+", f" + {expression.strip()} ")[1:]
    return [_term(1 if sign == "+" else -1, words.strip()) for sign, words in zip(parts[::2], parts[1::2], strict=True)]


def _term(sign: int, words: str) -> Term:
    if words.startswith("label:") and words != "label:":
        return Term(sign, words, (), words.removeprefix("label:"))
    if not re.fullmatch(rf"{NUMBER}(\s*,\s*{NUMBER})*", words):
        raise InputError(
            f"{words!r} is no term: give numbers of draws as in 0,5,9, or label:NAME, with + or - between terms, set "
            'off by spaces: "0,5,9 - 3,8,12 + 1,4,7"'
        )
    numbers = tuple(map(int, words.split(",")))
    if max(numbers) > LARGEST_DRAW:
        raise InputError(f"{max(numbers)} is no draw: give 0 to {LARGEST_DRAW:,}")
    return Term(sign, words, numbers)


def _kinds(terms: list[Term], seed: int) -> str:
    """What the terms are of, in words."""
    labels = {term.label is not None for term in terms}
    return " and ".join(["labels"] * (True in labels) + [f"draws of seed {seed}"] * (False in labels))


def _name(terms: list[Term]) -> str:
    """For the file's name: another for each sum."""
    signed = " ".join(f"{'plus' if term.sign > 0 else 'minus'} {term.words.replace(',', '.')}" for term in terms)
    return word_for_a_file(signed.removeprefix("plus "))


def _latents(trained: "Trained", term: Term, seed: int) -> "Tensor":
    """`[N, D]`."""
    if term.label is None:
        return draws_of(trained, max(term.draws) + 1, seed)[list(term.draws)]
    return codes_of(trained, _images_of(trained, term.label))


def _images_of(trained: "Trained", label: str) -> "np.ndarray":
    """Training images of that label, spread evenly over them."""
    import numpy as np

    from fairdraw.order import spread

    train = trained.training_data().train
    names = list(map(str, train.dataset.label_names))
    if train.labels is None or not names:
        raise InputError(f"label:{label}: the images that {trained.path} was trained on have no labels; name draws")
    number = place_of(label, names, len(names))
    if number is None:
        raise InputError(
            f"label:{label}: no training image has that label{nearest(label, names)}; they have {some_of(names)}"
        )
    where = np.flatnonzero(train.labels == number)
    if not len(where):
        raise InputError(f"label:{label}: no training image has it, only images that were held out")
    return train.images(where[spread(len(where), MOST_OF_A_LABEL)])


def _sheet(terms: list[Term], made: "list[np.ndarray]", result: "np.ndarray") -> "Image.Image":
    import numpy as np

    from fairdraw.images import labelled, sheet

    columns = max(SIDE, *map(len, made))
    rows = [*made, *np.split(result, SIDE)]
    white = np.full_like(result[:1], 255)
    tiles = np.concatenate([np.concatenate([row, white.repeat(columns - len(row), axis=0)]) for row in rows])
    names = [f"{'+' if term.sign > 0 else '-'} {term.words}" for term in terms] + ["", "=", ""]
    return labelled(sheet(tiles, columns), names, ["mean", *[""] * (columns - 1)])
