"""What the next trial of a search tries, proposed by one of Optuna's samplers.

The sampler is seeded by the study's seed and the trial's number, and learns from all that
is known: ended trials, stopped ones with the value that they had reached, failed ones as
failed, and running ones as running, from which samplers keep away as far as they can. Settings that
a trial has already are not proposed again while there are others.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from study.config.samplers import SAMPLERS, SamplerEntry, SamplerRequest, sampler_entry
from study.config.schema import Objective, Study
from study.config.search_space import all_settings, count_settings
from study.randomness import stream_seed
from study.search.objectives import directions, objective_values
from study.search.trial import LearnedTrial, State, Trial, TrialRecord
from study.storage.hashes import canonical_hash

OF_SAMPLER, AT_RANDOM = 3, 100
"""How many proposals a sampler may make until one is new, and how many draws follow then."""
MOST_LISTED = 10_000
"""Settings of a space up to which all of them are listed, so that the last ones are drawn, too."""


class Proposals:
    """Proposes trials; to learn of a trial costs the same however many are known.

    Optuna's study has the trials in the order in which they became known here: a proposal
    when it was made, a trial of before when it is learned of. It gets those of before when it is
    asked for the next, as they stand then: as a whole, which costs a fraction of what following
    them costs. Only what a sampler that remembers proposed before is followed one by one.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._ended: dict[str, TrialRecord] = {}
        self._known: set[str] = set()
        self._not_in_optuna: list[Trial] = []
        self._running: dict[str, Any] = {}
        self._tried: set[str] = set()
        self._counted: dict[State, int] = {"completed": 0, "pruned": 0, "failed": 0}

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

    def seed(self, number: int, attempt: int = 0) -> int:
        """Return what the sampler is seeded with for trial `number`.

        Args:
            number: the trial's number.
            attempt: how many of its proposals for this trial another trial has already.
        """
        path = (number, attempt) if attempt else (number,)
        return stream_seed(self._study.seed, "search", *path) % 2**32

    def propose(self, number: int, name: str) -> dict[str, Any]:
        """Return the parameters of trial `number`, by dotted key; it counts as running.

        Args:
            number: the trial's number.
            name: its name.
        """
        if not self._study.search.space:
            return {}
        self._complete_optuna()
        asked = self._ask_for_new(number)
        self._known.add(name)
        self._running[name] = asked
        parameters: dict[str, Any] = asked.params
        self._tried.add(self._key(parameters))
        return parameters

    def start(self, trial: Trial, *, is_enqueued: bool = False) -> None:
        """Learn of a trial whose settings are known; it runs, unless it is learned how it ended.

        A sampler that remembers what it proposed proposes it again, and so knows it as its own. If
        it comes to something else, as another version of it may, what was proposed counts.

        Args:
            trial: the trial.
            is_enqueued: whether the study named its settings, and no sampler.
        """
        if trial.name in self._known:
            return
        self._known.add(trial.name)
        search = self._study.search
        may_remember = self._entry.remembers or search.startup == "qmc"
        if is_enqueued or not (search.space and may_remember and self._sampler().remembers):
            self._add_later(trial)
            return
        self._complete_optuna()
        asked = self._ask_for_new(trial.number, self._searched(trial))
        if asked.params == self._searched(trial):
            self._running[trial.name] = asked
            self._tried.add(self._key(asked.params))
        else:
            self._tell(asked, "failed")
            self._add_later(trial)

    def learn(self, ended: Iterable[TrialRecord]) -> None:
        """Learn how trials ended; what was learned before is passed over."""
        for record in ended:
            if record.name in self._ended:
                continue
            self._ended[record.name] = record
            self._counted[record.state] += 1
            asked = self._running.pop(record.name, None)
            if asked is not None:
                self._end(asked, record)
            elif record.name not in self._known:
                self._known.add(record.name)
                self._add_later(record.trial)

    def learn_others(self, trials: Iterable[LearnedTrial]) -> None:
        """Learn of ended trials of other studies, as of this one's."""
        for trial in trials if self._study.search.space else ():
            self._counted[trial.state] += 1
            self._optuna.add_trial(self._frozen(trial))

    def _sampler(self) -> SamplerEntry:
        """Return what proposes now: the study's sampler, or the one of its first trials."""
        search, entry = self._study.search, self._entry
        known = self._counted["completed"] + self._counted["pruned"]
        is_startup = entry.learns and known < search.startup_trials
        return SAMPLERS["qmc"] if is_startup and search.startup == "qmc" else entry

    def _ask_for_new(self, number: int, known: Mapping[str, Any] | None = None) -> Any:
        """Have the sampler draw settings that no other trial has, which would train in vain.

        Where it does not come to any soon, they are drawn at random, as far as there are others.

        Args:
            number: the trial's number.
            known: its settings, if it exists: these are taken, whoever has them.
        """
        for attempt in range(OF_SAMPLER):
            asked = self._ask(self._sampler(), self.seed(number, attempt))
            if asked.params == known or self._key(asked.params) not in self._tried:
                return asked
            self._tell(asked, "failed")
        return self._ask_with(self._drawn_new(number) or asked.params, number)

    def _drawn_new(self, number: int) -> dict[str, Any] | None:
        """Draw settings that no trial has; None if there are none."""
        space, random = self._study.search.space, np.random.default_rng(self.seed(number))
        if count_settings(space) <= MOST_LISTED:
            left = [each for each in all_settings(space) if self._key(each) not in self._tried]
            return left[random.integers(len(left))] if left else None
        drawn = Proposals(self._study)  # of so many, few draws find one
        for attempt in range(AT_RANDOM):
            parameters: dict[str, Any] = drawn._ask(
                SAMPLERS["random"], self.seed(number, attempt)
            ).params
            if self._key(parameters) not in self._tried:
                return parameters
        return None

    def _key(self, parameters: Mapping[str, Any]) -> str:
        """Return what says whether settings are the same: 1 of a range of floats is 1.0."""
        space = self._study.search.space
        return canonical_hash(
            {
                key: float(value) if space[key].is_continuous else value
                for key, value in parameters.items()
            }
        )

    def _ask(self, sampler: SamplerEntry, seed: int) -> Any:
        """Have Optuna draw all settings of a trial, those first that others depend on."""
        search = self._study.search
        self._optuna.sampler = sampler.make(
            SamplerRequest(
                seed=seed,
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

    def _ask_with(self, parameters: Mapping[str, Any], number: int) -> Any:
        """Have Optuna begin a trial whose settings are known."""
        self._optuna.enqueue_trial(dict(parameters))
        return self._ask(SAMPLERS["random"], self.seed(number))  # which draws nothing

    def _add_later(self, trial: Trial) -> None:
        """Take note of a trial that Optuna gets when it is asked for the next."""
        self._not_in_optuna.append(trial)
        self._tried.add(self._key(self._searched(trial)))

    def _searched(self, trial: Trial) -> dict[str, Any]:
        """Return the parameters of a trial that the sampler knows."""
        return {key: trial.parameters[key] for key in self.space if key in trial.parameters}

    def _complete_optuna(self) -> None:
        """Add the trials that Optuna does not have yet."""
        for trial in self._not_in_optuna:
            if record := self._ended.get(trial.name):
                self._optuna.add_trial(self._frozen(record, is_last_enough=True))
            else:
                self._running[trial.name] = self._ask_with(self._searched(trial), trial.number)
        self._not_in_optuna.clear()

    def _end(self, asked: Any, record: TrialRecord) -> None:
        """Tell Optuna how one of its running trials ended."""
        metrics = self._study.search.metrics
        for epoch, value in () if metrics else record.values:  # with metrics Optuna takes none
            asked.report(value, epoch)
        self._tell(asked, *outcome(record, metrics, reads_pruned=self._entry.reads_pruned))

    def _frozen(self, ended: TrialRecord | LearnedTrial, *, is_last_enough: bool = False) -> Any:
        return frozen_trial(
            ended,
            self.space,
            self._study.search.metrics,
            reads_pruned=self._entry.reads_pruned,
            is_last_enough=is_last_enough,
        )

    def _tell(self, asked: Any, state: State, values: Sequence[float] = ()) -> None:
        if state == "completed":
            self._optuna.tell(asked, list(values))
        else:
            self._optuna.tell(asked, state=_states()[state])


def _states() -> dict[State, Any]:
    from optuna.trial import TrialState

    return {
        "completed": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }


def outcome(
    ended: TrialRecord | LearnedTrial, metrics: Sequence[Objective], *, reads_pruned: bool = True
) -> tuple[State, list[float]]:
    """Return the state of an ended trial for Optuna, and its values.

    Optuna prunes no trial of several metrics: one that was stopped has completed then, with what
    it had at its best epoch.

    Args:
        ended: how it ended.
        metrics: what is improved beside the metric.
        reads_pruned: whether the sampler learns from pruned trials. For one that does not, a
            trial that was stopped has completed with the value that it was stopped with.
    """
    if ended.state == "pruned" and metrics:
        return "completed", objective_values(ended, metrics)
    if ended.state == "pruned" and not reads_pruned:
        return "completed", [ended.values[-1][1]]
    return ended.state, objective_values(ended, metrics)


def frozen_trial(
    ended: TrialRecord | LearnedTrial,
    space: Mapping[str, Any],
    metrics: Sequence[Objective] = (),
    *,
    reads_pruned: bool = True,
    is_last_enough: bool = False,
) -> Any:
    """Return an ended trial as Optuna's `FrozenTrial`.

    Args:
        ended: how it ended.
        space: Optuna's distributions by dotted key; only these settings are taken, as far as the
            trial has them.
        metrics: what is improved beside the metric.
        reads_pruned: as of `outcome`.
        is_last_enough: whether only the last of its values are wanted: samplers read no others.
    """
    import optuna

    state, of_optuna = outcome(ended, metrics, reads_pruned=reads_pruned)
    own = {key: values for key, values in space.items() if key in ended.parameters}
    values = ended.values[-1:] if is_last_enough else ended.values
    return optuna.trial.create_trial(
        state=_states()[state],
        values=of_optuna if state == "completed" else None,
        params={key: ended.parameters[key] for key in own},
        distributions=own,
        intermediate_values={} if metrics else dict(values),
    )
