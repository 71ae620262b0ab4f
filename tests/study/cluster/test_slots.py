from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from study.cluster.slots import Slots
from study.search.rungs import FoldSchedule
from study.search.trial import Trial
from tests.study.search.searches import searching
from tests.study.trials import trial_of

STUDY = searching({})
RUNGS = (2, 4, 8)


def trial(number: int, **kept: Any) -> Trial:
    return trial_of(STUDY, number, **kept)


@given(
    st.integers(1, 12),
    st.none() | st.integers(1, 8),
    st.lists(st.integers(1, 6), max_size=3).map(sorted),
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60),
)
def test_no_trial_starts_that_would_take_what_others_wait_for(
    available: int, workers: int | None, at_rungs: list[int], events: list[tuple[int, bool]]
) -> None:
    """Trials start as they can, pass rungs and end; what they take is counted beside it."""
    schedule = FoldSchedule(6, RUNGS, tuple(at_rungs))
    slots, running = Slots(schedule, available, workers), dict[str, tuple[Trial, int]]()
    number, most = 0, workers or 6
    for which, ends in events:
        while slots.has_room():
            taken = sum(min(most, schedule.after(rung)) for _, rung in running.values())
            assert not running or taken + min(most, schedule.after(0)) <= available
            new = trial(number)
            slots.start(new)
            running[new.name], number = (new, 0), number + 1
        name = list(running)[which % len(running)]
        chosen, rung = running[name]
        following = next((each for each in RUNGS if each > rung), None)
        if ends or following is None:
            slots.end(chosen)
            del running[name]
        else:
            slots.grow(chosen, following)
            running[name] = chosen, following
    assert slots.has_room() or running  # no study stands still


def test_where_trials_have_all_folds_from_the_start_nothing_is_bounded_here() -> None:
    slots = Slots(FoldSchedule(5, RUNGS))
    for number in range(100):
        assert slots.has_room()
        slots.start(trial(number))


def test_a_model_that_is_fitted_once_takes_all_its_folds_at_once() -> None:
    slots = Slots(FoldSchedule(3, RUNGS, (1,)), 4)
    slots.start(trial(0, parameters={"model.name": "pca"}))
    slots.start(trial(1))
    assert not slots.has_room()


def test_a_repetition_takes_all_its_folds_at_once() -> None:
    slots = Slots(FoldSchedule(3, RUNGS, (1,)), 4)
    again = trial(0, is_repetition=True)
    slots.start(again)
    assert slots.has_room()
    slots.grow(again, 2)
    slots.start(trial(1))
    assert not slots.has_room()
