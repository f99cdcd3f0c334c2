"""What beginners get wrong: each mistake gets the message that the table says, and no other."""

from __future__ import annotations

import pytest

from scripts.robustness_tools.misuse import MISTAKES


def test_the_table_is_read_whole():
    assert len(MISTAKES) >= 150
    assert len({mistake.code for mistake in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: " ".join(mistake.code.split())[:60])
def test_mistake(mistake):
    assert mistake.fault() is None
