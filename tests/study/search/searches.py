"""Studies that search, and records of trials that they proposed."""

import math
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from study.config.schema import Study
from study.config.study_file import check_study
from study.search.proposals import Proposals
from study.search.trial import State, Trial, TrialRecord, trial_name
from study.search.trial_source import TrialSource
from tests.study.trials import record_of, trial_of

SPACE = {
    "model.beta": {"loguniform": [1e-6, 0.1]},
    "model.latent_size": {"int": [2, 12]},
    "model.latent": {"choice": ["mean", "sampled"]},
    "training.optimizer.learning_rate": {"uniform": [1e-5, 1e-2]},
}
BETA = {"model.beta": SPACE["model.beta"]}
NO_ONE: frozenset[str] = frozenset()
"""The trials that are lost, where none is."""


def searching(
    space: dict[str, Any] = SPACE,
    seed: int = 0,
    dataset: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    **search: Any,
) -> Study:
    """A study of a hundred trials, the first four of them random."""
    content = {
        "name": "s",
        "dataset": dataset or {"name": "synthetic"},
        "model": model or {"name": "beta_vaegan"},
        "search": {"space": space, "startup_trials": 4, "trials": 100} | search,
        "seed": seed,
    }
    return check_study(content, "s")


def searched(trials: int = 4, beside: str | None = None, **search: Any) -> Study:
    """A study of one setting, whose best trial is repeated under a protocol `beside`."""
    study = searching(BETA, trials=trials, **search)
    return study.model_copy(update={"split": study.split.model_copy(update={"beside": beside})})


def taken(
    source: TrialSource, ended: Mapping[str, TrialRecord], lost: AbstractSet[str] = NO_ONE
) -> Trial:
    """The next trial, which there must be."""
    trial = source.next_trial(ended, lost)
    assert isinstance(trial, Trial)
    return trial


def end(
    trial: Trial, ended: dict[str, TrialRecord], value: float = 0.5, state: State = "completed"
) -> None:
    """Let a trial end after all that have `ended`."""
    ended[trial.name] = record_of(trial, state, [(1, value)], len(ended))


def watched(
    study: Study, count: int, state: Callable[[int], State] = lambda number: "completed"
) -> tuple[Proposals, list[TrialRecord]]:
    """The first trials of a search whose score is best at beta = 1e-4, and what proposed them."""
    records: list[TrialRecord] = []
    proposals = Proposals(study)
    for number in range(count):
        parameters = proposals.propose(number, trial_name(number))
        score = -abs(math.log10(parameters["model.beta"]) + 4)
        values = [] if state(number) == "failed" else [(2, score - 0.1), (4, score)]
        trial = trial_of(study, number, parameters)
        records.append(record_of(trial, state(number), values, number))
        proposals.learn(records)
    return proposals, records


def ended(
    study: Study, count: int, state: Callable[[int], State] = lambda number: "completed"
) -> list[TrialRecord]:
    """The first trials of such a search."""
    return watched(study, count, state)[1]
