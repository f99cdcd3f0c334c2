"""The layered layout: edges lead down, nothing overlaps, chains are straight."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mydl.plotting.layout import layered


def random_graph(seed: int, count: int) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    pairs = [pair for pair in itertools.combinations(range(count), 2) if rng.random() < 2.5 / count]
    return pairs


@pytest.mark.parametrize(("seed", "count"), [(0, 2), (1, 5), (2, 12), (3, 30), (4, 60)])
def test_edges_lead_down_and_boxes_do_not_overlap(seed, count):
    edges = random_graph(seed, count)
    widths = list(np.random.default_rng(seed).uniform(0.5, 3, count))
    x, level, paths = layered(widths, edges)
    longest = [0] * count  # the level by its definition, from the top; edges lead from lower to higher numbers
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        longest[end] = max(longest[end], longest[start] + 1)
    has_inputs = {end for _, end in edges}
    assert [level[n] for n in has_inputs] == [longest[n] for n in has_inputs]
    for (start, end), path in zip(edges, paths, strict=True):
        assert path[0] == (x[start], level[start]) and path[-1] == (x[end], level[end])
        assert [depth for _, depth in path] == list(range(level[start], level[end] + 1))
    for a, b in itertools.combinations(range(count), 2):
        if level[a] == level[b]:
            assert abs(x[a] - x[b]) >= (widths[a] + widths[b]) / 2 - 1e-9


def test_an_edge_that_passes_a_box_goes_round_it():
    x, level, paths = layered([2, 2, 2], [(0, 1), (1, 2), (0, 2)])
    (bend,) = [place for place, depth in paths[2] if depth == level[1]]
    assert abs(bend - x[1]) >= 1.4  # half of the box and half of the edge's own place


def test_a_chain_is_straight_and_deep():
    """A graph may be deeper than Python's stack."""
    x, level, _ = layered([1] * 3000, [(n, n + 1) for n in range(2999)])
    assert level == list(range(3000)) and max(x) - min(x) < 1e-9


def test_what_has_no_inputs_stands_right_above_what_it_leads_to():
    _, level, _ = layered([1] * 5, [(0, 1), (1, 2), (2, 3), (4, 3)])
    assert level == [0, 1, 2, 3, 2]


def test_crossings_are_untangled():
    """Two chains that were given crosswise come apart."""
    edges = [(0, 2), (1, 3), (2, 5), (3, 4), (5, 6), (4, 7)]
    x, _, _ = layered([1] * 8, edges)
    assert len({x[0] < x[1], x[2] < x[3], x[5] < x[4], x[6] < x[7]}) == 1


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="found a cycle among 2 of 3 nodes"):
        layered([1, 1, 1], [(0, 1), (1, 2), (2, 1)])


def test_nothing_to_lay_out():
    assert layered([], []) == ([], [], [])
