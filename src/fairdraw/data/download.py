"""Downloads that survive interruptions: checked, resumed, and atomic."""

import http.client
import logging
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from fairdraw.data.places import unwritable
from fairdraw.errors import InputError

ATTEMPTS = 3
"""Connections tried before giving up; each goes on where the one before broke off."""

PATIENCE = 30.0
"""Seconds without a byte after which a connection counts as broken."""

USER_AGENT = "fairdraw (https://pypi.org/project/fairdraw)"

Report = Callable[[int, int], None]
"""Called with the bytes there are and the bytes in all (0: unknown)."""


@dataclass(frozen=True)
class Remote:
    """A file to download: its address and its checksum, `md5:...` or `sha256:...`."""

    url: str
    checksum: str
    file: str = ""

    @property
    def name(self) -> str:
        """The name under which it is kept."""
        return self.file or self.url.rsplit("/", 1)[-1]


def fetch(remote: Remote, folder: Path, report: Report | None = None) -> Path:
    """The downloaded file in `folder`, or the one that was put there by hand.

    Raises:
        InputError: without a network, or when what came is not what the checksum says: one line with everything needed
            to put the file there by hand.
    """
    pooch = _pooch()
    target = folder / remote.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _matches(pooch, target, remote):
            return target
        with FileLock(folder / f".{remote.name}.lock", timeout=3600):
            if not _matches(pooch, target, remote):
                _retrieve(pooch, remote, target, report or _print_progress(remote.name))
    except Timeout as error:
        raise InputError(
            f"another process has been downloading {target} for an hour; stop it or wait for it"
        ) from error
    except OSError as error:
        raise unwritable(folder, error) from error
    return target


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise InputError(
            "downloading needs the package pooch; install it with: pip install 'fairdraw[datasets]'"
        ) from error
    pooch.get_logger().setLevel(logging.ERROR)
    return pooch


def _matches(pooch: Any, path: Path, remote: Remote) -> bool:
    algorithm, _, expected = remote.checksum.partition(":")
    return path.is_file() and pooch.file_hash(str(path), alg=algorithm) == expected


def _retrieve(pooch: Any, remote: Remote, target: Path, report: Report) -> None:
    partial = target.with_name(target.name + ".part")

    def download(url: str, temporary: str, _: object) -> None:
        resume(url, partial, report)
        shutil.move(partial, temporary)

    by_hand = f"put {remote.name} ({remote.checksum.replace(':', ' ')}) into {target.parent} by hand and try again"
    try:
        pooch.retrieve(remote.url, remote.checksum, target.name, target.parent, downloader=download)
    except _Broken as error:
        raise InputError(f"cannot download {remote.url}: {error}; or {by_hand}") from error
    except ValueError as error:  # pooch's word for a wrong checksum; it has deleted the file
        raise InputError(f"{remote.url} did not give the expected file, the checksum is wrong; {by_hand}") from error


class _Broken(Exception):
    """The connection could not be made, or broke again and again."""


def resume(url: str, partial: Path, report: Report) -> None:
    """Bring `partial` to the end of what `url` holds; raises `_Broken` and keeps what has come so far."""
    for attempt in range(ATTEMPTS):
        try:
            if _continue(url, partial, report):
                return
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            with error:
                reason = f"the server says {error.code} {error.reason}"
            if error.code == 416:  # our part is longer than the file: it belongs to another version
                partial.unlink(missing_ok=True)
            elif error.code < 500:
                break
        except urllib.error.URLError as error:
            reason = f"no connection ({getattr(error.reason, 'strerror', None) or error.reason})"
        except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
            reason = f"the connection broke off ({error or type(error).__name__})"
        if attempt + 1 < ATTEMPTS:
            time.sleep(0.2 * 4**attempt)
    raise _Broken(f"{reason}; try again with a network")


def _continue(url: str, partial: Path, report: Report) -> bool:
    """One connection; whether everything has come."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE) as response:
        if have and not (response.status == 206 and _starts_at(response, have)):
            have = 0  # a server that ignores Range sends everything from the start
        left = response.headers.get("Content-Length")
        total = have + int(left) if left else 0
        with partial.open("ab" if have else "wb") as file:
            have = _copy(response, file, have, total, report)
    return not total or have == total


def _starts_at(response: Any, position: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {position}-")


def _copy(response: Any, file: IO[bytes], have: int, total: int, report: Report) -> int:
    while chunk := _received(response):
        file.write(chunk)
        have += len(chunk)
        report(have, total)
    return have


def _received(response: Any) -> bytes:
    try:
        return bytes(response.read(1 << 18))
    except OSError as error:  # of the network, and not to be taken for a full disk
        raise ConnectionError(error.strerror or str(error)) from error


def _print_progress(name: str) -> Report:
    """A line on a terminal that counts up; nothing elsewhere."""
    last = -1

    def report(have: int, total: int) -> None:
        nonlocal last
        percent = 100 * have // total if total else 0
        if sys.stderr.isatty() and percent != last:
            last = percent
            done = have == total
            print(f"\rdownloading {name}: {percent} %", end="\n" if done else "", file=sys.stderr, flush=True)

    return report
