"""The shape of the code: who may import whom, what is imported nowhere, and how long things may be."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fairdraw

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fairdraw"

# From the bottom up: a layer imports only what stands above it here. `docs/architecture.md` shows the same table.
LAYERS = {
    "errors": "",
    "launcher": "",
    "losses": "",
    "adversarial": "losses",
    "noise": "errors",
    "data": "errors",
    "nets": "data errors losses noise",
    "order": "",
    "share": "",
    "progress": "",
    "files": "errors",
    "png": "",
    "images": "errors files png",
    "films": "errors files images",
    "videos": "errors files films images",
    "maps": "files images",
    "optimizers": "errors",
    "model": "noise optimizers",
    "capabilities": "model noise",
    "inference": "capabilities images model noise",
    "tiling": "capabilities errors inference model noise",
    "whole": "data tiling",
    "latent": "capabilities inference model noise",
    "models": "adversarial capabilities errors images losses model nets noise optimizers",
    "config": "data errors",
    "presets": "config data errors models optimizers",
    "devices": "errors",
    "parallel": "config devices errors share",
    "pictures": "capabilities images inference model nets",
    "metrics": "capabilities data errors files images inference losses model nets noise order",
    "compress": "capabilities config errors files images inference model noise order",
    "restore": "capabilities errors inference model nets noise",
    "journal": "errors files",
    "run": "config data errors files journal model models",
    "trainer": "config errors images model noise parallel",
    "sklearn": "config errors losses models nets noise optimizers order parallel trainer",
    "opening": "capabilities config data errors images model models order progress",
    "doctor": "",
    "looking": "capabilities data metrics model models opening order pictures run trainer",
    "loop": "config data doctor errors launcher looking model models opening order parallel progress run trainer",
    "trained": "config data devices errors model run",
    "judge": "capabilities data errors files images inference latent metrics model order pictures share trained",
    "command": "errors launcher",
    "verbs": (
        "capabilities command compress config data doctor errors files films images judge latent launcher loop maps "
        "metrics model models order parallel pictures presets progress restore run tiling trained videos whole"
    ),
    "cli": "command errors launcher verbs",
    "__main__": "cli",
}

# Packages whose files may import one another. A model is complete in its own file, so `models` is not among them.
OF_ONE_PIECE = ("compress", "data", "judge", "metrics", "nets", "sklearn", "verbs")

# The package itself is imported for its version number alone.
IMPORTS_THE_PACKAGE = ("cli", "judge", "loop")

# These answer `--help`, bad options and `data check`, which must not wait for torch.
WITHOUT_TORCH = ("cli", "command", "config", "data", "errors", "launcher", "verbs")

LONGEST_FILE = 320
LONGEST_FUNCTION = 45
LONGER = {
    "loop.py:_loop": "the loop is one list of paragraphs, which parts would hide",
}

FILES = sorted(SOURCE.rglob("*.py"))
EVERYWHERE = [
    *FILES,
    *sorted(p for folder in ("tests", "benchmarks", "examples") for p in ROOT.glob(f"{folder}/**/*.py")),
]


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[str]:
    """Full names of what is imported anywhere below, at the top of a file or within a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own(path: Path) -> set[str]:
    """What a file imports of fairdraw, without the first name: `data.options.Options`, or nothing for the package."""
    return {name.partition(".")[2] for name in _imports(_parsed(path)) if name.split(".")[0] == "fairdraw"}


@pytest.mark.parametrize("path", [p for p in FILES if p != SOURCE / "__init__.py"], ids=_name)
def test_a_layer_imports_only_what_it_may(path: Path) -> None:
    layer = _layer(path)
    allowed = set(LAYERS[layer].split())
    if layer in OF_ONE_PIECE:
        allowed.add(layer)
    if layer in IMPORTS_THE_PACKAGE:
        allowed.add("")
    found = {name.split(".")[0] for name in _own(path)}
    assert found <= allowed, f"{layer} must not import {sorted(found - allowed)}"


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_what_a_benchmark_imports_is_there(path: Path) -> None:
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fairdraw":
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}"), (
                    alias.name
                )


