"""What beginners get wrong: each mistake gets an error that names the operation, what it found and what it wanted."""

from __future__ import annotations

from scripts.robustness_tools.misuse import MISTAKES, Mistake, misuse


def test_every_mistake_gets_its_message():
    assert misuse().lost == []


def test_the_table():
    assert len(MISTAKES) >= 150
    assert len({mistake.code for mistake in MISTAKES}) == len(MISTAKES)


def test_other_messages_are_noticed():
    right = Mistake("m.ones(2, 3) @ m.ones(2, 3)", "ValueError: MatMul: … 3 … 2")
    assert right.fault() is None
    for says in ("TypeError: MatMul: … 3", "ValueError: Add: … 3", "ValueError: MatMul: … 7"):
        assert "wanted" in right._replace(says=says).fault()
    assert "no error" in Mistake("m.ones(2)", "ValueError: x").fault()
