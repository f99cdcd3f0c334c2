"""Views and changes in place: shared memory, version counters, and what is refused."""

from __future__ import annotations

import pytest

import mydl


def leaf(*shape: int) -> mydl.Tensor:
    """A leaf of normal numbers."""
    return mydl.randn(*shape, dtype=mydl.float64, requires_grad=True)


VIEWS = [
    "x.view(6)", "x.reshape(3, 2)", "x[0]", "x[:, 1]", "x[..., ::2]", "x.t()", "x.T", "x.permute(1, 0)",
    "x.unsqueeze(0)", "x.squeeze()", "x.flatten()", "x.expand(4, 2, 3)", "x.narrow(1, 0, 2)", "x.select(0, 1)",
    "x.diagonal()", "x.split(1)[1]", "x.chunk(2, 1)[0]", "x.unbind(1)[2]", "x.transpose(0, 1)", "x.movedim(0, 1)",
    "x.detach()", "x.data", "x[None]", "x.ravel()", "x.view_as(x)", "x.unflatten(1, (3, 1))", "x.contiguous()",
    "list(x)[1]",
]  # fmt: skip
COPIES = [
    "x.clone()", "x[[0, 1]]", "x[x > -9]", "x.t().reshape(6)", "x.t().contiguous()", "x.repeat(1, 1)", "x.flip(0)",
    "x.roll(1)", "x + 0", "x.index_select(0, mydl.tensor([0]))", "x.diag()", "mydl.cat([x])", "mydl.tensor(x)",
    "x.tile(1, 1)",
]  # fmt: skip


@pytest.mark.parametrize("code", VIEWS)
def test_views_share_memory(code: str) -> None:
    x = mydl.zeros(2, 3)
    view = eval(code, {"x": x, "mydl": mydl})
    x.fill_(7)
    assert bool((view == 7).all())


@pytest.mark.parametrize("code", COPIES)
def test_copies_do_not(code: str) -> None:
    x = mydl.zeros(2, 3)
    copy = eval(code, {"x": x, "mydl": mydl})
    x.fill_(7)
    assert not bool((copy == 7).any())


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("code", [c for c in VIEWS if "expand" not in c and "detach" not in c and c != "x.data"])
def test_a_change_of_a_view_reaches_the_base_and_its_graph(code: str, turned: bool) -> None:
    source = leaf(2, 3)
    base = (source.t() if turned else source) * 1  # in the order of memory of what it comes from
    before = base.detach().clone()
    view = eval(code.replace("x.", "x.t().") if turned else code, {"x": base, "mydl": mydl})
    view.mul_(3)
    base.sum().backward()
    expected = mydl.where(base.detach() == before, 1.0, 3.0)
    assert bool((expected == 3).any())
    assert source.grad.tolist() == (expected.t() if turned else expected).tolist()


def test_a_change_of_a_view_by_reshape_of_a_base_in_another_order_of_memory() -> None:
    for change in (lambda v: v[1:3].zero_(), lambda v: v[::2].mul_(0), lambda v: v.__setitem__(4, 0.0)):
        source = leaf(2, 3)
        base = source.t() * 2
        change(base.t().view(-1))
        base.sum().backward()
        expected = mydl.full((6,), 2.0)
        change(expected)
        assert source.grad.tolist() == expected.view(2, 3).tolist()
        assert mydl.autograd.gradgradcheck(_half_of_a_turned_base_tripled, leaf(2, 3))


def _half_of_a_turned_base_tripled(x: mydl.Tensor) -> mydl.Tensor:
    base = (x * x).t() * 1
    base.t().view(-1)[::2].mul_(3)
    return base * base


def test_a_change_of_the_base_reaches_the_graph_of_its_views() -> None:
    source = leaf(4)
    base = source * 1
    view = base[:2]
    base.mul_(5)
    view.sum().backward()
    assert source.grad.tolist() == [5.0, 5.0, 0.0, 0.0]


def test_reshape_that_copies_is_no_view() -> None:
    source = leaf(2, 3)
    base = source * 1
    copy = base.t().reshape(6)
    copy.mul_(5)
    (base.sum() + copy.sum()).backward()
    assert source.grad.tolist() == [[6.0] * 3] * 2


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda w: w * w, lambda w: w.add_(1)),
        (lambda w: w.exp(), None),
        (lambda w: w.sin(), lambda w: w[0].zero_()),
        (lambda w: w @ w, lambda w: w.t().mul_(2)),
        (lambda w: w**2, lambda w: w.__setitem__(0, 1.0)),
        (lambda w: w.detach() * w, lambda w: w.detach().add_(1)),
        (lambda w: mydl.maximum(w, w * 2), lambda w: w.split(1)[0].add_(1)),
        (lambda w: w.prod(), lambda w: w.unbind(1)[0].add_(1)),
    ],
)
def test_changing_what_backward_needs_is_an_error(make, change) -> None:
    w = leaf(3, 3) * 1
    y = make(w)
    if change is None:
        y.add_(1)  # a saved output
    else:
        change(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_saved_output_changed_in_place_is_an_error() -> None:
    x = leaf(3)
    y = x.exp()
    z = y * 1
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"Exp: .*\(3,\) float64.*changed in place.*version 1, expected 0"):
        z.sum().backward()


def test_changing_what_backward_does_not_need_is_fine() -> None:
    x = leaf(3)
    y = x * 2
    z = y + 1
    y.zero_()
    z.sum().backward()
    assert x.grad.tolist() == [2.0] * 3


