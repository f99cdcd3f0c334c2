"""Train a model on images of digits, clothes or what a folder holds; everything about the run goes to a folder.

    python -m scripts.train_model --model mlp --hidden 600 100 --dropout 0.3 --data mnist --epochs 30

It reads from top to bottom: data, model, optimizer, the loop. Copy it and change what you like.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import models
import mydl
from mydl import data, distributed, nn, optim
from mydl.backend import default_generator
from mydl.files import remove_leftovers
from mydl.history import History
from scripts import checkpoint, datasets
from scripts.augmentation import Augmentation
from scripts.checkpoint import Progress
from scripts.command_line import Stopped, run, stop_requests
from scripts.evaluation import evaluate
from scripts.event_files import EventFile, library
from scripts.runs import FORMAT, claimed, make_run_folder, read_config, write_json
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


def load_data(settings: argparse.Namespace) -> tuple[datasets.Images, data.DataLoader, data.DataLoader]:
    """The dataset, the batches to train on, and the batches to validate on: of several ranks each has its share."""
    rank, ranks = distributed.rank(), distributed.world_size()
    if rank > 0:
        distributed.barrier(3600)  # for rank 0, which downloads the data where they are not here yet
    dataset = datasets.load(
        settings.data, settings.data_dir, train=True, normalize=settings.normalize, image_size=settings.image_size,
        grayscale=settings.grayscale, skip_bad=settings.skip_bad, seed=settings.seed, val_size=settings.val_size,
        limit=settings.limit,
    )  # fmt: skip
    if rank == 0:
        distributed.barrier(3600)
    dataset.to(settings.device)  # a GPU keeps the images as uint8, and makes its batches itself
    changes = Augmentation(settings.augment, settings.augmentations) if settings.augment else None
    train_set, val_set = datasets.split(dataset, changes)
    sampler = data.DistributedSampler(train_set, seed=settings.seed)  # in one process all, in the loader's own order
    workers = 1 if ranks == 1 and settings.device == "cpu" else 0  # several ranks leave no core to a loading thread
    train_loader = data.DataLoader(
        train_set, settings.batch_size // ranks, sampler=sampler, num_workers=workers, seed=settings.seed
    )
    val_share = data.Subset(val_set, range(rank, len(val_set), ranks))
    return dataset, train_loader, data.DataLoader(val_share, batch_size=1000, num_workers=workers)


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


def begin(settings: argparse.Namespace, parts: dict[str, Any], claims: contextlib.ExitStack) -> Progress:
    """Make the run's folder, with a checkpoint of the parts as they are."""
    progress = Progress()
    if distributed.rank() == 0:
        folder = make_run_folder(settings.out)
        claims.enter_context(claimed(folder))
        # The checkpoint first: what has a config.json is a run, and every run can be resumed.
        checkpoint.save(folder, progress, parts)
    return progress


def take_up(
    settings: argparse.Namespace, description: dict[str, Any], parts: dict[str, Any], claims: contextlib.ExitStack
) -> Progress:
    """Put the parts where the run's checkpoint has them; ValueError if it is of other data, or further than asked."""
    rank, folder = distributed.rank(), Path(settings.out)
    if rank == 0:
        claims.enter_context(claimed(folder))
    if read_config(folder)["data"] != json.loads(json.dumps(description)):
        raise ValueError(f"{folder}: the {settings.data} data are not those that the run was begun with")
    progress = checkpoint.restore(folder, parts, settings.device)
    done = progress.epoch - 1
    if done > settings.epochs:
        raise ValueError(f"--epochs {settings.epochs}: the run in {folder} has done {done}; wanted as many at least")
    if progress.best_epoch:
        _check_weights(folder, progress, settings)
    distributed.barrier()  # all have read the checkpoint before rank 0 writes another
    if rank == 0:
        remove_leftovers(folder)
    elif progress.batch > 0:  # what the checkpoint has summed is rank 0's
        progress.loss_sum, progress.right, progress.seen = progress.loss_sum * 0, progress.right * 0, 0
    print(f"resuming {folder} in epoch {progress.epoch}, after {progress.steps:,} steps")
    return progress


def _check_weights(folder: Path, progress: Progress, settings: argparse.Namespace) -> None:
    """Where the best weights cannot be read, the best from here on take their place; ValueError if none are to come."""
    for name in ("best.safetensors", "last.safetensors"):
        problem, reason = _why_unreadable(folder / name), ended(progress, settings)
        if problem and reason:
            raise ValueError(f"{problem}; {reason}, so it is not made again: wanted more --epochs")
        if problem and name == "best.safetensors":
            print(f"{problem}; the best epoch from here on takes its place")
            progress.best_accuracy, progress.best_epoch = -1.0, 0


