"""Ends of ranges at which the best trials lie."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.search_space import Distribution
from study.search.range_ends import BEST, TRIALS, RangeEnd, range_ends
from study.search.trial import State, TrialRecord
from tests.study.search.searches import searching
from tests.study.trials import record_of, trial_of

LATENT, UPDATES = "model.latent_size", "training.discriminator_updates"
SPACE = {
    "model.beta": {"loguniform": [1e-6, 0.1]},
    LATENT: {"int": [2, 16]},
    "training.optimizer.learning_rate": {"uniform": [1e-3, 2e-3]},
}
MIDDLE = {"model.beta": 3e-4, LATENT: 9, "training.optimizer.learning_rate": 1.5e-3}


def ends_of(
    best: Sequence[Mapping[str, Any]],
    space: Mapping[str, Any] = SPACE,
    middle: Mapping[str, Any] = MIDDLE,
    trials: int = TRIALS,
    state: State = "completed",
) -> list[RangeEnd]:
    """Of a search whose best trials have these settings, and all others those in the middle."""
    study = searching(dict(space))
    settings = [dict(middle) | dict(each) for each in best]
    settings += [dict(middle)] * (trials - len(best))
    records: list[TrialRecord] = [
        record_of(trial_of(study, number, each), state, [(1, 1 - number / 100)])
        for number, each in enumerate(settings)
    ]
    return range_ends(study, records[::-1])


@pytest.mark.parametrize(
    ("best", "ends"),
    [
        ([{LATENT: 16}, {LATENT: 15}, {LATENT: 16}], [RangeEnd(LATENT, 16, True)]),
        ([{LATENT: 3}, {LATENT: 2}, {LATENT: 2}], [RangeEnd(LATENT, 2, False)]),
        ([{LATENT: 16}, {LATENT: 15}, {LATENT: 2}], []),
        ([{LATENT: 16}, {LATENT: 14}, {LATENT: 16}], []),
        ([{"model.beta": 3e-6}] * 3, [RangeEnd("model.beta", 1e-6, False)]),  # log 3 of 5 decades
        ([{"model.beta": 4e-6}] * 3, []),
        ([{"model.beta": 0.04}] * 3, [RangeEnd("model.beta", 0.1, True)]),
        ([{"training.optimizer.learning_rate": 1.95e-3}] * 3,
         [RangeEnd("training.optimizer.learning_rate", 2e-3, True)]),
        ([{LATENT: 16, "model.beta": 1e-6}] * 3,
         [RangeEnd("model.beta", 1e-6, False), RangeEnd(LATENT, 16, True)]),
    ],
)  # fmt: skip
def test_all_of_the_best_lie_in_the_outer_tenth(best: Any, ends: list[RangeEnd]) -> None:
    assert ends_of(best) == ends


def test_few_trials_say_nothing() -> None:
    best = [{LATENT: 16}] * BEST
    assert ends_of(best)
    assert not ends_of(best, trials=TRIALS - 1)
    assert not ends_of(best, state="pruned")  # of few epochs, which flatter no one value


def test_what_may_have_no_other_values_has_no_end() -> None:
    """One update of D is the fewest that there are; of three each is often among the best."""
    low, high = [{UPDATES: 1}] * 3, [{UPDATES: 5}] * 3
    space, middle = {UPDATES: {"int": [1, 5]}}, {UPDATES: 3}
    assert ends_of(low, space, middle) == []
    assert ends_of(high, space, middle) == [RangeEnd(UPDATES, 5, True)]
    assert ends_of([{UPDATES: 3}] * 3, {UPDATES: {"int": [1, 3]}}, {UPDATES: 2}) == []
    assert ends_of([{LATENT: 16}] * 3, {LATENT: {"choice": [2, 9, 16]}}, {LATENT: 9}) == []


def test_repetitions_are_no_trials_of_the_search() -> None:
    study = searching(dict(SPACE))
    records = [
        record_of(trial_of(study, number, MIDDLE | {LATENT: 16}, is_repetition=number >= 5),
                  "completed", [(1, 0.5)])
        for number in range(TRIALS)
    ]  # fmt: skip
    assert range_ends(study, records) == []


def test_advice_says_which_values_were_not_searched() -> None:
    (end,) = ends_of([{LATENT: 16}] * 3)
    assert end.advice == (
        "The best 3 trials lie at the upper end of model.latent_size (16): larger values, which"
        " were not searched, may be better"
    )


@given(st.sampled_from(["uniform", "loguniform", "int", "logint"]), st.floats(0, 1))
def test_shares_are_where_a_draw_from_the_range_would_be(form: str, share: float) -> None:
    low, high = (1, 50) if "int" in form else (1.0, 50.0)
    values = np.geomspace if form.startswith("log") else np.linspace
    value = float(values(low, high, 1001)[round(1000 * share)])
    assert math.isclose(
        Distribution.model_validate({form: (low, high)}).share(value), share, abs_tol=6e-4
    )
