import http.server
import io
import sys
import threading
from types import ModuleType

import pytest
from PIL import Image

import fairdraw.data as fd
from fairdraw.errors import InputError

pytestmark = pytest.mark.usefixtures("home")


def picture(value, kind="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", (5, 5), (value, 0, 0)).save(buffer, kind)
    return buffer.getvalue()


class Rows:
    def __init__(self, rows, features):
        self.rows, self.features = rows, features

    def cast_column(self, column, feature):
        assert column == "image"
        assert feature.decode is False
        return self

    def __iter__(self):
        for row in self.rows:
            if isinstance(row, Exception):
                raise row
            yield row


@pytest.fixture
def hub(monkeypatch):
    """The package `datasets`, as far as it is used; nothing may ask it to decode, which would follow paths."""
    stub = ModuleType("datasets")
    stub.Image = type("Image", (), {"__init__": lambda self, decode=True: setattr(self, "decode", decode)})
    stub.ClassLabel = type("ClassLabel", (), {"names": ["no", "yes"]})
    stub.Value = type("Value", (), {})
    stub.calls = []
    stub.answer = {}

    def load_dataset(path, revision=None, streaming=False):
        assert streaming
        stub.calls.append((path, revision))
        if isinstance(stub.answer, Exception):
            raise stub.answer
        return stub.answer

    stub.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", stub)
    return stub


def rows(stub, values, **features):
    kinds = {"image": stub.Image(), "label": stub.ClassLabel(), "text": stub.Value(), **features}
    made = [{"image": {"bytes": picture(v), "path": None}, "label": v % 2, "text": f"number {v}"} for v in values]
    return Rows(made, kinds)


def test_rows_become_pictures(hub, monkeypatch):
    hub.answer = {"train": rows(hub, range(8)), "test": rows(hub, range(20, 23))}
    hub.answer["train"].rows[1]["image"]["bytes"] = picture(1, "BMP")
    data = fd.open("hf:owner/name@v1.0")
    assert len(data) == 11
    assert data.label_names == ("no", "yes")
    by_value = {int(image[0, 0, 0]): index for index, image in enumerate(data.images)}
    assert sorted(by_value) == [*range(8), 20, 21, 22]
    for value, index in by_value.items():
        assert data.labels[index] == value % 2
        assert data.captions[index] == f"number {value}"
    assert len(data.test) == 3
    assert hub.calls == [("owner/name", "v1.0")]
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert fd.open("hf:owner/name@v1.0", fd.Options(size=3)).shape == (3, 3, 3)


def test_a_path_in_a_row_is_never_followed(hub, tmp_path):
    hits = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)

    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture(99))
    hub.answer = {"train": rows(hub, range(3))}
    paths = [str(secret), f"http://127.0.0.1:{server.server_address[1]}/x.png", "/etc/hostname"]
    hub.answer["train"].rows += [{"image": {"bytes": None, "path": path}, "label": 0, "text": ""} for path in paths]
    hub.answer["train"].rows.append({"image": None, "label": 0, "text": ""})
    try:
        with pytest.raises(InputError, match=r"4 pictures cannot be read: .*never followed"):
            fd.open("hf:owner/name")
        data = fd.open("hf:owner/name", fd.Options(bad_images="skip"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(data) == 3
    assert len(data.rejected) == 4
    assert 99 not in data.images
    assert hits == []


def test_a_split_alone_is_no_official_split(hub):
    hub.answer = rows(hub, range(40))
    data = fd.open("hf:owner/name")
    assert len(data.train) < 40


def test_missing_labels_and_texts(hub):
    hub.answer = {"train": Rows([{"image": {"bytes": picture(1)}}], {"image": hub.Image()})}
    data = fd.open("hf:owner/name")
    assert data.labels is None
    assert data.captions is None


def test_failures_are_one_line_and_leave_nothing(hub, home):
    hub.answer = ValueError("no such\nthing")
    with pytest.raises(InputError, match="cannot open hf:owner/name: no such thing; check"):
        fd.open("hf:owner/name")
    hub.answer = {"train": Rows([*rows(hub, [1]).rows, ConnectionError("gone")], rows(hub, []).features)}
    with pytest.raises(InputError, match="reading hf:owner/name failed: gone"):
        fd.open("hf:owner/name")
    hub.answer = {"train": rows(hub, [1], other=hub.Image())}
    with pytest.raises(InputError, match="has 2 columns of pictures"):
        fd.open("hf:owner/name")
    assert list((home / "downloads" / "hf").iterdir()) == []


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'fairdraw\[huggingface\]'"):
        fd.open("hf:owner/name")
