"""Tell what is in picture files, with a trained model: the class, its probability, and a figure of both.

    python -m scripts.predict results/mlp-mnist photo.jpg scan.png

Pictures may have any size and mode. For a model that learned digits or clothes from small bright images on black,
they are made such images first (`as_trained`); for one that learned a folder's images they are read as those were.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import models
import mydl
from mydl.data.folder import IMG_EXTENSIONS
from mydl.data.transforms import Resize
from mydl.nn import functional as F
from scripts.command_line import CommandLine, run
from scripts.pictures import quiet, read_picture
from scripts.preparation import Preparation
from scripts.runs import Run, open_run

DEFAULT = Path(models.__file__).parent / "weights" / "resnet-mnist.safetensors"
BATCH = 256


class Layout(NamedTuple):
    """How the images of a dataset were made: 28×28, what is seen on black, its longer side `box` pixels long."""

    box: int
    by_mass: bool  # the centre of mass in the middle, else that of the box
    faint: float  # what is less bright, the brightest being 1, does not count when the box is drawn


DIGIT = Layout(20, True, 0.4)
LAYOUTS = {"digits": DIGIT, "mnist": DIGIT, "fashion": Layout(28, False, 0.2)}
SIDE = 28
LONGEST = 4096  # side of a picture, in which a digit is looked for; larger ones are reduced first
LEAST = 0.1  # of white; a picture of less contrast shows nothing


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("predict", "Tell what is in pictures, with a trained model.")
    add = parser.add_argument
    run_help = "the run's folder, or a .safetensors file of it"
    if DEFAULT.is_file():
        run_help += f" (left out: {os.path.relpath(DEFAULT, DEFAULT.parents[2])})"
    add("run", metavar="RUN", nargs="?", help=run_help)
    add("images", metavar="IMAGE", nargs="*", help="picture files, of any size")
    parser.add_common("--weights")
    invert_help = "invert the pictures' brightness; auto looks at their border"
    add("--invert", choices=("auto", "yes", "no"), default="auto", help=invert_help)
    add("--json", action="store_true", help="print JSON, one object a picture, in place of a table")
    add("--out", metavar="DIR", help="folder for the figures (figs/predict in the run's folder)")
    add("--no-figures", action="store_true", help="draw none")
    parser.add_common("--threads", "--device")
    settings = parser.parse_intermixed_args(argv)  # flags may stand between RUN and the pictures
    if settings.run is not None and is_picture(settings.run):
        if not DEFAULT.is_file():
            parser.error(f"RUN: wanted a run's folder before the pictures, got the picture {settings.run!r}")
        settings.images.insert(0, settings.run)
        settings.run = str(DEFAULT)
        settings.out = settings.out or "results/predict"
    if not settings.images:
        found = "nothing" if settings.run is None else f"the run {settings.run!r} alone"
        parser.error(f"IMAGE: wanted one picture file at least, found {found}")
    return settings


def is_picture(path: str) -> bool:
    """Whether the first argument is a picture and no run: what is there decides, and the suffix where nothing is.

    >>> is_picture("absent.JPG"), is_picture("results/absent")
    (True, False)
    """
    if Path(path).exists():
        return Path(path).is_file() and Path(path).suffix != ".safetensors"
    return path.lower().endswith(IMG_EXTENSIONS)


def read_image(path: str, data: dict[str, Any], preparation: Preparation, invert: str) -> tuple[np.ndarray, bool]:
    """A picture as a uint8 image like those that the run's model was trained on, and whether it was inverted.

    A folder's run knows whether its images were dark or light at their border; a picture that is the opposite is
    inverted. Digits and clothes are dark there.
    """
    layout = LAYOUTS.get(data["name"])
    if layout is not None:
        grey = read_picture(path, 1, background=None)
        try:
            image, inverted = as_trained(grey, layout, invert)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if image.shape != preparation.size:
            image = Resize(preparation.size)(image)
        return image, inverted
    trained_on = data["preparation"].get("background")
    background = None if trained_on == "dark" else "white"
    image = read_picture(path, preparation.channels, preparation.size, background)
    opposite = {"dark": _border(image) > 127.5, "light": _border(image) < 127.5}
    inverted = invert == "yes" or (invert == "auto" and bool(opposite.get(trained_on, False)))
    return (255 - image if inverted else image), inverted


def as_trained(grey: np.ndarray, layout: Layout, invert: str = "auto") -> tuple[np.ndarray, bool]:
    """A grey picture as MNIST's images were made: 28×28, bright on black; and whether that inverted it.

    A picture whose border is lighter than mid-grey (by its median) is dark on light, and inverted. One of 28×28
    is taken to be such an image already. Of another, the border's grey becomes black and the brightest part white,
    what is seen is scaled so that its longer side has `layout.box` pixels, and its centre is put into the middle.

    Raises ValueError if nothing stands out from the border.

    >>> picture = np.full((90, 60), 255, np.uint8)
    >>> picture[30:70, 28:32] = 0
    >>> image, inverted = as_trained(picture, LAYOUTS["mnist"])
    >>> image.shape, inverted, np.flatnonzero(image[:, 14] > 127)[[0, -1]].tolist()
    ((28, 28), True, [4, 23])
    """
    from PIL import Image

    if max(grey.shape) > LONGEST:  # the square around a long strip could be thousands of times its size
        grey = np.asarray(Image.fromarray(grey).reduce(math.ceil(max(grey.shape) / LONGEST)))
    border = _border(grey)
    inverted = invert == "yes" or (invert == "auto" and border > 127.5)
    if grey.shape == (SIDE, SIDE):
        return (255 - grey if inverted else grey), inverted
    ink = (grey.astype(np.float32) - border) * np.float32(-1 if inverted else 1)
    peak = float(ink.max())
    if peak < LEAST * 255:
        found = "darker" if inverted else "brighter"
        raise ValueError(f"nothing in the picture is clearly {found} than its border; wanted something to recognise")
    ink = np.clip(ink / peak, 0, 1)
    rows, columns = (np.flatnonzero((ink > layout.faint).any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    if layout.by_mass:
        seen = ink[top:bottom, left:right]
        down, across = (seen.sum(axis=axis) @ (np.arange(seen.shape[1 - axis]) + 0.5) / seen.sum() for axis in (1, 0))
        centre = top + down, left + across
    else:
        centre = (top + bottom) / 2, (left + right) / 2
    # The square of the picture that becomes the image; it may reach beyond, and what is there is black.
    side = float(max(bottom - top, right - left) * SIDE / layout.box)
    y, x = (float(place) - side / 2 for place in centre)
    first_row, first_column = int(np.floor(y)), int(np.floor(x))
    square = np.zeros([int(np.ceil(side)) + 2] * 2, np.float32)
    part = ink[max(first_row, 0) : first_row + len(square), max(first_column, 0) : first_column + len(square)]
    down, across = max(-first_row, 0), max(-first_column, 0)
    square[down : down + part.shape[0], across : across + part.shape[1]] = part
    y, x = y - first_row, x - first_column
    resized = Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=(x, y, x + side, y + side))
    return np.rint(255 * np.clip(np.asarray(resized), 0, 1)).astype(np.uint8), inverted


def _border(image: np.ndarray) -> float:
    """The median of a picture's outermost pixels."""
    return float(np.median(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])))


