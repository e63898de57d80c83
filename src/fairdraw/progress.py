"""What a person sees while a model trains: a bar on a terminal, else one line for each line of the log. On stderr."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 5.0


def preparing(source: str) -> Callable[[int, int], None]:
    """Says on stderr every few seconds how far the reading of a new source has come."""
    say = _now_and_then(lambda line: print(line, file=sys.stderr))
    return lambda done, total: say(f"preparing {source}: {done:,} of {total:,}")


@contextlib.contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Says on stderr what is being done: in a line that is overwritten on a terminal, else every few seconds."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if console.is_terminal:
        with console.status("") as status:
            yield lambda what: status.update(what)
        return
    yield _now_and_then(console.print)


def _now_and_then(say: Callable[[str], None]) -> Callable[[str], None]:
    """`say`, but not within `SECONDS_BETWEEN_LINES` of the line before."""
    last = time.monotonic()

    def seldom(line: str) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            say(line)

    return seldom


class Display:
    """Shows images seen, images/s, time left and the losses. Says nothing when `quiet`."""

    def __init__(self, images: int, total: int, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._quiet, self._total, self._last = quiet, total, 0.0
        self._start, self._start_images = time.monotonic(), images
        self._losses = ""
        if not quiet and sys.stderr.isatty():
            self._bar = Progress(TextColumn("{task.description}"), BarColumn(), console=self._console)
            self._task = self._bar.add_task("", total=total, completed=images)

    def __enter__(self) -> "Display":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, images: int) -> None:
        """Move the bar, at most ten times a second."""
        now = time.monotonic()
        if self._bar and now - self._last > 0.1:
            self._last = now
            self._bar.update(self._task, completed=images, description=self._status(images))

    def show(self, entry: dict[str, Any], last: bool) -> None:
        """The newest line of the log; without a terminal, one line every few seconds is enough."""
        self._losses = "  ".join(f"{name.removeprefix('loss/')} {value:.4g}" for name, value in entry["means"].items())
        now = time.monotonic()
        if not self._bar and (last or now - self._last > SECONDS_BETWEEN_LINES):
            self._last = now
            self.say(self._status(entry["images"]))

    def say(self, message: str) -> None:
        """A line that stays."""
        if not self._quiet:
            try:
                self._console.print(message, markup=False)
            except BrokenPipeError:  # nobody reads any more; the training goes on
                self._quiet = True

    def rate(self, images: int) -> float:
        """Images per second since the display opened."""
        return (images - self._start_images) / max(time.monotonic() - self._start, 1e-9)

    def _status(self, images: int) -> str:
        rate = self.rate(images)
        left = int((self._total - images) / rate) if rate > 0 else 0
        time_left = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
        return f"{min(images, self._total):,}/{self._total:,} images  {rate:,.0f}/s  {time_left} left  {self._losses}"
