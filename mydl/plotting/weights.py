"""Figures of what a network learned: its weights as images, and what its layers see in an input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mydl.plotting.style import INK, WIDTH, as_pictures, bare, host, new_figure, show_picture, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIGNED = "RdBu_r"  # blue below zero, white at it, red above: told apart by all colour vision


def weight_images(weight: Any, shape: tuple[int, int] = (28, 28), count: int = 60, columns: int = 12) -> Figure:
    """The first layer of an MLP: for each unit, its weights laid out as the image that they look at.

    Shows the `count` units of largest norm, largest first. Blue weights are negative, red ones positive; each
    unit has a scale of its own.

    Args:
        weight: shape (units, height * width), as `nn.Linear` has it.
        shape: height and width of the input images.
        count: how many units to show, at most.
        columns: how many a row.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> figure = weight_images(np.random.default_rng(0).normal(size=(100, 784)), count=24)
        >>> figure.axes[0].get_title(loc="left")
        '24 of 100 units, largest weights first'
    """
    units = host(weight, "weight", ndim=(2,))
    if units.shape[1] != math.prod(shape):
        raise ValueError(f"weight_images: found shape {units.shape}; wanted (units, {math.prod(shape)}) for {shape}")
    order = np.argsort(-np.linalg.norm(units.astype(np.float64), axis=1), kind="stable")[:count]
    tiles = np.stack([_own_scale(units[unit].reshape(shape)) for unit in order])
    return _mosaic_figure(tiles, columns, f"{len(order)} of {len(units)} units, largest weights first")


def kernels(weight: Any, count: int = 16) -> Figure:
    """The kernels of a convolution. Blue weights are negative, red ones positive; all have one scale.

    A layer on one channel shows a grid of its kernels. Others show a table: a row for each output channel, a
    column for each input channel, the first `count` of each; turned round where that would be a narrow tower.

    Args:
        weight: shape (out_channels, in_channels, height, width), as `nn.Conv2D` has it.
        count: how many channels to show each way, at most (of one input channel: `count` times four kernels).

    Raises:
        ValueError: the weight has another number of axes.
    """
    array = host(weight, "weight", ndim=(4,)).astype(np.float64)
    outputs, inputs = array.shape[:2]
    array = array / max(np.abs(array).max(), 1e-30)
    if inputs == 1:
        tiles = array[: 4 * count, 0]
        return _mosaic_figure(tiles, columns=8, title=f"{len(tiles)} of {outputs} kernels")
    table = array[:count, :count]
    title = f"Kernels: {len(table)} of {outputs} outputs × {table.shape[1]} of {inputs} inputs"
    x, y = "input channel", "output channel"
    if len(table) > 2 * table.shape[1]:
        table, x, y = table.swapaxes(0, 1), y, x
    rows, columns = table.shape[:2]
    return _mosaic_figure(table.reshape(rows * columns, *table.shape[2:]), columns, title, x=x, y=y)


def feature_maps(maps: Mapping[str, Any], image: Any = None, count: int = 12) -> Figure:
    """What each layer makes of one input: a row for each layer, its first `count` channels side by side.

    Each channel has a scale of its own, from black (its lowest value) to yellow (its highest); a channel that
    says the same everywhere is black.

    Args:
        maps: names of layers to their outputs, shape (C, H, W) or (1, C, H, W), in the order to show.
        image: the input, shape (H, W), (1, H, W), (3, H, W) or with a batch axis of 1; drawn on top.
        count: how many channels to show, at most.

    Raises:
        ValueError: no maps, or one of another shape.

    Example:
        >>> figure = feature_maps({"conv": np.zeros((16, 28, 28)), "stage1": np.zeros((1, 32, 14, 14))})
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['conv: 12 of 16 channels, 28 × 28', 'stage1: 12 of 32 channels, 14 × 14']
    """
    if not maps:
        raise ValueError("feature_maps: found no maps; wanted at least one layer's output")
    layers = {name: _without_batch(values, f"the map of {name!r}") for name, values in maps.items()}
    strips = {}
    for name, values in layers.items():
        tiles = (_zero_to_one(channel) for channel in values[:count].astype(np.float64))
        strips[name] = _mosaic(np.stack(list(tiles)), columns=count)
    heights = [WIDTH * strip.shape[0] / strip.shape[1] + 0.35 for strip in strips.values()]
    picture = None
    if image is not None:
        array = host(image, "the image", ndim=(2, 3, 4))
        picture = as_pictures(array if array.ndim == 4 else array[None], "the image")[0]
        heights.insert(0, 1.4)
    figure = new_figure(height=sum(heights))
    panels = list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
    if picture is not None:
        panel = panels.pop(0)
        show_picture(panel, picture)
        bare(panel)
        panel.set_title("input", fontsize=11, color=INK)
    for panel, (name, strip) in zip(panels, strips.items(), strict=True):
        panel.imshow(strip, cmap="inferno", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
        bare(panel)
        channels, height, width = layers[name].shape
        shown = f"{name}: {min(count, channels)} of {channels} channels, {height} × {width}"
        panel.set_title(shown, fontsize=11, color=INK, loc="left")
    return figure


def _without_batch(values: Any, name: str) -> np.ndarray:
    array = host(values, name, ndim=(3, 4))
    if array.ndim == 3:
        return array
    if len(array) != 1:
        raise ValueError(f"plotting: {name} has shape {array.shape}; wanted a single input's, (1, C, H, W)")
    return array[0]


def _own_scale(tile: np.ndarray) -> np.ndarray:
    tile = tile.astype(np.float64)
    return tile / max(np.abs(tile).max(), 1e-30)


def _zero_to_one(tile: np.ndarray) -> np.ndarray:
    low, high = tile.min(), tile.max()
    return (tile - low) / (high - low) if high > low else np.zeros_like(tile)


def _mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Tiles (N, H, W) in one image, with gaps of NaN, which Matplotlib leaves unpainted.

    One image and not N axes: a layer of 32 × 32 kernels would take Matplotlib minutes.
    """
    count, height, width = tiles.shape
    rows = math.ceil(count / columns)
    gap = max(1, round(min(height, width) / 12))
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def _mosaic_figure(tiles: np.ndarray, columns: int, title: str, *, x: str = "", y: str = "") -> Figure:
    columns = min(columns, len(tiles))
    canvas = _mosaic(tiles, columns)
    rows = math.ceil(len(tiles) / columns)
    scale = min((WIDTH - 0.7) / columns, WIDTH / rows, 0.9) * columns / canvas.shape[1]  # inches a pixel
    height, width = scale * canvas.shape[0], scale * canvas.shape[1]
    figure = new_figure(height + (0.7 if x else 0.4), max(width + 0.7, 4.5))
    axes: Axes = figure.add_subplot()
    picture = axes.imshow(canvas, cmap=SIGNED, vmin=-1, vmax=1, interpolation="nearest")
    tidy(axes, title=title, x=x, y=y, grid=None)
    bare(axes)
    bar_height = min(height, 3.0)
    bar = figure.colorbar(picture, ax=axes, fraction=0.05, shrink=bar_height / height, aspect=6 * bar_height, pad=0.02)
    bar.set_ticks([-1, 0, 1], labels=["−", "0", "+"])
    bar.outline.set_visible(False)
    return figure
