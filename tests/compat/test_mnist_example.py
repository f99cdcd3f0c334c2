"""A training program in PyTorch's own idiom, as its MNIST example is built: only the imports name mydl.

Convolutions 1-32-64, two dropouts, Adadelta, StepLR, the negative log-likelihood of a log-softmax.
"""

from __future__ import annotations

import pytest

import mydl as torch
import mydl.nn as nn
import mydl.nn.functional as F
import mydl.optim as optim
from mydl.data import DataLoader, Subset, SyntheticDigits, transforms
from mydl.optim.lr_scheduler import StepLR


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = torch.flatten(x, 1)
        x = self.dropout2(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)


def train(model, device, loader, optimizer):
    model.train()
    for data, target in loader:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()


def test(model, device, loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    return test_loss / len(loader.dataset), correct / len(loader.dataset)


test.__test__ = False  # the program's own name for it, not one of ours


@pytest.mark.slow
def test_the_program_runs_and_learns():
    torch.manual_seed(1)
    device = torch.device("cpu")
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train_set = Subset(SyntheticDigits(train=True, transform=transform), range(2000))
    test_set = Subset(SyntheticDigits(train=False, transform=transform), range(500))
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True, num_workers=1)
    test_loader = DataLoader(test_set, batch_size=500)
    model = Net().to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    accuracies = []
    for _ in range(3):
        train(model, device, train_loader, optimizer)
        accuracies.append(test(model, device, test_loader)[1])
        scheduler.step()
    assert accuracies[-1] > 0.85, accuracies
    assert abs(optimizer.param_groups[0]["lr"] - 0.7**3) < 1e-12
