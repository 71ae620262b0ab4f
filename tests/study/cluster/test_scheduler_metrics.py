"""Who goes on at a rung where the search improves several metrics."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.cluster.scheduler import RungScheduler
from study.config.schema import Study
from study.report.search_history import rungs_table
from study.search.objectives import other_bounds, other_losses
from study.search.rungs import AtRung, cutoff, no_worse
from study.search.trial import Trial
from tests.study.cluster.scheduling import CONTINUE, STOP, Run, commit_fold
from tests.study.cluster.test_scheduler_rules import state_of
from tests.study.trials import record_of

METRICS = ("parameters", "auroc")
LARGE, SMALL = {"parameters": 1000.0, "auroc": 0.9}, {"parameters": 10.0, "auroc": 0.9}


@pytest.fixture
def study(tiny_study: Callable[..., Study]) -> Study:
    stopping = {"grace_epochs": 2, "reduction": 2}
    search: dict[str, Any] = {"trials": 6, "stopping": stopping, "metrics": METRICS}
    return tiny_study(search=search, training={"epochs": 6}, split={"folds": 1})


def test_a_trial_is_held_only_against_those_that_are_no_worse_in_anything_else(
    study: Study, tmp_path: Path
) -> None:
    run = Run(state_of(study, tmp_path), study)
    first, second, third, fourth, fifth = (run.start(run.trial(number)) for number in range(5))
    assert run.report(first, 2, 0.9, **LARGE) == CONTINUE
    assert run.report(second, 2, 0.5, **SMALL) == CONTINUE  # worse than what is larger
    assert run.report(third, 2, 0.4, **SMALL) == STOP  # and than what is as small
    assert run.report(fourth, 2, 0.4, parameters=10.0, auroc=0.91) == CONTINUE  # AUROC is better
    assert run.report(fifth, 2, 0.44, **LARGE) == STOP  # of 0.9, 0.5, 0.4 and 0.4
    assert [each.goes_on for each in run.state.ledger.decisions()] == [True, True, False, True,
                                                                       False]  # fmt: skip


def test_who_takes_over_knows_what_the_rung_held(study: Study, tmp_path: Path) -> None:
    run = Run(state_of(study, tmp_path), study)
    small, large = run.start(run.trial(0)), run.start(run.trial(1))
    assert run.report(small, 2, 0.5, **SMALL) == CONTINUE
    assert run.report(large, 2, 0.9, **LARGE) == CONTINUE
    again = Run(run.state, study)
    for number, value, parameters, becomes in (
        (2, 0.6, LARGE, STOP),
        (3, 0.6, SMALL, CONTINUE),
        (4, 0.4, SMALL, STOP),
    ):
        assert again.report(again.start(again.trial(number)), 2, value, **parameters) == becomes
    assert run.state.ledger.decisions()[0].objectives == SMALL


def test_what_is_not_known_of_a_trial_keeps_it_from_no_comparison(
    study: Study, tmp_path: Path
) -> None:
    """A decision of before its metrics were written down counts for all; a report without, too.

    So does AUROC that is not a number. Whoever takes over decides the same.
    """
    for name, takes_over in (("undisturbed", False), ("resumed", True)):
        run = Run(state_of(study, tmp_path / name), study)
        assert run.report(run.start(run.trial(0)), 2, 0.9) == CONTINUE
        for number, metrics in ((1, SMALL), (2, {}), (3, SMALL | {"auroc": math.nan})):
            run = Run(run.state, study) if takes_over else run
            assert run.report(run.start(run.trial(number)), 2, 0.5 / number, **metrics) == STOP
        table = rungs_table(run.state.ledger.decisions(), study.search, 1).to_pandas()
        assert (table["goes_on"] == ~(table["value"] < table["cutoff"])).all()


def test_between_rungs_it_is_compared_with_the_best_of_those_alone(
    study: Study, tmp_path: Path
) -> None:
    paired = {"test": "corrected_t", "level": 0.2, "interval": 1}
    content = study.search.stopping.model_dump() | {"paired": paired}  # type: ignore[union-attr]
    stopping = type(study.search.stopping).model_validate(content)  # type: ignore[union-attr]
    study = study.model_copy(
        update={"search": study.search.model_copy(update={"stopping": stopping}),
                "split": study.split.model_copy(update={"folds": 3})}
    )  # fmt: skip
    run = Run(state_of(study, tmp_path), study, stopping)
    run.scheduler = RungScheduler(run.state, stopping, run.messages, 0.5, METRICS)
    best = run.trial(0)
    for address in best.folds:
        commit_fold(run.state.ledger, address, [0.9] * 6, auroc=0.8)
    record = record_of(best, values=[(6, 0.9)])
    run.state.ended[best.name] = replace(record, objectives=LARGE)  # AUROC 0.9, at its best epoch

    def report(trial: Trial, folds: Sequence[float], **kept: float) -> str:
        values = {f"fold-{fold}/value": value for fold, value in enumerate(folds)}
        return run.report(trial, 3, float(np.mean(folds)), **values, **kept)

    worse = [0.5, 0.51, 0.52]
    assert report(run.start(run.trial(1)), worse, parameters=10.0, auroc=0.7) == CONTINUE
    assert report(run.start(run.trial(2)), worse, parameters=1000.0, auroc=0.85) == CONTINUE
    assert report(run.start(run.trial(3)), worse, parameters=1000.0, auroc=0.8) == STOP


def test_measurements_of_the_same_microseconds_are_as_good() -> None:
    one = other_losses({"microseconds": 100.0}, ["microseconds"])
    assert no_worse([AtRung(0.5, one)], other_bounds({"microseconds": 95.0}, ["microseconds"]))
    assert not no_worse([AtRung(0.5, one)], other_bounds({"microseconds": 80.0}, ["microseconds"]))
    sizes = other_losses({"bytes": 100.0}, ["bytes"])
    assert not no_worse([AtRung(0.5, sizes)], other_bounds({"bytes": 99.0}, ["bytes"]))


values = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=12)


@given(values, st.integers(2, 4))
def test_with_metrics_that_are_all_alike_it_is_ashas_rule(
    came: list[tuple[int, int]], reduction: int
) -> None:
    before: list[AtRung] = []
    for value, _ in came:
        expected = not before or value >= np.percentile([b.value for b in before],
                                                        100 * (1 - 1 / reduction))  # fmt: skip
        assert (not value < cutoff(no_worse(before, (1.0,)), reduction)) == expected
        before.append(AtRung(value, (1.0,)))


@given(values, st.integers(2, 4))
def test_what_no_other_beats_is_never_stopped(came: list[tuple[int, int]], reduction: int) -> None:
    trials = [AtRung(value, (float(loss),)) for value, loss in came]
    *before, last = trials
    is_beaten = any(
        each.value >= last.value and each.losses <= last.losses and each != last for each in before
    )
    assert is_beaten or not last.value < cutoff(no_worse(before, last.losses), reduction)