def _why_unreadable(weights: Path) -> str:
    """What is wrong with a file of weights, "" if nothing."""
    try:
        mydl.load(weights)
    except OSError as error:
        return f"{weights}: {error.strerror or error}"
    except ValueError as error:
        return str(error)
    return ""


def ended(progress: Progress, settings: argparse.Namespace) -> str:
    """Why the run has come to its end; "" while it has not."""
    done = progress.epoch - 1
    if settings.patience is not None and progress.batch == 0 and done - progress.best_epoch >= settings.patience:
        return f"no better validation accuracy for {settings.patience} epochs"
    return f"{done} of {settings.epochs} epochs are done" if done >= settings.epochs else ""


def of_all_ranks(progress: Progress) -> Progress:
    """The progress with the sums over all ranks' images."""
    sums = {name: distributed.all_reduce(getattr(progress, name).clone()) for name in ("loss_sum", "right")}
    return dataclasses.replace(progress, **sums, seen=int(distributed.all_reduce(np.array(progress.seen))))


def on_any_rank(*numbers: float) -> list[float]:
    """The largest of each number over the ranks, so that all do the same; all have to ask."""
    return distributed.all_reduce(np.array(numbers, np.float64), "max").tolist()


def train(settings: argparse.Namespace) -> float:
    """One run, begun or taken up again; its best validation accuracy."""
    with contextlib.ExitStack() as claims:
        return _train(settings, claims)


def _train(settings: argparse.Namespace, claims: contextlib.ExitStack) -> float:
    """The run itself; `claims` keeps other programs out of its folder until the run has ended, however it does."""
    mydl.manual_seed(settings.seed)
    if settings.threads:
        mydl.set_num_threads(settings.threads)
    device, folder = settings.device, Path(settings.out)

    rank, ranks = distributed.rank(), distributed.world_size()
    if settings.batch_size % ranks:
        raise ValueError(f"--batch-size {settings.batch_size}: wanted a multiple of the {ranks} processes")
    if settings.tensorboard and rank == 0:
        library()  # an error now, not once the run's folder is there
    if device == "cuda" and settings.distributed:
        mydl.cuda.set_device(distributed.local_rank() % mydl.cuda.device_count())

    # ---- the data
    dataset, train_loader, val_loader = load_data(settings)
    steps_per_epoch = math.ceil(len(train_loader) / settings.accumulate)

    # ---- the model, and what trains it
    model = models.build(settings.model, **model_options(settings, dataset)).to(device)
    averaged = copy.deepcopy(model) if settings.ema is not None else None
    optimizer = make_optimizer(settings, model)
    trained = distributed.DistributedDataParallel(model, sync_batch_norm=True) if ranks > 1 else model
    scheduler, rhythm = make_scheduler(settings, optimizer, steps_per_epoch)
    criterion = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    parts = {
        "model": model, "averaged": averaged, "optimizer": optimizer, "scheduler": scheduler, "loader": train_loader
    }  # fmt: skip

    # ---- the run's folder: one to go on with, or a new one
    description = {"name": settings.data, "preparation": dataset.preparation, "classes": dataset.classes}
    progress = take_up(settings, description, parts, claims) if settings.resume else begin(settings, parts, claims)
    default_generator.seed += rank << 32  # each rank drops out by draws of its own
    config = {
        "mydl": mydl.__version__, "format": FORMAT, "model": model.architecture, "data": description,
        "settings": {name: value for name, value in vars(settings).items() if name not in COMMANDS},
    }  # fmt: skip
    if rank == 0:
        write_json(folder / "config.json", config)

    if dataset.note:
        print(dataset.note)
    if settings.summary:
        print(mydl.summary(model, (settings.batch_size, *dataset.input_shape)))
    parameters = sum(p.numel() for p in model.parameters())
    train_size, val_size = map(len, dataset.parts)
    sizes = f"{train_size:,} images to train on, {val_size:,} to validate on"
    print(f"{settings.model}, {parameters:,} parameters; {sizes}")

    # ---- the loop
    history = History(folder / "history.csv" if rank == 0 else None, progress.history[:-1])
    for row in progress.history[-1:]:
        history.append(**row)  # which makes the file what the checkpoint has, whatever became of it
    events = EventFile(folder, len(history)) if settings.tensorboard and rank == 0 else None
    saved = time.monotonic()
    with stop_requests() as stop_requested:
        (stop,) = on_any_rank(stop_requested())
        while not (reason := ended(progress, settings)) and not stop:
            epoch = progress.epoch
            started = time.perf_counter() - progress.seconds
            trained.train()
            train_loader.set_epoch(epoch - 1)  # keeps a place within it that the checkpoint gave
            if progress.batch == 0:
                # The sums stay on the device: reading them waits for it, so that is done now and then only.
                progress.loss_sum = mydl.zeros(1, device=device)
                progress.right = mydl.zeros(1, dtype=mydl.int64, device=device)
                progress.seen = 0
                progress.lr = optimizer.param_groups[0]["lr"]
            # On a terminal only (disable=None); the line of the finished epoch takes its place (leave=False).
            bar = tqdm(
                train_loader, desc=f"epoch {epoch}/{settings.epochs}", unit="batch", leave=False,
                disable=None if rank == 0 else True,
                initial=progress.batch,
            )  # fmt: skip
            for images, labels in bar:
                logits = trained(images)
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
                if progress.batch == len(train_loader) or (ranks > 1 and progress.batch % 10):
                    continue  # asking the other ranks takes time, too
                stop, due = on_any_rank(stop_requested(), time.monotonic() - saved > 60 * settings.save_minutes)
                if stop or due:
                    progress.seconds = time.perf_counter() - started
                    total = of_all_ranks(progress)
                    if rank == 0 and math.isfinite(total.loss_sum.item()):
                        checkpoint.save(folder, total, parts, settings.keep)
                    distributed.barrier(600)
                    saved = time.monotonic()
                    if stop:
                        break
            if progress.batch < len(train_loader):
                break

            # The epoch has ended: validate, note, keep the weights, make a checkpoint.
            total = of_all_ranks(progress)
            train_loss, train_accuracy = total.loss_sum.item() / total.seen, total.right.item() / total.seen
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
            if rank == 0:
                models.save(kept, folder / "last.safetensors", metadata)
            if val.accuracy > progress.best_accuracy:
                progress.best_accuracy, progress.best_epoch = val.accuracy, epoch
                if rank == 0:
                    models.save(kept, folder / "best.safetensors", metadata)
                    for name in ("test.json", "confusion.png"):  # they tell of the weights before
                        (folder / name).unlink(missing_ok=True)
            print(
                f"epoch {epoch:3d}  train loss {train_loss:.4f} accuracy {train_accuracy:.4f}  "
                f"val loss {val.loss:.4f} accuracy {val.accuracy:.4f}  lr {progress.lr:.2g}  {seconds:.1f} s"
            )
            progress.epoch, progress.batch, progress.seconds, progress.history = epoch + 1, 0, 0.0, history.rows
            (stop,) = on_any_rank(stop_requested())
            if epoch % settings.save_every == 0 or ended(progress, settings) or stop:
                if rank == 0:
                    checkpoint.save(folder, progress, parts, settings.keep)
                distributed.barrier(600)
                saved = time.monotonic()

    # ---- the end
    if events is not None:
        events.close()
    if not reason:
        print(f"stopped; go on with: python -m scripts.train_model --resume --out {settings.out}")
        raise Stopped(int(stop))

    if rank > 0:
        return progress.best_accuracy
    from mydl import plotting

    plotting.save_figure(plotting.training_curves(history), folder / "training.png")
    print(f"{reason}; best validation accuracy {progress.best_accuracy:.4f}; the run is in {folder}")
    return progress.best_accuracy


