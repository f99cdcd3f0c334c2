"""What all figures share: one width, one palette, one way of drawing axes and images, one way of saving."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mydl.files import atomic_write
from mydl.tensor import MyTensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0  # inches: 800 px at 100 dpi, what a README shows
DPI = 160  # what `save_figure` writes, so that the picture stays sharp on a dense screen

# Okabe and Ito's palette: eight colours that people with any colour vision tell apart (2008).
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW, BLACK = "#E69F00", "#56B4E9", "#F0E442", "#000000"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)  # yellow is too pale for a line
RIGHT, WRONG = BLUE, VERMILLION
INK, MUTED, FAINT = "#222222", "#6B6B6B", "#DDDDDD"


def host(values: Any, name: str, *, ndim: tuple[int, ...]) -> np.ndarray:
    """`values` as a host array, refused unless its number of axes is one of `ndim`."""
    array = values.detach().numpy() if isinstance(values, MyTensor) else np.asarray(values)
    if array.ndim not in ndim:
        wanted = " or ".join(str(number) for number in ndim)
        raise ValueError(f"plotting: {name} has shape {array.shape}; wanted {wanted} axes")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"plotting: {name} has dtype {array.dtype}; wanted numbers")
    if array.size == 0:
        raise ValueError(f"plotting: {name} has shape {array.shape}; wanted at least one value")
    return array


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, `width` by `height` inches, that lays out its axes itself."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def tidy(axes: Axes, *, title: str = "", x: str = "", y: str = "", grid: Literal["x", "y"] | None = "y") -> None:
    """The look of every plot with a scale: two spines, a faint grid behind the data."""
    axes.set_title(title, fontsize=12, color=INK, loc="left")
    axes.set_xlabel(x, fontsize=11, color=INK)
    axes.set_ylabel(y, fontsize=11, color=INK)
    axes.tick_params(labelsize=10, colors=INK, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    if grid:
        axes.grid(axis=grid, color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)


def bare(axes: Axes, frame: str | None = None) -> None:
    """The look of every image: no ticks, and a thick frame in colour `frame` or none."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(frame is not None)
        if frame is not None:
            spine.set_color(frame)
            spine.set_linewidth(3)


def as_pictures(images: Any, name: str = "images") -> np.ndarray:
    """Images as (N, H, W) grey or (N, H, W, 3) colour, in float32 from 0 (the darkest) to 1 (the brightest).

    Takes (N, H, W), (N, 1, H, W) and (N, 3, H, W). One scale serves the whole batch, whatever normalisation
    the images went through; 8-bit images keep 0 as black and 255 as white.
    """
    array = host(images, name, ndim=(3, 4))
    if array.ndim == 4:
        if array.shape[1] not in (1, 3):
            raise ValueError(f"plotting: {name} have shape {array.shape}; wanted 1 or 3 channels on axis 1")
        array = array[:, 0] if array.shape[1] == 1 else array.transpose(0, 2, 3, 1)
    if array.dtype == np.uint8:
        return array.astype(np.float32) / np.float32(255)
    array = array.astype(np.float32)
    finite = array[np.isfinite(array)]
    low, high = (finite.min(), finite.max()) if finite.size else (np.float32(0), np.float32(1))
    return np.clip((array - low) / max(high - low, np.float32(1e-12)), 0, 1)


def show_picture(axes: Axes, picture: np.ndarray) -> None:
    """Draw one picture of `as_pictures`."""
    axes.imshow(picture, cmap=None if picture.ndim == 3 else "gray", vmin=0, vmax=1, interpolation="nearest")


def plain(name: str, most: int = 24) -> str:
    """A name as Matplotlib draws it letter for letter, at most so many of them: no formula, and never left out.

    >>> plain("a$b$"), plain("_private"), plain("a name that is far too long")
    ('a\\\\$b\\\\$', ' _private', 'a name that is far too …')
    """
    name = name if len(name) <= most else name[: most - 1] + "…"
    return name.replace("$", r"\$").replace("_", " _", 1 if name.startswith("_") else 0)


def names_of(count: int, class_names: Sequence[str] | None) -> list[str]:
    """The names of `count` classes as they are drawn, their numbers where there are no names."""
    if class_names is None:
        return [str(number) for number in range(count)]
    if len(class_names) != count:
        raise ValueError(f"plotting: found {len(class_names)} class names; wanted {count}, one for each class")
    return [plain(str(name)) for name in class_names]


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a .png, .svg or .pdf file, whole or not at all; the same figure gives the same bytes.

    Raises:
        ValueError: another suffix.
        OSError: `path` cannot be written; an older file stays as it was.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "empty.png"
        >>> save_figure(new_figure(height=1.0), path)
        >>> path.read_bytes()[1:4]
        b'PNG'
    """
    import matplotlib

    # Matplotlib stamps the time into vector formats and its version into bitmaps.
    metadata = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    suffix = Path(path).suffix
    if suffix not in metadata:
        raise ValueError(f"'{os.fspath(path)}' ends in '{suffix}'; figures end in {', '.join(metadata)}")
    with atomic_write(path) as file, matplotlib.rc_context({"svg.hashsalt": "mydl"}):
        figure.savefig(file, format=suffix[1:], dpi=DPI, metadata=metadata[suffix])
