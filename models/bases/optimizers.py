"""The optimisers that a study file can name."""

from collections.abc import Iterable

from torch import nn
from torch.optim import Adam

from models.bases.adabelief import AdaBelief
from models.bases.settings import OptimizerSettings


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings
) -> AdaBelief | Adam:
    """Return the optimiser that `settings` names, over `parameters`."""
    if settings.name == "adam":
        return Adam(
            parameters,
            lr=settings.learning_rate,
            betas=settings.betas,
            eps=settings.epsilon,
            fused=True,
        )
    return AdaBelief(
        parameters,
        settings.learning_rate,
        settings.betas,
        settings.epsilon,
        rectify=settings.rectify,
    )
