"""Measure mydl beside PyTorch and JAX on this machine: speed, memory, start-up, data, scaling.

    python -m scripts.benchmark              # everything, some minutes; leave the machine alone meanwhile
    python -m scripts.benchmark --quick      # small sizes, to see that it works
    python -m scripts.benchmark --only mlp resnet
    python -m scripts.benchmark --profile    # where mydl's own time goes
    python -m scripts.benchmark --device cuda --data-dir DIR   # on a GPU, to 99% of MNIST (in DIR) included

Each library runs in a process of its own and they take turns, a few steps each, so that the ratios hold even
where the machine's speed drifts. Libraries that are not installed are left out. On a GPU all compute in full float32.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import mydl
from mydl import plotting
from mydl.cupy_loader import load_cupy
from mydl.files import atomic_write
from scripts.benchmark_tools.measure import GROUPS, QUICK, USUAL, Benchmark, Sizes
from scripts.benchmark_tools.report import figure, report
from scripts.benchmark_tools.turns import LIBRARIES, Team
from scripts.command_line import CommandLine, positive_int, run

VARIANTS = ("pytorch-channels-last", "pytorch-compile")


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("benchmark", "Measure mydl beside PyTorch and JAX on this machine.")
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes: to see that it works, not to quote")
    add("--only", nargs="+", choices=tuple(GROUPS), metavar="NAME", help=f"measure these alone: {', '.join(GROUPS)}")
    add("--rounds", type=positive_int, metavar="N", help=f"turns of each library ({Sizes.rounds})")
    add("--threads", type=positive_int, default=mydl.get_num_threads(), metavar="N", help="CPU threads")
    add("--data-dir", metavar="DIR", help="folder of MNIST's files (else MYDL_DATA), for data and goal")
    parser.add_common("--device")
    add("--variants", action="store_true", help="also PyTorch with channels_last and fused Adam, and torch.compile")
    add("--out", metavar="FILE.json", help="the figures (results/benchmark.json, on a GPU benchmark-cuda.json)")
    add("--figure", metavar="FILE.png", help="the picture (figs/benchmark.png of a whole run, else beside the figures)")
    add("--profile", action="store_true", help="print mydl's profile of both models' training steps, and nothing else")
    settings = parser.parse_args(argv)
    if settings.out is None:
        settings.out = f"results/benchmark{'-cuda' if settings.device == 'cuda' else ''}.json"
    if settings.figure is None:
        whole = settings.device == "cpu" and not (settings.quick or settings.only)
        settings.figure = "figs/benchmark.png" if whole else str(Path(settings.out).with_suffix(".png"))
    return settings


def installed(variants: bool, device: str = "cpu") -> list[str]:
    """The libraries that can be measured here, mydl first."""
    return [
        name for name, library in LIBRARIES.items()
        if device in library.devices
        and importlib.util.find_spec(library.package) and (variants or name not in VARIANTS)
    ]  # fmt: skip


def measure(libraries: list[str], groups: list[str], sizes: Sizes, threads: int, device: str = "cpu") -> dict[str, Any]:
    """Measure the groups; the whole JSON document.

    It holds what was asked for, the machine, each library's version and configuration, the rate of the
    machine's matrix product in FLOP/s, and a list of results (see `Benchmark`).
    """
    benchmark = Benchmark(libraries, sizes, threads, device)
    with Team(threads, device) as team:
        document: dict[str, Any] = {
            "libraries": libraries,
            "groups": groups,
            "sizes": vars(sizes),
            "threads": threads,
            "device": device,
            "machine": describe_machine(),
            "configurations": benchmark.describe(team),
            "gemm": benchmark.gemm(team),
        }
        results: list[dict[str, Any]] = []
        for group in groups:
            print(f"measuring {group} …", file=sys.stderr, flush=True)
            results += GROUPS[group](benchmark, team)
        # The machine's best is a limit only if nothing beats it: look again, it may have been busy.
        return {**document, "gemm": max(document["gemm"], benchmark.gemm(team)), "results": results}


def describe_machine() -> dict[str, Any]:
    machine: dict[str, Any] = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
    }
    if hasattr(os, "getloadavg"):
        machine["load"] = os.getloadavg()[0]
    return machine


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def print_profile(settings: argparse.Namespace) -> None:
    sizes = QUICK if settings.quick else Sizes()
    with Team(settings.threads, settings.device) as team:
        for model in ("mlp", "resnet"):
            options = {"model": model, "batch": sizes.batch, "steps": 5}
            print(f"{model}, {options['steps']} training steps, batch {sizes.batch}")
            print(team["mydl"].ask("call", function="profile", options=options)["value"] + "\n")


def main(argv: list[str] | None = None) -> None:
    settings = read_settings(argv)
    if settings.device == "cuda":
        load_cupy()  # or an error in one line
    if settings.data_dir:
        os.environ["MYDL_DATA"] = settings.data_dir  # where the workers look
    if settings.profile:
        print_profile(settings)
        return
    sizes = QUICK if settings.quick else Sizes()
    if settings.rounds:
        sizes = Sizes(**{**vars(sizes), "rounds": settings.rounds})
    libraries = installed(settings.variants, settings.device)
    groups = [name for name in GROUPS if name in (settings.only or USUAL[settings.device])]

    document = measure(libraries, groups, sizes, settings.threads, settings.device)
    Path(settings.out).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(settings.out) as file:
        file.write((json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())

    # Everything is on disk before the first line goes to a reader that may not wait for the last.
    Path(settings.figure).parent.mkdir(parents=True, exist_ok=True)
    plotting.save_figure(figure(document), settings.figure)

    machine = document["machine"]
    print(f"{machine['cpu']}, {settings.threads} threads; {machine['system']}, Python {machine['python']}")
    for name, found in document["configurations"].items():
        print(f"{LIBRARIES[name].title}: {found.get('version', found.get('failed'))}")
    print(document["configurations"]["mydl"].get("configuration", ""))
    if "pytorch" not in libraries:
        print("PyTorch is not installed here: there is nothing to compare with (pip install torch)")
    if machine.get("load", 0) > 0.5:
        print(f"the machine was busy when this began (load {machine['load']:.1f}): do not trust the figures")
    print("\nMLP 784-600-100-10, dropout 0.3; ResNet 16/32/64 on 1×28×28; float32, Adam\n")
    print(report(document) + "\n")
    print(f"wrote {settings.out} and {settings.figure}")


if __name__ == "__main__":
    run(main, "benchmark")
