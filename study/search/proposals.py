"""What the next trial of a search tries, proposed by one of Optuna's samplers.

The sampler is seeded by the study's seed and the trial's number, and learns from ended
trials: stopped ones count with the value that they had reached, failed ones as failed.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from study.config.samplers import SAMPLERS
from study.config.schema import Study
from study.randomness import stream_seed
from study.search.trial import TrialRecord


class Proposals:
    """Proposes trials; to learn of a trial costs the same however many are known."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._learned = 0

    @cached_property
    def _optuna(self) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(direction="maximize")

    def propose(self, number: int, ended: Sequence[TrialRecord]) -> dict[str, Any]:
        """Return the parameters of trial `number`, by dotted key.

        Args:
            number: the trial's number.
            ended: records to learn from, which begin with those of earlier calls.
        """
        search = self._study.search
        if not search.space:
            return {}
        import optuna

        space = {key: distribution.to_optuna() for key, distribution in search.space.items()}
        self._optuna.add_trials([frozen_trial(record, space) for record in ended[self._learned :]])
        self._learned = len(ended)
        seed = stream_seed(self._study.seed, "search", number) % 2**32
        self._optuna.sampler = SAMPLERS[search.sampler](seed, search.startup_trials)
        asked = self._optuna.ask(space)
        # What is asked for stays with Optuna; of failed trials the sampler takes no notice.
        self._optuna.tell(asked, state=optuna.trial.TrialState.FAIL)
        parameters: dict[str, Any] = asked.params
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
        params={key: record.trial.parameters[key] for key in space},
        distributions=dict(space),
        intermediate_values=dict(record.values),
    )
