"""A headless Chromium for the tests, driven by its own debugging protocol over two pipes: no package, no port."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60  # seconds for an answer; a loaded machine may be slow, a browser that hangs must not hang the tests

# Chromium reads commands from descriptor 3 and writes answers to 4; ours have other numbers.
LAUNCH = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)


def find() -> str:
    """The browser's path; the test is skipped where there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no browser: none of {', '.join(NAMES)} is on PATH (Debian: apt-get install chromium)")


class Browser:
    """One page of a headless browser; `errors` has what its console complained of, `requests` what it asked for."""

    def __init__(self, profile: Path, size: tuple[int, int] = (1000, 800)) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.events: list[str] = []
        self.sent = 0
        self.rest = b""
        browser = find()
        command_in, self.commands = os.pipe()
        self.answers, answers_out = os.pipe()
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (command_in, answers_out)]  # out of the way of 3 and 4
        flags = ["--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}", "--no-first-run"]
        flags += ["--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-background-networking"]
        flags += [f"--window-size={size[0]},{size[1]}", "--no-proxy-server", "about:blank"]
        if os.geteuid() == 0:
            flags.insert(0, "--no-sandbox")  # Chromium refuses root otherwise
        with open(profile / "stderr.txt", "wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, *map(str, fds), browser, *flags],
                pass_fds=fds, stdout=subprocess.DEVNULL, stderr=stderr, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        for fd in (command_in, answers_out, *fds):
            os.close(fd)
        self.session: str | None = None
        self.size = size

    def __enter__(self) -> Browser:
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
            width, height = self.size
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            self.call("Emulation.setDeviceMetricsOverride", **metrics)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, **parameters: Any) -> Any:
        """One command of the protocol and its answer."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.sent:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.answers], [], [], max(0, until - time.monotonic()))
            assert ready, f"the browser said nothing for {PATIENCE} s"
            part = os.read(self.answers, 1 << 20)
            assert part, f"the browser ended with status {self.process.wait()}"
            self.rest += part
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def _note(self, event: dict[str, Any]) -> None:
        what, details = event.get("method", ""), event.get("params", {})
        self.events.append(what)
        if what == "Runtime.exceptionThrown":
            self.errors.append(details["exceptionDetails"].get("exception", {}).get("description", str(details)))
        elif what == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert"):
            self.errors.append(str(details["args"]))
        elif what == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")
        elif what == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])

    def open(self, url: str) -> None:
        """Load a page, its pictures included."""
        self.events.clear()
        found = self.call("Page.navigate", url=url)
        assert "errorText" not in found, f"{url}: {found}"
        while "Page.loadEventFired" not in self.events:
            self._note(self._read())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, a promise's included."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """The value of an expression, once it is true."""
        until = time.monotonic() + PATIENCE
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < until, f"never came true: {expression}; errors: {self.errors}"
            time.sleep(0.05)
        return value

    def middle(self, selector: str) -> tuple[float, float]:
        """Where an element's middle is on the screen, after scrolling to it."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{element}.scrollIntoView({{block: 'center'}})")
        box = self.evaluate(
            f"(() => {{ const r = {element}.getBoundingClientRect(); return [r.x, r.y, r.width, r.height] }})()"
        )
        return box[0] + box[2] / 2, box[1] + box[3] / 2

    def mouse(self, kind: str, x: float, y: float) -> None:
        """A real event of the mouse: "mousePressed", "mouseMoved" or "mouseReleased" with the left button."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def click(self, selector: str) -> None:
        x, y = self.middle(selector)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def screenshot(self) -> bytes:
        """A PNG of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def close(self) -> None:
        """End the browser and all that it started."""
        self.session = None
        try:
            self.call("Browser.close")
            self.process.wait(PATIENCE)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
