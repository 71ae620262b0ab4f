"""The learning rate over a training, as a share of the rate that is set.

It is the closed form of PyTorch's `LinearLR` followed by its `CosineAnnealingLR`, stepped
by update. These two keep a state, and want a `torch.optim.Optimizer`, whose first use in a
process imports PyTorch's compiler; a function of the update's number needs no state, so
that training goes on anywhere.
"""

import math

from models.bases.settings import TrainingSettings


def learning_rate_share(training: TrainingSettings, update: int, updates: int) -> float:
    """Return the share of the learning rate that an update is made with.

    Args:
        training: `schedule`, `warmup_share` and `final_share` count.
        update: number of the update, from 0.
        updates: how many a whole training has; later ones are made with the last rate.
    """
    warmup = int(training.warmup_share * updates)
    if update < warmup:
        return (update + 1) / (warmup + 1)
    if training.schedule == "constant":
        return 1.0
    annealed = min((update - warmup) / (updates - warmup), 1.0)
    final = training.final_share
    return final + (1 - final) * (1 + math.cos(math.pi * annealed)) / 2
