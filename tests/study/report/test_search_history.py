import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers.async_hyperband import _Bracket

from study.config.schema import SearchSettings, StoppingSettings, Study
from study.report.search_history import rungs_table, trials_table
from study.search.trial import Proposal, RungDecision, State, TrialRecord, trial_name
from tests.study.report.trained import FAILURE, Reported
from tests.study.search.searches import ended, searching
from tests.study.trials import record_of, trial_of

STATES: tuple[State, ...] = ("completed", "completed", "pruned", "failed")

STOPPING = StoppingSettings(grace_epochs=2, reduction=2)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), max_size=30), st.integers(2, 5))
def test_cutoffs_are_those_by_which_ray_stops(values: list[float], reduction: int) -> None:
    bracket = _Bracket(min_t=4, max_t=8, reduction_factor=reduction, s=0)
    decisions, cutoffs = [], []
    for order, value in enumerate(values):
        recorded = bracket._rungs[-1][1]
        cutoffs.append(bracket.cutoff(recorded))
        goes_on = cutoffs[-1] is None or value >= cutoffs[-1]
        recorded[trial_name(order)] = value
        decisions.append(RungDecision(trial_name(order), 4, value, goes_on, order))
    made = rungs_table(
        decisions, SearchSettings(stopping=StoppingSettings(grace_epochs=4, reduction=reduction)), 5
    ).to_pylist()
    assert [row["earlier"] for row in made] == list(range(len(values)))
    for row, cutoff in zip(made, cutoffs, strict=True):
        assert row["cutoff"] == pytest.approx(math.nan if cutoff is None else cutoff, nan_ok=True)
        assert row["goes_on"] == (not row["value"] < row["cutoff"])


def test_rungs_ask_for_what_came_to_them_and_not_to_others() -> None:
    decisions = [
        RungDecision("trial-00000", 2, 0.5, True, 0),
        RungDecision("trial-00001", 2, 0.7, True, 1),
        RungDecision("trial-00000", 4, 0.9, True, 2, folds=2),
        RungDecision("trial-00001", 4, 0.8, False, 3),
        RungDecision("trial-00001", 3, 0.7, True, 4, rule="paired"),
        RungDecision("trial-00002", 3, 0.6, False, 5, None, "paired", "trial-00000", 0.01),
        RungDecision("trial-00003", 2, 0.9, False, 6, rule="budget"),
    ]
    made = rungs_table(decisions, SearchSettings(stopping=STOPPING), 5).to_pandas()
    nan = math.nan
    np.testing.assert_array_equal(made["cutoff"], [nan, 0.5, nan, 0.9, nan, nan, 0.6])
    assert made["folds"].tolist() == [5, 5, 2, 5, 5, 5, 5]
    assert made["rule"].tolist() == ["asha"] * 4 + ["paired"] * 2 + ["budget"]
    np.testing.assert_array_equal(made["p"], [nan] * 5 + [0.01, nan])
    assert made["against"].tolist() == [""] * 5 + ["trial-00000", ""]


def test_with_metrics_rungs_ask_for_what_no_worse_trials_had() -> None:
    small, large = {"parameters": 10.0}, {"parameters": 90.0}
    decisions = [
        RungDecision("trial-00000", 2, 0.9, True, 0, objectives=large),
        RungDecision("trial-00001", 2, 0.5, True, 1, objectives=small),
        RungDecision("trial-00002", 2, 0.4, False, 2, objectives=small),
        RungDecision("trial-00003", 2, 0.7, True, 3, objectives=large),
        RungDecision("trial-00004", 2, 0.7, True, 4),  # of before they were written down
        RungDecision("trial-00005", 2, 0.5, False, 5, objectives=small),
    ]
    search = SearchSettings(stopping=STOPPING, metrics=("parameters",))
    made = rungs_table(decisions, search, 5).to_pandas()
    nan = math.nan
    np.testing.assert_allclose(made["cutoff"], [nan, nan, 0.5, 0.5, 0.6, 0.5])
    assert made["earlier"].tolist() == [0, 0, 1, 3, 4, 3]


@pytest.fixture(scope="module")
def eight() -> tuple[Study, list[TrialRecord]]:
    """A study, and its first trials."""
    study = searching()
    return study, ended(study, 8)


@given(orders=st.permutations(range(8)), known=st.integers(0, 7))
def test_the_best_that_a_proposal_knew_is_of_trials_that_had_completed(
    eight: tuple[Study, list[TrialRecord]], orders: list[int], known: int
) -> None:
    study, trials = eight
    records = [
        record_of(trial_of(study, n, each.trial.parameters), STATES[n % 4], each.values, orders[n])
        for n, each in enumerate(trials)
    ]
    proposals = [Proposal(record.trial, known, ("trial-00009",), 3) for record in records]
    made = trials_table(records, proposals).to_pandas()
    of_known = [r for r in records if r.completion_order < known and r.state == "completed"]
    best = max((record.best_value for record in of_known), default=math.nan)
    np.testing.assert_array_equal(made["proposed_best"], [best] * 8)
    assert made["completion_order"].tolist() == list(orders)
    assert set(made["proposed_beside"]) == {"trial-00009"}


def test_a_repetition_is_no_trial_that_a_proposal_could_improve_on() -> None:
    study = searching()
    again = replace(trial_of(study, 0), is_repetition=True)
    records = [
        record_of(trial_of(study, 0), values=[(1, 0.5)], completion_order=0),
        record_of(again, values=[(1, 0.9)], completion_order=1),
        record_of(trial_of(study, 1), values=[(1, 0.6)], completion_order=2),
    ]
    proposals = [Proposal(records[2].trial, 2, (), 3)]
    made = trials_table(records, proposals).to_pandas().set_index("trial")
    assert made["proposed_best"]["trial-00001"] == 0.5


def test_a_study_says_of_each_trial_why_it_exists_and_how_it_ended(searched: Reported) -> None:
    trials = searched.report.tables["trials"].to_pandas().set_index("trial")
    assert trials["state"].tolist() == ["completed", "pruned", "failed"]
    assert trials["reason"].tolist() == ["", "", FAILURE]
    assert trials["sampler_seed"].tolist()[:2] == [7, 8]
    assert pd.isna(trials["sampler_seed"]["trial-00002"])  # it was not proposed
    assert trials["param.model.latent_size"].tolist() == [3, 2, 3]
    best = trials["best_value"]["trial-00000"]
    np.testing.assert_array_equal(trials["proposed_best"], [math.nan, best, math.nan])
    rungs = searched.report.tables["rungs"].to_pandas()
    assert rungs["goes_on"].tolist() == [True, False]


def test_systems_were_not_proposed() -> None:
    study = searching({})
    made = trials_table([record_of(trial_of(study, 0), values=[(1, 0.5), (2, 0.7)])], [])
    (row,) = made.to_pylist()
    assert row["proposed_after"] is None
    assert (row["epochs"], row["best_epoch"], row["best_value"]) == (2, 2, 0.7)
