"""MyTensor: what it is made of, how it prints, where it goes; creation, conversion, random draws, public names."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import mydl


def test_dtypes_of_what_tensors_are_made_from() -> None:
    assert mydl.tensor(1.5).dtype == mydl.float32
    assert mydl.tensor([1, 2]).dtype == mydl.int64
    assert mydl.tensor([True]).dtype == mydl.bool
    assert mydl.tensor(np.ones(2)).dtype == mydl.float64
    assert mydl.tensor(np.float64(2)).dtype == mydl.float64
    assert mydl.tensor([1, 2.5]).dtype == mydl.float32
    assert mydl.tensor([mydl.ones(2), mydl.zeros(2)]).shape == (2, 2)
    assert mydl.tensor(mydl.ones(2, dtype=mydl.float16)).dtype == mydl.float16
    mydl.set_default_dtype(mydl.float64)
    try:
        assert mydl.tensor(1.5).dtype == mydl.zeros(1).dtype == (mydl.tensor([1]) / 2).dtype == mydl.float64
        assert mydl.rand(2).dtype == mydl.float64
    finally:
        mydl.set_default_dtype(mydl.float32)


def test_tensor_copies_and_from_numpy_shares() -> None:
    source = np.zeros(3)
    copied, shared = mydl.tensor(source), mydl.from_numpy(source)
    assert mydl.as_tensor(shared) is shared
    source[0] = 5
    assert copied.tolist() == [0.0, 0.0, 0.0]
    assert shared.tolist() == [5.0, 0.0, 0.0]
    shared[1] = 7
    assert source.tolist() == [5.0, 7.0, 0.0]
    assert mydl.as_tensor(source).numpy() is source
    assert np.asarray(mydl.ones(2)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (mydl.tensor(3), "tensor(3)"),
        (mydl.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (mydl.tensor([1.5, -2.25]), "tensor([ 1.5000, -2.2500])"),
        (mydl.tensor([1e-8, 1.5]), "tensor([1.0000e-08, 1.5000e+00])"),
        (mydl.tensor([float("nan"), float("inf"), 1.0]), "tensor([nan, inf, 1.])"),
        (mydl.zeros(0), "tensor([])"),
        (mydl.zeros(0, 3), "tensor([], size=(0, 3))"),
        (mydl.ones(2, dtype=mydl.float64), "tensor([1., 1.], dtype=float64)"),
        (mydl.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (mydl.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<Mul>)"),
        (mydl.tensor([True, False]), "tensor([ True, False])"),
        (mydl.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
        (mydl.tensor(True), "tensor(True)"),
        (mydl.tensor([], dtype=mydl.int64), "tensor([], dtype=int64)"),
    ],
)
def test_repr(value: mydl.Tensor, text: str) -> None:
    assert repr(value) == text


def test_print_options_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    rows = np.random.default_rng(0).standard_normal((3, 24)).astype(np.float32)
    values = [rows, rows[0] * 1e-5, rows.reshape(2, 3, 12), np.arange(40), rows.round(), np.float32([1, 2000, 0])]
    values += [np.float32(part) for part in ([0, -np.inf], [np.nan, 1.5], [-0.0, 0], [np.inf, 10, -2])]
    values += [np.ones((2, 2), bool), np.array([True, False]), np.arange(2002).reshape(2, 1001), np.zeros(1001, bool)]
    values += [np.arange(2001, dtype=np.float32), np.linspace(0, 1, 1002, dtype=np.float32), np.float32([])]
    cases = [{}, {"precision": 2, "linewidth": 60}, {"sci_mode": True}, {"profile": "short"}, {"sci_mode": False}]
    try:
        for given in cases:
            for library in (mydl, torch):
                library.set_printoptions(**given)
            for value in values:
                assert repr(mydl.tensor(value)) == repr(torch.tensor(value)), given
    finally:
        for library in (mydl, torch):
            library.set_printoptions(profile="default")


def test_long_tensors_print_shortened() -> None:
    text = repr(mydl.arange(10_000.0))
    assert "..." in text
    assert len(text) < 200


def test_as_python_numbers() -> None:
    x = mydl.tensor([[2.5]])
    assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    assert isinstance(mydl.tensor(3).item(), int)
    assert [10, 20, 30][mydl.tensor(2)] == 30
    assert f"{mydl.tensor(2.34567):.2f}" == "2.35"
    assert f"{mydl.tensor(2.5)} {mydl.tensor(3)} {mydl.tensor([2.5])}" == "2.5 3 tensor([2.5000])"
    assert f"{mydl.nn.Parameter(mydl.tensor(2.5))}".startswith("Parameter containing")
    assert list(range(mydl.tensor(3))) == [0, 1, 2]
    assert mydl.arange(6).reshape(2, 3).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_iteration_and_membership() -> None:
    x = mydl.arange(6).reshape(3, 2)
    assert len(x) == 3
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    a, _, c = x
    assert c.tolist() == [4, 5]
    assert 4 in x
    assert 9 not in x
    assert len({x, x, a}) == 2  # hashed by identity
    assert (x == x.clone()).all()
    assert x != "something else"


def test_numpy_operands_on_either_side() -> None:
    x, a = mydl.ones(2), np.array([1.0, 2.0], np.float32)
    for result in (a + x, x + a, a * x, np.float32(2) * x, a - x, a / x, a @ x, a > x):
        assert isinstance(result, mydl.Tensor)
    assert (a - x).tolist() == [0.0, 1.0]


def test_to_and_its_kin() -> None:
    x = mydl.ones(2)
    assert x.to(mydl.float32) is x
    assert x.to("cpu") is x
    assert x.float() is x
    assert x.to(mydl.float32, copy=True) is not x
    assert x.to(mydl.tensor([1])).dtype == mydl.int64
    assert x.to(device="cpu", dtype=mydl.float64).dtype == mydl.float64
    assert x.half().dtype == mydl.float16
    assert x.type() == mydl.float32
    assert x.type(mydl.int32).dtype == mydl.int32
    assert x.long().int().bool().double().dtype == mydl.float64
    assert x.device == mydl.device("cpu") == "cpu"
    assert not x.is_cuda
    y = x.clone().requires_grad_()
    y.double().sum().backward()
    assert y.grad.dtype == mydl.float32


def test_gpu_without_cupy_says_what_to_do() -> None:
    try:
        import cupy  # noqa: F401
    except ImportError:
        with pytest.raises(RuntimeError, match=r"CuPy is not installed.*pip install cupy-cuda12x"):
            mydl.ones(1).cuda()


def test_numpy_of_a_tensor_in_a_graph() -> None:
    x = mydl.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()
    assert x.detach().numpy().tolist() == [1.0, 1.0]
    assert x.numpy(force=True) is x.array
    with mydl.no_grad():
        assert x.numpy() is x.array


def test_deep_copies_are_free_of_graph_and_hooks() -> None:
    x = mydl.ones(2, requires_grad=True)
    x.register_hook(lambda g: g * 100)
    (x * 2).sum().backward()
    x.note = ["kept"]
    y = copy.deepcopy(x)
    assert y.grad.tolist() == [200.0, 200.0]
    assert y.note == ["kept"]
    assert y.note is not x.note
    y.grad.zero_()
    y.sum().backward()
    assert y.grad.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [200.0, 200.0]
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(x * 2)
    parameter = copy.deepcopy(mydl.tensor([1.0]))
    assert type(parameter) is mydl.Tensor


def test_arange_counts_as_pytorch_does() -> None:
    assert mydl.arange(0, 1, 0.1).shape == (10,)
    assert mydl.arange(5, 0, -2).tolist() == [5, 3, 1]
    assert mydl.arange(0.0).shape == (0,)
    assert mydl.arange(mydl.tensor(3)).tolist() == [0, 1, 2]
    assert mydl.arange(1, 3, dtype=mydl.float16).dtype == mydl.float16


def draws() -> list[list]:
    """One of every kind of draw."""
    x = mydl.zeros(50)
    return [
        mydl.rand(50).tolist(), mydl.randn(50).tolist(), mydl.randint(0, 9, (50,)).tolist(), mydl.randperm(50).tolist(),
        x.normal_().tolist(), x.uniform_(-1, 1).tolist(), x.bernoulli_(0.5).tolist(), mydl.rand_like(x).tolist(),
        mydl.bernoulli(mydl.full((50,), 0.5)).tolist(), mydl.multinomial(mydl.ones(9), 5).tolist(),
        mydl.normal(0.0, 1.0, (50,)).tolist(), mydl.randn_like(x).tolist(), mydl.randint_like(x, 9).tolist(),
        x.exponential_().tolist(), x.random_(9).tolist(), mydl.normal(mydl.zeros(50), 2.0).tolist(),
    ]  # fmt: skip


def test_seeds_decide_every_draw() -> None:
    mydl.manual_seed(3)
    first = draws()
    mydl.manual_seed(3)
    assert draws() == first
    assert draws() != first
    generator = mydl.Generator(5)
    one = mydl.rand(4, generator=generator)
    state = generator.get_state()
    two = mydl.rand(4, generator=generator)
    generator.set_state(state)
    assert mydl.rand(4, generator=generator).tolist() == two.tolist() != one.tolist()
    mydl.manual_seed(3)
    mydl.rand(4, generator=mydl.Generator(1))  # a generator of one's own leaves the default one alone
    assert draws() == first


@pytest.mark.parametrize("dtype", [mydl.float16, mydl.float32, mydl.float64])
def test_distributions(dtype) -> None:
    mydl.manual_seed(0)
    n = 20_000
    normal = mydl.randn(n, dtype=dtype).double()
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    uniform = mydl.rand(n, dtype=dtype)
    assert uniform.dtype == dtype
    assert float(uniform.min()) >= 0
    assert float(uniform.max()) < 1
    assert abs(uniform.double().mean() - 0.5) < 0.02
    shifted = mydl.empty(n, dtype=dtype).normal_(3, 0.5).double()
    assert abs(shifted.mean() - 3) < 0.02
    assert abs(shifted.std() - 0.5) < 0.02
    between = mydl.empty(n, dtype=dtype).uniform_(-2, 6).double()
    assert abs(between.mean() - 2) < 0.1
    assert float(between.min()) >= -2
    assert abs(mydl.empty(n, dtype=dtype).bernoulli_(0.3).double().mean() - 0.3) < 0.02
    assert abs(mydl.empty(n, dtype=dtype).exponential_(2.0).double().mean() - 0.5) < 0.03


def test_discrete_distributions() -> None:
    mydl.manual_seed(0)
    assert sorted(mydl.randint(2, 5, (1000,)).unique().tolist()) == [2, 3, 4]
    assert sorted(mydl.randperm(100).tolist()) == list(range(100))
    weights = mydl.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 0.0]])
    drawn = mydl.multinomial(weights, 4000, replacement=True)
    assert drawn.shape == (2, 4000)
    assert abs((drawn[0] == 2).double().mean() - 0.75) < 0.03
    assert bool((drawn[1] == 0).all())
    without = mydl.stack([mydl.multinomial(mydl.tensor([1.0, 2.0, 7.0]), 3) for _ in range(500)])
    assert bool((without.sort(1).values == mydl.arange(3)).all())
    assert abs((without[:, 0] == 2).double().mean() - 0.7) < 0.06
    assert mydl.bernoulli(mydl.tensor([0.0, 1.0])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
def test_random_fills_the_whole_range(dtype: str) -> None:
    mydl.manual_seed(0)
    most = 1 if dtype == "bool" else np.iinfo(dtype).max
    numbers = mydl.empty(20_000, dtype=dtype).random_().double()
    assert (numbers.min().item(), numbers.max().item()) == (0, most)
    assert abs(numbers.mean().item() / most - 0.5) < 0.02


def test_whole_numbers_that_the_dtype_cannot_hold_are_refused() -> None:
    for draw in (
        lambda: mydl.empty(3, dtype=mydl.uint8).random_(0, 257),
        lambda: mydl.empty(3, dtype=mydl.int8).random_(-129, 0),
        lambda: mydl.randint(0, 257, (3,), dtype=mydl.uint8),
    ):
        with pytest.raises(RuntimeError, match=r"wanted numbers from (0 to 255|-128 to 127) for u?int8, got"):
            draw()
    assert mydl.randint(255, 256, (2,), dtype=mydl.uint8).tolist() == [255, 255]
    with pytest.raises(RuntimeError, match=r"to 9223372036854775807 for int64"):
        mydl.tensor([2.0**63], dtype=mydl.int64)


def test_a_device_is_its_name() -> None:
    assert mydl.device("cpu") != "mps"
    assert "cpu" in {mydl.device("cpu")}
    assert mydl.device("cuda:1") == "cuda:1" != mydl.device("cuda")


def test_numbers_beyond_a_dtype_name_the_operation() -> None:
    with pytest.raises(RuntimeError, match=r"Clamp: .*uint8"):
        mydl.tensor([1], dtype=mydl.uint8).clamp(min=-1)
    with pytest.raises(RuntimeError, match=r"Add: .*float32"):
        mydl.ones(1) + 10**400


def test_random_filling_is_a_change_in_place() -> None:
    x = mydl.zeros(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x.normal_()
    with mydl.no_grad():
        x.normal_()
    assert x.requires_grad
    assert x.is_leaf
    y = mydl.ones(2, requires_grad=True) * 1
    z = y * y
    y.uniform_()
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()


def test_methods_are_the_functions() -> None:
    for name in ("exp", "sum", "reshape", "gather", "einsum", "softmax", "tril", "clamp"):
        method = getattr(mydl.Tensor, name, None)
        assert method is None or method is getattr(mydl, name)
    assert mydl.Tensor is mydl.MyTensor
    assert mydl.is_tensor(mydl.ones(1))
    assert not mydl.is_tensor(np.ones(1))


def test_every_in_place_method_writes_into_its_own_memory() -> None:
    x = mydl.full((2, 2), 0.5)
    for name in dir(mydl.Tensor):
        plain = name.removesuffix("_")
        if name.startswith("_") or plain == name or not hasattr(mydl.Tensor, plain) or name == "requires_grad_":
            continue
        if getattr(mydl.Tensor, name).__doc__.startswith(f"`{plain}` in place"):
            y = x.clone()
            array = y.array
            try:
                result = getattr(y, name)()
            except TypeError:
                continue  # more arguments are wanted
            except (ValueError, RuntimeError):
                continue
            assert result is y
            assert y.array is array
            assert np.array_equal(y.array, getattr(x, plain)().array.astype(np.float32), equal_nan=True), name


@pytest.mark.slow
def test_import_is_light() -> None:
    code = (
        "import sys, mydl; "
        "print([m for m in ('matplotlib', 'PIL', 'numba', 'cupy', 'torch', 'scipy') if m in sys.modules])"
    )
    assert in_a_new_process(code) == "[]"


@pytest.mark.slow
def test_the_blas_core_is_chosen_before_numpy_loads() -> None:
    status = in_a_new_process("import mydl; print(mydl.blas_core.STATUS)")
    assert "imported before" not in status


@pytest.mark.parametrize("first", ["mydl", "numpy"])
def test_idle_threads_of_blas_sleep_soon_whichever_is_imported_first(first: str) -> None:
    cycles = in_a_new_process(f"""
