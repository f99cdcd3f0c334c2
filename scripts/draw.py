"""Serve a page on this machine where one draws a digit and sees, live, what a trained model makes of it.

    python -m scripts.draw results/mlp-mnist        then open http://127.0.0.1:8000

The page shows the probability of each class, the test images nearest to the drawing that the model got wrong, and
what its layers give out. It is plain HTML and JavaScript (scripts/web) and asks this program alone.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

import mydl
from mydl import plotting
from mydl.data.transforms import Resize
from scripts.answers import Answers, answer, answers_of, short_names
from scripts.command_line import CommandLine, run
from scripts.predict import LAYOUTS, as_trained
from scripts.runs import Run, open_run

HOST = "127.0.0.1"
SIDE = 280  # of the drawing, whose grey values the page sends as bytes, row by row
NEAREST = 6  # mistakes to show
CHANNELS = 12  # of each layer
WEB = Path(__file__).parent / "web"
PAGES = {
    "/": ("draw.html", "text/html; charset=utf-8"),
    "/draw.js": ("draw.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'"


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("draw", "Serve a page on this machine on which one draws what a model then names.")
    add = parser.add_argument
    add("run", metavar="RUN", help="a run's folder, as train_model made it")
    add("--port", metavar="N", type=int, default=8000, help="where to listen on 127.0.0.1; 0 for any that is free")
    parser.add_common("--data-dir", "--weights", "--threads")
    settings = parser.parse_args(argv)
    if not 0 <= settings.port < 2**16:
        parser.error(f"--port {settings.port}: wanted a number from 0 to 65535")
    return settings


class Seer:
    """A model that looks at drawings, one at a time, and remembers its mistakes on the test set."""

    def __init__(self, trained: Run, seen: Answers) -> None:
        self.run = trained
        self.prepare = seen.dataset.prepare
        self.classes = short_names(trained.data["classes"])
        self.wrong = np.flatnonzero(seen.predicted != seen.labels)
        self.seen = seen
        self.lock = threading.Lock()  # requests come in threads of their own; the model serves one

    def summary(self) -> dict[str, Any]:
        """What the page says of the model."""
        accuracy = 1 - len(self.wrong) / len(self.seen.labels)
        return {"name": str(self.run.folder), "accuracy": accuracy, "images": len(self.seen.labels)}

    def look(self, drawing: np.ndarray) -> dict[str, Any]:
        """All that the page shows of a drawing, uint8 (SIDE, SIDE), black on white; ValueError if it is empty."""
        image = self.as_trained(drawing)
        with self.lock:
            inputs = self.prepare(image[None])
            (probabilities,), (features,) = answer(self.run.model, inputs)
            layers = plotting.layer_outputs(self.run.model, inputs)
        distance = np.linalg.norm(self.seen.features[self.wrong] - features, axis=1)
        nearest = self.wrong[distance.argsort(kind="stable")[:NEAREST]]
        return {
            "probabilities": [[name, float(share)] for name, share in zip(self.classes, probabilities, strict=True)],
            "input": _grey(image if image.ndim == 2 else image.mean(axis=2)),
            "mistakes": [self._mistake(index) for index in nearest],
            "layers": [_layer(name, values.numpy()[0]) for name, values in layers.items()],
        }

    def as_trained(self, drawing: np.ndarray) -> np.ndarray:
        """The drawing as a uint8 image like those that the model was trained on: in their size, bright on dark
        where they are, digits centred as MNIST's.
        """
        layout = LAYOUTS.get(self.run.data["name"])
        if layout is not None:
            image, _ = as_trained(drawing, layout, invert="yes")
            return image if image.shape == self.prepare.size else Resize(self.prepare.size)(image)
        image = Resize(self.prepare.size)(drawing)
        if self.run.data["preparation"].get("background") == "dark":
            image = 255 - image
        return image if self.prepare.channels == 1 else np.repeat(image[..., None], 3, axis=2)

    def _mistake(self, index: int) -> dict[str, Any]:
        picture = self.seen.pictures[index]
        return {
            "picture": _grey(picture if picture.ndim == 2 else picture.mean(axis=0)),
            "label": self.classes[self.seen.labels[index]],
            "predicted": self.classes[self.seen.predicted[index]],
        }


def _layer(name: str, values: np.ndarray) -> dict[str, Any]:
    """A layer's first channels, or its units as one picture that is as square as their number allows."""
    if values.ndim == 3:
        title = f"{name}: {min(CHANNELS, len(values))} of {len(values)} channels, {values.shape[1]} × {values.shape[2]}"
        return {"title": title, "maps": [_stretched(channel) for channel in values[:CHANNELS]]}
    units = values.reshape(-1)
    height = max(number for number in range(1, math.isqrt(units.size) + 1) if units.size % number == 0)
    return {"title": f"{name}: {units.size} units", "maps": [_stretched(units.reshape(height, -1))]}


