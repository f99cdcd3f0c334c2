"""The drawing page answers its own page alone, with what predict says of the same picture; driven in a browser."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
from itertools import pairwise
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image, ImageDraw

from scripts import draw, predict
from scripts.answers import answers_of
from scripts.runs import open_run
from tests.browser import Browser

SEVEN = [(80, 60), (200, 60), (130, 230)]


@pytest.fixture(scope="module")
def server(finished):
    run = open_run(finished)
    with draw.Server(0, draw.Seer(run, answers_of(run))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method, path, body=None, **headers):
    """Status and content of a reply."""
    port = server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True)
        sent = {"Host": f"127.0.0.1:{port}", **headers}
        if body is not None:
            sent.setdefault("Content-Length", str(len(body)))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def drawing() -> Image.Image:
    picture = Image.new("L", (280, 280), 255)
    pen = ImageDraw.Draw(picture)
    pen.line(SEVEN, fill=0, width=24)
    for x, y in SEVEN:
        pen.circle((x, y), 12, fill=0)
    return picture


def test_the_answer_is_that_of_predict(server, finished, tmp_path, capsys):
    status, content = ask(server, "POST", "/answer", drawing().tobytes())
    assert status == 200
    found = json.loads(content)
    drawing().save(tmp_path / "seven.png")
    predict.main([str(finished), str(tmp_path / "seven.png"), "--json", "--no-figures"])
    (said,) = json.loads(capsys.readouterr().out)
    names, shares = zip(*found["probabilities"], strict=True)
    assert list(names) == list(said["probabilities"])
    np.testing.assert_allclose(shares, list(said["probabilities"].values()), rtol=1e-4, atol=1e-6)
    assert [layer["title"] for layer in found["layers"]] == [
        "layers.1: 32 units", "layers.2: 32 units", "layers.3: 10 units",
    ]  # fmt: skip
    assert (found["input"]["width"], found["input"]["height"]) == (28, 28)


def test_the_nearest_mistakes_are_wrong_and_nearest(server):
    seer = server.seer
    _, content = ask(server, "POST", "/answer", drawing().tobytes())
    image = seer.as_trained(np.asarray(drawing()))
    hidden = seer.run.model.layers[:-1](seer.prepare(image[None])).detach().numpy()
    distances = {
        i: np.square(seer.seen.features[i] - hidden[0]).sum()
        for i in range(len(seer.seen.labels)) if seer.seen.probabilities[i].argmax() != seer.seen.labels[i]
    }  # fmt: skip
    nearest = sorted(distances, key=distances.__getitem__)[:6]
    shown = [(mistake["label"], mistake["predicted"]) for mistake in json.loads(content)["mistakes"]]
    assert shown == [(str(seer.seen.labels[i]), str(seer.seen.probabilities[i].argmax())) for i in nearest]
    assert all(label != predicted for label, predicted in shown)


def test_the_page_is_there_and_nothing_else(server):
    for path, kind in (("/", b"<!doctype html>"), ("/?strokes=1,2", b"<!doctype html>"), ("/draw.js", b'"use strict"')):
        status, content = ask(server, "GET", path)
        assert status == 200 and content.startswith(kind)
    assert json.loads(ask(server, "GET", "/run")[1])["images"] == 2000
    for path in ("/report.html", "/../draw.py", "/%2e%2e/draw.py", "//etc/passwd", "/answer"):
        assert ask(server, "GET", path)[0] == 404
    assert ask(server, "PUT", "/answer", b"x")[0] == 501


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": "evil.example:8000"}, {"Host": ""}, {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "https://127.0.0.1"},
    ],
    ids=str,
)  # fmt: skip
def test_other_sites_are_refused(server, headers):
    assert ask(server, "GET", "/run", **headers)[0] == 403
    assert ask(server, "POST", "/answer", drawing().tobytes(), **headers)[0] == 403


def test_drawings_of_another_size_are_refused_unread(server):
    assert ask(server, "POST", "/answer", b"x" * 10)[0] == 413
    assert ask(server, "POST", "/answer", b"", **{"Content-Length": str(10**12)})[0] == 413
    assert ask(server, "POST", "/answer", b"", **{"Content-Length": "-1"})[0] == 413
    assert ask(server, "POST", "/answer")[0] == 413
    status, content = ask(server, "POST", "/answer", b"\xff" * 280 * 280)
    assert status == 400 and b"nothing in the picture" in content


def test_in_a_browser(server, tmp_path):
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    with Browser(tmp_path) as page:
        page.open(address)
        assert page.evaluate("document.title") == "mydl: draw a digit"
        page.wait_for("document.querySelector('#run').innerText.includes('2,000 test images')")
        assert "empty" in page.evaluate("document.querySelector('#answer').innerText")

        x, y = page.middle("#paper")
        place = [(x - 140 + px, y - 140 + py) for px, py in SEVEN]
        page.mouse("mousePressed", *place[0])
        for (x0, y0), (x1, y1) in pairwise(place):
            for step in range(1, 6):
                page.mouse("mouseMoved", x0 + (x1 - x0) * step / 5, y0 + (y1 - y0) * step / 5)
        page.mouse("mouseReleased", *place[-1])
        page.wait_for("!busy && document.querySelectorAll('.bar').length === 10")

        # The page shows what the server says of the pixels on its paper, which are those of the strokes.
        pixels = np.array(page.evaluate("[...pen.getImageData(0, 0, 280, 280).data.filter((_, i) => i % 4 === 0)]"))
        assert np.mean(np.abs(pixels.reshape(280, 280) - np.asarray(drawing(), float)) > 128) < 0.01
        wanted = server.seer.look(pixels.astype(np.uint8).reshape(280, 280))
        name, share = max(wanted["probabilities"], key=lambda pair: pair[1])
        answer = page.evaluate("document.querySelector('#answer').innerText")
        assert answer.split() == [name, f"({100 * share:.1f}%)"]
        assert page.evaluate("document.querySelectorAll('#mistakes figure').length") == 6
        assert page.evaluate("document.querySelectorAll('#layers canvas').length") == 3

        # The address is a link to the drawing, and nonsense in it harms nobody.
        link = page.evaluate("location.href")
        page.open("about:blank")
        page.open(link)
        assert (
            page.wait_for("!busy && document.querySelector('.bar') && document.querySelector('#answer').innerText")
            == answer
        )
        page.click("#clear")
        page.wait_for("document.querySelectorAll('.bar').length === 0 && location.search === ''")
        page.open(address + "?strokes=" + quote("140,140;<img src=x>,1;9e999,2;,;"))
        page.wait_for("!busy && document.querySelectorAll('.bar').length === 10")
        assert page.evaluate("strokes") == [[[140, 140]]]
        assert page.errors == []
        assert all(url.startswith((address, "data:", "about:")) for url in page.requests)


def test_a_port_in_use_and_a_wrong_one(refused, finished, data_dir):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"--port {port}: Address already in use" in refused(draw, finished, "--port", port)
    assert "wanted a number from 0 to 65535" in refused(draw, finished, "--port", "70000")


def test_ctrl_c_ends_it(start, finished, said):
    code = "from scripts import draw; from scripts.command_line import run; run(draw.main, 'draw')"
    process = start(code, finished, "--port", "0", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = process.stdout.readline()
    assert line.startswith("open http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip(), said(err)) == (0, "ended", [])
