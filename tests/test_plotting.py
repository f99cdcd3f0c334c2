"""Figures hold the numbers they were given, in colours that all can tell apart, and touch nothing global."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import models
from mydl import plotting
from mydl.history import History
from mydl.plotting import style
from mydl.tensor import MyTensor

RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 1, 28, 28), dtype=np.float32)
LABELS = np.arange(12) % 10
PROBABILITIES = RNG.dirichlet(np.ones(10), 12)


def history(val_loss=(0.9, 0.4, 0.5), val_accuracy=(0.7, 0.91, 0.9)):
    rows = [
        {
            "epoch": n,
            "train_loss": 1 / n,
            "train_accuracy": 1 - 1 / n,
            "val_loss": loss,
            "val_accuracy": hit,
        }
        for n, (loss, hit) in enumerate(zip(val_loss, val_accuracy, strict=True), 1)
    ]
    return History(rows=rows)


FIGURES = {
    "one run": lambda: plotting.training_curves(history()),
    "runs": lambda: plotting.training_curves({"a": history(), "b": history((0.3,), (0.8,))}),
    "not validated": lambda: plotting.training_curves({"a": History(rows=[{"train_loss": 0.5}])}),
    "confusion": lambda: plotting.confusion_matrix(np.eye(10) * 90 + 1),
    "confusion of two": lambda: plotting.confusion_matrix([[1, 0], [0, 0]], ["a", "much longer name"]),
    "confusion of 120": lambda: plotting.confusion_matrix(np.eye(120)),
    "samples": lambda: plotting.sample_grid(IMAGES, LABELS),
    "one sample": lambda: plotting.sample_grid(IMAGES[:1]),
    "wide samples": lambda: plotting.sample_grid(RNG.random((3, 3, 20, 90))),
    "predictions": lambda: plotting.predictions(IMAGES, LABELS, LABELS[::-1].copy(), PROBABILITIES),
    "mistakes": lambda: plotting.worst_mistakes(IMAGES, PROBABILITIES, LABELS),
    "no mistakes": lambda: plotting.worst_mistakes(IMAGES[:10], np.eye(10), LABELS[:10]),
    "single": lambda: plotting.single_prediction(IMAGES[0], PROBABILITIES[0], target=3),
    "single of two": lambda: plotting.single_prediction(IMAGES[0, 0], [1.0, 0.0], ["cat", "dog"]),
    "weights": lambda: plotting.weight_images(RNG.normal(size=(100, 784))),
    "one unit": lambda: plotting.weight_images(np.zeros((1, 6)), shape=(2, 3)),
    "kernels": lambda: plotting.kernels(RNG.normal(size=(16, 1, 3, 3))),
    "kernel table": lambda: plotting.kernels(RNG.normal(size=(64, 32, 3, 3))),
    "1x1 kernels": lambda: plotting.kernels(RNG.normal(size=(4, 2, 1, 1))),
    "maps": lambda: plotting.feature_maps({"a": IMAGES[:, 0], "b": np.zeros((1, 3, 7, 5))}, IMAGES[0]),
    "rates": lambda: plotting.learning_rates({"a": history_of_rates(0.1, 0.01), "b": history_of_rates(0.1)}),
    "activations": lambda: plotting.activation_histograms({"a": IMAGES, "constant": np.ones(5)}),
    "gradients": lambda: plotting.gradient_histograms({"a": IMAGES, "no gradient": np.zeros(5)}),
    "network": lambda: plotting.network_diagram(models.build("resnet"), IMAGES[:1]),
    "graph": lambda: plotting.autograd_graph(models.build("mlp")(MyTensor(IMAGES))),
    "latent": lambda: plotting.latent_space(RNG.normal(size=(12, 5)), LABELS),
    "reconstructions": lambda: plotting.reconstructions(IMAGES, IMAGES * 0.5),
}


def history_of_rates(*rates):
    return History(rows=[{"epoch": n, "lr": rate} for n, rate in enumerate(rates, 1)])


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_drawn_and_fits_a_readme(tmp_path, name):
    """Matplotlib warns of missing glyphs and axes without room as it draws; a warning is an error here."""
    figure = FIGURES[name]()
    width, height = figure.get_size_inches()
    assert 1 <= width <= style.WIDTH + 1e-9 and 0.4 <= height <= 12
    plotting.save_figure(figure, tmp_path / "figure.png")
    from PIL import Image

    with Image.open(tmp_path / "figure.png") as picture:
        assert abs(picture.width - width * style.DPI) <= 1  # some versions of matplotlib cut, others round
        assert len(np.unique(np.asarray(picture.convert("L")))) > 4  # not blank


def test_nothing_global_is_touched(tmp_path):
    """No pyplot, no settings changed, and matplotlib itself only when a figure is asked for."""
    program = """
