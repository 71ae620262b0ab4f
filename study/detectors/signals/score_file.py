"""Files of scores, of the form that their ending names, written a block at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.errors import RequestError

if TYPE_CHECKING:
    import pyarrow as pa


def _parquet(path: Path, schema: "pa.Schema") -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, schema, compression="zstd")


def _csv(path: Path, schema: "pa.Schema") -> Any:
    from pyarrow.csv import CSVWriter

    return CSVWriter(path, schema)


def _arrow(path: Path, schema: "pa.Schema") -> Any:
    import pyarrow as pa

    return pa.ipc.new_file(path, schema)


_WRITERS: dict[str, Callable[[Path, "pa.Schema"], Any]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".arrow": _arrow,
    ".feather": _arrow,
}


def require_form(path: Path) -> None:
    """Refuse a file whose ending names no form of scores.

    Raises:
        RequestError: it does not.
    """
    if path.suffix.lower() not in _WRITERS:
        raise RequestError(f"--output {path}: expected a file ending in {', '.join(_WRITERS)}")


def open_score_file(target: Path, path: Path, schema: "pa.Schema") -> Any:
    """Return a writer with `write_table` and `close`.

    Args:
        target: the file, whose ending names its form.
        path: where it is written first.
        schema: of the tables.
    """
    return _WRITERS[target.suffix.lower()](path, schema)
