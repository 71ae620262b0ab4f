"""What the tests of models that are fitted once share."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.interface import Model


def fit(model: Model, x: Tensor) -> dict[str, float]:
    return model.train_epoch(x, torch.arange(len(x)))


def flat(x: Tensor) -> npt.NDArray[np.float64]:
    return x.flatten(1).numpy().astype(np.float64)


def only_error(model: Model, x: Tensor) -> npt.NDArray[np.float32]:
    (values,) = model.errors(x).values()
    errors: npt.NDArray[np.float32] = values.numpy()
    return errors
