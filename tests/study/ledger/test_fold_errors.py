"""Errors of a fold as its compositions read them, against the stored tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from study.config.schema import Study
from study.config.study_file import check_study
from study.config.trial_config import TrialConfig
from study.data import load
from study.data.samples import Samples
from study.ledger.fold_errors import read_fold_errors
from study.ledger.ledger import FoldManifest, Ledger
from study.scores.components import FoldErrors
from study.scores.reference import RELATIVE
from study.search.trial import FoldAddress
from study.storage.folder import LocalFolder
from tests.study.conftest import Trained, train_trial


def pca_study(**parts: Any) -> Study:
    return check_study(
        {
            "name": "tiny",
            "dataset": {"name": "synthetic", "length": 32},
            "split": {"folds": 2},
            "model": {"name": "pca", "components": 3},
            "search": {"metric": {"composition": "reconstruction"}},
            **parts,
        },
        "tiny.yaml",
    )


@pytest.fixture(scope="module")
def study() -> Study:
    """Beats of generated patients, half of whom train; errors are timed."""
    beats = {"name": "synthetic", "length": 32, "patients": 8, "beats_per_patient": 60}
    return pca_study(
        dataset={**beats, "components": "record"},
        split={"protocol": "inter_patient", "folds": 2},
        scores={"reference": "record"},
    )


@pytest.fixture(scope="module")
def trained(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    samples = load(study.dataset, Path("none"), 0, tmp_path_factory.mktemp("cache"))
    return train_trial(study, samples, tmp_path_factory.mktemp("timed"))


def read(trained: Trained, number: int = 0, **scores: Any) -> FoldErrors:
    """The errors of a fold as with these settings of scores."""
    config = TrialConfig.of(trained.study)
    changed = config.scores.model_copy(update=scores)
    ledger = Ledger(LocalFolder(trained.place.parent))
    folds = [ledger.fold(FoldAddress(trained.place.name, k)) for k in range(2)]
    manifests: list[FoldManifest] = [fold for fold in folds if fold]
    config = config.model_copy(update={"scores": changed})
    return read_fold_errors(ledger, manifests[number], config, manifests)["best_validation"]


def part(trained: Trained, name: str, number: int = 0) -> pd.DataFrame:
    stored = trained.stored(number)
    return stored[stored["split"] == name]


def test_components_of_samples_are_stored_beside_the_models(trained: Trained) -> None:
    stored, samples = trained.stored(), trained.samples
    for name, values in samples.components.items():
        np.testing.assert_array_equal(stored[name], values[stored.index])
        np.testing.assert_array_equal(read(trained).test.values[name], part(trained, "test")[name])
    assert set(read(trained).training.values) == {"reconstruction_error", *samples.components}
    np.testing.assert_allclose(
        stored["seconds"], samples.start[stored.index] / samples.sampling_rate_hz
    )
    assert stored["record"].tolist() == samples.record[stored.index].tolist()


def test_errors_are_relative_to_the_record_and_the_rest_is_as_stored(trained: Trained) -> None:
    for name, errors in vars(read(trained)).items():
        if name not in ("validation", "test"):
            continue
        stored = part(trained, name)
        median = stored.groupby("record")["reconstruction_error"].transform("median")
        expected = stored["reconstruction_error"].astype(float) / median.astype(float)
        np.testing.assert_allclose(errors.values["reconstruction_error"], expected, rtol=1e-6)
        np.testing.assert_array_equal(errors.label, stored["label"])
    plain = read(trained, reference="none")
    np.testing.assert_array_equal(
        plain.test.values["reconstruction_error"], part(trained, "test")["reconstruction_error"]
    )
    assert "reconstruction_error" in RELATIVE


def test_validation_of_all_folds_is_one_in_their_order(trained: Trained) -> None:
    one, two = (read(trained, number, fit_on="all_folds") for number in range(2))
    for name in one.validation.values:
        np.testing.assert_array_equal(one.validation.values[name], two.validation.values[name])
        own = [read(trained, number).validation.values[name] for number in range(2)]
        np.testing.assert_array_equal(one.validation.values[name], np.concatenate(own))
        np.testing.assert_array_equal(one.test.values[name], read(trained).test.values[name])
    tested = set(part(trained, "test").index)
    validated = {i for number in range(2) for i in part(trained, "validation", number).index}
    assert not tested & validated
    assert len(one.validation) == len(validated)


def test_patients_are_read_where_thresholds_weigh_them(trained: Trained) -> None:
    assert read(trained).validation.patient is None
    errors = read(trained, quantile_of="held_out_patients", fit_on="all_folds")
    assert errors.validation.patient is not None
    expected = [part(trained, "validation", number)["patient"] for number in range(2)]
    assert errors.validation.patient.tolist() == pd.concat(expected).tolist()


def test_samples_without_a_reference_are_stored_without_time(
    tiny_samples: Callable[..., Samples], tmp_path: Path
) -> None:
    plain = train_trial(pca_study(), tiny_samples(), tmp_path)
    assert "seconds" not in plain.stored()
    assert "record" not in pd.read_parquet(plain.fold() / "training_components.parquet")


def test_a_records_errors_are_those_of_training_and_of_the_samples_own_part(tmp_path: Path) -> None:
    beats = {"name": "synthetic", "length": 32, "patients": 2, "beats_per_patient": 60}
    study = pca_study(dataset=beats, scores={"reference": "record"})  # protocol paper
    own_samples = load(study.dataset, tmp_path, 0, tmp_path)
    trained = train_trial(study, own_samples, tmp_path)
    training = pd.read_parquet(trained.fold() / "training_components.parquet")
    training = training.query("epoch_rule == 'best_validation'")
    for name in ("validation", "test"):
        own = part(trained, name)
        errors = pd.concat([training, own]).groupby("record")["reconstruction_error"]
        expected = own["reconstruction_error"] / own["record"].map(errors.median())
        values = getattr(read(trained), name).values["reconstruction_error"]
        np.testing.assert_allclose(values, expected, rtol=1e-5)
