"""The README's tables, made of the result files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mydl.files import atomic_write
from scripts.experiments.definition import falls_short, load

__all__ = ["FORMAT", "aims", "found", "markdown", "put_into_readme", "read_result"]

FORMAT = 1  # of the result files; raised when an older program could misread them
MARKS = ("<!-- reproduce:begin -->", "<!-- reproduce:end -->")


def read_result(path: Path) -> dict[str, Any]:
    """What a result file says.

    Raises:
        ValueError: it is damaged, or of another version of this format.
        OSError: it is missing or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: wanted a result in JSON, as reproduce writes it; {error}") from error
    match content:
        case {"format": found, "mydl": version} if found != FORMAT:
            raise ValueError(
                f"{path}: written by mydl {version} in format {found}, wanted {FORMAT}; it is kept: move it away"
            )
        case {"format": int(), "settings": dict(), "seed": int(), "final": dict(), "history": list()}:
            return content
    raise ValueError(f"{path}: wanted a result, as reproduce writes it; found something else")


SHORT = {"accuracy": "acc.", "train": "train", "val": "val.", "test": "test", "max": "max."}


def _label(name: str) -> str:
    return " ".join(SHORT.get(word, word) for word in name.split("_"))


def _number(value: Any) -> str:
    """
    >>> _number(0.97812), _number(2.3e-13), _number(12.5), _number([0.86, 0.87])
    ('0.9781', '2.3e-13', '12.5', '0.86 to 0.87')
    """
    if isinstance(value, list):
        return (" to " if len(value) == 2 else " ").join(_number(each) for each in value)
    if not isinstance(value, float) or value == 0:
        return str(value)
    return f"{value:.4g}" if abs(value) >= 1 else f"{value:.2g}" if abs(value) < 0.001 else f"{value:.4f}".rstrip("0")


def _figures(final: dict[str, Any], names: Sequence[str], short: Sequence[str] = ()) -> str:
    """The figures of these names that were measured; those that fall short in italics."""
    cells = [f"{_label(name)} {_number(final[name])}" for name in names if name in final]
    marked = [f"*{cell}*" if name in short else cell for cell, name in zip(cells, (n for n in names if n in final))]
    return ", ".join(marked)


def aims(result: dict[str, Any]) -> str:
    """What was reported of an experiment, or is wanted of it, in words."""
    parts = [("", result["reported"]), ("wanted: ", result["wanted"])]
    return "; ".join(word + _figures(figures, list(figures)) for word, figures in parts if figures)


def found(result: dict[str, Any], final: dict[str, Any]) -> str:
    """What came out, in words: the figures aimed at, in italics where they fall short, and others that matter."""
    aimed = {**result["reported"], **result["wanted"]}
    if "variants" in final:
        parts = [f"{name} {_figures(part, ['val_accuracy'])}" for name, part in final["variants"].items()]
        return f"{'; '.join(parts)}; best: {final['best']}"
    if "kept" in final:
        return "; ".join(f"{what}: {', '.join(starts) or 'none'}" for what, starts in final["kept"].items())
    others = [name for name in ("val_accuracy", "test_accuracy", "test_loss", "max_error", "max_error_2d", "slope",
                                "slope_2d") if name not in aimed]  # fmt: skip
    return _figures(final, [*aimed, *others], falls_short(final, aimed))


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """The table of all results, and below it what replaced the settings that fell short, and why.

    Figures that fall short of the reported (or wanted) ones are in italics.
    """
    lines = [
        "| experiment | what | reported | here, as reported | here, with a better setting |",
        "|---|---|---|---|---|",
    ]
    reasons: dict[str, list[str]] = {}
    for result in results:
        experiment = load(result["name"])
        last = found(result, result["final"])
        if "seeds" in result:
            seeds = result["seeds"]
            name = next(name for name in ("test_accuracy", "val_accuracy") if name in seeds["mean"])
            last += f" (mean of {len(seeds['seeds'])} seeds: {_label(name)} "
            last += f"{seeds['mean'][name]:.4f} ± {seeds['deviation'][name]:.4f})"
        first, better = last, ""
        if "as_reported" in result:
            first, better = found(result, result["as_reported"]["final"]), last
        lines.append(f"| {result['name']} | {experiment.title} | {aims(result)} | {first} | {better} |")
        if experiment.reason and ("as_reported" in result or "*" in last):
            changes = ", ".join(f"{name} {_number(value)}" for name, value in experiment.better.items())
            text = f"{experiment.reason}{f' Better: {changes}.' if changes else ''}"
            reasons.setdefault(text, []).append(result["name"])
    notes = [f"- {', '.join(names)}: {text}" for text, names in reasons.items()]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def put_into_readme(text: str, readme: Path) -> str:
    """Put it between the marks in the README; what was done, or "" where it has no marks."""
    content = readme.read_text(encoding="utf-8")
    begin, end = (content.find(mark) for mark in MARKS)
    if not 0 <= begin < end:
        return ""
    with atomic_write(readme) as file:
        file.write((content[: begin + len(MARKS[0])] + "\n" + text + content[end:]).encode())
    return f"{readme}: the table of {text.count(chr(10) + '| ')} rows is in it"
