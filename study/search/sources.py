"""What the next trial tries: a pure function of the study's seed and of ended trials.

A trial is proposed from those that come at least `search.parallel` before it, and
the sampler is seeded by the trial's number. So which trials exist depends neither on
how many run at a time nor on interruptions, and the ledger alone continues a search.

With a second protocol (`split.beside`) the best trial of a search gets a twin: its
settings, trained under that protocol when all others have ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from study.config.schema import Study
from study.ledger.ledger import TrialRecord
from study.randomness import stream_seed

TWIN = 1_000_000
"""What a twin's number is above that of its trial; no search has as many trials."""


class History:
    """What Optuna knows of a search; to learn of a trial costs the same however many it knows."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._known = 0

    @cached_property
    def _optuna(self) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(direction="maximize")

    def propose(self, number: int, ended: Sequence[TrialRecord]) -> dict[str, Any]:
        """Return the parameters of trial `number`, by dotted key.

        Args:
            number: the trial's number.
            ended: records, which begin with those that earlier calls were given.
        """
        import optuna

        search, history = self._study.search, self._optuna
        space = {key: forms.to_optuna() for key, forms in search.space.items()}
        history.add_trials([frozen_trial(record, space) for record in ended[self._known :]])
        self._known = len(ended)
        history.sampler = optuna.samplers.TPESampler(
            seed=stream_seed(self._study.seed, "search", number) % 2**32,
            n_startup_trials=search.startup_trials,
        )
        asked = history.ask(space)
        # What is asked for stays in the history; of failed trials the sampler takes no notice.
        history.tell(asked, state=optuna.trial.TrialState.FAIL)
        parameters: dict[str, Any] = asked.params
        return parameters


def propose(
    study: Study, number: int, ended: Sequence[TrialRecord], history: History | None = None
) -> dict[str, Any]:
    """Return the parameters of trial `number`, by dotted key.

    Args:
        study: the study.
        number: the trial's number.
        ended: records of the trials 0 to `number - search.parallel`, for a twin of all;
            stopped trials count with the value they had reached, failed ones as failed.
        history: knows some of them, in their order, from earlier calls; it changes no
            proposal, only what it costs.
    """
    if study.systems:
        return system_parameters(study, number)
    if number >= TWIN:
        (trial,) = (record for record in ended if record.number == number - TWIN)
        return {**trial.parameters, "split.protocol": study.split.beside}
    if not study.search.space:
        return {}
    return (history or History(study)).propose(number, ended)


def best_trial(ended: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return the completed trial with the largest value, the first of equals; never a twin."""
    completed = [r for r in ended if r.state == "completed" and r.number < TWIN]
    return max(completed, key=lambda r: (r.best_value, -r.number), default=None)


def missing_trials(study: Study, ended: Mapping[int, TrialRecord]) -> set[int]:
    """Return the numbers of the trials that are still to run: at last, the best one's twin."""
    missing = set(range(study.search.trials)) - ended.keys()
    best = best_trial(ended.values())
    if missing or best is None or not has_twin(study):
        return missing
    return {best.number + TWIN} - ended.keys()


def has_twin(study: Study) -> bool:
    """Tell whether the best trial gets a twin: in a search with a second protocol."""
    return study.split.beside is not None and not study.systems


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
