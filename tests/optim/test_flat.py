"""Flat buffers: one update for all parameters, and nothing that somebody holds is overwritten."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest

import mydl
from mydl import optim
from mydl.backend import is_array, to_host
from mydl.optim.buffers import settle


def host(value):
    """A device's array, or anything like an array, on the host."""
    return to_host(value) if is_array(value) else np.asarray(value)


def same(a, b):
    np.testing.assert_array_equal(host(a), host(b))


def close(a, b, rtol=1e-7):
    np.testing.assert_allclose(host(a), host(b), rtol=rtol)


def parameters(*shapes, dtype=np.float64):
    rng = np.random.default_rng(0)
    return [mydl.tensor(rng.normal(size=shape).astype(dtype), requires_grad=True) for shape in shapes]


def backward(ps, scale=1.0):
    """Gradients 2 · scale · p."""
    sum(((p * p).sum() for p in ps), mydl.zeros(())).backward(mydl.tensor(scale))


def in_buffer(p):
    return p.array is p._slot.array and p.grad.array is p._slot.gradient


def count_updates(optimizer):
    """How many calls of `update` each step makes, appended to the list that is returned."""
    sizes = []
    update = optimizer.update

    def counted(group, p, g, *rest):
        sizes.append(p.size)
        return update(group, p, g, *rest)

    optimizer.update = counted
    return sizes


def test_parameters_and_gradients_lie_one_after_another_and_are_updated_at_once():
    ps = parameters((3, 2), (), (0, 4), (5,))
    optimizer = optim.Adam(ps)
    sizes = count_updates(optimizer)
    buffer = ps[0]._slot.buffer
    for _ in range(3):
        optimizer.zero_grad()
        backward(ps)
        assert all(in_buffer(p) for p in ps)
        same(buffer.gradients, 2 * buffer.values)
        optimizer.step()
        same(buffer.values, np.concatenate([host(p.array).reshape(-1) for p in ps]))
    assert sizes == [12, 12, 12]


def test_parameters_without_gradient_or_with_other_step_counts_part_the_runs():
    ps = parameters((2,), (3,), (4,), (5,))
    optimizer = optim.Adam(ps)
    sizes = count_updates(optimizer)
    backward(ps)
    ps[1].grad = None
    optimizer.step()
    assert sizes == [2, 9]
    optimizer.zero_grad()
    backward(ps)
    sizes.clear()
    optimizer.step()
    assert sizes == [2, 3, 9]  # the second is one step behind
    assert [int(optimizer.state[p]["step"].item()) for p in ps] == [2, 1, 2, 2]


def test_dtypes_have_buffers_of_their_own():
    p, q, r = (mydl.tensor(np.ones(2, dtype), requires_grad=True) for dtype in ("f4", "f8", "f4"))
    optimizer = optim.SGD([p, q, r], lr=0.25)
    for x in (p, q, r):
        (x * x).sum().backward()
    optimizer.step()
    assert [x.dtype for x in (p, q, r)] == [np.float32, np.float64, np.float32]
    assert [x.tolist() for x in (p, q, r)] == [[0.5, 0.5]] * 3
    assert p._slot.buffer is r._slot.buffer is not q._slot.buffer


@pytest.mark.parametrize(
    "hold", [lambda p: p.grad, lambda p: p.grad.array, lambda p: p.grad.array[0], lambda p: p.grad.numpy().T]
)
def test_a_gradient_that_the_user_holds_is_never_overwritten(hold):
    ps = parameters((3, 2), (4,))
    optimizer = optim.SGD(ps, lr=0.1)
    backward(ps)
    held = hold(ps[0])
    before = host(held).copy()
    for _ in range(3):
        optimizer.step()
        optimizer.zero_grad()
        backward(ps, scale=3.0)
        same(held, before)
        close(ps[0].grad.array, 6 * ps[0].array)
        assert in_buffer(ps[1])
    del held
    optimizer.zero_grad()
    backward(ps)
    assert in_buffer(ps[0])


