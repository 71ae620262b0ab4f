"""The tables of a results folder, and where they differ from those of another."""

import io
import json
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Tables = Mapping[str, bytes]
"""Parquet files by their path in the results folder."""

REPEATABLE_TIMINGS = ("trial", "fold", "state", "epochs")
"""Columns of `timings.parquet` that are the same in every run. Of `trials.parquet` only the order
in which trials ended is not, where they run side by side."""

NOT_SHOWN = frozenset(
    ("study", "dataset", "split_hash", "config_hash", "model", "seed", "parameters", "values")
)
"""Columns that tell no row of a study from another, or not in few words."""

MOST_COLUMNS, MOST_ROWS = 20, 3
"""How many are shown of what differs in a table."""


def read_results(results: Path) -> Tables:
    """Return what every run of a study repeats: its tables, and how its trials ended."""
    paths = [*results.glob("*.parquet"), *results.glob("report/*.parquet")]
    tables = {path.relative_to(results).as_posix(): path.read_bytes() for path in paths}
    timings = _table(tables["timings.parquet"]).select(REPEATABLE_TIMINGS)
    tables["timings.parquet"] = _parquet(timings)
    trials = _table(tables["trials.parquet"])
    tables["trials.parquet"] = _parquet(trials.drop_columns(["completion_order"]))
    tables["ended.parquet"] = _parquet(_ended(results))
    return dict(sorted(tables.items()))


def read_golden(folder: Path) -> Tables:
    paths = sorted(folder.rglob("*.parquet"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_golden(folder: Path, tables: Tables) -> None:
    for name in read_golden(folder).keys() - tables.keys():
        (folder / name).unlink()
    for name, content in tables.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def differences(golden: Tables, made: Tables, new_columns: Set[str]) -> list[str]:
    """Return in what `made` differs from `golden`, in lines; none if in nothing.

    Files must be the same, byte for byte. Only a table that has some of `new_columns`,
    which its golden has not, is compared without them, by schema and values.
    """
    lines = [f"{name}: is missing" for name in golden.keys() - made.keys()]
    lines += [f"{name}: has no golden" for name in made.keys() - golden.keys()]
    for name in sorted(golden.keys() & made.keys()):
        if golden[name] != made[name]:
            lines += [
                f"{name}: {each}" for each in _differences(golden[name], made[name], new_columns)
            ]
    return lines


def _differences(golden: bytes, made: bytes, new_columns: Set[str]) -> list[str]:
    before, now = _table(golden), _table(made)
    added = [c for c in now.column_names if c in new_columns and c not in before.column_names]
    now = now.drop_columns(added)
    lines = [*_schema_differences(before.schema, now.schema)]
    if before.num_rows != now.num_rows:
        lines.append(f"{now.num_rows} rows, {before.num_rows} in the golden")
    else:
        lines += _value_differences(before, now)
    if not lines and not added:
        lines.append(f"the same values in other bytes ({len(made)}, {len(golden)} in the golden)")
    return lines


def _schema_differences(before: pa.Schema, now: pa.Schema) -> Iterator[str]:
    for name in before.names:
        if name not in now.names:
            yield f"column {name} is missing"
        elif before.field(name) != now.field(name):
            yield f"column {name} is {now.field(name)}, {before.field(name)} in the golden"
    yield from (f"column {name} is new" for name in now.names if name not in before.names)
    if before.names != now.names and sorted(before.names) == sorted(now.names):
        pairs = zip(now.names, before.names, strict=True)
        name, wanted = next((n, w) for n, w in pairs if n != w)
        yield f"column {name} comes before {wanted}, after it in the golden"
    if before.metadata != now.metadata:
        yield f"metadata {now.metadata}, {before.metadata} in the golden"


def _value_differences(before: pa.Table, now: pa.Table) -> Iterator[str]:
    differing = 0
    for name in (name for name in before.column_names if name in now.column_names):
        # As text nan is nan, and 0 is not -0; digits are as many as tell floats apart.
        wanted, values = (list(map(repr, each[name].to_pylist())) for each in (before, now))
        rows = [row for row, value in enumerate(values) if value != wanted[row]]
        differing += bool(rows)
        if not rows or differing > MOST_COLUMNS:
            continue
        for row in rows[:MOST_ROWS]:
            yield f"{name} of {_row(before, row)}: {values[row]}, {wanted[row]} in the golden"
        if len(rows) > MOST_ROWS:
            yield f"{name} of {len(rows) - MOST_ROWS} other rows"
    if differing > MOST_COLUMNS:
        yield f"{differing - MOST_COLUMNS} other columns"


def _row(table: pa.Table, row: int) -> str:
    """Return a row's number, and what names it: all before the first number that is measured."""
    keys = []
    for field in table.schema:
        if pa.types.is_floating(field.type):
            break
        value = table[field.name][row].as_py()
        if field.name not in NOT_SHOWN and value not in ("", None):
            keys.append(f"{field.name} {value}")
    return f"row {row} ({', '.join(keys)})"


def _ended(results: Path) -> pa.Table:
    """Return a row per trial: its settings, its validation values, and how it ended."""
    rows = [
        {
            "trial": path.parent.name,
            "state": record["state"],
            "reason": record["reason"],
            "parameters": json.dumps(record["parameters"], sort_keys=True),
            "values": json.dumps(record["values"]),
        }
        for path in sorted(results.glob("ledger/*/trial.json"))
        for record in [json.loads(path.read_text())]
    ]
    return pa.Table.from_pylist(rows)


def _table(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def _parquet(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()
