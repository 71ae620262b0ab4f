"""Every model of the table through the stages of a study: trained, stored, composed."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from models import MODELS, components_of
from models.settings import LatentSearchSettings
from study.config.schema import Study
from study.config.study_file import check_study
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger import fold_files
from study.ledger.ledger import MODEL, Ledger
from study.scores.evaluation import evaluate_fold
from study.scores.rules import applicable
from study.storage.folder import LocalFolder
from study.training.fold import train_fold
from tests.study.trials import task_of


def parts(name: str) -> dict[str, Any]:
    """The study file's parts for one model, as quick as it can be."""
    model: dict[str, Any] = {"name": name}
    settings = MODELS[name].settings
    if "width" in settings.model_fields:
        model["width"] = 4
    if issubclass(settings, LatentSearchSettings):
        model["max_steps"] = 3
    epochs = 1 if MODELS[name].fitted_once else 2
    return {
        "name": "tiny",
        "dataset": {"name": "synthetic", "length": 32},
        "split": {"protocol": "paper", "folds": 2},
        "model": model,
        "training": {"epochs": epochs, "batch_size": 16},
        "search": {"metric": {"composition": applicable(components_of(settings()))[0]}},
        "scores": {"lambda_steps": 5, "gamma_steps": 4},
    }


@pytest.mark.parametrize("name", list(MODELS))
def test_its_errors_are_stored_and_every_composition_it_allows_has_numbers(
    name: str, tiny_samples: Callable[..., Samples], tmp_path: Path
) -> None:
    study: Study = check_study(parts(name), "tiny.yaml")
    samples = tiny_samples()
    fold = make_splits(samples, study.split, 0).folds[0]
    ledger = Ledger(LocalFolder(tmp_path / "ledger"))
    task = task_of(study)
    manifest = train_fold(task, samples, fold, ledger, LocalFolder(tmp_path / "checkpoints"))
    assert manifest.state == "completed"
    stored = pd.read_parquet(io.BytesIO(ledger.read(manifest, fold_files.COMPONENTS)))
    components = components_of(study.model)
    assert set(components) <= set(stored.columns)
    described = fold_files.read_json(ledger, manifest, MODEL)
    errors = fold_files.read_errors(ledger, manifest, components, described["latent_size"])
    for rule in fold_files.EPOCH_RULES:
        rows = evaluate_fold(errors[rule], study.scores)
        assert list(dict.fromkeys(row.composition for row in rows)) == list(applicable(components))
        assert {row.note for row in rows} == {""}
        assert "none" in {row.supervision for row in rows}
