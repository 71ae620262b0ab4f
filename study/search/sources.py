"""Where trials come from: a search, with repetitions of its best trials, or a list of systems.

Only these know which of them a study file asks for. A search writes down each proposal
before its trial starts, so that the ledger alone continues a study with the same trials.
"""

import bisect
from collections.abc import Callable, Sequence, Set
from typing import Any

from study.config.known_settings import enqueued_parameters
from study.config.schema import Study
from study.config.trial_config import TrialConfig
from study.config.variants import variants
from study.search.proposals import Proposals
from study.search.repetitions import Repetitions
from study.search.trial import LearnedTrial, Origin, Proposal, Trial, TrialRecord, trial_name
from study.search.trial_source import NoTrial, Records, TrialSource


class Search:
    """Trials whose settings are proposed when they can start, from all that is known then.

    Args:
        study: the study.
        known: proposals of earlier runs, in their order: these trials exist.
        record: writes a proposal down, before its trial starts.
        learned: trials of other studies, which its sampler learns from.
        is_spent: returns whether the budget is, with these trials ended: none is proposed then.
    """

    def __init__(
        self,
        study: Study,
        known: Sequence[Proposal] = (),
        record: Callable[[Proposal], None] = lambda proposal: None,
        learned: Sequence[LearnedTrial] = (),
        is_spent: Callable[[Records], bool] = lambda ended: False,
    ) -> None:
        self._study, self._config = study, TrialConfig.of(study)
        self._proposals = Proposals(study)
        self._proposals.learn_others(learned)
        self._known = {proposal.trial.number: proposal for proposal in known}
        self._record, self._is_spent = record, is_spent
        self._existing = max(self._known, default=-1) + 1
        self._proposed: list[str] = []
        self._by_completion: list[TrialRecord] = []
        self._sorted = self._learned = 0
        self._next = 0

    @property
    def size(self) -> int:
        """See `TrialSource.size`."""
        return self._study.search.trials

    @property
    def repetitions(self) -> int:
        """See `TrialSource.repetitions`."""
        return 0

    @property
    def epochs(self) -> int:
        """See `TrialSource.epochs`."""
        return self.size * self.longest

    @property
    def longest(self) -> int:
        """See `TrialSource.longest`."""
        return self._config.training.epochs

    @property
    def facts(self) -> dict[str, str]:
        """See `TrialSource.facts`."""
        facts = {
            "protocols": self._study.split.protocol,
            "searched": ", ".join(self._study.search.space) or "nothing",
        }
        if (count := len(variants(self._study))) > 1:
            facts["variants"] = f"{count} of the same samples"
        return facts

    @property
    def space(self) -> dict[str, Any]:
        """See `TrialSource.space`."""
        return self._proposals.space

    def missing(self, ended: Records) -> list[str]:
        """See `TrialSource.missing`."""
        size = min(self.size, self._existing) if self._is_spent(ended) else self.size
        return [name for name in map(trial_name, range(size)) if name not in ended]

    def next_trial(self, ended: Records, lost: Set[str]) -> Trial | NoTrial:
        """See `TrialSource.next_trial`."""
        while self._next < self.size:
            number, name = self._next, trial_name(self._next)
            if number >= self._existing and name not in ended and self._is_spent(ended):
                # What runs may be better than all before, so that the search goes on after it.
                runs = any(other not in ended and other not in lost for other in self._proposed)
                return NoTrial.YET if runs else NoTrial.MORE
            self._next += 1
            if number in self._known:
                trial = self._repeat(self._known[number], ended)
            elif name in ended:
                continue  # of before proposals were written down
            else:
                trial = self._propose(number, name, ended)
            if name not in ended:
                return trial
        return NoTrial.MORE

    def _repeat(self, proposal: Proposal, ended: Records) -> Trial:
        """Learn what was known when a trial was proposed, and that it was."""
        known = self._in_order(ended)
        end = bisect.bisect_left(known, proposal.ended, key=lambda record: record.completion_order)
        self._proposals.learn(known[self._learned : end])
        self._learned = max(self._learned, end)
        self._proposals.start(proposal.trial, is_enqueued=proposal.origin == "enqueued")
        self._proposed.append(proposal.trial.name)
        return proposal.trial

    def _propose(self, number: int, name: str, ended: Records) -> Trial:
        known = self._in_order(ended)
        self._proposals.learn(known)
        enqueued = enqueued_parameters(self._study, number)
        origin: Origin = "sampler" if enqueued is None else "enqueued"
        parameters = self._proposals.propose(number, name) if enqueued is None else enqueued
        trial = Trial(number, self._config.with_parameters(parameters), parameters)
        if enqueued is not None:
            self._proposals.start(trial, is_enqueued=True)
        running = [other for other in self._proposed if other not in ended]
        last = max((record.completion_order for record in known), default=-1)
        self._record(Proposal(trial, last + 1, running, self._proposals.seed(number), origin))
        self._existing = max(self._existing, number + 1)
        self._proposed.append(name)
        return trial

    def _in_order(self, ended: Records) -> list[TrialRecord]:
        """Return the records of the search's own trials, in the order in which they ended."""
        if len(ended) != self._sorted:  # a study that is continued asks for every trial of before
            records = (record for record in ended.values() if not record.trial.is_repetition)
            self._by_completion = sorted(records, key=lambda record: record.completion_order)
            self._sorted, self._learned = len(ended), 0
        return self._by_completion


