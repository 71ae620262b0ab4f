"""What a fold says while it trains; apart from training, as who hears it needs no PyTorch."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FoldReport:
    """What a fold says after a validation epoch.

    Attributes:
        epoch: the epoch.
        state: "running", "completed" or "failed".
        reason: why it failed.
        value: the study's metric on validation; nan if the fold failed.
        scores: validation scores and mean losses of the epoch, by name.
    """

    epoch: int
    state: str
    reason: str = ""
    value: float = math.nan
    scores: dict[str, float] = field(default_factory=dict)
