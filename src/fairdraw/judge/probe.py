"""Numbers of one subject, each beside what it has to be read by, for the end of a report."""

from dataclasses import dataclass

from fairdraw.metrics.number import Number


@dataclass(frozen=True)
class Probe:
    """A small table of its own, since its numbers mean nothing beside trivial generators.

    Args:
        title: what was asked.
        says: how it was found out, and how it has to be read.
        columns: what the numbers are of; what is judged comes first.
        rows: for each number, one of each column, under one name. There may be none, where `says` tells why.
    """

    title: str
    says: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Number, ...], ...] = ()
