import os

# Before torch is imported, here and in every process that a test starts: tests share their cores with one another.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NO_COLOR"] = "1"

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from fairdraw.cli import main


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["FAIRDRAW_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is not."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data")
    return folder


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """The last line of stdout, which --json makes one strict JSON object."""
        found = json.loads(self.out.splitlines()[-1], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs `fairdraw` with the words given, in this process."""

    def run(*words: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        printed = capfd.readouterr()
        assert isinstance(stopped.value.code, int)
        return Outcome(stopped.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def refused(command: Callable[..., Outcome]) -> Callable[..., str]:
    """Runs a command that must be refused; returns its one line."""

    def run(*words: object) -> str:
        found = command(*words)
        assert found.code == 2
        assert found.out == ""
        # On a busy machine progress has time to speak before.
        said = [line for line in found.err.splitlines(keepends=True) if not line.startswith("preparing ")]
        assert len(said) == 1
        assert said[0].startswith("fairdraw: ")
        return said[0]

    return run
