"""What the tests run on several ranks: `mpiexec -n 2 python -m tests.distributed.checks FOLDER NAME…`.

Rank 0 prints the name of each check that is done. The truth that the ranks together are compared with is computed by
every rank alone: one model on the whole batch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import models
import mydl
from mydl import data, distributed, nn, optim
from mydl.distributed import DistributedDataParallel, all_reduce, barrier, broadcast, rank, world_size
from mydl.nn import functional as F
from tests import strict_cupy
from tests.distributed import nccl_stand_in


def part(array: np.ndarray, uneven: int = 0) -> np.ndarray:
    """This rank's share of a batch; the first rank has `uneven` samples more, the last as many fewer."""
    cuts = np.linspace(0, len(array), world_size() + 1).astype(int)
    cuts[1:-1] += uneven
    return array[cuts[rank()] : cuts[rank() + 1]]


def batch(size: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, 1, 28, 28)), rng.integers(0, 10, size)


def pair(name: str, **options: object) -> tuple[DistributedDataParallel, nn.NeuralNetwork]:
    """A model on all ranks, in float64, which differs on them before, and one with rank 0's weights on this rank."""
    mydl.manual_seed(7)
    alone, model = models.build(name).double(), models.build(name).double()
    model.load_state_dict(alone.state_dict())
    with mydl.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor += rank()
    return DistributedDataParallel(model, **options), alone


def loss_of(model: nn.NeuralNetwork, x: np.ndarray, y: np.ndarray) -> mydl.MyTensor:
    return F.cross_entropy(model(mydl.tensor(x)), mydl.tensor(y))


def assert_close(ours: object, truth: object, tolerance: float = 1e-6) -> None:
    """To 1e-6 of the largest number in each gradient."""
    for p, q in zip(ours, truth, strict=True):
        assert np.abs(p.array - q.array).max() <= tolerance * max(np.abs(q.array).max(), 1e-30)


def gradients(model: nn.NeuralNetwork) -> Iterator[mydl.MyTensor]:
    return (p.grad for p in model.parameters())


def collectives() -> None:
    n, r = world_size(), rank()
    for dtype in ("float16", "float32", "float64", "int8", "uint8", "int32", "int64"):
        mine = (np.arange(6).reshape(2, 3) * (r + 1)).astype(dtype)
        truth = np.stack([np.arange(6).reshape(2, 3) * (q + 1) for q in range(n)])
        results = {"sum": truth.sum(0), "max": truth.max(0), "min": truth.min(0)}
        if np.dtype(dtype).kind == "f":
            results["mean"] = truth.mean(0)
        for op, wanted in results.items():
            for value in (mine.copy(), mydl.tensor(mine), np.asfortranarray(mine), np.repeat(mine, 2, 1)[:, ::2]):
                assert all_reduce(value, op) is value
                assert value.dtype == dtype
                np.testing.assert_array_equal(np.asarray(value), wanted.astype(dtype))
        assert (broadcast(mine[:, ::-1], n - 1) == (np.arange(6).reshape(2, 3) * n).astype(dtype)[:, ::-1]).all()
    assert all_reduce(np.array(1.5)).item() == 1.5 * n  # no dimensions
    assert all_reduce(np.zeros((0, 3))).shape == (0, 3)
    weight = mydl.ones(1, requires_grad=True)
    square = weight * weight
    all_reduce(weight)
    with pytest.raises(RuntimeError, match="changed in place"):
        square.backward()


