import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.schema import BudgetSettings
from study.search.budget import Budget, trials_without_improvement
from study.search.sources import NoTrial, Search
from study.search.trial import Proposal, State, Trial, TrialRecord
from tests.study.search.searches import NO_ONE, searching
from tests.study.trials import record_of, trial_of

STUDY = searching({}, trials=6)
ENDS = st.lists(
    st.tuples(st.sampled_from(("completed", "pruned", "failed")), st.integers(0, 5)), max_size=12
)


def record(number: int, state: Any = "completed", value: float = 0.5, order: int = 0) -> Any:
    values = [] if state == "failed" else [(1, value)]
    return record_of(trial_of(STUDY, number), state, values, order)


def by_name(*records: TrialRecord) -> dict[str, TrialRecord]:
    return {each.name: each for each in records}


@given(ENDS, st.randoms())
def test_trials_count_since_the_one_that_was_better_than_all_before(
    ends: list[tuple[State, int]], chance: Any
) -> None:
    records = [record(n, state, value, order=n) for n, (state, value) in enumerate(ends)]
    values = [value if state == "completed" else -math.inf for state, value in ends]
    completed = [value for value in values if value > -math.inf]
    # The first of the largest; every earlier best is before it.
    expected = len(ends) - 1 - values.index(max(completed)) if completed else 0
    again = record_of(
        trial_of(STUDY, 0, is_repetition=True), values=[(1, 9.0)], completion_order=99
    )
    shuffled = [*records, again]
    chance.shuffle(shuffled)
    assert trials_without_improvement(shuffled) == expected


@pytest.mark.parametrize(
    ("settings", "hours", "ended", "is_spent", "shown"),
    [
        (None, 1e9, 0, False, ""),
        ({}, 1e9, 3, False, ""),
        ({"hours": 2}, 1.999, 0, False, "2.00 of 2 hours"),
        ({"hours": 2}, 2.0, 0, True, "2.00 of 2 hours"),
        ({"cost": 30, "price": 12}, 2.4, 0, False, "28.80 of a cost of 30"),
        ({"cost": 30, "price": 12}, 2.5, 0, True, "30.00 of a cost of 30"),
        ({"without_improvement": 3}, 9.0, 3, False, "2 of 3 trials without improvement"),
        ({"without_improvement": 3}, 9.0, 4, True, "3 of 3 trials without improvement"),
        ({"hours": 9.5, "without_improvement": 2}, 9.0, 4, True,
         "9.00 of 9.5 hours, 3 of 2 trials without improvement"),
    ],
)  # fmt: skip
def test_a_budget_is_spent_when_one_of_its_parts_is(
    settings: Any, hours: float, ended: int, is_spent: bool, shown: str
) -> None:
    seconds = [0.0]
    given_settings = None if settings is None else BudgetSettings.model_validate(settings)
    budget = Budget(given_settings, lambda: seconds[0])
    assert not budget.is_spent({})
    seconds[0] = 3600 * hours
    records = by_name(*(record(n, order=n) for n in range(ended)))
    assert budget.is_spent(records) == is_spent
    assert budget.shown(records) == shown


def test_a_search_whose_budget_is_spent_proposes_nothing_and_trains_what_it_has() -> None:
    written: list[Proposal] = []
    budget = Budget(BudgetSettings(without_improvement=2))
    search = Search(STUDY, record=written.append, is_spent=budget.is_spent)
    ended: dict[str, TrialRecord] = {}
    trials = [search.next_trial(ended, NO_ONE) for _ in range(4)]
    for order in range(3):
        ended |= by_name(record(order, value=0.5 - order / 10, order=order))
    assert search.next_trial(ended, NO_ONE) is NoTrial.YET
    assert search.missing(ended) == ["trial-00003"]
    # A driver that takes over has the same one left.
    again = Search(STUDY, written, is_spent=budget.is_spent)
    assert again.missing(ended) == ["trial-00003"]
    assert again.next_trial(ended, NO_ONE) == trials[3]
    assert again.next_trial(ended, {"trial-00003"}) is NoTrial.MORE
    ended |= by_name(record(3, value=0.1, order=3))
    assert search.next_trial(ended, NO_ONE) is NoTrial.MORE
    assert search.missing(ended) == []
    assert len(written) == 4


def test_a_trial_that_lost_a_fold_counts_as_it_ended() -> None:
    """Without it the best of the others would have ended later, and the search would go on."""
    values = (0.5, 0.9, 0.6, 0.7, 0.8)
    records = [record(number, value=value, order=number) for number, value in enumerate(values)]
    complete = by_name(*(each for each in records if each.best_value < 0.9))
    settings = BudgetSettings(without_improvement=3)
    assert not Budget(settings).is_spent(complete)
    budget = Budget(settings, incomplete=[records[1]])
    assert budget.is_spent(complete)
    assert budget.shown(complete) == "3 of 3 trials without improvement"
    complete[records[1].name] = records[1]  # it is trained again, and ends as it had
    assert budget.is_spent(complete)


def test_a_search_goes_on_if_what_still_ran_was_better_or_if_it_is_given_more() -> None:
    budget = Budget(BudgetSettings(without_improvement=2))
    search = Search(STUDY, is_spent=budget.is_spent)
    ended: dict[str, TrialRecord] = {}
    for _ in range(4):
        search.next_trial(ended, NO_ONE)
    for order in range(3):
        ended |= by_name(record(order, value=0.5 - order / 10, order=order))
    assert search.next_trial(ended, NO_ONE) is NoTrial.YET
    ended |= by_name(record(3, value=0.9, order=3))
    following = search.next_trial(ended, NO_ONE)
    assert isinstance(following, Trial)
    assert following.number == 4
    ended |= by_name(*(record(n, value=0.1, order=n) for n in (4, 5)))
    assert search.missing(ended) == []
    more = Search(searching({}, trials=8), is_spent=Budget().is_spent)
    assert more.missing(ended) == ["trial-00006", "trial-00007"]
