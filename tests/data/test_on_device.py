"""A dataset that lives on the GPU: batches are gathered and transformed there and are those of the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mydl import data
from mydl.data import transforms

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 9, 8), dtype=np.uint8)
COLOURED = np.random.default_rng(1).integers(0, 256, (40, 9, 8, 3), dtype=np.uint8)
TARGETS = np.arange(40) % 7

CHAINS = [
    [],
    [transforms.RandomHorizontalFlip()],
    [transforms.RandomCrop((6, 5), padding=2, fill=9)],
    [transforms.RandomCrop(12, pad_if_needed=True, padding_mode="reflect")],
    [transforms.RandomRotation(30, transforms.InterpolationMode.BILINEAR, fill=7)],
    [transforms.RandomAffine(20, translate=(0.2, 0.1), scale=(0.8, 1.2), shear=5)],
    [transforms.ColorJitter(0.4, 0.4, 0.3, 0.2)],
]


def loader(images: np.ndarray, chain: list, where: str) -> data.DataLoader:
    channels = 1 if images.ndim == 3 else 3
    whole = transforms.Compose(
        [*chain, transforms.ToTensor(), transforms.Normalize([0.3] * channels, [0.4] * channels)]
    )
    dataset = data.ImageArrayDataset(images, TARGETS, whole).to(where)
    return data.DataLoader(data.Subset(dataset, range(3, 38)), batch_size=8, shuffle=True, seed=3, num_workers=1)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: " ".join(type(step).__name__ for step in chain) or "plain")
@pytest.mark.parametrize("images", [IMAGES, COLOURED], ids=["grey", "coloured"])
def test_batches_are_those_of_the_host(images: np.ndarray, chain: list, gpu: Any) -> None:
    on_host, on_gpu = (list(loader(images, chain, where)) for where in ("cpu", "cuda"))
    assert len(on_host) == len(on_gpu) == 5
    for (x, t), (y, u) in zip(on_host, on_gpu, strict=True):
        assert (y.device.type, u.device.type, y.dtype, u.dtype) == ("cuda", "cuda", x.dtype, t.dtype)
        np.testing.assert_allclose(y.numpy(), x.numpy(), rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(u.numpy(), t.numpy())


def test_only_indices_are_copied_and_labels_keep_their_range(ledger: Any) -> None:
    whole = transforms.Compose([transforms.ToTensor()])
    dataset = data.ImageArrayDataset(IMAGES, TARGETS, whole).to("cuda")
    assert [shape for shape, _ in ledger.uploads] == [(40, 9, 8), (40,)]
    ledger.clear()
    _, labels = dataset.get_batch([5, 0, 39])
    assert {shape for shape, _ in ledger.uploads} == {(3,)}
    assert ledger.downloads == ledger.synchronisations == []
    from mydl.functions.arguments import integer_range

    assert integer_range(labels) == (0, 6)
    assert ledger.synchronisations == []
    with pytest.raises(IndexError, match="indices from 3 to 40 for 40 samples"):
        dataset.get_batch([3, 40])


def test_single_samples_come_to_the_host(gpu: Any) -> None:
    dataset = data.ImageArrayDataset(IMAGES, TARGETS).to("cuda")
    image, label = dataset[5]
    np.testing.assert_array_equal(np.asarray(image), IMAGES[5])
    assert (label, type(label)) == (5, int)
    plain = data.ArrayDataset(IMAGES, TARGETS, target_transform=lambda label: label + 1).to("cuda")
    x, targets = plain.get_batch([1, 2])
    assert x.device.type == "cuda"
    assert targets.tolist() == [2, 3]
