"""Losses of pairs, triplets and margins, and of distributions of counts and numbers, against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl import nn
from mydl.nn import functional as F

REDUCTIONS = ("mean", "sum", "none")


def signs(*shape):
    return np.sign(np.random.default_rng(0).standard_normal(shape))


# name, options, what makes the inputs: "x" normal numbers, "p" numbers above 0, "s" signs, "b" zeros and ones
ROWS = [
    ("margin_ranking_loss", {}, [("x", 4), ("x", 4), ("s", 4)]),
    ("margin_ranking_loss", {"margin": 0.5}, [("x", 4, 3), ("x", 4, 3), ("s", 4, 3)]),
    ("hinge_embedding_loss", {}, [("x", 4, 3), ("s", 4, 3)]),
    ("hinge_embedding_loss", {"margin": 0.3}, [("p", 4), ("s", 4)]),
    ("cosine_embedding_loss", {}, [("x", 4, 3), ("x", 4, 3), ("s", 4)]),
    ("cosine_embedding_loss", {"margin": 0.2}, [("x", 3), ("x", 3), ("s",)]),
    ("soft_margin_loss", {}, [("x", 4, 3), ("s", 4, 3)]),
    ("multilabel_soft_margin_loss", {}, [("x", 4, 3), ("b", 4, 3)]),
    ("multilabel_soft_margin_loss", {}, [("x", 3), ("b", 3)]),
    ("triplet_margin_loss", {}, [("x", 4, 3), ("x", 4, 3), ("x", 4, 3)]),
    ("triplet_margin_loss", {"p": 1, "margin": 2.0, "swap": True}, [("x", 4, 3), ("x", 4, 3), ("x", 4, 3)]),
    ("triplet_margin_loss", {}, [("x", 3), ("x", 3), ("x", 3)]),
    ("triplet_margin_loss", {"swap": True}, [("x", 2, 1, 3), ("x", 1, 4, 3), ("x", 2, 4, 3)]),
    ("poisson_nll_loss", {}, [("x", 4, 3), ("p", 4, 3)]),
    ("poisson_nll_loss", {"full": True}, [("x", 4, 3), ("p", 4, 3)]),
    ("poisson_nll_loss", {"log_input": False, "eps": 1e-3}, [("p", 4, 3), ("p", 4, 3)]),
    ("gaussian_nll_loss", {}, [("x", 4, 3), ("x", 4, 3), ("p", 4, 3)]),
    ("gaussian_nll_loss", {"full": True, "eps": 0.5}, [("x", 4, 3), ("x", 4, 3), ("p", 4, 1)]),
    ("gaussian_nll_loss", {}, [("x", 4, 3), ("x", 4, 3), ("p", 4)]),
]
MODULES = {
    "margin_ranking_loss": "MarginRankingLoss", "hinge_embedding_loss": "HingeEmbeddingLoss",
    "cosine_embedding_loss": "CosineEmbeddingLoss", "soft_margin_loss": "SoftMarginLoss",
    "multilabel_soft_margin_loss": "MultiLabelSoftMarginLoss", "triplet_margin_loss": "TripletMarginLoss",
    "poisson_nll_loss": "PoissonNLLLoss", "gaussian_nll_loss": "GaussianNLLLoss",
}  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options", "kinds"), ROWS)
def test_losses(name, options, kinds, reduction, compare_function, numbers):
    arrays = []
    for place, (kind, *shape) in enumerate(kinds):
        x = numbers(f"{name}{place}", *shape)
        arrays.append({"x": x, "p": abs(x) * 3 + 0.1, "s": np.sign(x), "b": (x > 0).astype(float)}[kind])
    fixed = arrays.pop() if kinds[-1][0] in "sb" else None

    def function(library, f, *inputs):
        inputs = inputs if fixed is None else (*inputs, library.tensor(fixed))
        return getattr(f, name)(*inputs, reduction=reduction, **options)

    def module(library, f, *inputs):
        inputs = inputs if fixed is None else (*inputs, library.tensor(fixed))
        return getattr(library.nn, MODULES[name])(reduction=reduction, **options)(*inputs)

    compare_function(function, arrays, twice="triplet" not in name)
    compare_function(module, arrays, twice=False)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", [{}, {"p": 2}, {"margin": 0.3}, {"weight": [0.5, 2.0, 1.0]}], ids=str)
def test_multi_margin(options, reduction, compare_function, numbers):
    for shape, target in (((4, 3), [0, 2, 1, 2]), ((3,), 1)):

        def call(library, f, x, target=target):
            weight = options.get("weight") and library.tensor(options["weight"], dtype=library.float64)
            loss = library.nn.MultiMarginLoss(reduction=reduction, **{**options, "weight": weight})
            return loss(x, library.tensor(target))

        compare_function(call, [numbers("x", *shape)], twice=False)


def test_weights_of_the_classes(compare_function, numbers):
    def call(library, f, x):
        weight = library.tensor([0.5, 2.0, 1.0], dtype=library.float64)
        return library.nn.MultiLabelSoftMarginLoss(weight)(x, library.tensor(np.eye(3)))

    compare_function(call, [numbers("x", 3, 3)])


def test_distances(compare_function, numbers):
    arrays = [numbers("a", 4, 3), numbers("b", 4, 3)]
    compare_function(lambda L, f, x, y: L.nn.CosineSimilarity(dim=0)(x, y), arrays)
    compare_function(lambda L, f, x, y: L.nn.PairwiseDistance(3.0, keepdim=True)(x, y), arrays)


X, T = mydl.zeros(4, 3), mydl.zeros(4).long()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.margin_ranking_loss(X, X, mydl.ones(4)), "margin_ranking_loss.*dimensions"),
        (lambda: F.cosine_embedding_loss(X, X, X), "cosine_embedding_loss: wanted inputs"),
        (lambda: F.multi_margin_loss(X, T, p=3), "p of 1 or 2"),
        (lambda: F.multi_margin_loss(X, T.float()), "int64"),
        (lambda: F.triplet_margin_loss(X, X, X, margin=0.0), "margin above 0"),
        (lambda: F.triplet_margin_loss(X, X, X[0]), "as many dimensions"),
        (lambda: F.gaussian_nll_loss(X, X, mydl.full((4, 3), -1.0)), "variances of at least 0"),
        (lambda: F.gaussian_nll_loss(X, X, mydl.ones(3)), "do not fit"),
        (lambda: nn.TripletMarginLoss(margin=-1.0), "margin above 0"),
        (lambda: nn.SoftMarginLoss(reduction="average"), "reduction"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
