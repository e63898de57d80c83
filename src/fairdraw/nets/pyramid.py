"""Sizes that strided convolutions pass through on the way down to a small map."""

from fairdraw.errors import InputError

LARGEST_BASE = 7


def halvings(size: int, model: str) -> tuple[int, int]:
    """`(base, stages)` with base * 2**stages = size and base in 4..7, as in 28 = 7 * 4 and 64 = 4 * 16.

    Raises:
        InputError: when no such base exists; names the nearest sizes that have one.
    """
    base, stages = size, 0
    while base > LARGEST_BASE and base % 2 == 0:
        base, stages = base // 2, stages + 1
    if 4 <= base <= LARGEST_BASE and stages > 0:
        return base, stages
    possible = sorted(b << k for b in range(4, LARGEST_BASE + 1) for k in range(1, 9))
    near = sorted(sorted(possible, key=lambda s: abs(s - size))[:4])
    raise InputError(
        f"{model} cannot make images of {size} px: its layers double a map of 4 to {LARGEST_BASE} px; "
        f"choose a size such as {', '.join(map(str, near))} with --size"
    )
