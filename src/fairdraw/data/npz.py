"""Members of `.npy` and `.npz` files: listed without reading them, read without unpickling them."""

import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fairdraw.errors import InputError

IN_MEMORY = 512 * 1024 * 1024
"""A packed array up to this many bytes is unpacked in memory; a larger one through a temporary file in the cache."""


@dataclass(frozen=True)
class Member:
    """The header of one array."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int
    """Bytes before the first value."""

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} {self.dtype}"


class Arrays:
    """The arrays of one file. Raises `InputError` for a damaged one and for pickled objects."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self.path, self._scratch = path, scratch
        self._temporary: list[IO[bytes]] = []
        self.members: dict[str, Member] = {}
        try:
            if path.suffix.lower() == ".npz":
                with zipfile.ZipFile(path) as packed:
                    for entry in packed.infolist():
                        with packed.open(entry) as stream:
                            self._add(entry.filename.removesuffix(".npy"), stream, entry.file_size)
            else:
                with path.open("rb") as stream:
                    self._add("", stream, path.stat().st_size)
        except (OSError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        if isinstance(error, InputError):
            return error
        why = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        return InputError(f"cannot read {self.path}: {why}; write it again with numpy.save or numpy.savez")

    def _add(self, name: str, stream: IO[bytes], size: int) -> None:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        start = stream.tell()
        if dtype.hasobject:
            what = f"the array {name!r}" if name else "the array"
            raise InputError(
                f"{self.path}: {what} holds pickled objects, which can run code and are never opened; "
                "save it with a plain dtype such as uint8"
            )
        expected = start + dtype.itemsize * math.prod(shape)
        if size != expected:
            raise InputError(
                f"{self.path}: {size:,} bytes where {expected:,} are announced; it was cut short, copy it again"
            )
        self.members[name] = Member(name, shape, dtype, fortran, start)

    def read(self, name: str) -> NDArray[Any]:
        """One array, read-only: mapped from the disk where it is large."""
        member = self.members[name]
        try:
            if self.path.suffix.lower() != ".npz":
                array: NDArray[Any] = np.load(self.path, mmap_mode="r", allow_pickle=False)
                return array
            with zipfile.ZipFile(self.path) as packed:
                entry = next(e for e in packed.infolist() if e.filename.removesuffix(".npy") == name)
                with packed.open(entry) as stream:
                    return self._unpacked(stream, member, entry.file_size)
        except (OSError, zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError) as error:
            raise self._damaged(error) from error

    def _unpacked(self, stream: IO[bytes], member: Member, size: int) -> NDArray[Any]:
        if size <= IN_MEMORY:
            array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
            return array
        self._scratch.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 - open as long as the array is in use
        self._temporary.append(file)
        for chunk in _chunks(stream):
            file.write(chunk)
        file.flush()
        order = "F" if member.fortran else "C"
        return np.memmap(file, member.dtype, "r", member.start, member.shape, order)  # type: ignore[call-overload,no-any-return]

    def close(self) -> None:
        """Delete what was unpacked to the disk."""
        for file in self._temporary:
            file.close()


def _chunks(stream: IO[bytes], size: int = 1 << 22) -> Iterator[bytes]:
    while chunk := stream.read(size):
        yield chunk
