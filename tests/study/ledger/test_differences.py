"""The first row and column in which a table differs, found by looking at every cell."""

import io
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from study.ledger.differences import first_difference, table_difference
from study.ledger.fold_files import to_parquet

VALUES = st.lists(st.sampled_from([0.0, 0.5, math.nan, None, 1.0]), min_size=3, max_size=3)


def made(columns: dict[str, list[Any]]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.float64()) for name, values in columns.items()})


@given(VALUES, VALUES, VALUES, VALUES)
def test_the_first_differing_cell_is_named(
    a: list[Any], b: list[Any], c: list[Any], d: list[Any]
) -> None:
    difference = table_difference(made({"x": a, "y": b}), made({"x": c, "y": d}), 0.0)
    different = [
        (row, name)
        for row in range(3)
        for name, one, other in (("x", a, c), ("y", b, d))
        if repr(one[row]) != repr(other[row])
    ]
    if not different:
        assert difference == ""
    else:
        row, name = different[0]
        assert difference.startswith(f"row {row}, column {name}: ")


def test_a_row_is_named_by_what_comes_before_its_numbers() -> None:
    before = pa.table({"trial": ["a", "b"], "fold": [0, 1], "phi": [0.5, 0.25], "note": ["", ""]})
    after = before.set_column(2, "phi", pa.array([0.5, 0.75]))
    assert table_difference(before, after, 0.0) == (
        "row 1 (trial b, fold 1), column phi: 0.25, made again 0.75"
    )


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        ({"x": [1.0], "y": [2.0]}, "column y is missing"),
        ({"y": [1.0]}, "column x: there is none"),
        ({"x": ["1"]}, "column x: double, made again string"),
        ({"x": [1.0, 2.0]}, "1 rows, made again 2"),
    ],
)
def test_other_columns_types_and_sizes_are_named(again: dict[str, Any], expected: str) -> None:
    before = pa.table({"x": [1.0]})
    assert table_difference(before, before, 0.0) == ""
    assert table_difference(before, pa.table(again), 0.0).startswith(expected)


def test_numbers_may_differ_by_a_share_that_is_asked_for() -> None:
    before, after = (to_parquet(made({"x": [value]})) for value in (1.0, 1.0 + 1e-9))
    assert "row 0, column x" in first_difference("t.parquet", before, after, 0.0)
    assert first_difference("t.parquet", before, after, 1e-8) == ""
    weights = [save({"w": np.array([1.0, value])}) for value in (1.0, 1.0 + 1e-9)]
    assert first_difference("m.safetensors", *weights, 0.0).startswith("tensor w at (1,): ")
    assert first_difference("m.safetensors", *weights, 1e-8) == ""


def test_texts_and_settings_are_compared_too() -> None:
    before, after = (json.dumps({"a": {"b": n}, "c": 1}).encode() for n in (1, 2))
    assert first_difference("model.json", before, after, 0.0) == "key a.b: 1, made again 2"
    assert first_difference("CARD.md", b"a\nb", b"a\nc", 0.0) == "line 2: 'b', made again 'c'"
    assert first_difference("CARD.md", b"a", b"a\nc", 0.0) == "1 lines, made again 2"


def test_what_cannot_be_read_is_said_to_be_so() -> None:
    sound = to_parquet(made({"x": [1.0]}))
    assert first_difference("t.parquet", sound[:-7], sound, 0.0).startswith("cannot be read")
    stream = io.BytesIO(save({"w": np.zeros(2)}))
    broken = stream.getvalue()[:9]
    assert first_difference("m.safetensors", broken, stream.getvalue(), 0.0).startswith("cannot be")
