"""AdaBelief (Zhuang et al. 2020, algorithm 1), with RAdam's rectification (Liu et al. 2020).

The update is that of the authors' package `adabelief-pytorch` without weight decay. It
is here since each of its steps goes over all weights in one call (PyTorch's `foreach`),
which costs a third of a loop over parameters on a CPU and one launch on a GPU.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_RECTIFIABLE = 5


class AdaBelief(Optimizer):
    """Steps are large where the gradient is what its moving average believed.

    Args:
        parameters: what is optimised.
        learning_rate: step size.
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
        defaults = {"lr": learning_rate, "betas": betas, "eps": epsilon, "rectify": rectify}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move all parameters that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            by_step: dict[int, list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not self.state[p]:
                    self.state[p] = {
                        "step": 0,
                        "average": torch.zeros_like(p),
                        "deviation": torch.zeros_like(p),
                    }
                self.state[p]["step"] += 1
                by_step.setdefault(self.state[p]["step"], []).append(p)
            for step, moved in by_step.items():
                self._move(moved, step, group)

    def _move(self, moved: list[Tensor], step: int, group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        gradients = [p.grad for p in moved if p.grad is not None]
        averages: list[Tensor] = [self.state[p]["average"] for p in moved]
        deviations: list[Tensor] = [self.state[p]["deviation"] for p in moved]
        torch._foreach_lerp_(averages, gradients, 1 - beta1)
        surprises = torch._foreach_sub(gradients, averages)
        torch._foreach_mul_(deviations, beta2)
        torch._foreach_addcmul_(deviations, surprises, surprises, 1 - beta2)
        torch._foreach_add_(deviations, group["eps"])
        scale, root_scale = step_scales(step, beta1, beta2, rectify=group["rectify"])
        if root_scale is None:
            torch._foreach_add_(moved, averages, alpha=-group["lr"] * scale)
            return
        roots = torch._foreach_sqrt(deviations)
        if root_scale != 1:
            torch._foreach_mul_(roots, root_scale)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(moved, averages, roots, -group["lr"] * scale)


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
