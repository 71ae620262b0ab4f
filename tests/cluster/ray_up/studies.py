"""The studies that run on the cluster."""

from pathlib import Path

from tests.small_studies import BETA, LEARNING_RATE, study_text

FOLDS = 3
"""Two folds fit on a worker: the folds of a trial need both."""


def write_study(folder: Path, name: str, epochs: int, folds: int = FOLDS, trials: int = 1) -> None:
    """Write `<name>.yaml`."""
    text = study_text(
        name,
        dataset={"patients": 3, "beats_per_patient": 30},
        split={"folds": folds},
        model={"width": 4},
        training={"epochs": epochs, "validation_interval": 1},
        search={"trials": trials, "sampler": "random", "space": BETA | LEARNING_RATE},
        resources={"per_fold": {"cpu": 0.5}, "checkpoint_minutes": 0},
        seed=4,
    )
    (folder / f"{name}.yaml").write_text(text)