def _stretched(values: np.ndarray) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    return _grey((values - low) * (255 / (high - low) if high > low else 0))


def _grey(picture: np.ndarray) -> dict[str, Any]:
    """A picture of values from 0 to 255 for the page's JavaScript."""
    pixels = np.rint(picture).astype(np.uint8)
    return {"width": pixels.shape[1], "height": pixels.shape[0], "pixels": base64.b64encode(pixels.tobytes()).decode()}


class Handler(BaseHTTPRequestHandler):
    """Answers the page's requests, and those of no other page.

    A web site could have its name point to 127.0.0.1 and ask from a visitor's browser; such a request names that
    site in its Host or Origin, and is refused.
    """

    timeout = 10  # seconds that a connection may keep its thread waiting
    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not self._is_ours():
            return
        if path == "/run":
            self._reply_json(self.server.seer.summary())
        elif path in PAGES:
            name, kind = PAGES[path]
            self._reply(HTTPStatus.OK, kind, (WEB / name).read_bytes())
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "no such page")

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        if self.path != "/answer":
            self._refuse(HTTPStatus.NOT_FOUND, "no such page")
        elif self.headers["Content-Length"] != str(SIDE * SIDE):
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"wanted a drawing of {SIDE * SIDE} bytes")
        elif len(body := self.rfile.read(SIDE * SIDE)) == SIDE * SIDE:
            try:
                seen = self.server.seer.look(np.frombuffer(body, np.uint8).reshape(SIDE, SIDE))
            except ValueError as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            else:
                self._reply_json(seen)

    def _is_ours(self) -> bool:
        port = self.server.server_address[1]
        hosts = (f"{HOST}:{port}", f"localhost:{port}")
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in hosts and (origin is None or origin in {f"http://{host}" for host in hosts}):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "this page is for the browser on this machine")
        return False

    def _reply_json(self, content: dict[str, Any]) -> None:
        self._reply(HTTPStatus.OK, "application/json", json.dumps(content).encode())

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # what else was sent is not read
        self._reply(status, "text/plain; charset=utf-8", reason.encode())

    def _reply(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for each change of a drawing helps nobody."""


class Server(ThreadingHTTPServer):
    """The program behind the page, on 127.0.0.1."""

    daemon_threads = True

    def __init__(self, port: int, seer: Seer) -> None:
        self.seer = seer
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise OSError(f"--port {port}: {error.strerror}; --port 0 takes one that is free") from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing where the browser has gone before its answer; the traceback of any other error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main(argv: list[str] | None = None) -> None:
    settings = read_settings(argv)
    if settings.threads:
        mydl.set_num_threads(settings.threads)
    trained = open_run(settings.run, settings.weights)
    with Server(settings.port, Seer(trained, answers_of(trained, settings.data_dir))) as server:
        try:
            print(f"open http://{HOST}:{server.server_address[1]} in a browser; Ctrl-C ends this")
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended")


if __name__ == "__main__":
    run(main, "draw")
