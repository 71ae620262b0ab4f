"""The study that is killed: small, so that it is processes that cost, and not training."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from study.search.plan import this_machine
from tests.small_studies import BETA, LEARNING_RATE, study_text

FOLDS = 2
STOPPING = {"grace_epochs": 8, "reduction": 2}


@dataclass(frozen=True)
class Form:
    """How large the study is, and how it runs.

    Attributes:
        trials: its trials.
        epochs: of each that is not stopped.
        at_a_time: trials at a time; their folds share this machine's CPUs.
        stopping: whether trials are stopped early.
    """

    name: ClassVar[str] = "chaos"
    trials: int
    epochs: int
    at_a_time: int = 1
    stopping: bool = False

    def write(self, path: Path) -> None:
        """Write the study file."""
        share = this_machine()[0].cpus / (self.at_a_time * FOLDS)
        text = study_text(
            self.name,
            split={"folds": FOLDS},
            model={"width": 2},
            training={"epochs": self.epochs, "validation_interval": 1},
            search={
                "trials": self.trials,
                "startup_trials": 2,
                "space": BETA | LEARNING_RATE,
                "stopping": STOPPING if self.stopping else None,
            },
            resources={
                "per_fold": {"cpu": min(1.0, math.floor(share * 100) / 100)},
                "max_concurrent_trials": self.at_a_time,
                "silence_minutes": 0.5,
                "checkpoint_minutes": 0,
            },
            seed=4,
        )
        path.write_text(text)
