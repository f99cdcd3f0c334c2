"""What installs and imports, in processes of their own."""

from __future__ import annotations

import socket
import urllib.request

import pytest

from scripts.robustness_tools.supply import supply


@pytest.mark.slow
def test_imports_archives_and_types():
    tally = supply()
    assert tally.tried >= 4 and tally.lost == []


def test_tests_that_reach_for_the_network_are_noticed():
    with pytest.raises(RuntimeError, match=r"reaches for the network: 'example\.com'"):
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://example.com/")
    with socket.socket() as stranger, pytest.raises(RuntimeError, match=r"reaches for the network: '192\.0\.2\.1'"):
        stranger.connect(("192.0.2.1", 80))