def refusals() -> None:
    n, r = world_size(), rank()
    with pytest.raises(
        RuntimeError, match=rf"all_reduce: rank 1 of {n} differs from rank 0: sum of \(4,\) float64 there"
    ):
        all_reduce(np.zeros(4 if r == 1 else 3))
    with pytest.raises(RuntimeError, match=f"all_reduce: rank {n - 1} of {n} differs .* max of .* there, sum of"):
        all_reduce(np.zeros(3), "max" if r == n - 1 else "sum")
    with pytest.raises(RuntimeError, match=f"broadcast: rank {n - 1} of {n} differs .* float32 from rank 0 there"):
        broadcast(np.zeros(3, np.float32 if r == n - 1 else np.float64))
    with pytest.raises(RuntimeError, match=r"rank 1 of . differs from rank 0: bias \(3,\) .*there, bias \(2,\)"):
        DistributedDataParallel(Shaped(3 if r == 1 else 2))
    with pytest.raises(TypeError, match=r"all_reduce: wanted floats for the mean, got \(2,\) int64"):
        all_reduce(np.zeros(2, np.int64), "mean")
    with pytest.raises(TypeError, match="all_reduce: wanted a tensor or an array of floats or integers"):
        all_reduce(np.zeros(2, bool))
    with pytest.raises(ValueError, match="wanted op to be one of sum, mean, max, min, got 'product'"):
        all_reduce(np.zeros(2), "product")
    with pytest.raises(RuntimeError, match="init: called a second time"):
        distributed.init()
    model = DistributedDataParallel(nn.Linear(2, 1))
    with pytest.raises(ValueError, match=f"wanted at least one sample on rank {r}"):
        model(mydl.zeros(0, 2))
    with pytest.raises(TypeError, match="wanted a tensor among forward's arguments"):
        model(np.zeros((1, 2)))


class Shaped(nn.NeuralNetwork):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(mydl.zeros(size))


def _whole_batch(name: str, uneven: int = 0, **options: object) -> None:
    """Gradients, then those after a step, and the buffers: with an optimizer's flat buffers and without."""
    x, y = batch()
    for flat in (True, False):
        model, alone = pair(name, **options)
        optimizers = [optim.SGD(m.parameters(), lr=0.1) for m in (model, alone)] if flat else []
        for _ in range(2):
            loss_of(model, part(x, uneven), part(y, uneven)).backward()
            loss_of(alone, x, y).backward()
            assert_close(gradients(model), gradients(alone))
            copied = [bucket._buffer is not None for bucket in model._buckets]
            assert len(copied) > 1 and not any(copied) if flat else all(copied)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        assert_close(model.buffers(), alone.buffers())


def mlp() -> None:
    _whole_batch("mlp", bucket_cap_mb=0.2)


def mlp_uneven() -> None:
    _whole_batch("mlp", uneven=1, bucket_cap_mb=0.2)


def resnet() -> None:
    _whole_batch("resnet", sync_batch_norm=True, bucket_cap_mb=0.2)


def resnet_uneven() -> None:
    _whole_batch("resnet", uneven=1, sync_batch_norm=True, bucket_cap_mb=0.2)


def batch_norm_dtypes() -> None:
    """Synchronised statistics against those of one process, in each dtype, far from zero, without weights too."""
    for dtype, tolerance in (("float16", 4e-3), ("float32", 2e-5), ("float64", 1e-12)):
        for affine in (True, False):
            for shape in ((12, 3), (12, 3, 5), (12, 3, 4, 4)):
                x, g = np.random.default_rng(1).normal(3, 1, (2, *shape)).astype(dtype)
                alone = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)](
                    3, affine=affine, momentum=None, dtype=dtype
                )
                ours = distributed.SyncBatchNorm(3, affine=affine, momentum=None, dtype=dtype)
                inputs = [mydl.tensor(part(x, 1), requires_grad=True), mydl.tensor(x, requires_grad=True)]
                outputs = [ours(inputs[0]), alone(inputs[1])]
                outputs[0].backward(mydl.tensor(part(g, 1)))
                outputs[1].backward(mydl.tensor(g))
                for mine, whole in ((outputs[0], outputs[1]), (inputs[0].grad, inputs[1].grad)):
                    assert mine.dtype == dtype
                    np.testing.assert_allclose(
                        mine.detach().numpy(), part(whole.detach().numpy(), 1), tolerance, tolerance
                    )
                assert_close([ours.running_mean, ours.running_var], [alone.running_mean, alone.running_var], tolerance)
                for p, q in zip(ours.parameters(), alone.parameters()):
                    assert_close([all_reduce(p.grad)], [q.grad], tolerance)
    y = ours(mydl.tensor(part(x), requires_grad=True))
    with pytest.raises(NotImplementedError, match="second derivatives across ranks"):
        y.sum().backward(create_graph=True)


