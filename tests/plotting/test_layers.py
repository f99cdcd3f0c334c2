"""What layers give out, against the same model taken apart; histograms against NumPy's own."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl import nn, plotting
from mydl.plotting import layers


def net() -> nn.Sequential:
    mydl.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 2))


def test_layer_outputs_are_those_of_the_layers_alone():
    model, x = net().train(), mydl.randn(3, 1, 2, 3)
    outputs = plotting.layer_outputs(model, x)
    linear = x.numpy().reshape(3, 6) @ model[1].weight.detach().numpy().T + model[1].bias.detach().numpy()
    assert list(outputs) == ["1", "2", "4"]  # Flatten and Dropout hand on their input
    np.testing.assert_allclose(outputs["1"].numpy(), linear, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs["2"].numpy(), np.maximum(linear, 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs["4"].numpy(), model.eval()(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_layer_outputs_leave_no_trace():
    model = net().train()
    plotting.layer_outputs(model, mydl.zeros(1, 1, 2, 3))
    assert all(module.training and module._hooks is None for module in model.modules())
    with pytest.raises(ValueError, match="Linear"):
        plotting.layer_outputs(model, mydl.zeros(1, 7))
    assert all(module.training and module._hooks is None for module in model.modules())


def test_a_layer_in_place_does_not_change_what_was_seen_before():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(inplace=True))
    model[0].weight.data.fill_(1.0)
    outputs = plotting.layer_outputs(model, mydl.tensor([[-2.0]]))
    assert outputs["0"].item() == -2 and outputs["1"].item() == 0


def test_activation_histograms_count_the_values():
    values = np.random.default_rng(0).normal(size=(7, 11, 13))
    figure = plotting.activation_histograms({"a": values, "b": np.maximum(values, 0)})
    axes = figure.axes[0]
    for row, (patch, shown) in enumerate(zip(axes.patches, (values, np.maximum(values, 0)), strict=True)):
        heights, edges, _ = patch.get_data()
        counts = np.histogram(shown, edges)[0]
        np.testing.assert_allclose((row - heights) / 0.86, counts / counts.max())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    zeros = (values <= 0).mean()
    assert axes.texts[1].get_text().endswith(f"{zeros:.0%} zeros") and "zeros" not in axes.texts[0].get_text()


def test_gradient_histograms_count_orders_of_magnitude():
    gradients = {"a": mydl.tensor([1e-3, -1e-3, 1e-1, 0.0]), "all zero": np.zeros(4)}
    axes = plotting.gradient_histograms(gradients).axes[0]
    heights, edges, _ = axes.patches[0].get_data()
    filled = edges[:-1][heights < 0]
    np.testing.assert_allclose(filled, [-3, -1], atol=2 * (edges[1] - edges[0]))
    rms = np.sqrt((2e-6 + 1e-2) / 4)
    assert [text.get_text() for text in axes.texts] == [f"rms {rms:.2g}, 25% zeros", "rms 0, 100% zeros"]


@pytest.mark.parametrize("draw", [plotting.activation_histograms, plotting.gradient_histograms])
def test_histograms_refuse(draw):
    with pytest.raises(ValueError, match="found nothing to draw"):
        draw({})
    with pytest.raises(ValueError, match="none of the 2 values of 'a' is finite"):
        draw({"a": [np.nan, np.inf]})
    draw({"one": [3.0]}), draw({"some are finite": [np.nan, 1.0, 2.0]})


def test_chosen_modules():
    model = nn.Sequential(nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU(), nn.ReLU())), nn.ReLU())
    assert list(layers.chosen_modules(model, 2)) == ["0", "1"]
    assert list(layers.chosen_modules(model, 3)) == ["0.0", "0.1", "1"]
    assert list(layers.chosen_modules(model, 4)) == ["0.0", "0.1.0", "0.1.1", "1"]
    assert list(layers.chosen_modules(model, 1)) == ["0", "1"]  # the model itself would say nothing
    assert list(layers.chosen_modules(nn.ReLU(), 1)) == [""]
