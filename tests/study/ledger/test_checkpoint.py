from pathlib import Path

import pytest
import torch

from study.ledger.checkpoint import FoldProgress, load_checkpoint, save_checkpoint
from study.storage.folder import Folder, LocalFolder


def progress(epoch: int) -> FoldProgress:
    return FoldProgress(
        epoch=epoch,
        history=[{"epoch": e, "loss": e / 7, "value": 0.5} for e in range(1, epoch + 1)],
        best_epoch=1,
        best_value=0.1 + 0.2,
        best_weights={"w": torch.arange(3.0) * epoch},
        model_state={"a": {"b": [torch.full((2,), float("nan")), 3]}, "n": torch.tensor(epoch)},
        train_seconds=1.5,
    )


def checkpoints(folder: Folder) -> list[str]:
    return [name for name in folder.names() if name.startswith("checkpoint-")]


def test_nothing_is_loaded_where_nothing_was_saved(folder: Folder) -> None:
    assert load_checkpoint(folder) is None
    assert load_checkpoint(folder.folder("none")) is None


def test_what_was_saved_is_loaded(folder: Folder) -> None:
    saved = progress(3)
    save_checkpoint(folder, saved)
    loaded = load_checkpoint(folder)
    assert loaded is not None
    plain = ("epoch", "history", "best_epoch", "best_value", "train_seconds")
    assert {n: getattr(loaded, n) for n in plain} == {n: getattr(saved, n) for n in plain}
    assert [list(row) for row in loaded.history] == [list(row) for row in saved.history]
    assert torch.equal(loaded.best_weights["w"], saved.best_weights["w"])
    assert loaded.model_state["a"]["b"][0].isnan().all()
    assert loaded.model_state["a"]["b"][1] == 3


def test_the_last_two_are_kept_and_other_files_too(folder: Folder) -> None:
    folder.write("stage-000001", b"")
    for epoch in (2, 4, 10, 12):
        save_checkpoint(folder, progress(epoch))
    assert checkpoints(folder) == ["checkpoint-000010.state", "checkpoint-000012.state"]
    assert folder.exists("stage-000001")
    loaded = load_checkpoint(folder)
    assert loaded is not None
    assert loaded.epoch == 12


def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for epoch in (2, 4):
        save_checkpoint(folder, progress(epoch))
    path = tmp_path / "checkpoint-000004.state"
    content = path.read_bytes()
    places = [0, 31, 32, 33, len(content) // 2, len(content) - 1]
    flipped = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in places]
    truncated = [content[:n] for n in (0, 1, 31, 32, 40, len(content) - 1)]
    for damaged in [*flipped, *truncated, content + b"x"]:
        path.write_bytes(damaged)
        loaded = load_checkpoint(folder)
        assert loaded is not None
        assert loaded.epoch == 2
    path.write_bytes(content)
    loaded = load_checkpoint(folder)
    assert loaded is not None
    assert loaded.epoch == 4


def test_only_damaged_checkpoints_are_none(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    save_checkpoint(folder, progress(2))
    (tmp_path / "checkpoint-000002.state").write_bytes(b"")
    assert load_checkpoint(folder) is None


@pytest.mark.parametrize("name", ["checkpoint-2.state", "checkpoint-000009.state.tmp", "x"])
def test_other_names_are_no_checkpoints(name: str, tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    save_checkpoint(folder, progress(2))
    (tmp_path / name).write_bytes(b"junk")
    loaded = load_checkpoint(folder)
    assert loaded is not None
    assert loaded.epoch == 2
