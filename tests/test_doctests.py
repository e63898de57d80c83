"""The examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

import fairdraw

SOURCE = Path(fairdraw.__file__).parent
WITH_EXAMPLES = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text()]


def test_there_are_examples() -> None:
    assert WITH_EXAMPLES


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_in_docstrings(path: Path) -> None:
    name = ".".join(["fairdraw", *path.relative_to(SOURCE).with_suffix("").parts])
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
