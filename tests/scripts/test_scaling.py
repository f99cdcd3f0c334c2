"""What scripts.scaling makes of its measurements; the measuring itself is tried by running it."""

from __future__ import annotations

import pytest

from scripts import scaling


def times(during: float, after: float, without: float) -> dict[str, float]:
    return {"during": during, "after": after, "without": without}


def test_speed_and_share_hidden(capsys) -> None:
    one = {"strong": times(0.008, 0.008, 0.008), "weak": times(0.008, 0.008, 0.008)}
    two = {"strong": times(0.005, 0.007, 0.004), "weak": times(0.010, 0.012, 0.009)}
    scaling.print_steps([{"ranks": 1, "mlp": one, "resnet": one}, {"ranks": 2, "mlp": two, "resnet": two}], 256)
    rows = capsys.readouterr().out.splitlines()
    assert rows[2] == "| mlp, strong | 256 | 1 | 8.00 | 1.00 | 8.00 | – |"
    assert rows[3] == "| mlp, strong | 256 | 2 | 5.00 | 1.60 | 7.00 | 67% of 3.00 ms |"
    assert rows[5] == "| mlp, weak | 512 | 2 | 10.00 | 1.60 | 12.00 | 67% of 3.00 ms |"


@pytest.mark.parametrize(
    ("during", "hidden"), [(0.0071, "none of 3.00 ms"), (0.0039, "all of 3.00 ms"), (0.0055, "50% of 3.00 ms")]
)
def test_shares_that_noise_puts_out_of_range(during, hidden, capsys) -> None:
    found = [{"ranks": 2, name: times(during, 0.007, 0.004)} for name in ("strong", "weak")]
    scaling.print_steps([{"ranks": 2, "mlp": {**found[0], **found[1]}, "resnet": {**found[0], **found[1]}}], 256)
    assert hidden in capsys.readouterr().out


def test_ring_of_many_ranks(capsys) -> None:
    # 8 ranks: 14 messages of an eighth; by hand, 14 (2 µs + 131,072 bytes at 1 GB/s)
    assert scaling.ring_time(8, 2**20, 2e-6, 1e-9) == pytest.approx(14 * (2e-6 + 131072e-9))
    sizes = [8, 2**16, 2**20]
    messages = [2e-6, 2e-6 + 2**16 * 1e-9, 2e-6 + 2**20 * 1e-9]
    scaling.print_model({"sizes": sizes, "messages": messages, "all_reduces": [1e-5, 1e-4, 1e-3]})
    out = capsys.readouterr().out
    assert "latency 2.0 µs, bandwidth 1.0 GB/s" in out
    assert "| 1,024 KiB | 1.00 ms | 1.05 ms | 1.86 ms | 2.32 ms | 6.19 ms | 0.29 ms | 1.43 ms | 20.63 ms |" in out


def test_one_rank_is_no_ring() -> None:
    assert scaling.ring_time(1, 1e9, 1.0, 1.0) == 0


def test_without_mpiexec(refused, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert refused(scaling) == "no mpiexec here. Run: pip install mpi4py mpich"
