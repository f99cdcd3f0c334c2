"""L-BFGS, which learns the curvature from the last gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mydl.autograd.modes import enable_grad
from mydl.autograd.op import tensor_of
from mydl.backend import array_module
from mydl.optim.optimizer import Optimizer, check_rates

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Quasi-Newton steps along -H g, H the inverse Hessian as the last `history_size` steps and gradients tell it.

    `step(closure)` makes up to `max_iter` of them; `closure` clears the gradients, computes the loss, calls
    backward and returns the loss. The first step has the length lr · min(1, 1 / Σ|g|), later ones lr. There is one
    parameter group, and no line search: `line_search_fn` is only None.

    Args:
        params: tensors, or (name, tensor) pairs.
        lr: the learning rate, 1 by default.
        max_iter: steps in a call of `step`, 20 by default.
        max_eval: calls of `closure` in one of `step`, 1.25 · max_iter by default.
        tolerance_grad: stop where no |g| is larger, 1e-7 by default.
        tolerance_change: stop where loss or parameters change by less, 1e-9 by default.
        history_size: how many steps are remembered, 100 by default.

    Raises:
        ValueError: lr is negative, or there are several groups.

    Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.

    >>> from mydl.tensor import tensor
    >>> w = tensor([3.0], requires_grad=True)
    >>> optimizer = LBFGS([w])
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item(), round(w.item(), 4)
    (4.0, 1.0)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn is not None:
            raise NotImplementedError(f"LBFGS: line_search_fn={line_search_fn!r} is not supported, only None")
        rates = check_rates("LBFGS", lr=lr)
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        limits = {"max_iter": max_iter, "max_eval": max_eval, "history_size": history_size}
        tolerances = {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change}
        super().__init__(params, {**rates, **limits, **tolerances, "line_search_fn": line_search_fn})
        if len(self.param_groups) != 1:
            raise ValueError(f"LBFGS: wanted one parameter group, got {len(self.param_groups)}")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` steps; returns the loss before them."""
        if closure is None:
            raise ValueError("LBFGS: step wants a closure that computes the loss and its gradients")
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = self._evaluate(closure, state)
        gradient, loss, evaluations = self._gradient(), float(first), 1
        xp = array_module(gradient)
        if float(abs(gradient).max()) <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(state, gradient, group["history_size"])
            length = float(group["lr"])
            if state["n_iter"] == 1:
                length *= min(1.0, 1 / float(abs(gradient).sum()))
            before = loss
            state.update(d=tensor_of(direction), t=length, prev_flat_grad=tensor_of(gradient), prev_loss=before)
            if float(gradient @ direction) > -group["tolerance_change"]:
                break
            self._move(direction * length)
            if iteration == group["max_iter"]:
                break
            loss = float(self._evaluate(closure, state))
            gradient = self._gradient()
            evaluations += 1
            small = float(xp.abs(direction * length).max()) <= group["tolerance_change"]
            flat = float(abs(gradient).max()) <= group["tolerance_grad"]
            if evaluations >= group["max_eval"] or flat or small or abs(loss - before) < group["tolerance_change"]:
                break
        return first

    def _direction(self, state: dict[str, Any], gradient: Any, history_size: int) -> Any:
        """-H g, by the two loops over the remembered changes of gradient (y) and of parameters (s)."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -gradient
        y = gradient - state["prev_flat_grad"].array
        s = state["d"].array * state["t"]
        curvature = float(y @ s)
        if curvature > 1e-10:
            for name, value in (("old_dirs", tensor_of(y)), ("old_stps", tensor_of(s)), ("ro", 1 / curvature)):
                state[name] = [*state[name], value][-history_size:]
            state["H_diag"] = curvature / float(y @ y)
        remembered = list(zip([t.array for t in state["old_dirs"]], [t.array for t in state["old_stps"]], state["ro"]))
        direction, shares = -gradient, []
        for y, s, ro in reversed(remembered):
            shares.append(float(s @ direction) * ro)
            direction = direction - shares[-1] * y
        direction = direction * state["H_diag"]
        for (y, s, ro), share in zip(remembered, reversed(shares)):
            direction = direction + (share - float(y @ direction) * ro) * s
        return direction

    def _evaluate(self, closure: Callable[[], Any], state: dict[str, Any]) -> Any:
        state["func_evals"] += 1
        with enable_grad():
            return closure()

    def _gradient(self) -> Any:
        """All gradients end to end, zeros where there is none."""
        params = self.param_groups[0]["params"]
        xp = array_module(params[0].array)
        return xp.concatenate(
            [(xp.zeros_like(p.array) if p.grad is None else p.grad.array).reshape(-1) for p in params]
        )

    def _move(self, change: Any) -> None:
        """Add consecutive parts of a vector to the parameters."""
        start = 0
        for p in self.param_groups[0]["params"]:
            stop = start + p.numel()
            p.array += change[start:stop].reshape(p.shape)
            p._version[0] += 1
            start = stop
