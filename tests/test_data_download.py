import hashlib
import http.client
import http.server
import re
import sys
import threading
import time

import pytest

from fairdraw.data import download
from fairdraw.data.download import Remote, fetch
from fairdraw.errors import InputError

CONTENT = bytes(range(256)) * 4_000
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    ranges = True
    cut_after = None
    status = None
    cuts = 0
    seen: list[str | None]

    def log_message(self, *_):
        pass

    def do_GET(self):
        cls = type(self)
        wanted = self.headers.get("Range")
        cls.seen.append(wanted)
        if cls.status:
            self.send_error(cls.status)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and cls.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cls.cut_after is not None and cls.cuts > 0:
            cls.cuts -= 1
            body = body[: cls.cut_after]
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    handler = type("Handler", (Server,), {"seen": []})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    handler.url = f"http://127.0.0.1:{httpd.server_address[1]}/data.bin"
    yield handler
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_a_download(server, tmp_path):
    calls = []
    path = fetch(Remote(server.url, MD5), tmp_path / "deep", lambda *call: calls.append(call))
    assert path == tmp_path / "deep" / "data.bin"
    assert path.read_bytes() == CONTENT
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(Remote(server.url, MD5), tmp_path / "deep") == path
    assert len(server.seen) == 1
    assert {item.name for item in path.parent.iterdir()} <= {"data.bin", ".data.bin.lock"}


def test_sha256_and_another_name(server, tmp_path):
    checksum = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    assert fetch(Remote(server.url, checksum, "mine.bin"), tmp_path).name == "mine.bin"


def test_an_interrupted_download_goes_on(server, tmp_path):
    server.cut_after, server.cuts = 300_000, 2
    assert fetch(Remote(server.url, MD5), tmp_path).read_bytes() == CONTENT
    assert server.seen == [None, "bytes=300000-", "bytes=600000-"]


def test_a_connection_that_fails_while_it_is_read(server, tmp_path, monkeypatch):
    original, failures = download._received, [OSError("tls"), http.client.IncompleteRead(b"")]

    class Failing:
        def __init__(self, error):
            self.error = error

        def read(self, _):
            raise self.error

    monkeypatch.setattr(download, "_received", lambda r: original(Failing(failures.pop()) if failures else r))
    assert fetch(Remote(server.url, MD5), tmp_path).read_bytes() == CONTENT
    assert failures == []


def test_it_goes_on_in_another_process_too(server, tmp_path):
    server.cut_after, server.cuts = 100_000, 3
    with pytest.raises(InputError, match="broke off"):
        fetch(Remote(server.url, MD5), tmp_path)
    assert (tmp_path / "data.bin.part").stat().st_size == 300_000
    assert not (tmp_path / "data.bin").exists()
    assert fetch(Remote(server.url, MD5), tmp_path).read_bytes() == CONTENT
    assert server.seen[-1] == "bytes=300000-"
    assert not (tmp_path / "data.bin.part").exists()


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.ranges = False
    server.cut_after, server.cuts = 300_000, 1
    assert fetch(Remote(server.url, MD5), tmp_path).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(bytes(len(CONTENT) + 5))
    assert fetch(Remote(server.url, MD5), tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_is_one_line_and_keeps_nothing(server, tmp_path):
    with pytest.raises(InputError, match="checksum is wrong") as caught:
        fetch(Remote(server.url, "md5:" + "0" * 32), tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("data*"))


def test_a_wrong_part_is_found_by_the_checksum_and_not_used_again(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(b"another version")
    with pytest.raises(InputError, match="checksum"):
        fetch(Remote(server.url, MD5), tmp_path)
    assert fetch(Remote(server.url, MD5), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, download.ATTEMPTS)])
def test_what_the_server_says(server, tmp_path, status, tries):
    server.status = status
    with pytest.raises(InputError, match=f"the server says {status}"):
        fetch(Remote(server.url, MD5), tmp_path)
    assert len(server.seen) == tries


def test_no_network_says_all_that_is_needed(server, tmp_path):
    remote = Remote("http://127.0.0.1:9/file.gz", MD5)
    with pytest.raises(InputError) as caught:
        fetch(remote, tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    for needed in (remote.url, "file.gz", MD5.replace(":", " "), str(tmp_path), "by hand"):
        assert needed in text
    (tmp_path / "file.gz").write_bytes(CONTENT)
    assert fetch(remote, tmp_path) == tmp_path / "file.gz"


def test_a_wrong_file_put_there_by_hand_is_replaced(server, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"something else")
    assert fetch(Remote(server.url, MD5), tmp_path).read_bytes() == CONTENT


def test_two_at_once(server, tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(Remote(server.url, MD5), tmp_path).read_bytes() == CONTENT))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 3
    assert len(server.seen) == 1


def test_the_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(InputError, match=r"fairdraw\[datasets\]"):
        fetch(Remote("http://127.0.0.1:9/a", MD5), tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="FAIRDRAW_CACHE"):
        fetch(Remote("http://127.0.0.1:9/a", MD5), tmp_path / "file")


def test_progress_is_a_line_on_a_terminal_only(capsys, monkeypatch):
    report = download._print_progress("a.gz")
    report(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    report(1, 2)
    report(2, 2)
    assert capsys.readouterr().err == "\rdownloading a.gz: 50 %\rdownloading a.gz: 100 %\n"
