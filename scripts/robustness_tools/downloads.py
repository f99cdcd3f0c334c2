"""Downloads from mirrors that misbehave at random: one that serves gives the file, none gives a clear error."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from unittest import mock

from mydl.data.download import download
from scripts.robustness_tools.tally import Effort, Tally

__all__ = ["downloads"]

CONTENT = b"the right content " * 500
PACKED = gzip.compress(CONTENT, mtime=0)
SUM = hashlib.sha256(CONTENT).hexdigest()
TIMEOUTS = (0.3, 10.0)  # the second where a good mirror did not serve: a busy machine is slow to answer
NOT_SERVED = "no mirror was good enough"

BAD = ("404", "500", "cut", "wrong", "damaged", "html", "bomb", "ten-times", "endless", "file", "ftp", "round", "reset",
       "garbage", "empty", "silent", "drip", "headers")  # fmt: skip
GOOD = ("good", "plain", "unannounced", "moved", "longer")


class _Mirror(http.server.BaseHTTPRequestHandler):
    """Answers as the first part of the path says; the second part is the seed of its chances."""

    def do_GET(self) -> None:
        _, how, seed, *_ = self.path.split("/")
        with contextlib.suppress(OSError):  # the client may have had enough
            self.answer(how, Random(seed))

    def send(self, body: bytes, length: int | None = None, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer(self, how: str, random: Random) -> None:
        some = random.randrange(10, len(PACKED))  # behind the header, whose time and system mean nothing
        match how:
            case "good":
                self.send(PACKED, len(PACKED))
            case "plain":
                self.send(CONTENT, len(CONTENT))
            case "unannounced":
                self.send(PACKED)
            case "moved":
                self.send(b"", 0, 302, Location=f"/good/{random.random()}")
            case "404" | "500":
                self.send(b"no", 2, int(how))
            case "cut":
                self.send(PACKED[:some], random.choice((None, len(PACKED))))
            case "wrong":
                self.send(gzip.compress(random.randbytes(len(CONTENT))))
            case "damaged":
                self.send(PACKED[:some] + bytes([PACKED[some] ^ 255]) + PACKED[some + 1 :], len(PACKED))
            case "html":
                self.send(b"<html>please log in</html>", 26)
            case "bomb":
                self.send(gzip.compress(bytes(8 << 20)))
            case "ten-times":
                self.send(CONTENT * 10, random.choice((None, len(CONTENT) * 10)))
            case "longer":
                self.send(PACKED + random.randbytes(50), len(PACKED))  # what was not announced is not read
            case "endless":
                self.send(b"")
                while True:
                    self.wfile.write(bytes(1 << 16))
            case "file" | "ftp" | "round":
                places = {"file": "file:///etc/hostname", "ftp": "ftp://127.0.0.1/x", "round": self.path}
                self.send(b"", 0, 302, Location=places[how])
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            case "garbage":
                self.wfile.write(random.randbytes(200) + b"\r\n\r\n")
            case "headers":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n")
            case "silent":
                self.server.stopped.wait(2)  # type: ignore[attr-defined]
            case "drip":
                self.send(b"")
                for byte in CONTENT:
                    self.wfile.write(bytes([byte]))
                    if self.server.stopped.wait(0.03):  # type: ignore[attr-defined]
                        return

    def log_message(self, *args: object) -> None:
        """Nothing: the tally says what happened."""


@contextlib.contextmanager
def _server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Mirror) as server:
        server.stopped = threading.Event()  # type: ignore[attr-defined]
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with mock.patch.dict("os.environ", {"no_proxy": "127.0.0.1"}):
                yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.stopped.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()


def downloads(effort: Effort, folder: Path) -> Tally:
    """One to four mirrors in a row, each of which may misbehave; now and then two downloads of one file at once."""
    tally = Tally("downloads", "mirrors that misbehave, up to four in a row, two downloads at once")
    with _server() as address, ThreadPoolExecutor(2) as pool:
        for number, random in effort:
            path = folder / "file.gz"
            ways = [random.choice((*BAD, *BAD, *GOOD)) for _ in range(random.randrange(1, 5))]
            tally.faults += sum(way in BAD for way in ways) or 1
            urls = [f"{address}/{way}/{random.random()}" for way in ways]
            at_once = random.choice((1, 1, 2))
            for timeout in TIMEOUTS:
                jobs = [pool.submit(_fault, urls, path, ways, timeout) for _ in range(at_once)]
                faults = [fault for fault in (job.result() for job in jobs) if fault]
                if not any(NOT_SERVED in fault for fault in faults):
                    break
            left = [each.name for each in folder.iterdir() if each != path]
            if left:
                faults.append(f"{left} stayed behind")
            path.unlink(missing_ok=True)
            for fault in faults[:1]:
                tally.lose(f"seed {effort.seed}, download {number}, {', '.join(ways)}: {fault}")
    return tally


def _fault(urls: list[str], path: Path, ways: list[str], timeout: float) -> str | None:
    try:
        download(urls, path, sha256=SUM, content_bytes=len(CONTENT), timeout=timeout, progress=False)
    except OSError as error:
        if set(ways) & set(GOOD):
            return f"{NOT_SERVED}: {error}"
        missing = [url for url in urls if url not in str(error)]
        return f"the error does not name {missing}: {error}" if missing else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if not set(ways) & set(GOOD):
        return "a file came of it"
    return None if path.read_bytes() in (PACKED, CONTENT) else "the file is not whole"
