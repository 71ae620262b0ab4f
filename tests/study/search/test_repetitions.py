"""Trials that a search tries first, and those that it trains again when all have ended."""

import pytest

from study.search.sources import Search, trial_source
from study.search.trial import Proposal, State, Trial, order_of, trial_name
from study.search.trial_source import NoTrial
from tests.study.search.searches import NO_ONE, end, searched, taken


def test_enqueued_settings_are_the_first_trials_and_the_sampler_learns_from_them() -> None:
    study = searched(enqueue=[{"model.beta": 0.05}, {}])
    written: list[Proposal] = []
    source, ended = Search(study, record=written.append), {}
    for value in (0.1, 0.2, 0.3):
        end(taken(source, ended), ended, value)
    assert [each.trial.parameters["model.beta"] for each in written[:2]] == [0.05, 1e-4]
    assert [each.origin for each in written] == ["enqueued", "enqueued", "sampler"]
    assert written[0].trial.config.model.beta == 0.05  # type: ignore[union-attr]
    assert Proposal.from_dict(written[0].to_dict()) == written[0]
    # A new driver proposes as the first would have gone on.
    again = Search(study, written)
    while (trial := again.next_trial(ended, NO_ONE)) is not NoTrial.MORE:
        assert trial == taken(source, ended)


def test_a_proposal_of_before_origins_were_written_down_is_the_samplers() -> None:
    source = Search(searched())
    content = Proposal(taken(source, {}), 0, (), 3).to_dict()
    del content["origin"]
    assert Proposal.from_dict(content).origin == "sampler"


def test_the_best_trials_and_the_first_enqueued_are_trained_again_with_another_seed() -> None:
    source, ended = trial_source(searched(enqueue=[{}], confirm=2, beside="kfold")), {}
    trials = [taken(source, ended) for _ in range(4)]
    end(trials[0], ended, 0.3, "pruned")
    for trial, value in zip(trials[1:], (0.5, 0.9, 0.7), strict=True):
        assert source.next_trial(ended, NO_ONE) is NoTrial.YET
        end(trial, ended, value)
    names = source.missing(ended)
    again = [taken(source, ended) for _ in names]
    assert [trial.name for trial in again] == names
    assert source.next_trial(ended, NO_ONE) is NoTrial.MORE
    beside, *confirmed = again
    assert (beside.repeats, beside.protocol, beside.is_confirmation) == (
        trial_name(2), "kfold", False
    )  # fmt: skip
    assert [trial.repeats for trial in confirmed] == [trial_name(2), trial_name(3), trial_name(0)]
    for trial in confirmed:
        first = trials[trial.number]
        assert trial.config.seed != first.config.seed
        assert trial.config.model_copy(update={"seed": 0}) == first.config
        assert trial.parameters == {**first.parameters, "seed": trial.config.seed}
    assert len({trial.config.seed for trial in confirmed}) == 3
    assert source.repetitions == 4
    assert source.epochs == 8 * source.longest
    for trial in again:  # whatever they come to, the search's best stays
        end(trial, ended, 0.99)
    assert source.missing(ended) == []


def test_a_search_of_fewer_trials_than_have_ended_counts_all_that_are_trained_again() -> None:
    """Tune is asked for so many samples."""
    source, ended = trial_source(searched(6, confirm=3)), {}
    for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        end(taken(source, ended), ended, value)
    fewer = trial_source(searched(1, confirm=3))
    assert len(fewer.missing(ended)) == 3 <= fewer.repetitions


def test_a_repetition_that_is_lost_keeps_no_other_from_starting() -> None:
    source, ended = trial_source(searched(3, confirm=3)), {}
    for value in (0.1, 0.2, 0.3):
        end(taken(source, ended), ended, value)
    lost = taken(source, ended).name
    others = [taken(source, ended, lost={lost}).name for _ in range(2)]
    assert [lost, *others] == source.missing(ended)
    assert source.next_trial(ended, {lost}) is NoTrial.MORE


def test_without_a_completed_trial_nothing_is_confirmed() -> None:
    source, ended = trial_source(searched(2, confirm=3, enqueue=[{}])), {}
    for trial in [taken(source, ended) for _ in range(2)]:
        end(trial, ended, 0.5, "failed")
    assert source.missing(ended) == []
    assert source.next_trial(ended, NO_ONE) is NoTrial.MORE


def test_a_confirmation_has_a_name_of_its_own_and_reads_back() -> None:
    study = searched(1, confirm=1)
    source, ended = trial_source(study), {}
    end(taken(source, ended), ended, 0.5)
    trial = taken(source, ended)
    assert trial.name == "trial-2000000"
    assert order_of(trial.name) == trial.order == (2, 0)
    assert Trial.from_dict(trial.to_dict()) == trial
    names = ["trial-00005", "trial-2000000", "trial-1000003"]
    assert sorted(names, key=lambda name: order_of(name) or (9, 9)) == [
        names[0],
        names[2],
        names[1],
    ]


@pytest.mark.parametrize("confirm", [0, 2])
def test_a_plan_says_what_is_trained_again(confirm: int) -> None:
    facts = trial_source(searched(confirm=confirm, enqueue=[{}])).facts
    assert ("confirmed" in facts) == bool(confirm)
    if confirm:
        assert facts["confirmed"] == "the best 2 and the first enqueued with another seed"


@pytest.mark.parametrize(("state", "again"), [("failed", [2, 1]), ("completed", [0, 2])])
def test_the_first_enqueued_is_trained_again_once_and_not_where_it_failed(
    state: State, again: list[int]
) -> None:
    source, ended = trial_source(searched(3, enqueue=[{}], confirm=2)), {}
    trials = [taken(source, ended) for _ in range(3)]
    values, states = (0.9, 0.5, 0.7), (state, "completed", "completed")
    for trial, value, own in zip(trials, values, states, strict=True):
        end(trial, ended, value, own)
    repeated = [taken(source, ended).repeats for _ in source.missing(ended)]
    assert repeated == [trial_name(number) for number in again]
