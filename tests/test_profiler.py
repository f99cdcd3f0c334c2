from __future__ import annotations

import json
import threading
import time
from collections import Counter

import numpy as np
import pytest

import mydl
from mydl import kernels, optim
from mydl.autograd.op import Op
from mydl.nn import functional as F
from mydl.profiler import Event, profile


class Nap(Op):
    """x itself, after a rest; its rules call other naps."""

    @staticmethod
    def forward(ctx, x, *, seconds=0.004):
        time.sleep(seconds)
        return x.copy()

    @staticmethod
    def backward(ctx, grad):
        time.sleep(0.003)
        return ctx.call(Nap, grad, seconds=0.006)


class Crash(Op):
    """An op whose forward, or backward, fails inside another op."""

    @staticmethod
    def forward(ctx, x, *, where):
        ctx.where = where
        if where == "forward":
            ctx.call(Nap, x)
            raise ValueError("it crashed")
        return x.copy()

    @staticmethod
    def backward(ctx, grad):
        return ctx.call(Crash, grad, where="forward")


def plain() -> tuple:
    """What a profile replaces."""
    return (*(Op.__dict__[name] for name in ("apply", "call", "propagate")), kernels.of)


PLAIN = plain()


def names(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.name, event.phase) for event in events]


def test_a_training_step():
    """Every op once forward and once backward, and the kernels of those that have one."""
    x, w = mydl.randn(6, 4), mydl.randn(3, 4).requires_grad_()
    optimizer = optim.SGD([w], lr=0.1)
    target = mydl.tensor([0, 1, 2, 0, 1, 2])
    with profile() as p:
        F.cross_entropy(F.relu(F.linear(x, w)), target).backward()
        optimizer.step()
    ops = ["Linear", "ReLU", "CrossEntropy", "Mean"]
    there, back = [(name, "forward") for name in ops], [(name, "backward") for name in reversed(ops)]
    assert names(p.events) == there + back
    called = ["relu", "cross_entropy", "sum_axes", "cross_entropy_backward", "relu_backward", "sgd_step"]
    assert names(p.kernel_events) == [(name, "kernel") for name in called]


def test_the_results_are_the_same():
    def step() -> tuple:
        x = mydl.arange(12.0).reshape(3, 4).requires_grad_()
        y = (F.log_softmax(x @ x.T, 1).exp() * 3).sum()
        (dx,) = mydl.autograd.grad(y, x, create_graph=True)
        (dx**2).sum().backward()
        return y.item(), dx.tolist(), x.grad.tolist()

    wanted = step()
    with profile():
        assert step() == wanted
    assert step() == wanted


def test_own_times_add_up():
    x = mydl.ones(3, requires_grad=True)
    with profile() as p:
        Nap.apply(x).sum().backward()
        time.sleep(0.005)
    nap, rule = p.events[0], p.events[-1]
    inner = p.events[-2]
    assert names([nap, inner, rule]) == [("Nap", "forward"), ("Nap", "backward"), ("Nap", "backward")]
    assert inner.own == inner.seconds >= 0.006 and nap.own == nap.seconds >= 0.004
    assert rule.own == pytest.approx(rule.seconds - inner.seconds, abs=1e-9)
    assert rule.seconds >= 0.009 and rule.own >= 0.003
    assert rule.start <= inner.start <= inner.start + inner.seconds <= rule.start + rule.seconds
    assert all(0 <= event.start <= event.start + event.seconds <= p.seconds for event in p.events)
    assert sum(event.own for event in p.events) <= p.seconds - 0.005


def test_bytes():
    x, y = mydl.ones(5, 7), mydl.ones(7, dtype=mydl.float32)
    with profile() as p:
        mydl.add(x, y)
        mydl.add(x, 2.0)
    assert [event.bytes for event in p.events] == [4 * (35 + 7 + 35), 4 * (35 + 35)]


