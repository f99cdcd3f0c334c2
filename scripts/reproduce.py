"""Run the experiments that the README's tables are made of, each by its name.

    python -m scripts.reproduce list
    python -m scripts.reproduce mlp-5 --data-dir data
    python -m scripts.reproduce all --quick
    python -m scripts.reproduce table

An experiment is scripts/experiments/NAME.toml. It runs as reported first; where that falls short, with the settings
under [better], which were chosen on validation data. OUT/NAME.json says what came out. What a run keeps is in
OUT/runs: an interrupted one is gone on with, a finished one is not run again unless its folder is removed.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import mydl
from mydl.files import atomic_write
from scripts.command_line import CommandLine, positive_int, run, seed
from scripts.experiments import boxes, gradients, latent, online, race, training, variance, xor
from scripts.experiments.definition import Experiment, Job, Outcome, falls_short, load, names
from scripts.experiments.figures import draw
from scripts.experiments.table import FORMAT, aims, found, markdown, put_into_readme, read_result
from scripts.experiments.weights import keep

ROOT = Path(__file__).resolve().parents[1]

# The function of each kind of experiment, and what --quick replaces in its settings.
KINDS = {
    "training": (training.training, training.QUICK),
    "folder": (training.folder, training.QUICK_FOLDER),
    "comparison": (training.comparison, training.QUICK_FOLDER),
    "online": (online.online, online.QUICK),
    "xor": (xor.xor, xor.QUICK),
    "gradcheck": (gradients.gradcheck, gradients.QUICK),
    "autoencoder": (latent.autoencoder, latent.QUICK),
    "svm": (latent.svm, latent.QUICK),
    "box": (boxes.box, {}),
    "approximate": (boxes.approximate, boxes.QUICK),
    "variance": (variance.variance, variance.QUICK),
    "race": (race.race, race.QUICK),
}


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("reproduce", "Run experiments and compare them with what was reported.")
    add = parser.add_argument
    add("name", metavar="NAME", help="an experiment, or all; list: what there is; table: tables and figs/ from results")
    add("--quick", action="store_true", help="on a slice of the data, in seconds, to see that it works; keeps nothing")
    parser.add_common("--data-dir")
    add("--out", metavar="DIR", default="results/reproduce", help="folder of the results")
    add("--figs", metavar="DIR", default="figs", help="where table puts the figures")
    add("--seed", metavar="N", type=seed, help="of the first run (the experiment's own)")
    add("--seeds", metavar="N", type=positive_int, default=1, help="run with N seeds and give mean and deviation")
    parser.add_common("--threads")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where the trainings compute")
    return parser.parse_args(argv)


def commit() -> str | None:
    """The commit that the programs are of, with a + where they have been changed since; None without git."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + "+" * bool(git("status", "--porcelain", "--", "mydl", "models", "scripts"))
    except (OSError, subprocess.CalledProcessError):
        return None


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write it with a line for each row of the history and for each list of numbers."""
    rows = ",\n".join("    " + json.dumps(row) for row in content["history"])
    text = json.dumps({**content, "history": None}, indent=2)
    text = re.sub(r"\[[-+.e\d,\s]+\]", lambda numbers: " ".join(numbers[0].split()), text)
    text = text.replace('"history": null', f'"history": [\n{rows}\n  ]' if rows else '"history": []')
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write((text + "\n").encode())


def run_once(kind: str, job: Job) -> dict[str, Any]:
    """One run with one seed: `settings`, `seed`, `commit`, `threads`, `minutes`, `history` and `final`.

    A finished run says so in its folder and is not run again; so the test set is read once.
    """
    finished = job.folder / "outcome.json"
    if finished.exists():
        found = read_result(finished)
        if found["settings"] != job.settings:
            raise ValueError(f"{finished}: of a run with other settings; move {job.folder} away to run it again")
        print(f"{job.folder} is finished; remove it to run it again")
        return found
    job.folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    outcome: Outcome = KINDS[kind][0](job)
    content = {
        "format": FORMAT, "mydl": mydl.__version__, "commit": commit(), "settings": job.settings, "seed": job.seed,
        "threads": mydl.get_num_threads(), "minutes": round((time.perf_counter() - started) / 60, 2),
        "final": outcome.final, "history": rounded(outcome.history),
    }  # fmt: skip
    write_json(finished, content)
    return read_result(finished)


def rounded(rows: Any) -> list[dict[str, Any]]:
    """The rows with 6 digits to a number: more says nothing, and takes space."""
    return [{k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def reproduce(experiment: Experiment, options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Run an experiment as reported and, where that falls short, better; its result, which is in OUT/NAME.json."""
    path = out / f"{experiment.name}.json"
    if path.exists():
        read_result(path)  # of another version: refused before hours are spent on it
    first_seed = experiment.seed if options.seed is None else options.seed
    quick = KINDS[experiment.kind][1] if options.quick else {}

    def one(seed: int, folder: str, changes: dict[str, Any]) -> dict[str, Any]:
        settings = {**experiment.settings, **changes, **quick}
        job = Job(settings, seed, out / "runs" / folder / f"seed-{seed}", options.data_dir, options.device,
                  options.threads)  # fmt: skip
        return run_once(experiment.kind, job)

    result = one(first_seed, experiment.name, {})
    folder, changes, as_reported = experiment.name, {}, None
    if experiment.better and (
        options.quick or falls_short(result["final"], {**experiment.reported, **experiment.wanted})
    ):
        as_reported = {name: result[name] for name in ("commit", "settings", "threads", "minutes", "final")}
        folder, changes = f"{experiment.name}-better", experiment.better
        result = one(first_seed, folder, changes)
    result = {"name": experiment.name, **result, "reported": experiment.reported, "wanted": experiment.wanted}
    if as_reported is not None:
        result["as_reported"] = as_reported
    if options.seeds > 1:
        others = [one(first_seed + number, folder, changes) for number in range(1, options.seeds)]
        result["seeds"] = over_seeds([result, *others])
    write_json(path, result)
    return result


