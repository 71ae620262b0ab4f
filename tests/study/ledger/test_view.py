from pathlib import Path

import pytest

from study.config.study_file import check_study
from study.errors import RequestError
from study.ledger.fold_contents import json_file
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.study_folder import STUDY
from study.ledger.view import LedgerView
from study.search.sources import SystemList
from study.search.trial import Proposal, RungDecision
from study.storage.folder import Folder, LocalFolder
from tests.study.ledger.viewed import SEARCH, proposed, write_study
from tests.study.trials import record_of

SYSTEMS = {
    "name": "viewed",
    "dataset": {"name": "synthetic"},
    "split": {"folds": 2},
    "systems": {
        name: {"model": {"name": name}, "metric": {"composition": "reconstruction"}}
        for name in ("ae", "vae")
    },
}


class CountingFolder(LocalFolder):
    """A folder on a disk that knows what was read of it."""

    def __init__(self, root: Path, paths: list[str] | None = None) -> None:
        super().__init__(root)
        self.paths = [] if paths is None else paths

    def read(self, path: str) -> bytes:
        self.paths.append(path)
        return super().read(path)

    def folder(self, path: str) -> "CountingFolder":
        return CountingFolder(self._root / path, self.paths)


def commit(ledger: Ledger, name: str, fold: int) -> None:
    manifest = FoldManifest(name, fold, "completed", "", 1, 2, {})
    ledger.commit_fold(manifest, {"model.json": json_file({})})


def test_a_trial_is_seen_from_its_proposal_to_its_end(folder: Folder) -> None:
    write_study(folder)
    view, ledger, trial = LedgerView(folder), Ledger(folder.folder("ledger")), proposed(0)
    begun = view.read()
    assert (begun.ended, begun.running) == ((), ())
    versions = [begun.version]

    ledger.record_proposal(Proposal(trial, 0, (), 7))
    (running,) = view.read().running
    assert (running.trial, running.decisions, running.committed) == (trial, (), 0)
    versions.append(view.read().version)

    decision = RungDecision(trial.name, 3, 0.5, goes_on=True, order=0)
    ledger.record_decision(decision)
    (running,) = view.read().running
    assert running.decisions == view.read().decisions == (decision,)
    versions.append(view.read().version)

    commit(ledger, trial.name, 0)
    assert view.read().running[0].committed == 1
    versions.append(view.read().version)

    commit(ledger, trial.name, 1)
    record = record_of(trial, values=[(3, 0.5), (9, 0.75)])
    ledger.record_trial(record)
    state = view.read()
    assert state.running == ()
    assert state.ended == tuple(ledger.trials())
    assert state.decisions == (decision,)
    assert len({*versions, state.version}) == 5
    assert view.read() == state


def test_what_has_ended_is_read_once(tmp_path: Path) -> None:
    results = CountingFolder(tmp_path)
    write_study(results)
    ledger, view = Ledger(LocalFolder(tmp_path / "ledger")), LedgerView(results)
    for number in range(3):
        ledger.record_trial(record_of(proposed(number), values=[(1, 0.5)]))
    view.read()
    results.paths.clear()
    ledger.record_trial(record_of(proposed(3), values=[(1, 0.25)]))
    assert len(view.read().ended) == 4
    assert results.paths == [STUDY, "trial-00003/trial.json"]


def test_systems_run_as_soon_as_a_fold_is_committed_and_repetitions_are_left_out(
    tmp_path: Path,
) -> None:
    results = LocalFolder(tmp_path)
    write_study(results, SYSTEMS)
    source = SystemList(check_study(SYSTEMS, "viewed.yaml"))
    trials = [source.next_trial({}, set()) for _ in range(2)]
    ledger = Ledger(results.folder("ledger"))
    commit(ledger, "trial-00001", 0)
    commit(ledger, "trial-1000001", 0)
    (running,) = LedgerView(results).read().running
    assert running.trial == trials[1]
    assert running.committed == 1


def test_damage_is_named_and_hides_no_other_trial(tmp_path: Path) -> None:
    results = LocalFolder(tmp_path)
    ledger = write_study(results)
    for number in range(2):
        ledger.record_trial(record_of(proposed(number), values=[(1, 0.5)]))
    results.write("ledger/trial-00000/trial.json", b"{}")
    state = LedgerView(results).read()
    assert [record.name for record in state.ended] == ["trial-00001"]
    assert len(state.damaged) == 1
    assert "trial-00000/trial.json" in state.damaged[0]


def test_a_study_that_was_started_anew_is_read_anew(tmp_path: Path) -> None:
    results = LocalFolder(tmp_path)
    write_study(results)
    view, ledger = LedgerView(results), Ledger(results.folder("ledger"))
    ledger.record_trial(record_of(proposed(0), values=[(1, 0.5)]))
    before = view.read()
    results.remove("ledger")
    write_study(results, {**SEARCH, "seed": 1})
    ledger.record_trial(record_of(proposed(0), values=[(1, 0.875)]))
    after = view.read()
    assert [record.best_value for record in (*before.ended, *after.ended)] == [0.5, 0.875]
    assert before.version != after.version


def test_what_holds_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is no study"):
        LedgerView(LocalFolder(tmp_path)).read()
