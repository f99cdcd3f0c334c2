"""download against a server on 127.0.0.1 that misbehaves in every way it can think of."""

import gzip
import hashlib
import http.server
import multiprocessing
import socket
import threading
import time

import pytest

from mydl.data.download import download

CONTENT = b"the right content " * 500
PACKED = gzip.compress(CONTENT)
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        getattr(self, "get_" + self.path.strip("/").partition("/")[0])()

    def answer(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def get_good(self):
        self.answer(PACKED)

    def get_plain(self):
        self.answer(CONTENT)

    def get_unannounced(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PACKED)

    def get_missing(self):
        self.answer(b"no such file", 404)

    def get_broken(self):
        self.answer(b"oops", 500)

    def get_cut(self):
        self.answer(PACKED[: len(PACKED) // 2], length=len(PACKED))

    def get_cutunannounced(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PACKED[: len(PACKED) // 2])

    def get_wrong(self):
        self.answer(gzip.compress(CONTENT.replace(b"right", b"wrong")))

    def get_short(self):
        self.answer(gzip.compress(CONTENT[:100]))

    def get_html(self):
        self.answer(b"<html>please log in</html>")

    def get_bomb(self):
        self.answer(gzip.compress(bytes(4 << 20)))

    def get_oversize(self):
        self.answer(b"", length=10 * len(CONTENT))

    def get_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            return  # the client has had enough

    def get_file(self):
        self.answer(b"", 302, Location="file:///etc/passwd")

    def get_ftp(self):
        self.answer(b"", 302, Location="ftp://127.0.0.1/file.gz")

    def get_moved(self):
        self.answer(b"", 302, Location="/good")

    def get_round(self):
        self.answer(b"", 302, Location="/round")

    def get_drip(self):
        self.send_response(200)
        self.end_headers()
        try:
            for byte in CONTENT:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            return

    def get_silent(self):
        self.server.released.wait(10)

    def get_nonsense(self):
        self.wfile.write(b"what is HTTP?\r\n\r\n")

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.paths, server.released = [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def fetch(path, *urls, timeout=30.0):
    return download(urls, path, sha256=SUM, content_bytes=len(CONTENT), timeout=timeout, progress=False)


@pytest.mark.parametrize("kind", ["good", "plain", "unannounced", "moved"])
def test_good_answers(server, tmp_path, kind):
    path = fetch(tmp_path / "deep" / "file.gz", server.url + kind)
    assert path.read_bytes() == (CONTENT if kind == "plain" else PACKED)
    assert [entry.name for entry in path.parent.iterdir()] == ["file.gz"]


BAD = {
    "missing": "HTTP 404",
    "broken": "HTTP 500",
    "cut": "cut short",
    "cutunannounced": "damaged gzip",
    "wrong": "wrong content: SHA-256",
    "short": "wrong content: 100 bytes, wanted 9,000",
    "html": "wrong content: 26 bytes",
    "bomb": "wrong content: more than 9,000 bytes",
    "oversize": "announces 90,000 bytes",
    "endless": "sends more than",
    "file": "HTTP 302 .*file:///etc/passwd' is not allowed",
    "ftp": "unknown url type: ftp",
    "round": "HTTP 302",
    "nonsense": "BadStatusLine",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_answers_leave_nothing_behind_and_the_next_mirror_serves(server, tmp_path, kind):
    with pytest.raises(OSError, match=BAD[kind]) as error:
        fetch(tmp_path / "file.gz", server.url + kind)
    assert f"{server.url}{kind}" in str(error.value)
    assert list(tmp_path.iterdir()) == []
    assert fetch(tmp_path / "file.gz", server.url + kind, server.url + "good").read_bytes() == PACKED


@pytest.mark.parametrize("kind", ["silent", "drip"])
def test_stalls_are_given_up(server, tmp_path, kind):
    with pytest.raises(OSError, match=r"timed out|stalled"):
        fetch(tmp_path / "file.gz", server.url + kind, timeout=0.3)
    assert list(tmp_path.iterdir()) == []


def test_every_mirror_is_tried_once_and_named(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        unused = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    with pytest.raises(OSError, match="refused") as error:
        fetch(tmp_path / "file.gz", server.url + "missing", unused, server.url + "broken")
    assert "404" in str(error.value) and "500" in str(error.value)
    assert server.paths == ["/missing", "/broken"]


def test_an_older_file_stays_when_the_download_fails(server, tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(b"older")
    with pytest.raises(OSError, match="404"):
        fetch(path, server.url + "missing")
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "data:,x"])
def test_only_http(tmp_path, url):
    with pytest.raises(ValueError, match="wanted an http or https address"):
        fetch(tmp_path / "file.gz", url)


def test_an_unwritable_place_is_no_fault_of_the_mirror(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        fetch(tmp_path / "file" / "x.gz", server.url + "good")


def test_two_processes_at_once(server, tmp_path):
    context = multiprocessing.get_context("spawn")
    path = tmp_path / "file.gz"
    processes = [context.Process(target=fetch, args=(path, server.url + "good")) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert path.read_bytes() == PACKED
    assert list(tmp_path.iterdir()) == [path]
