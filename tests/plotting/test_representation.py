"""Latent spaces against NumPy's SVD, reconstructions against their errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mydl import plotting
from mydl.plotting import style
from mydl.tensor import MyTensor

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(40, 7), (5, 60), (2, 2)], ids=str)
def test_principal_components_are_those_of_the_svd(shape):
    codes = RNG.normal(size=shape) * np.arange(1, shape[1] + 1) + 5
    points, shares = plotting.principal_components(MyTensor(codes))
    u, s, _ = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(shares, (s**2 / (s**2).sum())[:2], atol=1e-9)
    wanted = (u * s)[:, :2]
    np.testing.assert_allclose(np.abs(points), np.abs(wanted), atol=1e-6)
    np.testing.assert_allclose(plotting.principal_components(codes)[0], points)  # the sign is settled too


def test_principal_components_of_points_that_are_all_one():
    points, shares = plotting.principal_components(np.ones((3, 4)))
    assert (points == 0).all() and (shares == 0).all()
    with pytest.raises(ValueError, match=r"shape \(1, 4\); wanted at least \(2, 2\)"):
        plotting.principal_components(np.ones((1, 4)))


def test_latent_space_shows_two_dimensions_as_they_are():
    codes, labels = RNG.normal(size=(20, 2)), np.arange(20) % 9
    axes = plotting.latent_space(codes, MyTensor(labels), [f"class {n}" for n in range(9)]).axes[0]
    for number, points in enumerate(axes.collections):
        np.testing.assert_allclose(points.get_offsets(), codes[labels == number])
        assert tuple(points.get_facecolor()[0][:3]) == to_rgb(style.SERIES[number % 7])
    looks = {(tuple(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes()) for c in axes.collections}
    assert len(looks) == 9  # two classes share a colour, then not the marker
    assert [text.get_text() for text in axes.texts] == [f"class {n}" for n in range(9)]


def test_latent_space_names_lie_apart_and_near_their_medians():
    """Four classes in one place: no name covers another."""
    codes = np.concatenate([RNG.normal(size=(80, 2)), [[9, 9], [-9, -9]]])
    labels = np.arange(82) % 4
    figure = plotting.latent_space(codes, labels, ["zero", "one", "two", "three"])
    figure.draw_without_rendering()
    extents = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(extents, 2))
    for number, text in enumerate(figure.axes[0].texts):
        assert np.abs(np.array(text.get_position()) - np.median(codes[labels == number], axis=0)).max() < 3


def test_latent_space_projects_more_dimensions():
    codes = RNG.normal(size=(30, 5))
    axes = plotting.latent_space(codes).axes[0]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), plotting.principal_components(codes)[0])
    assert axes.get_title(loc="left") == "Latent space: two principal components of 5"
    assert not axes.texts


def test_reconstructions_show_both_on_one_scale():
    images = np.zeros((3, 1, 2, 2), np.float32)
    images[:, :, 0] = 1
    figure = plotting.reconstructions(images, MyTensor(images + 0.5), count=2)
    assert [axes.get_title() for axes in figure.axes] == ["", "", "error 0.25", "error 0.25"]
    above, below = figure.axes[0].images[0].get_array(), figure.axes[2].images[0].get_array()
    np.testing.assert_allclose(above[:, 0], [2 / 3, 0], atol=1e-6)  # of 0 … 1.5
    np.testing.assert_allclose(below[:, 0], [1, 1 / 3], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: plotting.latent_space(np.zeros((3, 2)), [0, 1]), r"labels are int64 of shape \(2,\); wanted 3"),
        (lambda: plotting.latent_space(np.zeros((2, 2)), [0, 3], ["a", "b"]), "found class 3; the 2 names"),
        (lambda: plotting.latent_space(np.zeros(3)), "wanted 2 axes"),
        (lambda: plotting.reconstructions(np.zeros((2, 4, 4)), np.zeros((2, 4, 5))), "wanted the same shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
