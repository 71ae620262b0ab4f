"""Texts with columns: which separator, header and decimal mark they have."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.data.tables.form import TableForm
from study.data.tables.reader import read_table


@given(
    rows=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5), min_size=2, max_size=5),
    separator=st.sampled_from([",", ";", "\t", " "]),
    has_header=st.booleans(),
)
@settings(max_examples=40)
def test_separator_and_header_are_recognised(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[float]],
    separator: str,
    has_header: bool,
) -> None:
    path = tmp_path_factory.mktemp("table") / "a.csv"
    lines = [separator.join(map(repr, row)) for row in rows]
    head = [separator.join("abcde")] if has_header else []
    path.write_text("\n".join(head + lines))
    assert read_table(path, TableForm()).values[:, 0].tolist() == rows


@pytest.mark.parametrize("head", ["", "a;b\n", "0;1\n"])
@pytest.mark.parametrize("at", [0, 1, 2, 50])
def test_decimal_commas_are_seen_between_rows_of_whole_numbers(
    tmp_path: Path, head: str, at: int
) -> None:
    rows = ["2;3"] * 60
    rows[at] = "2,5;3"
    (tmp_path / "a.csv").write_text(head + "\n".join(rows))
    expected = np.full((60, 2), [2.0, 3.0])
    expected[at, 0] = 2.5
    values = read_table(tmp_path / "a.csv", TableForm()).values[:, 0]
    np.testing.assert_array_equal(values[-60:], expected)