def over_seeds(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation of every figure over the runs, and the figures of each."""
    numbers = [name for name, value in results[0]["final"].items() if isinstance(value, float)]
    columns = {name: [each["final"][name] for each in results] for name in numbers}
    return {
        "seeds": [each["seed"] for each in results],
        "final": columns,
        "mean": {name: statistics.mean(values) for name, values in columns.items()},
        "deviation": {name: statistics.stdev(values) for name, values in columns.items()},
    }


def main(argv: list[str] | None = None) -> None:
    options = read_settings(argv)
    if options.threads:
        mydl.set_num_threads(options.threads)
    if options.name == "list":
        for name in names():
            print(f"{name:16s}  {load(name).title}")
        return
    out = Path(options.out)
    if options.name == "table":
        results = [read_result(path) for path in (out / f"{name}.json" for name in names()) if path.exists()]
        if not results:
            raise FileNotFoundError(f"{out}: no results in it; python -m scripts.reproduce NAME makes them")
        text = markdown(results)
        print(put_into_readme(text, ROOT / "README.md") or text)
        for message in keep(results, out / "runs"):
            print(message)
        for message in draw(results, out / "runs", Path(options.figs), options.data_dir):
            print(message)
        return
    experiments = [load(name) for name in (names() if options.name == "all" else [options.name])]
    with tempfile.TemporaryDirectory() as scratch:
        for experiment in experiments:
            print(f"{experiment.name}: {experiment.title}")
            result = reproduce(experiment, options, Path(scratch) if options.quick else out)
            print(f"{experiment.name}: {found(result, result['final'])} | reported: {aims(result) or 'nothing'}")


if __name__ == "__main__":
    run(main, "reproduce")
