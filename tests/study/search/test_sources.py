import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.config.schema import Study
from study.config.study_file import check_study, configure
from study.ledger.ledger import State, TrialRecord
from study.search.sources import TWIN, History, best_trial, missing_trials, propose

SPACE = {
    "model.beta": {"loguniform": [1e-6, 0.1]},
    "model.latent_size": {"int": [2, 12]},
    "model.latent": {"choice": ["mean", "sampled"]},
    "training.optimizer.learning_rate": {"uniform": [1e-5, 1e-2]},
}


def searched(space: dict[str, Any] = SPACE, seed: int = 0, startup: int = 4) -> Study:
    search = {"space": space, "startup_trials": startup, "trials": 100}
    model = {"name": "beta_vaegan"}
    dataset = {"name": "synthetic"}
    content = {"name": "s", "dataset": dataset, "model": model, "search": search, "seed": seed}
    return check_study(content, "s")


def ended(study: Study, count: int, state: Callable[[int], State] | None = None) -> list[Any]:
    """The first trials of a search whose score is best at beta = 1e-4."""
    records: list[TrialRecord] = []
    for number in range(count):
        parameters = propose(study, number, records)
        score = -abs(math.log10(parameters["model.beta"]) + 4)
        how = state(number) if state else "completed"
        values = [] if how == "failed" else [(2, score - 0.1), (4, score)]
        records.append(TrialRecord(number, parameters, how, "", values, number))
    return records


def test_no_space_proposes_nothing() -> None:
    assert propose(searched({}), 3, []) == {}


@given(st.integers(0, 2**63 - 1), st.integers(0, 99_999))
@settings(max_examples=25, deadline=None)
def test_proposals_lie_in_the_space_and_make_a_study(seed: int, number: int) -> None:
    study = searched(seed=seed)
    proposed = propose(study, number, [])
    assert proposed.keys() == SPACE.keys()
    assert 1e-6 <= proposed["model.beta"] <= 0.1
    assert 2 <= proposed["model.latent_size"] <= 12
    assert isinstance(proposed["model.latent_size"], int)
    assert proposed["model.latent"] in ("mean", "sampled")
    assert 1e-5 <= proposed["training.optimizer.learning_rate"] <= 1e-2
    trial = configure(study, proposed)
    assert trial.model.beta == proposed["model.beta"]  # type: ignore[union-attr]


def test_a_proposal_is_a_function_of_what_it_is_given() -> None:
    study = searched()
    records = ended(study, 12)
    assert propose(study, 12, records) == propose(study, 12, list(records))
    np.random.seed(3)  # noqa: NPY002 - the global stream must not matter
    first = propose(study, 12, records)
    np.random.seed(4)  # noqa: NPY002
    assert propose(study, 12, records) == first


