"""Functions put together from step neurons: a box exactly, a smooth function in one and two dimensions nearly."""

from __future__ import annotations

import numpy as np

import mydl
from mydl import MyTensor, nn
from scripts.experiments.definition import Job, Outcome

__all__ = ["QUICK", "Boxes", "SquareBoxes", "approximate", "box", "smooth", "smooth_2d"]

QUICK = {"boxes": [4, 8, 16]}
B = 3.0  # the functions are looked at on [-B, B]


class Boxes(nn.NeuralNetwork):
    """One hidden layer of step neurons and a linear output: N boxes side by side, each with its height.

    A step neuron at each of the N + 1 borders; box i is the step at its left minus that at its right, so the
    output weight of a border is the height to its right minus that to its left.

    >>> boxes = Boxes(mydl.tensor([2.0, 5.0]), mydl.tensor([-1.0, 0.0, 1.0]))
    >>> boxes(mydl.tensor([[-2.0], [-0.5], [0.5], [2.0]])).flatten().tolist()
    [0.0, 2.0, 5.0, 0.0]
    """

    def __init__(self, heights: MyTensor, borders: MyTensor) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, len(borders), dtype=heights.dtype)
        self.step = nn.Step()
        self.output = nn.Linear(len(borders), 1, dtype=heights.dtype)
        none = mydl.zeros(1, dtype=heights.dtype)
        with mydl.no_grad():
            self.hidden.weight.fill_(1)
            self.hidden.bias.copy_(-borders)
            self.output.weight.copy_((mydl.cat([heights, none]) - mydl.cat([none, heights])).reshape(1, -1))
            self.output.bias.fill_(0)

    def forward(self, x: MyTensor) -> MyTensor:
        """Places (M, 1) -> values (M, 1)."""
        return self.output(self.step(self.hidden(x)))


class SquareBoxes(nn.NeuralNetwork):
    """Two hidden layers of step neurons and a linear output: N × N boxes side by side.

    The first layer has the steps at the N + 1 borders of each axis. A place is in a box when it is right of its
    left border and not of its right one, on both axes: when the sum of four of them, two negative, reaches 2,
    which a neuron of the second layer asks for.
    """

    def __init__(self, heights: MyTensor, borders: MyTensor) -> None:
        super().__init__()
        count, dtype = len(heights), heights.dtype
        self.hidden = nn.Linear(2, 2 * (count + 1), dtype=dtype)
        self.boxes = nn.Linear(2 * (count + 1), count * count, dtype=dtype)
        self.step = nn.Step()
        self.output = nn.Linear(count * count, 1, dtype=dtype)
        axes = np.repeat(np.eye(2), count + 1, axis=0)
        sides = np.eye(count, count + 1) - np.eye(count, count + 1, 1)
        corners = np.concatenate([np.repeat(sides, count, axis=0), np.tile(sides, (count, 1))], axis=1)
        with mydl.no_grad():
            self.hidden.weight.copy_(mydl.tensor(axes, dtype=dtype))
            self.hidden.bias.copy_(-mydl.cat([borders, borders]))
            self.boxes.weight.copy_(mydl.tensor(corners, dtype=dtype))
            self.boxes.bias.fill_(-1.5)
            self.output.weight.copy_(heights.reshape(1, -1))
            self.output.bias.fill_(0)

    def forward(self, x: MyTensor) -> MyTensor:
        """Places (M, 2) -> values (M, 1)."""
        return self.output(self.step(self.boxes(self.step(self.hidden(x)))))


def smooth(x: np.ndarray) -> np.ndarray:
    """The function of one variable that is approximated: sin(2x) + x / 2."""
    return np.sin(2 * x) + x / 2


def smooth_2d(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The function of two variables that is approximated: sin(x) exp(-y² / 4)."""
    return np.sin(x) * np.exp(-np.square(y) / 4)


def box(job: Job) -> Outcome:
    """Settings: a box's `left`, `right` and `height`. It is that high on [left, right), 0 elsewhere.

    `max_error` is over 10,001 places, the borders, and the numbers next to them.
    """
    left, right, height = (job.settings[name] for name in ("left", "right", "height"))
    network = Boxes(*(mydl.tensor(numbers, dtype=mydl.float64) for numbers in ([height], [left, right])))
    beside = [np.nextafter(end, side) for end in (left, right) for side in (-np.inf, np.inf)]
    places = np.concatenate([np.linspace(left - 2, right + 2, 10_001), [left, right], beside])
    with mydl.no_grad():
        found = network(mydl.tensor(places).reshape(-1, 1)).flatten().numpy()
    truth = np.where((places >= left) & (places < right), height, 0.0)
    return Outcome({"max_error": float(np.abs(found - truth).max())})


def approximate(job: Job) -> Outcome:
    """The largest error for each number of `boxes` N; the slope of its logarithm over that of N is -1 for 1/N.

    A box is as high as the function in its middle.
    """
    counts = job.settings["boxes"]
    history = []
    for count in counts:
        middles = (np.arange(count) + 0.5) / count * 2 * B - B
        places = np.linspace(-B, B, 20_000, endpoint=False)
        borders = mydl.linspace(-B, B, count + 1, dtype=mydl.float64)
        line = Boxes(mydl.tensor(smooth(middles)), borders)
        x, y = (grid.ravel() for grid in np.meshgrid(places[::250], places[::250], indexing="ij"))
        square = SquareBoxes(mydl.tensor(smooth_2d(middles[:, None], middles)), borders)
        with mydl.no_grad():
            found = line(mydl.tensor(places).reshape(-1, 1)).flatten().numpy()
            found_2d = square(mydl.tensor(np.stack([x, y], axis=1))).flatten().numpy()
        errors = [np.abs(found - smooth(places)).max(), np.abs(found_2d - smooth_2d(x, y)).max()]
        history.append({"boxes": count, "error": float(errors[0]), "error_2d": float(errors[1])})
    slopes = {
        f"slope{which}": float(np.polyfit(np.log(counts), np.log([row[f"error{which}"] for row in history]), 1)[0])
        for which in ("", "_2d")
    }
    last = history[-1]
    return Outcome({"boxes": last["boxes"], "max_error": last["error"], "max_error_2d": last["error_2d"], **slopes},
                   history)  # fmt: skip