def test_the_layers_have_no_cycle_and_nobody_imports_the_command_line() -> None:
    below: set[str] = set()
    for layer, allowed in LAYERS.items():
        assert set(allowed.split()) <= below, f"{layer} imports a layer that is not below it"
        below.add(layer)
    assert [layer for layer, allowed in LAYERS.items() if "cli" in allowed.split()] == ["__main__"]
    assert "cli" not in {home.split(".")[0] for home in fairdraw._HOME.values()}
    assert "cli" not in {name.split(".")[0] for name in _own(SOURCE / "__init__.py")}


def test_every_file_belongs_to_a_layer_and_no_allowance_is_idle() -> None:
    used: dict[str, set[str]] = {}
    for path in FILES:
        if path != SOURCE / "__init__.py":
            used.setdefault(_layer(path), set()).update(name.split(".")[0] for name in _own(path))
    assert used.keys() == LAYERS.keys()
    # What models may use is a rule for models to come; every other row says what is so.
    idle = {k: set(v.split()) - used[k] for k, v in LAYERS.items() if k not in ("models", "metrics")}
    assert not {k: v for k, v in idle.items() if v}


def test_the_table_in_the_documentation_is_this_one() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## Files and layers")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", table, re.MULTILINE)
    assert {layer: " ".join(re.findall(r"`(\w+)`", allowed)) for layer, allowed in rows} == LAYERS
    assert [layer for layer, _ in rows] == list(LAYERS)


def test_only_parallel_knows_fabric() -> None:
    found = {_layer(p) for p in FILES for name in _imports(_parsed(p)) if "lightning" in name.split(".")[0]}
    assert found == {"parallel"}


def test_torch_is_not_imported_before_it_is_needed() -> None:
    heavy = ("torch", "safetensors", "lightning_fabric", "sklearn", "scipy")
    found = {}
    for path in FILES:
        if _layer(path) in WITHOUT_TORCH:
            at_once = [node for node in _parsed(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
            names = {name.split(".")[0] for node in at_once for name in _imports(node)}
            found[path.name] = names & set(heavy)
    assert not {k: v for k, v in found.items() if v}


def test_torchvision_is_imported_nowhere() -> None:
    assert not [p for p in EVERYWHERE for name in _imports(_parsed(p)) if name.split(".")[0] == "torchvision"]


def test_nothing_is_ever_unpickled() -> None:
    modules = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    assert not [(p, n) for p in FILES for n in _imports(_parsed(p)) if n.split(".")[0] in modules]
    calls: list[tuple[str, dict[str | None, Any]]] = []
    for path in FILES:
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                settings: dict[str | None, Any] = {
                    k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)
                }
                calls.append((ast.unparse(node.func), settings))
    names = {name for path in FILES for name in _imports(_parsed(path))}
    assert not names & {"torch.load", "torch.serialization", "torch.package", "numpy.load"}  # by their full names alone
    assert not [name for name, _ in calls if name.startswith(("torch.jit.", "torch.hub.", "torch.serialization."))]
    loads = [settings for name, settings in calls if name == "torch.load"]
    assert loads
    assert all(settings.get("weights_only") is True for settings in loads)
    readers = [settings for name, settings in calls if name in ("np.load", "npy.read_array")]
    assert readers
    assert all(settings.get("allow_pickle") is False for settings in readers)


def _long_ones() -> set[str]:
    found = set()
    for path in FILES:
        name = _name(path)
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LONGEST_FILE:
            found.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION:
                    found.add(f"{name}:{node.name}")
    return found


def test_what_is_long_has_a_reason() -> None:
    found = _long_ones()
    assert found <= LONGER.keys(), f"too long, divide it or give a reason in LONGER: {sorted(found - LONGER.keys())}"
    assert LONGER.keys() <= found, f"no longer too long, so remove it from LONGER: {sorted(LONGER.keys() - found)}"


def test_examples_are_short() -> None:
    examples = sorted((ROOT / "examples").glob("*.py"))
    assert examples
    assert not {p.name for p in examples if p.read_text(encoding="utf-8").count("\n") >= 60}