import sys, mydl.plotting as plotting
assert "matplotlib" not in sys.modules
import matplotlib
def settings():  # but for "backend", which picks one, and loads pyplot, when it is read
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
before = settings()
figure = plotting.confusion_matrix([[3, 1], [0, 2]])
plotting.save_figure(figure, sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules
assert settings() == before
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "figure.svg")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_colours_differ_for_every_eye():
    """Right and wrong, and neighbouring runs, differ also without red or green cones (Viénot 1999)."""
    no_red = [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]
    no_green = [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]
    for sight in (np.eye(3), np.array(no_red), np.array(no_green)):

        def seen(colour, sight=sight):
            return np.clip(sight @ np.array(to_rgb(colour)) ** 2.2, 0, 1) ** (1 / 2.2)

        for one, other in [(style.RIGHT, style.WRONG), *itertools.pairwise(style.SERIES)]:
            assert np.abs(seen(one) - seen(other)).max() > 0.15, (one, other)


# ---- curves


def test_curves_show_every_number():
    runs = {"a": history(), "b": history((0.5, 0.2, 0.3), (0.8, 0.9, 0.95))}
    loss, accuracy = plotting.training_curves(runs).axes
    for axes, kind in ((loss, "loss"), (accuracy, "accuracy")):
        lines = iter(axes.lines)
        for number, run in enumerate(runs.values()):
            train, validation, best = itertools.islice(lines, 3)
            assert list(train.get_ydata()) == run[f"train_{kind}"] and train.get_linestyle() == "--"
            assert list(validation.get_ydata()) == run[f"val_{kind}"] and validation.get_linestyle() == "-"
            assert list(validation.get_xdata()) == [1, 2, 3]
            assert {line.get_color() for line in (train, validation, best)} == {style.SERIES[number]}
            row = run.best("val_accuracy", "max")  # in the loss too: the epoch whose weights are kept
            assert (best.get_xdata(), best.get_ydata()) == ([row["epoch"]], [row[f"val_{kind}"]])
        assert next(lines, None) is None


def test_curves_name_the_best_epoch():
    def legends(figure):
        return [text.get_text() for legend in figure.legends for text in legend.get_texts()]

    assert "best epoch: 91.00% (epoch 2)" in legends(plotting.training_curves(history()))
    assert "a: 91.00% (epoch 2)" in legends(plotting.training_curves({"a": history()}))
    only_loss = History(rows=[{"val_loss": 0.5}, {"val_loss": 0.25}, {"val_loss": float("nan")}])
    assert "best epoch: loss 0.25 (epoch 2)" in legends(plotting.training_curves(only_loss))
    diverged = History(rows=[{"val_loss": float("nan")}])
    assert "best epoch: not validated" in legends(plotting.training_curves(diverged))


def test_curves_refuse_nothing_to_draw():
    with pytest.raises(ValueError, match="no history"):
        plotting.training_curves({})
    with pytest.raises(ValueError, match=r"'a' has no rows"):
        plotting.training_curves({"a": History()})
    with pytest.raises(ValueError, match=r"\['epoch', 'lr'\]"):
        plotting.training_curves(History(rows=[{"epoch": 1, "lr": 0.1}]))


def test_learning_rates_show_every_number():
    axes = plotting.learning_rates({"a": history_of_rates(0.1, 0.01), "b": history_of_rates(0.1, 0.0)}).axes[0]
    assert axes.get_yscale() == "log"
    assert [list(line.get_ydata()) for line in axes.lines[:1]] == [[0.1, 0.01]]
    assert np.isnan(axes.lines[1].get_ydata()[1])  # no place for 0 on a logarithmic scale
    low, high = plotting.learning_rates(history_of_rates(0.1, 0.1)).axes[0].get_ylim()
    assert low < 0.05 and high > 0.2  # a constant rate is a line in the middle
    with pytest.raises(ValueError, match=r"'' has the rates \[0.\]; wanted some above 0"):
        plotting.learning_rates(history_of_rates(0.0))
    with pytest.raises(ValueError, match="'lr'"):
        plotting.learning_rates(history())


