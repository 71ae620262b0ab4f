"""beta-VAEGAN that waits at the gate."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from models.beta_vaegan.model import BetaVAEGAN
from tests.gate import GATE, SICK, SICK_BETA, SICK_FILE, SICK_TRIALS
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
        of_trial = os.environ.get(SICK_TRIALS) if self.settings.beta == SICK_BETA else ""
        for name in (os.environ.get(SICK), _content(SICK_FILE), of_trial):
            if name in ILLNESSES:
                raise ILLNESSES[name]()


class GateState(NamedTuple):
    """How many epochs a process may train, and how long each takes longer."""

    epochs: float
    pace_seconds: float


def read_gate() -> GateState:
    """Return what the gate allows."""
    epochs, _, pace_seconds = _content(GATE).partition(" ")
    return GateState(float(epochs or "inf"), float(pace_seconds or 0))


def _content(variable: str) -> str:
    """Return what the file holds that a variable of the environment names; "" without one."""
    try:
        return Path(os.environ[variable]).read_text()
    except (KeyError, FileNotFoundError):
        return ""
