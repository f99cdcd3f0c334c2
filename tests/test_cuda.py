"""mydl.cuda, and what is said, in one line, where there is no GPU that works: never a silent fall-back to the CPU."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

import mydl
from mydl import cupy_loader
from tests.strict_cupy.runtime import machine

NOT_INSTALLED = (
    "CuPy is not installed. Run: pip install cupy-cuda12x (CUDA 12) or cupy-cuda13x (CUDA 13), not both; "
    "or use --device cpu."
)


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget that CuPy, or its stand-in, was found to work."""
    monkeypatch.setattr(cupy_loader, "_checked_cupy", None)


def refusals() -> set[str]:
    """What every way to a GPU answers."""
    texts = set()
    for attempt in (
        lambda: mydl.tensor([1.0], device="cuda"),
        lambda: mydl.zeros(2).to("cuda:0"),
        lambda: mydl.zeros(2).cuda(),
        lambda: mydl.nn.Linear(2, 2).to("cuda"),
        lambda: mydl.cuda.synchronize(),
        lambda: mydl.cuda.memory_summary(),
        lambda: mydl.cuda.current_device(),
    ):
        with pytest.raises(RuntimeError) as caught:
            attempt()
        texts.add(str(caught.value))
    assert not mydl.cuda.is_available()
    assert mydl.cuda.device_count() == 0
    mydl.cuda.empty_cache()
    texts.add(mydl.cuda.why_unavailable())
    return texts


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert refusals() == {NOT_INSTALLED}


def test_cupy_too_old(ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["cupy"], "__version__", "13.5.1")
    assert refusals() == {
        "CuPy 13.5.1 found, wanted 13.6 or newer. Run: pip install -U cupy-cuda12x (CUDA 12) or cupy-cuda13x "
        "(CUDA 13), whichever you have."
    }


def test_no_driver(ledger) -> None:
    machine.driver = 0
    assert refusals() == {"CuPy 14.2.0 found but no NVIDIA driver. Use --device cpu."}


def test_driver_too_old(ledger) -> None:
    machine.driver, machine.runtime = 11080, 12090
    assert refusals() == {
        "NVIDIA driver supports CUDA 11.8, CuPy was built for 12.9. Update the driver or install the CuPy for CUDA 11; "
        "or use --device cpu."
    }


@pytest.mark.parametrize("visible", ["", None])
def test_no_visible_device(ledger, monkeypatch: pytest.MonkeyPatch, visible: str | None) -> None:
    machine.devices = 0
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    said = "not set" if visible is None else visible
    assert refusals() == {f"Driver present but no GPU visible (CUDA_VISIBLE_DEVICES={said})."}


@pytest.mark.parametrize("runtime", [12090, 13020])
def test_cuda_libraries_missing(ledger, runtime: int) -> None:
    machine.driver = machine.runtime = runtime
    machine.missing_library = "libcublas.so.12: cannot open shared object file: No such file or directory\nand more"
    assert refusals() == {
        "CUDA libraries missing (libcublas.so.12: cannot open shared object file: No such file or directory). "
        f'Run: pip install "cupy-cuda{runtime // 1000}x[ctk]".'
    }


def test_two_packages(ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"cupy": ["cupy-cuda13x", "cupy-cuda12x"], "numpy": ["numpy"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: both)
    assert refusals() == {
        "Only one CuPy may be installed, found cupy-cuda12x and cupy-cuda13x. Run: pip uninstall -y cupy-cuda12x "
        "cupy-cuda13x, then pip install one of them; or use --device cpu."
    }


def test_an_import_that_fails_inside_cupy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("\n====\nlibcudart.so.12: cannot open shared object file\n====")

    monkeypatch.setattr(cupy_loader.importlib, "import_module", broken)
    assert mydl.cuda.why_unavailable() == (
        "CUDA libraries missing (libcudart.so.12: cannot open shared object file). "
        'Run: pip install "cupy-cuda12x[ctk]".'
    )


def test_a_program_ends_with_one_line_and_status_2(tmp_path) -> None:
    (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError('No module named cupy', name='cupy')\n")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from scripts.command_line import run
from mydl.cupy_loader import load_cupy
run(load_cupy, "program")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"program: error: {NOT_INSTALLED}\n")


def test_what_a_working_gpu_answers(ledger) -> None:
    assert mydl.cuda.is_available()
    assert mydl.cuda.why_unavailable() is None
    assert (mydl.cuda.device_count(), mydl.cuda.current_device()) == (2, 0)
    mydl.cuda.synchronize()
    mydl.cuda.synchronize("cuda:1")
    assert len(ledger.synchronisations) == 2
    summary = mydl.cuda.memory_summary().splitlines()
    assert [line.split()[-2] for line in summary[1:]] == ["1.0", "3.0", "3,072.0", "4,096.0"]
    assert summary[0] == "cuda:0"
    mydl.cuda.empty_cache()
    assert mydl.cuda.memory_summary(1).splitlines()[2].split()[-2] == "1.0"


def test_the_current_gpu(ledger) -> None:
    mydl.cuda.set_device(1)
    x = mydl.ones(2, device="cuda")
    assert x.device == "cuda:1"
    y = mydl.ones(2, device="cuda:0")
    assert y.device == "cuda:0"
    with pytest.raises(
        RuntimeError, match=r"Add: an input is on cuda:0 and the current GPU is cuda:1; .*set_device\(0\)"
    ):
        y + 1
    assert y.to("cuda:1").device == "cuda:1"
    mydl.cuda.set_device("cuda:0")
    assert (y + 1).tolist() == [2.0, 2.0]
    for wrong in (2, "cuda:7"):
        with pytest.raises(RuntimeError, match="2 visible GPUs"):
            mydl.cuda.set_device(wrong)
        with pytest.raises(RuntimeError, match="2 visible GPUs"):
            mydl.ones(2).to(mydl.device("cuda", wrong) if isinstance(wrong, int) else wrong)
    with pytest.raises(ValueError, match="wanted an index"):
        mydl.cuda.set_device("cpu")


def test_there_and_back(ledger) -> None:
    x = mydl.tensor([[1.0, 2.0]], requires_grad=True)
    on_gpu = x.to("cuda")
    assert (on_gpu.is_cuda, on_gpu.device, x.is_cuda) == (True, mydl.device("cuda", 0), False)
    assert on_gpu.to("cuda") is on_gpu
    (on_gpu * 3).cpu().sum().backward()
    assert isinstance(x.grad.array, np.ndarray)
    assert x.grad.tolist() == [[3.0, 3.0]]
    assert repr(on_gpu.detach()) == "tensor([[1., 2.]], device='cuda:0')"


@pytest.mark.parametrize(
    "pair", [lambda a, b: a + b, lambda a, b: b + a, lambda a, b: a @ b, lambda a, b: mydl.cat([a, b])]
)
def test_two_devices_in_one_operation_are_refused(ledger, pair) -> None:
    with pytest.raises(RuntimeError, match=r"on different devices.*\.to\(device\)"):
        pair(mydl.ones(2, 2), mydl.ones(2, 2, device="cuda"))
