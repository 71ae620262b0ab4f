import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.schema import Study
from study.config.trial_config import TrialConfig
from study.search.proposals import Proposals
from study.search.trial import State, TrialRecord, trial_name
from tests.study.search.searches import BETA, SPACE, ended, searching, watched
from tests.study.trials import record_of, trial_of


def propose(study: Study, number: int, records: Sequence[TrialRecord] = ()) -> dict[str, Any]:
    """What a driver proposes that has just started."""
    proposals = Proposals(study)
    proposals.learn(records)
    return proposals.propose(number, trial_name(number))


def test_no_space_proposes_nothing() -> None:
    assert propose(searching({}), 3) == {}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@given(st.integers(0, 2**63 - 1), st.integers(0, 99_999))
def test_proposals_lie_in_the_space_and_make_a_trial(sampler: str, seed: int, number: int) -> None:
    study = searching(seed=seed, sampler=sampler)
    proposed = propose(study, number)
    assert proposed.keys() == SPACE.keys()
    assert 1e-6 <= proposed["model.beta"] <= 0.1
    assert 2 <= proposed["model.latent_size"] <= 12
    assert isinstance(proposed["model.latent_size"], int)
    assert proposed["model.latent"] in ("mean", "sampled")
    assert 1e-5 <= proposed["training.optimizer.learning_rate"] <= 1e-2
    config = TrialConfig.of(study).with_parameters(proposed)
    assert config.model.beta == proposed["model.beta"]  # type: ignore[union-attr]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_proposal_is_a_function_of_what_it_is_given(sampler: str) -> None:
    study = searching(sampler=sampler)
    records = ended(study, 12)
    assert propose(study, 12, records) == propose(study, 12, list(records))
    np.random.seed(3)  # noqa: NPY002 - the global stream must not matter
    first = propose(study, 12, records)
    np.random.seed(4)  # noqa: NPY002
    assert propose(study, 12, records) == first


@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(0, 2**32))
def test_what_is_learned_at_once_or_bit_by_bit_proposes_the_same(
    steps: list[int], seed: int
) -> None:
    study = searching(seed=seed)
    ways: tuple[State, ...] = ("completed", "completed", "pruned", "failed")
    records = ended(study, sum(steps), lambda number: ways[(number + seed) % 4])
    proposals, known = Proposals(study), 0
    for step in steps:
        known += step
        proposals.learn(records[:known])
    assert proposals.propose(known, trial_name(known)) == propose(study, known, records)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("state", ["completed", "pruned", "failed"])
def test_a_trial_that_ended_while_it_was_watched_counts_as_one_that_had_ended(
    state: State, sampler: str
) -> None:
    """Optuna gets the one step by step, and the other as a whole."""
    study = searching(sampler=sampler)
    watching, records = watched(study, 12, lambda n: state if n % 2 else "completed")
    began_before = Proposals(study)
    for record in records:
        began_before.start(record.trial)
    began_before.learn(records)
    expected = watching.propose(12, trial_name(12))
    assert began_before.propose(12, trial_name(12)) == expected
    assert propose(study, 12, records) == expected


def test_trials_of_before_that_run_end_as_those_that_were_proposed_here() -> None:
    study = searching()
    watching, records = watched(study, 10)
    running = [trial_of(study, n, watching.propose(n, trial_name(n))) for n in (10, 11)]
    later = Proposals(study)
    for trial in [*(record.trial for record in records), *running]:
        later.start(trial)
    later.learn(records)
    assert later.propose(12, trial_name(12)) == watching.propose(12, trial_name(12))
    ends = [record_of(trial, "pruned", [(2, -3.0)], trial.number) for trial in running]
    watching.learn(ends)
    later.learn(ends)
    assert later.propose(13, trial_name(13)) == watching.propose(13, trial_name(13))


def test_tpe_keeps_away_from_what_runs() -> None:
    """Ten trials at the best place that is known are running; the next ones look elsewhere."""
    study = searching({"model.beta": {"uniform": [0.0, 1.0]}})
    records = [
        record_of(trial_of(study, n, {"model.beta": n / 20}), "completed", [(1, float(n == 10))], n)
        for n in range(20)
    ]

    def proposed(number: int, running: int) -> float:
        proposals = Proposals(study)
        proposals.learn(records)
        for other in range(running):
            proposals.start(trial_of(study, 100 + other, {"model.beta": 0.5}))
        beta: float = proposals.propose(number, trial_name(number))["model.beta"]
        return beta

    alone = [abs(proposed(number, 0) - 0.5) for number in range(20, 50)]
    beside = [abs(proposed(number, 10) - 0.5) for number in range(20, 50)]
    assert np.median(beside) > 2 * np.median(alone)


def test_numbers_and_seeds_draw_differently() -> None:
    betas = {propose(searching(), number)["model.beta"] for number in range(10)}
    assert len(betas) == 10
    assert propose(searching(seed=1), 0) != propose(searching(seed=2), 0)


def test_records_are_left_as_they_were() -> None:
    study = searching()
    records = ended(study, 6)
    before = [(dict(r.trial.parameters), list(r.values)) for r in records]
    propose(study, 6, records)
    assert [(r.trial.parameters, r.values) for r in records] == before


