from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from study.data import load
from study.data.resampling import interpolate_rows
from study.data.samples import Samples
from study.data.table import UNLABELLED, TableSettings, check
from study.errors import RequestError

VALUES = np.random.default_rng(0).random((6, 40))


def prepared(folder: Path, **changes: Any) -> Samples:
    settings = {"path": "a.csv", "normal_labels": "ok", "length": 64} | changes
    return load(TableSettings(**settings), folder, 0, folder / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    label = ["ok", "ok", "hot", "ok", "loud", "ok"]
    frame = pd.DataFrame(VALUES).add_prefix("t").assign(machine="m1", label=label)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame[::-1].to_csv(tmp_path / "b.csv", index=False)
    return tmp_path


def test_named_columns_become_samples(folder: Path) -> None:
    samples = prepared(folder, leave_out=["machine"])
    assert samples.label.tolist() == [0, 0, 1, 0, 1, 0]
    assert samples.kind.tolist() == ["ok", "ok", "hot", "ok", "loud", "ok"]
    expected = interpolate_rows(VALUES, 64).astype(np.float32)
    np.testing.assert_array_equal(samples.values[:, 0], expected)
    assert samples.row_width == 40
    assert set(samples.side) == {""}


def test_a_test_file_is_the_data_s_own_test_set(folder: Path) -> None:
    samples = prepared(folder, leave_out=["machine"], test_path="b.csv")
    assert samples.side.tolist() == ["train"] * 6 + ["test"] * 6
    np.testing.assert_array_equal(samples.values[6:], samples.values[5::-1])


def test_without_labels_all_rows_are_normal(folder: Path) -> None:
    samples = prepared(folder, leave_out=["machine", "label"], label=None, normal_labels=[])
    assert not samples.label.any()
    assert set(samples.kind) == {UNLABELLED}


def test_files_beside_the_study_file_come_first(folder: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("data")
    (other / "a.csv").write_text("nothing")
    settings = TableSettings(
        path="a.csv", normal_labels="ok", leave_out=("machine",), test_path="c.csv"
    )
    beside = settings.beside(folder)
    assert beside.path == (str(folder / "a.csv"),)
    assert beside.test_path == ("c.csv",)
    assert check(beside.model_copy(update={"test_path": ()}), other) == [
        f"{folder / 'a.csv'}: 6 rows of 40 values, labels 1 of hot, 1 of loud, 4 of ok"
    ]


@pytest.mark.parametrize("scaling", ["training", "sample"])
def test_several_channels_are_each_brought_to_length(tmp_path: Path, scaling: str) -> None:
    values = np.random.default_rng(0).normal(size=(6, 3, 50)).cumsum(axis=2)
    frame = pd.DataFrame({n: list(values[:, c]) for c, n in enumerate(("left", "up", "on"))})
    frame.to_parquet(tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", values)
    samples = {
        name: prepared(
            tmp_path, path=name, label=None, normal_labels=(), length=64, scaling=scaling
        )
        for name in ("a.parquet", "a.npy")
    }
    assert samples["a.parquet"].channel_names == ("left", "up", "on")
    assert samples["a.npy"].channel_names == ("0", "1", "2")
    at = np.linspace(0, 49, 64)
    for each in samples.values():
        assert each.row_width == 50
        for row, sample in zip(values, each.values, strict=True):
            for channel, interpolated in zip(row, sample, strict=True):
                expected = np.interp(at, np.arange(50), channel)
                if scaling == "sample":
                    expected = (expected - expected.min()) / np.ptp(expected)
                np.testing.assert_allclose(interpolated, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "changes", [{"label": None}, {"normal_labels": []}, {"label": True}, {"label": 1.5}]
)
def test_a_label_goes_with_those_that_are_normal(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TableSettings(**{"path": "a.csv", "normal_labels": ["ok"]} | changes)


def write_channels(path: Path, names: str, values: np.ndarray) -> None:
    """Write channels as columns of lists, in the order of their one-letter names."""
    columns = {name: list(values[:, "abc".index(name)]) for name in names}
    pd.DataFrame(columns).to_parquet(path)


def test_channels_of_several_files_are_those_of_their_names(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 32))
    write_channels(tmp_path / "a.parquet", "ab", values)
    write_channels(tmp_path / "b.parquet", "ba", values)
    write_channels(tmp_path / "c.parquet", "ac", values)
    unlabelled = {"label": None, "normal_labels": (), "length": 32}
    for files in ({"path": ["a.parquet", "b.parquet"]}, {"test_path": "b.parquet"}):
        samples = prepared(tmp_path, **({"path": "a.parquet"} | unlabelled | files))
        assert samples.channel_names == ("a", "b")
        np.testing.assert_array_equal(samples.values[:4], values[:, :2].astype(np.float32))
        np.testing.assert_array_equal(samples.values[4:], samples.values[:4])
    problem = r"c\.parquet: expected the channels of the first file, a, b, found a, c: "
    with pytest.raises(RequestError, match=problem):
        prepared(tmp_path, path=["a.parquet", "c.parquet"], **unlabelled)


def test_values_that_float32_does_not_hold_are_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 32))
    unlabelled = {"label": None, "normal_labels": (), "length": 32, "path": "a.npy"}
    np.save(tmp_path / "a.npy", np.where(np.arange(32) == 5, 1.797e308, values))
    with pytest.raises(RequestError, match=r"a\.npy: expected values up to 3\.4e\+38, .* in row 1"):
        prepared(tmp_path, **unlabelled)
    np.save(tmp_path / "a.npy", values + 1e8)
    with pytest.raises(RequestError, match=r"a\.npy: expected values with a range .* subtract an"):
        prepared(tmp_path, **unlabelled)
    scaled = prepared(tmp_path, **unlabelled, scaling="sample").values[:, 0]
    low, span = values.min(axis=1, keepdims=True), np.ptp(values, axis=1, keepdims=True)
    np.testing.assert_allclose(scaled, (values - low) / span, atol=1e-7)
    np.save(tmp_path / "a.npy", np.full((4, 32), 0.3) + 1e-16 * np.sign(values))  # a constant
    assert len(prepared(tmp_path, **unlabelled)) == 4
