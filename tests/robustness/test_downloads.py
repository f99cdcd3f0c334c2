"""Downloads from several mirrors, each of which may misbehave."""

from __future__ import annotations

import pytest

from mydl.data import download as module
from scripts.robustness_tools.downloads import downloads
from scripts.robustness_tools.tally import Effort


def test_some(tmp_path):
    tally = downloads(Effort(8), tmp_path)
    assert tally.faults >= 8 and tally.lost == []


@pytest.mark.slow
def test_more(tmp_path):
    assert downloads(Effort(150, seed=1), tmp_path).lost == []


def test_content_that_is_not_checked_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_check_content", lambda path, sha256, content_bytes: None)
    assert any("a file came of it" in text or "not whole" in text for text in downloads(Effort(15), tmp_path).lost)
