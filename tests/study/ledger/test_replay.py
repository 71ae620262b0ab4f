"""What a study takes over from other results of the same study."""

from collections.abc import Callable
from pathlib import Path

import pytest

from study.config.schema import Study
from study.errors import RequestError
from study.ledger.ledger import Ledger
from study.ledger.replay import copy_decisions, known_proposals, refuse_other_trials
from study.ledger.run_time import RunTime, stored_seconds
from study.search.sources import Search
from study.search.trial import Proposal, RungDecision, Trial
from study.storage.folder import Folder, LocalFolder
from tests.study.trials import record_of, trial_of

Tiny = Callable[..., Study]


@pytest.fixture
def study(tiny_study: Tiny) -> Study:
    space = {"model.beta": {"loguniform": [1e-6, 1e-1]}}
    return tiny_study(search={"trials": 4, "space": space, "startup_trials": 1})


def trial(study: Study, number: int, beta: float) -> Trial:
    return trial_of(study, number, {"model.beta": beta})


@pytest.fixture
def replayed(study: Study, tmp_path: Path) -> Folder:
    """Three trials, the first from before proposals were written down; one was stopped."""
    folder = LocalFolder(tmp_path / "replayed")
    ledger = Ledger(folder.folder("ledger"))
    trials = [trial(study, number, 10.0 ** -(number + 1)) for number in range(3)]
    ledger.record_trial(record_of(trials[0], values=[(2, 0.5)]))
    ledger.record_proposal(Proposal(trials[1], 1, [], 5))
    ledger.record_proposal(Proposal(trials[2], 1, [trials[1].name], 6))
    ledger.record_decision(RungDecision(trials[1].name, 2, 0.25, goes_on=False, order=0))
    return folder


def test_trials_and_decisions_are_taken_over_and_what_follows_is_proposed(
    study: Study, replayed: Folder, tmp_path: Path
) -> None:
    results = LocalFolder(tmp_path / "results")
    copy_decisions(replayed, results)
    ledger = Ledger(results.folder("ledger"))
    assert ledger.trials() == []
    assert ledger.decisions() == Ledger(replayed.folder("ledger")).decisions()
    source = Search(study, known_proposals(ledger, ()), ledger.record_proposal)
    taken = [source.next_trial({}, set()) for _ in range(4)]
    assert taken[:3] == [trial(study, number, 10.0 ** -(number + 1)) for number in range(3)]
    assert isinstance(taken[3], Trial)
    assert [proposal.trial for proposal in ledger.proposals()] == taken


def test_an_interrupted_replay_goes_on(study: Study, replayed: Folder, tmp_path: Path) -> None:
    results = LocalFolder(tmp_path / "results")
    copy_decisions(replayed, results)
    ledger = Ledger(results.folder("ledger"))
    own = RungDecision("trial-00002", 2, 0.75, goes_on=True, order=1)
    ledger.record_decision(own)
    before = ledger.proposals()
    refuse_other_trials(results, replayed)
    copy_decisions(replayed, results)
    assert ledger.proposals() == before
    assert ledger.decisions()[-1] == own


def test_a_trial_of_which_one_decision_was_taken_over_has_its_others_too(
    replayed: Folder, tmp_path: Path
) -> None:
    """It was interrupted between the two decisions of one trial."""
    later = RungDecision("trial-00001", 4, 0.5, goes_on=False, order=1)
    source = Ledger(replayed.folder("ledger"))
    source.record_decision(later)
    results = LocalFolder(tmp_path / "results")
    target = Ledger(results.folder("ledger"))
    target.record_decision(source.decisions()[0])
    copy_decisions(replayed, results)
    assert target.decisions() == source.decisions()
    assert target.decisions()[-1] == later


def test_the_time_that_the_search_took_is_taken_over(replayed: Folder, tmp_path: Path) -> None:
    readings = iter((0.0, 90.0, 90.0))
    RunTime(Ledger(replayed.folder("ledger")), lambda: next(readings)).save()
    results = LocalFolder(tmp_path / "results")
    copy_decisions(replayed, results)
    assert stored_seconds(Ledger(results.folder("ledger"))) == 90.0


def test_other_trials_are_refused(study: Study, replayed: Folder, tmp_path: Path) -> None:
    results = LocalFolder(tmp_path / "results")
    refuse_other_trials(results, replayed)
    Ledger(results.folder("ledger")).record_proposal(Proposal(trial(study, 1, 0.02), 0, (), 5))
    with pytest.raises(RequestError, match="trial-00001 has other settings than in"):
        refuse_other_trials(results, replayed)


def test_systems_and_repetitions_are_no_proposals(study: Study, tmp_path: Path) -> None:
    records = [
        record_of(trial_of(study, 0, system="a")),
        record_of(trial_of(study, 1, is_repetition=True)),
    ]
    assert known_proposals(Ledger(LocalFolder(tmp_path)), records) == []
