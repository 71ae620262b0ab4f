"""What the next trial tries: a pure function of the study's seed and of ended trials.

A trial is proposed from those that come at least `search.parallel` before it, and
the sampler is seeded by the trial's number. So which trials exist depends neither on
how many run at a time nor on interruptions, and the ledger alone continues a search.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from study.definition import Study
from study.ledger import TrialRecord
from study.randomness import stream_seed


def propose(study: Study, number: int, ended: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return the parameters of trial `number`, by dotted key.

    Args:
        study: the study.
        number: the trial's number.
        ended: records of the trials 0 to `number - search.parallel`; stopped trials
            count with the value they had reached, failed ones as failed.
    """
    if study.systems:
        return system_parameters(study, number)
    if not study.search.space:
        return {}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {key: forms.to_optuna() for key, forms in study.search.space.items()}
    sampler = optuna.samplers.TPESampler(
        seed=stream_seed(study.seed, "search", number) % 2**32,
        n_startup_trials=study.search.startup_trials,
    )
    history = optuna.create_study(direction="maximize", sampler=sampler)
    history.add_trials([frozen_trial(record, space) for record in ended])
    parameters: dict[str, Any] = history.ask(space).params
    return parameters


def system_parameters(study: Study, number: int) -> dict[str, str]:
    """Return what sets trial `number` apart: each system in turn, under every protocol."""
    protocols = study.split.protocols
    parameters = {"system": list(study.systems)[number // len(protocols)]}
    if len(protocols) > 1:
        parameters["split.protocol"] = protocols[number % len(protocols)]
    return parameters


def frozen_trial(record: TrialRecord, space: Mapping[str, Any]) -> Any:
    """Return an ended trial as Optuna's `FrozenTrial`.

    Args:
        record: how it ended.
        space: Optuna's distributions by dotted key; only these settings are taken.
    """
    import optuna

    state = {
        "completed": optuna.trial.TrialState.COMPLETE,
        "pruned": optuna.trial.TrialState.PRUNED,
        "failed": optuna.trial.TrialState.FAIL,
    }[record.state]
    return optuna.trial.create_trial(
        state=state,
        value=record.best_value if record.state == "completed" else None,
        params={key: record.parameters[key] for key in space},
        distributions=dict(space),
        intermediate_values=dict(record.values),
    )
