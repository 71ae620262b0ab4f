"""What the coordinator, the workers of folds, the processes of trials and the driver exchange."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from study.search.trial import Trial


@dataclass(frozen=True)
class Assignment:
    """A trial for a group to train.

    Attributes:
        attempt: names this attempt at the trial, and no other in any run.
        trial: the trial; None ends the workers.
        folds: how many of its folds are trained, the first ones; None: all.
        workers: how many workers the group has: of w, worker r trains folds r, r + w, r + 2w and
            so on, one at a time; None: one for each fold.
    """

    attempt: str
    trial: Trial | None
    folds: int | None = None
    workers: int | None = None

    @classmethod
    def of(
        cls, trial: Trial | None, folds: int | None = None, workers: int | None = None
    ) -> "Assignment":
        """Return a new attempt at a trial, or at the first of its folds."""
        return cls(f"{trial.name if trial else ''}/{uuid.uuid4().hex}", trial, folds, workers)


@dataclass(frozen=True)
class Turn:
    """What a worker trains next: one fold of its group's assignment.

    Attributes:
        assignment: the group's.
        fold: the fold; any if the assignment has no trial.
    """

    assignment: Assignment
    fold: int


def trial_of(attempt: str) -> str:
    """Return the name of the trial that an attempt is one at; "" if it is at none."""
    return attempt.partition("/")[0]


@dataclass(frozen=True)
class FoldWorker:
    """A process that trains folds of the trials of a group.

    Attributes:
        group: the group.
        fold: the fold that it trains, or had last; before the first, its rank in the group.
        node: Ray's id of its node.
        address: the node's address, for people.
        actor: Ray's handle of the process.
    """

    group: str
    fold: int
    node: str
    address: str
    actor: Any = None


class Answer(Enum):
    """The answer to a worker that has reported, or asks for work."""

    GO_ON = "go on"
    END = "leave this fold: its trial is over, or it is the turn of others"
    STOP = "commit what there is: the search stops the trial here"
    REPEAT = "repeat all reports of this assignment: the coordinator is new"


class LeaveNodeError(RuntimeError):
    """The node is left alone: workers end, and others start elsewhere."""


@dataclass(frozen=True)
class Patience:
    """How long folds and nodes are waited for.

    Attributes:
        silence_seconds: the least time after which a fold that reports nothing counts as hung.
        nodes_seconds: time after which a trial without nodes is left to the next run; None:
            it is not.
    """

    silence_seconds: float
    nodes_seconds: float | None = None


@dataclass(frozen=True)
class News:
    """What the coordinator reports to the driver.

    Attributes:
        lines: for people.
        left_alone: the nodes that get no folds any more.
        is_restarted: the coordinator died and was started again, without the driver's decisions.
    """

    lines: Sequence[str]
    left_alone: frozenset[str]
    is_restarted: bool
