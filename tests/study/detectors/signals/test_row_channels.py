"""Rows of several channels, which are taken by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.interface import Shape
from study.data.table import TableSettings
from study.detectors.row_form import RowForm
from study.detectors.signals.rows import open_rows
from study.errors import RequestError

DATASET = TableSettings(path=("x",), length=32, normal_labels=("0",))
TABLE = np.random.default_rng(0).normal(5, 3, (7, 32))


def lists(folder: Path, **channels: np.ndarray) -> Path:
    """Write a table with a column of lists for each channel."""
    columns = {name: list(values) for name, values in channels.items()}
    pd.DataFrame(columns).assign(label="0").to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def with_channels(*names: str) -> RowForm:
    return RowForm(DATASET, Shape(len(names), 32), 32, names)


def test_channels_are_taken_by_their_names(tmp_path: Path) -> None:
    form, values = with_channels("a", "b", "c"), {"a": TABLE, "b": TABLE + 100, "c": -TABLE}
    for order in ("abc", "cab", "bca"):
        path = lists(tmp_path, **{name: values[name] for name in order})
        source = open_rows(path, form)
        is_moved = order != "abc"
        assert source.note == is_moved * "channels brought into the order of training, a, b, c"
        (block,) = source.blocks()
        expected = np.stack([TABLE, TABLE + 100, -TABLE], axis=1).astype(np.float32)
        np.testing.assert_array_equal(block.values, expected)


def test_channels_of_other_names_are_refused(tmp_path: Path) -> None:
    path = lists(tmp_path, x=TABLE, b=TABLE)
    with pytest.raises(RequestError, match=r"expected the channels a, b, .* found x, b") as error:
        open_rows(path, with_channels("a", "b"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("trained", "new"), [("01", "ba"), ("ab", "01"), ("01", "01")])
def test_channels_that_are_numbered_are_taken_by_position(
    tmp_path: Path, trained: str, new: str
) -> None:
    path = lists(tmp_path, **{new[0]: TABLE, new[1]: -TABLE})
    (block,) = open_rows(path, with_channels(*trained)).blocks()
    np.testing.assert_array_equal(block.values, np.stack([TABLE, -TABLE], 1).astype(np.float32))
    np.save(tmp_path / "a.npy", np.stack([TABLE, -TABLE], axis=1))
    (block,) = open_rows(tmp_path / "a.npy", with_channels(*trained)).blocks()
    np.testing.assert_array_equal(block.values, np.stack([TABLE, -TABLE], 1).astype(np.float32))
