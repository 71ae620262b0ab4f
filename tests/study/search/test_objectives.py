"""Searches that improve several metrics."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from study.config.samplers import SAMPLERS
from study.errors import RequestError
from study.report.front import front_table
from study.search.objectives import hypervolume, losses, objective_values, on_front
from study.search.proposals import Proposals
from study.search.trial import TrialRecord
from tests.study.search.searches import BETA, searching
from tests.study.trials import record_of, trial_of

METRICS = ("auroc", "bytes")
TAKE_METRICS = [n for n, entry in SAMPLERS.items() if entry.takes_metrics and n != "gp"]
"""But the one whose proposals take seconds."""
points = arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 3)),
                       elements=st.integers(0, 4).map(float))  # fmt: skip


def study_of(sampler: str = "tpe", **search: Any) -> Any:
    return searching(BETA, sampler=sampler, metrics=METRICS, startup_trials=3, **search)


def records_of(count: int) -> list[TrialRecord]:
    """The metric rises with beta, AUROC falls; the file is small where beta is small."""
    study, records = study_of(), []
    for number in range(count):
        beta = 10.0 ** -(1 + number * 5 / count)
        state: Any = ("completed", "completed", "pruned")[number % 3]
        record = record_of(trial_of(study, number, {"model.beta": beta}), state,
                           [(2, beta)], number)  # fmt: skip
        records.append(replace(record, objectives={"auroc": 1 - beta, "bytes": 1000 * beta}))
    return records


@given(points)
def test_the_front_is_what_no_other_beats(values: Any) -> None:
    expected = [
        not any((a <= b).all() and (a < b).any() for a in values) for b in values
    ]  # fmt: skip
    assert on_front(values).tolist() == expected


@given(points)
def test_hypervolume_counts_the_cells_that_are_dominated(values: Any) -> None:
    """By brute force: unit cells below the reference of which some point is the lower corner."""
    reference = np.full(values.shape[1], 4.0)
    cells = itertools.product(range(4), repeat=values.shape[1])
    dominated = sum(any((point <= cell).all() for point in values) for cell in cells)
    assert hypervolume(values, reference) == pytest.approx(dominated)


def test_what_is_smaller_where_better_is_told_apart() -> None:
    record = records_of(1)[0]
    assert objective_values(record, METRICS) == [0.1, 0.9, 100.0]
    assert losses([record], METRICS).tolist() == [[-0.1, -0.9, 100.0]]
    assert not on_front(losses([replace(record, objectives={})], METRICS))[0]


@pytest.mark.parametrize("sampler", TAKE_METRICS)
def test_proposals_lie_in_the_space(sampler: str) -> None:
    study = study_of(sampler)
    proposals = Proposals(study)
    proposals.learn(records_of(9))
    beta = proposals.propose(9, "trial-00009")["model.beta"]
    assert study.search.space["model.beta"].contains(beta)


@pytest.mark.parametrize("sampler", [n for n in TAKE_METRICS if not SAMPLERS[n].remembers])
def test_what_is_learned_at_once_or_as_it_is_watched_proposes_the_same(sampler: str) -> None:
    records, study = records_of(9), study_of(sampler)
    at_once, watching = Proposals(study), Proposals(study)
    at_once.learn(records)
    for record in records:
        watching.start(record.trial)
        watching.learn([record])
    assert watching.propose(9, "trial-00009") == at_once.propose(9, "trial-00009")


def test_other_metrics_change_what_is_proposed() -> None:
    records = records_of(12)
    several, one = Proposals(study_of()), Proposals(study_of().model_copy(
        update={"search": study_of().search.model_copy(update={"metrics": ()})}))  # fmt: skip
    for proposals in (several, one):
        proposals.learn(records)
    assert several.propose(12, "trial-00012") != one.propose(12, "trial-00012")


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"metrics": ["f1_weighted"]}, r"must differ, and from search\.metric, f1_weighted"),
        ({"metrics": ["bytes", "bytes"]}, "must differ"),
        ({"metrics": ["bytes"], "sampler": "cmaes"}, r"cmaes improves search\.metric alone"),
        ({"metrics": ["speed"]}, "microseconds"),
    ],
)
def test_metrics_that_cannot_be_are_refused(search: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        searching(BETA, **search)


def test_the_table_has_completed_trials_and_the_front() -> None:
    table = front_table(records_of(12), study_of().search).to_pandas()
    assert len(table) == 8
    assert table.columns.tolist() == ["trial", "on_front", "hypervolume", "value", *METRICS]
    assert table["on_front"].all()  # what is better in one is worse in the others
    assert front_table(records_of(12), searching(BETA).search).num_rows == 0


def dominated(points: Any) -> float:
    """Share of the unit box that points in it dominate: of the cells between their coordinates."""
    edges = [np.unique([*each, 1.0]) for each in points.T]
    cells = itertools.product(*(itertools.pairwise(each) for each in edges))
    corners = np.array([list(zip(*cell, strict=True)) for cell in cells])  # (cells, 2, d)
    sizes = np.prod(corners[:, 1] - corners[:, 0], axis=1)
    is_dominated = [(points <= corner).all(axis=1).any() for corner in corners[:, 0]]
    return float(sizes[is_dominated].sum())


def test_each_trial_adds_what_no_earlier_one_dominates() -> None:
    random, study = np.random.default_rng(0), study_of()
    value, auroc, size = random.integers(0, 6, (3, 12)).astype(float)
    order = random.permutation(12)
    records = [
        replace(
            record_of(trial_of(study, n), values=[(2, value[n])], completion_order=order[n]),
            objectives={"auroc": auroc[n], "bytes": size[n]},
        )
        for n in range(12)
    ]
    losses = np.stack([-value, -auroc, size], axis=1)[np.argsort(order)]
    points = (losses - losses.min(axis=0)) / np.ptp(losses, axis=0)
    expected = [dominated(points[: count + 1]) for count in range(12)]
    table = front_table(records, study.search).to_pandas()
    assert table["trial"].tolist() == [records[n].name for n in np.argsort(order)]
    np.testing.assert_allclose(table["hypervolume"], expected, atol=1e-12)
    is_beaten = [((losses <= a).all(axis=1) & (losses < a).any(axis=1)).any() for a in losses]
    np.testing.assert_array_equal(table["on_front"], ~np.array(is_beaten))
    assert 0 < sum(is_beaten) < 12
    assert 1 < len(set(expected)) < 12  # some add something, and some nothing
