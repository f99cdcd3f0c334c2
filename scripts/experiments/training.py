"""Experiments that are runs of train_model: on MNIST and Fashion-MNIST, or on a folder of JPEG images."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from mydl import data
from mydl.history import History
from scripts import datasets
from scripts.evaluation import evaluate
from scripts.experiments.definition import Job, Outcome
from scripts.runs import open_run
from scripts.settings import read_settings
from scripts.train_model import train

__all__ = ["QUICK", "QUICK_FOLDER", "comparison", "folder", "on_test_images", "training"]

QUICK = {"epochs": 1, "limit": 300}
QUICK_FOLDER = {"epochs": 1, "images": 100}
KEPT = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def training(job: Job) -> Outcome:
    """A run of train_model in the job's folder, gone on with where it stands; its best weights on the test images.

    The figures are those of the epoch of the best validation accuracy, whose weights they are.
    """
    history = _run(job, job.settings)
    return Outcome({**_best(history), **on_test_images(job.folder, job.data_dir, job.device)}, history.rows)


def folder(job: Job) -> Outcome:
    """As `training`, on the first `images` training images of MNIST, which make the round through JPEG files.

    There is no test set: a fifth of the images is held out.
    """
    history = _run(job, _with_folder(job))
    return Outcome(_best(history), history.rows)


def comparison(job: Job) -> Outcome:
    """As `folder`, once for each of the `variants`: names to settings. The figures are the best one's.

    A variant whose loss is no longer finite is over; its last finite epochs count.
    """
    settings = _with_folder(job)
    variants, histories = {}, {}
    for name, changes in settings.pop("variants").items():
        part = job._replace(folder=job.folder / name)
        try:
            histories[name] = _run(part, {**settings, **changes})
        except ValueError:
            path = part.folder / "history.csv"
            rows = History.read(path).rows if path.exists() else []
            if not rows or math.isfinite(rows[-1]["train_loss"] + rows[-1]["val_loss"]):
                raise
            histories[name] = History(rows=rows[:-1])
        variants[name] = {**_best(histories[name]), "epochs": len(histories[name])}
    best = max(variants, key=lambda name: variants[name].get("val_accuracy", 0.0))
    final = {name: value for name, value in variants[best].items() if name in (*KEPT, "epoch")}
    rows = [{"variant": name, **row} for name, history in histories.items() for row in history.rows]
    return Outcome({**final, "best": best, "variants": variants}, rows)


def _run(job: Job, settings: dict[str, Any]) -> History:
    """Train as the settings say, in the job's folder."""
    flags = ["--out", str(job.folder), "--seed", str(job.seed), "--device", job.device]
    for name, value in settings.items():
        if value is False or name == "images":
            continue
        flags.append("--" + name.replace("_", "-"))
        if value is not True:
            flags += map(str, value if isinstance(value, list) else [value])
    if job.data_dir is not None:
        flags += ["--data-dir", job.data_dir]
    if job.threads is not None:
        flags += ["--threads", str(job.threads)]
    if (job.folder / "config.json").exists():
        flags.append("--resume")
    train(read_settings(flags, strict=False))  # what is better may leave settings of the rest without use
    return History.read(job.folder / "history.csv")


def _best(history: History) -> dict[str, Any]:
    """The figures of the epoch of the highest validation accuracy; none if there was no epoch."""
    if not len(history):
        return {}
    row = history.best("val_accuracy", "max")
    return {name: row[name] for name in KEPT} | {"epoch": int(row["epoch"])}


def on_test_images(run: Path, data_dir: str | None, device: str = "cpu") -> dict[str, Any]:
    """The run's best weights on its test images: loss, accuracy and the confusion matrix."""
    trained = open_run(run, "best", device)
    name, classes = trained.data["name"], trained.data["classes"]
    test_set = datasets.load(name, data_dir, train=False, preparation=trained.data["preparation"])
    result = evaluate(trained.model, data.DataLoader(test_set, 1000, num_workers=1), len(classes), device)
    return {"test_loss": result.loss, "test_accuracy": result.accuracy, "confusion": result.confusion.tolist()}


def _with_folder(job: Job) -> dict[str, Any]:
    """The job's settings with the folder of images as their data, once it is there."""
    path = job.folder.parents[1] / f"images-{job.settings['images']}"
    if not path.exists():
        source = data.MNIST(data.find_data_root("mnist", job.data_dir), train=True)
        images, labels = source.data.numpy(), source.targets.numpy()
        # Under its own name only once it is whole.
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=path.name, dir=path.parent))
        for digit in range(10):
            (unfinished / str(digit)).mkdir()
        for number in range(min(job.settings["images"], len(images))):
            Image.fromarray(images[number]).save(unfinished / str(labels[number]) / f"{number:05d}.jpg")
        os.replace(unfinished, path)
    return {**job.settings, "data": f"folder:{path}"}
