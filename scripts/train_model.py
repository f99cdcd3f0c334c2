"""Train a model on images of digits or clothes; weights, history, settings and curves go to a run folder.

    python -m scripts.train_model --model mlp --hidden 600 100 --dropout 0.3 --data mnist --epochs 30

It reads from top to bottom: settings, data, model, optimizer, the loop. Copy it and change what you like.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

import models
import mydl
from mydl import data, nn, optim
from mydl.history import History
from mydl.serialization import atomic_write
from scripts import datasets
from scripts.command_line import (
    CommandLine,
    fraction,
    non_negative,
    positive_float,
    positive_int,
    run,
    seed,
)
from scripts.evaluation import evaluate

LEARNING_RATES = {"sgd": 0.1, "momentum": 0.05, "adam": 0.001, "adamw": 0.001}


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("train_model", "Train a model; weights, history, settings and curves go to a run folder.")
    add = parser.add_argument
    schedules = ("none", "step", "multistep", "exponential", "cosine", "onecycle", "plateau")
    data_dir_help = "folder of the data files (else MYDL_DATA, a cache folder, a download)"
    milestones_help = "when the rate of multistep changes; the first is the period of step"
    add("--model", choices=tuple(models.MODELS), default="mlp", help="what to train")
    add("--data", choices=datasets.NAMES, default="digits", help="what to train it on")
    add("--data-dir", metavar="DIR", help=data_dir_help)
    add("--epochs", metavar="N", type=positive_int, default=10, help="passes over the training data")
    add("--batch-size", metavar="N", type=positive_int, default=256, help="images a step")
    add(
        "--lr",
        metavar="RATE",
        type=positive_float,
        help="learning rate (sgd 0.1, momentum 0.05, others 0.001)",
    )
    add("--optimizer", choices=tuple(LEARNING_RATES), default="adam", help="how to step")
    add("--weight-decay", metavar="X", type=non_negative, default=0.0, help="L2 penalty (adamw: decoupled)")
    add(
        "--hidden",
        metavar="N",
        type=positive_int,
        nargs="+",
        default=[600, 100],
        help="sizes of the mlp's layers",
    )
    add("--dropout", metavar="P", type=fraction, default=0.0, help="share of the mlp's activations dropped")
    add("--scheduler", choices=schedules, default="none", help="how the learning rate changes")
    add("--milestones", metavar="N", type=positive_int, nargs="+", default=[10, 20], help=milestones_help)
    add(
        "--milestones-in",
        choices=("epochs", "iterations"),
        default="epochs",
        help="what the milestones count",
    )
    add(
        "--gamma",
        metavar="X",
        type=positive_float,
        default=0.1,
        help="what each change multiplies the rate by",
    )
    add(
        "--val-size",
        metavar="N",
        type=positive_int,
        help="training images set aside to validate on (a sixth)",
    )
    add("--limit", metavar="N", type=positive_int, help="use the first N training images (all)")
    add(
        "--seed",
        metavar="N",
        type=seed,
        default=0,
        help="of the weights, the order, the split and the dropout",
    )
    add("--threads", metavar="N", type=positive_int, help="CPU threads (all)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute")
    add("--out", metavar="DIR", help="the run's folder (results/MODEL-DATA)")
    settings = parser.parse_args(argv)
    if settings.lr is None:
        settings.lr = LEARNING_RATES[settings.optimizer]
    if settings.out is None:
        settings.out = f"results/{settings.model}-{settings.data}"
    return settings


def split(dataset: Any, settings: argparse.Namespace) -> tuple[data.Subset, data.Subset]:
    """The images to train on and those to validate on: the seed decides."""
    size = min(settings.limit or len(dataset), len(dataset))
    val_size = settings.val_size or size // 6
    if not 0 < val_size < size:
        raise ValueError(f"{size} images, {val_size} of them to validate on: wanted at least one for each purpose")
    subset = data.Subset(dataset, range(size))
    train, val = data.random_split(subset, [size - val_size, val_size], seed=settings.seed)
    return train, val


def model_options(settings: argparse.Namespace, classes: int) -> dict[str, Any]:
    """What the model's constructor is given; saved with the run, so that it can be built again."""
    options: dict[str, Any] = {"classes": classes}
    if settings.model == "mlp":
        options |= {"hidden": settings.hidden, "dropout": settings.dropout}
    return options


