"""History: numbers survive the file exactly, the file is whole at every moment, damage is named by line."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mydl.history import History

ROW = {
    "epoch": 1,
    "train_loss": 0.1 + 0.2,
    "train_accuracy": 0.9,
    "val_loss": 5e-324,
    "val_accuracy": 1.0,
    "lr": 1e-3,
    "seconds": 12.25,
}


def test_file_after_every_row(tmp_path):
    path = tmp_path / "history.csv"
    history = History(path)
    assert not path.exists()
    for epoch in (1, 2, 3):
        history.append(**{**ROW, "epoch": epoch})
        lines = path.read_text().splitlines()
        assert lines[0] == "epoch,train_loss,train_accuracy,val_loss,val_accuracy,lr,seconds"
        assert len(lines) == 1 + epoch
        assert lines[-1] == f"{epoch},0.30000000000000004,0.9,5e-324,1.0,0.001,12.25"
        assert History.read(path).rows == history.rows
    assert [p.name for p in tmp_path.iterdir()] == ["history.csv"]


def test_reading_goes_on_and_a_new_history_starts_afresh(tmp_path):
    path = tmp_path / "history.csv"
    History(path).append(epoch=1, loss=0.5)
    History.read(path).append(epoch=2, loss=0.25)
    assert History.read(path)["loss"] == [0.5, 0.25]
    History(path).append(epoch=1, score=3.0)
    assert History.read(path).rows == [{"epoch": 1, "score": 3.0}]


def test_rows_to_start_with(tmp_path):
    """How a resumed run drops what a killed one wrote after its last checkpoint."""
    path = tmp_path / "history.csv"
    for epoch in (1, 2, 3):
        (History.read(path) if epoch > 1 else History(path)).append(epoch=epoch, loss=1 / epoch)
    History(path, rows=History.read(path).rows[:2]).append(epoch=3, loss=0.0)
    assert History.read(path)["loss"] == [1.0, 0.5, 0.0]
    with pytest.raises(ValueError, match="wanted epoch, loss"):
        History(rows=[{"epoch": 1, "loss": 0.5}, {"epoch": 2}])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(-(2**70), 2**70), st.floats(), st.floats(width=32)), min_size=1, max_size=5))
def test_every_number_survives(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("history") / "history.csv"
    history = History(path)
    for epoch, loss, single in values:
        history.append(epoch=epoch, loss=loss, single=np.float32(single))
    for row, (epoch, loss, single) in zip(History.read(path), values, strict=True):
        assert row["epoch"] == epoch and type(row["epoch"]) is int
        for found, wanted in ((row["loss"], loss), (row["single"], single)):
            assert type(found) is float
            assert math.isnan(found) if math.isnan(wanted) else found == wanted
            assert math.isnan(wanted) or math.copysign(1, found) == math.copysign(1, wanted)


def test_numpy_scalars_become_numbers():
    history = History()
    history.append(epoch=np.int64(3), loss=np.float16(0.5), flag=True)
    assert [type(value) for value in history.rows[0].values()] == [int, float, int]


def test_order_of_keywords_does_not_matter(tmp_path):
    history = History(tmp_path / "history.csv")
    history.append(epoch=1, loss=0.5)
    history.append(loss=0.25, epoch=2)
    assert (tmp_path / "history.csv").read_text() == "epoch,loss\n1,0.5\n2,0.25\n"


def test_best():
    history = History()
    for epoch, (loss, accuracy) in enumerate([(0.5, 0.8), (0.3, 0.9), (0.3, 0.9), (math.nan, math.nan)], 1):
        history.append(epoch=epoch, loss=loss, accuracy=accuracy)
    assert history.best("accuracy", "max")["epoch"] == 2  # the first of equals; NaN never
    assert history.best("loss", "min")["epoch"] == 2
    assert history.best("accuracy", "min")["epoch"] == 1
    assert history.best("loss", "max")["epoch"] == 1
    history.best("loss", "min")["epoch"] = 99  # a copy: the history stays as it is
    assert history["epoch"] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"'acuracy'.*epoch, loss, accuracy"):
        history.best("acuracy", "max")
    with pytest.raises(ValueError, match=r"'highest'.*'max' or 'min'"):
        history.best("accuracy", "highest")
    with pytest.raises(ValueError, match="no columns yet"):
        History().best("loss", "min")
    only_nan = History(rows=[{"loss": math.nan}])
    with pytest.raises(ValueError, match="none of the 1 rows"):
        only_nan.best("loss", "min")


def test_container_protocol():
    history = History(rows=[{"epoch": 1, "loss": 0.5}])
    assert len(history) == 1 and list(history) == [{"epoch": 1, "loss": 0.5}]
    assert "loss" in history and "val_loss" not in history
    assert history.columns == ["epoch", "loss"] and History().columns == []
    assert repr(history) == "History(1 rows of epoch, loss)"


@pytest.mark.parametrize("row", [{}, {"epoch": 2}, {"epoch": 2, "loss": 1.0, "lr": 0.1}, {"epoch": 2, "los": 1.0}])
def test_rows_that_do_not_fit_leave_no_trace(tmp_path, row):
    path = tmp_path / "history.csv"
    history = History(path)
    history.append(epoch=1, loss=0.5)
    with pytest.raises(ValueError, match="wanted epoch, loss"):
        history.append(**row)
    assert len(history) == 1 and len(History.read(path)) == 1


@pytest.mark.parametrize("value", [None, "0.5", [0.5], 1j, np.ones(1)], ids=str)
def test_metrics_that_are_no_numbers(value):
    with pytest.raises(TypeError, match="'loss' is a"):
        History().append(loss=value)


def test_a_row_that_cannot_be_written_is_not_kept(tmp_path):
    history = History(tmp_path / "nowhere" / "history.csv")
    with pytest.raises(FileNotFoundError, match=r"nowhere/history\.csv"):
        history.append(epoch=1)
    assert len(history) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: found the columns"),
        (b"\n", "line 1: found the columns"),
        (b"epoch,epoch\n1,2\n", "line 1: found the columns"),
        (b"epoch,\n1,2\n", "line 1: found the columns"),
        (b"epoch,loss\n1,0.5\n2\n", "line 3: found 1 cells; wanted 2: epoch, loss"),
        (b"epoch,loss\n1,0.5,7\n", "line 2: found 3 cells"),
        (b"epoch,loss\n1,0.5\n\n", "line 3: found 0 cells"),
        (b"epoch,loss\n1,0.5\n2,\n", "line 3: found '' under 'loss'; wanted a number"),
        (b"epoch,loss\n1,0.5\n2,0.4x\n3,0.3\n", "line 3: found '0.4x' under 'loss'"),
        (b"epoch,loss\n--1,0.5\n", "line 2: found '--1' under 'epoch'"),
        (b"epoch,loss\n1,\xff\xfe\n", r"line 2: found '\\xff\\xfe' under 'loss'"),
        (b"epoch,loss\n1,0.5\n2,0.2", "line 3: found the last line cut off"),
        (b'epoch,loss\n1,"0.5\n', "line 2: unexpected end of data"),
        (b"epoch,loss\n" + b"1" * 5000 + b",2\n", "line 2: found '1111"),
        (b"epoch,loss\n" + b"1" * 400 + b",2\n", "line 2: found '1111"),
        (b"epoch,loss\n" + b"1" * 200_000 + b",2\n", "line 2: field larger than field limit"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "line"),
    ],
)
def test_damage_is_named_by_line(tmp_path, content, message):
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        History.read(path)
    assert message in str(caught.value) and f"'{path}', line" in str(caught.value)


def test_every_cut_is_noticed(tmp_path):
    """Whatever a torn copy keeps, it reads as whole rows or not at all: a cut number is still a number."""
    path = tmp_path / "history.csv"
    history = History(path)
    history.append(epoch=1, loss=0.125)
    history.append(epoch=2, loss=0.0625)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if content[:length].endswith(b"\n"):
            assert History.read(path).rows == history.rows[: content[:length].count(b"\n") - 1]
        else:
            with pytest.raises(ValueError, match="line"):
                History.read(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"history\.csv"):
        History.read(tmp_path / "history.csv")
