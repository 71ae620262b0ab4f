"""What the contract suites of all models share."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models import MODELS
from models.interface import Model
from models.settings import LatentSearchSettings

ALIKE = ("beatgan_plus", "vae", "anogan", "latent_refinement")
"""Models that share their training with one that is not among these, and take long."""
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in MODELS]

Trained = Callable[..., Model]


def leaves(tree: Any, path: str = "") -> dict[str, Any]:
    """A tree of dicts, lists and values, flat."""
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    else:
        return {path: tree}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat |= leaves(value, f"{path}/{key}")
    return flat


def assert_same_tree(first: Any, second: Any) -> None:
    first, second = leaves(first), leaves(second)
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key


def rounding(name: str) -> float:
    """How many times further two batches may be apart: Adam's first steps are large
    wherever a gradient is not 0, and so make rounding larger."""
    return 100 if issubclass(MODELS[name].settings, LatentSearchSettings) else 1


def skip_without_networks(name: str) -> None:
    if MODELS[name].fitted_once:
        pytest.skip("has no networks; its own tests say what decides its fit")
