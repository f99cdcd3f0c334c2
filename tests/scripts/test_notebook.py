"""The notebook runs from top to bottom in a kernel of its own, and what it shows is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "scripts" / "playground.ipynb"


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook with its outputs, run as Jupyter would, far from the repository."""
    out = tmp_path_factory.mktemp("notebook") / "out.ipynb"
    program = (
        "import sys, nbformat, nbclient; notebook = nbformat.read(sys.argv[1], as_version=4); "
        "nbclient.NotebookClient(notebook, timeout=120, kernel_name='python3').execute(); "
        "nbformat.write(notebook, sys.argv[2])"
    )
    environment = {**os.environ, "PYTHONPATH": str(NOTEBOOK.parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, str(NOTEBOOK), str(out)]
    result = subprocess.run(command, env=environment, cwd=out.parent, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return nbformat.read(out, as_version=4)


def test_it_is_committed_without_outputs(committed):
    nbformat.validate(committed)
    for cell in committed.cells:
        assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None)
        assert cell.metadata == {}


@pytest.mark.slow
def test_it_runs_and_shows_what_it_says(executed):
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 8

    by_small_steps, by_hand, by_backward = (
        float(re.search(pattern, printed, re.MULTILINE).group(1))
        for pattern in (r"^(0\.39\d+)$", r"w is a leaf: its gradient is \[(.*)\]", r"backward says (\S+)")
    )
    assert by_hand == pytest.approx(by_backward, rel=1e-6) and by_small_steps == pytest.approx(by_backward, rel=1e-5)
    shares = [float(share) for share in re.findall(r"([\d.]+)% of the unseen digits right", printed)]
    assert len(shares) == 6 and shares[-1] > 95