# ---- classification


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_confusion_matrix_shows_counts_recall_and_accuracy():
    matrix = [[8, 2, 0], [1, 3, 0], [0, 0, 0]]
    cells, recall = plotting.confusion_matrix(MyTensor(np.array(matrix)), ["a", "b", "c"]).axes
    shown = {text.get_position()[::-1]: text.get_text() for text in cells.texts}
    assert shown == {(0, 0): "8", (0, 1): "2", (1, 0): "1", (1, 1): "3"}
    assert texts(recall) == ["80.0%", "75.0%", "no samples"]
    assert [bar.get_width() for bar in recall.patches] == [0.8, 0.75, 0]
    assert cells.get_title(loc="left") == "78.57% of 14 right"
    assert [label.get_text() for label in cells.get_yticklabels()] == ["a", "b", "c"]
    assert (cells.get_ylabel(), cells.get_xlabel()) == ("true class", "predicted class")


def test_confusion_matrix_colours_right_blue_and_mistakes_orange():
    cells, _ = plotting.confusion_matrix([[9000, 2], [0, 9000]]).axes
    colours = np.asarray(cells.images[0].get_array())
    assert colours[0, 0, 2] > colours[0, 0, 0] + 0.3  # blue
    assert colours[0, 1, 0] > colours[0, 1, 2] + 0.3  # orange, though 2 is nothing beside 9000
    assert (colours[1, 0] == 1).all()  # white: it never happened


@pytest.mark.parametrize("matrix", [[[1, 2, 3], [4, 5, 6]], [[1, -1], [0, 1]], [1, 2], np.zeros((0, 0))], ids=str)
def test_confusion_matrix_refuses(matrix):
    with pytest.raises(ValueError, match="shape"):
        plotting.confusion_matrix(matrix)


def test_class_names_must_fit():
    with pytest.raises(ValueError, match="found 1 class names; wanted 2"):
        plotting.confusion_matrix(np.eye(2), ["a"])
    with pytest.raises(ValueError, match="found class 9; the 2 names"):
        plotting.sample_grid(IMAGES, LABELS, ["a", "b"])


def test_single_prediction():
    share = np.array([0.1, 0.7, 0.2])
    picture, bars = plotting.single_prediction(IMAGES[0], share, ["a", "b", "c"], target=2).axes
    assert [bar.get_width() for bar in bars.patches] == list(share)
    assert texts(bars) == ["10.0%", "70.0%", "20.0%"]
    assert picture.get_title(loc="left") == "✗ b  (70.0%), is c"
    assert picture.spines["top"].get_edgecolor()[:3] == to_rgb(style.WRONG)
    right = plotting.single_prediction(IMAGES[0], share, target=1).axes[0]
    assert right.get_title(loc="left") == "✓ 1  (70.0%)"
    assert right.spines["top"].get_edgecolor()[:3] == to_rgb(style.RIGHT)
    unknown = plotting.single_prediction(IMAGES[0], share).axes[0]
    assert unknown.get_title(loc="left") == "1  (70.0%)" and not unknown.spines["top"].get_visible()


def test_single_prediction_of_many_classes_shows_the_ten_likeliest():
    share = RNG.dirichlet(np.ones(50))
    _, bars = plotting.single_prediction(IMAGES[0], share).axes
    assert [bar.get_width() for bar in bars.patches] == sorted(share, reverse=True)[:10]
    assert [int(label.get_text()) for label in bars.get_yticklabels()] == list(np.argsort(-share)[:10])
    with pytest.raises(ValueError, match="target 50; wanted one of 50"):
        plotting.single_prediction(IMAGES[0], share, target=50)


def test_names_are_drawn_letter_for_letter():
    """No formula between dollars, nothing left out for an underscore, and no name pushes the picture away."""
    names = ["$x^2$", "_hidden", "x" * 200, "a$"]
    figure = plotting.confusion_matrix(np.eye(4), names)
    figure.draw_without_rendering()
    assert figure.axes[0].get_window_extent().width > 300
    figure = plotting.training_curves({name: history() for name in names})
    figure.draw_without_rendering()
    shown = [text.get_text().split(":")[0] for text in figure.legends[0].get_texts()]
    assert shown == [r"\$x^2\$", " _hidden", "x" * 59 + "…", r"a\$"]


# ---- images


def shown(axes):
    return np.asarray(axes.images[0].get_array())


