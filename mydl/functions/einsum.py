"""einsum: sums of products by letters, carried out as batched matrix products, two operands at a time."""

from __future__ import annotations

from typing import Any

from mydl.functions.arguments import Tensor, require_tensor
from mydl.functions.linalg import contract
from mydl.ops.indexing import Diagonal
from mydl.ops.reduction import Sum
from mydl.ops.shape import Permute, Reshape

__all__ = ["einsum"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def einsum(*args: Any) -> Tensor:
    """The sum of products that an equation names, such as einsum("bij,bjk->bik", x, y).

    Each operand's dimensions have letters; those that the part after -> leaves out are summed over. Without -> the
    letters that appear once remain, in alphabetical order. `...` stands for any number of dimensions, which
    broadcast; a letter twice in one operand takes its diagonal. Operands are contracted from left to right.

    >>> import mydl
    >>> einsum("ij,jk->ik", mydl.ones(2, 3), mydl.ones(3, 2))
    tensor([[3., 3.],
            [3., 3.]])
    """
    equation, operands = _arguments(args)
    terms, result = _letters(equation, operands)
    prepared = [_diagonals(value, term) for value, term in zip(operands, terms)]
    prepared = _without_stretched(prepared, equation)
    value, term = prepared[0]
    for i, (right, right_term) in enumerate(prepared[1:], start=1):
        later = set(result).union(*(t for _, t in prepared[i + 1 :]))
        value, term = _contracted(value, term, right, right_term, later)
    value, term = _summed(value, term, set(result))
    return Permute.apply(value, axes=tuple(term.index(letter) for letter in result))


def _arguments(args: tuple) -> tuple[str, list]:
    """The equation and the operands, from either of einsum's two forms."""
    if not args:
        raise RuntimeError("einsum: wanted an equation and at least one operand")
    if isinstance(args[0], str):
        operands = args[1:]
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
        equation = args[0].replace(" ", "")
    else:  # operand, [0, 1], operand, [1, 2], …, [0, 2]

        def term(numbers: Any) -> str:
            return "".join("..." if n is Ellipsis else _LETTERS[n] for n in numbers)

        operands = args[:-1:2] if len(args) % 2 else args[::2]
        equation = ",".join(term(numbers) for numbers in args[1::2])
        if len(args) % 2:
            equation += "->" + term(args[-1])
    return equation, [require_tensor(operand, "einsum") for operand in operands]


def _letters(equation: str, operands: list) -> tuple[list[str], str]:
    """Each operand's letters and the result's, every dimension having one: ellipses are given letters of their own."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum: {equation!r} names {len(terms)} operands, got {len(operands)}")
    used = set(equation)
    spare = [chr(0x3B1 + i) for i in range(64) if chr(0x3B1 + i) not in used]
    longest, full = 0, []
    for term, operand in zip(terms, operands):
        named = term.replace("...", "")
        if not all(letter in _LETTERS for letter in named) or term.count("...") > 1:
            raise RuntimeError(f"einsum: wanted letters and at most one ... in {term!r} of {equation!r}")
        extra = operand.ndim - len(named)
        if extra < 0 or (extra and "..." not in term):
            raise RuntimeError(f"einsum: {term!r} of {equation!r} does not fit an operand of shape {operand.shape}")
        longest = max(longest, extra)
        full.append((term, extra))
    dots = spare[:longest]
    terms = [term.replace("...", "".join(dots[longest - extra :])) for term, extra in full]
    together = "".join(terms)
    if arrow:
        result = right.replace("...", "".join(dots))
    else:
        result = "".join(dots) + "".join(sorted(x for x in set(together) - set(dots) if together.count(x) == 1))
    if len(set(result)) != len(result) or not set(result) <= set(together):
        raise RuntimeError(f"einsum: the result of {equation!r} wants letters of the operands, each once")
    return terms, result


def _diagonals(value: Any, term: str) -> tuple[Any, str]:
    """The operand with each letter once: of a letter that it has twice, the diagonal."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            a = term.index(letter)
            b = term.index(letter, a + 1)
            if value.shape[a] != value.shape[b]:
                raise RuntimeError(f"einsum: {letter!r} has sizes {value.shape[a]} and {value.shape[b]} in one operand")
            value = Diagonal.apply(value, offset=0, axis1=a, axis2=b)
            term = term[:a] + term[a + 1 : b] + term[b + 1 :] + letter
    return value, term


def _without_stretched(prepared: list, equation: str) -> list:
    """Operands without the dimensions of size 1 that stand beside larger ones of the same letter."""
    sizes: dict[str, int] = {}
    for value, term in prepared:
        for letter, size in zip(term, value.shape):
            if sizes.setdefault(letter, size) == 1:
                sizes[letter] = size
            elif size not in (1, sizes[letter]):
                raise RuntimeError(f"einsum: {letter!r} has sizes {sizes[letter]} and {size} in {equation!r}")
    fitted = []
    for value, term in prepared:
        kept = [i for i, letter in enumerate(term) if value.shape[i] == sizes[letter]]
        if len(kept) < len(term):
            value = Reshape.apply(value, shape=tuple(value.shape[i] for i in kept))
            term = "".join(term[i] for i in kept)
        fitted.append((value, term))
    return fitted


def _summed(value: Any, term: str, needed: set) -> tuple[Any, str]:
    """The operand summed over the letters that nothing needs any more."""
    axes = tuple(i for i, letter in enumerate(term) if letter not in needed)
    if not axes:
        return value, term
    return Sum.apply(value, axis=axes), "".join(letter for letter in term if letter in needed)


def _contracted(a: Any, a_term: str, b: Any, b_term: str, later: set) -> tuple[Any, str]:
    """The product of two operands, summed over the letters that nothing later needs."""
    a, a_term = _summed(a, a_term, later | set(b_term))
    b, b_term = _summed(b, b_term, later | set(a_term))
    shared = [letter for letter in a_term if letter in b_term]
    batch = [letter for letter in shared if letter in later]
    summed = [letter for letter in shared if letter not in later]
    free_a = [letter for letter in a_term if letter not in b_term]
    free_b = [letter for letter in b_term if letter not in a_term]

    def places(letters: list, term: str) -> list:
        return [term.index(letter) for letter in letters]

    product = contract(
        a, b, places(batch, a_term), places(free_a, a_term), places(summed, a_term),
        places(batch, b_term), places(free_b, b_term), places(summed, b_term),
    )  # fmt: skip
    return product, "".join([*batch, *free_a, *free_b])
