"""The code is as its linter, its formatter and its type checker want it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("words", ["ruff check --no-fix", "ruff format --check", "mypy"])
def test_tool_has_nothing_to_say(words: str) -> None:
    tool, *options = words.split()
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    found = subprocess.run(
        [sys.executable, "-m", tool, *options], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