def plain_batch_norm() -> None:
    """Without synchronised statistics rank 0's buffers are everybody's at each training step."""
    model = DistributedDataParallel(nn.Sequential(nn.BatchNorm1d(2)))
    for _ in range(2):
        model(mydl.randn(4, 2) + rank())
    mean = model.module[0].running_mean
    assert not np.array_equal(*(all_reduce(mean.clone(), op).array for op in ("max", "min")))
    first = broadcast(mean.clone())
    model(mydl.zeros(4, 2))
    np.testing.assert_allclose(mean.array, 0.9 * first.array, 1e-6)


def accumulation() -> None:
    """Two uneven micro-batches, the first within no_sync, against the sum of two whole ones."""
    model, alone = pair("mlp")
    first, second = batch(12, 1), batch(20, 2)
    with model.no_sync():
        loss_of(model, *(part(a, 1) for a in first)).backward()
    grad = next(gradients(model)).array.copy()
    assert not np.array_equal(broadcast(grad.copy()), grad) or rank() == 0
    loss_of(model, *(part(a) for a in second)).backward()
    (loss_of(alone, *first) + loss_of(alone, *second)).backward()
    assert_close(gradients(model), gradients(alone))
    loss_of(model, *(part(a) for a in second)).backward()  # onto what is there and the same everywhere
    loss_of(alone, *second).backward()
    assert_close(gradients(model), gradients(alone))


