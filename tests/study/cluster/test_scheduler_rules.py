"""Races of folds, budgets and paired comparisons, beside the rungs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from study.cluster.scheduler import RungScheduler
from study.cluster.slots import Slots
from study.cluster.tune_search import search_state
from study.config.schema import BudgetSettings, Study
from study.ledger.trial_outcome import split_by_completeness
from study.request import Request
from study.search.budget import Budget
from study.search.paired import p_of_no_worse
from study.search.trial import Proposal, State, Trial
from study.storage.folder import LocalFolder
from tests.study.cluster.scheduling import CONTINUE, STOP, Run, commit_fold
from tests.study.cluster.searches import Seen, state_of
from tests.study.search.searches import searching
from tests.study.trials import record_of, trial_of


def test_a_race_writes_down_of_how_many_folds_a_value_is_and_counts_what_goes_on(
    tmp_path: Path,
) -> None:
    stopping = {"grace_epochs": 2, "reduction": 2, "folds": [1, 2]}
    study = searching({}, trials=4, stopping=stopping)
    study = study.model_copy(
        update={"split": study.split.model_copy(update={"folds": 3}),
                "training": study.training.model_copy(update={"epochs": 6})}
    )  # fmt: skip
    state = state_of(study, tmp_path)
    state.slots = Slots(state.slots.schedule, 5)
    run = Run(state, study)
    good, bad = run.trial(0), run.trial(1)
    for trial in (good, bad):
        state.slots.start(run.start(trial))
    assert run.report(good, 2, 0.6) == CONTINUE
    assert run.report(good, 4, 0.7) == CONTINUE
    assert run.report(bad, 2, 0.4) == STOP
    assert [each.folds for each in state.ledger.decisions()] == [1, 2, 1]
    assert state.slots.has_room()  # three folds of one trial and one of the other
    state.slots.start(run.start(run.trial(2)))
    assert not state.slots.has_room()
    # What one has that was stopped is one fold; one that goes on is to have all.
    ledger, ended = state.ledger, {good.name: (3, None), bad.name: (1, 1)}
    for trial in (good, bad):
        folds, recorded = ended[trial.name]
        kind: State = "completed" if trial is good else "pruned"
        last = 6 if trial is good else 2
        for address in trial.folds[:folds]:
            commit_fold(ledger, address, [0.1 * address.fold] * last, kind)
        state.take(trial, {"epoch": last, "state": kind, "value": 0.9})
        state.finalize(trial)
        record = state.ended[trial.name]
        assert (record.state, record.num_folds) == (kind, recorded)
        assert record.folds == trial.folds[:folds]
        mean = sum(0.1 * fold for fold in range(folds)) / folds  # not what was reported before
        assert record.values == [(e, pytest.approx(mean)) for e in range(1, last + 1)]
        assert ledger.trial(trial.name) == record
    assert split_by_completeness(ledger)[1] == []


def test_all_folds_from_the_start_write_what_they_always_wrote(tmp_path: Path) -> None:
    """The same decisions, byte by byte, whether `folds` names all of them or is left out."""
    written = []
    for folds in ([], [5, 5]):
        stopping = {"grace_epochs": 2, "reduction": 2, "folds": folds}
        folder = tmp_path / str(len(folds))
        run = Run(state_of(searching({}, stopping=stopping), folder), searching({}))
        for number, value in enumerate((0.5, 0.7, 0.4, 0.6)):
            run.report(run.start(run.trial(number)), 2, value)
        written.append({path.name: path.read_bytes() for path in folder.rglob("rung-*.json")})
        assert all(b"folds" not in content for content in written[-1].values())
    assert written[0] == written[1]


def test_a_spent_budget_stops_what_runs_at_its_next_rung_once_a_trial_has_completed(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    study, seconds = tiny_study(search={"trials": 4}, training={"epochs": 6}), [0.0]
    run = Run(state_of(study, tmp_path), study)
    run.state.budget = Budget(BudgetSettings(hours=1), lambda: seconds[0])
    first, second = run.start(run.trial(0)), run.start(run.trial(1))
    assert run.report(first, 2, 0.6) == CONTINUE
    seconds[0] = 3601.0
    assert run.report(second, 1, 0.7) == CONTINUE
    assert run.report(second, 2, 0.7) == CONTINUE  # something must complete
    assert run.report(second, 6, 0.7, "completed") == CONTINUE
    run.state.ended[second.name] = record_of(second, values=[(6, 0.7)])
    assert run.report(first, 3, 0.9) == CONTINUE
    assert run.report(first, 4, 0.9) == STOP
    assert run.messages.sent[-1] == ("stop_trial", first.name, 4)
    assert [each.rule for each in run.state.ledger.decisions()] == [None, None, "budget"]
    # Who takes over with more of it decides nothing twice.
    seconds[0] = 0.0
    again = Run(run.state, run.study)
    assert again.report(first, 4, 0.9) == STOP


def test_a_budget_is_spent_though_the_best_trial_has_lost_a_fold(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    """It is the only one that has completed; a driver that takes over proposes none, as before."""
    search = {"trials": 4, "budget": {"without_improvement": 1}}
    study = tiny_study(search=search, training={"epochs": 6})
    request = Request(study, LocalFolder(tmp_path), Console(), fresh=False)
    trials, ledger = [trial_of(study, number) for number in range(3)], request.ledger
    for trial in trials:
        ledger.record_proposal(Proposal(trial, 0, (), 0))
    ledger.record_trial(record_of(trials[0], values=[(6, 0.9)]))  # no fold of it is there
    commit_fold(ledger, trials[1].folds[0], [0.1], "failed")
    ledger.record_trial(record_of(trials[1], "failed", completion_order=1))
    state = search_state(study, request.results, ledger, Seen())
    assert list(state.ended) == [trials[1].name]
    left = [trials[0].name, trials[2].name]
    assert state.source.missing(state.ended) == request.missing() == left
    run = Run(state, study)
    assert run.report(run.start(trials[2]), 2, 0.7) == STOP
    assert [each.rule for each in ledger.decisions()] == ["budget"]


def test_between_rungs_a_trial_ends_that_is_worse_than_the_best_fold_by_fold(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    """Rungs at 2 and 4, comparisons at 3 and 5, of six epochs and three folds."""
    paired = {"test": "corrected_t", "level": 0.05, "interval": 1}
    stopping = {"grace_epochs": 2, "reduction": 2, "paired": paired}
    study = tiny_study(
        search={"trials": 4, "stopping": stopping}, training={"epochs": 6}, split={"folds": 3}
    )
    run = Run(state_of(study, tmp_path), study)
    ratio = 0.5

    def report(trial: Trial, epoch: int, folds: list[float]) -> str:
        values = {f"fold-{fold}/value": value for fold, value in enumerate(folds)}
        return run.report(trial, epoch, sum(folds) / 3, **values)

    def scheduler() -> RungScheduler:
        return RungScheduler(run.state, study.search.stopping, run.messages, ratio)

    run.scheduler = scheduler()
    early = run.start(run.trial(3))
    assert report(early, 3, [0.0, 0.0, 0.0]) == CONTINUE  # nothing has completed
    assert run.messages.sent == [("promote", early.name, 3)]
    best, ledger = run.trial(0), run.state.ledger
    of_best = [0.8, 0.6, 0.7]
    for address, value in zip(best.folds, of_best, strict=True):
        commit_fold(ledger, address, [value] * 6)
    run.state.ended[best.name] = record_of(best, values=[(6, 0.7)])
    # Far better on one fold and worse on two; worse on all, by about as much.
    mixed, worse = run.start(run.trial(1)), run.start(run.trial(2))
    assert report(mixed, 3, [0.7, 0.5, 0.9]) == CONTINUE
    folds = [0.61, 0.4, 0.52]
    assert report(worse, 3, folds) == STOP
    assert run.messages.sent[-1] == ("stop_trial", worse.name, 3)
    decisions = ledger.decisions()
    assert [(each.rule, each.against, each.goes_on) for each in decisions] == [
        ("paired", None, True),
        ("paired", best.name, True),
        ("paired", best.name, False),
    ]
    assert decisions[-1].p == p_of_no_worse(folds, of_best, "corrected_t", ratio)
    # The best lost its first fold: others are held against it on those that are left.
    run.state.incomplete[best.name] = run.state.ended.pop(best.name)
    (tmp_path / "ledger" / best.folds[0].path / "manifest.json").unlink()
    run.scheduler = scheduler()
    other = run.start(run.trial(3))
    report(other, 5, [0.9, 0.4, 0.52])
    (compared,) = [each for each in ledger.decisions() if each not in decisions]
    assert compared.against == best.name
    assert compared.p == p_of_no_worse([0.4, 0.52], of_best[1:], "corrected_t", ratio)
    decisions = ledger.decisions()
    # Whoever takes over decides nothing twice, whatever is best by then.
    run.state.ended.clear()
    run.scheduler = scheduler()
    run.state.stopped.clear()
    assert report(run.start(run.trial(2)), 3, folds) == STOP
    assert ledger.decisions() == decisions
