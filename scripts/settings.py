"""The settings of a training run: flags, TOML files with the same names, and what a resumed run may change."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
from models.mlp import ACTIVATIONS
from scripts import augmentation, datasets
from scripts.command_line import CommandLine, fraction, non_negative, positive_float, positive_int, seed
from scripts.runs import read_config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["LEARNING_RATES", "as_toml", "read_settings"]

LEARNING_RATES = {"sgd": 0.1, "momentum": 0.05, "adam": 0.001, "adamw": 0.001}

MLP_OPTIONS = {"hidden": [600, 100], "dropout": 0.0, "activation": "relu", "batch_norm": False, "init": "xavier"}

# What some runs have no use for: the setting that decides, which of its values are wanted, and the test for them.
USED_WITH: dict[str, tuple[str, str, Callable[[Any], bool]]] = {
    "data_dir": ("data", "mnist or fashion", lambda name: name in ("mnist", "fashion")),
    **dict.fromkeys(("grayscale", "skip_bad"), ("data", "folder:PATH", lambda name: name.startswith(datasets.FOLDER))),
    "augmentations": ("augment", "a share above 0", lambda share: share > 0),
    **dict.fromkeys(MLP_OPTIONS, ("model", "mlp", lambda name: name == "mlp")),
    **dict.fromkeys(
        ("milestones", "milestones_in"), ("scheduler", "step or multistep", lambda name: name in ("step", "multistep"))
    ),
    "gamma": (
        "scheduler", "step, multistep, exponential or plateau",
        lambda name: name in ("step", "multistep", "exponential", "plateau"),
    ),
}  # fmt: skip

# What says how to run, not what to compute; it is no setting of the run.
COMMANDS = ("config", "distributed", "dry_run", "resume")

# What a resumed run may have otherwise than it began with: nothing else leaves the weights as they would be.
CHANGEABLE = ("epochs", "data_dir", "threads", "device", "out", "save_every", "save_minutes", "keep", "patience",
              "tensorboard", "summary", "seeds")  # fmt: skip


def initialisation(text: str) -> str | float:
    """How weights start: "xavier", "he" or a number, for argparse.

    >>> initialisation("he"), initialisation("0.01")
    ('he', 0.01)
    """
    if text in ("xavier", "he"):
        return text
    try:
        return non_negative(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"wanted xavier, he or a deviation of at least 0, got {text!r}") from None


def make_parser() -> CommandLine:
    """The command line of train_model."""
    parser = CommandLine("train_model", "Train a model; weights, history, settings and curves go to a run folder.")

    add = parser.add_argument
    parser.section("the run")
    add("--config", metavar="FILE", help="a TOML file of settings, by the names of these flags, which override it")
    add("--out", metavar="DIR", help="the run's folder (results/MODEL-DATA)")
    add("--resume", action="store_true", help="go on with the run in --out where its checkpoint stands")
    add("--dry-run", action="store_true", help="print the settings in TOML, for --config, and stop")
    add("--summary", action="store_true", help="print the model's layers, their sizes and costs")
    add("--save-every", metavar="N", type=positive_int, default=1, help="epochs from checkpoint to checkpoint")
    minutes_help = "minutes from checkpoint to checkpoint within an epoch"
    add("--save-minutes", metavar="X", type=positive_float, default=3.0, help=minutes_help)
    add("--keep", metavar="N", type=positive_int, default=1, help="checkpoints kept, the newest and those before")
    add("--tensorboard", action="store_true", help="write TensorBoard's event files too (pip install tensorboardX)")
    add("--seed", metavar="N", type=seed, default=0, help="of weights, order, split, dropout and augmentation")
    seeds_help = "train with N seeds from --seed on, each in a folder of its own, and give mean and deviation"
    add("--seeds", metavar="N", type=positive_int, default=1, help=seeds_help)
    add("--threads", metavar="N", type=positive_int, help="CPU threads (all; of --distributed each process's share)")
    parser.add_common("--device")
    distributed_help = "be one of the processes that mpirun has started (pip install mpi4py mpich)"
    add("--distributed", action="store_true", help=distributed_help)

    parser.section("data")
    data_help = "digits, mnist, fashion, or folder:PATH with a folder of images for each class"
    add("--data", metavar="NAME", type=datasets.name, default="digits", help=data_help)
    parser.add_common("--data-dir")
    normalize_help = "pixels as they are, from 0 to 1, standardised each or by channel"
    add("--normalize", choices=("none", "scale", "pixel", "channel"), default="channel", help=normalize_help)
    size_help = "resize the images to N×N, or to a height and a width"
    add("--image-size", metavar="N", type=positive_int, nargs="+", help=size_help)
    add("--grayscale", action="store_true", help="read a folder's images without colour")
    add("--skip-bad", action="store_true", help="leave out a folder's damaged images, naming them")
    val_help = "training images set aside to validate on (a sixth; a fifth of a folder)"
    add("--val-size", metavar="N", type=positive_int, help=val_help)
    add("--limit", metavar="N", type=positive_int, help="use N training images, the first, of a folder at random (all)")
    add(
        "--augment", metavar="RATIO", type=augmentation.ratio, default=0.0, help="share of the images changed at random"
    )
    names_help = f"which changes, as rotation or rotation=15: {', '.join(augmentation.ALL)} (default: all but flip)"
    add("--augmentations", metavar="NAME", type=augmentation.strength, nargs="+",
        default=list(augmentation.USUAL), help=names_help)  # fmt: skip

    parser.section("model")
    add("--model", choices=models.CLASSIFIERS, default="mlp", help="what to train")
    add("--hidden", metavar="N", type=positive_int, nargs="+", help="sizes of the mlp's layers (600 100)")
    add("--dropout", metavar="P", type=fraction, help="share of the mlp's activations dropped (0)")
    add("--activation", choices=tuple(ACTIVATIONS), help="the mlp's nonlinearity (relu)")
    add("--batch-norm", action="store_true", help="normalise the sums of the mlp's hidden layers")
    init_help = "how the mlp's weights start: xavier, he, or the deviation of normal ones (xavier)"
    add("--init", metavar="HOW", type=initialisation, help=init_help)

    parser.section("training")
    add("--epochs", metavar="N", type=positive_int, default=10, help="passes over the training data")
    add("--batch-size", metavar="N", type=positive_int, default=256, help="images a batch, on all processes together")
    add("--accumulate", metavar="N", type=positive_int, default=1, help="batches whose gradients make one step")
    add("--optimizer", choices=tuple(LEARNING_RATES), default="adam", help="how to step")
    add("--lr", metavar="RATE", type=positive_float, help="learning rate (sgd 0.1, momentum 0.05, others 0.001)")
    add("--weight-decay", metavar="X", type=non_negative, default=0.0, help="L2 penalty (adamw: decoupled)")
    add(
        "--clip-norm", metavar="X", type=positive_float, help="scale gradients down to this norm where theirs is larger"
    )
    add("--label-smoothing", metavar="P", type=fraction, default=0.0, help="share of a label spread over all classes")
    ema_help = "validate and keep a moving average of the weights, which moves by 1 - DECAY a step"
    add("--ema", metavar="DECAY", type=fraction, help=ema_help)
    add("--patience", metavar="N", type=positive_int, help="stop after N epochs without a better validation accuracy")
    schedules = ("none", "step", "multistep", "exponential", "cosine", "onecycle", "plateau")
    add("--scheduler", choices=schedules, default="none", help="how the learning rate changes")
    milestones_help = "when the rate of multistep changes; the first is the period of step"
    add("--milestones", metavar="N", type=positive_int, nargs="+", default=[10, 20], help=milestones_help)
    counts = ("epochs", "iterations")
    add("--milestones-in", choices=counts, default="epochs", help="what the milestones count")
    add("--gamma", metavar="X", type=positive_float, default=0.1, help="what each change multiplies the rate by")
    return parser


def read_settings(argv: list[str] | None = None, strict: bool = True) -> argparse.Namespace:
    """All settings of the run: from the flags, the file of --config, the run that is resumed, the defaults.

    A flag beats the file. The run that --resume goes on with keeps its settings; a flag that would change what
    it computes is refused. So is, if `strict`, one that would change nothing, such as --gamma without a scheduler.
    """
    parser = make_parser()
    settings = parser.parse_args(argv)
    flags = _given(parser, argv)
    from_file = {} if settings.config is None else read_toml(settings.config, parser)
    given = {**from_file, **flags}
    settings = argparse.Namespace(**{**vars(settings), **given})
    if settings.model == "mlp":
        for name, default in MLP_OPTIONS.items():
            setattr(settings, name, default if getattr(settings, name) is None else getattr(settings, name))
    if settings.lr is None:
        settings.lr = LEARNING_RATES[settings.optimizer]
    if settings.out == "":
        parser.error("--out: wanted a folder, got ''")
    if settings.out is None:
        settings.out = f"results/{settings.model}-{datasets.label(settings.data)}"
    if settings.resume and settings.seeds == 1:
        _take_up(settings, given, parser)
    elif strict and not settings.resume:
        _refuse_unused(settings, flags, from_file, parser)
    return settings


def _given(parser: CommandLine, argv: list[str] | None) -> dict[str, Any]:
    """What the command line says itself, without defaults."""
    defaults = {name: action.default for name, action in parser.flags.items()}
    for action in parser.flags.values():
        action.default = argparse.SUPPRESS
    given = vars(parser.parse_args(argv))
    for name, action in parser.flags.items():
        action.default = defaults[name]
    return given


def _refuse_unused(
    settings: argparse.Namespace, flags: dict[str, Any], from_file: dict[str, Any], parser: CommandLine
) -> None:
    """End the program if a setting was given that this run does not use.

    A file may hold defaults, as --dry-run writes them, and what a flag that decides otherwise has put out of use.
    """
    for name, (decides, wanted, used_with) in USED_WITH.items():
        found, default = getattr(settings, decides), MLP_OPTIONS.get(name, parser.flags[name].default)
        in_file = decides not in flags and from_file.get(name, default) != default
        if not used_with(found) and (name in flags or in_file):
            key = name.replace("_", "-")
            place = f"--{key}" if name in flags else f"{settings.config}: {key}"
            parser.error(f"{place}: has no effect with --{decides} {found}; wanted {wanted}")


def _take_up(settings: argparse.Namespace, given: dict[str, Any], parser: CommandLine) -> None:
    """Give `settings` what the run in `settings.out` began with, but for what may change and was given."""
    saved = read_config(settings.out)["settings"]
    known = {name: action for name, action in parser.flags.items() if name not in COMMANDS}
    if saved.keys() != known.keys():
        odd = sorted(saved.keys() ^ known.keys())
        raise ValueError(f"{settings.out}/config.json: wanted the settings of train_model; {', '.join(odd)} differ")
    for name, value in saved.items():
        unset = value is None and known[name].default is None
        checked = None if unset else _checked(known[name], value, f"{settings.out}/config.json")
        flag = "--" + name.replace("_", "-")
        if name in given and name not in CHANGEABLE and given[name] != checked:
            raise ValueError(
                f"{flag} {_words(given[name])}: the run in {settings.out} was begun with {_words(checked)}; "
                "a resumed run can change no more than "
                + ", ".join("--" + other.replace("_", "-") for other in CHANGEABLE)
            )
        if name == "epochs" and saved["scheduler"] in ("cosine", "onecycle") and given.get(name, checked) != checked:
            raise ValueError(f"--epochs {given[name]}: the rates of {saved['scheduler']} are made for {checked} epochs")
        if name != "out" and (name not in CHANGEABLE or name not in given):
            setattr(settings, name, checked)


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def read_toml(path: str, parser: CommandLine) -> dict[str, Any]:
    """The settings in a TOML file: names of flags without the dashes in front, each value checked as a flag's."""
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: wanted settings in TOML; {error}") from error
    known = {name: action for name, action in parser.flags.items() if name not in COMMANDS}
    settings = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"the nearest is '{near[0].replace('_', '-')}'" if near else "train_model --help lists all"
            raise ValueError(f"{path}: no setting '{key}'; {hint}")
        if name in settings:
            raise ValueError(f"{path}: the setting '{key}' is there twice")
        settings[name] = _checked(known[name], value, path)
    return settings


