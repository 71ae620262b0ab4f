"""Arrow tables whose rows are dataclasses: their schemas, and the tables of such rows."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, get_type_hints

import pyarrow as pa

_TYPES = {
    bool: pa.bool_(),
    float: pa.float64(),
    int: pa.int64(),
    int | None: pa.int64(),
}


def schema_fields(row_class: type) -> list[tuple[str, pa.DataType]]:
    """Return name and type of a row's fields; what is neither number nor bool is text."""
    hints = get_type_hints(row_class)
    return [(field.name, _TYPES.get(hints[field.name], pa.string())) for field in fields(row_class)]


def field_values(row: Any) -> tuple[Any, ...]:
    """Return the values of a row's fields, two at least, in their order."""
    values: tuple[Any, ...] = attrgetter(*(field.name for field in fields(row)))(row)
    return values


def table_from_rows(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Return a table of `schema` with `rows`, each the values of all columns."""
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
