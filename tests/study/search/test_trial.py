import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from study.config.schema import Study
from study.search.trial import (
    FoldAddress,
    State,
    Trial,
    TrialRecord,
    best_trial,
    fold_name,
    mean_over_folds,
    order_of,
    trial_name,
)
from tests.study.trials import record_of, trial_of


@pytest.fixture
def trial(tiny_study: Callable[..., Study]) -> Trial:
    return trial_of(tiny_study(split={"folds": 3}), 7, {"model.beta": 0.5})


def test_a_trial_has_a_name_of_its_number_and_an_address_for_each_fold(trial: Trial) -> None:
    assert (trial.name, trial.repeats) == ("trial-00007", None)
    assert trial.folds == tuple(FoldAddress("trial-00007", fold) for fold in range(3))
    assert trial.folds[2].path == "trial-00007/fold-2"
    assert (fold_name(11), trial_name(123_456)) == ("fold-11", "trial-123456")


def test_a_repetition_has_a_name_of_its_own_and_comes_last(trial: Trial) -> None:
    again = replace(trial, config=trial.config.under("inter_patient"), is_repetition=True)
    assert (again.name, again.repeats) == ("trial-1000007", "trial-00007")
    assert (again.protocol, trial.protocol) == ("inter_patient", "paper")
    assert trial.order < replace(trial, number=900_000).order < again.order


@pytest.mark.parametrize("number", [0, 7, 99_999, 123_456, 999_999])
@pytest.mark.parametrize("is_repetition", [False, True])
def test_the_order_of_a_trial_is_read_off_its_name(number: int, is_repetition: bool) -> None:
    assert order_of(trial_name(number, is_repetition=is_repetition)) == (is_repetition, number)


@pytest.mark.parametrize("name", ["", "trial-1", "trial-00001.2", "atrial-00001", "fold-0", "tune"])
def test_other_names_are_no_trials(name: str) -> None:
    assert order_of(name) is None


@pytest.mark.parametrize("kept", [{}, {"system": "ae"}, {"is_repetition": True}])
def test_a_trial_reads_back_from_json(kept: dict[str, Any], trial: Trial) -> None:
    written = replace(trial, **kept)
    assert Trial.from_dict(json.loads(json.dumps(written.to_dict()))) == written


@pytest.mark.parametrize("key", ["number", "config"])
def test_what_lacks_a_part_is_no_trial(key: str, trial: Trial) -> None:
    content = trial.to_dict()
    del content[key]
    with pytest.raises((KeyError, TypeError)):
        Trial.from_dict(content)


def test_the_best_value_is_the_largest(trial: Trial) -> None:
    assert record_of(trial, values=[(2, 0.25), (4, 0.75), (6, 0.5)]).best_value == 0.75
    assert math.isnan(record_of(trial).best_value)


def test_a_trials_value_is_the_mean_over_its_folds() -> None:
    assert mean_over_folds([0.25, 0.5, 1.5]) == 0.75
    assert math.isnan(mean_over_folds([0.25, math.nan]))


def ended(trial: Trial, number: int, value: float, state: State = "completed") -> TrialRecord:
    return record_of(replace(trial, number=number), state, [(1, value)])


def test_the_best_trial_is_the_first_of_equals_and_completed(trial: Trial) -> None:
    records = [
        ended(trial, 2, 0.7),
        ended(trial, 1, 0.7),
        ended(trial, 0, 0.9, "pruned"),
        ended(trial, 3, math.nan),
        record_of(replace(trial, number=4), "failed"),
    ]
    assert best_trial(records) is records[1]
    assert best_trial(records, ("pruned",)) is records[2]
    assert best_trial(records[2:3]) is None
    assert best_trial(records[3:4]) is records[3]


def test_a_repetition_is_never_best(trial: Trial) -> None:
    repetition = record_of(replace(trial, is_repetition=True), values=[(1, 0.99)])
    assert best_trial([repetition, ended(trial, 1, 0.1)]) == ended(trial, 1, 0.1)
    assert best_trial([repetition]) is None
