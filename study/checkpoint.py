"""Checkpoints of a fold in training: everything that further training depends on."""

import hashlib
import io
import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from study.storage import Folder

KEPT = 2
NAME = re.compile(r"checkpoint-(\d{6})\.pt")
DIGEST_BYTES = 32


@dataclass
class FoldProgress:
    """Where a fold's training stands.

    Attributes:
        epoch: epochs trained.
        history: a row for each epoch, as `history.parquet` holds them.
        best_epoch: epoch of the best validation value; 0 before there is one.
        best_value: that value.
        best_weights: the model's weights at that epoch.
        model_state: `Model.state` after `epoch` epochs.
        train_seconds: time spent training and validating, over all attempts.
    """

    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float = float("-inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    model_state: dict[str, Any] = field(default_factory=dict)
    train_seconds: float = 0.0


def save_checkpoint(folder: Folder, progress: FoldProgress) -> None:
    """Write a checkpoint durably; older ones but for the one before are deleted."""
    payload = io.BytesIO()
    torch.save(vars(progress), payload)
    content = payload.getvalue()
    digest = hashlib.sha256(content).digest()
    folder.write(f"checkpoint-{progress.epoch:06d}.pt", digest + content)
    for name in _checkpoints(folder)[:-KEPT]:
        folder.remove(name)


def load_checkpoint(folder: Folder) -> FoldProgress | None:
    """Return the newest sound checkpoint, or None; a damaged one counts as not there."""
    for name in reversed(_checkpoints(folder)):
        raw = folder.read(name)
        digest, content = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return FoldProgress(**torch.load(io.BytesIO(content), weights_only=True))
    return None


def _checkpoints(folder: Folder) -> list[str]:
    return [name for name in folder.names() if NAME.fullmatch(name)]
