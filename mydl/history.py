"""What was measured as a model trained: one row an epoch, kept in a CSV file."""

from __future__ import annotations

import csv
import io
import math
import numbers
import os
from collections.abc import Iterable, Iterator, Mapping

from mydl.files import atomic_write

__all__ = ["History"]


class History:
    """Rows of metrics over time, in memory and, given a path, in a CSV file that is whole at every moment.

    The first row decides the columns; a training run writes `epoch, train_loss, train_accuracy, val_loss,
    val_accuracy, lr, seconds`. Numbers come back exactly as they went in, NaN and infinities included.

    Args:
        path: the CSV file, written anew at every `append`; None keeps the rows in memory alone.
            To go on with a file that exists, start from `History.read(path)`.
        rows: rows to start with.

    Example:
        >>> history = History()
        >>> history.append(epoch=1, val_accuracy=0.91)
        >>> history.append(epoch=2, val_accuracy=0.95)
        >>> history["val_accuracy"], history.best("val_accuracy", "max")["epoch"]
        ([0.91, 0.95], 2)
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, rows: Iterable[Mapping[str, float]] = ()) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        for row in rows:
            self.rows.append(self._checked(row))

    @property
    def columns(self) -> list[str]:
        """The names of the metrics, in the file's order; empty before the first row."""
        return list(self.rows[0]) if self.rows else []

    def append(self, **metrics: float) -> None:
        """Add a row and, where there is a path, put it on disk before returning.

        Raises:
            ValueError: the metrics are not those of the first row.
            TypeError: a metric is not a number.
            OSError: the file cannot be written; neither it nor the history then has the row.
        """
        row = self._checked(metrics)
        if self.path is not None:
            _write(self.path, [*self.rows, row])
        self.rows.append(row)

    def best(self, metric: str, mode: str) -> dict[str, float]:
        """The row in which `metric` is highest (`mode="max"`) or lowest (`"min"`); the first of equals.

        Rows where it is NaN do not count.

        Raises:
            ValueError: there is no such metric, no row with a number in it, or the mode is another.
        """
        if mode not in ("max", "min"):
            raise ValueError(f"History.best: found mode {mode!r}; wanted 'max' or 'min'")
        self[metric]  # an unknown metric ends here, with the names of those there are
        rows = [row for row in self.rows if not math.isnan(row[metric])]
        if not rows:
            raise ValueError(f"History.best: none of the {len(self)} rows has a number in {metric!r}")
        return dict((max if mode == "max" else min)(rows, key=lambda row: row[metric]))

    def __getitem__(self, metric: str) -> list[float]:
        """One metric over time, oldest first."""
        if metric not in self.columns:
            known = ", ".join(self.columns) or "no columns yet"
            raise ValueError(f"History: found the metric {metric!r}; wanted one of: {known}")
        return [row[metric] for row in self.rows]

    def __contains__(self, metric: object) -> bool:
        return metric in self.columns

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"History({len(self)} rows of {', '.join(self.columns) or 'nothing yet'})"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> History:
        """Read a CSV file back; `append` on the result goes on writing to it.

        Raises:
            ValueError: the file is damaged; the error names the line.
            OSError: it is missing or cannot be read.

        Example:
            >>> import os, tempfile
            >>> path = os.path.join(tempfile.mkdtemp(), "history.csv")
            >>> History(path).append(epoch=1, train_loss=0.5)
            >>> History.read(path).rows
            [{'epoch': 1, 'train_loss': 0.5}]
        """
        with open(path, encoding="utf-8", errors="backslashreplace", newline="") as file:
            text = file.read()
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            columns = next(reader, [])
            if not columns or not all(columns) or len(set(columns)) < len(columns):
                raise ValueError(f"found the columns {columns}; wanted a name for each, no name twice")
            rows = [cls._parsed(columns, cells) for cells in reader]
            if not text.endswith("\n"):  # a number cut short is still a number, and a wrong one
                raise ValueError("found the last line cut off; wanted a line end after it")
        except (ValueError, csv.Error) as error:
            raise ValueError(f"'{os.fspath(path)}', line {max(reader.line_num, 1)}: {error}") from error
        return cls(path, rows)

    @classmethod
    def _parsed(cls, columns: list[str], cells: list[str]) -> dict[str, float]:
        if len(cells) != len(columns):
            raise ValueError(f"found {len(cells)} cells; wanted {len(columns)}: {', '.join(columns)}")
        return {name: cls._number(name, cell) for name, cell in zip(columns, cells, strict=True)}

    @staticmethod
    def _number(name: str, cell: str) -> float:
        try:
            number = int(cell) if cell.lstrip("-").isdecimal() else float(cell)
            float(number)  # which a whole number may be too large for
            return number
        except (ValueError, OverflowError) as error:
            raise ValueError(f"found {cell[:40]!r} under {name!r}; wanted a number") from error

    def _checked(self, metrics: Mapping[str, float]) -> dict[str, float]:
        row: dict[str, float] = {}
        for name, value in metrics.items():
            if not isinstance(value, numbers.Real):
                raise TypeError(f"History: {name!r} is a {type(value).__name__}; wanted a number")
            # NumPy's scalars become Python's, whose repr reads back exactly; an integer stays one.
            row[name] = int(value) if isinstance(value, numbers.Integral) else float(value)
        wanted = set(self.columns) or set(row)
        if not row or row.keys() != wanted:
            raise ValueError(
                f"History: found a row of {', '.join(row) or 'nothing'}; wanted "
                f"{', '.join(self.columns) or 'at least one metric'}"
            )
        return {name: row[name] for name in self.columns or row}


def _write(path: str | os.PathLike[str], rows: list[dict[str, float]]) -> None:
    # The whole file, not one more line: a crash while appending would leave half a row. It is small.
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
