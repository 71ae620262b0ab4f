"""The text of small studies for a cluster: of generated beats, so that processes cost the most."""

from collections.abc import Mapping
from typing import Any

import yaml

SMALL: Mapping[str, Any] = {
    "dataset": {
        "name": "synthetic",
        "length": 32,
        "patients": 4,
        "beats_per_patient": 60,
        "abnormal_fraction": 0.3,
    },
    "split": {"folds": 2},
    "model": {"name": "beta_vaegan", "latent_size": 3, "width": 4},
    "training": {"batch_size": 32, "discriminator_updates": 1},
    "scores": {"gamma_steps": 5, "lambda_steps": 10},
    "search": {"metric": {"composition": "reconstruction", "score": "auroc"}},
}
BETA = {"model.beta": {"loguniform": [1e-6, 1.0]}}
BETA_TO_FAIL = {"model.beta": {"choice": [1e-4, 1e300]}}
"""Trials with the second value fail."""
LEARNING_RATE = {"training.optimizer.learning_rate": {"loguniform": [1e-5, 1e-2]}}
FOUR_EPOCHS = {"epochs": 4, "validation_interval": 2}
RUNG_AT_2 = {"grace_epochs": 2, "reduction": 2}
"""Of these epochs the second is where the worse half of trials is stopped."""


def study_text(name: str, **parts: Any) -> str:
    """Return a study file; keywords are parts of it, whose settings are added to those here."""
    content = {"name": name, **SMALL}
    for part, settings in parts.items():
        both = isinstance(settings, dict) and part in content
        content[part] = {**content[part], **settings} if both else settings
    return yaml.safe_dump(content, sort_keys=False)
