"""The report is one file that asks for nothing; a browser opens it, draws it, and lets nothing of a run's names run."""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import mydl
from mydl.history import History
from scripts import report
from scripts.answers import answers_of
from scripts.plot import figures
from scripts.runs import open_run
from tests.browser import Browser

EVIL = '</script><script>document.title="owned"</script><img src=x onerror="document.title=1">'


class Parts(HTMLParser):
    """The elements of a page, and the text of those with an id or of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.policy, self.texts, self.now = "", {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.now = given.get("id", tag)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_endtag(self, tag):
        self.now = ""

    def handle_data(self, text):
        self.texts[self.now] = self.texts.get(self.now, "") + text


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    """A report of two runs, one of whose classes has an evil name, as has its folder."""
    folder = tmp_path_factory.mktemp("report")
    plain, evil = (shutil.copytree(finished, folder / name) for name in ("plain", "<b onclick=x>&amp;"))
    weights = evil / "best.safetensors"
    metadata = mydl.load_metadata(weights)
    data = json.loads(metadata["data"])
    data["classes"][3] = EVIL
    mydl.save(mydl.load(weights), weights, {**metadata, "data": json.dumps(data)})
    history = (evil / "history.csv").read_text().splitlines()
    history[1] = re.sub(r"^1,[^,]*", "1,nan", history[1])
    (evil / "history.csv").write_text("\n".join(history) + "\n")

    def renamed(run, data_dir=None):  # the test set's own names are the plain ones
        return answers_of(run._replace(data={**run.data, "classes": [str(n) for n in range(10)]}), data_dir)

    def fewer(run, *given):  # the time goes into drawing; the run whose names are hard to draw has them all
        return itertools.islice(figures(run, *given), None if run.folder == evil else 3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "answers_of", renamed)
        patch.setattr(report, "figures", fewer)
        report.main([str(plain), str(evil), "--out", str(folder / "report.html"), "--threads", "1"])
    return folder / "report.html"


def test_the_page_holds_the_runs_numbers(written, finished):
    parts = Parts(written.read_text(encoding="utf-8"))
    content = json.loads(parts.texts["data"])
    plain, evil = content["runs"]
    history = History.read(finished / "history.csv")
    assert plain["history"] == history.rows and evil["history"][0]["train_loss"] == "NaN"
    assert plain["best"] == max(history["val_accuracy"]) and plain["epochs"] == 2
    assert plain["parameters"] == 784 * 32 + 32 + 32 * 10 + 10
    seen = answers_of(open_run(finished))
    assert plain["test_accuracy"] == (seen.predicted == seen.labels).mean()
    row = plain["classes"][4]
    assert row["images"] == (seen.labels == 4).sum() and row["recall"] == (seen.predicted[seen.labels == 4] == 4).mean()
    assert row["precision"] == (seen.labels[seen.predicted == 4] == 4).mean()
    assert evil["classes"][3]["class"] == EVIL
    assert plain["settings"]["hidden"] == [32]
    assert {"confusion", "network", "latent"} <= {figure["name"] for figure in evil["figures"]}


def test_nothing_in_the_page_leads_outside(written):
    text = written.read_text(encoding="utf-8")
    parts = Parts(text)
    assert parts.tags.count("script") == 2 and not {"link", "img", "iframe", "b"} & set(parts.tags)
    assert "default-src 'none'" in parts.policy and "'unsafe-inline'" not in parts.policy
    assert report._hash(parts.texts["script"]) in parts.policy and report._hash(parts.texts["style"]) in parts.policy
    without_data = text.replace(parts.texts["data"], "")
    assert re.findall(r"(?:https?:)?//[\w.]+", without_data) == ["http://www.w3.org"]  # the name of SVG's namespace


def test_in_a_browser(written, tmp_path):
    with Browser(tmp_path) as page:
        page.open(written.as_uri())
        assert page.evaluate("document.title").startswith("mydl report: ")
        assert page.errors == []
        assert [url for url in page.requests if not url.startswith("data:")] == [written.as_uri()]
        assert page.evaluate("document.scripts.length") == 2
        assert page.evaluate("document.querySelectorAll('b, [onclick], [onerror]').length") == 0
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 100)")
        assert page.evaluate("document.images.length") == 1 + 11
        assert EVIL in page.evaluate("document.body.innerText")

        # A curve tells its numbers where one points.
        x, y = page.middle(".chart svg")
        page.mouse("mouseMoved", x + 40, y)
        assert page.evaluate("document.querySelector('.tip').innerText").startswith("epoch 2\n")
        assert page.evaluate("document.querySelectorAll('.chart')[1].querySelectorAll('polyline').length") == 4
        page.click(".legend button")
        assert page.evaluate("document.querySelectorAll('.chart')[1].querySelectorAll('polyline').length") == 2

        # Tables sort, numbers as numbers, both ways.
        head = "[...document.querySelectorAll('h3')].find((h) => h.innerText.startsWith('Layers')).nextElementSibling"
        column = f"[...{head}.querySelectorAll('tbody tr')].map((row) => row.children[3].innerText)"
        before = page.evaluate(column)
        for order in (1, -1):
            page.evaluate(f"{head}.querySelectorAll('th button')[3].click()")
            numbers = [int(cell.replace(",", "")) for cell in page.evaluate(column)]
            assert numbers == sorted(numbers)[::order] and len(numbers) == len(before) and numbers[0] != numbers[-1]

        # A policy that lets no other script run, were one to get in.
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.owned = 1'}))"
        )
        assert page.evaluate("window.owned") is None and "Content Security Policy" in page.errors[-1]

        with Image.open(io.BytesIO(page.screenshot())) as picture:
            assert picture.width == 1000 and picture.height > 2000
            thirds = np.array_split(np.asarray(picture.convert("L")), 3)
        assert all((np.bincount(third.ravel(), minlength=256) > 0).sum() > 50 for third in thirds)  # none is blank


def test_a_run_named_twice_is_there_once(run_copy, monkeypatch, capsys):
    monkeypatch.setattr(report, "figures", lambda *_: [])
    monkeypatch.chdir(run_copy.parent)
    report.main(["copy", str(run_copy), "copy/", "copy/best.safetensors"])
    assert capsys.readouterr().out.startswith("copy/report.html: 1 run, ")
    report.main(["copy/last.safetensors", "copy"])
    assert capsys.readouterr().out.startswith("copy/report.html: 2 runs, ")


def test_the_report_lies_in_the_first_run_and_is_whole_or_not_there(run_copy, refused, monkeypatch, capsys):
    monkeypatch.setattr(report, "figures", lambda *_: [])
    report.main([str(run_copy)])
    assert (run_copy / "report.html").is_file()
    assert capsys.readouterr().out.startswith(f"{run_copy}/report.html: 1 run, ")
    assert "nowhere" in refused(report, run_copy, "--out", run_copy / "nowhere" / "x.html")
    (run_copy / "config.json").unlink()
    assert "no config.json in it" in refused(report, run_copy)
