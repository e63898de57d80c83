"""How a command starts: quickly, and without torch where nothing is computed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fairdraw

IMPORTED = """
import sys
from fairdraw.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stopped:
    assert stopped.code in (0, 2), stopped.code
print([name for name in ("torch", "lightning_fabric", "safetensors", "sklearn") if name in sys.modules])
"""


@pytest.mark.parametrize("words", ["--help", "train --help", "--version", "smple", "sample --help", "data list"])
def test_torch_is_not_imported_where_nothing_is_computed(words: str) -> None:
    script = [sys.executable, "-c", IMPORTED, *words.split()]
    found = subprocess.run(script, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_import_of_the_package_is_light_and_complete() -> None:
    script = "import sys, fairdraw; print('torch' in sys.modules, 'numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == "False False\n"
    for name in fairdraw.__all__:
        assert getattr(fairdraw, name) is not None
    assert dir(fairdraw) == sorted(fairdraw.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        fairdraw.lod  # noqa: B018


def test_installed_command_is_this_one() -> None:
    program = Path(sys.executable).with_name("fairdraw" + (".exe" if os.name == "nt" else ""))
    found = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == f"{fairdraw.__version__}\n"