def test_linear_writes_its_gradients_into_the_buffer():
    from mydl.ops.linalg import Linear

    weight, bias = parameters((4, 3), (4,))
    optimizer = optim.SGD([weight, bias], lr=0.1)
    x = mydl.tensor(np.random.default_rng(1).normal(size=(5, 3)))
    held = []
    for _ in range(4):
        optimizer.zero_grad()
        Linear.apply(x, weight, bias).sum().backward()
        close(weight.grad.array, np.tile(host(x.array.sum(0)), (4, 1)))
        same(bias.grad.array, [5.0] * 4)
        held.append((weight.grad.array, weight.grad.array.copy()))
        optimizer.step()
    assert all((kept == value).all() for kept, value in held)


def test_gradients_accumulate_in_the_buffer():
    ps = parameters((3,), (2, 2))
    optimizer = optim.SGD(ps, lr=0.1)
    backward(ps)
    backward(ps, scale=2.0)
    assert all(in_buffer(p) for p in ps)
    for p in ps:
        close(p.grad.array, 6 * p.array)
    before = [p.array.copy() for p in ps]
    optimizer.step()
    for p, value in zip(ps, before, strict=True):
        close(p.array, 0.4 * value)


def test_gradients_from_elsewhere_are_used_as_they_are():
    ps = parameters((3,), (2, 2), (1,))
    optimizer = optim.SGD(ps, lr=0.5)
    backward(ps)
    assigned = np.array([[1.0, 2.0], [3.0, 4.0]]).T  # not contiguous
    ps[1].grad = mydl.MyTensor(assigned)
    before = [host(p.array).copy() for p in ps]
    optimizer.step()
    close(ps[0].array, 0.0 * before[0])
    close(ps[1].array, before[1] - 0.5 * assigned)
    same(assigned, [[1.0, 3.0], [2.0, 4.0]])
    with pytest.raises(RuntimeError, match=r"float64.*float32"):
        ps[2].grad = mydl.tensor([1.0], dtype=np.float32)
    ps[2].grad = mydl.tensor([1.0], dtype=np.float64)
    ps[2].data = ps[2].data.float()
    with pytest.raises(RuntimeError, match=r"float32.*float64"):
        optimizer.step()
    ps[2].data = ps[2].data.double()
    with pytest.raises(RuntimeError, match=r"\(1,\).*\(2,\)"):
        ps[2].grad = mydl.tensor([1.0, 2.0], dtype=np.float64)


def test_gradients_made_with_create_graph():
    (p,) = parameters((3,))
    optimizer = optim.SGD([p], lr=0.5)
    before = p.array.copy()
    (p * p).sum().backward(create_graph=True)
    optimizer.step()
    close(p.array, np.zeros(3))
    p.data = mydl.tensor(before)
    optimizer.zero_grad()
    (p * p).sum().backward()
    optimizer.step()
    close(p.array, np.zeros(3))


def test_memory_that_the_user_shares_with_a_parameter_stays_shared():
    array = mydl.tensor(np.ones(3)).array
    mine = mydl.MyTensor(array, requires_grad=True)
    big = mydl.tensor(np.arange(12.0).reshape(4, 3)).array
    row = mydl.MyTensor(big[1:3].T, requires_grad=True)  # a view, not contiguous
    free = parameters((2,))[0]
    detached = free.detach()
    optimizer = optim.Momentum([mine, row, free], lr=0.1, momentum=0.5)
    expected = big.copy()
    step = 0
    for _ in range(3):
        optimizer.zero_grad()
        sum([mine.sum(), row.sum(), free.sum()], mydl.zeros(())).backward()
        optimizer.step()
        step = 0.5 * step + 1
        expected[1:3] -= 0.1 * step
    assert mine.array is array
    close(array, 1 - 0.1 * (1 + 1.5 + 1.75))
    close(big, expected)
    same(detached.array, free.array)
    assert free.array is not free._slot.array
    del detached  # nobody holds it any more: the next step takes it in
    backward([free])
    optimizer.step()
    assert free.array is free._slot.array


def test_two_parameters_on_the_same_memory_are_updated_one_after_the_other():
    (p,) = parameters((3,))
    q = mydl.MyTensor(p.array, requires_grad=True)
    optimizer = optim.SGD([p, q], lr=0.5)
    before = p.array.copy()
    p.grad, q.grad = mydl.tensor(np.ones(3)), mydl.tensor(np.full(3, 2.0))
    optimizer.step()
    assert p.array is q.array
    close(p.array, before - 1.5)


