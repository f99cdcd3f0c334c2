"""Write one HTML file about one run or several: curves to point at, tables that sort, the figures, a comparison.

    python -m scripts.report results/mlp-mnist results/resnet-mnist --out report.html

The file is whole in itself: it opens from disk, asks for nothing from outside, and its security policy lets
no other script run than its own (scripts/web/report.js).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import mydl
from mydl.files import atomic_write
from scripts.answers import Answers, answers_of
from scripts.command_line import CommandLine, run
from scripts.plot import figures
from scripts.runs import Run, open_runs, read_config, read_history

WEB = Path(__file__).parent / "web"
DPI = 110  # of the figures in the file, beside each other at half the page's width


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("report", "Write one HTML file about one run or several; it needs nothing but a browser.")
    add = parser.add_argument
    add("runs", metavar="RUN", nargs="+", help="a run's folder, as train_model made it")
    add("--out", metavar="FILE.html", help="the file (RUN/report.html of the first run)")
    parser.add_common("--data-dir", "--weights", "--threads")
    return parser.parse_args(argv)


def describe(name: str, trained: Run, seen: Answers) -> dict[str, Any]:
    """All that the page shows of a run."""
    history = read_history(trained.folder)
    settings = read_config(trained.folder)["settings"]
    best = history.best("val_accuracy", "max")
    layers = mydl.summary(trained.model, (1, *seen.dataset.input_shape))
    return {
        "name": name,
        "model": trained.name,
        "data": trained.data["name"],
        "parameters": layers.parameters,
        "epochs": len(history),
        "best": best["val_accuracy"],
        "best_epoch": best["epoch"],
        "test_accuracy": float((seen.predicted == seen.labels).mean()),
        "seconds": sum(history["seconds"]),
        "settings": settings,
        "history": history.rows,
        "classes": _classes(seen, trained.data["classes"]),
        "layers": [_layer(row) for row in layers],
        "figures": [
            {"name": drawn.name, "caption": drawn.caption, "source": _source(drawn.figure)}
            for drawn in figures(trained, history, seen)
            if drawn.name not in ("training", "learning-rate")  # the page draws these itself
        ],
    }


def _layer(row: mydl.layer_table.Layer) -> dict[str, Any]:
    return {
        "layer": row.name or "the whole",
        "kind": row.kind,
        "output shape": " × ".join(map(str, (row.output_shape or ())[1:])),
        "parameters": row.parameters,
        "multiply-adds": row.multiply_adds,
        "activation bytes": row.activation_bytes,
    }


def _classes(seen: Answers, names: list[str]) -> list[dict[str, Any]]:
    """A row for each class: images, recall, precision, and the class that it is most often taken for."""
    rows = []
    for i, name in enumerate(names):
        images, called, right = seen.confusion[i].sum(), seen.confusion[:, i].sum(), seen.confusion[i, i]
        wrong = seen.confusion[i].copy()
        wrong[i] = 0
        rows.append({
            "class": name,
            "images": int(images),
            "recall": float(right / images) if images else None,
            "precision": float(right / called) if called else None,
            "most often taken for": f"{names[wrong.argmax()]} ({wrong.max()})" if wrong.any() else None,
        })  # fmt: skip
    return rows


def _source(figure: Any) -> str:
    """A figure as a data: address."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def page(content: dict[str, Any]) -> str:
    """The HTML file that shows the content.

    The content is data in JSON, in which nothing can end the element that holds it; the script puts it into the page
    as text. So a class or a folder may be called "<script>".

    >>> text = page({"runs": [], "mydl": "</script><script>alert(1)", "date": ""})
    >>> text.count("<script"), "sha256-" in text
    (2, True)
    """
    script, style = ((WEB / name).read_text(encoding="utf-8") for name in ("report.js", "style.css"))
    policy = (
        f"default-src 'none'; img-src data:; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(_finite(content), allow_nan=False).replace("<", "\\u003c")
    text = (WEB / "report.html").read_text(encoding="utf-8")
    for name, part in (("policy", policy), ("style", style), ("script", script), ("data", data)):
        text = text.replace(f"<!-- {name} -->", part, 1)
    return text


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _finite(value: Any) -> Any:
    """The value with "NaN" and "Infinity" as text, which JSON can hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def main(argv: list[str] | None = None) -> None:
    settings = read_settings(argv)
    if settings.threads:
        mydl.set_num_threads(settings.threads)
    opened = open_runs(settings.runs, settings.weights)
    runs = [describe(path, trained, answers_of(trained, settings.data_dir)) for path, trained in opened.items()]
    out = Path(settings.out or next(iter(opened.values())).folder / "report.html")
    content = {"mydl": mydl.__version__, "date": date.today().isoformat(), "runs": runs}
    with atomic_write(out) as file:
        file.write(page(content).encode())
    print(f"{out}: {len(runs)} run{'s' * (len(runs) > 1)}, {out.stat().st_size / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    run(main, "report")
