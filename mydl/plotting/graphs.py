"""Diagrams: the graph that autograd recorded, and the layers that data flows through in a network."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from mydl import nn
from mydl.autograd.engine import Output, Variable
from mydl.autograd.modes import enable_grad
from mydl.plotting.layers import chosen_modules, watched
from mydl.plotting.layout import layered
from mydl.plotting.style import BLUE, GREEN, INK, MUTED, ORANGE, WIDTH, new_figure
from mydl.tensor import MyTensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 400  # boxes that a picture holds; DOT has no such limit
COLOURS = {"operation": INK, "leaf": BLUE, "input": GREEN, "output": ORANGE, "layer": BLUE}


class _Box(NamedTuple):
    text: str  # one line or two
    kind: str  # a key of COLOURS


class _Diagram(NamedTuple):
    boxes: list[_Box]
    edges: list[tuple[int, int]]  # as data flows


def autograd_graph(tensor: MyTensor, names: Mapping[str, MyTensor] | None = None) -> Figure:
    """The graph that `tensor.backward()` walks: a box for each operation, a blue one for each leaf with a gradient.

    Data flows down; `backward` goes up, from the orange box at the bottom, against the arrows.

    Args:
        tensor: what was computed.
        names: names of leaves, such as `dict(model.named_parameters())`; the others are called "leaf".

    Raises:
        ValueError: the tensor is in no graph, or in one of more than 400 vertices (`autograd_dot` takes any).

    Example:
        >>> w, x = MyTensor([2.0], requires_grad=True), MyTensor([3.0])
        >>> [text.get_text() for text in autograd_graph((w * x).tanh(), {"w": w}).axes[0].texts]
        ['w\\n(1,)', 'Mul\\n(1,)', 'Tanh\\n(1,)']
    """
    diagram = _recorded(tensor, names)
    if len(diagram.boxes) > MOST:
        raise ValueError(
            f"autograd_graph: found {len(diagram.boxes):,} vertices; a picture holds {MOST}: "
            "draw a smaller part, or write it with autograd_dot"
        )
    return _draw(diagram, row_height=0.62)


def autograd_dot(tensor: MyTensor, names: Mapping[str, MyTensor] | None = None) -> str:
    """The graph of `autograd_graph` in the DOT language, for Graphviz (`dot -Tsvg`) and others.

    >>> w = MyTensor([2.0], requires_grad=True)
    >>> print(autograd_dot(w.exp(), {"w": w}))
    digraph {
      node [shape=box, fontname="sans-serif"];
      n0 [label="w\\n(1,)", color="#0072B2"];
      n1 [label="Exp\\n(1,)", color="#E69F00"];
      n0 -> n1;
    }
    """
    diagram = _recorded(tensor, names)
    lines = ["digraph {", '  node [shape=box, fontname="sans-serif"];']
    for number, box in enumerate(diagram.boxes):
        text = box.text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'  n{number} [label="{text}", color="{COLOURS[box.kind]}"];')
    lines += [f"  n{start} -> n{end};" for start, end in diagram.edges]
    return "\n".join([*lines, "}"])


def _recorded(tensor: MyTensor, names: Mapping[str, MyTensor] | None) -> _Diagram:
    """The graph that led to a tensor, inputs before what is computed from them."""
    root = tensor.vertex()
    if root is None:
        raise ValueError("autograd_graph: the tensor is in no graph; wanted one made from a leaf with requires_grad")
    known = {id(leaf): name for name, leaf in (names or {}).items()}
    boxes: list[_Box] = []
    edges: list[tuple[int, int]] = []
    numbers: dict[Any, int] = {}
    stack = [(root, False)]
    while stack:  # not recursion: a graph may be as deep as memory allows
        vertex, has_inputs = stack.pop()
        if vertex in numbers:
            continue
        if not has_inputs:
            stack.append((vertex, True))
            stack += [(edge, False) for edge in reversed(vertex.edges) if edge is not None]
            continue
        inputs = [numbers[edge] for edge in vertex.edges if edge is not None]
        if isinstance(vertex, Output):  # one of several outputs: the operation's own box stands for it
            numbers[vertex] = inputs[0]
            continue
        numbers[vertex] = len(boxes)
        edges += [(number, numbers[vertex]) for number in inputs]
        leaf = isinstance(vertex, Variable)
        name = known.get(id(vertex), "leaf") if leaf else vertex.name()
        shape = getattr(vertex, "shape", None)  # an operation of several outputs has none of its own
        kind = "leaf" if leaf else "output" if vertex is root else "operation"
        boxes.append(_Box(name if shape is None else f"{name}\n{tuple(shape)}", kind))
    return _Diagram(boxes, edges)


def network_diagram(model: nn.NeuralNetwork, example: Any, most: int = 16) -> Figure:
    """The layers of a model as data flows through them, each with the shape that it gives out.

    A shape is one example's: the batch is left out. What `forward` computes with operators and functions
    between the modules (the sum of a residual block) has a box of its own, without the frame of a layer.

    Args:
        model: any module; it is run once, in evaluation mode.
        example: its input, (N, …).
        most: how many layers to show: the deepest level of sub-modules that has no more is drawn.

    Raises:
        ValueError: nothing that the model computes depends on its input or on a parameter.
        TypeError: the model gives out no tensor.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> [text.get_text() for text in network_diagram(net, MyTensor([[0.0] * 4])).axes[0].texts]
        ['input\\n4', '0: Linear\\n3 · 15 parameters', '1: ReLU\\n3']
    """
    example = example.detach() if isinstance(example, MyTensor) else MyTensor(example)
    example.requires_grad = example.is_floating_point()
    calls: list[tuple[str, nn.NeuralNetwork, tuple, MyTensor]] = []

    def note(name: str, module: nn.NeuralNetwork, args: tuple, output: Any) -> Any:
        if isinstance(output, MyTensor):
            if any(output is given for given in args) and not isinstance(module, nn.Identity):
                output = output.view(output.shape)  # a vertex of its own for a layer that does nothing, as Dropout here
            calls.append((name, module, args, output))
        return output

    with enable_grad(), watched(model, chosen_modules(model, most), note):
        result = model(example)
    if not isinstance(result, MyTensor):
        raise TypeError(f"network_diagram: the model gave a {type(result).__name__}; wanted a tensor")
    boxes = [_Box(f"input\n{_of_one(example.shape)}", "input")]
    edges: list[tuple[int, int]] = []
    numbers: dict[Any, int] = {example: 0}
    inputs_of = {
        output.vertex(): (name, module, [_vertex(x) for x in args if isinstance(x, MyTensor)], output)
        for name, module, args, output in calls
        if not isinstance(module, nn.Identity)
    }

    def sources(vertex: Any) -> list[Any]:
        """What a vertex's box is drawn after: for a layer its inputs, not what happens inside it."""
        found = inputs_of[vertex][2] if vertex in inputs_of else [edge for edge in vertex.edges if edge is not None]
        return [v for v in found if v is example or not isinstance(v, Variable)]

    stack = [(result.vertex(), False)]
    while stack:
        vertex, has_inputs = stack.pop()
        if vertex in numbers or vertex is None:
            continue
        if not has_inputs:
            stack += [(vertex, True), *((source, False) for source in reversed(sources(vertex)))]
            continue
        before = list(dict.fromkeys(numbers[source] for source in sources(vertex)))
        if isinstance(vertex, Output) and vertex not in inputs_of:
            numbers[vertex] = before[0]
            continue
        numbers[vertex] = len(boxes)
        edges += [(number, numbers[vertex]) for number in before]
        boxes.append(
            _layer_box(*inputs_of[vertex][:2], inputs_of[vertex][3])
            if vertex in inputs_of
            else _Box(f"{vertex.name()}\n{_of_one(getattr(vertex, 'shape', ()))}", "operation")
        )
    if len(boxes) == 1:
        raise ValueError("network_diagram: the output depends on no floating-point input and on no parameter")
    return _draw(_Diagram(boxes, edges), row_height=0.62)


