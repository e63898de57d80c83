"""The file that compressed images are kept in.

16 bytes   the mark and format number
32 bytes   SHA-256 of all that follows
 4 bytes   size of the header, little-endian
header     JSON of `Header`, deflated
payload    for lossy files the quantiser (float32, little-endian: means, deviations, steps); then the words of the
           stack (uint32, little-endian)
"""

import hashlib
import json
import platform
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch

from fairdraw.compress.bits_back import Grid
from fairdraw.compress.entropy import MOST_CELLS, coder_version
from fairdraw.config import from_json, to_json
from fairdraw.errors import InputError
from fairdraw.files import write_atomically

FORMAT = 1
MARK = b"fairdraw images"
LARGEST_HEADER = 2**28
"""Bytes when inflated, some millions of names: a forged file must not fill the memory."""


@dataclass(frozen=True)
class Header:
    """What a compressed file says of itself.

    Args:
        kind: lossless by bits-back coding, or a lossy quantised code.
        model: name of the model that decodes it.
        model_sha256: fingerprint of that model's file.
        shape: channels, height and width.
        names: where each image came from.
        checksum: SHA-256 of what is decoded: of the pixels of a lossless file, of the symbols of a lossy one.
        made_with: versions and machine, on which the model's floating-point numbers may depend.
        latent: dimensions of the code.
        grid: of lossless files, where latents lie; of lossy ones, how far cells reach.
        initial_bits: of those in the payload, how many were random bits to begin with.
    """

    kind: Literal["lossless", "lossy"]
    model: str
    model_sha256: str
    shape: tuple[int, int, int]
    names: tuple[str, ...]
    checksum: str
    made_with: str
    latent: int
    grid: Grid
    initial_bits: int


class Content(NamedTuple):
    """What is in a file: its header, the words of its stack `[W]`, and for lossy files three float32 `[D]`."""

    header: Header
    words: np.ndarray
    quantiser: tuple[np.ndarray, ...]


def made_here() -> str:
    """The versions and the machine that a checksum may depend on."""
    return f"torch {torch.__version__}, constriction {coder_version()}, {platform.system()} {platform.machine()}"


def checksum_of(values: np.ndarray) -> str:
    """SHA-256 of the numbers of an array, whatever the machine's byte order."""
    little = values.dtype.newbyteorder("<")
    return hashlib.sha256(np.ascontiguousarray(values.astype(little)).tobytes()).hexdigest()


def write(path: Path, header: Header, words: np.ndarray, quantiser: tuple[np.ndarray, ...] = ()) -> int:
    """Write a file whole or not at all; returns its size in bytes.

    Raises:
        InputError: where it cannot be written.
    """
    described = zlib.compress(json.dumps(to_json(header)).encode(), 9)
    parts = [len(described).to_bytes(4, "little"), described, *(values.astype("<f4").tobytes() for values in quantiser)]
    body = b"".join([*parts, words.astype("<u4").tobytes()])
    content = _mark() + hashlib.sha256(body).digest() + body
    write_atomically(path, content)
    return len(content)


def read(path: Path) -> Content:
    """The content of a file.

    Raises:
        InputError: for a file that is missing, truncated, changed in any byte, not ours, or of another format number.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    mark, body = _mark(), content[48:]
    if not content.startswith(MARK):
        raise InputError(f"{path} is no file of `fairdraw compress`: give one")
    if content[:16] != mark:
        raise InputError(
            f"{path} has another format than {FORMAT}, which this fairdraw reads: use the version that wrote it"
        )
    if hashlib.sha256(body).digest() != content[16:48]:
        raise InputError(f"{path} is damaged: its checksum does not match its content; restore it from a copy")
    size = int.from_bytes(body[:4], "little")
    header = _header(body[4 : 4 + size], path)
    body = body[4 + size :]
    quantiser = body[: 12 * header.latent] if header.kind == "lossy" else b""
    numbers = np.frombuffer(quantiser, "<f4").astype(np.float32).reshape(-1, header.latent)
    return Content(header, np.frombuffer(body[len(quantiser) :], "<u4").astype(np.uint32), tuple(numbers))


def is_ours(path: Path) -> bool:
    """Whether a file begins as those of `write` do."""
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


def _header(deflated: bytes, path: Path) -> Header:
    try:
        text = zlib.decompressobj().decompress(deflated, LARGEST_HEADER)
        header = from_json(Header, json.loads(text), "header")
        if not (header.names and header.latent >= 1 and 1 <= header.grid.reach <= MOST_CELLS):
            raise ValueError("its header says what cannot be")
        return header
    except (ValueError, RecursionError, zlib.error) as error:  # an InputError is a ValueError
        raise InputError(f"{path} is damaged: {error}; restore it from a copy") from error


def _mark() -> bytes:
    return MARK + bytes([FORMAT])
