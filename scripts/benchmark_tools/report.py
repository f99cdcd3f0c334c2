"""The benchmark's results as text and as a figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mydl.plotting.style import MUTED, SERIES, new_figure, tidy
from scripts.benchmark_tools.turns import LIBRARIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure", "report"]

SWEEPS = {"batch": "batch size", "depth": "residual blocks", "threads": "threads"}


def quantity(value: float, unit: str) -> str:
    """A number with its unit: three figures, in the unit that suits it.

    >>> quantity(0.00431, "s"), quantity(6.3e-6, "s"), quantity(512e6, "bytes")
    ('4.31 ms', '6.30 µs', '512 MB')
    """
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB"
    name, scale = next((pair for pair in (("s", 1), ("ms", 1e-3)) if value >= pair[1]), ("µs", 1e-6))
    scaled = value / scale
    return f"{scaled:.{max(0, 2 - max(0, len(str(int(scaled))) - 1))}f} {name}"


def cell(result: dict[str, Any], name: str) -> str:
    """One measurement: its median, and its ratio to the baseline with the quartiles of the rounds."""
    if name not in result["measured"]:
        return ""
    entry = result["measured"][name]
    if "failed" in entry:
        return "failed"
    text = quantity(entry["median"], result["unit"])
    if "ratio" in entry:
        text += f"  {entry['ratio']:.2f} ({entry['ratio_low']:.2f}–{entry['ratio_high']:.2f})"
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as they need to be, the first to the left.

    >>> print(table(["a", "b"], [["x", "10"]]))
    a   b
    x  10
    """
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def report(document: dict[str, Any]) -> str:
    """All results as text: the comparison, the rates beside the machine's, the sweeps, the failures."""
    results, libraries = document["results"], document["libraries"]
    parts = []

    def columns(chosen: list[dict[str, Any]], head: str, first: str, text: Callable[..., str]) -> str:
        names = [name for name in libraries if any(name in r["measured"] for r in chosen)]
        rows = [[str(r[first]), *(text(r, name) for name in names)] for r in chosen]
        return table([head, *(LIBRARIES[name].title for name in names)], rows)

    main = [r for r in results if r["group"] not in (*SWEEPS, "data")]
    if main:
        head = "median; ratio to PyTorch (quartiles of the rounds)" if "pytorch" in libraries else "median"
        parts.append(columns(main, head, "title", cell))
    parts += [
        table(
            [r["title"], "median; ratio to plain"],
            [[name, cell(r, name)] for name in r["measured"]],
        )
        for r in results
        if r["group"] == "data"
    ]
    counted = [r for r in results if "flops" in r and "x" not in r]
    if counted:
        limit = document["gemm"]
        head = f"GFLOP/s (share of the machine's matrix product, {limit / 1e9:.0f} GFLOP/s)"
        parts.append(columns(counted, head, "title", partial(rate, limit)))
    for group, axis in SWEEPS.items():
        for title in dict.fromkeys(r["title"] for r in results if r["group"] == group):
            chosen = [r for r in results if r["group"] == group and r["title"] == title]
            parts.append(f"training step, {title}\n" + columns(chosen, axis, "x", cell))
    failures = [
        f"failed: {r['title']}{', ' + str(r['x']) if 'x' in r else ''}: {name}: {entry['failed']}"
        for r in results for name, entry in r["measured"].items() if "failed" in entry
    ]  # fmt: skip
    return "\n\n".join([*parts, *(["\n".join(failures)] if failures else [])])


def rate(limit: float, result: dict[str, Any], name: str) -> str:
    """FLOP/s of one measurement, and its share of the limit."""
    entry = result["measured"].get(name, {})
    if "median" not in entry:
        return ""
    flops = result["flops"] / entry["median"]
    return f"{flops / 1e9:.0f} ({flops / limit:.0%})"


def figure(document: dict[str, Any]) -> Figure:
    """Ratios to PyTorch, and step time against batch size, depth and threads.

    What was not measured has no panel.
    """
    results = document["results"]
    colours = dict(zip(document["libraries"], SERIES, strict=False))
    compared = [
        r for r in results if r["group"] not in (*SWEEPS, "data") and any("ratio" in e for e in r["measured"].values())
    ]
    sweeps = [group for group in SWEEPS if any(r["group"] == group for r in results)]
    height = 0.34 * len(compared) + 1.1 if compared else 0
    heights = [*([height] if compared else []), *([3.2] if sweeps else [])]
    if not heights:
        return new_figure(height=1.0)
    drawing = new_figure(height=sum(heights))
    bands = drawing.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if compared:
        _ratios(bands[0].subplots(), compared, colours)
    if sweeps:
        for axes, group in zip(bands[-1].subplots(1, len(sweeps), squeeze=False)[0], sweeps, strict=True):
            _sweep(axes, [r for r in results if r["group"] == group], SWEEPS[group], colours)
    return drawing


def _ratios(axes: Axes, results: list[dict[str, Any]], colours: dict[str, str]) -> None:
    for name, colour in colours.items():
        points = [(e, row) for row, r in enumerate(results) if "ratio" in (e := r["measured"].get(name, {}))]
        if points:
            ratios = [e["ratio"] for e, _ in points]
            spread = [
                [max(0, e["ratio"] - e["ratio_low"]) for e, _ in points],
                [max(0, e["ratio_high"] - e["ratio"]) for e, _ in points],
            ]
            rows = [row for _, row in points]
            axes.errorbar(ratios, rows, xerr=spread, fmt="o", color=colour, capsize=3, label=LIBRARIES[name].title)
    axes.axvline(1, color=MUTED, linewidth=1)
    axes.set_xscale("log")
    ticks = [0.1, 0.2, 0.35, 0.6, 1, 2, 4]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(results)), [r["title"] for r in results])
    axes.invert_yaxis()
    tidy(axes, title="Time or memory: ratio to PyTorch", grid="x")
    axes.legend(fontsize=9, frameon=False)


def _sweep(axes: Axes, results: list[dict[str, Any]], label: str, colours: dict[str, str]) -> None:
    from matplotlib.ticker import NullLocator

    titles = list(dict.fromkeys(r["title"] for r in results))
    models = {title: ", " + title.split(",")[0] if len(titles) > 1 else "" for title in titles}
    for title, style in zip(titles, ("-", "--"), strict=False):
        for name, colour in colours.items():
            points = [
                (r["x"], r["measured"][name]["median"] * 1e3)
                for r in results if r["title"] == title and "median" in r["measured"].get(name, {})
            ]  # fmt: skip
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    style,
                    marker=".",
                    color=colour,
                    label=f"{LIBRARIES[name].title}{models[title]}",
                )
    places = sorted({r["x"] for r in results})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(places[:: max(1, len(places) // 4)], [str(place) for place in places[:: max(1, len(places) // 4)]])
    axes.xaxis.set_minor_locator(NullLocator())
    tidy(axes, title="Step, ms", x=label)
    axes.legend(fontsize=7, frameon=False, handlelength=3)
