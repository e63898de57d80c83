"""What every verb of the command line needs: its arguments from words, its result, its end."""

import contextlib
import functools
import inspect
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import tyro

from fairdraw.errors import InputError, check_seed, nearest, shortened
from fairdraw.launcher import launcher_rank

LONGEST_WORD = 1_000
"""Characters from which on a word is not repeated whole in a message: no name or number of any use is as long."""


LONGEST_COMPLAINT = 600
"""Characters of what is said of words that spell nothing; the words may be without end."""


@dataclass(frozen=True)
class Result:
    """What a verb found: `facts` for --json, `lines` for a person, the exit `code`."""

    facts: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    code: int = 0

    def show(self, as_json: bool) -> None:
        """Print to stdout."""
        print(json.dumps(self.facts) if as_json else "\n".join(self.lines))


def _choices(found: re.Match[str]) -> str:
    """Of a word, an option and a list that is in any order and may hold the None that stands for nothing given."""
    word, option, listed = found.groups()
    known = sorted({name for name in re.findall(r"'([^']*)'", listed) if name != "None"})
    return f"{option} {word}: choose {' or '.join([', '.join(known[:-1]), known[-1]])}{nearest(word, known)}"


PLAIN: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"invalid choice '(.*?)' for argument '(.*?)'\. Expected one of \((.*?)\)": _choices,
    r"invalid literal for int\(\) with base 10: (.*)": r"give a whole number, not \1",
    r"could not convert string to float: (.*)": r"give a number, not \1",
    r"no type matching (?:\{None\}\|)?INT could be instantiated from \[(.*)\]": r"give a whole number, not \1",
    r"no type matching (?:\{None\}\|)?FLOAT could be instantiated from \[(.*)\]": r"give a number, not \1",
    r"no type matching (?:\{None\}\|)?\{INT INT\} could be instantiated from \[(.*)\]": (
        r"give two whole numbers, not \1"
    ),
}
"""What Python and tyro say of a word that is no number, and how that is said to a person."""


@contextlib.contextmanager
def readers_may_leave() -> Iterator[None]:
    """Inside, it is no error when nobody reads stdout any more, as after `| head`."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def call(verb: Callable[..., Result], words: list[str], program: str, *given: Any) -> Result:
    """Call a verb with its first arguments `given`, and those that `words` spell.

    Raises:
        InputError: for words that spell none.
    """

    @functools.wraps(verb)
    def bound(*arguments: Any, **named: Any) -> Callable[[], Result]:
        if isinstance(named.get("seed"), int):  # whatever the verb does with it, numpy takes no other
            check_seed(named["seed"], least=0)
        return lambda: verb(*given, *arguments, **named)

    signature = inspect.signature(verb)
    spelled = list(signature.parameters.values())[len(given) :]
    bound.__signature__ = signature.replace(parameters=spelled)  # type: ignore[attr-defined]
    run: Callable[[], Result] = parse(bound, words, program)
    return run()


def parse(what: Any, words: list[str], program: str, **settings: Any) -> Any:
    """`tyro.cli`, with what it complains of in one line.

    Raises:
        InputError: for words that `what` cannot be made of.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(what, args=words, prog=program, config=(tyro.conf.FlagCreatePairsOff,), **settings)
    except SystemExit as stop:
        if not stop.code:
            raise
        text = complaint.getvalue()
    raise InputError(f"{shortened(_in_one_line(text), LONGEST_COMPLAINT)}; `{program} --help` lists the options")


def stop(message: str, code: int) -> NoReturn:
    """End the process; the first of several speaks for all."""
    if launcher_rank() == 0:
        message = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: shortened(word[0]), " ".join(message.splitlines()))
        print(f"fairdraw: {message}", file=sys.stderr)
    sys.exit(code)


def _in_one_line(complaint: str) -> str:
    """What tyro drew as a box: a title, what is wrong, options of a similar name, and where help is."""
    lines = [line.strip("│|╭╰╮╯+ ") for line in complaint.splitlines()[1:]]
    said, _, similar = "\n".join(line for line in lines if line.strip("─-")).partition("Perhaps you meant:")
    said = " ".join(re.split(r"Argument helptext|For full helptext|Got errors:", said)[0].split()).rstrip(".")
    said = re.sub(r"^Error parsing (?:(?:experiment|runtime)[\w.]*: )?", "", said)
    for complaint, plain in PLAIN.items():
        said = re.sub(complaint, plain, said)
    found = re.findall(r"^(--[\w-]+)", similar, re.MULTILINE)
    return f"{said} (did you mean {' or '.join(found)}?)" if found else said
