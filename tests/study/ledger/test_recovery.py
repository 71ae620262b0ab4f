"""What a fault left behind is named, put aside, and made good."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from study.config.schema import Study
from study.ledger.checkpoint import (
    FoldProgress,
    damaged_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from study.ledger.fold_contents import history_file
from study.ledger.ledger import DamagedError, FoldManifest, Ledger
from study.ledger.recovery import recover
from study.ledger.run_time import RunTime, stored_seconds
from study.ledger.trial_outcome import split_by_completeness
from study.search.trial import FoldAddress, Proposal, RungDecision, trial_name
from study.storage.folder import LocalFolder
from tests.study.trials import record_of, trial_of


@pytest.fixture
def results(tmp_path: Path, tiny_study: Callable[..., Study]) -> LocalFolder:
    """Two ended trials of two folds, and one in training."""
    folder = LocalFolder(tmp_path)
    ledger = Ledger(folder.folder("ledger"))
    for number in range(2):
        trial = trial_of(tiny_study(), number)
        for address in trial.folds:
            ledger.commit_fold(*committed(address.trial, address.fold))
        ledger.record_trial(record_of(trial, values=[(2, 0.5)], completion_order=number))
    checkpoints = folder.folder("checkpoints/trial-00002/fold-0")
    for epoch in (2, 4):
        save_checkpoint(checkpoints, FoldProgress(epoch, best_weights={"w": torch.ones(9)}))
    return folder


def committed(trial: str, fold: int) -> tuple[FoldManifest, dict[str, bytes]]:
    history = history_file([{"epoch": 1}, {"epoch": 2, "value": 0.5}])
    manifest = FoldManifest(trial, fold, "completed", "", 2, 2, {})
    return manifest, {"history.parquet": history, "components.parquet": b"c" * 40}


def flip(path: Path) -> bytes:
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    return path.read_bytes()


def test_hours_that_are_damaged_are_put_aside(results: LocalFolder, tmp_path: Path) -> None:
    ledger = Ledger(results.folder("ledger"))
    RunTime(ledger).save()
    damaged = flip(tmp_path / "ledger/run_time")
    (line,) = recover(results)
    assert "run_time is not what was written (sha256); it is put aside as" in line
    assert (tmp_path / "damaged/run_time").read_bytes() == damaged
    assert stored_seconds(ledger) == 0.0


def test_a_sound_study_is_left_as_it_is(results: LocalFolder) -> None:
    assert recover(results) == []
    assert not results.exists("damaged")
    complete, incomplete = split_by_completeness(Ledger(results.folder("ledger")))
    assert [record.trial.number for record in complete] == [0, 1]
    assert incomplete == []


@pytest.mark.parametrize("name", ["components.parquet", "manifest.json"])
def test_a_damaged_fold_is_named_kept_and_asked_for_again(
    name: str, results: LocalFolder, tmp_path: Path
) -> None:
    path = tmp_path / "ledger/trial-00001/fold-1" / name
    damaged = flip(path)
    (line,) = recover(results)
    assert str(path) in line
    assert "trained again" in line
    assert (tmp_path / "damaged/trial-00001/fold-1" / name).read_bytes() == damaged
    ledger = Ledger(results.folder("ledger"))
    assert ledger.fold(FoldAddress("trial-00001", 1)) is None
    assert ledger.fold(FoldAddress("trial-00001", 0)) is not None
    ended = split_by_completeness(ledger)
    assert [[record.trial.number for record in records] for records in ended] == [[0], [1]]
    assert recover(results) == []


def test_what_is_damaged_twice_is_kept_twice(results: LocalFolder, tmp_path: Path) -> None:
    for _ in range(2):
        flip(tmp_path / "ledger/trial-00001/fold-1/manifest.json")
        recover(results)
        Ledger(results.folder("ledger")).commit_fold(*committed("trial-00001", 1))
    assert results.names("damaged/trial-00001") == ["fold-1", "fold-1.2"]


def test_a_damaged_record_of_a_trial_is_made_again_from_its_folds(
    results: LocalFolder, tmp_path: Path
) -> None:
    flip(tmp_path / "ledger/trial-00001/trial.json")
    (line,) = recover(results)
    assert "trial.json" in line
    ledger = Ledger(results.folder("ledger"))
    assert ledger.trial("trial-00001") is None
    assert [address.fold for address in ledger.committed("trial-00001")] == [0, 1]


def test_training_goes_on_from_the_checkpoint_before_a_damaged_one(
    results: LocalFolder, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints/trial-00002/fold-0/checkpoint-000004.state"
    flip(path)
    (line,) = recover(results)
    assert str(path) in line
    loaded = load_checkpoint(results.folder("checkpoints/trial-00002/fold-0"))
    assert loaded is not None
    assert loaded.epoch == 2


def test_checkpoints_of_an_ended_trial_go_and_those_of_one_to_be_repaired_stay(
    results: LocalFolder, tmp_path: Path
) -> None:
    for number in range(2):
        results.write(f"checkpoints/{trial_name(number)}/fold-1/left", b"1")
    flip(tmp_path / "ledger/trial-00001/fold-1/manifest.json")
    recover(results)
    assert results.names("checkpoints") == ["trial-00001", "trial-00002"]


def test_drafts_of_killed_writers_are_swept(results: LocalFolder, tmp_path: Path) -> None:
    for place in ("ledger/trial-00001/fold-1", "checkpoints/trial-00002", "."):
        (tmp_path / place / ".x.0123.tmp").write_bytes(b"half")
        (tmp_path / place / ".y.0123.tmp").mkdir()
        (tmp_path / place / ".y.0123.tmp" / "inner").write_bytes(b"half")
    assert recover(results) == []
    assert not list(tmp_path.rglob(".*.tmp"))


@pytest.mark.slow
def test_every_byte_of_a_checkpoint_counts(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    save_checkpoint(folder, FoldProgress(2, model_state={"w": torch.ones(2)}))
    path = tmp_path / "checkpoint-000002.state"
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        assert load_checkpoint(folder) is None
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at])
        assert damaged_checkpoints(folder) == [path.name]


def test_a_sound_manifest_in_another_folds_place_is_refused(results: LocalFolder) -> None:
    content = results.read("ledger/trial-00000/fold-0/manifest.json")
    results.write("ledger/trial-00001/fold-1/manifest.json", content)
    with pytest.raises(DamagedError, match="no manifest of this fold"):
        Ledger(results.folder("ledger")).fold(FoldAddress("trial-00001", 1))
    results.write("ledger/trial-00001/trial.json", results.read("ledger/trial-00000/trial.json"))
    with pytest.raises(DamagedError, match="no record of this trial"):
        Ledger(results.folder("ledger")).trial("trial-00001")


def test_a_damaged_proposal_of_a_trial_in_training_takes_the_trial_along(
    results: LocalFolder, tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    """Its settings are lost: what it trained until now cannot go on under others."""
    ledger = Ledger(results.folder("ledger"))
    for number in (1, 2):
        ledger.record_proposal(Proposal(trial_of(tiny_study(), number), number, (), 7))
        flip(tmp_path / f"ledger/{trial_name(number)}/proposal.json")
    lines = recover(results)
    assert ["proposed anew" in line for line in lines] == [False, True]
    assert ledger.trial(trial_name(1)) is not None
    assert (tmp_path / "damaged/trial-00001/proposal.json").is_file()
    assert (tmp_path / "damaged/trial-00002/proposal.json").is_file()
    assert ledger.proposals() == []
    assert not results.exists("checkpoints/trial-00002")
    assert recover(results) == []


def test_a_damaged_decision_is_named_and_goes_alone(results: LocalFolder, tmp_path: Path) -> None:
    ledger = Ledger(results.folder("ledger"))
    kept = RungDecision(trial_name(1), 2, 0.5, goes_on=True, order=1)
    for number in (0, 2):
        ledger.record_decision(
            RungDecision(trial_name(number), 2, 0.25, goes_on=True, order=number)
        )
        flip(tmp_path / f"ledger/{trial_name(number)}/rung-000002.json")
    ledger.record_decision(kept)
    lines = recover(results)
    assert ["rung-000002.json" in line for line in lines] == [True, True]
    # One that has ended comes to no rung any more.
    assert ["decided anew" in line for line in lines] == [False, True]
    assert ledger.decisions() == [kept]
    assert len(ledger.trials()) == 2
