"""The exclusive or, learned by a network of two layers of tanh."""

from __future__ import annotations

import mydl
from mydl import nn, optim
from mydl.nn import functional as F
from scripts.experiments.definition import Job, Outcome

__all__ = ["QUICK", "xor"]

QUICK = {"epochs": 300}
EVERY = 100  # epochs from row to row of the history


def xor(job: Job) -> Outcome:
    """Mean squared error over all four inputs, full batch. Settings: `hidden` units, `lr`, `epochs`.

    `outputs` are those for 00, 01, 10 and 11.
    """
    mydl.manual_seed(job.seed)
    inputs = mydl.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    targets = mydl.tensor([[0.0], [1.0], [1.0], [0.0]])
    hidden = job.settings["hidden"]
    model = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1), nn.Tanh())
    optimizer = optim.SGD(model.parameters(), lr=job.settings["lr"])
    history = []
    for epoch in range(1, job.settings["epochs"] + 1):
        loss = F.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if epoch % EVERY == 0:
            history.append({"epoch": epoch, "train_loss": loss.item()})
    with mydl.no_grad():
        outputs = model(inputs)
        loss = F.mse_loss(outputs, targets)
    return Outcome({"loss": loss.item(), "outputs": [round(y, 6) for y in outputs.flatten().tolist()]}, history)
