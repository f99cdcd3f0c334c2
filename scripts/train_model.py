"""Train a model on images of digits, clothes or what a folder holds; everything about the run goes to a folder.

    python -m scripts.train_model --model mlp --hidden 600 100 --dropout 0.3 --data mnist --epochs 30

It reads from top to bottom: data, model, optimizer, the loop. Copy it and change what you like.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

import models
import mydl
from mydl import data, nn, optim
from mydl.history import History
from mydl.serialization import atomic_write, remove_leftovers
from scripts import checkpoint, datasets
from scripts.augmentation import Augmentation
from scripts.checkpoint import Progress
from scripts.command_line import Stopped, run, stop_requests
from scripts.evaluation import evaluate
from scripts.event_files import EventFile
from scripts.runs import FORMAT, read_config
from scripts.settings import COMMANDS, MLP_OPTIONS, as_toml, read_settings


def model_options(settings: argparse.Namespace, dataset: Any) -> dict[str, Any]:
    """What the model's constructor is given; saved with the run, so that it can be built again."""
    options: dict[str, Any] = {"classes": len(dataset.classes)}
    if settings.model == "resnet":
        return options | {"in_channels": dataset.input_shape[0]}
    options["in_features"] = math.prod(dataset.input_shape)
    if settings.model == "mlp":
        options |= {name: getattr(settings, name) for name in MLP_OPTIONS}
    return options


