from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study.config.schema import Study
from study.ledger.fold_files import history_file
from study.ledger.ledger import DamagedError, FoldManifest, Ledger, State
from study.ledger.trial_outcome import conclude, interrupted_stop, stage_name
from study.storage.folder import LocalFolder

TRIAL = "trial-00003"
PARAMETERS = {"model.beta": 0.5}


class Place:
    """A ledger and checkpoints of a trial of three folds."""

    def __init__(self, root: Path, study: Study) -> None:
        self.study = study
        self.ledger = Ledger(LocalFolder(root / "ledger"))
        self.checkpoints = LocalFolder(root / "checkpoints")

    def fold(
        self, fold: int, values: dict[int, float], state: State = "completed", reason: str = ""
    ) -> tuple[FoldManifest, dict[str, bytes]]:
        last = max(values, default=1)
        rows = [
            {"epoch": e, "loss": 0.5, **({"value": values[e]} if e in values else {})}
            for e in range(1, last + 1)
        ]
        manifest = FoldManifest(TRIAL, fold, state, reason, last, last, {})
        return manifest, {"history.parquet": history_file(rows), "x": bytes([fold])}

    def commit(self, fold: int, values: dict[int, float], **kept: Any) -> None:
        self.ledger.commit_fold(*self.fold(fold, values, **kept))

    def stage(self, fold: int, epoch: int, values: dict[int, float]) -> None:
        stage = self.checkpoints.folder(f"{TRIAL}/fold-{fold}/{stage_name(epoch)}")
        Ledger(stage).commit_fold(*self.fold(fold, values, "pruned"))

    def conclude(self, stopped: int | None = None, arrival: int = 0) -> Any:
        return conclude(self.ledger, self.checkpoints, self.study, 3, PARAMETERS, stopped, arrival)


@pytest.fixture
def place(tmp_path: Path, tiny_study: Any) -> Place:
    return Place(tmp_path, tiny_study(split={"folds": 3}))


VALUES = [{2: 0.1, 4: 0.9}, {2: 0.2, 4: 0.6}, {2: 0.6, 4: 0.3}]
MEANS = [(2, 0.3), (4, 0.6)]


def assert_values(found: list[tuple[int, float]], expected: list[tuple[int, float]]) -> None:
    assert [epoch for epoch, _ in found] == [epoch for epoch, _ in expected]
    np.testing.assert_allclose([v for _, v in found], [v for _, v in expected], rtol=1e-12)


def test_all_folds_completed_is_a_completed_trial(place: Place) -> None:
    for fold, values in enumerate(VALUES):
        place.commit(fold, values)
    place.checkpoints.write(f"{TRIAL}/fold-0/checkpoint-000002.state", b"1")
    place.checkpoints.write("trial-00004/fold-0/checkpoint-000002.state", b"1")
    record = place.conclude()
    assert (record.number, record.name, record.state) == (3, TRIAL, "completed")
    assert (record.reason, record.parameters, record.arrival) == ("", PARAMETERS, 0)
    assert_values(record.values, MEANS)
    assert record.best_value == pytest.approx(0.6)
    assert place.ledger.trial(3) == record
    assert place.checkpoints.names() == ["trial-00004"]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_fold_is_no_end(missing: int, place: Place) -> None:
    for fold, values in enumerate(VALUES):
        if fold != missing:
            place.commit(fold, values)
    place.checkpoints.write(f"{TRIAL}/fold-{missing}/checkpoint-000002.state", b"1")
    assert place.conclude() is None
    assert place.ledger.trials() == []
    assert place.checkpoints.exists(f"{TRIAL}/fold-{missing}/checkpoint-000002.state")


def test_one_failed_fold_is_a_failed_trial_even_if_others_are_missing(place: Place) -> None:
    place.commit(0, VALUES[0])
    place.commit(2, {}, state="failed", reason="loss is nan")
    record = place.conclude()
    assert record.state == "failed"
    assert record.reason == "fold 2: loss is nan"
    assert record.values == []
    assert place.ledger.trial(3) == record


def test_failed_beats_pruned(place: Place) -> None:
    place.commit(0, {2: 0.5}, state="pruned")
    place.commit(1, {}, state="failed", reason="r")
    place.stage(2, 2, {2: 0.5})
    assert place.conclude(stopped=2).state == "failed"


def test_a_stopped_trial_is_committed_from_its_stages(place: Place) -> None:
    for fold, values in enumerate(VALUES):
        place.stage(fold, 2, {2: values[2]})
        place.stage(fold, 4, values)
    record = place.conclude(stopped=2)
    assert record.state == "pruned"
    assert_values(record.values, MEANS[:1])
    for fold in range(3):
        manifest = place.ledger.fold(TRIAL, fold)
        assert manifest is not None
        assert (manifest.state, manifest.last_epoch) == ("pruned", 2)
        assert place.ledger.read(manifest, "x") == bytes([fold])
    assert not place.checkpoints.exists(TRIAL)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_an_interrupted_promotion_is_finished(done: int, place: Place) -> None:
    for fold, values in enumerate(VALUES):
        place.stage(fold, 4, values)
    for fold in range(done):
        place.commit(fold, VALUES[fold], state="pruned")
    stopped = interrupted_stop(place.ledger, place.study, 3)
    assert stopped == 4
    record = place.conclude(stopped)
    assert record.state == "pruned"
    assert_values(record.values, MEANS)
    assert all(place.ledger.fold(TRIAL, fold) is not None for fold in range(3))


def test_without_pruned_folds_there_was_no_stop(place: Place) -> None:
    assert interrupted_stop(place.ledger, place.study, 3) is None
    place.commit(0, VALUES[0])
    place.commit(1, {}, state="failed", reason="r")
    assert interrupted_stop(place.ledger, place.study, 3) is None


def test_a_damaged_stage_is_not_committed(place: Place, tmp_path: Path) -> None:
    for fold, values in enumerate(VALUES):
        place.stage(fold, 4, values)
    stage = place.checkpoints.folder(f"{TRIAL}/fold-1/{stage_name(4)}")
    stage.write(f"{TRIAL}/fold-1/x", b"changed")
    with pytest.raises(DamagedError):
        place.conclude(stopped=4)
    assert place.ledger.trials() == []


def test_a_stop_without_stages_is_an_error_and_writes_no_end(place: Place) -> None:
    with pytest.raises(RuntimeError, match="stage-000004"):
        place.conclude(stopped=4)
    assert place.ledger.trials() == []


def test_a_trial_that_ends_again_keeps_its_arrival(place: Place) -> None:
    for fold, values in enumerate(VALUES):
        place.commit(fold, values)
    assert place.conclude(arrival=5).arrival == 5
    assert place.conclude(arrival=7).arrival == 5
