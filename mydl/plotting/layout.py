"""Where the nodes of a directed graph go on a page: levels from top to bottom, few crossings, no overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["layered"]

SWEEPS = 12  # passes down and up that untangle the order and straighten the edges; more change nothing visible


def layered(widths: Sequence[float], edges: Sequence[tuple[int, int]]) -> tuple[list[float], list[int], list[list]]:
    """The layered drawing of Sugiyama, Tagawa and Toda (1981) for graphs without cycles.

    A node's level is one below the lowest of those with edges to it; one that has none stands right above the first
    that it leads to. An edge that passes levels gets a place in each, so that nothing else stands in its way.

    Args:
        widths: how wide each node is, the gap to its neighbour included.
        edges: pairs of node numbers, from and to.

    Returns:
        x of each node's centre, its level (0 is the top), and for each edge the points (x, level) that it passes,
        both ends included.

    Raises:
        ValueError: the graph has a cycle.

    Example:
        >>> x, level, paths = layered([1, 1, 1], [(0, 1), (1, 2), (0, 2)])
        >>> level, len(paths[2])
        ([0, 1, 2], 3)
    """
    level = _levels(len(widths), edges)
    wide, places, hops = list(widths), list(level), []
    for start, end in edges:
        chain = [start]
        for passed in range(level[start] + 1, level[end]):
            chain.append(len(wide))
            wide.append(min(widths) / 2)
            places.append(passed)
        hops.append([*chain, end])
    above: list[list[int]] = [[] for _ in wide]
    below: list[list[int]] = [[] for _ in wide]
    for chain in hops:
        for one, next_one in pairwise(chain):
            below[one].append(next_one)
            above[next_one].append(one)
    rows: list[list[int]] = [[] for _ in range(max(places, default=-1) + 1)]
    for node in _depth_first(above, hops):
        rows[places[node]].append(node)

    x = [0.0] * len(wide)
    for row in rows:
        _spread(row, x, wide)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else rows[::-1]:
            for node in row:
                near = above[node] if down else below[node]
                x[node] = sum(x[other] for other in near) / len(near) if near else x[node]
            if sweep < SWEEPS - 4:  # the last sweeps keep the order and move nodes under their neighbours
                row.sort(key=x.__getitem__)
            _spread(row, x, wide)
    return x[: len(widths)], level, [[(x[node], places[node]) for node in chain] for chain in hops]


def _levels(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for start, end in edges:
        after[start].append(end)
        waiting[end] += 1
    roots = [node for node in range(count) if not waiting[node]]
    level, ready, done = [0] * count, list(roots), 0
    while ready:
        node = ready.pop()
        done += 1
        for end in after[node]:
            level[end] = max(level[end], level[node] + 1)
            waiting[end] -= 1
            if not waiting[end]:
                ready.append(end)
    if done < count:
        raise ValueError(f"layered: found a cycle among {count - done} of {count} nodes; wanted a graph without")
    for node in roots:
        level[node] = min((level[end] for end in after[node]), default=1) - 1
    return level


def _depth_first(above: list[list[int]], hops: list[list[int]]) -> list[int]:
    """All nodes, those that a node comes from close before it: a first order with few crossings."""
    order: list[int] = []
    seen: set[int] = set()
    last = {chain[-1] for chain in hops} - {chain[0] for chain in hops}
    stack = [*range(len(above)), *sorted(last)]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            order.append(node)
            stack += above[node][::-1]
    return order


def _spread(row: list[int], x: list[float], widths: list[float]) -> None:
    """Move the nodes of a row apart where they overlap: halfway between pushing all right and pushing all left."""
    right, left = [x[node] for node in row], [x[node] for node in row]
    for i in range(1, len(row)):
        gap = (widths[row[i - 1]] + widths[row[i]]) / 2
        right[i] = max(right[i], right[i - 1] + gap)
    for i in range(len(row) - 2, -1, -1):
        gap = (widths[row[i + 1]] + widths[row[i]]) / 2
        left[i] = min(left[i], left[i + 1] - gap)
    for node, one, other in zip(row, right, left):
        x[node] = (one + other) / 2
