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


def test_several_channels_are_refused_as_long_as_no_model_takes_them(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 3, 50)))
    with pytest.raises(RequestError, match="expected one channel, found rows of 3 channels of 50"):
        prepared(tmp_path, path="a.npy", label=None, normal_labels=())


@pytest.mark.parametrize(
    "changes", [{"label": None}, {"normal_labels": []}, {"label": True}, {"label": 1.5}]
)
def test_a_label_goes_with_those_that_are_normal(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TableSettings(**{"path": "a.csv", "normal_labels": ["ok"]} | changes)