def _vertex(x: MyTensor) -> Any:
    """Where a tensor came from; the tensor itself where nothing was recorded, as for integers."""
    vertex = x.vertex()
    return x if vertex is None else vertex


def _layer_box(name: str, module: nn.NeuralNetwork, output: MyTensor) -> _Box:
    parameters = sum(parameter.numel() for parameter in module.parameters())
    held = f" · {parameters:,} parameters" if parameters else ""
    return _Box(f"{name}: {type(module).__name__}\n{_of_one(output.shape)}{held}", "layer")


def _of_one(shape: tuple) -> str:
    return " × ".join(f"{size:,}" for size in shape[1:]) or "one number"


def _draw(diagram: _Diagram, row_height: float) -> Figure:
    """Boxes and arrows, all in inches; what is wider than a README is drawn smaller."""
    from matplotlib.patches import FancyBboxPatch

    font = 9.0
    letter = font / 72 * 0.58  # inches that a character of DejaVu Sans takes, about
    box_widths = [max(map(len, box.text.split("\n"))) * letter + 0.22 for box in diagram.boxes]
    x, level, paths = layered([width + 0.18 for width in box_widths], diagram.edges)
    left = min(one - width / 2 for one, width in zip(x, box_widths))
    right = max(one + width / 2 for one, width in zip(x, box_widths))
    scale = min(1.0, (WIDTH - 0.2) / (right - left))
    height = (max(level) + 1) * row_height * scale
    figure = new_figure(height + 0.2, max((right - left) * scale + 0.2, 2.4))
    figure.set_layout_engine("none")
    axes: Axes = figure.add_axes((0, 0, 1, 1))
    width = figure.get_figwidth()
    middle = (left + right) / 2
    axes.set_xlim(middle - width / 2 / scale, middle + width / 2 / scale)
    axes.set_ylim((max(level) + 0.5) * row_height + 0.1 / scale, -row_height / 2 - 0.1 / scale)
    axes.axis("off")
    half = 0.19  # of a box's height
    for path in paths:
        _arrow(axes, [(px, depth * row_height) for px, depth in path], half, scale)
    for place, depth, box_width, box in zip(x, level, box_widths, diagram.boxes):
        colour = COLOURS[box.kind]
        y = depth * row_height
        axes.add_patch(
            FancyBboxPatch(
                (place - box_width / 2 + 0.06, y - half + 0.06), box_width - 0.12, 2 * half - 0.12,
                boxstyle="round,pad=0.06,rounding_size=0.06", facecolor="white", edgecolor=colour,
                linewidth=(0.7 if box.kind == "operation" else 1.6) * scale,
            )
        )  # fmt: skip
        axes.text(place, y, box.text, ha="center", va="center", fontsize=font * scale, color=INK, linespacing=1.15)
    return figure


def _arrow(axes: Axes, points: list[tuple[float, float]], half: float, scale: float) -> None:
    """A smooth line through the points, vertical in each, with its head at the last."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    points = [(points[0][0], points[0][1] + half), *points[1:-1], (points[-1][0], points[-1][1] - half)]
    vertices = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        between = (y0 + y1) / 2
        vertices += [(x0, between), (x1, between), (x1, y1)]
    codes = [Path.MOVETO, *[Path.CURVE4] * (len(vertices) - 1)]
    axes.add_patch(
        FancyArrowPatch(
            path=Path(vertices, codes), arrowstyle="-|>", mutation_scale=8 * scale, color=MUTED,
            linewidth=0.9 * scale, shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip
