"""The benchmark's workloads in mydl; each method returns a function that runs one step."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import mydl  # before NumPy, as in any program of mydl's: it names the BLAS core  # isort: skip
import numpy as np

import models
from mydl import data, kernels, nn, optim
from mydl.cupy_loader import load_cupy
from mydl.data import transforms
from mydl.kernels.gpu import convolution
from mydl.nn import functional as F
from mydl.profiler import gemm_rate

Step = Callable[[], Any]
PREPARED = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])


class Library:
    """mydl with its fast kernels where Numba is installed, or with the plain NumPy ones (variant "numpy").

    On a GPU training steps are replayed, unless the variant is "eager".
    """

    def __init__(self, variant: str, threads: int, device: str) -> None:
        if variant == "numpy":
            kernels.use("reference")
        mydl.set_num_threads(threads)
        mydl.manual_seed(0)
        self.device = device
        self.replayed = device == "cuda" and variant != "eager"

    def describe(self) -> dict[str, str]:
        configuration = mydl.show_config()
        if self.device == "cuda":
            cupy = load_cupy()
            name = cupy.cuda.runtime.getDeviceProperties(mydl.cuda.current_device())["name"].decode()
            cudnn = "cuDNN" if convolution.cudnn() else "no cuDNN"
            configuration = f"{name}, CuPy {cupy.__version__}, {cudnn}\n{configuration}"
        return {"version": mydl.__version__, "configuration": configuration}

    def gemm(self) -> float:
        """FLOP/s of the matrix product, with the BLAS core that mydl runs on, or on the GPU in float32."""
        if self.device == "cpu":
            return gemm_rate()
        size, products = 8192, 10
        x = mydl.rand(size, size, device=self.device)
        for _ in range(2):
            (x @ x).sum().item()
        started = time.perf_counter()
        for _ in range(products):
            y = x @ x
        mydl.cuda.synchronize()
        del y
        return products * 2 * size**3 / (time.perf_counter() - started)

    def train(self, model: str, batch: int, repeat: int = 1, **options: Any) -> Step:
        """zero_grad, forward, cross-entropy, backward, Adam, on the same batch each time, `repeat` times."""
        network = self._model(model, **options)
        train_step = self._train_step(network, optim.Adam(network.parameters(), lr=1e-3))
        x, target = self._batch(batch)

        def step() -> None:
            for _ in range(repeat):
                loss = train_step(x, target)
            loss.item()  # waits for a GPU

        return step

    def _train_step(self, network: nn.NeuralNetwork, optimizer: optim.Optimizer) -> Callable[..., mydl.MyTensor]:
        def train_step(x: mydl.MyTensor, target: mydl.MyTensor) -> mydl.MyTensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x), target)
            loss.backward()
            optimizer.step()
            return loss

        return mydl.cuda.graphed(train_step) if self.replayed else train_step

    def goal(self, accuracy: float, batch: int = 512, epochs: int = 6, lr: float = 0.01) -> float:
        """Seconds from the first step until the ResNet has so many of MNIST's test images right, evaluation included.

        The images lie on the device. What is compiled or recorded on first use is, before the clock starts.
        """
        train, test = (
            data.MNIST(data.find_data_root("mnist"), train=part, transform=PREPARED).to(self.device)
            for part in (True, False)
        )
        loader = data.DataLoader(train, batch, shuffle=True, seed=0, drop_last=True)
        exams = data.DataLoader(test, 2000)
        for rehearsal in (True, False):  # a model of its own for each: nothing but what is cached carries over
            mydl.manual_seed(0)
            network = self._model("resnet")
            optimizer = optim.Adam(network.parameters(), lr=lr)
            scheduler = optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(loader))
            train_step = self._train_step(network, optimizer)
            started = time.perf_counter()
            for _ in range(epochs):
                network.train()
                for x, target in itertools.islice(loader, 4 if rehearsal else None):
                    train_step(x.to(self.device), target.to(self.device))
                    scheduler.step()
                network.eval()
                with mydl.no_grad():
                    right = sum((network(x.to(self.device)).argmax(1) == t.to(self.device)).sum() for x, t in exams)
                found = right.item() / len(test)
                if rehearsal:
                    break
                if found >= accuracy:
                    return time.perf_counter() - started
        raise RuntimeError(f"{found:.2%} after {epochs} epochs")

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
        from scripts import datasets

        dataset = datasets.load("mnist" if os.environ.get("MYDL_DATA") else "digits", None, train=True)
        if augment:
            augmentation = [transforms.RandomRotation(45), transforms.ColorJitter(0.3, 0.3)]
            dataset.transform = transforms.Compose([*augmentation, dataset.transform])
        subset = data.Subset(dataset, range(min(images, len(dataset))))
        loader = data.DataLoader(subset, batch, shuffle=True, num_workers=1, seed=0)
        network = self._model("resnet")
        train_step = self._train_step(network, optim.Adam(network.parameters(), lr=1e-3))

        def step() -> None:
            for x, target in loader:
                if train:
                    train_step(x.to(self.device), target.to(self.device)).item()

        for _ in range(2):  # an epoch is too long to warm up with
            train_step(*self._batch(batch))
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
