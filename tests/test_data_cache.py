import json
import os
import shutil
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

import fairdraw.data as fd
from fairdraw.data import build, cache, dataset, places
from fairdraw.errors import InputError

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def pictures(tmp_path):
    return make(tmp_path / "pictures")


def make(folder, count=12, side=6):
    for number in range(count):
        below = folder / ("even", "odd")[number % 2]
        below.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(below / f"{number:02d}.png")
    return folder


def entries(home):
    return sorted((home / "data").iterdir()) if (home / "data").exists() else []


def forbid(monkeypatch, *names):
    def never(*_, **__):
        raise AssertionError("this should not have been needed")

    for module, name in names:
        monkeypatch.setattr(module, name, never)


def test_the_second_open_only_looks_at_the_files(pictures, monkeypatch):
    first = fd.open(pictures)
    forbid(monkeypatch, (dataset, "scan"), (dataset, "build"), (type(pictures), "read_bytes"))
    again = fd.open(str(pictures))
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.images, first.images)


def test_progress_runs_to_the_end_and_is_silent_where_nothing_is_to_do(pictures):
    calls = []
    fd.open(pictures, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (24, 24)
    assert calls == sorted(calls)
    calls.clear()
    fd.open(pictures, progress=lambda done, total: calls.append((done, total)))
    assert calls == []


def test_the_content_decides_not_the_place(pictures, tmp_path, monkeypatch, home):
    first = fd.open(pictures)
    shutil.copytree(pictures, tmp_path / "copy")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        for path in sorted(pictures.rglob("*.png")):
            packed.write(path, f"pictures/{path.relative_to(pictures).as_posix()}")
    os.utime(pictures / "even" / "00.png", (1, 1))
    forbid(monkeypatch, (build, "decode"))
    for source in (pictures, tmp_path / "copy", tmp_path / "packed.zip"):
        assert fd.open(source).fingerprint == first.fingerprint
    assert len(entries(home)) == 1


def test_a_changed_added_or_removed_file_is_seen(pictures):
    prints = [fd.open(pictures).fingerprint]
    Image.new("RGB", (6, 6), (1, 2, 3)).save(pictures / "even" / "00.png")
    prints.append(fd.open(pictures).fingerprint)
    Image.new("RGB", (6, 6), (3, 2, 1)).save(pictures / "even" / "new.png")
    prints.append(fd.open(pictures).fingerprint)
    (pictures / "odd" / "01.png").unlink()
    prints.append(fd.open(pictures).fingerprint)
    assert len(set(prints)) == 4


def test_a_flipped_bit_is_another_content(pictures):
    before = fd.open(pictures).fingerprint
    path = pictures / "even" / "00.png"
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-13] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a failing disk would: not even the time changes
    assert fd.open(pictures, fd.Options(bad_images="skip")).fingerprint != before


def test_options_have_entries_of_their_own(pictures, home):
    prints = {
        fd.open(pictures, fd.Options(**options)).fingerprint
        for options in ({}, {"size": 4}, {"size": 4, "fit": "pad"}, {"channels": 1}, {"channels": 4})
    }
    assert len(prints) == 5
    assert len(entries(home)) == 5
    assert fd.open(pictures, fd.Options(channels=4)).shape == (4, 6, 6)


@pytest.mark.parametrize("damage", ["remove", "cut", "header", "format", "empty header", "names", "no header"])
def test_a_damaged_entry_is_made_anew(pictures, home, damage):
    expected = np.array(fd.open(pictures).images)
    (entry,) = entries(home)
    if damage == "remove":
        (entry / "images.npy").unlink()
    elif damage == "cut":
        with (entry / "images.npy").open("r+b") as file:
            file.truncate(200)
    elif damage == "names":
        (entry / "names.json").write_bytes(b"?" * (entry / "names.json").stat().st_size)
    elif damage == "no header":
        (entry / "header.json").unlink()
    else:
        header = json.loads((entry / "header.json").read_text())
        text = {"header": "{", "empty header": "", "format": json.dumps({**header, "format": 0})}[damage]
        (entry / "header.json").write_text(text)
    assert np.array_equal(fd.open(pictures).images, expected)
    assert [path.name for path in entries(home)] == [entry.name]


