"""A search's best trials again: under a second protocol, and with another seed."""

from collections.abc import Iterator, Set
from typing import Any

from study.config.schema import Study
from study.randomness import stream_seed
from study.search.trial import Trial, best_trial, best_trials, trial_name
from study.search.trial_source import NoTrial, Records, TrialSource


class Repetitions:
    """A search's trials, and when they have ended its best ones again.

    The best is trained under `split.beside`, and the best `search.confirm` with another seed, with
    the first that was enqueued: what is best of many is in part best by luck.
    """

    def __init__(self, study: Study, search: TrialSource) -> None:
        self._study, self._search = study, search
        self._proposed: set[str] = set()

    @property
    def size(self) -> int:
        """See `TrialSource.size`."""
        return self._search.size

    @property
    def repetitions(self) -> int:
        """See `TrialSource.repetitions`."""
        confirm = self._study.search.confirm
        confirmed = confirm + bool(confirm and self._study.search.enqueue)
        return confirmed + bool(self._study.split.beside)

    @property
    def epochs(self) -> int:
        """See `TrialSource.epochs`."""
        return self._search.epochs + self.repetitions * self.longest

    @property
    def longest(self) -> int:
        """See `TrialSource.longest`."""
        return self._search.longest

    @property
    def facts(self) -> dict[str, str]:
        """See `TrialSource.facts`."""
        facts, search = self._search.facts, self._study.search
        if protocol := self._study.split.beside:
            facts["protocols"] += f"; then the best trial under {protocol}"
        if search.confirm:
            also = "and the first enqueued " if search.enqueue else ""
            facts["confirmed"] = f"the best {search.confirm} {also}with another seed"
        return facts

    @property
    def space(self) -> dict[str, Any]:
        """See `TrialSource.space`."""
        return self._search.space

    def missing(self, ended: Records) -> list[str]:
        """See `TrialSource.missing`: repetitions are decided when all others have ended."""
        missing = self._search.missing(ended)
        if missing:
            return missing
        return [trial.name for trial in self._trials(ended) if trial.name not in ended]

    def next_trial(self, ended: Records, lost: Set[str]) -> Trial | NoTrial:
        """See `TrialSource.next_trial`."""
        trial = self._search.next_trial(ended, lost)
        if trial is not NoTrial.MORE:
            return trial
        if self._search.missing(ended):
            return NoTrial.MORE if lost else NoTrial.YET
        for repetition in self._trials(ended):
            if repetition.name not in {*ended, *self._proposed}:
                self._proposed.add(repetition.name)
                return repetition
        return NoTrial.MORE

    def _trials(self, ended: Records) -> Iterator[Trial]:
        best, protocol = best_trial(ended.values()), self._study.split.beside
        if best and protocol:
            yield Trial(
                number=best.trial.number,
                config=best.trial.config.under(protocol),
                parameters={**best.trial.parameters, "split.protocol": protocol},
                is_repetition=True,
            )
        for trial in self._confirmed(ended):
            seed = stream_seed(self._study.seed, "confirmation", trial.number)
            yield Trial(
                number=trial.number,
                config=trial.config.model_copy(update={"seed": seed}),
                parameters={**trial.parameters, "seed": seed},
                is_repetition=True,
                is_confirmation=True,
            )

    def _confirmed(self, ended: Records) -> list[Trial]:
        """Return the trials that are trained with another seed."""
        search = self._study.search
        trials = [record.trial for record in best_trials(ended.values())[: search.confirm]]
        first = ended.get(trial_name(0))
        if trials and search.enqueue and first and first.state != "failed":
            trials += [first.trial] * (first.trial not in trials)
        return trials