import {first}
import ctypes, numpy as np, threadpoolctl
x = np.arange(160000.0).reshape(400, 400)
before = x @ x
import mydl
assert np.array_equal(x @ x, before)
found = threadpoolctl.threadpool_info()
libraries = [library["filepath"] for library in found if library["internal_api"] == "openblas"]
print([ctypes.CDLL(path).openblas_thread_timeout() for path in libraries])
""")
    if cycles == "[]":
        pytest.skip("NumPy has another BLAS than OpenBLAS")
    assert set(json.loads(cycles)) == {20}


def in_a_new_process(code: str) -> str:
    """What a fresh interpreter prints, its environment free of settings for BLAS."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_a_copied_parameter_starts_without_a_gradient():
    weight = mydl.nn.Parameter(mydl.ones(2))
    weight.sum().backward()
    made = copy.deepcopy(weight)
    assert made.grad is None
    assert made.requires_grad
    assert weight.grad.tolist() == [1.0, 1.0]


def test_retain_grad_keeps_what_later_hooks_leave():
    x = mydl.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda grad: grad * 10)
    y.sum().backward()
    assert y.grad.tolist() == [10.0, 10.0]
    assert x.grad.tolist() == [20.0, 20.0]


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([None]), np.array(["2020-01-01"], "M8[D]"), np.longdouble([1])]
)
def test_arrays_that_hold_no_numbers_are_refused(array):
    with pytest.raises(TypeError, match="wanted an array of numbers"):
        mydl.from_numpy(array)