def _checked(action: argparse.Action, value: Any, path: str) -> Any:
    """A value from a file, as the flag's own check makes it of its text."""
    name = action.dest.replace("_", "-")
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError(f"{path}: {name}: wanted true or false, got {value!r}")
        return value
    if (action.nargs == "+") != isinstance(value, list):
        raise ValueError(f"{path}: {name}: wanted {'a list' if action.nargs else 'one value'}, got {value!r}")
    checked = []
    for item in value if isinstance(value, list) else [value]:
        is_text = isinstance(item, str)
        wants_text = action.choices is not None or action.type in (None, datasets.name, augmentation.strength)
        if action.type is initialisation:  # a number or a word
            wants_text = is_text
        if is_text != wants_text or isinstance(item, bool) or not isinstance(item, str | int | float):
            raise ValueError(f"{path}: {name}: wanted {'text' if wants_text else 'a number'}, got {item!r}")
        if is_text and "\0" in item:
            raise ValueError(f"{path}: {name}: wanted text without NUL characters, got {item!r}")
        if action.choices is not None and item not in action.choices:
            raise ValueError(f"{path}: {name}: wanted one of {', '.join(action.choices)}, got {item!r}")
        try:
            checked.append(action.type(str(item)) if callable(action.type) else item)
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"{path}: {name}: {error}") from error
    if not checked:
        raise ValueError(f"{path}: {name}: wanted at least one value, got an empty list")
    return checked if isinstance(value, list) else checked[0]


def as_toml(settings: argparse.Namespace) -> str:
    """The settings as a file for --config; of those that are not set a comment says what they are and stand for.

    >>> print(as_toml(argparse.Namespace(model="mlp", hidden=[32, 16], lr=0.1, limit=None, resume=True)), end="")
    model = "mlp"
    hidden = [32, 16]
    lr = 0.1
    # limit is not set: use N training images, the first, of a folder at random (all)
    """
    lines = []
    flags = make_parser().flags
    for name, value in vars(settings).items():
        key = name.replace("_", "-")
        if name in COMMANDS or (value is None and name in MLP_OPTIONS):  # of another model: it has no such settings
            continue
        # JSON's text, numbers, booleans and lists are TOML's too, but for the DEL character.
        text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        lines.append(f"# {key} is not set: {flags[name].help}\n" if value is None else f"{key} = {text}\n")
    return "".join(lines)
