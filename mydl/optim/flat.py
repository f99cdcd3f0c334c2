"""FlatOptimizer: a step over flat arrays, one kernel call for neighbouring parameters instead of one for each.

Parameters and gradients lie in the buffers of mydl/optim/buffers.py; each moment has a flat array of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mydl.autograd.differentiable import HookHandle
from mydl.autograd.modes import enable_grad, mode
from mydl.autograd.op import alike, describe, tensor_of
from mydl.backend import array_module, device_of, get_default_dtype, on_device
from mydl.kernels import capture
from mydl.optim.buffers import FlatBuffer, Slot, settle
from mydl.optim.optimizer import Group, Optimizer
from mydl.tensor import MyTensor

__all__ = ["FlatOptimizer"]


class _Place:
    """What one optimizer keeps for one parameter: its slot, and its slices of the moments' flat arrays."""

    __slots__ = ("flats", "moments", "names", "slot", "start", "stop")

    def __init__(self, slot: Slot, names: tuple[str, ...], flats: list[Any], start: int) -> None:
        self.slot, self.names, self.flats, self.start = slot, names, flats, start
        self.stop = start + slot.stop - slot.start
        self.moments = [
            (name, flat[start : self.stop].reshape(slot.array.shape)) for name, flat in zip(names, flats, strict=True)
        ]


class _Run:
    """Neighbours in all flat arrays with equal step counts: one call of `update` serves them together."""

    __slots__ = ("begin", "end", "first", "gradient", "parameters", "scalars")

    def __init__(self, p: MyTensor, place: _Place, gradient: Any, scalars: list[Any], first: bool) -> None:
        self.parameters = [p]
        self.begin = self.end = place
        self.gradient = gradient  # a gradient that does not lie in the buffer; it makes a run of its own
        self.scalars, self.first = scalars, first

    def goes_on(self, place: _Place, scalars: list[Any], first: bool) -> bool:
        """Whether a parameter at `place` is the next neighbour."""
        end = self.end
        return (
            place.slot.buffer is end.slot.buffer
            and place.slot.start == end.slot.stop
            and place.flats is end.flats
            and place.start == end.stop
            and scalars == self.scalars
            and first == self.first
        )


def _frozen(group: Group) -> dict[str, Any]:
    """The options that a captured step keeps as they were: all but those that schedulers change at every step."""
    options = {k: v for k, v in group.items() if k not in ("params", "lr", "momentum", "betas") and k[:4] != "init"}
    return options | {"beta2": group["betas"][1:] if "betas" in group else ()}


