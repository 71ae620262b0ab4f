"""A checkpoint holds all of an optimiser, whichever it is."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models import MODELS, implementation
from models.interface import Model, Seeds, Shape
from models.settings import TrainingSettings
from study.ledger.checkpoint import FoldProgress, load_checkpoint, save_checkpoint
from study.storage.folder import LocalFolder


def build(optimizer: dict[str, Any], seed: int) -> Model:
    training = TrainingSettings.model_validate({"batch_size": 8, "optimizer": optimizer})
    settings, seeds = MODELS["ae"].settings(width=4), Seeds(seed, seed, seed, seed)
    return implementation("ae")(settings, training, Shape(1, 32), seeds, torch.device("cpu"))


@pytest.mark.parametrize(
    "optimizer",
    [
        {"implementation": "fused"},
        {"implementation": "package"},
        {"implementation": "package", "rectify": False},
        {"name": "adam"},
    ],
)
def test_training_goes_on_from_a_checkpoint_bit_by_bit(
    optimizer: dict[str, Any], tmp_path: Path
) -> None:
    x, members = (
        torch.rand((20, 1, 32), generator=torch.Generator().manual_seed(0)),
        torch.arange(20),
    )
    model = build(optimizer, 1)
    model.train_epoch(x, members)
    folder = LocalFolder(tmp_path)
    save_checkpoint(folder, FoldProgress(epoch=1, model_state=model.state()))
    progress = load_checkpoint(folder)
    assert progress is not None
    resumed = build(optimizer, 2)
    resumed.load_state(progress.model_state)
    for _ in range(2):
        assert model.train_epoch(x, members) == resumed.train_epoch(x, members)
    weights = resumed.weights()
    assert all(torch.equal(value, weights[key]) for key, value in model.weights().items())
