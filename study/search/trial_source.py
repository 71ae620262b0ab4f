"""What every source of trials says: which come next, which are missing, how many there are."""

import enum
from collections.abc import Mapping, Set
from typing import Any, Protocol

from study.search.trial import Trial, TrialRecord

Records = Mapping[str, TrialRecord]
"""Ended trials by name."""


class NoTrial(enum.Enum):
    """Why there is no trial to start."""

    YET = "trials that run must end first"
    MORE = "there is none left, or none that can be known in this run"


class TrialSource(Protocol):
    """Says which trials a study has, in what order, and which of them are missing."""

    @property
    def size(self) -> int:
        """Trials that it names at the beginning; repetitions come on top."""
        ...

    @property
    def repetitions(self) -> int:
        """How many of these there can be."""
        ...

    @property
    def epochs(self) -> int:
        """Epochs of all trials together, if none is stopped early."""
        ...

    @property
    def longest(self) -> int:
        """Epochs of the longest trial."""
        ...

    @property
    def facts(self) -> dict[str, str]:
        """The lines of a plan that describe the trials, by their names."""
        ...

    @property
    def space(self) -> dict[str, Any]:
        """Optuna's distributions of what sets its trials apart, by dotted key."""
        ...

    def missing(self, ended: Records) -> list[str]:
        """Return the names of the trials that are still to run, as far as they are decided."""
        ...

    def next_trial(self, ended: Records, lost: Set[str]) -> Trial | NoTrial:
        """Return the next trial that has not ended; each is returned once.

        Args:
            ended: the ended trials.
            lost: names of trials that this run cannot finish.
        """
        ...
