"""What the compiler must not look into."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def eager(function: Callable[P, T]) -> Callable[P, T]:
    """As `torch.compiler.disable`, which takes a second to import, but only once something is compiled."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if not torch.compiler.is_compiling():
            return function(*args, **kwargs)
        found: T = torch.compiler.disable(function)(*args, **kwargs)  # type: ignore[no-untyped-call]
        return found

    return run
