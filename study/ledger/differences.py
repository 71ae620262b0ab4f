"""The first difference of two files that should be equal: its row and column, or its key."""

import io
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError

from study.config.dotted_keys import flatten

MOST_KEYS = 6
"""Columns that name a row in a message."""


def first_difference(name: str, stored: bytes, again: bytes, tolerance: float) -> str:
    """Return in what a file that was made again first differs from the stored one; "" in nothing.

    Args:
        name: the file's, whose ending says what it is: Parquet, safetensors, JSON, or text.
        stored: its content.
        again: what was made again.
        tolerance: share by which numbers may differ.
    """
    if stored == again:
        return ""
    ending = name.rpartition(".")[2]
    try:
        if ending == "parquet":
            before, now = (pq.read_table(io.BytesIO(content)) for content in (stored, again))
            return table_difference(before, now, tolerance)
        if ending == "safetensors":
            return _tensor_difference(stored, again, tolerance)
        if ending == "json":
            return _json_difference(stored, again, tolerance)
        return _line_difference(stored, again)
    except (ValueError, OSError, SafetensorError) as error:
        return f"cannot be read ({type(error).__name__})"


def table_difference(stored: pa.Table, again: pa.Table, tolerance: float) -> str:
    """Return the first row, and its first column, in which two tables differ; "" for none."""
    for name in stored.column_names:
        if name not in again.column_names:
            return f"column {name}: there is none when it is made again"
    for name in again.column_names:
        if name not in stored.column_names:
            return f"column {name} is missing"
        types = stored.schema.field(name).type, again.schema.field(name).type
        if types[0] != types[1]:
            return f"column {name}: {types[0]}, made again {types[1]}"
    if stored.num_rows != again.num_rows:
        return f"{stored.num_rows} rows, made again {again.num_rows}"
    first = min(
        (
            (row, number, name)
            for number, name in enumerate(stored.column_names)
            for row in [_first_row(stored[name], again[name], tolerance)]
            if row is not None
        ),
        default=None,
    )
    if first is None:
        return ""
    row, _, name = first
    before, now = stored[name][row].as_py(), again[name][row].as_py()
    return f"row {row}{_keys(stored, row)}, column {name}: {before!r}, made again {now!r}"


def _first_row(stored: pa.ChunkedArray, again: pa.ChunkedArray, tolerance: float) -> int | None:
    if stored.equals(again):
        return None
    pairs = zip(stored.to_pylist(), again.to_pylist(), strict=True)
    return next((row for row, pair in enumerate(pairs) if not _equal(*pair, tolerance)), None)


def _keys(table: pa.Table, row: int) -> str:
    """Return what names a row: its texts and whole numbers before the first other number."""
    keys: list[str] = []
    for field in table.schema:
        if pa.types.is_floating(field.type) or len(keys) == MOST_KEYS:
            break
        value = table[field.name][row].as_py()
        if value not in ("", None) and not str(field.name).endswith("hash"):
            keys.append(f"{field.name} {value}")
    return f" ({', '.join(keys)})" if keys else ""


def _equal(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or one == other or math.isclose(one, other, rel_tol=tolerance)
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_equal(*pair, tolerance) for pair in pairs)
    return bool(one == other)


def _tensor_difference(stored: bytes, again: bytes, tolerance: float) -> str:
    from safetensors.numpy import load

    before, now = load(stored), load(again)
    for name in sorted(before.keys() | now.keys()):
        if name not in before or name not in now:
            return f"tensor {name} is {'missing' if name not in before else 'not made again'}"
        if before[name].shape != now[name].shape:
            return f"tensor {name}: {before[name].shape}, made again {now[name].shape}"
        close = np.isclose(before[name], now[name], rtol=tolerance, atol=0.0, equal_nan=True)
        if not close.all():
            at = tuple(int(i) for i in np.argwhere(~close)[0])
            return f"tensor {name} at {at}: {before[name][at]!r}, made again {now[name][at]!r}"
    return ""


def _json_difference(stored: bytes, again: bytes, tolerance: float) -> str:
    before, now = (flatten(json.loads(content)) for content in (stored, again))
    for key in before:
        if key not in now:
            return f"key {key}: there is none when it is made again"
        if not _equal(before[key], now[key], tolerance):
            return f"key {key}: {before[key]!r}, made again {now[key]!r}"
    return next((f"key {key} is missing" for key in now if key not in before), "")


def _line_difference(stored: bytes, again: bytes) -> str:
    before, now = (content.decode("utf-8", "replace").splitlines() for content in (stored, again))
    pairs = zip(before, now, strict=False)
    for number, (one, other) in enumerate(pairs, start=1):
        if one != other:
            return f"line {number}: {one!r}, made again {other!r}"
    return f"{len(before)} lines, made again {len(now)}"
