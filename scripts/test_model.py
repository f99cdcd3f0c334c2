"""Test a trained model on images it has never seen: loss, accuracy, a table by class, a confusion matrix.

    python -m scripts.test_model results/mlp-mnist

The model is rebuilt from the run's best.safetensors; test.json and confusion.png join it.
"""

from __future__ import annotations

import argparse
import math

import mydl
from mydl import data
from scripts import datasets
from scripts.command_line import CommandLine, positive_int, run
from scripts.evaluation import Evaluation, evaluate
from scripts.runs import open_run, write_json


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("test_model", "Test a run's best weights on the test set.")
    add = parser.add_argument
    add("run", metavar="RUN", help="the run's folder, or a file of its weights")
    parser.add_common("--data-dir", "--weights")
    add("--batch-size", metavar="N", type=positive_int, default=1000, help="images a step")
    parser.add_common("--threads", "--device")
    return parser.parse_args(argv)


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
    trained = open_run(settings.run, settings.weights, settings.device)
    name, preparation, classes = trained.data["name"], trained.data["preparation"], trained.data["classes"]

    test_set = datasets.load(name, settings.data_dir, train=False, preparation=preparation)
    if test_set.classes != classes:
        raise ValueError(f"{trained.weights}: trained on the classes {classes}, but {name} has {test_set.classes}")
    if test_set.note:
        print(test_set.note)
    loader = data.DataLoader(test_set, settings.batch_size, num_workers=1)
    result = evaluate(trained.model, loader, len(classes), settings.device)
    if not math.isfinite(result.loss):
        raise ValueError(f"{trained.weights}: these weights give a loss of {result.loss}, not a finite one")
    table = per_class(result, classes)

    print(f"{trained.name} on {len(test_set):,} test images of {name}")
    print(f"loss {result.loss:.4f}  accuracy {result.accuracy:.4f}")
    width = max(len(name) for name in ("class", *classes))
    print(f"{'class':<{width}}  images  recall  precision")
    for name, row in table.items():
        print(f"{name:<{width}}  {row['images']:6d}  {row['recall']:.4f}  {row['precision']:9.4f}")

    content = {"loss": result.loss, "accuracy": result.accuracy, "per_class": table}
    write_json(trained.folder / "test.json", content)
    from mydl import plotting

    plotting.save_figure(plotting.confusion_matrix(result.confusion, classes), trained.folder / "confusion.png")
    print(f"written: {trained.folder / 'test.json'}, {trained.folder / 'confusion.png'}")


if __name__ == "__main__":
    run(main, "test_model")
