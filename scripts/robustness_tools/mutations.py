"""Files with something wrong with them: changes to bytes, to text and to what JSON holds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

__all__ = ["mutated", "mutated_json", "mutated_text"]

# Sizes and counts that overflow, wrap around or ask for too much.
NUMBERS = (0, 1, 2, 3, 7, 8, 16, 64, 127, 128, 255, 256, 1000, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
LARGE = (*NUMBERS, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e308, float("nan"), float("inf"), "", "x",
    "..", "../../up", "/etc/passwd", "\0", "ä\ud800", "9" * 400, "x" * 5000, [], {}, [[]], [0], ["tensor", "x"],
    ["dict"], ["tuple", 1], {"": 0}, {"name": "mlp", "options": {}},
)  # fmt: skip


def mutated(random: random.Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """`content` with one to four faults: bits and bytes changed, sizes made absurd, parts cut, doubled or exchanged.

    >>> import random as r
    >>> mutated(r.Random(0), b"0123456789") != b"0123456789"
    True
    """
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        # Headers lie at the start and directories at the end: half of the faults go there.
        near = min(len(data), 64)
        place = random.choice((random.randrange(near + 1), len(data) - random.randrange(near + 1)))
        place = random.choice((place, random.randrange(len(data) + 1)))
        length = random.choice((1, 2, 4, 8, random.randrange(1, 65), random.randrange(1, len(data) + 2)))
        match random.randrange(9):
            case 0 if place < len(data):
                data[place] ^= 1 << random.randrange(8)
            case 1 if place < len(data):
                data[place] = random.choice((0, 1, 127, 128, 255, random.randrange(256)))
            case 2 | 3:
                width = random.choice((2, 4, 4, 8))
                number = random.choice(LARGE) % 256**width
                data[place : place + width] = number.to_bytes(width, random.choice(("big", "little")))
            case 4:
                del data[place : place + length]
            case 5:
                del data[place:]
            case 6:
                data[place:place] = data[place : place + length] * random.choice((1, 1, 2, 50))
            case 7:
                data[place:place] = random.randbytes(length)
            case 8:
                other = random.choice((content, *others))
                start = random.randrange(len(other) + 1)
                data[place : place + length] = other[start : start + length]
    return bytes(data)


def mutated_text(random: random.Random, text: str, words: Sequence[str]) -> str:
    """`text` with one to four faults, made of the words that its format is made of.

    >>> import random as r
    >>> mutated_text(r.Random(1), "a = 1", ["[", "]"]) != "a = 1"
    True
    """
    for _ in range(random.choice((1, 1, 2, 3, 4))):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice((0, 0, 1, 2, 5, 20, 200)))
        word = random.choice(
            (*words, "", "\0", "\n", "-", "9" * 30, "1e999", "nan", "\ud83d", "é", '"', text[start:end] * 2)
        )
        text = text[:start] + word * random.choice((1, 1, 1, 1, 3, 2000)) + text[end:]
    return text


def mutated_json(random: random.Random, value: Any, count: int = 0) -> Any:
    """Nested lists and dicts with one to three places exchanged for something else, left out or doubled.

    >>> import random as r
    >>> mutated_json(r.Random(0), {"a": [1, 2]}) != {"a": [1, 2]}
    True
    """
    for _ in range(count or random.choice((1, 1, 2, 3))):
        value = _changed(random, value)
    return value


def _changed(random: random.Random, value: Any) -> Any:
    """One change, at a random depth."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        match random.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, str(random.choice(VALUES))[:20]: random.choice(VALUES)}
            case 2:
                return {**value, key: value[random.choice(list(value))]}
        return {**value, key: _changed(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.9:
        place = random.randrange(len(value))
        match random.randrange(8):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return value[:place] + value[place:] * 2
            case 2:
                return random.sample(value, len(value))
        return [*value[:place], _changed(random, value[place]), *value[place + 1 :]]
    if random.random() < 0.05:
        for _ in range(random.choice((3, 99, 101, 250))):
            value = random.choice(([value], ["list", value]))
        return value
    if isinstance(value, int) and not isinstance(value, bool) and random.random() < 0.6:
        return random.choice((value + 1, -value, value * 2, random.choice(LARGE)))
    return random.choice(VALUES)