OVERWRITING = {"relu": lambda x, y: x.relu_(), "add": lambda x, y: x.add_(y), "sub": lambda x, y: x.sub_(y)}
PLAIN = {"relu": lambda x, y: x.relu(), "add": lambda x, y: x + y, "sub": lambda x, y: x - y}


@pytest.mark.parametrize("name", OVERWRITING)
@pytest.mark.parametrize("recorded", [False, True])
def test_written_straight_into_its_memory(name: str, recorded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is copied: neither what was there, for the graph, nor the result."""
    x, y = leaf(3, 4) * 1, leaf(3, 4) * 1
    expected = PLAIN[name](x, y).tolist()
    memory, alias = x.data_ptr(), x.detach()
    monkeypatch.setattr(type(x), "_snapshot", None)
    monkeypatch.setattr(type(x), "_become", None)
    with mydl.set_grad_enabled(recorded):
        assert OVERWRITING[name](x, y) is x
    assert x.data_ptr() == memory and x.tolist() == alias.tolist() == expected


@pytest.mark.parametrize("name", OVERWRITING)
@pytest.mark.parametrize(
    "other",
    [
        lambda x: x.clone(),
        lambda x: x.t().contiguous().t(),
        lambda x: x[:, :1],
        lambda x: x[0].expand(3, 4),
        lambda x: x.float(),
        lambda x: 2,
    ],
)
@pytest.mark.parametrize("place", [lambda x: x, lambda x: x.t(), lambda x: x[:3], lambda x: x.expand(3, 4).clone()])
def test_overwriting_has_the_gradients_of_the_plain_operation(name: str, other, place) -> None:
    gradients = []
    start = leaf(4, 3).detach()
    for change in (OVERWRITING[name], PLAIN[name]):
        w = start.clone().requires_grad_()
        x = place((w * w).t().contiguous())
        x = x if x.shape == (3, 4) else x.t()
        y = other((w.t() + 1).clone())
        z = change(x, y) * 3
        (first,) = mydl.autograd.grad((z * z).sum(), w, create_graph=True)
        (second,) = mydl.autograd.grad((first * first).sum(), w)
        gradients.append((z.tolist(), first.tolist(), second.tolist()))
    assert gradients[0] == gradients[1]


def test_overwriting_counts_the_version_of_what_it_keeps() -> None:
    x = leaf(3) * 1
    x.relu_()
    x.add_(1)  # the output that relu keeps
    with pytest.raises(RuntimeError, match=r"ReLU: .*at version 2, expected 1"):
        x.sum().backward()
    x = leaf(3) * 1
    y = x * x
    x.add_(x)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
    x = mydl.ones(3)
    x += x
    assert x._version[0] == 1 and x.tolist() == [2.0] * 3
    z = leaf(3)
    x += z
    x.sum().backward()
    assert z.grad.tolist() == [1.0] * 3


def test_overwriting_reaches_views_and_refuses_what_cannot_be_written() -> None:
    source = leaf(4)
    base = source * 1
    view = base[:2]
    base += base.detach()
    (view * view).sum().backward()
    # base = x + x as a constant, so d/dx (2 x)² = 2 (2 x)
    assert source.grad.tolist() == [4 * value for value in source[:2].tolist()] + [0.0] * 2
    with pytest.raises(RuntimeError, match="clone"):
        mydl.ones(1).expand(3).relu_()
    with pytest.raises(RuntimeError, match="leaf tensor"):
        leaf(3).relu_()
    with mydl.no_grad():
        w = leaf(3)
        kept = w.clone()
        w -= kept
    assert w.tolist() == [0.0] * 3 and w.is_leaf and w.requires_grad


def test_leaves_and_their_views_are_not_changed_while_recording() -> None:
    x = leaf(2, 2)
    for change in (lambda: x.add_(1), lambda: x[0].zero_(), lambda: x.__setitem__(0, 1.0), lambda: x.view(4).mul_(2)):
        before = x.tolist()
        with pytest.raises(RuntimeError, match=r"leaf.*\(.*no_grad"):
            change()
        assert x.tolist() == before
    with mydl.no_grad():
        x.zero_()
    assert x.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_results_that_do_not_fit_are_refused() -> None:
    x = mydl.zeros(2)
    with pytest.raises(RuntimeError, match=r"\(3, 2\).*\(2,\)"):
        x.add_(mydl.zeros(3, 2))
    with pytest.raises(RuntimeError, match=r"float32.*int64"):
        mydl.zeros(2, dtype=mydl.int64).add_(1.5)
    with pytest.raises(RuntimeError, match="expanded"):
        x[:1].expand(3).fill_(1)
    with pytest.raises(RuntimeError, match=r"copy_: shape \(3,\).*\(2,\)"):
        x.copy_(mydl.zeros(3))


def test_copy_from_a_leaf_keeps_graphs_apart() -> None:
    x = leaf(2)
    w = mydl.zeros(2, dtype=mydl.float64)
    w.copy_(x)
    w.register_hook(lambda g: g * 100)
    (w.sum() + x.sum()).backward()
    assert x.grad.tolist() == [101.0, 101.0]


def test_detach_in_place() -> None:
    y = leaf(2) * 2
    y.detach_()
    assert not y.requires_grad
    assert y.is_leaf


def test_data_bypasses_the_version_counter() -> None:
    x = leaf(2) * 1
    y = x * x
    x.data.mul_(1)
    y.sum().backward()
    x = leaf(2)
    x.data = mydl.ones(2, dtype=mydl.float64)
    assert x.tolist() == [1.0, 1.0]
    assert x.requires_grad