@pytest.mark.parametrize(("data", "dtype"), [(300, mydl.uint8), ([1, -1], mydl.uint8), ([float("nan")], mydl.int64)])
def test_numbers_that_an_integer_dtype_cannot_hold_are_refused(data, dtype):
    with pytest.raises(ValueError, match="wanted numbers from"):
        mydl.tensor(data, dtype=dtype)


def test_a_layer_given_no_tensor_says_so():
    for layer in (mydl.nn.Linear(3, 2), mydl.nn.ReLU()):
        with pytest.raises(TypeError, match="wanted a tensor, got NoneType"):
            layer(None)


def test_shapes_count_their_elements():
    x = mydl.zeros(2, 3, 4)
    assert x.shape == (2, 3, 4)
    assert isinstance(x.shape, tuple)
    assert isinstance(x.shape, mydl.Size)
    assert (x.shape.numel(), x.shape[1:].numel(), x.size()[:0].numel()) == (24, 12, 1)
    assert repr(x.shape) == "(2, 3, 4)"


def test_shape_in_place_keeps_memory_and_graph():
    x = mydl.arange(6.0).requires_grad_()
    y = x * 1
    array = y.array
    assert y.unsqueeze_(0).transpose_(0, 1) is y
    assert y.shape == (6, 1)
    assert np.shares_memory(y.array, array)
    y[0] = 5.0
    (y * y).sum().backward()
    assert x.grad.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    with mydl.no_grad():
        x.unsqueeze_(0)
    assert x.is_leaf
    assert x.requires_grad
    assert x.shape == (1, 6)