def make_optimizer(settings: argparse.Namespace, model: nn.NeuralNetwork) -> optim.Optimizer:
    kinds = {"sgd": optim.SGD, "momentum": optim.Momentum, "adam": optim.Adam, "adamw": optim.AdamW}
    kind = kinds[settings.optimizer]
    return kind(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def make_scheduler(settings: argparse.Namespace, optimizer: optim.Optimizer, steps: int) -> tuple[Any, str]:
    """The scheduler (or None), and when it steps: after each "step", each "epoch", or on the "loss"."""
    total = settings.epochs * steps
    rhythm = "step" if settings.milestones_in == "iterations" else "epoch"
    rates = optim.lr_scheduler
    if settings.scheduler == "step":
        return rates.StepLR(optimizer, settings.milestones[0], settings.gamma), rhythm
    if settings.scheduler == "multistep":
        return rates.MultiStepLR(optimizer, sorted(settings.milestones), settings.gamma), rhythm
    if settings.scheduler == "exponential":
        return rates.ExponentialLR(optimizer, settings.gamma), "epoch"
    if settings.scheduler == "cosine":
        return rates.CosineAnnealingLR(optimizer, total), "step"
    if settings.scheduler == "onecycle":
        return rates.OneCycleLR(optimizer, settings.lr, total_steps=total), "step"
    if settings.scheduler == "plateau":
        return rates.ReduceLROnPlateau(optimizer, factor=settings.gamma, patience=3), "loss"
    return None, "never"


@mydl.no_grad()
def follow(averaged: nn.NeuralNetwork, model: nn.NeuralNetwork, decay: float, steps: int) -> None:
    """averaged += (1 - decay) · (model - averaged); faster in the first steps, whose weights are no good yet."""
    decay = min(decay, steps / (steps + 9))
    for average, tensor in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if average.is_floating_point():
            average.lerp_(tensor, 1 - decay)
        else:
            average.copy_(tensor)


def make_run_folder(out: str) -> Path:
    """A folder for a new run; an older run at its place is moved aside, not lost."""
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


def ended(progress: Progress, settings: argparse.Namespace) -> str:
    """Why the run has come to its end; "" while it has not."""
    done = progress.epoch - 1
    if settings.patience is not None and progress.batch == 0 and done - progress.best_epoch >= settings.patience:
        return f"no better validation accuracy for {settings.patience} epochs"
    return f"{done} of {settings.epochs} epochs are done" if done >= settings.epochs else ""


def train(settings: argparse.Namespace) -> float:
    """One run, begun or taken up again; its best validation accuracy."""
    mydl.manual_seed(settings.seed)
    if settings.threads:
        mydl.set_num_threads(settings.threads)
    device, folder = settings.device, Path(settings.out)

    dataset = datasets.load(
        settings.data, settings.data_dir, train=True, normalize=settings.normalize, image_size=settings.image_size,
        grayscale=settings.grayscale, skip_bad=settings.skip_bad, seed=settings.seed, val_size=settings.val_size,
        limit=settings.limit,
    )  # fmt: skip
    changes = Augmentation(settings.augment, settings.augmentations) if settings.augment else None
    train_set, val_set = datasets.split(dataset, changes)
    train_loader = data.DataLoader(train_set, settings.batch_size, shuffle=True, num_workers=1, seed=settings.seed)
    val_loader = data.DataLoader(val_set, batch_size=1000, num_workers=1)
    steps_per_epoch = math.ceil(len(train_loader) / settings.accumulate)

    model = models.build(settings.model, **model_options(settings, dataset)).to(device)
    averaged = copy.deepcopy(model) if settings.ema is not None else None
    optimizer = make_optimizer(settings, model)
    scheduler, rhythm = make_scheduler(settings, optimizer, steps_per_epoch)
    criterion = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    parts = {
        "model": model, "averaged": averaged, "optimizer": optimizer, "scheduler": scheduler, "loader": train_loader
    }  # fmt: skip

    description = {"name": settings.data, "preparation": dataset.preparation, "classes": dataset.classes}
    if settings.resume:
        if read_config(folder)["data"] != json.loads(json.dumps(description)):
            raise ValueError(f"{folder}: the {settings.data} data are not those that the run was begun with")
        progress = checkpoint.restore(folder, parts, device)
        remove_leftovers(folder)
        print(f"resuming {folder} in epoch {progress.epoch}, after {progress.steps:,} steps")
    else:
        folder, progress = make_run_folder(settings.out), Progress()
        # The checkpoint first: what has a config.json is a run, and every run can be resumed.
        checkpoint.save(folder, progress, parts)
    config = {
        "mydl": mydl.__version__, "format": FORMAT, "model": model.architecture, "data": description,
        "settings": {name: value for name, value in vars(settings).items() if name not in COMMANDS},
    }  # fmt: skip
    write_json(folder / "config.json", config)

    if dataset.note:
        print(dataset.note)
    if settings.summary:
        print(mydl.summary(model, (settings.batch_size, *dataset.input_shape)))
    parameters = sum(p.numel() for p in model.parameters())
    sizes = f"{len(train_set):,} images to train on, {len(val_set):,} to validate on"
    print(f"{settings.model}, {parameters:,} parameters; {sizes}")

    history = History(folder / "history.csv", progress.history)
    events = EventFile(folder, len(history)) if settings.tensorboard else None
    saved = time.monotonic()
    with stop_requests() as stop_requested:
        while not (reason := ended(progress, settings)) and not stop_requested():
            epoch = progress.epoch
            started = time.perf_counter() - progress.seconds
            model.train()
            train_loader.set_epoch(epoch - 1)  # keeps a place within it that the checkpoint gave
            if progress.batch == 0:
                # The sums stay on the device: reading them waits for it, so that is done now and then only.
                progress.loss_sum = mydl.zeros(1, device=device)
                progress.right = mydl.zeros(1, dtype=mydl.int64, device=device)
                progress.seen = 0
                progress.lr = optimizer.param_groups[0]["lr"]
            # On a terminal only (disable=None); the line of the finished epoch takes its place (leave=False).
            bar = tqdm(
                train_loader, desc=f"epoch {epoch}/{settings.epochs}", unit="batch", leave=False, disable=None,
                initial=progress.batch,
            )  # fmt: skip
            for images, labels in bar:
                images, labels = images.to(device), labels.to(device)
                logits = model(images)
                loss = criterion(logits, labels)
                # The mean over the batches of a step; an epoch's last step may have fewer of them.
                first = progress.batch - progress.batch % settings.accumulate
                batches = min(settings.accumulate, len(train_loader) - first)
                (loss / batches if batches > 1 else loss).backward()
                with mydl.no_grad():
                    progress.loss_sum += loss.detach() * len(labels)
                    progress.right += (logits.argmax(1) == labels).sum()
                progress.seen += len(labels)
                progress.batch += 1
                if progress.batch % 20 == 1:
                    bar.set_postfix(
                        loss=f"{progress.loss_sum.item() / progress.seen:.4f}",
                        accuracy=f"{progress.right.item() / progress.seen:.4f}",
                    )
                if progress.batch < first + batches:
                    continue

                if settings.clip_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
                optimizer.step()
                optimizer.zero_grad()
                if rhythm == "step":
                    scheduler.step()
                progress.steps += 1
                if averaged is not None:
                    follow(averaged, model, settings.ema, progress.steps)

                # The last batch needs no checkpoint: that of the epoch's end follows it.
                due = stop_requested() or time.monotonic() - saved > 60 * settings.save_minutes
                if due and progress.batch < len(train_loader):
                    progress.seconds = time.perf_counter() - started
                    if math.isfinite(progress.loss_sum.item()):
                        checkpoint.save(folder, progress, parts, settings.keep)
                        saved = time.monotonic()
                    if stop_requested():
                        break
            if progress.batch < len(train_loader):
                break

            train_loss, train_accuracy = progress.loss_sum.item() / progress.seen, progress.right.item() / progress.seen
            kept = model if averaged is None else averaged
            val = evaluate(kept, val_loader, len(dataset.classes), device)
            if rhythm == "epoch":
                scheduler.step()
            elif rhythm == "loss":
                scheduler.step(val.loss)
            seconds = time.perf_counter() - started
            history.append(
                epoch=epoch, train_loss=train_loss, train_accuracy=train_accuracy,
                val_loss=val.loss, val_accuracy=val.accuracy, lr=progress.lr, seconds=round(seconds, 3),
            )  # fmt: skip
            if events is not None:
                events.write(history.rows[-1])
            if not (math.isfinite(train_loss) and math.isfinite(val.loss)):
                raise ValueError(
                    f"epoch {epoch}: the loss is {train_loss:.4g} in training and {val.loss:.4g} in validation; "
                    f"wanted finite ones: try a learning rate below {settings.lr:g}"
                )
            result = {"epoch": epoch, "val_accuracy": val.accuracy, "val_loss": val.loss}
            metadata = {"data": json.dumps(description), "result": json.dumps(result)}
            models.save(kept, folder / "last.safetensors", metadata)
            if val.accuracy > progress.best_accuracy:
                progress.best_accuracy, progress.best_epoch = val.accuracy, epoch
                models.save(kept, folder / "best.safetensors", metadata)
            print(
                f"epoch {epoch:3d}  train loss {train_loss:.4f} accuracy {train_accuracy:.4f}  "
                f"val loss {val.loss:.4f} accuracy {val.accuracy:.4f}  lr {progress.lr:.2g}  {seconds:.1f} s"
            )
            progress.epoch, progress.batch, progress.seconds, progress.history = epoch + 1, 0, 0.0, history.rows
            if epoch % settings.save_every == 0 or ended(progress, settings) or stop_requested():
                checkpoint.save(folder, progress, parts, settings.keep)
                saved = time.monotonic()

    if events is not None:
        events.close()
    if not reason:
        print(f"stopped; go on with: python -m scripts.train_model --resume --out {settings.out}")
        raise Stopped(stop_requested())

    from mydl import plotting

    plotting.save_figure(plotting.training_curves(history), folder / "training.png")
    print(f"{reason}; best validation accuracy {progress.best_accuracy:.4f}; the run is in {folder}")
    return progress.best_accuracy


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    settings = read_settings(argv)
    if settings.dry_run:
        print(as_toml(settings), end="")
        return
    if settings.seeds == 1:
        train(settings)
        return
    scores = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        folder = Path(settings.out) / f"seed-{seed}"
        flags = [flag for flag in argv if flag != "--resume"]
        if settings.resume and (folder / "config.json").exists():
            flags.append("--resume")
        print(f"seed {seed}")
        scores.append(train(read_settings([*flags, "--seed", str(seed), "--seeds", "1", "--out", str(folder)])))
    mean, deviation = statistics.mean(scores), statistics.stdev(scores)
    write_json(Path(settings.out) / "seeds.json", {"val_accuracy": scores, "mean": mean, "deviation": deviation})
    print(f"validation accuracy {mean:.4f} ± {deviation:.4f} over {len(scores)} seeds; the runs are in {settings.out}")


if __name__ == "__main__":
    run(main, "train_model")
