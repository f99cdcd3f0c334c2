"""Test a trained model on images it has never seen: loss, accuracy, a table by class, a confusion matrix.

    python -m scripts.test_model results/mlp-mnist

The model is built from the run's config.json and best.safetensors; test.json and confusion.png join them.
"""

from __future__ import annotations

import argparse
import json
import math
import reprlib
from pathlib import Path
from typing import Any, NamedTuple

import models
import mydl
from mydl import data, nn
from mydl.serialization import atomic_write
from scripts import datasets
from scripts.command_line import CommandLine, positive_int, run
from scripts.evaluation import Evaluation, evaluate


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("test_model", "Test a run's best weights on the test set.")
    add = parser.add_argument
    data_dir_help = "folder of the data files (else MYDL_DATA, a cache folder, a download)"
    add("run", metavar="RUN", help="the run's folder, as train_model made it")
    add("--data-dir", metavar="DIR", help=data_dir_help)
    add("--weights", choices=("best", "last"), default="best", help="which weights of the run")
    add("--batch-size", metavar="N", type=positive_int, default=1000, help="images a step")
    add("--threads", metavar="N", type=positive_int, help="CPU threads (all)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute")
    return parser.parse_args(argv)


class Config(NamedTuple):
    """What of a run's config.json tells how to test it."""

    model: str
    options: dict[str, Any]
    data: str
    statistics: list[float]


def read_config(folder: Path) -> Config:
    """The run's config.json; ValueError if it is not as train_model writes it."""
    path = folder / "config.json"
    if not path.is_file():
        found = "no config.json in it" if folder.is_dir() else "no such folder"
        raise FileNotFoundError(f"{folder}: wanted a run's folder, as train_model makes it; found {found}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: wanted a run's settings in JSON; {error}") from error
    match content:
        case {
            "model": {"name": str(name), "options": dict(options)},
            "data": {"name": str(source), "statistics": [float(mean), float(deviation)]},
        } if math.isfinite(mean) and 0 < deviation < math.inf:
            return Config(name, options, source, [mean, deviation])
    raise ValueError(
        f"{path}: wanted model (name, options) and data (name, statistics: mean and deviation), "
        "as train_model writes them; found something else"
    )


def load_model(folder: Path, config: Config, weights: str) -> nn.NeuralNetwork:
    """The model that the config describes, with the run's weights."""
    try:
        model = models.build(config.model, **config.options)
    except (ValueError, TypeError, IndexError, OverflowError, MemoryError) as error:
        wanted = f"{config.model} with {reprlib.repr(config.options)}"
        raise ValueError(f"{folder / 'config.json'}: cannot build {wanted}: {error}") from error
    path = folder / f"{weights}.safetensors"
    state = mydl.load(path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error
    return model


def per_class(result: Evaluation, classes: list[str]) -> dict[str, dict[str, float]]:
    """For each class its number of images, recall (the share of them that was found) and precision.

    Precision is the share that was right among the images called so; 0 where none was.
    """
    table = {}
    for i, name in enumerate(classes):
        images, called = int(result.confusion[i].sum()), int(result.confusion[:, i].sum())
        right = int(result.confusion[i, i])
        table[name] = {
            "images": images,
            "recall": right / images if images else 0.0,
            "precision": right / called if called else 0.0,
        }
    return table


def main(argv: list[str] | None = None) -> None:
    settings = read_settings(argv)
    if settings.threads:
        mydl.set_num_threads(settings.threads)
    folder = Path(settings.run)
    config = read_config(folder)
    model = load_model(folder, config, settings.weights).to(settings.device)

    test_set = datasets.load(config.data, settings.data_dir, train=False, statistics=config.statistics)
    loader = data.DataLoader(test_set, settings.batch_size, num_workers=1)
    classes = test_set.classes
    result = evaluate(model, loader, len(classes), settings.device)
    if not math.isfinite(result.loss):
        raise ValueError(f"{folder}: the {settings.weights} weights give a loss of {result.loss}, not a finite one")
    table = per_class(result, classes)

    print(f"{config.model} on {len(test_set):,} test images of {config.data}")
    print(f"loss {result.loss:.4f}  accuracy {result.accuracy:.4f}")
    width = max(len(name) for name in ("class", *classes))
    print(f"{'class':<{width}}  images  recall  precision")
    for name, row in table.items():
        print(f"{name:<{width}}  {row['images']:6d}  {row['recall']:.4f}  {row['precision']:9.4f}")

    content = {"loss": result.loss, "accuracy": result.accuracy, "per_class": table}
    with atomic_write(folder / "test.json") as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())
    from mydl import plotting

    plotting.save_figure(plotting.confusion_matrix(result.confusion, classes), folder / "confusion.png")
    print(f"written: {folder / 'test.json'}, {folder / 'confusion.png'}")


if __name__ == "__main__":
    run(main, "test_model")
