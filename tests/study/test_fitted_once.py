"""Models that are fitted once in a study: its file, a whole fold, rows of `scores.parquet`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from models import MODELS, components_of
from study.config.study_file import check_study, dump_study
from study.data.leakage import Leakage
from study.data.samples import Samples
from study.data.splits import make_splits
from study.errors import RequestError
from study.ledger import fold_files
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts
from study.report.fold_scores import ScoreTask, score_fold
from study.report.tables import TrialScores, scores_table
from study.scores.rules import applicable
from study.storage.folder import LocalFolder
from study.training.fold import train_fold
from study.training.setup import build_model
from study.training.validation_report import ValidationReport
from tests.study.trials import record_of, task_of, trial_of

FITTED_ONCE = [name for name, entry in MODELS.items() if entry.fitted_once]


def content(name: str, **parts: Any) -> dict[str, Any]:
    """The parts of a study file that has no word on training."""
    return {
        "name": "tiny",
        "dataset": {"name": "synthetic", "length": 32},
        "split": {"protocol": "paper", "folds": 1},
        "model": {"name": name},
        "search": {
            "metric": {"composition": applicable(components_of(MODELS[name].settings()))[0]}
        },
    } | parts


@pytest.mark.parametrize("name", FITTED_ONCE)
def test_a_fold_becomes_rows_of_the_table(
    name: str, tiny_samples: Callable[..., Samples], tmp_path: Path
) -> None:
    study, samples = check_study(content(name), "tiny.yaml"), tiny_samples()
    fold = make_splits(samples, study.split, 0).folds[0]
    ledger = Ledger(LocalFolder(tmp_path / "ledger"))
    reports: list[ValidationReport] = []
    checkpoints = LocalFolder(tmp_path / "checkpoints")
    task = task_of(study)
    manifest = train_fold(task, samples, fold, ledger, checkpoints, reports.append)
    assert manifest.state == "completed"
    assert [report.epoch for report in reports] == [1]

    model = build_model(task.config, samples, 7, torch.device("cpu"))
    model.load_weights(safetensors.torch.load(ledger.read(manifest, fold_files.WEIGHTS)))
    components = MODELS[name].components
    stored = fold_files.read_errors(ledger, manifest, components, model.latent_size)
    for component, values in model.errors(torch.from_numpy(samples.values[fold.test])).items():
        found = stored["best_validation"].test.values[component]
        np.testing.assert_array_equal(found, values.double().numpy())

    scores = score_fold(ScoreTask(ledger, manifest, task.config, (), False)).scores
    facts = {"paper": SplitFacts("hash", (Leakage(0, 0, 0),))}
    rows = scores_table(
        facts, [TrialScores(record_of(trial_of(study)), [manifest], scores)]
    ).to_pandas()
    assert list(dict.fromkeys(rows["composition"])) == list(applicable(components))
    assert set(rows["supervision"]) == {"none", "threshold"}
    assert (rows["note"] == "").all()
    assert rows["f1_weighted"].between(0, 1).all()
    assert rows["beta_unscaled"].isna().all()
    for key, value in dump_study(study)["model"].items():
        column = rows[f"param.model.{key}"]
        assert (column.isna() if value is None else column == value).all()


@pytest.mark.parametrize("name", list(MODELS))
def test_a_metric_that_a_model_does_not_allow_is_refused_with_those_it_does(name: str) -> None:
    allowed = applicable(components_of(MODELS[name].settings()))
    unfit = "svm_lambda" if "outlier_score" in allowed else "outlier_score"
    wrong = content(name, search={"metric": {"composition": unfit}})
    with pytest.raises(RequestError) as raised:
        check_study(wrong, "my.yaml")
    message = str(raised.value)
    assert message.startswith(f"my.yaml: search.metric.composition: {unfit} needs ")
    for composition in allowed:
        assert composition in message
    assert "\n" not in message


@pytest.mark.parametrize("name", FITTED_ONCE)
def test_the_default_metric_is_refused_for_it_needs_a_discriminator(name: str) -> None:
    with pytest.raises(RequestError, match="svm_lambda needs discrimination_error"):
        check_study(content(name, search={}), "my.yaml")


@pytest.mark.parametrize("name", FITTED_ONCE)
def test_there_is_one_epoch_and_no_other_number(name: str) -> None:
    assert check_study(content(name), "my.yaml").training.epochs == 1
    check_study(content(name, training={"epochs": 1}), "my.yaml")
    wrong = content(name, training={"epochs": 500})
    with pytest.raises(RequestError, match=f"{name} is fitted once, so this must be 1.*found 500"):
        check_study(wrong, "my.yaml")


@pytest.mark.parametrize("name", FITTED_ONCE)
def test_no_training_setting_is_searched(name: str) -> None:
    wrong = content(name)
    wrong["search"]["space"] = {"training.batch_size": {"int": [8, 64]}}
    with pytest.raises(RequestError, match=rf"training\.batch_size changes nothing of {name}"):
        check_study(wrong, "my.yaml")


def test_the_grid_of_the_one_class_svm_can_be_searched() -> None:
    grid = content("ocsvm")
    grid["search"]["space"] = {
        "model.nu": {"choice": [0.01, 0.05, 0.1, 0.2, 0.5]},
        "model.gamma": {"choice": ["scale", 0.01, 0.1, 1.0]},
    }
    study = check_study(grid, "my.yaml")
    assert study.search.space["model.gamma"].ends == ("scale", 0.01, 0.1, 1.0)


def test_a_share_nu_of_one_is_refused() -> None:
    wrong = content("ocsvm", model={"name": "ocsvm", "nu": 1})
    with pytest.raises(RequestError, match=r"model\.nu: .*less than 1"):
        check_study(wrong, "my.yaml")
