from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from study.config.schema import Study
from study.config.study_file import check_study
from study.search.proposals import Proposals
from study.search.sources import NoTrial, Repetition, Search, SystemList, TrialSource, trial_source
from study.search.trial import State, Trial, TrialRecord, trial_name
from tests.study.search.searches import SPACE, searching
from tests.study.trials import record_of

NO_ONE: frozenset[str] = frozenset()
BETA = {"model.beta": SPACE["model.beta"]}


def searched(trials: int, parallel: int = 2, beside: str | None = None) -> Study:
    study = searching(BETA, trials=trials, parallel=parallel)
    split = study.split.model_copy(update={"beside": beside})
    return study.model_copy(update={"split": split})


def of_systems(*protocols: str) -> Study:
    training = {"epochs": 8}
    content = {
        "name": "s",
        "dataset": {"name": "synthetic"},
        "split": {"protocol": protocols[0], "beside": (*protocols, None)[1], "folds": 2},
        "training": {"epochs": 4},
        "systems": {
            "a": {"model": {"name": "ae"}, "metric": {"composition": "latent"}},
            "b": {"model": {"name": "vae"}, "metric": {"composition": "latent"},
                  "training": training},
        },
    }  # fmt: skip
    return check_study(content, "s")


def taken(source: TrialSource, ended: dict[str, TrialRecord], lost: Any = NO_ONE) -> Trial:
    trial = source.next_trial(ended, lost)
    assert isinstance(trial, Trial)
    return trial


def end(
    trial: Trial, ended: dict[str, TrialRecord], value: float = 0.5, state: State = "completed"
) -> None:
    values = [] if state == "failed" else [(1, value)]
    ended[trial.name] = record_of(trial, state, values, len(ended))


def test_a_search_proposes_each_trial_once_from_those_that_come_long_enough_before_it() -> None:
    study, ended = searched(5, parallel=2), {}
    source = Search(study)
    running = [taken(source, ended), taken(source, ended)]
    assert [trial.number for trial in running] == [0, 1]
    assert source.next_trial(ended, NO_ONE) is NoTrial.YET
    end(running[1], ended)  # not the one that trial 2 is proposed from
    assert source.next_trial(ended, NO_ONE) is NoTrial.YET
    end(running[0], ended)
    third = taken(source, ended)
    known = [ended[trial_name(0)]]
    assert third.parameters == Proposals(study).propose(2, known)
    assert third.config.model.beta == third.parameters["model.beta"]  # type: ignore[union-attr]


def test_a_new_driver_proposes_what_the_dead_one_did() -> None:
    study = searched(6, parallel=2)
    ended: dict[str, TrialRecord] = {}
    source, trials = Search(study), []
    for number in range(6):
        trials.append(taken(source, ended))
        end(trials[-1], ended, value=number / 10, state="pruned" if number == 3 else "completed")
    for died_after in range(6):
        again = {trial.name: ended[trial.name] for trial in trials[:died_after]}
        other = Search(study)
        for trial in trials[died_after:]:
            assert taken(other, again) == trial
            again[trial.name] = ended[trial.name]
        assert other.next_trial(again, NO_ONE) is NoTrial.MORE


def test_trials_that_ended_before_are_not_run_again() -> None:
    source, ended = Search(searched(3, parallel=3)), {}
    end(taken(Search(searched(3, parallel=3)), ended), ended)
    assert taken(source, ended).number == 1
    assert source.missing(ended) == ["trial-00001", "trial-00002"]


def test_a_search_ends_where_a_trial_that_it_needs_is_lost() -> None:
    source, ended = Search(searched(4, parallel=2)), {}
    first, second = taken(source, ended), taken(source, ended)
    end(second, ended)
    assert source.next_trial(ended, {first.name}) is NoTrial.MORE
    other, ended = Search(searched(4, parallel=2)), {}
    first, second = taken(other, ended), taken(other, ended)
    end(first, ended)
    assert taken(other, ended, {second.name}).number == 2, "it needs the first alone"


def test_systems_are_trials_in_their_order_under_each_protocol() -> None:
    source = trial_source(of_systems("paper", "inter_patient"))
    trials = [taken(source, {}) for _ in range(4)]
    assert source.next_trial({}, NO_ONE) is NoTrial.MORE
    assert [(t.number, t.system, t.protocol) for t in trials] == [
        (0, "a", "paper"),
        (1, "a", "inter_patient"),
        (2, "b", "paper"),
        (3, "b", "inter_patient"),
    ]
    assert trials[1].parameters == {"system": "a", "split.protocol": "inter_patient"}
    assert [trial.config.model.name for trial in trials] == ["ae", "ae", "vae", "vae"]
    assert trials[2].config.metric.composition == "latent"
    assert not any(trial.is_repetition for trial in trials)
    assert taken(trial_source(of_systems("paper")), {}).parameters == {"system": "a"}