@pytest.mark.parametrize(
    ("x", "w", "options", "each"),
    [
        ((2, 3, 8, 9), (4, 3, 3, 3), {"padding": 1}, 2 * (2 * 4 * 8 * 9) * (3 * 3 * 3)),
        ((2, 3, 8, 9), (4, 3, 3, 3), {"stride": 2}, 2 * (2 * 4 * 3 * 4) * (3 * 3 * 3)),
        ((1, 4, 5, 5), (8, 2, 3, 1), {"groups": 2}, 2 * (1 * 8 * 3 * 5) * (2 * 3 * 1)),
    ],
)
def test_flops_of_convolutions(x, w, options, each):
    """Forward, input gradient and weight gradient do as many; ops and kernels say the same."""
    x, w = mydl.randn(*x).requires_grad_(), mydl.randn(*w).requires_grad_()
    with profile() as p:
        F.conv2d(x, w, **options).backward(mydl.ones_like(F.conv2d(x, w, **options)))
    counts = Counter()
    for event in p.events:
        counts[event.name] += event.flops
    assert counts["Conv2D"] == 2 * each  # called twice above
    assert counts["Conv2DInputGrad"] == counts["Conv2DWeightGrad"] == each
    assert sum(event.flops for event in p.kernel_events) == 4 * each


def test_flops_of_products():
    x, w, b = mydl.ones(5, 6, 7), mydl.ones(3, 7, requires_grad=True), mydl.ones(3, requires_grad=True)
    one = 2 * 30 * 7 * 3
    with profile() as p:
        F.linear(x, w, b).sum().backward()
        F.linear(x.requires_grad_(), w, b).sum().backward()
        (w @ mydl.ones(7)).sum().backward()
        mydl.autograd.grad((x @ w.T).sum(), x)
    flops = [event.flops for event in p.events if event.name in ("Linear", "MatMul")]
    assert flops == [one, one, one, 2 * one, 2 * 3 * 7, 2 * 3 * 7, one, one]
    assert {event.name for event in p.events if event.flops} == {"Linear", "MatMul"}


def test_recorded_rules_are_not_counted_twice():
    x = mydl.ones(4, 4, requires_grad=True)
    with profile() as p:
        mydl.autograd.grad((x @ x).sum(), x, create_graph=True)
    products = [(event.phase, event.flops) for event in p.events if event.flops]
    assert products == [("forward", 128), ("backward", 128), ("backward", 128)]
    with profile() as p:
        mydl.autograd.grad(Nap.apply(x).sum(), x, create_graph=True)
    naps = [event.phase for event in p.events if event.name == "Nap"]
    assert naps == ["forward", "backward", "backward"], "the rule, and once the nap that it calls"


# What it leaves behind --------------------------------------------------------------------------------------


def test_afterwards_all_is_as_before():
    with profile() as p:
        assert not set(plain()) & set(PLAIN)
    assert plain() == PLAIN
    mydl.ones(2) + 1
    assert p.events == []


@pytest.mark.parametrize("where", ["outside", "forward", "backward"])
def test_an_error_inside(where):
    """The plain ways are back, the calls up to the error are there, and the next profile starts from nothing."""
    x = mydl.ones(2, requires_grad=True)
    p = profile()
    with pytest.raises(ValueError, match="it crashed"), p:
        y = Nap.apply(x)
        if where == "outside":
            raise ValueError("it crashed")
        Crash.apply(y, where=where).sum().backward()
    assert plain() == PLAIN and p.seconds >= 0.004
    wanted = {
        "outside": ["Nap"],
        "forward": ["Nap", "Nap", "Crash"],
        "backward": ["Nap", "Crash", "Sum", "Sum", "Nap", "Crash", "Crash"],
    }
    assert [event.name for event in p.events] == wanted[where]
    assert sum(event.own for event in p.events) <= p.seconds
    assert "Nap, forward" in p.table()
    with p:
        x + 1
    assert names(p.events) == [("Add", "forward")]


def test_a_kernel_that_fails(monkeypatch):
    def relu(x, out):
        raise ValueError("it crashed")

    monkeypatch.setattr(kernels.of(np.zeros(1)), "relu", relu)
    with profile() as p, pytest.raises(ValueError, match="it crashed"):
        F.relu(mydl.ones(2))
    assert names(p.kernel_events) == [("relu", "kernel")] and names(p.events) == [("ReLU", "forward")]


def test_one_at_a_time():
    with profile() as p:
        with pytest.raises(RuntimeError, match="another profile is running"), profile():
            pass
        mydl.ones(2) * 2
        with pytest.raises(RuntimeError, match="another profile is running"), p:
            pass
    assert names(p.events) == [("Mul", "forward")] and plain() == PLAIN
    with profile():
        pass