def test_a_damaged_index_is_ignored(pictures, home):
    fd.open(pictures)
    (note,) = (home / "index").iterdir()
    for text in ("", "[]", "{}", '{"stamp": 1, "entry": null}'):
        note.write_text(text)
        assert len(fd.open(pictures)) == 12


def test_nothing_half_written_stays_after_ctrl_c(pictures, home):
    def interrupt(done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fd.open(pictures, progress=interrupt)
    assert entries(home) == []
    assert len(fd.open(pictures)) == 12


@pytest.mark.parametrize("what", ["fsync", "rename"])
def test_a_full_disk_is_one_line_and_leaves_nothing(pictures, home, monkeypatch, what):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((cache.os, "fsync", full) if what == "fsync" else (type(home), "rename", full)))
    with pytest.raises(InputError, match="no space left on device; free some space or set FAIRDRAW_CACHE") as caught:
        fd.open(pictures)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert entries(home) == []


def test_too_little_space_is_seen_before_the_work(pictures, monkeypatch):
    usage = shutil.disk_usage(pictures)._replace(free=100)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match="no space left"):
        fd.open(pictures)


def test_a_cache_that_cannot_be_written_is_one_line(pictures, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="FAIRDRAW_CACHE"):
        fd.open(pictures)


def test_a_read_only_cache_still_serves_what_it_has(pictures, monkeypatch):
    fd.open(pictures)

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    for name in ("mkdir", "rename", "replace", "write_text", "write_bytes"):
        monkeypatch.setattr(type(pictures), name, refuse)
    os.utime(pictures / "even" / "00.png", (1, 1))
    assert len(fd.open(pictures)) == 12


def test_what_killed_processes_left_is_swept_away_in_time(pictures, home):
    for name, age in ((".partial-old", 3 * 24 * 3600), (".partial-new", 60)):
        (home / "data" / name).mkdir(parents=True)
        os.utime(home / "data" / name, (time.time() - age,) * 2)
    fd.open(pictures)
    left = {path.name for path in entries(home)}
    assert ".partial-old" not in left
    assert ".partial-new" in left


def test_a_file_that_changes_meanwhile_is_an_error(pictures, home):
    def meddle(done, total):
        if done == total // 2:
            Image.new("RGB", (6, 6)).save(pictures / "odd" / "11.png")

    with pytest.raises(InputError, match="changed while it was being read"):
        fd.open(pictures, progress=meddle)
    assert entries(home) == []


def test_the_order_of_work_does_not_show(tmp_path):
    folder = make(tmp_path / "many", count=300, side=3)
    data = fd.open(folder)
    for index in (0, 63, 64, 65, 200, 299):
        expected = np.asarray(Image.open(folder / data.names[index]))
        assert np.array_equal(data.images[index].transpose(1, 2, 0), expected)


@pytest.mark.slow
def test_two_processes_prepare_the_same_set_at_once(pictures, home):
    code = "import sys, fairdraw.data as d; print(d.open(sys.argv[1]).fingerprint)"
    command = [sys.executable, "-c", code, str(pictures)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    results = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], results
    assert len({out for out, _ in results}) == 1
    assert len(entries(home)) == 1


def test_the_slower_of_two_uses_the_entry_of_the_faster(pictures, home, monkeypatch):
    original = cache._publish

    def lose(temporary, entry):
        shutil.copytree(temporary, entry)
        original(temporary, entry)

    monkeypatch.setattr(cache, "_publish", lose)
    assert len(fd.open(pictures)) == 12
    assert len(entries(home)) == 1


def test_no_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("FAIRDRAW_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "fairdraw" in str(places.cache_folder())
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.cache_folder() == tmp_path / ".cache" / "fairdraw"