def test_systems_count_their_own_epochs() -> None:
    source = trial_source(of_systems("paper", "inter_patient"))
    assert (source.size, source.epochs, source.longest) == (4, 2 * 4 + 2 * 8, 8)
    assert set(source.space) == {"system", "split.protocol"}
    assert source.space["system"].choices == ("a", "b")
    assert set(trial_source(of_systems("paper")).space) == {"system"}


def test_systems_that_have_ended_are_left_out() -> None:
    study, ended = of_systems("paper"), {}
    end(taken(SystemList(study), {}), ended)
    assert SystemList(study).missing(ended) == ["trial-00001"]
    assert taken(SystemList(study), ended).system == "b"


def test_a_search_counts_the_epochs_of_its_repetition() -> None:
    plain, repeated = trial_source(searched(3)), trial_source(searched(3, beside="inter_patient"))
    assert isinstance(plain, Search)
    assert isinstance(repeated, Repetition)
    assert plain.size == repeated.size == 3
    assert (plain.epochs, repeated.epochs) == (1500, 2000)
    assert plain.space.keys() == repeated.space.keys() == BETA.keys()
    assert "then the best trial under inter_patient" in repeated.facts["protocols"]


def test_the_best_trial_is_repeated_under_the_second_protocol_when_all_have_ended() -> None:
    source, ended = trial_source(searched(3, 3, "inter_patient")), {}
    trials = [taken(source, ended) for _ in range(3)]
    assert source.next_trial(ended, NO_ONE) is NoTrial.YET
    end(trials[1], ended, 0.7)
    end(trials[2], ended, 0.9, "pruned")
    assert source.missing(ended) == [trials[0].name]
    assert source.next_trial(ended, NO_ONE) is NoTrial.YET
    end(trials[0], ended, 0.7)
    repetition = taken(source, ended)
    assert repetition == replace(
        trials[0],  # the first of equals
        config=trials[0].config.under("inter_patient"),
        parameters={**trials[0].parameters, "split.protocol": "inter_patient"},
        is_repetition=True,
    )
    assert source.missing(ended) == [repetition.name]
    assert source.next_trial(ended, NO_ONE) is NoTrial.MORE, "it is proposed once"
    # Whatever it scores, it is no trial of the search.
    end(repetition, ended, 0.99)
    assert source.missing(ended) == []
    assert trial_source(searched(3, 3, "inter_patient")).next_trial(ended, NO_ONE) is NoTrial.MORE


def test_another_best_trial_gets_a_repetition_of_its_own() -> None:
    short, ended = trial_source(searched(1, 1, "inter_patient")), {}
    end(taken(short, ended), ended, 0.1)
    end(taken(short, ended), ended)
    longer = trial_source(searched(2, 2, "inter_patient"))
    end(taken(longer, ended), ended, 0.2)
    assert longer.missing(ended) == [trial_name(1, is_repetition=True)]
    assert taken(longer, ended).repeats == trial_name(1)


def test_a_search_that_lost_a_trial_has_no_repetition_yet() -> None:
    source, ended = trial_source(searched(2, 2, "inter_patient")), {}
    first, second = taken(source, ended), taken(source, ended)
    end(first, ended, 0.4)
    assert source.next_trial(ended, {second.name}) is NoTrial.MORE


@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_without_a_completed_trial_there_is_no_repetition(state: State) -> None:
    source, ended = trial_source(searched(1, 1, "inter_patient")), {}
    end(taken(source, ended), ended, 0.5, state)
    assert source.missing(ended) == []
    assert source.next_trial(ended, NO_ONE) is NoTrial.MORE


def test_a_search_without_a_second_protocol_ends_with_its_trials() -> None:
    source, ended = trial_source(searched(1, 1)), {}
    end(taken(source, ended), ended)
    assert source.missing(ended) == []
    assert source.next_trial(ended, NO_ONE) is NoTrial.MORE


@pytest.mark.parametrize(
    "study", [lambda: searched(2), lambda: searched(2, beside="kfold"), lambda: of_systems("paper")]
)
def test_a_source_names_what_a_plan_says_of_it(study: Callable[[], Study]) -> None:
    source = trial_source(study())
    assert {"protocols", "searched"} <= source.facts.keys()
    assert all(source.facts.values())
