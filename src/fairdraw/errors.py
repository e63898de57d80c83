"""The two ways in which fairdraw gives up: bad input, and a training that diverged."""

import math
from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input: the message is one line that says what is wrong, where, and the remedy.

    The command line prints the line and exits with code 2; in Python it is an ordinary `ValueError`.
    """


class DivergedError(RuntimeError):
    """Training produced NaN or infinity again after one roll-back at a lower learning rate (exit code 5)."""


def check_at_least(least: int, config: object, *names: str) -> None:
    """Refuse an option of `config` that is below `least`, or a tuple with such a member; None passes.

    Raises:
        InputError: with the option's name on the command line.
    """
    for name in names:
        value = getattr(config, name)
        members = value if isinstance(value, tuple) else () if value is None else (value,)
        if not all(least <= member < math.inf for member in members):  # NaN is not
            raise InputError(f"{name} is {value}: give at least {least} with --{name.replace('_', '-')}")


def check_seed(seed: int, least: int = -(2**63)) -> None:
    """Refuse a seed that is no number of 64 bits, or is below `least`.

    Raises:
        InputError: with the seed, if it is not too long to be read.
    """
    if not least <= seed < 2**64:
        raise InputError(f"--seed {shortened(str(seed))}: give a whole number from {least:,} to 2^64 - 1")


def shortened(text: str, longest: int = 80) -> str:
    """The beginning of a text that is too long to be repeated in a message.

    >>> shortened("9" * 5000, longest=4)
    '9999... (5,000 characters)'
    """
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text):,} characters)"


def nearest(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message, or nothing.

    >>> nearest("vea", ["vae", "dcgan"])
    ' (did you mean vae?)'
    """
    matches = get_close_matches(word, list(known), n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""
