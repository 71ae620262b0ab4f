"""What the next trial of a search tries, proposed by one of Optuna's samplers.

The sampler is seeded by the study's seed and the trial's number, and learns from all that
is known: ended trials, stopped ones with the value that they had reached, failed ones as
failed, and running ones as running, from which TPE keeps away (constant liar).
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from study.config.samplers import SAMPLERS
from study.config.schema import Study
from study.randomness import stream_seed
from study.search.trial import Trial, TrialRecord


class Proposals:
    """Proposes trials; to learn of a trial costs the same however many are known.

    Optuna's study has the trials in the order in which they became known here: a proposal
    when it was made, a trial of before when it is learned of. It gets those of before when it is
    asked for the next, as they stand then: as a whole, which costs a fraction of what following
    them costs.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._ended: dict[str, TrialRecord] = {}
        self._known: set[str] = set()
        self._not_in_optuna: list[Trial] = []
        self._running: dict[str, Any] = {}

    @cached_property
    def _optuna(self) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(direction="maximize")

    @cached_property
    def space(self) -> dict[str, Any]:
        """Optuna's distributions of what is searched, by dotted key."""
        return {key: values.to_optuna() for key, values in self._study.search.space.items()}

    def seed(self, number: int) -> int:
        """Return what the sampler is seeded with for trial `number`."""
        return stream_seed(self._study.seed, "search", number) % 2**32

    def propose(self, number: int, name: str) -> dict[str, Any]:
        """Return the parameters of trial `number`, by dotted key; it counts as running.

        Args:
            number: the trial's number.
            name: its name.
        """
        search = self._study.search
        if not search.space:
            return {}
        self._complete_optuna()
        self._optuna.sampler = SAMPLERS[search.sampler](self.seed(number), search.startup_trials)
        asked = self._optuna.ask(self.space)
        self._known.add(name)
        self._running[name] = asked
        parameters: dict[str, Any] = asked.params
        return parameters

    def start(self, trial: Trial) -> None:
        """Learn of a trial that was proposed before; it runs, unless it is learned how it ended."""
        if trial.name not in self._known:
            self._known.add(trial.name)
            self._not_in_optuna.append(trial)

    def learn(self, ended: Iterable[TrialRecord]) -> None:
        """Learn how trials ended; what was learned before is passed over."""
        for record in ended:
            if record.name not in self._ended:
                self._ended[record.name] = record
                self.start(record.trial)
                asked = self._running.pop(record.name, None)
                if asked is not None:
                    self._end(asked, record)

    def _complete_optuna(self) -> None:
        """Add the trials that Optuna does not have yet."""
        for trial in self._not_in_optuna:
            if record := self._ended.get(trial.name):
                self._optuna.add_trial(frozen_trial(record, self.space, is_last_enough=True))
            else:
                self._running[trial.name] = self._asked_again(trial)
        self._not_in_optuna.clear()

    def _asked_again(self, trial: Trial) -> Any:
        """Return Optuna's own of a trial that was proposed before and runs."""
        from optuna.samplers import RandomSampler

        self._optuna.sampler = RandomSampler(seed=0)  # draws nothing: all is given
        self._optuna.enqueue_trial({key: trial.parameters[key] for key in self.space})
        return self._optuna.ask(self.space)

    def _end(self, asked: Any, record: TrialRecord) -> None:
        """Tell Optuna how one of its running trials ended."""
        from optuna.trial import TrialState

        for epoch, value in record.values:
            asked.report(value, epoch)
        if record.state == "completed":
            self._optuna.tell(asked, record.best_value)
        else:
            pruned = record.state == "pruned"
            self._optuna.tell(asked, state=TrialState.PRUNED if pruned else TrialState.FAIL)


def frozen_trial(
    record: TrialRecord, space: Mapping[str, Any], *, is_last_enough: bool = False
) -> Any:
    """Return an ended trial as Optuna's `FrozenTrial`.

    Args:
        record: how it ended.
        space: Optuna's distributions by dotted key; only these settings are taken.
        is_last_enough: whether only the last of its values are wanted: samplers read no others.
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
        intermediate_values=dict(record.values[-1:] if is_last_enough else record.values),
    )
