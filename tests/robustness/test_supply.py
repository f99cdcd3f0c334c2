"""What installs and imports, in processes of their own."""

from __future__ import annotations

import pytest

from scripts.robustness_tools.supply import supply


@pytest.mark.slow
def test_imports_archives_and_types():
    tally = supply()
    assert tally.tried >= 4 and tally.lost == []
