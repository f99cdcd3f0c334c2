"""The benchmark: its arithmetic is right, its models are the same in every library, and what it writes is whole."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import models
import mydl
from mydl import data
from mydl.plotting import save_figure
from scripts import benchmark
from scripts.benchmark_tools.flops import mlp_flops, resnet_flops, training_flops
from scripts.benchmark_tools.measure import USUAL, Benchmark, Sizes
from scripts.benchmark_tools.report import figure, quantity, report
from scripts.benchmark_tools.turns import WORKER, Failed, Team, in_turn, summarise, workload

TINY = Sizes(
    batch=2, rounds=2, turn=0.001, op_pairs=3, imports=1, starts=1, memory_steps=1, images=6, epochs=2,
    batches=(1, 2), depths=(1,), depth_batch=1, threads=(1,), sweep_rounds=1, sweep_turn=0.001,
)  # fmt: skip
FORWARD = {"mlp": mlp_flops, "resnet": resnet_flops}
REQUEST = {"kind": "tiny_ops", "options": {"pairs": 2}}


def worker_module(name):
    spec = importlib.util.spec_from_file_location(f"worker_{name}", WORKER / f"{name}.py")  # __main__ would run
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_ratio_is_the_median_of_those_of_the_rounds():
    summary = summarise({"a": [[1, 2, 9], [4], [6]], "b": [[4], [2, 4], [8]], "c": Failed("no")}, "b", divisor=2)
    assert summary["c"] == {"failed": "no"}
    assert summary["a"] == {
        "median": 2, "min": 0.5, "count": 5, "rounds": [1, 2, 3],
        "ratio": 0.75, "ratio_low": 0.625, "ratio_high": pytest.approx((0.75 + 4 / 3) / 2),
    }  # fmt: skip
    assert summary["b"] == {"median": 2, "min": 1, "count": 4, "rounds": [2, 1.5, 4]}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system places threads as it likes")
def test_a_turn_begins_on_its_core_and_may_leave_it(monkeypatch):
    begin_on_core, placed = worker_module("__main__").begin_on_core, []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 7})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: placed.append(list(cores)))
    for turn in range(3):
        begin_on_core(turn)
    assert placed == [[3], [3, 7], [7], [3, 7], [3], [3, 7]]


def test_a_single_round_is_its_own_quartiles():
    entry = summarise({"a": [[1.0]], "b": [[4.0]]}, "b")["a"]
    assert entry["ratio_low"] == entry["ratio"] == entry["ratio_high"] == 0.25


def test_no_ratio_without_a_baseline():
    assert "ratio" not in summarise({"a": [[1.0]]}, "b")["a"]
    assert "ratio" not in summarise({"a": [[1.0]], "b": Failed("no")}, "b")["a"]


def test_turns_alternate_and_a_failure_stops_only_its_own():
    calls = []

    def turn(name, fails_at=None):
        calls.append(name)
        if calls.count(name) == fails_at:
            raise Failed("tired")
        return [calls.count(name)]

    results = in_turn({"a": lambda: turn("a"), "b": lambda: turn("b", 2), "c": lambda: turn("c")}, rounds=3)
    assert "".join(calls) == "abcabcac"
    assert (results["a"], str(results["b"]), results["c"]) == ([[1], [2], [3]], "tired", [[1], [2], [3]])


@pytest.mark.parametrize(
    ("name", "options"), [("mlp", {}), ("resnet", {}), ("resnet", {"channels": (4,), "blocks": 3})]
)
def test_flops_are_what_pytorch_counts(name, options):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    model = getattr(worker_module("pytorch_library"), name)(**options)
    x, target = torch.zeros(3, 1, 28, 28), torch.zeros(3, dtype=torch.int64)
    forward = FORWARD[name](3, **options)
    with FlopCounterMode(display=False) as counter:
        loss = torch.nn.functional.cross_entropy(model(x), target)
    assert counter.get_total_flops() == sum(forward)
    with counter:
        loss.backward()
    assert counter.get_total_flops() == training_flops(forward) - sum(forward)


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_flops_are_what_the_profiler_counts(name):
    model = models.build(name)
    with mydl.profile() as p, mydl.no_grad():
        model(mydl.zeros(3, 1, 28, 28))
    assert sum(event.flops for event in p.events) == sum(FORWARD[name](3))


@pytest.mark.parametrize(
    ("name", "options"), [("mlp", {}), ("resnet", {}), ("resnet", {"channels": (4,), "blocks": 3})]
)
def test_pytorchs_models_compute_what_ours_do(name, options):
    torch = pytest.importorskip("torch")
    ours = models.build(name, **options).eval()
    theirs = getattr(worker_module("pytorch_library"), name)(**options).eval()
    rng = np.random.default_rng(0)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert own.shape == tuple(other.shape)
        values = rng.standard_normal(own.shape, dtype=np.float32) / math.sqrt(own.numel())
        with torch.no_grad(), mydl.no_grad():
            other.copy_(torch.from_numpy(values))
            own.copy_(mydl.tensor(values))
    x = rng.standard_normal((2, 1, 28, 28), dtype=np.float32)
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours(mydl.tensor(x)).detach().numpy(), wanted, rtol=1e-4, atol=1e-6)


def test_a_failing_workload_is_reported_and_the_rest_goes_on():
    with Team(threads=1) as team:
        requests = {
            "good": ("mydl-numpy", REQUEST),
            "bad": ("mydl-numpy", {"kind": "train", "options": {"model": "x", "batch": 1}}),
        }
        measured = workload(team, requests, rounds=2, seconds=0.001)
        assert len(measured["good"]) == 2 and min(map(min, measured["good"])) > 0
        assert "no model 'x'" in str(measured["bad"])

        worker = team["mydl-numpy"]
        os.kill(worker.process.pid, signal.SIGKILL)
        with pytest.raises(Failed, match="status -9"):
            worker.ask("settle")
        another = team["mydl-numpy"]
        assert another.ask("memory")["bytes"] > 10e6
    assert not worker.alive and not another.alive


def test_the_workloads_on_a_gpu(gpu, monkeypatch):
    library = worker_module("mydl_library")
    monkeypatch.setattr(library.mydl, "set_num_threads", lambda threads: None)
    on_gpu, eager = (library.Library(variant, 1, "cuda") for variant in ("", "eager"))
    assert (on_gpu.replayed, eager.replayed) == (True, False)
    assert "CuPy" in on_gpu.describe()["configuration"]
    for made in (on_gpu, eager):
        made.train("mlp", 2, repeat=4, hidden=(3,))()
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (30, 28, 28), dtype=np.uint8), np.arange(30) % 10
    tiny = lambda root, train, transform: data.ImageArrayDataset(images, labels, transform)  # noqa: E731
    monkeypatch.setattr(library.data, "MNIST", tiny)
    monkeypatch.setattr(library.data, "find_data_root", lambda name: None)
    monkeypatch.setattr(on_gpu, "_model", lambda name: models.build("mlp", hidden=(3,)).to("cuda"))
    assert on_gpu.goal(0.0, batch=5, epochs=1) > 0
    with pytest.raises(RuntimeError, match="after 1 epochs"):
        on_gpu.goal(2.0, batch=5, epochs=1)


@pytest.mark.parametrize("variants", [False, True])
def test_what_is_measured_where(variants):
    on_cpu, on_gpu = (set(benchmark.installed(variants, device)) for device in ("cpu", "cuda"))
    assert on_cpu - on_gpu == {"mydl-numpy"}
    assert on_gpu - on_cpu == {"mydl-eager", "pytorch-graphs"} & set(on_gpu)


def test_no_gpu_is_said_in_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmark", "--device", "cuda"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("benchmark: error: ")


STEPS = ["mlp", "resnet", "inference", "ops"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("libraries", "groups"),
    [(["mydl", "pytorch"], STEPS), (["mydl"], [name for name in USUAL["cpu"] if name not in STEPS])],
)
def test_a_tiny_run_is_whole(libraries, groups):
    libraries = [name for name in libraries if name in benchmark.installed(variants=False)]
    document = json.loads(json.dumps(benchmark.measure(libraries, groups, TINY, threads=1)))
    assert {result["group"] for result in document["results"]} == set(groups)
    assert document["gemm"] > 0 and document["sizes"]["batch"] == 2
    for result in document["results"]:
        for name, entry in result["measured"].items():
            assert "failed" not in entry, (result["title"], name, entry)
            assert 0 < entry["min"] <= entry["median"] and all(value > 0 for value in entry["rounds"])
            others = result["measured"].keys() - {result["baseline"]}
            assert ("ratio" in entry) == (name in others and result["baseline"] in result["measured"])
    text = report(document)
    assert all(result["title"] in text for result in document["results"]) and "failed" not in text


@pytest.mark.slow
def test_the_program_writes_its_files(tmp_path):
    out = tmp_path / "new" / "b.json"
    command = [
        sys.executable,
        "-m",
        "scripts.benchmark",
        "--quick",
        "--only",
        "ops",
        "--rounds",
        "1",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(benchmark.__file__).parents[1])
    assert done.returncode == 0, done.stderr
    assert "one of 400 ops" in done.stdout
    (result,) = json.loads(out.read_text())["results"]
    assert all(len(entry["rounds"]) == 1 for entry in result["measured"].values())
    assert out.with_suffix(".png").read_bytes()[1:4] == b"PNG"


def document_of(results):
    return {"libraries": ["mydl", "pytorch"], "gemm": 1e9, "results": results}


def test_the_table_holds_times_ratios_shares_and_failures():
    measured = {"mydl": [[0.001], [0.004]], "pytorch": [[0.002], [0.004]]}
    results = [
        Benchmark._result("mlp", "step", measured, flops=1_000_000),
        Benchmark._result("batch", "step", {"mydl": [[1.0]], "pytorch": Failed("out of memory")}, x=16),
        Benchmark._result("data", "epoch", {"plain": [[1.0]], "augmented": [[1.5]]}, baseline="plain"),
    ]
    lines = [" ".join(line.split()) for line in report(document_of(results)).splitlines()]
    assert "step 2.50 ms 0.75 (0.62–0.88) 3.00 ms" in lines
    assert "step 0 (40%) 0 (33%)" in lines
    assert "16 1.00 s failed" in lines
    assert "augmented 1.50 s 1.50 (1.50–1.50)" in lines
    assert "failed: step, 16: pytorch: out of memory" in lines


def test_the_figure_shows_what_was_measured(tmp_path):
    measured = {"mydl": [[0.001], [0.004]], "pytorch": [[0.002], [0.004]]}
    sweep = [Benchmark._result("batch", "MLP", measured, x=x) for x in (16, 32)]
    drawing = figure(document_of([Benchmark._result("mlp", "step", measured), *sweep]))
    ratios, batch = drawing.axes
    assert ratios.get_lines()[0].get_xdata() == pytest.approx([0.75])
    assert [list(line.get_ydata()) for line in batch.get_lines()] == [[2.5, 2.5], [3.0, 3.0]]
    save_figure(drawing, tmp_path / "all.png")
    without_pytorch = [Benchmark._result("mlp", "step", {"mydl": [[1.0]]})]
    assert figure(document_of(without_pytorch)).axes == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "1.50 s"), (0.0123, "12.3 ms"), (0.4567, "457 ms"), (9.876e-6, "9.88 µs"), (123e-9, "0.12 µs")],
)
def test_quantities(value, text):
    assert quantity(value, "s") == text
