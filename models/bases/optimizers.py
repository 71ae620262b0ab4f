"""The optimisers that a study file can name."""

import contextlib
import io
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from models.bases.adabelief import AdaBelief
from models.bases.device_adabelief import DeviceAdaBelief
from models.bases.settings import OptimizerSettings


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings
) -> AdaBelief | Optimizer:
    """Return the optimiser that `settings` names, over `parameters`.

    On a GPU it keeps there what changes from step to step, so that steps can be recorded.
    """
    parameters = list(parameters)
    device = parameters[0].device
    on_gpu = device.type == "cuda"
    rate = settings.learning_rate
    if settings.name == "adam":
        return Adam(
            parameters,
            lr=torch.tensor(rate, device=device) if on_gpu else rate,
            betas=settings.betas,
            eps=settings.epsilon,
            fused=True,
            capturable=on_gpu,
        )
    if settings.implementation == "package":
        return package_adabelief(parameters, settings)
    return (DeviceAdaBelief if on_gpu else AdaBelief)(
        parameters,
        settings.learning_rate,
        settings.betas,
        settings.epsilon,
        rectify=settings.rectify,
    )


def set_learning_rate(optimizer: AdaBelief | Optimizer, rate: float) -> None:
    """Let the next steps of an optimiser be made with this learning rate."""
    if isinstance(optimizer, AdaBelief):
        optimizer.learning_rate = rate
        return
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def load_optimizer(optimizer: AdaBelief | Optimizer, state: dict[str, Any]) -> None:
    """Let an optimiser go on from a state, which may come from a file or another device."""
    if isinstance(optimizer, Adam):
        # Its groups hold settings, and the learning rate where recorded steps read it.
        state = {**state, "param_groups": optimizer.state_dict()["param_groups"]}
    optimizer.load_state_dict(state)


def package_adabelief(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> Optimizer:
    """Return the AdaBelief of its authors' package, without weight decay."""
    import adabelief_pytorch

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it is set to
        optimizer: Optimizer = adabelief_pytorch.AdaBelief(
            parameters,
            lr=settings.learning_rate,
            betas=settings.betas,
            eps=settings.epsilon,
            weight_decay=0,
            rectify=settings.rectify,
            print_change_log=False,
        )
    return optimizer
