"""The experiments run, say what came out, replace what falls short, and their table says both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import mydl
from mydl import nn
from scripts import reproduce
from scripts.experiments import boxes, gradients, table, variance, weights
from scripts.experiments.definition import Experiment, Job, falls_short, load, names
from scripts.runs import open_run

ROOT = Path(__file__).resolve().parents[2]

PROMISED = {
    *(f"mlp-{n}" for n in range(1, 11)), "resnet-1", "resnet-2", "resnet-3", "ffnn-sample", "ffnn-set", "ffnn-a1",
    "ffnn-a2", "ffnn-b1", "ffnn-b2", "ffnn-norm", "fashion-logistic", "fashion-dense", "fashion-ffnn",
    "sigmoid-online", "xor", "gradcheck", "autoencoder", "latent-svm", "box", "approximate", "init-variance",
    "beyond-mlp", "beyond-cnn", "beyond-fashion", "mnist-99",
}  # fmt: skip


@pytest.fixture
def fashion_too(data_dir, tmp_path):
    """The tiny data, in a folder of both names."""
    for name in ("mnist", "fashion-mnist"):
        shutil.copytree(data_dir / "mnist", tmp_path / "data" / name)
    return tmp_path / "data"


def xor(**changes):
    """A row of its own, in a second: it falls short as it is, and not with the better rate."""
    row = {"name": "xor-toy", "kind": "xor", "title": "", "settings": {"hidden": 3, "lr": 0.01, "epochs": 200},
           "seed": 0, "reported": {"loss": 0.1}, "wanted": {}, "better": {"lr": 1.0}, "reason": ""}  # fmt: skip
    return Experiment(**{**row, **changes})


def options(tmp_path, *flags):
    return reproduce.read_settings(["xor", "--out", str(tmp_path), *map(str, flags)])


def test_every_row_is_there(capsys):
    reproduce.main(["list"])
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert set(listed) == PROMISED and len(listed) == len(PROMISED)
    assert set(names()) == PROMISED


def test_what_falls_short_is_replaced_and_kept(tmp_path, capsys):
    result = reproduce.reproduce(xor(), options(tmp_path), tmp_path)
    assert result == json.loads((tmp_path / "xor-toy.json").read_text())
    assert result["as_reported"]["settings"] == {"hidden": 3, "lr": 0.01, "epochs": 200}
    assert result["settings"] == {"hidden": 3, "lr": 1.0, "epochs": 200}
    assert result["as_reported"]["final"]["loss"] > 0.1 > result["final"]["loss"]
    assert [row["epoch"] for row in result["history"]] == [100, 200]
    np.testing.assert_allclose(
        result["final"]["loss"], np.square(np.subtract(result["final"]["outputs"], [0, 1, 1, 0])).mean(), rtol=1e-4
    )


def test_what_does_not_fall_short_runs_once(tmp_path):
    result = reproduce.reproduce(xor(reported={"loss": 1.0}), options(tmp_path), tmp_path)
    assert "as_reported" not in result and result["settings"]["lr"] == 0.01


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(tmp_path):
    row = xor(better={})
    first, again, other = (
        reproduce.reproduce(row, options(tmp_path / place, "--seed", seed), tmp_path / place)
        for place, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first["final"] == again["final"] != other["final"]
    assert first["seed"] == 3


def test_several_seeds(tmp_path):
    result = reproduce.reproduce(xor(better={}), options(tmp_path, "--seeds", 3), tmp_path)
    losses = result["seeds"]["final"]["loss"]
    assert result["seeds"]["seeds"] == [0, 1, 2] and losses[0] == result["final"]["loss"]
    assert result["seeds"]["mean"]["loss"] == pytest.approx(np.mean(losses))
    assert result["seeds"]["deviation"]["loss"] == pytest.approx(np.std(losses, ddof=1))


def training(**changes):
    settings = {"data": "mnist", "model": "mlp", "hidden": [16], "batch_size": 40, "epochs": 2}
    row = {"name": "mlp-toy", "kind": "training", "settings": settings, "reported": {"val_accuracy": 0.0}, "better": {}}
    return xor(**{**row, **changes})


def test_a_training_is_tested_once(fashion_too, tmp_path, capsys):
    flags = options(tmp_path, "--data-dir", fashion_too, "--threads", 1)
    result = reproduce.reproduce(training(), flags, tmp_path)
    final = result["final"]
    assert {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"} < final.keys()
    best = max(result["history"], key=lambda row: row["val_accuracy"])
    assert final["epoch"] == best["epoch"] and final["val_accuracy"] == pytest.approx(best["val_accuracy"], rel=1e-5)
    confusion = np.array(final["confusion"])
    assert confusion.sum() == 60 and np.trace(confusion) / 60 == pytest.approx(final["test_accuracy"])
    # Without its test images a finished run gives the same; a run with other settings at its place does not.
    for path in fashion_too.rglob("t10k*"):
        path.unlink()
    assert reproduce.reproduce(training(), flags, tmp_path) == result
    assert "is finished" in capsys.readouterr().out
    with pytest.raises(ValueError, match="other settings"):
        reproduce.reproduce(training(settings={"data": "mnist", "epochs": 3}), flags, tmp_path)


def test_an_unfinished_training_is_gone_on_with(fashion_too, tmp_path, capsys):
    flags = options(tmp_path, "--data-dir", fashion_too, "--threads", 1)
    result = reproduce.reproduce(training(), flags, tmp_path)
    (tmp_path / "runs" / "mlp-toy" / "seed-0" / "outcome.json").unlink()
    capsys.readouterr()
    again = reproduce.reproduce(training(), flags, tmp_path)
    assert "resuming" in capsys.readouterr().out
    assert again["final"] == result["final"]


def test_a_folder_of_jpegs(fashion_too, tmp_path):
    row = training(kind="folder", settings={"images": 100, "grayscale": True, "normalize": "pixel", "hidden": [8],
                                            "epochs": 1}, reported={})  # fmt: skip
    result = reproduce.reproduce(row, options(tmp_path, "--data-dir", fashion_too, "--threads", 1), tmp_path)
    assert len(list((tmp_path / "runs" / "images-100").glob("*/*.jpg"))) == 100
    assert "val_accuracy" in result["final"] and "test_accuracy" not in result["final"]


@pytest.mark.parametrize(("name", "nearest"), [("mpl-5", "mlp-5"), ("beyond", "beyond-")])
def test_an_unknown_name(refused, name, nearest):
    message = refused(reproduce, name)
    assert f"no experiment '{name}', the nearest is '{nearest}" in message and "latent-svm" in message


@pytest.mark.parametrize("command", ["xor", "table"])
def test_a_result_of_another_version_is_refused_and_kept(refused, tmp_path, command):
    path = tmp_path / "xor.json"
    path.write_text('{"format": 99, "mydl": "7.0"}')
    message = refused(reproduce, command, "--out", tmp_path)
    assert f"{path}: written by mydl 7.0 in format 99, wanted 1" in message
    assert path.read_text() == '{"format": 99, "mydl": "7.0"}'
    assert [each.name for each in tmp_path.iterdir()] == ["xor.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', '{"format": 1, "mydl": "0.1"', "[" * 100_000])
def test_a_damaged_result_is_refused(refused, tmp_path, content):
    (tmp_path / "xor.json").write_text(content)
    assert "xor.json: wanted a result" in refused(reproduce, "xor", "--out", tmp_path)


def test_missing_data(refused, tmp_path):
    message = refused(reproduce, "mlp-1", "--out", tmp_path / "out", "--data-dir", tmp_path)
    assert f"MNIST: not in {tmp_path}" in message and "https://" in message
    assert "put train-images-idx3-ubyte.gz" in message and "t10k-labels-idx1-ubyte.gz into one of these" in message


def test_no_results_yet(refused, tmp_path):
    assert "no results in it" in refused(reproduce, "table", "--out", tmp_path)


def test_every_layer_is_checked():
    kinds = {value for value in vars(nn).values() if isinstance(value, type) and issubclass(value, nn.NeuralNetwork)}
    kinds = {kind.__name__ for kind in kinds if not kind.__name__.endswith("Loss")}
    containers = {"NeuralNetwork", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"}
    placed_by_indices = {"MaxUnpool1d", "MaxUnpool2d"}  # what max_pool returns beside its values
    assert {type(make()).__name__ for make, _ in gradients.LAYERS} == kinds - containers - placed_by_indices


def test_gradcheck_finds_a_wrong_gradient(monkeypatch, tmp_path):
    class Wrong(nn.NeuralNetwork):
        def forward(self, x):
            return x + (x * 0.01).detach()

    monkeypatch.setattr(gradients, "LAYERS", [(lambda: nn.Linear(2, 2), ((2, 2),)), (Wrong, ((2, 2),))])
    final = gradients.gradcheck(Job({}, 0, tmp_path)).final
    assert final["layers"]["Linear"] < 1e-11 and final["max_difference"] > 0.001


def test_square_boxes_are_a_table_of_heights():
    rng = np.random.default_rng(0)
    heights = rng.standard_normal((5, 5))
    borders = np.array([-2.0, -1.5, 0.0, 0.25, 1.0, 3.0])
    places = np.concatenate([rng.uniform(-2, 3, (200, 2)), np.stack([borders[:-1], borders[:-1]], axis=1)])
    network = boxes.SquareBoxes(mydl.tensor(heights), mydl.tensor(borders))
    with mydl.no_grad():
        found = network(mydl.tensor(places)).flatten().numpy()
    rows, columns = (np.searchsorted(borders, places[:, axis], side="right") - 1 for axis in (0, 1))
    np.testing.assert_allclose(found, heights[rows, columns], atol=1e-15)


def test_the_error_falls_as_1_over_n(tmp_path):
    final = boxes.approximate(Job({"boxes": [16, 32]}, 0, tmp_path)).final
    assert final["slope"] == pytest.approx(-1, abs=0.05) and final["slope_2d"] == pytest.approx(-1, abs=0.05)


def test_which_starts_keep_the_variance(tmp_path):
    settings = {"layers": 10, "widest": 300, "narrowest": 300, "samples": 300}
    kept = variance.variance(Job(settings, 0, tmp_path)).final["kept"]
    # In layers of one width, 1/n keeps it where units are linear, 2/n where they are ReLU.
    for what in ("activations", "gradients"):
        assert set(kept[f"linear {what}"]) == {"1/n_in", "1/n_out", "2/(n_in+n_out)"}
        assert set(kept[f"relu {what}"]) == {"2/n_in", "4/(n_in+n_out)"}


def test_the_table(tmp_path):
    short = {"name": "mlp-6", "settings": {}, "seed": 0, "reported": {"val_accuracy": 0.973}, "wanted": {},
             "final": {"val_accuracy": 0.98, "test_accuracy": 0.9812},
             "as_reported": {"final": {"val_accuracy": 0.1, "test_accuracy": 0.1135}}}  # fmt: skip
    met = {"name": "box", "settings": {}, "seed": 0, "reported": {"max_error": 0.0}, "wanted": {},
           "final": {"max_error": 0.0}}  # fmt: skip
    text = table.markdown([short, met])
    mlp, box = (line.split(" | ")[2:] for line in text.splitlines() if line.startswith(("| mlp", "| box")))
    assert mlp == ["val. acc. 0.973", "*val. acc. 0.1*, test acc. 0.1135", "val. acc. 0.98, test acc. 0.9812 |"]
    assert box[:2] == ["max. error 0.0", "max. error 0.0"]
    assert f"- mlp-6: {load('mlp-6').reason}" in text
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.MARKS[0]}\nold\n{table.MARKS[1]}\nafter\n")
    assert table.put_into_readme(text, readme)
    assert readme.read_text() == f"before\n{table.MARKS[0]}\n{text}{table.MARKS[1]}\nafter\n"
    readme.write_text("no marks")
    assert not table.put_into_readme(text, readme) and readme.read_text() == "no marks"


def test_the_best_weights_are_kept(fashion_too, tmp_path, monkeypatch):
    flags = options(tmp_path, "--data-dir", fashion_too, "--threads", 1)
    settings = {**training().settings, "hidden": [8], "epochs": 1}
    results = [reproduce.reproduce(row, flags, tmp_path)
               for row in (training(), training(name="mlp-poor", settings=settings))]  # fmt: skip
    best = max(results, key=lambda result: result["final"]["val_accuracy"])
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "weights")
    lines = list(weights.keep(results, tmp_path / "runs"))
    path = tmp_path / "weights" / "mlp-mnist.safetensors"
    assert str(path) in lines[0] and "no run of a resnet" in lines[1]
    figures = json.loads(mydl.load_metadata(path)["figures"])
    assert figures["test_accuracy"] == best["final"]["test_accuracy"] and figures["experiment"] == best["name"]
    assert open_run(path).options["hidden"] == best["settings"]["hidden"]


def test_the_command_table(fashion_too, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "weights")
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("\n".join(table.MARKS))
    flags = options(tmp_path, "--data-dir", fashion_too, "--threads", 1)
    small = {
        "mlp-1": {"epochs": 1}, "approximate": {"boxes": [4, 8]}, "autoencoder": {"epochs": 1},
        "init-variance": {"widest": 20, "narrowest": 10, "samples": 10},
    }  # fmt: skip
    for name, changes in small.items():
        row = load(name)
        reproduce.reproduce(row._replace(settings={**row.settings, **changes}, better={}), flags, tmp_path)
    reproduce.main(["table", "--out", str(tmp_path), "--figs", str(tmp_path / "figs"), "--data-dir", str(fashion_too)])
    said = capsys.readouterr().out
    text = (tmp_path / "README.md").read_text()
    assert all(f"| {name} | {load(name).title} |" in text for name in small) and "the table of 4 rows" in said
    drawn = {path.stem for path in (tmp_path / "figs").glob("*.png")}
    assert drawn == {"training-mlps", "init-variance", "approximation", "single-mlp", "confusion-mlp", "weights-mlp",
                     "reconstructions", "latent-space"}  # fmt: skip
    assert "figures of the resnet's weights: left out" in said


RESULTS = sorted((ROOT / "results" / "reproduce").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_committed_result_is_of_the_experiment_as_it_stands(path):
    result, row = table.read_result(path), load(path.stem)
    first = result.get("as_reported", result)
    assert first["settings"] == row.settings
    assert result["settings"] == ({**row.settings, **row.better} if "as_reported" in result else row.settings)
    assert result["seed"] == row.seed and result["reported"] == row.reported and result["wanted"] == row.wanted
    assert ("as_reported" in result) == bool(row.better and falls_short(first["final"], row.reported | row.wanted))


def test_the_committed_weights():
    files = sorted(weights.FOLDER.glob("*.safetensors"))
    assert sum(path.stat().st_size for path in files) < 4_000_000
    for path in files:
        figures = json.loads(mydl.load_metadata(path)["figures"])
        result = table.read_result(ROOT / "results" / "reproduce" / f"{figures['experiment']}.json")
        assert figures["test_accuracy"] == result["final"]["test_accuracy"]
        assert open_run(path).data["name"] == "mnist"


@pytest.mark.slow
def test_all_of_them_quickly(fashion_too, tmp_path, capsys):
    pytest.importorskip("sklearn")
    reproduce.main(["all", "--quick", "--data-dir", str(fashion_too), "--out", str(tmp_path / "out")])
    lines = capsys.readouterr().out.splitlines()
    for name in PROMISED:
        assert sum(line.startswith(f"{name}: ") for line in lines) == 2, name
    assert not (tmp_path / "out").exists()
