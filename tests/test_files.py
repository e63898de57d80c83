"""Files are whole or absent, every byte of a tensor file is checked, and nothing is unpickled."""

import errno
import io
import os
import pickle
import stat
import time
import tracemalloc
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from fairdraw import files
from fairdraw.errors import InputError
from fairdraw.files import load_tensors, save_tensors, write_atomically, write_json

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)


def small_file(folder: Path) -> Path:
    path = folder / "small.safetensors"
    save_tensors(path, {"w": torch.tensor([1.0, 0.0]), "n": torch.tensor(3)}, {"step": 7})
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


# Atomic writing


def test_content_is_synced_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "a.bin", []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        seen.append("fsync folder" if stat.S_ISDIR(status.st_mode) else f"fsync {status.st_size} bytes")
        fsync(descriptor)

    def recorded_replace(old: Any, new: Any) -> None:
        assert Path(old).parent == Path(new).parent  # a rename across file systems would be a copy
        seen.append(f"replace {Path(new).name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    write_atomically(path, b"12345")
    assert seen == ["fsync 5 bytes", "replace a.bin", "fsync folder"]
    assert path.read_bytes() == b"12345"
    assert names(tmp_path) == ["a.bin"]


class FailingFile(io.FileIO):
    """Takes half of what it is given, then fails as a full disk or a Ctrl-C does."""

    error: BaseException = OSError()

    def write(self, content: Any) -> int:
        super().write(content[: len(content) // 2])
        raise self.error


def fail_at_write(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setattr(FailingFile, "error", error)
    monkeypatch.setattr(Path, "open", lambda self, mode: FailingFile(self, mode))


def fail_at_fsync(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fsync(descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fsync)


def fail_at_replace(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def replace(old: Any, new: Any) -> None:
        raise error

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("fail", [fail_at_write, fail_at_fsync, fail_at_replace])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_failed_write_keeps_the_old_content_and_says_how_much_did_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[..., None], number: int
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        fail(patch, OSError(number, os.strerror(number)))
        with pytest.raises(InputError) as caught:
            write_atomically(path, b"x" * 1234)
    message = str(caught.value)
    assert str(path) in message
    assert "1,234 bytes" in message
    assert os.strerror(number) in message
    assert "free some space" in message
    assert "\n" not in message
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("fail", [fail_at_write, fail_at_fsync, fail_at_replace])
def test_interrupted_write_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[..., None]
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        fail(patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_folder_for_temporary_files_elsewhere_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "does-not-exist"))
    write_atomically(tmp_path / "a.bin", b"x")
    assert (tmp_path / "a.bin").read_bytes() == b"x"


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory") as caught:
        write_atomically(tmp_path / "no" / "a.bin", b"x")
    assert str(tmp_path / "no" / "a.bin") in str(caught.value)


def test_json_ends_with_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, None]})
    assert (tmp_path / "a.json").read_text() == '{\n  "b": [\n    1,\n    null\n  ]\n}\n'


# Tensor files


def test_round_trip_of_dtypes_shapes_and_layouts(tmp_path: Path) -> None:
    tensors = {str(dtype): torch.tensor([[0, 1, 2], [3, 4, 5]]).to(dtype) for dtype in DTYPES}
    tensors |= {
        "scalar": torch.tensor(-2.5),
        "empty": torch.empty(3, 0, 2),
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "channels last": torch.arange(48.0).reshape(2, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    metadata = {"config": {"hidden": [500, 2], "name": "é ✓", "none": None}, "images": 2**60, "rate": 0.1}
    digest = save_tensors(tmp_path / "a.safetensors", tensors, metadata)
    found, said = load_tensors(tmp_path / "a.safetensors")
    assert said == {**metadata, "sha256": digest}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert bits(found[name]) == bits(tensor)


def test_no_tensors_at_all(tmp_path: Path) -> None:
    digest = save_tensors(tmp_path / "a.safetensors", {}, {})
    assert load_tensors(tmp_path / "a.safetensors") == ({}, {"sha256": digest})


def test_equal_content_gives_equal_bytes_whatever_the_order_of_keys(tmp_path: Path) -> None:
    names = "abcdefgh"
    tensors = {name: torch.full((2,), float(i)) for i, name in enumerate(names)}
    metadata = {name: i for i, name in enumerate(names)}
    first = save_tensors(tmp_path / "a", tensors, metadata)
    second = save_tensors(tmp_path / "b", dict(reversed(tensors.items())), dict(reversed(metadata.items())))
    assert first == second
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_fingerprint_tells_any_difference(tmp_path: Path) -> None:
    digests = [
        save_tensors(tmp_path / "a", {"w": torch.tensor(value)}, {"seed": seed})
        for value, seed in [(1.0, 0), (1.0000001, 0), (1.0, 1)]
    ]
    assert len(set(digests)) == 3


def test_metadata_that_look_like_the_blank_checksum_do_no_harm(tmp_path: Path) -> None:
    metadata = {"a": "0" * 64, "b": '"sha256":"' + "0" * 64 + '"', "z": "0" * 64}
    digest = save_tensors(tmp_path / "a", {"w": torch.zeros(64)}, metadata)
    assert load_tensors(tmp_path / "a")[1] == {**metadata, "sha256": digest}


def test_other_readers_understand_the_file(tmp_path: Path) -> None:
    found = safetensors.torch.load_file(small_file(tmp_path))
    assert found["w"].tolist() == [1.0, 0.0]


def test_every_flipped_bit_is_detected(tmp_path: Path) -> None:
    whole = small_file(tmp_path).read_bytes()
    path = tmp_path / "flipped.safetensors"
    for position, bit in product(range(len(whole)), range(8)):
        content = bytearray(whole)
        content[position] ^= 1 << bit
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            load_tensors(path)
        assert str(path) in str(caught.value)


def test_every_truncation_and_every_appended_byte_is_detected(tmp_path: Path) -> None:
    whole = small_file(tmp_path).read_bytes()
    path = tmp_path / "cut.safetensors"
    for content in [*(whole[:length] for length in range(len(whole))), whole + b"\0", whole + whole]:
        path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged"):
            load_tensors(path)
    path.write_bytes(whole)
    assert load_tensors(path)[1]["step"] == 7


def test_other_format_number_is_refused_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "FORMAT", 999)
        path = small_file(tmp_path)
    with pytest.raises(InputError, match=r"has format 999, this fairdraw reads format 1; .*train again"):
        load_tensors(path)


def test_safetensors_of_other_programs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for metadata in (None, {"format": "pt"}, {"format": str(files.FORMAT)}):
        safetensors.torch.save_file({"w": torch.ones(2)}, path, metadata)
        with pytest.raises(InputError) as caught:
            load_tensors(path)
        assert str(path) in str(caught.value)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "model.safetensors", tmp_path / "trace"
    archive = io.BytesIO()
    torch.save({"w": Bomb(trace)}, archive)
    for content in (pickle.dumps(Bomb(trace)), pickle.dumps(Bomb(trace), protocol=0), archive.getvalue()):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged"):
            load_tensors(path)
        assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.exists()  # the bomb is a real one


def headed(header: bytes, size: int | None = None) -> bytes:
    return (len(header) if size is None else size).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        headed(b"{}", 2**60),
        headed(b"{}" * 100, 2**64 - 1),
        headed(b"[" * 200_000),
        headed(b'{"a":' * 40_000),
        headed(b"[]"),
        headed(b"null"),
        headed(b"\xff\xfe"),
        headed(b'{"__metadata__":null}'),
        headed(b'{"__metadata__":{"a":12}}'),
        headed(b'{"__metadata__":{"format":"1","sha256":"\\ud800"}}'),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_hostile_headers_fail_quickly_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    started = time.perf_counter()
    try:
        with pytest.raises(InputError, match="is damaged") as caught:
            load_tensors(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - started < 2
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file") as caught:
        load_tensors(tmp_path / "none.safetensors")
    assert "none.safetensors" in str(caught.value)
    with pytest.raises(InputError, match="Is a directory"):
        load_tensors(tmp_path)