@pytest.mark.parametrize("show", [lambda w: w[0], lambda w: w.view(6), lambda w: w.T, lambda w: w.narrow(1, 1, 2)])
@pytest.mark.parametrize("reshape", [lambda w: w.t_(), lambda w: w.unsqueeze_(0), lambda w: w.t_().unsqueeze_(1)])
def test_a_view_of_a_base_that_is_reshaped_in_place(show, reshape):
    source = mydl.arange(6.0, requires_grad=True)
    base = (source * 1).view(2, 3).clone()
    view = show(base)
    reshape(base)
    base.mul_(2)
    view.mul_(3)
    (base.sum() + view.sum()).backward()
    shown = mydl.zeros(2, 3)
    show(shown).fill_(1)
    assert source.grad.tolist() == (2 + shown * (2 * 3 * 2 - 2)).view(6).tolist()


def test_a_view_of_a_constant_that_was_reshaped_in_place_is_noticed():
    base = mydl.ones(2, 3)
    row = base[0]
    base.t_()
    with pytest.raises(RuntimeError, match="another shape in place"):
        row.mul_(mydl.ones(3, requires_grad=True))


def test_a_leaf_that_shows_part_of_a_constant_is_not_changed_in_place():
    leaf = mydl.ones(4)[:2].requires_grad_()
    for change in (
        lambda: leaf.mul_(3.0),
        lambda: leaf.relu_(),
        lambda: leaf.zero_(),
        lambda: leaf.__setitem__(0, 7.0),
        lambda: leaf[:1].add_(1.0),
    ):
        with pytest.raises(RuntimeError, match="a leaf tensor of shape"):
            change()
    with mydl.no_grad():
        assert leaf.mul_(3.0).tolist() == [3.0, 3.0]


