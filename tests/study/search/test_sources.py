from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.schema import Study
from study.config.study_file import check_study
from study.search.proposals import Proposals
from study.search.repetitions import Repetitions
from study.search.sources import Search, SystemList, trial_source
from study.search.trial import Proposal, State, TrialRecord, trial_name
from study.search.trial_source import NoTrial
from tests.study.search.searches import BETA, NO_ONE, end, searched, searching, taken
from tests.study.trials import trial_of


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


def test_a_search_proposes_whenever_it_is_asked_and_writes_down_from_what() -> None:
    study, ended = searched(5), {}
    written: list[Proposal] = []
    source = Search(study, record=written.append)
    running = [taken(source, ended) for _ in range(3)]
    assert [proposal.trial for proposal in written] == running
    assert [proposal.ended for proposal in written] == [0, 0, 0]
    assert written[2].running == [trial_name(0), trial_name(1)]
    end(running[1], ended)
    fourth = taken(source, ended)
    assert (written[3].ended, written[3].running) == (1, [trial_name(0), trial_name(2)])
    expected = Proposals(study)
    for trial in running:
        expected.start(trial)
    expected.learn([ended[trial_name(1)]])
    assert fourth.parameters == expected.propose(3, trial_name(3))
    assert fourth.config.model.beta == fourth.parameters["model.beta"]  # type: ignore[union-attr]
    assert written[3].seed == expected.seed(3)
    taken(source, ended)
    assert source.next_trial(ended, NO_ONE) is NoTrial.MORE


@given(st.lists(st.integers(0, 3), min_size=12, max_size=24), st.integers(0, 11), st.data())
def test_a_new_driver_has_the_same_trials_and_proposes_what_the_dead_one_would(
    events: list[int], died_after: int, data: st.DataObject
) -> None:
    """Trials start, and end in any order; then it goes on as if nobody had died."""
    study, trials = searching(BETA, trials=10, startup_trials=2), 10

    class Driver:
        def __init__(self, written: list[Proposal]) -> None:
            self.written = list(written)
            self.source = Search(study, written, self.written.append)

        def start(self, ended: dict[str, TrialRecord]) -> None:
            if len(self.written) < trials:
                taken(self.source, ended)

        def end(self, which: int, ended: dict[str, TrialRecord]) -> None:
            running = [p.trial for p in self.written if p.trial.name not in ended]
            if running:
                trial = running[which % len(running)]
                end(trial, ended, trial.number % 7 / 7, ("completed", "pruned")[which % 2])  # type: ignore[arg-type]

    def play(driver: Driver, ended: dict[str, TrialRecord], events: list[int]) -> None:
        for event in events:
            if event == 0:
                driver.start(ended)
            else:
                driver.end(event, ended)

    ended: dict[str, TrialRecord] = {}
    first = Driver([])
    play(first, ended, events[:died_after])
    again = dict(ended)
    second = Driver(first.written)
    unfinished = [p.trial for p in first.written if p.trial.name not in again]
    assert [taken(second.source, again) for _ in unfinished] == unfinished
    play(first, ended, events[died_after:])
    play(second, again, events[died_after:])
    assert second.written == first.written


def test_results_from_before_proposals_were_written_down_go_on() -> None:
    study, ended = searched(5), {}
    old = [trial_of(study, number, {"model.beta": 10.0 ** -(number + 1)}) for number in range(3)]
    for trial in (old[0], old[2]):
        end(trial, ended)
    source = Search(study)
    assert [taken(source, ended).number for _ in range(3)] == [1, 3, 4]
    assert source.missing(ended) == [trial_name(number) for number in (1, 3, 4)]


def test_trials_that_ended_before_are_not_run_again() -> None:
    source, ended = Search(searched(3)), {}
    end(taken(Search(searched(3)), ended), ended)
    assert taken(source, ended).number == 1
    assert source.missing(ended) == ["trial-00001", "trial-00002"]


def test_a_search_goes_on_beside_a_trial_that_is_lost() -> None:
    source, ended = Search(searched(3)), {}
    first = taken(source, ended)
    assert [taken(source, ended, {first.name}).number for _ in range(2)] == [1, 2]


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
    assert isinstance(repeated, Repetitions)
    assert plain.size == repeated.size == 3
    assert (plain.epochs, repeated.epochs) == (1500, 2000)
    assert plain.space.keys() == repeated.space.keys() == BETA.keys()
    assert "then the best trial under inter_patient" in repeated.facts["protocols"]


def test_the_best_trial_is_repeated_under_the_second_protocol_when_all_have_ended() -> None:
    source, ended = trial_source(searched(3, "inter_patient")), {}
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
    assert trial_source(searched(3, "inter_patient")).next_trial(ended, NO_ONE) is NoTrial.MORE


def test_another_best_trial_gets_a_repetition_of_its_own() -> None:
    short, ended = trial_source(searched(1, "inter_patient")), {}
    end(taken(short, ended), ended, 0.1)
    end(taken(short, ended), ended)
    longer = trial_source(searched(2, "inter_patient"))
    end(taken(longer, ended), ended, 0.2)
    assert longer.missing(ended) == [trial_name(1, is_repetition=True)]
    assert taken(longer, ended).repeats == trial_name(1)


def test_a_search_that_lost_a_trial_has_no_repetition_yet() -> None:
    source, ended = trial_source(searched(2, "inter_patient")), {}
    first, second = taken(source, ended), taken(source, ended)
    end(first, ended, 0.4)
    assert source.next_trial(ended, {second.name}) is NoTrial.MORE


@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_without_a_completed_trial_there_is_no_repetition(state: State) -> None:
    source, ended = trial_source(searched(1, "inter_patient")), {}
    end(taken(source, ended), ended, 0.5, state)
    assert source.missing(ended) == []
    assert source.next_trial(ended, NO_ONE) is NoTrial.MORE


def test_a_search_without_a_second_protocol_ends_with_its_trials() -> None:
    source, ended = trial_source(searched(1)), {}
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