@given(st.lists(st.integers(1, 6), min_size=2, max_size=6), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_a_history_changes_no_proposal(steps: list[int], seed: int) -> None:
    study = searched(seed=seed)
    ways: tuple[State, ...] = ("completed", "completed", "pruned", "failed")
    records = ended(study, sum(steps), lambda number: ways[(number + seed) % 4])
    history = History(study)
    known = 0
    for step in steps:
        known += step
        for number in (known, known + 1):
            first = propose(study, number, records[:known])
            assert propose(study, number, records[:known], history) == first


def test_numbers_and_seeds_draw_differently() -> None:
    betas = {propose(searched(), number, [])["model.beta"] for number in range(10)}
    assert len(betas) == 10
    assert propose(searched(seed=1), 0, []) != propose(searched(seed=2), 0, [])


def test_records_are_left_as_they_were() -> None:
    study = searched()
    records = ended(study, 6)
    before = [(dict(r.parameters), list(r.values)) for r in records]
    propose(study, 6, records)
    assert [(r.parameters, r.values) for r in records] == before


@pytest.mark.parametrize("state", ["completed", "pruned", "failed"])
def test_every_end_of_a_trial_is_taken(state: State) -> None:
    study = searched()
    records = ended(study, 8, lambda number: state if number % 2 else "completed")
    assert propose(study, 8, records).keys() == SPACE.keys()
    assert propose(study, 8, ended(study, 8, lambda _: state)).keys() == SPACE.keys()


def test_pruned_trials_without_values_are_taken() -> None:
    study = searched()
    first = propose(study, 0, [])
    records = [TrialRecord(n, first, "pruned", "", [], n) for n in range(6)]
    assert propose(study, 6, records).keys() == SPACE.keys()


def test_values_matter_after_the_startup_trials_and_not_before() -> None:
    study = searched(startup=6)
    records = ended(study, 12)
    turned = [
        TrialRecord(r.number, r.parameters, r.state, "", [(e, -v) for e, v in r.values], r.number)
        for r in records
    ]
    assert propose(study, 5, records[:5]) == propose(study, 5, turned[:5])
    assert propose(study, 12, records) != propose(study, 12, turned)


def test_the_search_finds_the_good_region() -> None:
    """TPE's later betas lie nearer to the best one than what is drawn at random."""
    study = searched({"model.beta": SPACE["model.beta"]}, startup=8)
    records = ended(study, 30)
    distance = [abs(math.log10(r.parameters["model.beta"]) + 4) for r in records]
    random = [
        abs(math.log10(propose(study, number, [])["model.beta"]) + 4) for number in range(300, 340)
    ]
    assert np.median(distance[15:]) < 0.6 * np.median(random)


def test_higher_is_better() -> None:
    space = {"model.beta": {"uniform": [0.0, 1.0]}}
    study = searched(space, startup=4)
    records = [
        TrialRecord(n, {"model.beta": n / 20}, "completed", "", [(1, float(n > 15))], n)
        for n in range(20)
    ]
    proposed = [propose(study, number, records)["model.beta"] for number in range(20, 40)]
    assert np.median(proposed) > 0.7


def beside(trials: int, **parts: Any) -> Study:
    content = {
        "name": "s",
        "dataset": {"name": "synthetic"},
        "model": {"name": "beta_vaegan"},
        "split": {"protocol": "paper", "beside": "inter_patient"},
        "search": {"trials": trials, "space": {"model.beta": SPACE["model.beta"]}},
    }
    return check_study(content | parts, "s")


def test_the_best_trial_is_run_under_the_second_protocol_when_all_have_ended() -> None:
    study = beside(3)
    records = {
        1: TrialRecord(1, {"model.beta": 1e-1}, "completed", "", [(1, 0.7)]),
        2: TrialRecord(2, {"model.beta": 1e-2}, "pruned", "", [(1, 0.9)]),
    }
    assert missing_trials(study, {}) == {0, 1, 2}
    assert missing_trials(study, records) == {0}
    records[0] = TrialRecord(0, {"model.beta": 1e-3}, "completed", "", [(1, 0.7)])
    assert best_trial(records.values()) == records[0]  # the first of equals
    (number,) = missing_trials(study, records)
    assert number == TWIN
    parameters = propose(study, number, list(records.values()))
    assert parameters == {"model.beta": 1e-3, "split.protocol": "inter_patient"}
    trial = configure(study, parameters)
    assert trial.split.protocols == ("inter_patient",)
    assert trial.model.beta == 1e-3  # type: ignore[union-attr]
    # Whatever it scores, it is no trial of the search.
    records[number] = TrialRecord(number, parameters, "completed", "", [(1, 0.99)])
    assert missing_trials(study, records) == set()
    assert best_trial(records.values()) == records[0]


def test_another_best_trial_gets_a_twin_of_its_own() -> None:
    study = beside(2)
    records = {n: TrialRecord(n, {}, "completed", "", [(1, 0.1 * n)]) for n in (0, 1, TWIN)}
    assert missing_trials(study, records) == {TWIN + 1}


def test_without_a_second_protocol_or_a_completed_trial_there_is_no_twin() -> None:
    failed = {0: TrialRecord(0, {}, "failed", "nan")}
    assert missing_trials(beside(1), failed) == set()
    completed = {0: TrialRecord(0, {}, "completed", "", [(1, 0.5)])}
    assert missing_trials(beside(1, split={"protocol": "paper"}), completed) == set()
