"""The log of a run: appended to, readable after a crash, and the same after a resume as without one."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from fairdraw.errors import InputError
from fairdraw.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def progress(images: int, loss: float = 0.0) -> dict[str, Any]:
    return {"event": "progress", "images": images, "means": {"loss/vae": loss}}


def test_no_log_is_an_empty_one(run: Run) -> None:
    assert run.read_log() == []


def test_entries_come_back_in_order(run: Run) -> None:
    entries = [progress(10, 0.1), progress(20, 1e-30), {"event": "validation", "images": 20, "note": "é ✓\n"}]
    for entry in entries:
        run.log(entry)
    assert run.read_log() == entries
    assert (run.folder / "log.jsonl").read_text().count("\n") == 1 + 3


def test_the_first_line_states_the_format_and_another_one_is_refused(run: Run) -> None:
    run.log(progress(10))
    path = run.folder / "log.jsonl"
    lines = path.read_text().splitlines()
    assert json.loads(lines[0]) == {"event": "log", "format": 1}
    path.write_text("\n".join(['{"event": "log", "format": 99}', *lines[1:]]))
    with pytest.raises(InputError, match="format 99"):
        run.read_log()


def test_what_a_resumed_training_did_again_counts_once(run: Run) -> None:
    for images in (10, 20, 30):
        run.log(progress(images, loss=1.0))
    run.log({"event": "resumed", "images": 20, "why": "started again"})
    for images in (30, 40):
        run.log(progress(images, loss=2.0))
    assert run.read_log() == [progress(10, 1.0), progress(20, 1.0), progress(30, 2.0), progress(40, 2.0)]


def test_two_resumes_and_one_from_the_start(run: Run) -> None:
    for images in (10, 20):
        run.log(progress(images, loss=1.0))
    run.log({"event": "resumed", "images": 10})
    run.log(progress(20, loss=2.0))
    run.log({"event": "resumed", "images": 0})
    run.log(progress(10, loss=3.0))
    run.log({"event": "resumed", "images": 10})
    assert run.read_log() == [progress(10, 3.0)]


@pytest.mark.parametrize("torn", ['{"event": "progress", "images": 3', "{", '"', "\0\0\0", '{"event": "é'])
def test_torn_last_line_is_left_out_and_the_next_one_is_whole(run: Run, torn: str) -> None:
    run.log(progress(10))
    with (run.folder / "log.jsonl").open("ab") as file:
        file.write(torn.encode()[:-1] if torn.endswith("é") else torn.encode())
    assert run.read_log() == [progress(10)]
    run.log(progress(20))
    run.log(progress(30))
    assert run.read_log() == [progress(10), progress(20), progress(30)]


def test_every_length_of_a_torn_line(run: Run) -> None:
    path = run.folder / "log.jsonl"
    whole = json.dumps(progress(20)).encode()
    for length in range(len(whole)):
        path.unlink(missing_ok=True)
        run.log(progress(10))
        with path.open("ab") as file:
            file.write(whole[:length])
        run.log(progress(30))
        assert run.read_log() == [progress(10), progress(30)]


def test_lines_that_are_no_entries_are_left_out(run: Run) -> None:
    run.log(progress(10))
    with (run.folder / "log.jsonl").open("a") as file:
        file.write('3\n[]\n"text"\nnull\n{"event": "progress"}\n\n')
    run.log(progress(20))
    assert run.read_log() == [progress(10), progress(20)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_has_not_are_null(run: Run, value: float) -> None:
    run.log(progress(10, value))
    assert run.read_log() == [{"event": "progress", "images": 10, "means": {"loss/vae": None}}]


def test_full_disk_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.log(progress(10))

    def no_space(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", no_space)
        with pytest.raises(InputError, match="No space left on device; free some space and run again") as caught:
            run.log(progress(20))
    assert str(run.folder / "log.jsonl") in str(caught.value)
    assert run.read_log() == [progress(10)]


def test_what_was_logged_is_returned_as_it_is_read(run: Run) -> None:
    entries = [{**progress(n), "values": (n, 0.5), "norms": {"a": float("nan")}, "x": float("inf")} for n in (1, 2)]
    written = [run.log(entry) for entry in entries]
    assert written == run.read_log()
    assert written[0]["values"] == [1, 0.5]
    assert written[0]["norms"] == {"a": None}
