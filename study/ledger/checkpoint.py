"""Checkpoints of a fold in training: everything that further training depends on.

A file is a sha256 of what follows, the length of a JSON tree, the tree, and the tensors
that it names, in the form of safetensors. Reading one runs no code of the file's.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from study.storage.folder import Folder
from study.storage.hashes import with_digest, without_digest

KEPT = 2
NAME = re.compile(r"checkpoint-(\d{6,})\.state")
LENGTH_BYTES = 8


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
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_to_plain(vars(progress), tensors)).encode()
    length = len(tree).to_bytes(LENGTH_BYTES, "big")
    content = length + tree + safetensors.torch.save(tensors)
    folder.write(f"checkpoint-{progress.epoch:06d}.state", with_digest(content))
    for name in _checkpoints(folder)[:-KEPT]:
        folder.remove(name)


def load_checkpoint(folder: Folder) -> FoldProgress | None:
    """Return the newest checkpoint that is not damaged, or None."""
    for name in reversed(_checkpoints(folder)):
        progress = _parse(folder.read(name))
        if progress is not None:
            return progress
    return None


def damaged_checkpoints(folder: Folder) -> list[str]:
    """Return the names of damaged checkpoints."""
    return [name for name in _checkpoints(folder) if _parse(folder.read(name)) is None]


def _parse(raw: bytes) -> FoldProgress | None:
    content = without_digest(raw)
    if content is None:
        return None
    end = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "big")
    try:
        tensors = safetensors.torch.load(content[end:])
        return FoldProgress(**_from_plain(json.loads(content[LENGTH_BYTES:end]), tensors))
    except (ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError):
        return None  # written by code that had another form


def _to_plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON holds it; tensors are put into `tensors`, and named."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        pairs = [[key, _to_plain(inner, tensors)] for key, inner in value.items()]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_to_plain(inner, tensors) for inner in value]}
    return value


def _from_plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _from_plain(inner, tensors) for key, inner in content}
    inner = [_from_plain(each, tensors) for each in content]
    return {"list": inner, "tuple": tuple(inner)}[kind]


def _checkpoints(folder: Folder) -> list[str]:
    """Return the names of a folder's checkpoints, the oldest first."""
    names = [name for name in folder.names() if NAME.fullmatch(name)]
    return sorted(names, key=lambda name: int(name.partition("-")[2].partition(".")[0]))