class SystemList:
    """A trial for each system of a study, under each of its protocols."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._trials = list(_trials_of_systems(study))
        self._next = 0

    @property
    def size(self) -> int:
        """See `TrialSource.size`."""
        return len(self._trials)

    @property
    def repetitions(self) -> int:
        """See `TrialSource.repetitions`."""
        return 0

    @property
    def epochs(self) -> int:
        """See `TrialSource.epochs`."""
        return sum(trial.config.training.epochs for trial in self._trials)

    @property
    def longest(self) -> int:
        """See `TrialSource.longest`."""
        return max(trial.config.training.epochs for trial in self._trials)

    @property
    def facts(self) -> dict[str, str]:
        """See `TrialSource.facts`."""
        return {
            "systems": ", ".join(self._study.systems),
            "protocols": ", ".join(self._study.split.protocols),
            "searched": "nothing",
        }

    @property
    def space(self) -> dict[str, Any]:
        """See `TrialSource.space`."""
        from optuna.distributions import CategoricalDistribution

        values: dict[str, list[Any]] = {}
        for trial in self._trials:
            for key, value in trial.parameters.items():
                values.setdefault(key, []).append(value)
        return {key: CategoricalDistribution(list(dict.fromkeys(v))) for key, v in values.items()}

    def missing(self, ended: Records) -> list[str]:
        """See `TrialSource.missing`."""
        return [trial.name for trial in self._trials if trial.name not in ended]

    def next_trial(self, ended: Records, lost: Set[str]) -> Trial | NoTrial:
        """See `TrialSource.next_trial`."""
        while self._next < self.size:
            trial = self._trials[self._next]
            self._next += 1
            if trial.name not in ended:
                return trial
        return NoTrial.MORE


def trial_source(
    study: Study,
    known: Sequence[Proposal] = (),
    record: Callable[[Proposal], None] = lambda proposal: None,
    learned: Sequence[LearnedTrial] = (),
    is_spent: Callable[[Records], bool] = lambda ended: False,
) -> TrialSource:
    """Return where the trials of a study come from; further arguments as of `Search`."""
    if study.systems:
        return SystemList(study)
    search = Search(study, known, record, learned, is_spent)
    return Repetitions(study, search) if study.split.beside or study.search.confirm else search


def _trials_of_systems(study: Study) -> list[Trial]:
    protocols = study.split.protocols
    trials: list[Trial] = []
    for name, system in study.systems.items():
        config = TrialConfig.of(study, system)
        for protocol in protocols:
            parameters = {"system": name}
            if len(protocols) > 1:
                parameters["split.protocol"] = protocol
            trials.append(Trial(len(trials), config.under(protocol), parameters, name))
    return trials