def test_sample_grid_shows_images_and_labels():
    figure = plotting.sample_grid(MyTensor(IMAGES), MyTensor(LABELS), class_names=[f"c{n}" for n in range(10)])
    assert [axes.get_title() for axes in figure.axes] == [f"c{n}" for n in LABELS]
    low, high = IMAGES.min(), IMAGES.max()
    for axes, image in zip(figure.axes, IMAGES, strict=True):
        np.testing.assert_allclose(shown(axes), (image[0] - low) / (high - low), atol=1e-6)


def test_long_names_get_room():
    names = [f"class number {n}" for n in range(10)]
    axes = plotting.sample_grid(IMAGES, LABELS, names).axes
    assert axes[0].title.get_fontsize() > 6 and axes[0].get_subplotspec().get_gridspec().ncols == 9
    assert plotting.sample_grid(IMAGES, LABELS).axes[0].get_subplotspec().get_gridspec().ncols == 10


def test_one_scale_for_all_images_and_8_bits_as_they_are():
    images = np.stack([np.full((4, 4), level) for level in (-1.0, 0.0, 3.0)])
    assert [shown(axes)[0, 0] for axes in plotting.sample_grid(images).axes] == [0, 0.25, 1]
    bytes_ = images.clip(0).astype(np.uint8)
    np.testing.assert_allclose([shown(a)[0, 0] for a in plotting.sample_grid(bytes_).axes], [0, 0, 3 / 255])
    constant = plotting.sample_grid(np.full((1, 4, 4), 5.0)).axes[0]
    assert (shown(constant) == 0).all()


def test_colour_images_keep_their_channels():
    image = np.zeros((1, 3, 4, 5), np.float32)
    image[0, 0, :, 1] = image[0, 2, 3, :] = 1
    np.testing.assert_array_equal(shown(plotting.sample_grid(image).axes[0]), image[0].transpose(1, 2, 0))


def test_predictions_say_what_was_right_and_what_was_meant():
    figure = plotting.predictions(IMAGES[:3], [1, 2, 0], [1, 0, 0], np.eye(3)[[1, 2, 2]] * 0.8 + 0.05)
    assert [axes.get_title() for axes in figure.axes] == ["✓ 1 85%", "✗ 2 85%, is 0", "✓ 0 5%"]
    frames = [axes.spines["left"].get_edgecolor()[:3] for axes in figure.axes]
    assert frames == [to_rgb(style.RIGHT), to_rgb(style.WRONG), to_rgb(style.RIGHT)]
    named = plotting.predictions(IMAGES[:1], [0], [1], class_names=["ankle boot", "sneaker"])
    assert named.axes[0].get_title() == "✗ ankle boot\nis sneaker"


