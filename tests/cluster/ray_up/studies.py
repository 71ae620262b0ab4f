"""The studies that run on the cluster."""

from pathlib import Path
from typing import Any

import yaml

FOLDS = 3
"""Two folds fit on a worker: the folds of a trial need both."""
STUDY = """
dataset: {name: synthetic, length: 32, patients: 3, beats_per_patient: 30, abnormal_fraction: 0.3}
model: {name: beta_vaegan, latent_size: 3, width: 4}
training: {batch_size: 32, discriminator_updates: 1, validation_interval: 1}
scores: {gamma_steps: 5, lambda_steps: 10}
search:
  sampler: random
  metric: {composition: reconstruction, score: auroc}
  space:
    model.beta: {loguniform: [1.0e-6, 1.0]}
    training.optimizer.learning_rate: {loguniform: [1.0e-5, 1.0e-2]}
resources: {per_fold: {cpu: 0.5}}
seed: 4
"""


def write_study(folder: Path, name: str, epochs: int, folds: int = FOLDS, trials: int = 1) -> None:
    """Write `<name>.yaml`."""
    content: dict[str, Any] = yaml.safe_load(STUDY)
    content |= {"name": name, "split": {"folds": folds}}
    content["training"]["epochs"] = epochs
    content["search"]["trials"] = trials
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
