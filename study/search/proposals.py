"""What the next trial of a search tries, proposed by one of Optuna's samplers.

The sampler is seeded by the study's seed and the trial's number, and learns from all that
is known: ended trials, stopped ones with the value that they had reached, failed ones as
failed, and running ones as running, from which samplers keep away as far as they can.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from study.config.samplers import SAMPLERS, SamplerEntry, SamplerRequest, sampler_entry
from study.config.schema import Objective, Study
from study.randomness import stream_seed
from study.search.objectives import directions, objective_values
from study.search.trial import LearnedTrial, State, Trial, TrialRecord


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
        self._learned: set[str] = set()
        self._counted = {"completed": 0, "pruned": 0, "failed": 0}

    @cached_property
    def _optuna(self) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(directions=directions(self._study.search.metrics))

    @cached_property
    def _entry(self) -> SamplerEntry:
        return sampler_entry(self._study.search.sampler)

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
        if not self.space:
            return {}
        asked = self._running[name] = self._ask(self._sampler(), number)
        parameters: dict[str, Any] = asked.params
        return parameters

    def start(self, trial: Trial) -> None:
        """Learn that a trial runs that was proposed before.

        A sampler that remembers what it proposed proposes it again, and so knows it as its own. If
        it comes to something else, as another version of it may, what was proposed counts.
        """
        if not self.space:
            return
        drawn = {key: trial.parameters[key] for key in self.space if key in trial.parameters}
        sampler = self._sampler()
        if sampler.remembers:
            asked = self._ask(sampler, trial.number)
            if asked.params == drawn:
                self._running[trial.name] = asked
                return
            self._tell(asked, "failed")
        self.take(trial.name, drawn)

    def take(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Learn that a trial runs whose parameters no sampler proposed."""
        if not self.space:
            return
        self._optuna.enqueue_trial(dict(parameters))
        self._running[name] = self._ask(SAMPLERS["random"], 0)  # draws nothing: all is given

    def learn_others(self, trials: Iterable[LearnedTrial]) -> None:
        """Learn of ended trials of other studies, as of this one's."""
        for trial in trials if self.space else ():
            self._counted[trial.state] += 1
            self._optuna.add_trial(frozen_trial(trial, self.space, self._study.search.metrics))

    def learn(self, ended: Iterable[TrialRecord]) -> None:
        """Learn how trials ended; what was learned before is passed over."""
        for record in ended:
            if record.name not in self._ended:
                self._ended[record.name] = record
                self.start(record.trial)
                asked = self._running.pop(record.name, None)
                if asked is not None:
                    self._end(asked, record)

    def _sampler(self) -> SamplerEntry:
        """Return what proposes now: the study's sampler, or the one of its first trials."""
        search, entry = self._study.search, self._entry
        known = self._counted["completed"] + self._counted["pruned"] * entry.learns_from_pruned
        is_startup = entry.learns and known < search.startup_trials
        return SAMPLERS["qmc"] if is_startup and search.startup == "qmc" else entry

    def _ask(self, sampler: SamplerEntry, number: int) -> Any:
        """Have Optuna draw all settings of a trial, those first that others depend on."""
        search = self._study.search
        self._optuna.sampler = sampler.make(
            SamplerRequest(
                seed=self.seed(number),
                study_seed=stream_seed(self._study.seed, "search") % 2**32,
                startup_trials=search.startup_trials,
                is_conditional=any(values.when for values in search.space.values()),
            )
        )
        asked = self._optuna.ask()
        for key, values in search.space.items():
            if values.holds_in(asked.params):
                values.suggest(asked, key)
        return asked

    def _learn(self, record: TrialRecord) -> None:
        self._counted[record.state] += 1
        asked = self._running.pop(record.name, None)
        if asked is None:
            self._optuna.add_trial(frozen_trial(record, self.space, self._study.search.metrics))
            return
        metrics = self._study.search.metrics
        if metrics:  # Optuna takes no values of epochs then, and a stopped trial counts as it was
            ended: State = "failed" if record.state == "failed" else "completed"
            self._tell(asked, ended, objective_values(record, metrics))
            return
        for epoch, value in record.values:
            asked.report(value, epoch)
        self._tell(asked, record.state, [record.best_value])

    def _tell(self, asked: Any, state: State, values: Sequence[float] = ()) -> None:
        tell_as = _states()[state]
        if state == "completed":
            self._optuna.tell(asked, list(values))
        else:
            self._optuna.tell(asked, state=tell_as)


def _states() -> dict[State, Any]:
    from optuna.trial import TrialState

    return {
        "completed": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }


def frozen_trial(
    ended: TrialRecord | LearnedTrial, space: Mapping[str, Any], metrics: Sequence[Objective] = ()
) -> Any:
    """Return an ended trial as Optuna's `FrozenTrial`.

    Args:
        ended: how it ended.
        space: Optuna's distributions by dotted key; only these settings are taken, as far as the
            trial has them.
        metrics: what is improved beside the metric; a stopped trial counts as it was then.
    """
    import optuna

    state: State = "completed" if metrics and ended.state == "pruned" else ended.state
    own = {key: values for key, values in space.items() if key in ended.parameters}
    return optuna.trial.create_trial(
        state=_states()[state],
        values=objective_values(ended, metrics) if state == "completed" else None,
        params={key: ended.parameters[key] for key in own},
        distributions=own,
        intermediate_values={} if metrics else dict(ended.values),
    )
