"""What a fold starts from: its untrained model, and samples in [0, 1]."""

import platform
import warnings
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models import implementation
from models.interface import Model, Seeds, Shape
from study.config.trial_config import TrialConfig
from study.data.samples import Samples
from study.data.splits import Fold
from study.randomness import stream_seed
from study.training.scaling import Scaling


def build_model(
    config: TrialConfig, like: Samples | Shape, fold: int, device: torch.device
) -> Model:
    """Return the untrained model of a fold, its streams of randomness derived from the seed.

    Args:
        config: the trial's.
        like: has the channels and the length of the samples that the model is for.
        fold: the fold's number.
        device: where the model is.
    """
    streams = [each.name for each in fields(Seeds)]
    seeds = Seeds(**{name: stream_seed(config.seed, name, fold) for name in streams})
    shape = Shape(like.channels, like.length)
    build = implementation(config.model.name)
    return build(config.model, config.training, shape, seeds, device)


def fit_scaling(config: TrialConfig, samples: Samples, fold: Fold) -> Scaling | None:
    """Return the limits of the training samples if the dataset leaves scaling to the fold."""
    if not config.dataset.scaled_by_fold:
        return None
    return Scaling.fit(samples.values[fold.training])


def scale(samples: Samples, scaling: Scaling) -> Samples:
    """Return `samples` scaled so that the limits of `scaling` become 0 and 1."""
    return replace(samples, values=scaling.apply(samples.values))


def shared_tensor(values: npt.NDArray[np.float32]) -> Tensor:
    """Return `values` as a tensor without a copy; nobody writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(values)


def device_name(device: torch.device) -> str:
    """Return the name of the device that a fold ran on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})"