def settings_of_seeds(settings: argparse.Namespace, argv: list[str]) -> list[argparse.Namespace]:
    """The settings of each seed's run. With --resume a run that was not begun yet is to be like those that were."""
    if (Path(settings.out) / "config.json").exists():
        raise ValueError(f"{settings.out} is one run and no folder of seeds' runs; wanted another --out with --seeds")
    folders = {
        seed: Path(settings.out) / f"seed-{seed}" for seed in range(settings.seed, settings.seed + settings.seeds)
    }
    begun = [seed for seed, folder in folders.items() if settings.resume and (folder / "config.json").exists()]
    flags = argv if begun else [flag for flag in argv if flag != "--resume"]
    result = []
    for seed, folder in folders.items():
        like = seed if seed in begun or not begun else begun[0]
        each = read_settings([*flags, "--seed", str(like), "--seeds", "1", "--out", str(folders[like])])
        if like != seed:
            each.seed, each.out, each.resume = seed, str(folder), False
        result.append(each)
    return result


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    settings = read_settings(argv)
    if settings.dry_run:
        print(as_toml(settings), end="")
        return
    if settings.distributed:
        distributed.init()
    else:
        distributed.refuse_silent_copies()
    if distributed.rank() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - rank 0 speaks for all
    if settings.seeds == 1:
        train(settings)
        return
    scores = []
    for each in settings_of_seeds(settings, argv):
        print(f"seed {each.seed}")
        scores.append(train(each))
    mean, deviation = statistics.mean(scores), statistics.stdev(scores)
    if distributed.rank() > 0:
        return
    write_json(Path(settings.out) / "seeds.json", {"val_accuracy": scores, "mean": mean, "deviation": deviation})
    print(f"validation accuracy {mean:.4f} ± {deviation:.4f} over {len(scores)} seeds; the runs are in {settings.out}")


if __name__ == "__main__":
    run(main, "train_model")
