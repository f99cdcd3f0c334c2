"""plot writes every figure that applies to a run, from the run's own data, and refuses what is no run."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

import models
import mydl
from mydl.history import History
from mydl.nn import functional as F
from scripts import plot, report
from scripts.answers import answers_of, short_names
from scripts.predict import probabilities
from scripts.runs import open_run

ALWAYS = {"training", "learning-rate", "confusion", "samples", "predictions", "mistakes", "single",
          "activations", "gradients", "network", "graph", "latent"}  # fmt: skip


@pytest.mark.slow
def test_all_figures_of_a_run(run_copy, capsys):
    plot.main([str(run_copy), "--threads", "1"])
    figs = run_copy / "figs"
    assert {path.name for path in figs.iterdir()} == {f"{name}.png" for name in ALWAYS} | {"weights.png", "graph.dot"}
    for path in figs.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width <= 1280 and len(np.unique(np.asarray(picture.convert("L")))) > 10, path.name
    assert (figs / "graph.dot").read_text().startswith("digraph {")
    assert capsys.readouterr().out.startswith(f"{figs}: training.png, ")


def test_several_runs_are_drawn_together_too(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(plot, "figures", lambda *_: [])
    one, two = (shutil.copytree(finished, tmp_path / name) for name in ("one", "two"))
    plot.main([str(one), str(two)])
    assert {path.name for path in (one / "figs").iterdir()} == {"graph.dot", "runs.png"}
    assert {path.name for path in (two / "figs").iterdir()} == {"graph.dot"}


def test_a_run_named_twice_is_drawn_once(run_copy, monkeypatch, capsys):
    monkeypatch.setattr(plot, "figures", lambda *_: [])
    plot.main([str(run_copy), f"{run_copy}/", str(run_copy)])
    assert capsys.readouterr().out == f"{run_copy}/figs: , graph.dot\n"


@pytest.mark.parametrize("program", [plot, report])
def test_a_history_that_is_none_is_refused_by_name(refused, run_copy, program):
    path = run_copy / "history.csv"
    head, row, _ = path.read_text().splitlines()
    for content, words in {
        "": "found the columns []",
        "a,b\n1,2\n": "wanted a run's history, as train_model writes it; found the columns ['a', 'b']",
        head + "\n": "wanted a run's history, as train_model writes it; found no epochs",
        f"{head}\n{row}": "found the last line cut off",
        f"{head}\n1,1,1,1,nan,1,1\n": "none of the 1 rows has a number in 'val_accuracy'",
        "\0\x01": "line 1: ",
    }.items():
        path.write_text(content)
        line = refused(program, run_copy)
        assert str(path) in line and words in line


def test_figures_of_a_convolutional_network(finished, tmp_path):
    data = open_run(finished).data
    model = models.build("resnet", channels=(4, 8), blocks=1)
    run = open_run(finished)._replace(model=model, name="resnet", data=data)
    drawn = [figure.name for figure in plot.figures(run, History.read(finished / "history.csv"), answers_of(run))]
    assert set(drawn) == ALWAYS | {"kernels-1", "kernels-2", "feature-maps"} and len(drawn) == len(set(drawn))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_answers_are_the_models(finished):
    run = open_run(finished)
    seen = answers_of(run)
    images, labels = seen.dataset.data.numpy(), seen.dataset.targets.numpy()
    assert len(seen.labels) == len(images) == 2000
    wanted = probabilities(run, images, seen.dataset.prepare, "cpu")  # as predict computes them
    np.testing.assert_allclose(seen.probabilities, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(seen.labels, labels)
    assert seen.confusion[3, 5] == ((labels == 3) & (seen.predicted == 5)).sum()
    assert seen.confusion.sum() == 2000 and seen.confusion.shape == (10, 10)
    last = run.model.layers[-1]
    again = F.softmax(F.linear(mydl.tensor(seen.features), last.weight, last.bias), 1).detach().numpy()
    np.testing.assert_allclose(again, seen.probabilities, rtol=1e-4, atol=1e-6)


def test_short_names():
    assert short_names(["0 - zero", "1 - one"]) == ["0", "1"]
    assert short_names(["0 - zero", "cat"]) == ["0 - zero", "cat"]


def test_what_is_no_run_is_refused(refused, run_copy, tmp_path):
    assert "wanted a run's folder" in refused(plot, tmp_path / "nowhere")
    (run_copy / "history.csv").unlink()
    assert refused(plot, run_copy) == f"{run_copy}/history.csv: No such file or directory"


def test_a_model_that_is_no_classifier_is_refused(refused, run_copy):
    models.save(
        models.build("autoencoder"), run_copy / "best.safetensors", mydl.load_metadata(run_copy / "best.safetensors")
    )
    assert "wanted a classifier of its data; found a model of 784 outputs for 10 classes" in refused(plot, run_copy)


def test_a_diverged_model_is_refused(refused, run_copy):
    state = mydl.load(run_copy / "best.safetensors")
    metadata = mydl.load_metadata(run_copy / "best.safetensors")
    state["layers.1.bias"].fill_(float("nan"))
    mydl.save(state, run_copy / "best.safetensors", metadata)
    assert refused(plot, run_copy) == f"{run_copy}/best.safetensors: its answers are not finite"
