"""The page that python -m scripts.robustness prints, and the figures that it writes."""

from __future__ import annotations

import json

import pytest

from scripts import robustness
from scripts.robustness_tools.tally import Effort, Tally


def test_the_page(tmp_path, capsys):
    out = tmp_path / "deep" / "robustness.json"
    robustness.main(["--minutes", "0.02", "--only", "threads", "misuse", "--seed", "3", "--out", str(out)])
    printed = capsys.readouterr().out
    written = json.loads(out.read_text())
    assert [row["kind"] for row in written["rows"]] == ["threads", "threads", "misuse"]
    assert written["seed"] == 3 and all(row["survived"] == row["tried"] + row["faults"] > 0 for row in written["rows"])
    misuse = written["rows"][2]
    assert f"| misuse | {misuse['what']} | {misuse['tried']} | | {misuse['tried']} | 0 |" in printed


def test_what_is_lost_is_said_and_ends_in_an_error(tmp_path, capsys, monkeypatch):
    def check(effort, folder):
        assert (effort.count, effort.seed) == (5, 0)
        tally = Tally("misuse", "a test", tried=3, faults=2)
        tally.lose("seed 0, input 2:\n  it broke")
        return tally

    monkeypatch.setitem(robustness.KINDS, "misuse", [(check, 5)])
    with pytest.raises(RuntimeError, match="1 of 5 inputs and faults were lost"):
        robustness.main(["--only", "misuse", "--out", str(tmp_path / "r.json")])
    printed = capsys.readouterr().out
    assert "| misuse | a test | 3 | 2 | 4 | 1 |" in printed and "lost: seed 0, input 2: it broke\n" in printed
    assert json.loads((tmp_path / "r.json").read_text())["rows"][0]["lost"] == ["seed 0, input 2: it broke"]


def test_every_kind_can_be_asked_for():
    assert list(robustness.KINDS) == [
        "properties", "numerics", "files", "downloads", "crashes", "threads", "memory", "misuse", "supply",
    ]  # fmt: skip


def test_an_effort_ends_with_its_time_and_its_count():
    assert len(list(Effort(7))) == 7
    assert list(Effort(7, seconds=-1)) == []
    (_, one), (_, other) = Effort(2, seed=4)
    assert one.random() == Effort(9, seed=4).turn(0).random() != other.random()
