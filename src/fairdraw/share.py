"""Work that several processes may share: tasks that know nothing of one another."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Share(Protocol):
    """Does tasks, in whichever processes: each of these calls it with the same ones, and gets what all of them gave."""

    def __call__(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """What each of the `tasks` gives, in their order."""


def in_turn(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """One after the other, in this process."""
    return [task() for task in tasks]