def test_generators_can_be_copied():
    generator = mydl.Generator().manual_seed(3)
    mydl.rand(2, generator=generator)
    copies = [copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))]
    first = mydl.rand(5, generator=generator).tolist()
    assert [mydl.rand(5, generator=other).tolist() for other in copies] == [first, first]


def test_arrays_in_the_other_order_of_bytes():
    swapped = np.arange(3, dtype=np.dtype(np.float32).newbyteorder())
    x = mydl.tensor(swapped, requires_grad=True)
    assert x.dtype == mydl.float32
    (x * x).sum().backward()
    assert x.grad.tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(ValueError, match=r"from_numpy: .*order of bytes"):
        mydl.from_numpy(swapped)


def test_the_state_of_the_random_numbers_is_a_tensor():
    mydl.manual_seed(2**64 - 3)
    state = mydl.get_rng_state()
    first = mydl.randn(5)
    mydl.set_rng_state(state)
    assert mydl.randn(5).tolist() == first.tolist()
    assert mydl.seed() == mydl.initial_seed()
    mydl.manual_seed(0)
    draws = mydl.poisson(mydl.full((20_000,), 3.0, dtype=mydl.float64))
    assert abs(draws.mean() - 3) < 0.06
    assert abs(draws.var() - 3) < 0.15
    assert abs(mydl.empty(20_000).log_normal_(0.5, 0.2).log().mean() - 0.5) < 0.01


