"""The study that is killed: small, so that it is processes that cost, and not training."""

import math
from dataclasses import dataclass
from pathlib import Path

import yaml

from study.search.plan import this_machine

NAME = "chaos"
FOLDS = 2
STUDY = """
dataset: {name: synthetic, length: 32, patients: 4, beats_per_patient: 60, abnormal_fraction: 0.3}
model: {name: beta_vaegan, latent_size: 3, width: 2}
training: {batch_size: 32, discriminator_updates: 1, validation_interval: 1}
scores: {gamma_steps: 5, lambda_steps: 10}
search:
  startup_trials: 2
  metric: {composition: reconstruction, score: auroc}
  space:
    model.beta: {loguniform: [1.0e-6, 1.0]}
    training.optimizer.learning_rate: {loguniform: [1.0e-5, 1.0e-2]}
resources: {silence_minutes: 0.5, checkpoint_minutes: 0}
seed: 4
"""
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

    trials: int
    epochs: int
    at_a_time: int = 1
    stopping: bool = False

    def write(self, path: Path) -> None:
        """Write the study file."""
        content = yaml.safe_load(STUDY)
        content |= {"name": NAME, "split": {"folds": FOLDS}}
        content["training"]["epochs"] = self.epochs
        content["search"]["trials"] = self.trials
        content["search"]["stopping"] = STOPPING if self.stopping else None
        share = this_machine()[0].cpus / (self.at_a_time * FOLDS)
        content["resources"]["per_fold"] = {"cpu": min(1.0, math.floor(share * 100) / 100)}
        content["resources"]["max_concurrent_trials"] = self.at_a_time
        path.write_text(yaml.safe_dump(content))