def test_worst_mistakes_come_worst_first():
    images = np.arange(5.0)[:, None, None] * np.ones((5, 2, 2))
    target = np.array([0, 0, 1, 1, 0])
    share = np.array([[0.9, 0.1], [0.3, 0.7], [0.95, 0.05], [0.2, 0.8], [0.4, 0.6]])
    figure = plotting.worst_mistakes(images, share, target)  # wrong: 1 (0.3), 2 (0.05), 4 (0.4)
    levels = [shown(axes)[0, 0] for axes in figure.axes]
    np.testing.assert_allclose(levels, (np.array([2, 1, 4]) - 1) / 3)
    assert [axes.get_title() for axes in figure.axes] == ["✗ 0 95%, is 1", "✗ 1 70%, is 0", "✗ 1 60%, is 0"]
    assert len(plotting.worst_mistakes(images, share, target, count=2).axes) == 2
    (none,) = plotting.worst_mistakes(images[:1], share[:1], target[:1]).texts
    assert none.get_text() == "no mistakes among 1 images"


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: plotting.sample_grid(np.zeros((4, 784))), ValueError, r"\(4, 784\); wanted 3 or 4"),
        (lambda: plotting.sample_grid(np.zeros((4, 2, 8, 8))), ValueError, "wanted 1 or 3 channels"),
        (lambda: plotting.sample_grid(np.zeros((0, 8, 8))), ValueError, "wanted at least one value"),
        (lambda: plotting.sample_grid(np.array([[["a"]]])), TypeError, "wanted numbers"),
        (lambda: plotting.sample_grid(IMAGES, LABELS[:3]), ValueError, "wanted 12 class indices"),
        (lambda: plotting.sample_grid(IMAGES, LABELS * 1.0), ValueError, "labels is float64"),
        (lambda: plotting.sample_grid(IMAGES, LABELS - 1), ValueError, "wanted 12 class indices"),
        (lambda: plotting.sample_grid(IMAGES, columns=0), ValueError, "columns=0"),
        (lambda: plotting.predictions(IMAGES, LABELS, LABELS[:5]), ValueError, "target is int64"),
        (lambda: plotting.predictions(IMAGES, LABELS, LABELS, np.ones((12, 3))), ValueError, "more than 9"),
        (lambda: plotting.worst_mistakes(IMAGES, np.ones((3, 10)), LABELS), ValueError, "wanted 12 rows"),
        (lambda: plotting.weight_images(np.zeros((5, 100))), ValueError, r"wanted \(units, 784\)"),
        (lambda: plotting.kernels(np.zeros((5, 9))), ValueError, "wanted 4 axes"),
        (lambda: plotting.feature_maps({}), ValueError, "found no maps"),
        (lambda: plotting.feature_maps({"a": np.zeros((2, 3, 4, 4))}), ValueError, r"'a' has shape \(2, 3"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


# ---- weights


def test_weight_images_lie_where_they_should():
    weight = np.array([[1.0, -2, 0, 1, 0, 0], [4, 0, 0, 0, 0, -8], [0, 0, 0, 0, 3, 0]])
    figure = plotting.weight_images(weight, shape=(2, 3), count=2, columns=1)
    mosaic = shown(figure.axes[0])
    assert mosaic.shape == (5, 3)
    np.testing.assert_array_equal(mosaic[:2], [[0.5, 0, 0], [0, 0, -1]])  # unit 1, the largest
    np.testing.assert_array_equal(mosaic[3:], [[0, 0, 0], [0, 1, 0]])  # then unit 2
    assert np.ma.getmaskarray(figure.axes[0].images[0].get_array())[2].all()  # a gap that is not painted
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


def test_kernels_lie_in_a_table_of_outputs_and_inputs():
    weight = RNG.normal(size=(3, 2, 2, 2))
    mosaic = shown(plotting.kernels(weight).axes[0])
    assert mosaic.shape == (8, 5)
    for out, into in itertools.product(range(3), range(2)):
        tile = mosaic[3 * out : 3 * out + 2, 3 * into : 3 * into + 2]
        np.testing.assert_allclose(tile, weight[out, into] / np.abs(weight).max())
    tower = RNG.normal(size=(16, 3, 2, 2))
    lying = plotting.kernels(tower).axes[0]
    assert (lying.get_xlabel(), lying.get_ylabel()) == ("output channel", "input channel")
    assert shown(lying).shape == (8, 47)
    np.testing.assert_allclose(shown(lying)[3:5, 6:8], tower[2, 1] / np.abs(tower).max())
    few = plotting.kernels(RNG.normal(size=(64, 32, 3, 3)), count=4).axes[0]
    assert few.get_title(loc="left") == "Kernels: 4 of 64 outputs × 4 of 32 inputs"
    assert shown(few).shape == (15, 15)


def test_feature_maps_scale_each_channel():
    maps = np.stack([np.array([[0.0, 5.0]]), np.array([[-4.0, -2.0]]), np.array([[7.0, 7.0]])])
    picture, strip = plotting.feature_maps({"conv": MyTensor(maps[None])}, IMAGES[:1], count=3).axes
    np.testing.assert_array_equal(shown(strip)[0, [0, 1, 3, 4, 6, 7]], [0, 1, 0, 1, 0, 0])
    assert strip.get_title(loc="left") == "conv: 3 of 3 channels, 1 × 2"
    assert shown(picture).shape == (28, 28)


# ---- saving


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_saving_twice_gives_the_same_bytes(tmp_path, suffix):
    for name in ("one", "two"):
        plotting.save_figure(plotting.training_curves(history()), tmp_path / f"{name}{suffix}")
    first, second = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_saving_is_all_or_nothing(tmp_path, monkeypatch):
    figure = plotting.confusion_matrix(np.eye(2))
    with pytest.raises(ValueError, match=r"figure\.jpg' ends in '\.jpg'"):
        plotting.save_figure(figure, tmp_path / "figure.jpg")
    (tmp_path / "figure.png").write_bytes(b"old")

    def half(file, **_):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(KeyboardInterrupt):
        plotting.save_figure(figure, tmp_path / "figure.png")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("figure.png", b"old")]