def test_threads():
    """Each thread's calls nest by themselves, and only those of the block's thread count against its time."""
    together = threading.Barrier(3)
    x = mydl.ones(3, requires_grad=True)

    def work():
        together.wait()
        for _ in range(3):
            Nap.apply(x.detach().requires_grad_()).sum().backward()

    with profile() as p:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    by_thread: dict[int, list[Event]] = {}
    for event in p.events:
        by_thread.setdefault(event.thread, []).append(event)
    assert len(by_thread) == 3 and threading.get_ident() in by_thread
    for events in by_thread.values():
        assert [event.name for event in events] == ["Nap", "Sum", "Sum", "Nap", "Nap"] * 3
        assert sum(event.own for event in events) <= p.seconds
        for inner, rule in zip(events[3::5], events[4::5], strict=True):
            assert rule.own == pytest.approx(rule.seconds - inner.seconds, abs=1e-9)
    outside = float(p.table().split(" ms in all, ")[1].split()[0])
    assert 0 <= outside <= p.seconds * 1e3


# Table and trace --------------------------------------------------------------------------------------------


def test_the_table_adds_up_the_events():
    x = mydl.randn(40, 30).requires_grad_()
    with profile() as p:
        for _ in range(3):
            F.relu(x @ x.T).sum().backward()
    head, ops, kernel_rows = p.table().split("\n\n")
    assert head.startswith(f"{p.seconds * 1e3:.2f} ms in all, ") and head.endswith("GFLOP/s")
    for text, events in ((ops, p.events), (kernel_rows, p.kernel_events)):
        title, *rows = text.splitlines()
        assert title.split()[-7:] == ["calls", "ms", "share", "MB", "GFLOP/s", "of", "limit"]
        assert len(rows) == len(set(names(events)))
        times = []
        for row in rows:
            label, numbers = row[:38].strip(), row[38:].split()
            name, _, phase = label.partition(", ")
            mine = [e for e in events if e.name == name and e.phase == (phase or "kernel")]
            own = sum(event.own for event in mine)
            times.append(own)
            assert int(numbers[0]) == len(mine) == 3
            assert float(numbers[1]) == pytest.approx(own * 1e3, abs=6e-4)
            assert float(numbers[2].rstrip("%")) == pytest.approx(100 * own / p.seconds, abs=0.06)
            assert float(numbers[3]) == pytest.approx(sum(e.bytes for e in mine) / 1e6, abs=6e-3)
            flops = sum(event.flops for event in mine)
            assert (numbers[4] == "-") == (flops == 0) == (name != "MatMul")
            if flops:
                assert float(numbers[4]) == pytest.approx(flops / own / 1e9, abs=0.06)
        assert times == sorted(times, reverse=True)


def test_the_table_of_nothing_and_of_a_block_that_runs():
    with profile() as p, pytest.raises(RuntimeError, match="this one has not ended"):
        p.table()
    assert len(p.table().splitlines()) == 1
    with pytest.raises(RuntimeError, match="this one has not ended"):
        profile().table()


def test_the_chrome_trace(tmp_path):
    x = mydl.ones(3, requires_grad=True)
    with profile() as p:
        thread = threading.Thread(target=lambda: F.relu(Nap.apply(x)))
        thread.start()
        F.relu(Nap.apply(x)).sum().backward()
        thread.join()
    p.save_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    rows = trace["traceEvents"]
    assert len(rows) == len(p.events) + len(p.kernel_events)
    assert {row["ph"] for row in rows} == {"X"} and {row["tid"] for row in rows} == {0, 1}
    assert [row["ts"] for row in rows] == sorted(row["ts"] for row in rows)
    found = {(r["name"], r["cat"], r["ts"], r["dur"], r["args"]["bytes"]) for r in rows}
    events = (*p.events, *p.kernel_events)
    assert found == {(e.name, e.phase, e.start * 1e6, e.seconds * 1e6, e.bytes) for e in events}
    for tid in (0, 1):  # in a line of the picture a call lies inside another, or beside it
        ends: list[float] = []
        for row in (row for row in rows if row["tid"] == tid):
            while ends and ends[-1] <= row["ts"]:
                ends.pop()
            assert not ends or row["ts"] + row["dur"] <= ends[-1] + 1e-6
            ends.append(row["ts"] + row["dur"])


def test_a_trace_that_cannot_be_written(tmp_path):
    with profile() as p:
        mydl.ones(2) + 1
    with pytest.raises(OSError, match="cannot write"):
        p.save_trace(tmp_path / "no" / "trace.json")
    assert list(tmp_path.iterdir()) == []
