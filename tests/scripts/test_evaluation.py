from __future__ import annotations

import numpy as np
import pytest

from mydl import data, nn
from scripts.evaluation import evaluate


class Echo(nn.NeuralNetwork):
    """Its input as logits, and twice that in training."""

    def forward(self, x):
        return x * 2 if self.training else x


def loader(logits, labels, batch_size=2):
    return data.DataLoader(data.ArrayDataset(np.array(logits, np.float32), np.array(labels)), batch_size)


LOGITS, LABELS = [[2, 0, 1], [0, 1, 0], [3, 0, 0], [0, 0, 1], [0, 5, 0]], [0, 1, 2, 2, 1]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("training", [True, False])
def test_by_hand(batch_size, training):
    model = Echo().train(training)
    result = evaluate(model, loader(LOGITS, LABELS, batch_size), 3)
    x = np.array(LOGITS, np.float64)
    losses = np.log(np.exp(x).sum(1)) - x[range(5), LABELS]
    assert result.loss == pytest.approx(losses.mean(), rel=1e-6)
    assert result.accuracy == 4 / 5
    assert result.confusion.tolist() == [[1, 0, 0], [0, 2, 0], [1, 0, 1]]
    assert model.training is training


def test_outputs_that_are_not_the_classes():
    with pytest.raises(ValueError, match=r"wanted outputs \(N, 4\) for 4 classes, got \(2, 3\)"):
        evaluate(Echo(), loader(LOGITS, LABELS), 4)


def test_no_images():
    with pytest.raises(ValueError, match="at least one image"):
        evaluate(Echo(), loader(np.zeros((0, 3)), np.zeros(0, int)), 3)