class FlatOptimizer(Optimizer):
    """An optimizer whose step is arithmetic on flat arrays, the base of all of mydl's own.

    A subclass says which moments it keeps and how one step changes them; everything else is done here.
    Parameters without a gradient are skipped; each parameter counts its own steps.
    """

    scalar_state: tuple[str, ...] = ("step",)
    moment_state: tuple[str, ...] = ()  # names of the state with one value per element, where no option decides
    follows_captured = False  # whether `update` reads what changes from step to step through mydl.kernels.capture
    _stepped = False  # whether step has been called: a scheduler warns when it is stepped first

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.__setstate__({})
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._places: dict[MyTensor, _Place] = {}
        if not hasattr(self, "_before_step"):  # new, or a copy, for which nobody calls __init__
            self._before_step: list[Callable[..., Any]] = []
            self._after_step: list[Callable[..., Any]] = []

    def moment_names(self, group: Group) -> tuple[str, ...]:
        """Names in `state` of what is kept for each element of this group's parameters."""
        return self.moment_state

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """Change the flat arrays `p` and `moments` in place, given the gradient `g`, which is left as it is.

        `scalars` are the values under `scalar_state`; what is returned replaces them. `first` says that these
        parameters had no state before.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    def initial_state(self, group: Group, name: str) -> float:
        """What a moment or scalar starts from."""
        return 0.0

    def add_param_group(self, param_group: Group) -> None:
        """Optimize more parameters from now on; see `Optimizer.add_param_group`."""
        super().add_param_group(param_group)
        settle(p for p in self.param_groups[-1]["params"] if p.requires_grad)

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; the handle's `remove()` takes it away."""
        self._before_step.append(hook)
        return HookHandle(self._before_step, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(optimizer, args, kwargs)` after each step; the handle's `remove()` takes it away."""
        self._after_step.append(hook)
        return HookHandle(self._after_step, hook)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the loss that `closure` computed, or None.

        `closure`, where given, is called first, with gradients recorded: it computes the loss and calls
        backward.
        """
        self._stepped = True
        args = () if closure is None else (closure,)
        for hook in list(self._before_step):
            hook(self, args, {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        for hook in list(self._after_step):
            hook(self, args, {})
        return loss

    def _step_group(self, group: Group) -> None:
        """Gather the group's parameters into runs; a run is updated when the next one begins."""
        names = self.moment_names(group)
        has_state = bool(names or self.scalar_state)
        arranged = False
        run: _Run | None = None
        for p in group["params"]:
            grad = p.grad
            if grad is None:
                continue
            place = self._places.get(p)
            if place is None or place.slot is not p._slot or p.array is not place.slot.array or place.names != names:
                if not arranged:
                    self._arrange(group, names)
                    arranged = True
                place = self._places[p]
            scalars: list[Any] = []
            first = False
            if has_state:
                state = self.state[p]
                for name, moment in place.moments:
                    held = state.get(name)
                    if held is None or held.array is not moment:
                        first = self._enter(group, state, place)
                        break
                scalars = [state[name].array[()] for name in self.scalar_state]
            gradient = grad.array
            if gradient is place.slot.gradient and p.array is place.slot.array:
                if run is not None and run.gradient is None and run.goes_on(place, scalars, first):
                    run.parameters.append(p)
                    run.end = place
                    continue
                gradient = None
            else:
                gradient = self._checked(p, gradient)
            if run is not None:
                self._finish(group, run)
            run = _Run(p, place, gradient, scalars, first)
        if run is not None:
            self._finish(group, run)

    def _finish(self, group: Group, run: _Run) -> None:
        """Update a run's parameters and note their new step counts."""
        begin, end = run.begin, run.end
        start, stop = begin.slot.start, end.slot.stop
        p = begin.slot.buffer.values[start:stop]
        g = begin.slot.buffer.gradients[start:stop] if run.gradient is None else run.gradient
        moments = [flat[begin.start : end.stop] for flat in begin.flats]
        if p.dtype.kind == "c":  # real and imaginary parts count as elements of their own
            real = p.real.dtype
            p, g, moments = p.view(real), g.view(real), [moment.view(real) for moment in moments]
        first = run.parameters[0]
        elsewhere = first.array is not begin.slot.array  # somebody holds its memory: its place serves as scratch
        if elsewhere:
            begin.slot.array[...] = first.array
        scalars: Any = run.scalars
        if capture.current is not None:
            self._check_capture(run, elsewhere)
            scalars = [self.state[first][name].array for name in self.scalar_state]  # read again at each replay
        scalars = mode.quiet(self.update, group, p, g, moments, scalars, run.first)
        if elsewhere:
            first.array[...] = begin.slot.array
        for parameter in run.parameters:
            parameter._version[0] += 1
            for name, value in zip(self.scalar_state, scalars, strict=True):
                self.state[parameter][name].array[...] = value
        if capture.current is not None:
            self._note_capture(capture.current, group, run)

    def _check_capture(self, run: _Run, elsewhere: bool) -> None:
        """NotImplementedError for what a captured step cannot do again."""
        name = type(self).__name__
        if not self.follows_captured:
            capture.refuse(f"a step of {name}")
        if self._before_step or self._after_step:
            capture.refuse(f"a step of {name} with hooks")
        if run.first or elsewhere:
            capture.refuse(f"a step of {name} with new state, or of parameters whose memory is held elsewhere,")

    def _note_capture(self, noted: capture.Capture, group: Group, run: _Run) -> None:
        """Tell the step that is being captured what this run did on the host, and what it took for granted."""
        places = [(p, self._places[p]) for p in run.parameters]
        options = _frozen(group)

        def count(by: int) -> None:
            for p in run.parameters:
                p._version[0] += 1
                for name in self.scalar_state:
                    self.state[p][name].array[...] += by

        def still_so() -> bool:
            return (
                all(self._places.get(p) is place and p.array is place.slot.array for p, place in places)
                and _frozen(group) == options
            )

        noted.replays.append(lambda: count(1))
        noted.undo.append(lambda: count(-1))
        noted.valid.append(still_so)

    def _checked(self, p: MyTensor, gradient: Any) -> Any:
        """A gradient outside the buffer, in one dimension; RuntimeError if it does not fit the parameter."""
        if not alike(gradient, p.array):
            raise RuntimeError(
                f"{type(self).__name__}: a parameter of {describe(p)} on {p.device} has a gradient of "
                f"{describe(gradient)} on {device_of(gradient)}"
            )
        return array_module(gradient).ascontiguousarray(gradient).reshape(-1)

    def _arrange(self, group: Group, names: tuple[str, ...]) -> None:
        """Give places to those of the group's parameters that are new, have moved, or need other moments."""
        parameters = [p for p in dict.fromkeys(group["params"]) if p.requires_grad or p.grad is not None]
        settle(parameters)
        new: defaultdict[FlatBuffer, list[MyTensor]] = defaultdict(list)
        for p in parameters:
            place = self._places.get(p)
            if place is None or place.slot is not p._slot or place.names != names:
                new[p._slot.buffer].append(p)
        for members in new.values():
            like = members[0].array
            size = sum(p.array.size for p in members)
            flats = [on_device(np.zeros(size, like.dtype), device_of(like)) for _ in names]
            start = 0
            for p in members:
                self._places[p] = place = _Place(p._slot, names, flats, start)
                start = place.stop

    def begin_state(self, group: Group) -> None:
        """Make the state of the group's parameters now, not when they get their first gradient."""
        self._arrange(group, self.moment_names(group))
        for p in group["params"]:
            if p in self._places:
                self._enter(group, self.state[p], self._places[p])

    def _enter(self, group: Group, state: dict[str, Any], place: _Place) -> bool:
        """Bring a parameter's state to its place in the flat arrays; True if a moment begins there."""
        first = False
        for name in self.scalar_state:
            if name not in state:
                wide = get_default_dtype() == np.float64
                start = np.asarray(self.initial_state(group, name), np.float64 if wide else np.float32)
                state[name] = tensor_of(start)
        for name, moment in place.moments:
            held = state.get(name)
            if held is None:
                first = True
                moment[...] = self.initial_state(group, name)
            elif held.shape != moment.shape:
                raise RuntimeError(
                    f"{type(self).__name__}: state {name!r} of a parameter of shape {moment.shape} has shape "
                    f"{held.shape}"
                )
            elif held.array is not moment:
                moment[...] = on_device(held.array, device_of(moment))
            state[name] = tensor_of(moment)
        return first