class Branches(nn.NeuralNetwork):
    """`here` is used where x says so, `never` nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.always, self.here, self.never = nn.Linear(2, 1), nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, x: mydl.MyTensor, both: bool) -> dict[str, mydl.MyTensor]:
        return {"y": self.always(x) + self.here(x) if both else self.always(x)}


def unused() -> None:
    x = mydl.ones(2, 2)
    model = DistributedDataParallel(Branches())
    with pytest.raises(RuntimeError, match=rf"rank {rank()}: backward gave no gradient to never.weight, never.bias;"):
        model(x, True)["y"].mean().backward()
    with pytest.raises(RuntimeError, match="the last backward broke off"):
        model(x, True)
    model = DistributedDataParallel(Branches(), find_unused_parameters=True)
    for both in (rank() == 0, False, True):
        model.zero_grad()
        model(x, both)["y"].mean().backward()
        share = all_reduce(np.array(float(both)), "mean").item()
        assert model.module.never.weight.grad is None
        np.testing.assert_allclose(model.module.always.weight.grad.array, np.ones((1, 2)))
        if share:
            np.testing.assert_allclose(model.module.here.weight.grad.array, np.full((1, 2), share))
        else:
            assert model.module.here.weight.grad is None


def buckets() -> None:
    """By default the first is small, so that something can be reduced soon; a layer and a dtype are never mixed."""
    layers = [nn.Linear(512, 512), nn.Linear(512, 512), nn.Linear(512, 128, dtype="float64"), nn.Linear(128, 8)]
    model = DistributedDataParallel(nn.Sequential(*layers))
    assert [b.names for b in model._buckets] == [
        ["3.weight", "3.bias"], ["2.weight", "2.bias"], ["1.weight", "1.bias", "0.weight", "0.bias"]
    ]  # fmt: skip
    assert [len(DistributedDataParallel(layers[0], bucket_cap_mb=cap)._buckets) for cap in (0.1, 100)] == [1, 1]


def half_precision() -> None:
    """float16 gradients are summed in float32, and a gradient somebody holds is not written to by the next step."""
    model = DistributedDataParallel(nn.Linear(1, 1, bias=False).half())
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    held = None
    for _ in range(2):
        optimizer.zero_grad()
        model(mydl.full((1, 1), 40000.0, dtype="float16")).sum().backward()
        assert model.module.weight.grad.array == 40000.0
        assert held is None or model.module.weight.grad.array is not held
        held = model.module.weight.grad.array


def training() -> None:
    """Two epochs, broken off and resumed in the second, against one process with an ordinary loader of the seed."""
    digits = data.TensorDataset(*(mydl.tensor(a) for a in batch(48)))
    model, alone = pair("mlp")
    optimizers = [optim.Adam(net.parameters()) for net in (model, alone)]

    def train(net: nn.NeuralNetwork, optimizer: optim.Optimizer, loader: data.DataLoader, steps: int) -> None:
        for _, (x, y) in zip(range(steps), loader):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()

    def loader() -> data.DataLoader:
        return data.DataLoader(digits, 12 // world_size(), sampler=data.DistributedSampler(digits, seed=3), seed=3)

    whole, ours = data.DataLoader(digits, 12, shuffle=True, seed=3), loader()
    for epoch in range(2):
        whole.set_epoch(epoch)
        train(alone, optimizers[1], whole, 4)
    train(model, optimizers[0], ours, 4)
    ours.set_epoch(1)
    train(model, optimizers[0], ours, 2)
    state = ours.state_dict()
    assert state == {"epoch": 1, "batch": 2, "seed": 3}
    resumed = loader()
    resumed.load_state_dict(state)
    train(model, optimizers[0], resumed, 2)
    assert_close(model.parameters(), alone.parameters(), 1e-9)


def nccl() -> None:
    """The GPU's way on the stand-in for CuPy, whose NCCL goes over MPI: the same gradients, and no wait for the GPU."""
    x, y = batch()
    model, alone = pair("resnet", sync_batch_norm=True)
    loss_of(alone, x, y).backward()
    with strict_cupy.installed() as ledger:
        nccl_stand_in.install()
        mydl.cuda.set_device(distributed.local_rank() % mydl.cuda.device_count())
        model = DistributedDataParallel(model.module.to("cuda"), bucket_cap_mb=0.2)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        images, labels = mydl.tensor(part(x, 1)).to("cuda"), mydl.tensor(part(y, 1)).to("cuda")
        loss = F.cross_entropy(model(images), labels)
        ledger.clear()
        loss.backward()
        assert ledger.synchronisations == []
        assert all(bucket._buffer is None for bucket in model._buckets)
        assert_close([p.grad.cpu() for p in model.parameters()], gradients(alone))
        assert_close([b.cpu() for b in model.buffers()], alone.buffers())
        optimizer.step()
        for op, wanted in (("sum", np.arange(world_size()).sum()), ("max", world_size() - 1), ("min", 0)):
            for dtype in ("float16", "float32", "int64"):
                assert (all_reduce(mydl.full((2,), rank(), dtype=dtype, device="cuda"), op).cpu() == wanted).all()
        value = mydl.arange(4.0, device="cuda").reshape(2, 2).T + rank()
        assert broadcast(value, 1).cpu().tolist() == [[1, 3], [2, 4]]


def passes() -> None:
    """A rank that calls the model alone is found out."""
    model = DistributedDataParallel(nn.Linear(2, 1))
    x = mydl.ones(2, 2)
    model(x)  # without a backward
    with mydl.no_grad():
        model(x[: rank()])  # no gradients, no other ranks
    model(x).mean().backward()
    model._passes += rank()
    with pytest.raises(RuntimeError, match=f"rank {rank()} is in its forward pass .* and others are not"):
        model(x).mean().backward()


def threads() -> None:
    import os

    assert mydl.get_num_threads() == max(1, len(os.sched_getaffinity(0)) // world_size())


def alone() -> None:
    """Only rank 0 writes; the others wait for the file."""
    path = Path(sys.argv[1]) / "alone"
    if rank() == 0:
        path.write_text("here")
    barrier(60)
    assert path.read_text() == "here"


if __name__ == "__main__":
    distributed.init()
    for check in sys.argv[2:]:
        globals()[check]()
        barrier()
        if rank() == 0:
            print("done:", check, flush=True)
