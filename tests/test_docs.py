"""What the documentation says is run: its code, its commands, its examples; and its links lead somewhere.

Of a page, ```python blocks and the lines of ```bash blocks that begin with `fairdraw ` are run from top to bottom in
one namespace and one empty folder, which holds a folder of pictures named `photos`. A comment before a block takes it
out, with the reason: `<!-- not run: REASON -->`. A line that ends with `# exit code 2` has to fail so.
"""

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from fairdraw.cli import VERBS, main, spelled
from fairdraw.models import MODELS, model_class

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/**/*.md"))
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    language: str
    code: str
    line: int
    reason: str | None


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        yield Block(found["language"], found["code"], line, found["reason"])


def _commands(block: Block) -> Iterator[tuple[list[str], int]]:
    """Words and expected exit code of each `fairdraw` line; a backslash joins it to the next."""
    for line in block.code.replace("\\\n", " ").splitlines():
        line = line.strip().removeprefix("$ ")
        if line.startswith("fairdraw "):
            code = re.search(r"# exit code (\d+)$", line)
            yield shlex.split(line, comments=True)[1:], int(code[1]) if code else 0


def _is_run(block: Block) -> bool:
    return block.reason is None and (block.language == "python" or any(_commands(block)))


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")  # else the command line sets it, for this whole process
    _make_photos(tmp_path / "photos")


def _make_photos(folder: Path, count: int = 300) -> None:
    """Coloured discs of many sizes and two formats, with a text file among them."""
    folder.mkdir()
    (folder / "about.txt").write_text("Discs.", encoding="utf-8")
    random = np.random.default_rng(0)
    for number in range(count):
        height, width = random.integers(36, 64, 2)
        rows, columns = np.mgrid[:height, :width]
        inside = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < random.uniform(8, 16) ** 2
        disc = np.where(inside[..., None], random.integers(64, 256, 3), 0).astype(np.uint8)
        Image.fromarray(disc).save(folder / f"disc-{number:03d}.{'jpg' if number % 3 else 'png'}")


@pytest.mark.usefixtures("in_empty_folder")
@pytest.mark.parametrize("page", [p for p in PAGES if any(map(_is_run, _blocks(p)))], ids=_name)
def test_code_and_commands_run(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in filter(_is_run, _blocks(page)):
        if block.language == "python":
            # The blank lines make a traceback name the line of the page.
            exec(compile("\n" * block.line + block.code, str(page), "exec"), namespace)
        for words, expected in _commands(block) if block.language != "python" else ():
            with pytest.raises(SystemExit) as stop:
                main(words)
            assert (stop.value.code or 0) == expected, f"fairdraw {shlex.join(words)}: {capsys.readouterr().err}"


def test_what_is_not_run_has_a_reason_and_is_rare() -> None:
    blocks = [block for page in PAGES for block in _blocks(page)]
    skipped = [block for block in blocks if block.reason is not None]
    assert len(skipped) <= len(blocks) / 4
    known = {"python", "bash", "console", "text", "json", "make"}
    assert {block.language for block in blocks} <= known, "name the language of every block"


@pytest.mark.usefixtures("in_empty_folder")
@pytest.mark.parametrize(
    ("example", "arguments", "leaves"),
    [
        ("train_on_a_folder", "--images 1000 --out runs/discs", "runs/discs/pictures/first-draws.png"),
        ("train_on_a_folder", "--folder photos --images 1000 --out runs/own", "runs/own/pictures/first-draws.png"),
        ("your_own_model", "--images 100000", ""),
        ("beside_pca", "--epochs 5", ""),
        ("mixtures", "--images 20000 --head-start 5", ""),
        ("interpolate", "--source digits8 --images 2000", "interpolation.png"),
    ],
)
def test_examples_run(
    example: str, arguments: str, leaves: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = ROOT / "examples" / f"{example}.py"
    monkeypatch.setattr(sys, "argv", [str(script), *arguments.split()])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed
    if leaves:
        assert Path(leaves).stat().st_size > 0
    if example == "your_own_model":
        found, best = map(float, re.findall(r": (\d+\.\d+)", printed))
        assert best <= found < 1.25 * best


def test_every_example_is_run_above() -> None:
    marks = test_examples_run.pytestmark  # type: ignore[attr-defined]
    tested = {case[0] for mark in marks if mark.name == "parametrize" for case in mark.args[1]}
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == tested


def test_the_two_commands_of_the_readme() -> None:
    first = next(_blocks(ROOT / "README.md"))
    commands = [line.split("#")[0].strip() for line in first.code.splitlines()]
    assert commands[-2:] == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in commands[-2:]:
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def _anchors(page: Path) -> set[str]:
    """The names that a heading is reached by, as the usual renderers make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert not anchor or anchor in _anchors(target), f"{link}: no such heading"


def test_every_page_is_linked() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in _links(page)}
    unreached = set(PAGES) - linked - {ROOT / "README.md"}
    assert not unreached


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_a_page_that_names_every_option(model: str) -> None:
    text = (ROOT / "docs" / "models" / f"{model}.md").read_text(encoding="utf-8")
    missing = [f.name for f in fields(model_class(model).Config) if f"`{f.name}`" not in text]
    assert not missing
    assert MODELS[model].paper.split(",")[0] in text


def test_every_verb_is_documented() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    forms = [spelled(verb).replace(" RUN ", r" \S+ ") for verb in ("train", *VERBS)]
    missing = [form for form in forms if not re.search(f"fairdraw {form}", text)]
    assert not missing


def test_no_page_points_at_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(/work|/root|/home|/tmp)/", page.read_text(encoding="utf-8")), page
