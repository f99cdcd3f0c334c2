"""Settings from flags and TOML files: the same names, the same checks, and a way back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import train_model
from scripts.settings import as_toml, read_settings

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
        milestones_in = "iterations"
        grayscale = true
        augmentations = ["rotation=15", "zoom"]
        data = "folder:pictures"
    """
    flags = "--hidden 32 16 --lr 0.5 --weight-decay 1 --milestones-in iterations --grayscale"
    flags += " --augmentations rotation=15 zoom --data folder:pictures"
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


@pytest.mark.parametrize("flag", ["--hidden 3", "--dropout 0.1"])
def test_options_of_another_model(refused, flag):
    line = refused(train_model, "--model", "resnet", *flag.split())
    assert line.startswith(f"{flag.split()[0]} is an option of the mlp; resnet has none")


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
