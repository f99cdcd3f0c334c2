"""The stand-in keeps CuPy's rules: what each of them refuses or counts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.strict_cupy.host_cuda import COMPILER


@pytest.fixture
def cupy(ledger):
    import cupy

    return cupy


@pytest.mark.parametrize(
    "mix",
    [
        lambda cp, a, h: a + h,
        lambda cp, a, h: h + a,
        lambda cp, a, h: a.__iadd__(h),
        lambda cp, a, h: np.add(h, a),
        lambda cp, a, h: np.asarray(a),
        lambda cp, a, h: np.concatenate([a, h]),
        lambda cp, a, h: cp.concatenate([a, h]),
        lambda cp, a, h: cp.where(a > 0, a, h),
        lambda cp, a, h: cp.matmul(a, h),
        lambda cp, a, h: a[h.astype(int)],
        lambda cp, a, h: a.__setitem__(slice(None), h),
        lambda cp, a, h: h.__setitem__(slice(None), a),
        lambda cp, a, h: cp.sum(h),
    ],
)
def test_host_and_device_do_not_mix(cupy, ledger, mix):
    a = cupy.arange(3.0)
    with pytest.raises(TypeError):
        mix(cupy, a, np.arange(3.0))
    assert not isinstance(a, np.ndarray)
    assert ledger.downloads == []


@pytest.mark.parametrize(
    "call",
    [
        lambda cp, a: cp.errstate,
        lambda cp, a: cp.block,
        lambda cp, a: cp.linalg.vector_norm,
        lambda cp, a: cp.random.Generator().normal,
        lambda cp, a: a.resize,
        lambda cp, a: a.setflags,
        lambda cp, a: a.ctypes,
        lambda cp, a: a.flags.writeable,
    ],
)
def test_names_that_cupy_lacks(cupy, call):
    with pytest.raises(AttributeError):
        call(cupy, cupy.zeros(3))


@pytest.mark.parametrize(
    "call",
    [
        lambda cp, a: cp.sum(a, where=a > 0),
        lambda cp, a: a.sum(initial=0.0),
        lambda cp, a: cp.sqrt(a, where=a > 0),
        lambda cp, a: cp.clip(a, min=0, max=1),
        lambda cp, a: cp.take(a, a, mode="clip"),
        lambda cp, a: a.take(cp.arange(2), mode="wrap"),
        lambda cp, a: cp.lib.stride_tricks.as_strided(a, (2,), (8,), writeable=False),
        lambda cp, a: cp.add.at(cp.zeros(3, dtype=np.int64), cp.arange(2), 1),
        lambda cp, a: range(a.sum()),
        lambda cp, a: [10, 20][a.astype(int)[0]],
    ],
)
def test_parameters_that_cupy_lacks(cupy, call):
    with pytest.raises(TypeError):
        call(cupy, cupy.arange(3.0))


def test_indices_out_of_range_wrap(cupy):
    a, far = cupy.arange(4), cupy.asarray([5, -5, 3])
    for found in (a[far], cupy.take(a, far), a.take(far), cupy.take_along_axis(a, far, 0)):
        assert found.get().tolist() == [1, 3, 3]
    y = cupy.zeros(4)
    cupy.add.at(y, cupy.asarray([4, 0, 7]), 1.0)
    assert y.get().tolist() == [2.0, 0.0, 0.0, 1.0]


def test_reductions_and_elements_are_arrays_of_no_dimensions(cupy):
    a = cupy.arange(6.0).reshape(2, 3)
    for found in (a.sum(), cupy.max(a), a.argmax(), cupy.mean(a), a[0, 1], a.any()):
        assert (type(found), found.shape) == (cupy.ndarray, ())
    a[1, 2][...] = 9.0  # a view
    assert a.max().item() == 9.0


WAITS = [
    lambda cp, a: a.sum().item(),
    lambda cp, a: float(a.sum()),
    lambda cp, a: int(a.sum()),
    lambda cp, a: bool(a.any()),
    lambda cp, a: a.get(),
    lambda cp, a: cp.asnumpy(a),
    lambda cp, a: a.tolist(),
    lambda cp, a: str(a),
    lambda cp, a: f"{a}",
    lambda cp, a: repr(a),
    lambda cp, a: a.nonzero(),
    lambda cp, a: cp.where(a > 0),
    lambda cp, a: a[a > 0],
    lambda cp, a: a.__setitem__(a > 0, 0),
    lambda cp, a: cp.unique(a),
    lambda cp, a: 2.0 in a,
]


@pytest.mark.parametrize("wait", WAITS)
def test_waits_are_counted_and_refused_while_capturing(cupy, ledger, wait):
    a = cupy.arange(3.0)
    ledger.clear()
    wait(cupy, a)
    assert ledger.synchronisations
    assert all("test_strict_cupy.py" in line for line in ledger.synchronisations)
    with ledger.capture(), pytest.raises(RuntimeError, match="capturing"):
        wait(cupy, a)


def test_what_may_be_captured(cupy, ledger):
    a, host = cupy.ones((2, 2)), np.ones(2)
    with ledger.capture():
        a += cupy.exp(a).sum(axis=0, keepdims=True)
        cupy.where(a > 0, a, 0.0)
        for refused in (lambda: a @ a, lambda: cupy.matmul(a, a), lambda: cupy.einsum("ij->i", a)):
            with pytest.raises(NotImplementedError, match="stream capture"):
                refused()
        with pytest.raises(RuntimeError, match="capturing"):
            cupy.asarray(host)
    assert ledger.synchronisations == []


def test_copies_are_counted(cupy, ledger):
    a = cupy.asarray(np.ones((2, 3)))
    cupy.asarray(a)
    cupy.zeros(4)
    assert [shape for shape, _ in ledger.uploads] == [(2, 3)]
    a.get()
    assert [shape for shape, _ in ledger.downloads] == [(2, 3)]


def test_views_share_memory_and_remember_the_whole(cupy):
    a = cupy.zeros((2, 3))
    for view in (a[0], a.T, a.reshape(-1), a[:, 1:][0], cupy.broadcast_to(a, (4, 2, 3)), a.diagonal()):
        assert view.base is a
    assert a.copy().base is None
    part = cupy.ndarray((3,), a.dtype, memptr=a.data + 3 * a.itemsize)
    part[...] = 5.0
    assert a.get().tolist() == [[0.0] * 3, [5.0] * 3]


def test_without_a_driver_nothing_is_made(cupy):
    from tests.strict_cupy.runtime import machine

    machine.driver = 0
    for make in (lambda: cupy.asarray(np.ones(2)), lambda: cupy.zeros(2), lambda: cupy.cuda.Device(0).use()):
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="InsufficientDriver"):
            make()
    assert not cupy.cuda.is_available()


KERNELS = """
typedef REAL T;
typedef long long i64;
extern "C" __global__ void shifted(const T* x, T* y, i64 size, double by, int times) {
    i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) y[i] = x[i] + T(by) * times;
}
extern "C" __global__ void turned_round(T* x) {
    __shared__ T scratch[64];
    scratch[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = scratch[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void half_waits(T* x) {
    if (threadIdx.x % 2) __syncthreads();
}
"""


@pytest.fixture
def kernels(cupy):
    if COMPILER is None:
        pytest.skip("needs g++ or clang++ to run CUDA kernels on the host")
    return cupy.RawModule(code=KERNELS, options=("-DREAL=float",))


def test_a_kernel_runs_in_all_its_threads(cupy, kernels):
    x, y = cupy.arange(100, dtype=np.float32), cupy.zeros(100, dtype=np.float32)
    kernels.get_function("shifted")((4,), (32,), (x, y, 99, 0.5, np.int32(3)))
    assert y.get().tolist() == [*(n + 1.5 for n in range(99)), 0.0]
    kernels.get_function("turned_round")((1,), (50,), (x,))
    assert x.get()[:51].tolist() == [*range(49, -1, -1), 50]
    with pytest.raises(RuntimeError, match="some threads of a block end before a barrier"):
        kernels.get_function("half_waits")((1,), (4,), (x,))
    with pytest.raises(RuntimeError, match="named symbol not found"):
        kernels.get_function("missing")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({0: np.ones(3, np.float32)}, "x: wanted an array of float32, got array"),
        ({0: 0}, "x: a null pointer"),
        ({1: "double"}, "y: wanted an array of float32, got float64 array"),
        ({1: "gaps"}, "y: the kernels want contiguous arrays"),
        ({2: np.int32(3)}, "size: wanted long long, got np.int32"),
        ({3: 1}, "by: wanted double, got 1"),
        ({4: 3}, "times: wanted int, got 3"),
        ({5: 1}, "wanted 5 arguments, got 6"),
    ],
)
def test_a_kernel_refuses_other_arguments_than_its_own(cupy, kernels, change, error):
    (at, value), *_ = change.items()
    special = {"double": cupy.zeros(3), "gaps": cupy.zeros(6, dtype=np.float32)[::2]}
    arguments = [cupy.zeros(3, dtype=np.float32), cupy.zeros(3, dtype=np.float32), 3, 0.5, np.int32(1)]
    arguments[at : at + 1] = [special.get(value, value) if isinstance(value, str) else value]
    with pytest.raises(TypeError, match=error):
        kernels.get_function("shifted")((1,), (32,), tuple(arguments))


def test_a_captured_graph_has_not_run_and_runs_again_and_again(cupy, kernels):
    stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
    x, total = cupy.ones(3, dtype=np.float32), cupy.zeros((), dtype=np.float32)
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        y = cupy.empty_like(x)
        kernels.get_function("shifted")((1,), (32,), (x, y, 3, 1.0, np.int32(1)))
        x *= 2
        picked = y[cupy.argmax(y).reshape(1)]
        total += picked.sum()
        graph = stream.end_capture()
    assert x.get().tolist() == [1.0] * 3
    assert float(total) == 0.0
    assert np.isnan(y.get()).all()
    for expected in (2.0, 5.0, 10.0):  # 1 + 1, then 2 + 1 more, then 4 + 1
        graph.launch()
        assert float(total) == expected
    assert x.get().tolist() == [8.0] * 3
    x[...] = 0
    graph.launch()
    assert (float(total), picked.get().tolist()) == (11.0, [1.0])


def test_what_a_capture_needs(cupy):
    with pytest.raises(RuntimeError, match="default \\(legacy\\) stream"):
        cupy.cuda.get_current_stream().begin_capture()
    with pytest.raises(RuntimeError, match="StreamCaptureImplicit"):
        cupy.cuda.Stream().begin_capture()
    with pytest.raises(AssertionError, match="a pool of its own"):
        cupy.cuda.Stream(non_blocking=True).begin_capture()