def make_optimizer(settings: argparse.Namespace, model: nn.NeuralNetwork) -> optim.Optimizer:
    kinds = {"sgd": optim.SGD, "momentum": optim.Momentum, "adam": optim.Adam, "adamw": optim.AdamW}
    kind = kinds[settings.optimizer]
    return kind(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def make_scheduler(settings: argparse.Namespace, optimizer: optim.Optimizer, steps: int) -> tuple[Any, str]:
    """The scheduler (or None), and when it steps: after each "batch", each "epoch", or on the "loss"."""
    total = settings.epochs * steps
    rhythm = "batch" if settings.milestones_in == "iterations" else "epoch"
    rates = optim.lr_scheduler
    if settings.scheduler == "step":
        return rates.StepLR(optimizer, settings.milestones[0], settings.gamma), rhythm
    if settings.scheduler == "multistep":
        return rates.MultiStepLR(optimizer, sorted(settings.milestones), settings.gamma), rhythm
    if settings.scheduler == "exponential":
        return rates.ExponentialLR(optimizer, settings.gamma), "epoch"
    if settings.scheduler == "cosine":
        return rates.CosineAnnealingLR(optimizer, total), "batch"
    if settings.scheduler == "onecycle":
        return rates.OneCycleLR(optimizer, settings.lr, total_steps=total), "batch"
    if settings.scheduler == "plateau":
        return rates.ReduceLROnPlateau(optimizer, factor=settings.gamma, patience=3), "loss"
    return None, "never"


def make_run_folder(out: str) -> Path:
    """A fresh folder for the run; an older run at its place is moved aside, not lost."""
    folder = Path(out)
    try:
        if (folder / "config.json").exists():
            number = 1
            while (older := folder.parent / f"{folder.name}.{number}").exists():
                number += 1
            folder.rename(older)
            print(f"the run that was in {folder} is now in {older}")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--out {out}: cannot make the run's folder: {error.strerror}") from error
    return folder


def write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def main(argv: list[str] | None = None) -> None:
    settings = read_settings(argv)
    mydl.manual_seed(settings.seed)
    if settings.threads:
        mydl.set_num_threads(settings.threads)

    dataset = datasets.load(settings.data, settings.data_dir, train=True)
    classes = dataset.classes
    train_set, val_set = split(dataset, settings)
    train_loader = data.DataLoader(train_set, settings.batch_size, shuffle=True, num_workers=1, seed=settings.seed)
    val_loader = data.DataLoader(val_set, batch_size=1000, num_workers=1)

    options = model_options(settings, len(classes))
    model = models.build(settings.model, **options).to(settings.device)
    optimizer = make_optimizer(settings, model)
    scheduler, rhythm = make_scheduler(settings, optimizer, len(train_loader))
    criterion = nn.CrossEntropyLoss()
    parameters = sum(p.numel() for p in model.parameters())

    folder = make_run_folder(settings.out)
    config = {
        "mydl": mydl.__version__,
        "model": {"name": settings.model, "options": options},
        "data": {"name": settings.data, "statistics": dataset.statistics, "classes": classes},
        "settings": vars(settings),
    }
    write_json(folder / "config.json", config)
    history = History(folder / "history.csv")
    sizes = f"{len(train_set):,} images to train on, {len(val_set):,} to validate on"
    print(f"{settings.model}, {parameters:,} parameters; {sizes}")

    best = -1.0
    for epoch in range(1, settings.epochs + 1):
        started = time.perf_counter()
        lr = optimizer.param_groups[0]["lr"]
        model.train()
        # The sums stay on the device: reading them waits for it, so that is done now and then only.
        loss_sum = mydl.zeros(1, device=settings.device)
        right = mydl.zeros(1, dtype=mydl.int64, device=settings.device)
        seen = 0
        # On a terminal only (disable=None); the line of the finished epoch takes its place (leave=False).
        title = f"epoch {epoch}/{settings.epochs}"
        bar = tqdm(train_loader, desc=title, unit="batch", leave=False, disable=None)
        for step, (images, labels) in enumerate(bar):
            images, labels = images.to(settings.device), labels.to(settings.device)
            logits = model(images)
            loss = criterion(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if rhythm == "batch":
                scheduler.step()
            with mydl.no_grad():
                loss_sum += loss.detach() * len(labels)
                right += (logits.argmax(1) == labels).sum()
            seen += len(labels)
            if step % 20 == 0:
                bar.set_postfix(loss=f"{loss_sum.item() / seen:.4f}", accuracy=f"{right.item() / seen:.4f}")

        train_loss, train_accuracy = loss_sum.item() / seen, right.item() / seen
        val = evaluate(model, val_loader, len(classes), settings.device)
        if rhythm == "epoch":
            scheduler.step()
        elif rhythm == "loss":
            scheduler.step(val.loss)
        seconds = time.perf_counter() - started
        history.append(
            epoch=epoch, train_loss=train_loss, train_accuracy=train_accuracy,
            val_loss=val.loss, val_accuracy=val.accuracy, lr=lr, seconds=round(seconds, 3),
        )  # fmt: skip
        if not (math.isfinite(train_loss) and math.isfinite(val.loss)):
            raise ValueError(
                f"epoch {epoch}: the loss is {train_loss:.4g} in training and {val.loss:.4g} in validation; "
                f"wanted finite ones: try a learning rate below {settings.lr:g}"
            )
        state = model.state_dict()
        mydl.save(state, folder / "last.safetensors")
        if val.accuracy > best:
            best = val.accuracy
            mydl.save(state, folder / "best.safetensors")
        print(
            f"epoch {epoch:3d}  train loss {train_loss:.4f} accuracy {train_accuracy:.4f}  "
            f"val loss {val.loss:.4f} accuracy {val.accuracy:.4f}  lr {lr:.2g}  {seconds:.1f} s"
        )

    from mydl import plotting

    plotting.save_figure(plotting.training_curves(history), folder / "training.png")
    print(f"best validation accuracy {best:.4f}; the run is in {folder}")


if __name__ == "__main__":
    run(main, "train_model")