def test_data_that_is_replaced_is_taken_in_again():
    ps = parameters((3,), (2,))
    optimizer = optim.Adam(ps, lr=0.1)
    backward(ps)
    optimizer.step()
    old = ps[0].detach()
    kept = old.tolist()
    ps[0].data = mydl.tensor([10.0, 20.0, 30.0], dtype=np.float64)
    optimizer.zero_grad()
    backward(ps)
    optimizer.step()
    assert old.tolist() == kept  # whoever holds the old values keeps them
    assert ps[0].array is ps[0]._slot.array
    assert optimizer.state[ps[0]]["step"].item() == 2
    moved = np.abs(host(ps[0].array) - [10, 20, 30])
    assert (moved < 0.2).all() and (moved > 0).all()


def test_parameters_of_another_dtype_or_shape_move_to_a_new_buffer():
    ps = parameters((3,), (2,), dtype=np.float32)
    optimizer = optim.SGD(ps, lr=0.1, momentum=0.5)
    backward(ps)
    optimizer.step()
    for p in ps:
        p.data = p.data.double()
    optimizer.zero_grad()
    backward(ps)
    assert all(p.grad.dtype == np.float64 for p in ps)
    before, momentum = ps[0].array.copy(), optimizer.state[ps[0]]["momentum_buffer"].array.copy()
    optimizer.step()
    close(ps[0].array, before - 0.1 * (0.5 * momentum + 2 * before))
    assert optimizer.state[ps[0]]["momentum_buffer"].dtype == np.float64
    optimizer.zero_grad()
    ps[1].data = mydl.tensor(np.ones(7))
    optimizer.state.pop(ps[1])
    backward(ps)
    optimizer.step()
    close(ps[1].array, np.full(7, 0.8))


