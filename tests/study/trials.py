"""Trials, records and tasks of a study, as the tests of every room need them."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.config.schema import Study
from study.config.trial_config import TrialConfig
from study.search.trial import FoldAddress, State, Trial, TrialRecord, trial_name
from study.training.fold import FoldTask


def trial_of(
    study: Study, number: int = 0, parameters: Mapping[str, Any] | None = None, **kept: Any
) -> Trial:
    """A trial of a search, with the settings that it is trained with."""
    parameters = parameters or {}
    return Trial(number, TrialConfig.of(study).with_parameters(parameters), parameters, **kept)


def record_of(
    trial: Trial,
    state: State = "completed",
    values: Sequence[tuple[int, float]] = (),
    completion_order: int = 0,
    reason: str = "",
) -> TrialRecord:
    """How a trial ended."""
    return TrialRecord(trial, state, reason, values, completion_order)


def task_of(study: Study, fold: int = 0, **kept: Any) -> FoldTask:
    """One fold of the first trial of a study that searches nothing."""
    return FoldTask(TrialConfig.of(study), FoldAddress(trial_name(0), fold), **kept)