def test_older_constructors():
    assert mydl.Tensor(2, 0, 3).shape == (2, 0, 3)
    assert mydl.Tensor(2, 3, requires_grad=True).dtype == mydl.float32
    assert mydl.Tensor([1, 2], mydl.float64).dtype == mydl.float64
    assert mydl.Tensor().shape == (0,)
    assert mydl.LongTensor(mydl.Size([2, 3])).shape == (2, 3)
    assert mydl.LongTensor(np.array([1.5])).tolist() == [1]
    assert not isinstance(np.ones(2), mydl.DoubleTensor)
    with pytest.raises(TypeError, match="sizes"):
        mydl.Tensor([1.0], mydl.float64, 3)


def test_memory_formats_are_hints():
    x = mydl.arange(24.0).reshape(1, 2, 3, 4)
    assert x.to(memory_format=mydl.channels_last) is x
    assert not x.is_contiguous(memory_format=mydl.channels_last)
    assert x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).is_contiguous(memory_format=mydl.channels_last)
    assert mydl.nn.Linear(2, 2).to(memory_format=mydl.channels_last)(mydl.ones(1, 2)).shape == (1, 2)
    with pytest.raises(TypeError, match="memory format"):
        x.clone(memory_format="rows first")


@pytest.mark.parametrize("name", ["svd", "qr", "eigh", "cholesky", "pinv"])
def test_decompositions_without_a_gradient_refuse_one(name):
    x = mydl.eye(2).requires_grad_()
    with pytest.raises(NotImplementedError, match=f"{name}: a gradient is not supported"):
        getattr(mydl.linalg, name)(x)
    with mydl.no_grad():
        getattr(mydl.linalg, name)(x)
