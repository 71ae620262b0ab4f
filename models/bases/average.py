"""An exponential average of networks' weights, which is scored in place of the last ones.

Weights that a large learning rate moves to and fro lie around a better point than each of
them (Polyak and Juditsky 1992). The decay grows with the updates, `(1 + n) / (10 + n)`,
until it is what is set, so that early averages forget where training began.

Parameters are averaged; what batch norms have seen, and the vectors of spectral norm,
belong to weights: they are measured anew for the average. Averaged statistics would be
those of networks that are not scored.
"""

import copy

import torch
from torch import Tensor, nn

RAMP = 10


class AveragedNetworks:
    """A copy of networks whose parameters are an average over updates.

    Args:
        networks: what is trained; they are not changed.
        decay: of the average, in (0, 1).
    """

    def __init__(self, networks: nn.ModuleDict, decay: float) -> None:
        self.networks = copy.deepcopy(networks).requires_grad_(False)
        self._decay = decay
        self._averages: list[Tensor] = list(self.networks.parameters())
        self._trained: list[Tensor] = list(networks.parameters())

    @torch.no_grad()
    def update(self, count: int) -> None:
        """Move the average toward the weights as they are after `count` updates."""
        decay = min(self._decay, (1 + count) / (RAMP + count))
        torch._foreach_lerp_(self._averages, self._trained, 1 - decay)

    def forget_statistics(self) -> None:
        """Let batch norms count anew, and equally, what they see from now on."""
        for norm in self.networks.modules():
            if isinstance(norm, nn.BatchNorm1d):
                norm.reset_running_stats()
                norm.momentum = None
