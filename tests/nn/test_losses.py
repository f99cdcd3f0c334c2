"""Losses against PyTorch's: every reduction, weights, ignored classes, smoothing, targets of every kind."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import mydl
from mydl import nn
from mydl.nn import functional as F

REDUCTIONS = ("mean", "sum", "none")

# name, how input and target come about, options
ELEMENTWISE = [
    ("mse_loss", "any", {}),
    ("l1_loss", "any", {}),
    ("smooth_l1_loss", "any", {}),
    ("smooth_l1_loss", "any", {"beta": 0.3}),
    ("smooth_l1_loss", "any", {"beta": 0.0}),
    ("huber_loss", "any", {}),
    ("huber_loss", "any", {"delta": 0.4}),
    ("binary_cross_entropy", "probabilities", {}),
    ("binary_cross_entropy_with_logits", "logits", {}),
    ("kl_div", "logits", {}),
    ("kl_div", "any", {"log_target": True}),
]


def inputs_of(kind: str, numbers) -> list:
    x, t = numbers("input", 4, 3), numbers("target", 4, 3)
    if kind == "probabilities":
        x = 1 / (1 + np.exp(-x))
    if kind != "any":
        t = 1 / (1 + np.exp(-t))
    return [x, t]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "kind", "options"), ELEMENTWISE)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
def test_elementwise_loss(name, kind, options, reduction, compare_function, numbers):
    def call(_, f, x, t):
        return getattr(f, name)(x, t, reduction=reduction, **options)

    compare_function(call, inputs_of(kind, numbers))


def test_batchmean(compare_function, numbers):
    compare_function(lambda _, f, x, t: f.kl_div(x, t, reduction="batchmean"), inputs_of("logits", numbers))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weights(reduction, compare_function, numbers):
    x, t = inputs_of("probabilities", numbers)
    weight = np.abs(numbers("weight", 3))

    def logits(library, f, x, t):
        w, p = library.tensor(weight), library.tensor(2 * weight)
        return f.binary_cross_entropy_with_logits(x, t, w, reduction=reduction, pos_weight=p)

    compare_function(logits, [x, t])
    compare_function(
        lambda library, f, x, t: f.binary_cross_entropy(x, t, library.tensor(weight), reduction=reduction), [x, t]
    )
    every = np.abs(numbers("every", 4, 3))
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        compare_function(
            lambda library, f, x, t, name=name: getattr(f, name)(
                x, t, reduction=reduction, weight=library.tensor(every)
            ),
            [x, t],
        )


def test_loss_of_another_shape_warns_and_broadcasts(numbers):
    with pytest.warns(UserWarning, match=r"mse_loss.*\(3, 1\).*\(3,\)"):
        loss = F.mse_loss(mydl.zeros(3, 1), mydl.ones(3), reduction="none")
    assert loss.shape == (3, 3)


def test_binary_cross_entropy_at_certainty(compare_function):
    p, t = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0])

    def call(library, f, p):
        return f.binary_cross_entropy(p, library.tensor(t), reduction="none")

    compare_function(call, [p], twice=False)


def test_logits_of_any_size(compare_function):
    x, t = np.array([-1e4, 1e4, -1e4, 1e4]), np.array([0.0, 1.0, 1.0, 0.0])

    def call(library, f, x):
        return f.binary_cross_entropy_with_logits(x, library.tensor(t), reduction="none")

    compare_function(call, [x])


def test_divergence_from_a_target_with_zeros(compare_function, numbers):
    t = np.array([[0.0, 1.0, 0.0]] * 4)
    compare_function(lambda library, f, x: f.kl_div(x, library.tensor(t), reduction="sum"), [numbers("x", 4, 3)])


# Classification --------------------------------------------------------------------------------------------------

SHAPES = [(5, 4), (4,), (2, 4, 3), (2, 4, 3, 2), (0, 4), (3, 1)]
OPTIONS = [
    {},
    {"weight": True},
    {"ignore_index": 1},
    {"weight": True, "ignore_index": -7},
    {"label_smoothing": 0.2},
    {"label_smoothing": 0.3, "weight": True, "ignore_index": 2},
]


def classes_for(shape: tuple, ignore_index: int | None) -> np.ndarray:
    classes = shape[1] if len(shape) > 1 else shape[0]
    target = np.random.default_rng(3).integers(0, classes, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if ignore_index is not None and target.size > 1:
        target.flat[1] = ignore_index if ignore_index < classes else 0
    return target


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_class_indices(shape, options, compare_function, numbers):
    options = dict(options)
    weight = np.abs(numbers("weight", shape[1] if len(shape) > 1 else shape[0])) if options.pop("weight", 0) else None
    target = classes_for(shape, options.get("ignore_index"))
    for reduction, name in itertools.product(REDUCTIONS, ("cross_entropy", "nll_loss")):
        if name == "nll_loss" and "label_smoothing" in options:
            continue

        def call(library, f, x, name=name, reduction=reduction):
            w = None if weight is None else library.tensor(weight)
            return getattr(f, name)(x, library.tensor(target), w, reduction=reduction, **options)

        compare_function(call, [numbers("logits", *shape)])


SOFT = [
    (shape, options)
    for shape in SHAPES
    for options in ({}, {"label_smoothing": 0.3}, {"weight": True, "label_smoothing": 0.2})
    if shape != (4,) or "weight" not in options  # PyTorch does not take class weights there
]


@pytest.mark.parametrize(("shape", "options"), SOFT, ids=str)
def test_class_probabilities(shape, options, compare_function, numbers):
    options = dict(options)
    weight = np.abs(numbers("weight", shape[1] if len(shape) > 1 else shape[0])) if options.pop("weight", 0) else None
    for reduction in REDUCTIONS:

        def call(library, f, x, t, reduction=reduction):
            w = None if weight is None else library.tensor(weight)
            return f.cross_entropy(x, t, w, reduction=reduction, **options)

        compare_function(call, [numbers("logits", *shape), np.abs(numbers("target", *shape))])


def test_mean_of_nothing_is_nan():
    target = mydl.tensor([1, 1])
    assert np.isnan(F.cross_entropy(mydl.zeros(2, 3), target, ignore_index=1).item())
    assert np.isnan(F.cross_entropy(mydl.zeros(0, 3), mydl.zeros(0).long()).item())


def test_the_input_may_be_as_large_as_its_dtype_allows(compare_function):
    x = np.array([[1e300, -1e300, 0.0], [-np.inf, 0.0, 1.0]])
    compare_function(lambda library, f, x: f.cross_entropy(x, library.tensor([0, 2])), [x], twice=False)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_from_probabilities_is_cross_entropy_of_their_logarithms(options, numbers):
    options = dict(options)
    weight = mydl.tensor(np.abs(numbers("weight", 4))) if options.pop("weight", 0) else None
    logits = mydl.tensor(numbers("logits", 2, 4, 3), requires_grad=True)
    target = mydl.tensor(classes_for((2, 4, 3), options.get("ignore_index")))
    for reduction in REDUCTIONS:
        found = F.cross_entropy_from_probs(F.softmax(logits, 1), target, weight, reduction=reduction, **options)
        wanted = F.cross_entropy(logits, target, weight, reduction=reduction, **options)
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-9)
        pairs = [mydl.autograd.grad((y * y).sum(), logits)[0].numpy() for y in (found, wanted)]
        np.testing.assert_allclose(*pairs, rtol=1e-7, atol=1e-9)
    soft = mydl.tensor(np.abs(numbers("soft", 2, 4, 3)))
    np.testing.assert_allclose(
        F.cross_entropy_from_probs(F.softmax(logits, 1), soft, weight).item(),
        F.cross_entropy(logits, soft, weight).item(),
        rtol=1e-9,
    )


def test_from_probabilities_is_finite_where_they_are_zero():
    p = mydl.tensor([[0.0, 1.0], [1.0, 0.0]], requires_grad=True)
    loss = F.cross_entropy_from_probs(p, mydl.tensor([0, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(50.0)
    assert np.isfinite(p.grad.numpy()).all()
    assert p.grad.numpy()[0, 0] < 0


MODULES = [
    ("CrossEntropyLoss", {"ignore_index": 1, "label_smoothing": 0.1}, "class"),
    ("NLLLoss", {"ignore_index": 1}, "class"),
    ("MSELoss", {}, "any"),
    ("L1Loss", {}, "any"),
    ("SmoothL1Loss", {"beta": 0.5}, "any"),
    ("HuberLoss", {"delta": 0.5}, "any"),
    ("BCELoss", {}, "probabilities"),
    ("BCEWithLogitsLoss", {}, "logits"),
    ("KLDivLoss", {"log_target": True}, "any"),
]


@pytest.mark.parametrize(("name", "options", "kind"), MODULES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
def test_loss_modules(name, options, kind, reduction, torch, numbers):
    x, t = inputs_of(kind, numbers)
    if kind == "class":
        t = np.array([0, 1, 2, 2])
    ours = getattr(nn, name)(reduction=reduction, **options)(mydl.tensor(x), mydl.tensor(t))
    theirs = getattr(torch.nn, name)(reduction=reduction, **options)(torch.tensor(x), torch.tensor(t))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9)


def test_weights_of_loss_modules_are_buffers(torch, numbers):
    x, t, weight = numbers("x", 3, 2), np.array([0, 1, 1]), np.array([0.5, 2.0])
    ours = nn.CrossEntropyLoss(mydl.tensor(weight))
    assert list(ours.state_dict()) == ["weight"]
    theirs = torch.nn.CrossEntropyLoss(torch.tensor(weight))(torch.tensor(x), torch.tensor(t))
    np.testing.assert_allclose(ours(mydl.tensor(x), mydl.tensor(t)).item(), theirs.item(), rtol=1e-12)


def test_the_older_arguments_for_the_reduction():
    x, t = mydl.tensor([1.0, 3.0]), mydl.tensor([0.0, 0.0])
    assert nn.MSELoss(size_average=False)(x, t).item() == 10
    assert F.mse_loss(x, t, reduce=False).tolist() == [1, 9]


REFUSED = [
    (lambda: F.cross_entropy(mydl.zeros(2, 3), mydl.tensor([0, 3])), IndexError, "class 3 .*3 classes"),
    (lambda: F.cross_entropy(mydl.zeros(2, 3), mydl.tensor([0, -1])), IndexError, "class -1"),
    (lambda: F.nll_loss(mydl.zeros(2, 3), mydl.tensor([5, 0])), IndexError, "class 5"),
    (lambda: F.cross_entropy(mydl.zeros(2, 3), mydl.tensor([0, 1, 2])), ValueError, r"\(2,\).*\(3,\)"),
    (lambda: F.cross_entropy(mydl.zeros(2, 3), mydl.zeros(2)), ValueError, "float32"),
    (lambda: F.cross_entropy(mydl.zeros(2, 3), mydl.tensor([0, 1]).int()), TypeError, "int32.*long"),
    (lambda: F.cross_entropy(mydl.tensor([[1, 2]]), mydl.tensor([0])), TypeError, "int64"),
    (lambda: F.cross_entropy(mydl.zeros(2, 3), mydl.tensor([0, 1]), mydl.ones(2)), ValueError, "3 classes"),
    (lambda: F.cross_entropy(mydl.zeros(2, 3), mydl.tensor([0, 1]), label_smoothing=1.5), ValueError, "1.5"),
    (lambda: F.cross_entropy(mydl.zeros(2, 3), mydl.tensor([0, 1]), reduction="avg"), ValueError, "avg"),
    (lambda: F.cross_entropy_from_probs(mydl.tensor([[2.0, 0.0]]), mydl.tensor([0])), ValueError, "2.0"),
    (lambda: F.binary_cross_entropy(mydl.tensor([1.5]), mydl.ones(1)), ValueError, "1.5"),
    (lambda: F.binary_cross_entropy(mydl.ones(2), mydl.ones(1)), ValueError, r"\(2,\).*\(1,\)"),
    (lambda: F.mse_loss(mydl.zeros(2), mydl.zeros(3)), ValueError, "mse_loss.*broadcast"),
    (lambda: F.huber_loss(mydl.zeros(2), mydl.zeros(2), delta=0), ValueError, "delta"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_what_a_loss_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()
