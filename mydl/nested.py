"""Nested dicts, lists and tuples as a flat dict of tensors and one text that says how they fit together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mydl.tensor import MyTensor

__all__ = ["Damaged", "flatten", "restore"]


class Damaged(ValueError):
    """What was found in a file and what was wanted; whoever reads the file puts its name before it."""


_PLAIN = (str, int, float, bool, type(None))  # what the text holds itself


def flatten(value: Any) -> tuple[dict[str, Any], str]:
    """The tensors and arrays in `value` under names made of their keys, and the structure around them.

    Raises TypeError, naming the place, for anything but dicts, lists, tuples, tensors, arrays, text, numbers,
    booleans and None.

    >>> tensors, structure = flatten({"epoch": 3, "model": {"weight": np.zeros(2)}})
    >>> list(tensors), restore(tensors, structure)
    (['model.weight'], {'epoch': 3, 'model': {'weight': array([0., 0.])}})
    """
    tensors: dict[str, Any] = {}

    def described(node: Any, place: str, depth: int) -> Any:
        """JSON for one node: a plain value, or a list that begins with what the node is."""
        if depth > 100:
            raise ValueError(f"save: '{place[:60]}…' lies more than 100 levels deep; wanted fewer")
        if isinstance(node, (MyTensor, np.ndarray)) or (isinstance(node, np.generic) and type(node) not in _PLAIN):
            name, number = place or "value", 2
            while name in tensors:  # {"a": {"b": …}, "a.b": …}
                name, number = f"{place}~{number}", number + 1
            tensors[name] = node
            return ["tensor", name]
        if type(node) in _PLAIN:
            return node
        if isinstance(node, Mapping):
            if not all(type(key) in _PLAIN for key in node):
                key = next(key for key in node if type(key) not in _PLAIN)
                raise TypeError(f"save: the key {key!r} is a {type(key).__name__}; wanted text or a number")
            pairs = [
                [key, described(item, f"{place}.{key}" if place else str(key), depth + 1)] for key, item in node.items()
            ]
            return ["dict", *pairs]
        if isinstance(node, list | tuple):
            items = [described(item, f"{place}.{i}" if place else str(i), depth + 1) for i, item in enumerate(node)]
            return ["tuple" if isinstance(node, tuple) else "list", *items]
        if hasattr(node, "state_dict"):
            raise TypeError(f"save: {place or 'it'!r} is a {type(node).__name__}; save its .state_dict()")
        raise TypeError(
            f"save: '{place}' is a {type(node).__name__}; wanted a MyTensor, an array, text, a number, a boolean, "
            "None, or a dict, list or tuple of such"
        )

    return tensors, json.dumps(described(value, "", 0))


def restore(tensors: Mapping[str, Any], structure: str) -> Any:
    """What `flatten` took apart. Raises Damaged if the text and the tensors are no such pair."""
    unused = set(tensors)

    def built(node: Any) -> Any:
        if not isinstance(node, list):
            return node
        match node:
            case ["tensor", str(name)] if name in unused:
                unused.remove(name)
                return tensors[name]
            case ["dict", *pairs] if all(isinstance(p, list) and len(p) == 2 and type(p[0]) in _PLAIN for p in pairs):
                return {key: built(item) for key, item in pairs}
            case ["list", *items]:
                return [built(item) for item in items]
            case ["tuple", *items]:
                return tuple(built(item) for item in items)
        raise Damaged(f"found a structure with {str(node)[:60]}; wanted that of the tensors beside it")

    try:
        value = built(json.loads(structure))
    except RecursionError as error:
        raise Damaged("found a structure nested too deeply; wanted at most 100 levels") from error
    if unused:
        raise Damaged(f"found the tensor '{min(unused)}' nowhere in the structure; wanted each in one place")
    return value
