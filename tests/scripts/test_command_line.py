from __future__ import annotations

import doctest
import importlib
import os
import select
import subprocess

import pytest

from scripts.command_line import CommandLine, positive_float, positive_int, run

MODULES = ["answers", "command_line", "datasets", "evaluation", "report", "test_model", "train_model"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"scripts.{name}")).failed == 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("wanted 2,\n  got 3"), "wanted 2, got 3"),
        (RuntimeError("it broke"), "it broke"),
        (OSError("all mirrors failed"), "all mirrors failed"),
        (FileNotFoundError(2, "No such file or directory", "a/b"), "a/b: No such file or directory"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (MemoryError(), "MemoryError"),
        (OverflowError("too large"), "too large"),
    ],
)
def test_an_error_is_one_line(capsys, error, line):
    def main():
        raise error

    with pytest.raises(SystemExit) as ended:
        run(main, "program")
    assert (ended.value.code, capsys.readouterr().err) == (2, f"program: error: {line}\n")


def test_ctrl_c_is_130(capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        run(main, "program")
    assert (ended.value.code, capsys.readouterr().err) == (130, "program: interrupted\n")


def test_a_bug_keeps_its_traceback():
    """An AttributeError or a KeyError is nobody's input: it is the program that is wrong."""
    with pytest.raises(AttributeError):
        run(lambda: None.shape, "program")


def test_the_traceback_on_request(monkeypatch):
    monkeypatch.setenv("MYDL_TRACEBACK", "1")
    with pytest.raises(ValueError, match="invalid literal"):
        run(lambda: int("x"), "program")


@pytest.mark.parametrize("arguments", [["--n", "x"], ["--n"], ["--m", "1"], ["--to", "b"], ["more\nlines"]])
def test_a_wrong_command_line_is_one_line(capsys, arguments):
    parser = CommandLine("program", "Do it.")
    parser.add_argument("--n", type=positive_int, default=1, help="how many")
    parser.add_argument("--to", choices=("a",), help="where to")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(arguments)
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert captured.err.startswith("program: error: ") and captured.err.endswith("; see --help\n")


def test_help_tells_the_defaults(capsys):
    parser = CommandLine("program", "Do it.")
    parser.add_argument("--rate", metavar="X", type=positive_float, default=0.5, help="how fast")
    parser.add_argument("--out", metavar="DIR", help="where to (here)")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "how fast (0.5)" in text and "where to (here)\n" in text and "None" not in text


OUTPUT = "from scripts.command_line import run; run(lambda: [print('x' * 99) for _ in range(999)], 'program')"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_an_output_that_is_full(start, said):
    with open("/dev/full", "w") as full:
        process = start(OUTPUT, stdout=full, stderr=subprocess.PIPE)
        assert said(process.stderr.read()) == ["program: error: [Errno 28] No space left on device"]
        assert process.wait() == 2


def test_a_line_comes_when_it_is_printed(start):
    """Also into a pipe, where Python would keep it until the end; and whatever a file is called."""
    main = "lambda: (print('1 \\udce9'), sys.stdin.readline(), print('2'))"
    code = f"import sys; from scripts.command_line import run; run({main}, 'program')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUNBUFFERED": ""}
    process = start(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    readable, _, _ = select.select([process.stdout], [], [], 60)
    assert readable, "the line is kept back"
    assert process.stdout.readline() == "1 \\udce9\n"
    process.stdin.write("\n")
    process.stdin.close()
    assert (process.stdout.read(), process.wait()) == ("2\n", 0)