@pytest.mark.parametrize("state", ["completed", "pruned", "failed"])
def test_every_end_of_a_trial_is_taken(state: State) -> None:
    study = searching()
    records = ended(study, 8, lambda number: state if number % 2 else "completed")
    assert propose(study, 8, records).keys() == SPACE.keys()
    assert propose(study, 8, ended(study, 8, lambda _: state)).keys() == SPACE.keys()


def test_pruned_trials_without_values_are_taken() -> None:
    study = searching()
    first = propose(study, 0)
    records = [record_of(trial_of(study, n, first), "pruned", (), n) for n in range(6)]
    assert propose(study, 6, records).keys() == SPACE.keys()


def test_values_matter_after_the_startup_trials_and_not_before() -> None:
    study = searching(startup_trials=6)
    records = ended(study, 12)
    turned = [replace(r, values=[(epoch, -value) for epoch, value in r.values]) for r in records]
    assert propose(study, 5, records[:5]) == propose(study, 5, turned[:5])
    assert propose(study, 12, records) != propose(study, 12, turned)


def test_with_metrics_stopped_trials_end_the_start_as_completed_ones_do() -> None:
    """They have all values then, from which a Gaussian process can learn."""
    space = {**BETA, "model.nu": {"uniform": [0, 2]}}
    study = searching(space, sampler="gp", startup="qmc", metrics=["parameters"])
    sobol = searching(space, sampler="qmc")
    records = [
        replace(
            record_of(trial_of(study, number, parameters), "pruned", [(1, 0.5)], number),
            objectives={"parameters": 5.0 + number},
        )
        for number, parameters in enumerate(each.trial.parameters for each in ended(sobol, 4))
    ]
    learned, evenly = Proposals(study), Proposals(sobol)
    for each in (learned, evenly):
        each.learn(records)
    assert learned.propose(4, "trial-00004") != evenly.propose(4, "trial-00004")


@pytest.mark.parametrize("is_resumed", [False, True])
def test_to_a_gaussian_process_a_stopped_trial_has_the_value_that_it_was_stopped_with(
    is_resumed: bool,
) -> None:
    """Also where it was better before; Optuna's process leaves pruned trials out."""
    study = searching({**BETA, "model.nu": {"uniform": [0, 2]}}, sampler="gp", startup_trials=4)

    def proposed(state: State, values: list[tuple[int, float]]) -> dict[str, Any]:
        proposals = Proposals(study)
        for number in range(6):
            name = trial_name(number)
            parameters = {"model.beta": 10.0 ** (number - 6), "model.nu": number / 5}
            if not is_resumed:
                parameters = proposals.propose(number, name)
            own = (state, values) if number % 2 else ("completed", [(4, 0.1 * number)])
            proposals.learn([record_of(trial_of(study, number, parameters), *own, number)])
        return proposals.propose(6, trial_name(6))

    stopped = proposed("pruned", [(1, 0.9), (2, 0.3)])
    assert stopped == proposed("completed", [(4, 0.3)])
    assert stopped != proposed("pruned", [(1, 0.9), (2, 0.6)])


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
@pytest.mark.parametrize("state", ["pruned", "completed"])
def test_stopped_trials_end_the_start_as_completed_ones_do(sampler: str, state: State) -> None:
    space = {**BETA, "model.nu": {"uniform": [0, 2]}}
    sobol, study = searching(space, sampler="qmc"), searching(space, sampler=sampler, startup="qmc")
    records = ended(sobol, 4, lambda _: state)
    assert propose(study, 4, records) != propose(sobol, 4, records)
    failed = [replace(record, state="failed") for record in records]
    assert propose(study, 4, failed) == propose(sobol, 4, failed)


def test_random_proposals_take_no_notice_of_values() -> None:
    study = searching(sampler="random")
    records = ended(study, 12)
    assert propose(study, 12, records) == propose(study, 12)
    betas = [math.log10(propose(study, number)["model.beta"]) for number in range(200)]
    # Of a uniform sample of 200 the largest gap between it and its distribution.
    uniform = (np.sort(betas) + 6) / 5
    assert np.abs(uniform - np.arange(1, 201) / 200).max() < 0.12


def test_the_search_gets_to_the_good_region() -> None:
    """TPE's later betas lie nearer to the best one than what is drawn at random."""
    study = searching({"model.beta": SPACE["model.beta"]}, startup_trials=8)
    records = ended(study, 30)
    distance = [abs(math.log10(r.trial.parameters["model.beta"]) + 4) for r in records]
    random = [
        abs(math.log10(propose(study, number)["model.beta"]) + 4) for number in range(300, 340)
    ]
    assert np.median(distance[15:]) < 0.6 * np.median(random)


def test_higher_is_better() -> None:
    study = searching({"model.beta": {"uniform": [0.0, 1.0]}})
    records = [
        record_of(trial_of(study, n, {"model.beta": n / 20}), values=[(1, float(n > 15))])
        for n in range(20)
    ]
    proposed = [propose(study, number, records)["model.beta"] for number in range(20, 40)]
    assert np.median(proposed) > 0.7
