"""The benchmark's workloads in mydl; each method returns a function that runs one step."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import mydl  # before NumPy, as in any program of mydl's: it names the BLAS core  # isort: skip
import numpy as np

import models
from mydl import kernels, nn, optim
from mydl.nn import functional as F
from mydl.profiler import gemm_rate

Step = Callable[[], Any]


class Library:
    """mydl with its fast kernels where Numba is installed, or with the plain NumPy ones (variant "numpy")."""

    def __init__(self, variant: str, threads: int, device: str) -> None:
        if variant == "numpy":
            kernels.use("reference")
        mydl.set_num_threads(threads)
        mydl.manual_seed(0)
        self.device = device

    def describe(self) -> dict[str, str]:
        return {"version": mydl.__version__, "configuration": mydl.show_config()}

    def gemm(self) -> float:
        """FLOP/s of the matrix product, with the BLAS core that mydl runs on."""
        return gemm_rate()

    def train(self, model: str, batch: int, **options: Any) -> Step:
        """zero_grad, forward, cross-entropy, backward, Adam, on the same batch each time."""
        network = self._model(model, **options)
        optimizer = optim.Adam(network.parameters(), lr=1e-3)
        x, target = self._batch(batch)
        return lambda: self._train_step(network, optimizer, x, target)

    def _train_step(
        self, network: nn.NeuralNetwork, optimizer: optim.Optimizer, x: mydl.MyTensor, target: mydl.MyTensor
    ) -> None:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), target)
        loss.backward()
        optimizer.step()
        loss.item()  # waits for a GPU

    def infer(self, model: str, batch: int, **options: Any) -> Step:
        network = self._model(model, **options).eval()
        x, _ = self._batch(batch)

        def step() -> None:
            with mydl.no_grad():
                network(x).numpy()

        return step

    def tiny_ops(self, pairs: int) -> Step:
        """`pairs` times y = y · a + b on 8 elements, then backward to a and b."""
        y0 = mydl.ones(8, device=self.device)
        a = mydl.ones(8, device=self.device, requires_grad=True)
        b = mydl.zeros(8, device=self.device, requires_grad=True)

        def step() -> None:
            y = y0
            for _ in range(pairs):
                y = y * a + b
            a.grad = b.grad = None
            y.sum().backward()
            a.grad.numpy()

        return step

    def epoch(self, images: int, batch: int, augment: bool, train: bool) -> Step:
        """An epoch of the ResNet over the first images of MNIST (in MYDL_DATA) or of the embedded digits.

        With `augment` every image is turned by up to 45° and changed in brightness and contrast; with `train`
        False the batches are made and thrown away.
        """
        from mydl import data
        from mydl.data import transforms
        from scripts import datasets

        dataset = datasets.load("mnist" if os.environ.get("MYDL_DATA") else "digits", None, train=True)
        if augment:
            dataset.transform = transforms.Compose(
                [
                    transforms.RandomRotation(45),
                    transforms.ColorJitter(0.3, 0.3),
                    *dataset.transform.transforms,
                ]
            )
        subset = data.Subset(dataset, range(min(images, len(dataset))))
        loader = data.DataLoader(subset, batch, shuffle=True, num_workers=1, seed=0)
        network = self._model("resnet")
        optimizer = optim.Adam(network.parameters(), lr=1e-3)

        def step() -> None:
            for x, target in loader:
                if train:
                    self._train_step(network, optimizer, x.to(self.device), target.to(self.device))

        for _ in range(2):  # an epoch is too long to warm up with
            self._train_step(network, optimizer, *self._batch(batch))
        return step

    def profile(self, model: str, batch: int, steps: int) -> str:
        """The table of `mydl.profile` over so many training steps."""
        step = self.train(model, batch)
        for _ in range(2):
            step()
        with mydl.profile() as p:
            for _ in range(steps):
                step()
        return p.table()

    def _model(self, name: str, **options: Any) -> nn.NeuralNetwork:
        if name == "mlp":
            options = {"hidden": (600, 100), "dropout": 0.3, **options}
        return models.build(name, **options).to(self.device)

    def _batch(self, batch: int) -> tuple[mydl.MyTensor, mydl.MyTensor]:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((batch, 1, 28, 28), dtype=np.float32)
        return mydl.tensor(x, device=self.device), mydl.tensor(rng.integers(0, 10, batch), device=self.device)
