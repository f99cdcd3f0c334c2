"""Settings from flags and TOML files: the same names, the same checks, and a way back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import train_model
from scripts.settings import COMMANDS, as_toml, read_settings

ROOT = Path(__file__).resolve().parents[2]


def config(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    return ["--config", str(tmp_path / "run.toml")]


def test_a_file_is_as_good_as_flags(tmp_path):
    text = """
        # comments are allowed
        model = "mlp"
        hidden = [32, 16]
        lr = 0.5
        weight-decay = 1
        scheduler = "step"
        augment = 0.5
        milestones_in = "iterations"
        grayscale = true
        augmentations = ["rotation=15", "zoom"]
        data = "folder:pictures"
    """
    flags = "--hidden 32 16 --lr 0.5 --weight-decay 1 --scheduler step --milestones-in iterations"
    flags += " --grayscale --augment 0.5 --augmentations rotation=15 zoom --data folder:pictures"
    from_file = vars(read_settings(config(tmp_path, text)))
    assert from_file.pop("config") == str(tmp_path / "run.toml")
    wanted = vars(read_settings(flags.split()))
    assert wanted.pop("config") is None
    assert from_file == wanted
    assert from_file["out"] == "results/mlp-pictures"


def test_a_flag_beats_the_file_even_with_the_default_value(tmp_path):
    settings = read_settings([*config(tmp_path, "epochs = 3\nlr = 0.5\nkeep = 2"), "--epochs", "10"])
    assert (settings.epochs, settings.lr, settings.keep) == (10, 0.5, 2)


def test_a_dry_run_prints_a_file_that_gives_the_same_again_and_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--lr", "1e-7", "--hidden", "7", "--out", 'a "quoted" \\ päth\n\x7f', "--data", "folder:x", "--grayscale"]
    train_model.main([*flags, "--dry-run"])
    printed = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    again = read_settings(config(tmp_path, printed))
    wanted = read_settings(flags)
    again.config = None
    assert again == wanted
    assert as_toml(again) == printed
    # Every setting is there; those that are not set as comments.
    named = set(re.findall(r"^(?:# )?([\w-]+) (?:=|is not set:)", printed, flags=re.MULTILINE))
    assert named == {name.replace("_", "-") for name in vars(wanted).keys() - set(COMMANDS)}
    assert "# val-size is not set: training images set aside to validate on (a sixth; a fifth of a folder)\n" in printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 3", "no setting 'epoch'; the nearest is 'epochs'"),
        ("learning-rate = 3", "no setting 'learning-rate'; train_model --help lists all"),
        ("mode = 'mlp'", "the nearest is 'model'"),
        ("epochs = '3'", "epochs: wanted a number, got '3'"),
        ("epochs = 3.5", "epochs: wanted a whole number above 0 (and below 2**31), got '3.5'"),
        ("epochs = true", "epochs: wanted a number, got True"),
        ("epochs = [3]", "epochs: wanted one value, got [3]"),
        ("epochs = 0", "epochs: wanted a whole number above 0"),
        ("hidden = 3", "hidden: wanted a list, got 3"),
        ("hidden = []", "hidden: wanted at least one value, got an empty list"),
        ("hidden = [3, 'x']", "hidden: wanted a number, got 'x'"),
        ("hidden = [[3]]", "hidden: wanted a number, got [3]"),
        ("grayscale = 1", "grayscale: wanted true or false, got 1"),
        ("model = 'vgg'", "model: wanted one of logistic, mlp, resnet, got 'vgg'"),
        ("optimizer = 3", "optimizer: wanted text, got 3"),
        ("data = 'cifar'", "data: no dataset 'cifar'; wanted one of"),
        ("augmentations = ['spin']", "augmentations: "),
        ("lr = nan", "lr: wanted a number above 0, got 'nan'"),
        ("lr = 2020-01-01", "lr: wanted a number, got"),
        ("[training]\nlr = 1", "no setting 'training'"),
        ("save-every = 1\nsave_every = 2", "the setting 'save_every' is there twice"),
        ("resume = true", "no setting 'resume'"),
        ("lr = ", "wanted settings in TOML; "),
        ("a = " + "[" * 100_000, "wanted settings in TOML; "),
        ('out = "a\\u0000b"', "out: wanted text without NUL characters"),
        ("\x00", "wanted settings in TOML; "),
    ],
)
def test_files_that_are_refused(refused, tmp_path, text, words):
    line = refused(train_model, *config(tmp_path, text))
    assert line.startswith(str(tmp_path / "run.toml")) and words in line


def test_files_that_cannot_be_read(refused, tmp_path):
    assert refused(train_model, "--config", tmp_path / "x.toml") == f"{tmp_path / 'x.toml'}: No such file or directory"
    assert refused(train_model, "--config", tmp_path) == f"{tmp_path}: Is a directory"
    (tmp_path / "latin.toml").write_bytes(b'out = "\xe4"')
    assert "wanted settings in TOML" in refused(train_model, "--config", tmp_path / "latin.toml")


USELESS = {
    "--hidden 3 --model resnet": "--model resnet; wanted mlp",
    "--dropout 0.0 --model logistic": "--model logistic; wanted mlp",
    "--batch-norm --model resnet": "--model resnet; wanted mlp",
    "--augmentations zoom": "--augment 0.0; wanted a share above 0",
    "--augmentations zoom --augment 0": "--augment 0.0; wanted a share above 0",
    "--gamma 0.1": "--scheduler none; wanted step, multistep, exponential or plateau",
    "--gamma 0.5 --scheduler cosine": "--scheduler cosine; wanted step, multistep, exponential or plateau",
    "--milestones 3": "--scheduler none; wanted step or multistep",
    "--milestones 3 --scheduler exponential": "--scheduler exponential; wanted step or multistep",
    "--milestones-in epochs --scheduler plateau": "--scheduler plateau; wanted step or multistep",
    "--grayscale": "--data digits; wanted folder:PATH",
    "--skip-bad --data mnist": "--data mnist; wanted folder:PATH",
    "--data-dir photos": "--data digits; wanted mnist or fashion",
    "--data-dir x --data folder:y": "--data folder:y; wanted mnist or fashion",
}


@pytest.mark.parametrize("flags", USELESS)
def test_a_flag_that_would_change_nothing_is_refused(refused, flags):
    line = refused(train_model, *flags.split(), "--dry-run")
    assert line == f"{flags.split()[0]}: has no effect with {USELESS[flags]}; see --help"


@pytest.mark.parametrize(
    "flags",
    [
        "--hidden 3 --dropout 0.1 --activation tanh --batch-norm --init he",
        "--augmentations zoom --augment 0.5",
        *(f"--gamma 0.5 --scheduler {name}" for name in ("step", "multistep", "exponential", "plateau")),
        *(f"--milestones 3 --milestones-in epochs --scheduler {name}" for name in ("step", "multistep")),
        "--grayscale --skip-bad --data folder:x",
        "--data-dir x --data mnist",
        "--data-dir x --data fashion",
    ],
)
def test_a_flag_that_is_used_is_not(flags):
    read_settings(flags.split())


def test_what_a_file_holds_of_no_use(refused, tmp_path, capsys):
    """Defaults, as a dry run writes them, and what a flag has put out of use; else it is a mistake, as with flags."""
    for flags in (["--model", "resnet"], ["--model", "logistic"], ["--data", "mnist"]):
        train_model.main([*flags, "--dry-run"])
        path = config(tmp_path, capsys.readouterr().out)
        assert vars(read_settings(path)).items() >= {"hidden": None if "--model" in flags else [600, 100]}.items()
    path = config(tmp_path, 'hidden = [3]\nscheduler = "step"\ngamma = 0.5\naugment = 0.5\naugmentations = ["zoom"]')
    read_settings([*path, "--model", "resnet", "--scheduler", "none", "--augment", "0"])
    line = refused(train_model, *config(tmp_path, 'hidden = [3]\nmodel = "resnet"'))
    assert line == f"{tmp_path / 'run.toml'}: hidden: has no effect with --model resnet; wanted mlp; see --help"


@pytest.mark.parametrize("path", sorted((ROOT / "scripts" / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_the_configs_that_come_with_it(path):
    settings = read_settings(["--config", str(path)])
    assert settings.out.startswith("results/")
    flags = set(re.findall(r"^([\w-]+) =", path.read_text(), flags=re.MULTILINE))
    assert flags <= {name.replace("_", "-") for name in vars(settings)}


def test_the_shell_scripts_use_them():
    for name in ("train_mlp", "train_resnet"):
        text = (ROOT / "scripts" / f"{name}.sh").read_text()
        (path,) = re.findall(r"--config (\S+)", text)
        assert (ROOT / path).is_file()
