"""The best models' weights, put beside their code: `predict` uses them when no run is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import models
import mydl

__all__ = ["FOLDER", "keep", "run_folder"]

FOLDER = Path(models.__file__).parent / "weights"


def run_folder(result: dict[str, Any], runs: Path) -> Path:
    """Where the run is whose figures a result has as `final`."""
    name = result["name"] + ("-better" if "as_reported" in result else "")
    return runs / name / f"seed-{result['seed']}"


def keep(results: Sequence[dict[str, Any]], runs: Path) -> Iterator[str]:
    """Write FOLDER/mlp-mnist.safetensors and resnet-mnist.safetensors, of the best validation accuracy each.

    Their metadata has the model, its data and the figures that it reached. Gives a line for each.
    """
    for kind in ("mlp", "resnet"):
        candidates = [
            (result["final"]["val_accuracy"], path, result)
            for result in results
            if (result["settings"].get("model"), result["settings"].get("data")) == (kind, "mnist")
            and (path := run_folder(result, runs) / "best.safetensors").exists()
        ]
        if not candidates:
            yield f"{kind}-mnist.safetensors: left as it is; no run of a {kind} on MNIST is in {runs}"
            continue
        _, path, result = max(candidates, key=lambda candidate: candidate[0])
        figures = {name: value for name, value in result["final"].items() if isinstance(value, int | float)}
        made = {"experiment": result["name"], "seed": result["seed"], "commit": result["commit"], **figures}
        metadata = {**mydl.load_metadata(path), "figures": json.dumps(made)}
        FOLDER.mkdir(exist_ok=True)
        target = FOLDER / f"{kind}-mnist.safetensors"
        models.save(models.load(path), target, metadata)
        yield f"{target}: {result['name']}, test accuracy {result['final']['test_accuracy']:.4f}"
