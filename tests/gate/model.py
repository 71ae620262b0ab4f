"""beta-VAEGAN that waits at the gate."""

import os
import time
from pathlib import Path

from torch import Tensor

from models.beta_vaegan.model import BetaVAEGAN
from tests.gate import GATE, SICK


class GatedVAEGAN(BetaVAEGAN):
    """Trains as ever, as long as its process may."""

    trained = 0
    """Epochs that this process has trained, whatever the trial."""

    def train_epoch(self, samples: Tensor, members: Tensor) -> dict[str, float]:
        if SICK in os.environ:
            raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
        while GatedVAEGAN.trained >= allowed():
            time.sleep(0.02)
        GatedVAEGAN.trained += 1
        return super().train_epoch(samples, members)


def allowed() -> float:
    """Return how many epochs a process may train."""
    try:
        return int(Path(os.environ[GATE]).read_text())
    except FileNotFoundError:
        return float("inf")
