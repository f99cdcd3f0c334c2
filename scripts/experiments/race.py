"""The shortest road to 99% on MNIST: a small convolutional network, from the start of a process to its test.

    python -m scripts.experiments.race '{"seed": 0, "data_dir": null, "epochs": 2, …}'

is that process; the experiment starts it and looks at the clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import mydl
from mydl import MyTensor, data, nn, optim
from mydl.nn import functional as F
from scripts.experiments.definition import Job, Outcome

__all__ = ["QUICK", "race"]

QUICK = {"limit": 300, "epochs": 1, "batch_size": 100}


class Net(nn.NeuralNetwork):
    """Three convolutions, each with batch norm and ReLU, the first with stride 2, and a linear layer."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        a, b, c = channels
        self.features = nn.Sequential(
            nn.Conv2D(1, a, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(a), nn.ReLU(),
            nn.Conv2D(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2D(b, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
        )  # fmt: skip
        self.linear = nn.Linear(c * 7 * 7, 10)

    def forward(self, x: MyTensor) -> MyTensor:
        """Images (N, 1, 28, 28) -> logits (N, 10)."""
        return self.linear(self.features(x).flatten(1))


def inputs(dataset: data.MNIST) -> tuple[np.ndarray, np.ndarray]:
    """Standardised images (N, 1, 28, 28) in float32, and labels."""
    images = dataset.data.numpy()[:, None].astype(np.float32)
    images -= np.float32(0.1307 * 255)
    images /= np.float32(0.3081 * 255)
    return images, dataset.targets.numpy()


def run(settings: dict[str, Any]) -> dict[str, float]:
    """Train on all training images (the recipe has been chosen before) and test once."""
    mydl.manual_seed(settings["seed"])
    if settings["threads"]:
        mydl.set_num_threads(settings["threads"])
    root = data.find_data_root("mnist", settings["data_dir"])
    images, labels = (array[: settings.get("limit")] for array in inputs(data.MNIST(root, train=True)))
    batch_size, epochs = settings["batch_size"], settings["epochs"]
    steps = len(images) // batch_size

    model = Net(settings["channels"])
    optimizer = optim.Adam(model.parameters(), lr=settings["lr"])
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, settings["lr"], total_steps=steps * epochs)
    rng = np.random.default_rng(settings["seed"])
    for _ in range(epochs):
        order = rng.permutation(len(images))
        loss_sum = 0.0
        for step in range(steps):
            batch = order[step * batch_size : (step + 1) * batch_size]
            logits = model(mydl.tensor(images[batch]))
            loss = F.cross_entropy(logits, mydl.tensor(labels[batch]), label_smoothing=settings["label_smoothing"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            loss_sum += loss.item()

    model.eval()
    images, labels = inputs(data.MNIST(root, train=False))
    test_loss, right = 0.0, 0
    with mydl.no_grad():
        for start in range(0, len(images), 1000):
            logits = model(mydl.tensor(images[start : start + 1000]))
            wanted = labels[start : start + 1000]
            test_loss += F.cross_entropy(logits, mydl.tensor(wanted), reduction="sum").item()
            right += int((logits.numpy().argmax(1) == wanted).sum())
    return {
        "train_loss": loss_sum / steps, "test_loss": test_loss / len(labels), "test_accuracy": right / len(labels)
    }  # fmt: skip


def race(job: Job) -> Outcome:
    """`seconds` are those of the whole process: start, imports, reading, training, test. Kernels are on disk by then.

    Settings: `channels` of the three convolutions, `lr` (of one cycle of Adam), `batch_size`, `epochs`,
    `label_smoothing`.
    """
    settings = {**job.settings, "seed": job.seed, "data_dir": job.data_dir, "threads": job.threads}

    def start(settings: dict[str, Any]) -> tuple[dict[str, float], float]:
        command = [sys.executable, "-m", "scripts.experiments.race", json.dumps(settings)]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"the race ended with status {done.returncode}; what it said is above")
        return json.loads(done.stdout), seconds

    start({**settings, **QUICK})  # so that the kernels are compiled
    figures, seconds = start(settings)
    return Outcome({**figures, "seconds": round(seconds, 2)})


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
