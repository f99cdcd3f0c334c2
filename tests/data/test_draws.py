"""The counter-based draws: known answers, and independence of everything but (seed, epoch, sample, call)."""

import numpy as np
import pytest

import mydl
from mydl.data import draws


@pytest.mark.parametrize(
    (
        "counter",
        "key",
        "answer",
    ),  # the known answers that come with the paper's own implementation (Random123)
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_known_answers(counter, key, answer):
    assert tuple(draws.philox4x32(counter, key)[:, 0].tolist()) == answer


def read(samples, calls=((3,),), seed=7, epoch=2):
    with draws.reading(seed, epoch, samples):
        return [draws.uniforms(len(samples), *call) for call in calls]


def test_a_sample_has_the_same_draws_alone_and_in_any_batch():
    calls = ((1,), (6,), (3,))
    batch = read([4, 9, 2], calls)
    for place, sample in enumerate([4, 9, 2]):
        for together, alone in zip(batch, read([sample], calls), strict=True):
            np.testing.assert_array_equal(together[place], alone[0])
    with draws.reading(7, 2, [4, 9, 2]):
        draws.uniforms(3, 5)
        with draws.one_by_one() as turn_to:
            turn_to(1)
            np.testing.assert_array_equal(draws.uniforms(1, 1)[0], batch[0][1])


def test_different_seed_epoch_sample_and_call_differ():
    base = read([5])[0]
    for other in (
        read([5], seed=8),
        read([5], seed=7 + 2**32),
        read([5], epoch=3),
        read([6]),
        read([5 + 2**32]),
    ):
        assert (other[0] != base).all()
    first, second = read([5], ((3,), (3,)))
    assert (first != second).all()


def test_uniform():
    numbers = read(np.arange(5000), ((4,),))[0]
    assert numbers.min() >= 0 and numbers.max() < 1
    assert np.abs(numbers.mean(axis=0) - 0.5).max() < 0.02
    assert np.abs(numbers.var(axis=0) - 1 / 12).max() < 0.005
    assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 0.06
    assert abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.06


def test_a_sample_of_several_images():
    with draws.reading(0, 0, [1, 2]):
        four = draws.uniforms(4, 3)
    assert four.shape == (4, 3) and np.unique(four).size == 12
    with draws.reading(0, 0, [1, 2]), pytest.raises(RuntimeError, match="draws for 3 images while 2 samples"):
        draws.uniforms(3, 1)


def test_outside_a_loader_the_default_generator_decides():
    mydl.manual_seed(3)
    first, second = draws.uniforms(2, 2), draws.uniforms(2, 2)
    mydl.manual_seed(3)
    np.testing.assert_array_equal(draws.uniforms(2, 2), first)
    assert (first != second).all()
    with draws.one_by_one() as turn_to:
        turn_to(0)
        np.testing.assert_array_equal(draws.uniforms(2, 2), second)
