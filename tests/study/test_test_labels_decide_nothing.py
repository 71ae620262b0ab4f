"""Labels of test samples are shuffled: all that is fitted or chosen stays as it was.

Compared are the bytes that a fold commits, and the numbers that every composition is
fitted to. That the metrics on test change, and that shuffled validation labels change
what is fitted, shows that the comparison would see labels that have a say.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from study.config.schema import Study
from study.config.study_file import check_study
from study.data import load
from study.data.samples import Samples
from study.data.splits import Fold, make_splits
from study.ledger import fold_files
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.report.fold_scores import ScoreTask, score_fold
from study.scores.compositions import COMPOSITIONS, FittedMachine
from study.scores.evaluation import FitResult
from study.scores.rules import applicable
from study.scores.settings import LATENT_FORMS
from study.storage.folder import LocalFolder
from study.training.fold import train_fold
from study.training.validation_report import ValidationReport
from tests.study.trials import task_of

pytestmark = pytest.mark.slow
LABELS = ("label", "kind", "symbol")
MEASURED = ["f1_weighted", "f1_anomaly", "precision", "recall", "phi", "auroc", "auprc"]
# Times differ anyway; the table of errors is compared by column, for it holds the labels.
NOT_WHOLE = (fold_files.TIMINGS, fold_files.COMPONENTS)
SYNTHETIC = {
    "name": "synthetic",
    "length": 32,
    "patients": 6,
    "beats_per_patient": 24,
    "abnormal_fraction": 0.3,
}
PARTS: dict[str, dict[str, Any]] = {
    "beta_vaegan": {
        "model": {"name": "beta_vaegan", "latent_size": 3, "width": 4},
        "training": {
            "epochs": 4,
            "batch_size": 16,
            "discriminator_updates": 1,
            "validation_interval": 1,
        },
        "search": {"metric": {"composition": "svm_gamma"}},
    },
    "pca": {
        "model": {"name": "pca", "components": 3},
        "search": {"metric": {"composition": "reconstruction"}},
    },
    # A dataset whose values each fold scales by what it fits.
    "scaled_pca": {
        "dataset": {"name": "ucr", "path": "none.tsv", "normal_labels": [1], "length": 32},
        "model": {"name": "pca", "components": 3},
        "search": {"metric": {"composition": "reconstruction"}},
    },
}
CASES = [
    ("inter_patient", "beta_vaegan"),
    ("inter_patient", "pca"),
    ("paper", "beta_vaegan"),
    ("paper", "pca"),
    ("paper", "scaled_pca"),
]


def study_of(protocol: str, case: str) -> Study:
    content = {
        "name": "tiny",
        "dataset": SYNTHETIC,
        "split": {"protocol": protocol, "folds": 3},
        "scores": {"lambda_steps": 6, "gamma_steps": 5},
    }
    return check_study(content | PARTS[case], "tiny.yaml")


def shuffled(samples: Samples, members: np.ndarray, seed: int = 0) -> Samples:
    """The samples with label, kind and symbol of `members` dealt out anew among them."""
    order = np.random.default_rng(seed).permutation(members)
    columns = {name: getattr(samples, name).copy() for name in LABELS}
    for name, column in columns.items():
        column[members] = getattr(samples, name)[order]
    assert (columns["label"] != samples.label).any(), "nothing moved: this shows nothing"
    return replace(samples, **columns)


def spread(samples: Samples) -> Samples:
    """The samples with an amplitude each, so that who is in a part decides its limits."""
    amplitude = np.random.default_rng(0).uniform(1, 9, (len(samples), 1, 1))
    return replace(samples, values=(samples.values * amplitude).astype(np.float32))


@dataclass(frozen=True)
class Outcome:
    """What became of one fold.

    Attributes:
        decided: all that was fitted or chosen, as bytes by name.
        scores: rows of the fold's score table.
    """

    decided: Mapping[str, bytes]
    scores: pd.DataFrame

    def differing(self, other: "Outcome") -> set[str]:
        assert self.decided.keys() == other.decided.keys()
        return {name for name, found in self.decided.items() if found != other.decided[name]}


def follow(study: Study, samples: Samples, fold: Fold, place: Path) -> Outcome:
    """Train a fold, commit it, fit every composition on it and measure them on test."""
    ledger = Ledger(LocalFolder(place / "ledger"))
    reports: list[ValidationReport] = []
    checkpoints = LocalFolder(place / "checkpoints")
    task = task_of(study)
    manifest = train_fold(task, samples, fold, ledger, checkpoints, reports.append)
    assert manifest.state == "completed"
    table = score_fold(ScoreTask(ledger, manifest, task.config, (), False)).scores
    scores = table.to_pandas()
    assert (scores["note"] == "").all()
    decided = {n: ledger.read(manifest, n) for n in manifest.files if n not in NOT_WHOLE}
    decided["best_epoch"] = repr(manifest.best_epoch).encode()
    decided["reports"] = repr(reports).encode()
    errors = pd.read_parquet(io.BytesIO(ledger.read(manifest, fold_files.COMPONENTS)))
    decided |= column_bytes(errors.drop(columns=list(LABELS)))
    decided |= column_bytes(scores[[field.name for field in fields(FitResult)]])
    return Outcome(decided | fitted_bytes(study, ledger, manifest), scores)


def column_bytes(frame: pd.DataFrame) -> dict[str, bytes]:
    # Python writes a float so that it reads back as the same one.
    return {name: repr(frame[name].tolist()).encode() for name in frame.columns}


def fitted_bytes(study: Study, ledger: Ledger, manifest: FoldManifest) -> dict[str, bytes]:
    """Scaling, weights, support vectors and decisions of every composition, fitted here."""
    described = fold_files.read_json(ledger, manifest, MODEL)
    components, size = described["components"], described["latent_size"]
    found: dict[str, bytes] = {}
    for rule, errors in fold_files.read_errors(ledger, manifest, components, size).items():
        for name in applicable(components):
            for form in LATENT_FORMS if COMPOSITIONS[name].uses_latent else ("",):
                fitted = COMPOSITIONS[name].fit(errors.for_fitting(), study.scores, form)
                key = f"{rule} {name} {form}"
                found[f"{key} columns"] = repr(fitted.columns).encode()
                found[f"{key} on validation"] = fitted.score(errors.validation).tobytes()
                found[f"{key} on test"] = fitted.score(errors.test).tobytes()
                if isinstance(fitted, FittedMachine):
                    machine = fitted.machine
                    found[f"{key} vectors"] = machine.vectors.tobytes()
                    found[f"{key} multipliers"] = machine.dual_coefficients.tobytes()
                    found[f"{key} intercept"] = repr(machine.intercept).encode()
    return found


Whose = Literal["nobody", "test", "validation"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    folder = tmp_path_factory.mktemp("data")
    return load(study_of("paper", "pca").dataset, folder, 0, folder)


@pytest.fixture(scope="module")
def outcome(
    samples: Samples, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str, Whose], Outcome]:
    """Follows the first fold with the labels of a part shuffled, each once.

    The fold is the one drawn from the right labels: `paper` draws test samples by class.
    """

    @cache
    def outcome(protocol: str, case: str, whose: Whose) -> Outcome:
        study = study_of(protocol, case)
        fold = make_splits(samples, study.split, study.seed).folds[0]
        given = spread(samples) if study.dataset.scaled_by_fold else samples
        dealt = given if whose == "nobody" else shuffled(given, getattr(fold, whose))
        return follow(study, dealt, fold, tmp_path_factory.mktemp(f"{protocol}-{case}"))

    return outcome


def test_inter_patient_divides_alike_whatever_the_test_labels(samples: Samples) -> None:
    study = study_of("inter_patient", "pca")
    splits = make_splits(samples, study.split, study.seed)
    for seed in range(20):
        tested = np.flatnonzero(samples.side == "test")
        again = make_splits(shuffled(samples, tested, seed), study.split, study.seed)
        assert again.split_hash == splits.split_hash
        for fold, same in zip(splits.folds, again.folds, strict=True):
            for part in ("training", "validation", "test"):
                np.testing.assert_array_equal(getattr(fold, part), getattr(same, part))
        own = np.flatnonzero(samples.side == "train")
        other = make_splits(shuffled(samples, own, seed), study.split, study.seed)
        assert other.split_hash != splits.split_hash


@pytest.mark.parametrize(("protocol", "case"), CASES)
def test_nothing_fitted_or_chosen_depends_on_test_labels(
    protocol: str, case: str, outcome: Callable[[str, str, Whose], Outcome]
) -> None:
    right, wrong = outcome(protocol, case, "nobody"), outcome(protocol, case, "test")
    assert right.differing(wrong) == set()
    measured = right.scores[MEASURED] != wrong.scores[MEASURED]
    assert measured.any(axis=1).all(), "a metric on test saw no labels: this shows nothing"


@pytest.mark.parametrize(("protocol", "case"), CASES)
def test_what_is_fitted_on_validation_depends_on_its_labels(
    protocol: str, case: str, outcome: Callable[[str, str, Whose], Outcome]
) -> None:
    right, wrong = outcome(protocol, case, "nobody"), outcome(protocol, case, "validation")
    differing = right.differing(wrong)
    assert {fold_files.HISTORY, "reports", "tau", "validation_f1_weighted"} <= differing
    if case == "beta_vaegan":
        assert {"lambda_", "gamma", "last svm_gamma implicit multipliers"} <= differing
    # Of the last epoch, no label has chosen the weights.
    last, same = (found.scores.query("epoch_rule == 'last'") for found in (right, wrong))
    moved = last["tau"] != same["tau"]
    assert moved[last["supervision"] == "threshold"].any()
    assert not moved[last["supervision"] == "none"].any()