@pytest.mark.parametrize("change", [lambda m: m.to(m.weight.device), lambda m: m.float(), lambda m: m.double().float()])
def test_a_model_that_is_moved_and_back_is_still_updated_at_once(change):
    model = mydl.nn.Linear(3, 2)
    optimizer = optim.Adam(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        model(mydl.ones(4, 3)).sum().backward()
        optimizer.step()
        change(model)
    sizes = count_updates(optimizer)
    for _ in range(2):
        optimizer.zero_grad()
        model(mydl.ones(4, 3)).sum().backward()
        optimizer.step()
    assert sizes[-1] == 8  # at the first step a parameter may have to be taken in again


def test_several_optimizers_over_the_same_parameters_share_the_buffer():
    ps, qs = parameters((3,), (2,), (4,)), parameters((3,), (2,), (4,))
    first, second = optim.SGD(ps, lr=0.1, momentum=0.9), optim.Adam(ps[::-1], lr=0.01)
    third = optim.Adam(ps[1:], lr=0.02)
    arrays = [p.array for p in ps]
    alone = [optim.SGD([q], lr=0.1, momentum=0.9) for q in qs]
    alone += [optim.Adam([q], lr=0.01) for q in qs] + [optim.Adam([q], lr=0.02) for q in qs[1:]]
    for _ in range(5):
        for x, optimizers in ((ps, [first, second, third]), (qs, alone)):
            for optimizer in optimizers:
                optimizer.zero_grad()
            backward(x)
            for optimizer in optimizers:
                optimizer.step()
    for p, q, array in zip(ps, qs, arrays, strict=True):
        close(p.array, q.array, rtol=1e-12)
        assert p.array is array


def test_an_optimizer_made_twice_starts_anew_on_the_same_buffer():
    ps = parameters((3,), (2,))
    optimizer = optim.Adam(ps)
    backward(ps)
    optimizer.step()
    buffer = ps[0]._slot.buffer
    optimizer = optim.Adam(ps)
    assert ps[0]._slot.buffer is buffer
    sizes = count_updates(optimizer)
    optimizer.step()
    assert sizes == [5]
    assert optimizer.state[ps[0]]["step"].item() == 1


def test_frozen_parameters_are_left_alone_until_they_are_trained():
    p, frozen = parameters((3,), (2,))
    frozen.requires_grad_(False)
    array = frozen.array
    optimizer = optim.AdamW([p, frozen], lr=0.1)
    backward([p])
    optimizer.step()
    assert frozen.array is array
    assert frozen._slot is None
    assert len(optimizer.state) == 1
    frozen.requires_grad_()
    optimizer.zero_grad()
    backward([p, frozen])
    before = frozen.array.copy()
    optimizer.step()
    assert (frozen.array != before).all()
    assert [int(s["step"].item()) for s in optimizer.state.values()] == [2, 1]


def test_backward_notices_a_step_between_it_and_forward():
    (p,) = parameters((3,))
    optimizer = optim.SGD([p])
    loss = (p * p).sum()
    p.grad = mydl.tensor(np.ones(3))
    optimizer.step()
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


def test_a_step_inside_backward():
    """An optimizer that steps as soon as its parameter's gradient is there."""
    ps = parameters((3,), (2,))
    optimizers = {p: optim.SGD([p], lr=0.25) for p in ps}

    def update(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in ps:
        p.after_hooks = [update]
    before = [p.array.copy() for p in ps]
    backward(ps)
    for p, value in zip(ps, before, strict=True):
        close(p.array, 0.5 * value)
        assert p.grad is None


def test_deepcopy_gives_independent_parameters():
    ps = parameters((3,), (2,))
    optimizer = optim.Adam(ps, lr=0.1)
    backward(ps)
    ps[0].note = ["mine"]
    copies = copy.deepcopy(ps)
    for p, q in zip(ps, copies, strict=True):
        assert q.is_leaf and q.requires_grad and type(q) is type(p)
        same(p.array, q.array)
        same(p.grad.array, q.grad.array)
        assert not np.shares_memory(p.array, q.array)
        assert not np.shares_memory(p.grad.array, q.grad.array)
    assert copies[0].note == ["mine"] and copies[0].note is not ps[0].note
    kept = [(q.array.copy(), q.grad.array.copy()) for q in copies]
    for _ in range(2):
        optimizer.step()
        optimizer.zero_grad()
        backward(ps)
    backward(copies)
    for q, (value, gradient) in zip(copies, kept, strict=True):
        same(q.array, value)
        close(q.grad.array, 2 * gradient)
    both = copy.deepcopy([ps[0], ps[0]])
    assert both[0] is both[1]
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(ps[0] * 2)


def test_copy_shares_memory_and_keeps_gradients_apart():
    (p,) = parameters((3,))
    optimizer = optim.SGD([p], lr=0.5)
    other = copy.copy(p)
    backward([p])
    backward([other], scale=2.0)
    close(p.grad.array, 2 * p.array)
    close(other.grad.array, 4 * p.array)
    optimizer.step()
    same(other.array, np.zeros(3))


def test_parameters_and_buffers_die_with_their_last_reference():
    ps = parameters((300,), (200,))
    optimizer = optim.Adam(ps)
    backward(ps)
    optimizer.step()
    buffer, p = weakref.ref(ps[0]._slot.buffer), weakref.ref(ps[0])
    gc.disable()
    try:
        del optimizer, ps
        assert p() is None
        assert buffer() is None
    finally:
        gc.enable()


def test_settle_takes_a_parameter_whose_memory_is_its_own_though_a_view():
    p = mydl.MyTensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    settle([p])
    assert p.array is p._slot.array
    assert p.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_gradients_from_autograd_grad_are_the_callers_own():
    from mydl.autograd import grad
    from mydl.ops.linalg import Linear

    weight, bias = parameters((4, 3), (4,))
    optim.SGD([weight, bias])
    rng = np.random.default_rng(1)
    xs = [mydl.tensor(rng.normal(size=(5, 3))) for _ in range(3)]
    got = [grad(Linear.apply(x, weight, bias).sum(), [weight])[0] for x in xs]
    for x, g in zip(xs, got, strict=True):
        close(g.array, np.tile(host(x.array.sum(0)), (4, 1)))
    assert weight.grad is None
    Linear.apply(xs[0], weight, bias).sum().backward()
    close(weight.grad.array, got[0].array)
