"""AdaBelief (Zhuang et al. 2020, algorithm 1), with RAdam's rectification (Liu et al. 2020).

The update is that of the authors' package `adabelief-pytorch` without weight decay, which
`training.optimizer.implementation: package` runs in its place. It is here since each of
its steps goes over all weights in one call (PyTorch's `foreach`), which costs a third of a
loop over parameters on a CPU and one launch on a GPU. It is no `torch.optim.Optimizer`:
building one imports PyTorch's compiler, which takes a fresh process as long as importing
all the rest of PyTorch.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_RECTIFIABLE = 5


class AdaBelief:
    """Steps are large where the gradient is what its moving average believed.

    Args:
        parameters: what is optimised.
        learning_rate: step size; it may be set between steps.
        betas: decay of the gradient's average and of its squared deviation from it.
        epsilon: added to the squared deviation, and to its root.
        rectify: scale steps by the variance of the first estimates of the deviation;
            as long as that has none, step along the average alone.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        betas: tuple[float, float],
        epsilon: float,
        *,
        rectify: bool,
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate, self._betas = learning_rate, betas
        self._epsilon, self._rectify = epsilon, rectify
        self._state: dict[int, dict[str, Any]] = {}

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Forget the gradients; they are never kept as zeros."""
        assert set_to_none
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move all parameters that have a gradient."""
        indices_by_step: dict[int, list[int]] = {}
        for index, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            self._begin(index)
            self._state[index]["step"] += 1
            indices_by_step.setdefault(self._state[index]["step"], []).append(index)
        for step, indices in indices_by_step.items():
            self._update(indices, step)

    def _begin(self, index: int) -> None:
        if index not in self._state:
            parameter = self.parameters[index]
            self._state[index] = {
                "step": 0,
                "average": torch.zeros_like(parameter),
                "deviation": torch.zeros_like(parameter),
            }

    def state_dict(self) -> dict[str, Any]:
        """Return what further steps depend on: `step`, `average`, `deviation` by parameter."""
        return {"state": {index: dict(moments) for index, moments in self._state.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over copies of what `state_dict` returned."""
        self._state = {
            index: {
                "step": moments["step"],
                **{n: moments[n].to(self.parameters[index], copy=True) for n in _MOMENTS},
            }
            for index, moments in state["state"].items()
        }

    def _update(self, indices: list[int], step: int) -> None:
        parameters, averages, deviations = self._moments(indices)
        scale, root_scale = step_scales(step, *self._betas, rectify=self._rectify)
        if root_scale is None:
            torch._foreach_add_(parameters, averages, alpha=-self.learning_rate * scale)
            return
        roots = torch._foreach_sqrt(deviations)
        if root_scale != 1:
            torch._foreach_mul_(roots, root_scale)
        torch._foreach_add_(roots, self._epsilon)
        torch._foreach_addcdiv_(parameters, averages, roots, -self.learning_rate * scale)

    def _moments(self, indices: list[int]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Let averages and deviations take in the gradients; return them after the parameters."""
        beta1, beta2 = self._betas
        parameters: list[Tensor] = [self.parameters[index] for index in indices]
        gradients = [p.grad for p in parameters if p.grad is not None]
        averages: list[Tensor] = [self._state[index]["average"] for index in indices]
        deviations: list[Tensor] = [self._state[index]["deviation"] for index in indices]
        torch._foreach_lerp_(averages, gradients, 1 - beta1)
        residuals = torch._foreach_sub(gradients, averages)
        torch._foreach_mul_(deviations, beta2)
        torch._foreach_addcmul_(deviations, residuals, residuals, 1 - beta2)
        torch._foreach_add_(deviations, self._epsilon)
        return parameters, averages, deviations


_MOMENTS = ("average", "deviation")


def step_scales(
    step: int, beta1: float, beta2: float, *, rectify: bool
) -> tuple[float, float | None]:
    """Return what the average is scaled by, and what the root of the deviation.

    The second is None where the step is not divided by that root.

    Args:
        step: number of the step, from 1.
        beta1: decay of the average.
        beta2: decay of the squared deviation.
        rectify: see `AdaBelief`.
    """
    unbiased = 1 / (1 - beta1**step)
    decayed = beta2**step
    if not rectify:
        return unbiased, 1 / math.sqrt(1 - decayed)
    limit = 2 / (1 - beta2) - 1
    length = limit - 2 * step * decayed / (1 - decayed)
    if length < _RECTIFIABLE:
        return unbiased, None
    variance = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
    return unbiased * math.sqrt((1 - decayed) * variance), 1.0
