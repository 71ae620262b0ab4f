"""Models that tests train, and the types of the fixtures that make them and their samples."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from models.interface import Model

Build = Callable[..., Model]
Waves = Callable[..., Tensor]


def trained(build: Build, name: str, x: Tensor, epochs: int = 1, **options: Any) -> Any:
    model = build(name, (x.shape[1], x.shape[2]), **options)
    for _ in range(epochs):
        model.train_epoch(x, torch.arange(len(x)))
    return model
