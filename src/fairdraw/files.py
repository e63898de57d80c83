"""Files that are whole or absent: written under a temporary name, fsynced, renamed.

Tensor files carry a checksum over every one of their bytes. Nothing here unpickles anything.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from fairdraw.errors import InputError

FORMAT = 1
"""Number of the layout of our model and checkpoint files; a file with another number is refused."""

_BLANK = "0" * 64


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at any moment its name holds the old content, the new content, or nothing.

    Raises:
        InputError: where the disk is full, read-only or not writable; the old content is still there.
    """
    try:
        with being_written(path) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"cannot write {path} ({len(content):,} bytes): {error.strerror or error}; "
            "free some space or choose a writable folder with --out, then run the same command again"
        ) from error


@contextlib.contextmanager
def being_written(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which what was written there gets at the end; nothing is left after an error.

    Whoever writes has to see to it that the content is on the disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def only_finite(value: Any) -> Any:
    """`value` with null for NaN and infinity, which JSON does not know; null is mistaken for no number."""
    if isinstance(value, Mapping):
        return {key: only_finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Write tensors and JSON metadata as safetensors; returns the file's SHA-256 fingerprint, which it also carries."""
    described = {key: json.dumps(value, sort_keys=True) for key, value in metadata.items()}
    described |= {"format": str(FORMAT), "sha256": _BLANK}
    content = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, described)
    content = _ordered(content)
    digest = hashlib.sha256(content).hexdigest()
    write_atomically(path, content.replace(_mark(_BLANK), _mark(digest), 1))
    return digest


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the metadata of a file by `save_tensors`; `metadata["sha256"]` is its fingerprint.

    Raises:
        InputError: for a file that is missing, truncated, changed in any byte, not ours, or of another format number.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    metadata = _metadata(content, path)
    if metadata.get("format") != str(FORMAT):
        raise InputError(
            f"{path} has format {metadata.get('format', 'none')!s}, this fairdraw reads format {FORMAT}; "
            "use the fairdraw version that wrote it, or train again"
        )
    digest = metadata.get("sha256", "")
    blanked = content.replace(_mark(digest), _mark(_BLANK), 1) if digest.isascii() else b""
    if hashlib.sha256(blanked).hexdigest() != digest:
        raise _damaged(path, "its checksum does not match its content")
    try:
        tensors = safetensors.torch.load(content)
        values = {k: json.loads(v) for k, v in metadata.items() if k not in ("format", "sha256")}
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    return tensors, values | {"sha256": digest}


def _metadata(content: bytes, path: Path) -> dict[str, str]:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8:
        raise _damaged(path, "it is truncated or no safetensors file")
    try:
        found = json.loads(content[8 : 8 + size])["__metadata__"]
        if not all(isinstance(v, str) for v in found.values()):
            raise TypeError("metadata are not strings")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, "it has no fairdraw header") from error
    return dict(found)


def _ordered(content: bytes) -> bytes:
    """The same safetensors file with the keys of its header sorted: the library leaves them in random order."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _mark(digest: str) -> bytes:
    # With its key and its quotes, which are escaped in any other value, so that this is the one place it can be at.
    return f'"sha256":"{digest}"'.encode()


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path} is damaged: {why}; restore it from a copy, or train again")


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows neither needs nor allows it
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
