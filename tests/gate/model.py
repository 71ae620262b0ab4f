"""beta-VAEGAN that waits at the gate."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from models.beta_vaegan.model import BetaVAEGAN
from tests.gate import GATE, SICK, SICK_BETA, SICK_TRIALS
from tests.gate.illnesses import ILLNESSES


class GatedVAEGAN(BetaVAEGAN):
    """Trains as ever, as long as its process may."""

    trained = 0
    """Epochs that this process has trained, whatever the trial."""

    def train_epoch(self, samples: Tensor, members: Tensor) -> dict[str, float]:
        self._fall_ill()
        while GatedVAEGAN.trained >= (gate := read_gate()).epochs:
            time.sleep(0.02)
        time.sleep(gate.pace_seconds)
        GatedVAEGAN.trained += 1
        return super().train_epoch(samples, members)

    def _fall_ill(self) -> None:
        """Raise what is raised on this node, or in this trial."""
        of_trial = SICK_TRIALS if self.settings.beta == SICK_BETA else ""
        for name in map(os.environ.get, (SICK, of_trial)):
            if name in ILLNESSES:
                raise ILLNESSES[name]()


class GateState(NamedTuple):
    """How many epochs a process may train, and how long each takes longer."""

    epochs: float
    pace_seconds: float


def read_gate() -> GateState:
    """Return what the gate allows."""
    try:
        epochs, pace_seconds = Path(os.environ[GATE]).read_text().split()
        return GateState(int(epochs), float(pace_seconds))
    except FileNotFoundError:
        return GateState(float("inf"), 0.0)