@mydl.no_grad()
def probabilities(loaded: Run, images: np.ndarray, preparation: Preparation, device: str) -> np.ndarray:
    """What the model gives each class for each of the uint8 images, (N, classes)."""
    loaded.model.eval()
    parts = []
    for start in range(0, len(images), BATCH):
        logits = loaded.model(preparation(images[start : start + BATCH]).to(device))
        if logits.shape[1:] != (len(loaded.data["classes"]),):
            classes = len(loaded.data["classes"])
            raise ValueError(
                f"{loaded.weights}: wanted outputs (N, {classes}) for {classes} classes, got {logits.shape}"
            )
        parts.append(F.softmax(logits, 1).numpy())
    result = np.concatenate(parts)
    if not np.isfinite(result).all():
        raise ValueError(f"{loaded.weights}: the model's outputs are not finite")
    return result


def figure_paths(folder: Path, images: list[str]) -> Iterator[Path]:
    """A file for each picture's figure, named after it; pictures of one name are numbered."""
    taken: set[str] = set()
    for image in images:
        stem, number = Path(image).stem, 1
        while (name := f"{stem}-{number}" if number > 1 else stem) in taken:
            number += 1
        taken.add(name)
        yield folder / f"{name}.png"


def table(rows: list[dict[str, Any]]) -> str:
    """For one picture the probability of every class; for several a line each: the likeliest class and the next.

    >>> print(table([{"image": "a.png", "probabilities": {"cat": 0.75, "dog": 0.25}}]))
    a.png: cat
    class  probability
    cat         0.7500
    dog         0.2500
    """
    if len(rows) == 1:
        shares = rows[0]["probabilities"]
        width = max(len(name) for name in ("class", *shares))
        lines = [f"{rows[0]['image']}: {max(shares, key=shares.get)}", f"{'class':<{width}}  probability"]
        return "\n".join([*lines, *(f"{name:<{width}}  {share:11.4f}" for name, share in shares.items())])
    cells = [("image", "class", "probability", "next", "probability")]
    for row in rows:
        (first, p), (second, q) = sorted(row["probabilities"].items(), key=lambda item: -item[1])[:2]
        cells.append((row["image"], first, f"{p:.4f}", second, f"{q:.4f}"))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) if number in (2, 4) else cell.ljust(width)
                  for number, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in cells
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    settings = read_settings(argv)
    if settings.threads:
        mydl.set_num_threads(settings.threads)
    loaded = open_run(settings.run, settings.weights, settings.device)
    classes = loaded.data["classes"]
    preparation = Preparation.from_json(loaded.data["preparation"])
    with quiet():
        read = [read_image(path, loaded.data, preparation, settings.invert) for path in settings.images]
    images = np.stack([image for image, _ in read])
    shares = probabilities(loaded, images, preparation, settings.device)
    rows: list[dict[str, Any]] = [
        {
            "image": path,
            "class": classes[share.argmax()],
            "probability": float(share.max()),
            "probabilities": dict(zip(classes, share.tolist(), strict=True)),
            "inverted": inverted,
        }
        for path, (_, inverted), share in zip(settings.images, read, shares, strict=True)
    ]
    folder = Path(settings.out) if settings.out else loaded.folder / "figs" / "predict"
    try:
        if not settings.no_figures:
            from mydl import plotting

            folder.mkdir(parents=True, exist_ok=True)
            paths = figure_paths(folder, settings.images)
            for path, image, share, row in zip(paths, images, shares, rows, strict=True):
                picture = np.moveaxis(image, -1, 0) if image.ndim == 3 else image
                plotting.save_figure(plotting.single_prediction(picture, share, classes), path)
                row["figure"] = str(path)
    finally:  # what was recognised is told, whether it can be drawn or not
        print(json.dumps(rows, indent=2) if settings.json else table(rows))
    if not (settings.no_figures or settings.json):
        figures = rows[0]["figure"] if len(rows) == 1 else f"{len(rows)} figures in {folder}"
        print(f"written: {figures}")


if __name__ == "__main__":
    run(main, "predict")
