"""Samples of several channels, from training to the table of scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study import load_detector
from study.config.study_file import check_study
from study.data.assembly import build_samples
from study.detectors.signals.block import Block
from study.detectors.signals.table import write_scores
from tests.study.conftest import Trained, train_trial

SENSORS = ("pressure", "flow", "heat")
NORMALS = 60


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """PCA on three sensors with units of their own; abnormal samples are wrong in `flow` alone."""
    random = np.random.default_rng(0)
    time = np.linspace(0, 1, 32) + 0.1 * random.random((80, 1, 1))
    values = np.sin(2 * np.pi * (time + np.arange(3)[:, None] / 3))
    values += 0.01 * random.standard_normal(values.shape)
    values[NORMALS:, 1] = random.permuted(values[NORMALS:, 1], axis=1)
    kinds = ["ok"] * NORMALS + ["fault"] * 20
    scale, offset = np.array([1.0, 50.0, 1e4])[:, None], np.array([0.0, -20.0, 5e5])[:, None]
    samples = build_samples(
        values * scale + offset,
        np.repeat([0, 1], (NORMALS, 20)),
        kinds,
        kinds,
        unit_range=False,
        channel_names=SENSORS,
    )
    study = check_study(
        {
            "name": "sensors",
            "dataset": {"name": "ucr", "length": 32, "path": "r.tsv", "normal_labels": ["ok"]},
            "split": {"folds": 2},
            "model": {"name": "pca", "components": 2},
            "search": {"metric": {"composition": "reconstruction"}},
        },
        "sensors.yaml",
    )
    return train_trial(study, samples, tmp_path_factory.mktemp("sensors"))


def columns() -> list[str]:
    return [f"reconstruction_error.{sensor}" for sensor in SENSORS]


def test_a_fault_is_in_the_errors_of_its_sensor(trained: Trained) -> None:
    stored = pd.read_parquet(trained.fold() / "components.parquet")
    by_sensor = stored[columns()].to_numpy()
    np.testing.assert_allclose(by_sensor.mean(axis=1), stored["reconstruction_error"], rtol=1e-5)
    faults = stored["label"] == 1
    assert faults.sum() == 40  # of both epoch rules
    assert (by_sensor[faults].argmax(axis=1) == SENSORS.index("flow")).all()
    assert by_sensor[faults][:, 1].min() > by_sensor[~faults].max()


def test_each_sensor_is_scaled_by_its_own_limits(trained: Trained) -> None:
    values = trained.samples.values[trained.folds[0].training]
    detector = load_detector(str(trained.fold()))
    scaling = detector.folds[0].scaling
    assert scaling is not None
    found = [(each.minimum, each.maximum) for each in scaling.limits]
    expected = [(values[:, c].min(), values[:, c].max()) for c in range(3)]
    np.testing.assert_array_equal(found, expected)
    reconstructed = detector.reconstruct(values)
    assert reconstructed is not None
    for c in range(3):
        span = np.ptp(values[:, c])
        assert np.abs(reconstructed[:, c] - values[:, c]).max() < 0.1 * span


def test_new_signals_have_the_columns_that_were_stored(trained: Trained, tmp_path: Path) -> None:
    ensemble = load_detector(str(trained.place))
    values = trained.samples.values
    write_scores(tmp_path / "scores.parquet", ensemble, [Block(values, {})])
    table = pd.read_parquet(tmp_path / "scores.parquet")
    single = [load_detector(str(trained.fold(k))).channel_errors(values) for k in (0, 1)]
    for name in columns():
        expected = (single[0][name] + single[1][name]) / 2
        np.testing.assert_allclose(table[name], expected, rtol=1e-5)
    stored = trained.stored()
    members = stored[stored["split"].notna()]
    np.testing.assert_allclose(
        single[0]["reconstruction_error.flow"][members.index],
        members["reconstruction_error.flow"],
        rtol=1e-5,
    )


def test_one_channel_has_no_columns_of_channels(trained_rows: Trained) -> None:
    stored = pd.read_parquet(trained_rows.fold() / "components.parquet")
    assert not [name for name in stored.columns if "." in name]
    detector = load_detector(str(trained_rows.fold()))
    assert detector.channel_errors(trained_rows.samples.values) == {}
