"""What a fold reports while it trains; apart from training, since readers need no PyTorch."""

import math
from dataclasses import dataclass, field


class StoppedEarly(Exception):  # noqa: N818 - an answer, not an error
    """The search stops the trial at the epoch that was reported."""


@dataclass(frozen=True)
class ValidationReport:
    """What a fold reports after a validation epoch.

    Attributes:
        epoch: the epoch.
        state: "running"; or, of a fold that is committed, "completed", "pruned" or "failed".
        reason: why it failed.
        value: the study's metric on validation; nan if the fold failed.
        scores: validation scores and mean losses of the epoch, by name.
    """

    epoch: int
    state: str
    reason: str = ""
    value: float = math.nan
    scores: dict[str, float] = field(default_factory=dict)
