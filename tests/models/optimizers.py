"""Which parameters an optimiser moves, whether it is ours or PyTorch's."""

from torch import nn
from torch.optim import Optimizer

from models.bases.adabelief import AdaBelief


def optimized_by(optimizer: AdaBelief | Optimizer) -> list[nn.Parameter]:
    if isinstance(optimizer, AdaBelief):
        return optimizer.parameters
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
