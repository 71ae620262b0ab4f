"""Files of scores, of the form that their ending names, written a block at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.errors import RequestError
from study.storage.durable import replacing

if TYPE_CHECKING:
    import pyarrow as pa

    from study.detectors.detector import Detector


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


@contextmanager
def score_file(path: Path) -> Iterator[Callable[["pa.Table"], None]]:
    """Yield what writes tables of one schema; the file appears complete when the block ends.

    Args:
        path: the file, whose ending names its form.
    """
    writer: Any = None

    def write(table: "pa.Table") -> None:
        nonlocal writer
        writer = writer or _WRITERS[path.suffix.lower()](draft, table.schema)
        writer.write_table(table)

    with replacing([path]) as (draft,):
        try:
            yield write
        finally:
            if writer is not None:
                writer.close()


def basis_columns(detector: "Detector", count: int) -> dict[str, "pa.Array"]:
    """Return what each of `count` decisions rests on, by column."""
    import pyarrow as pa

    fold = detector.folds[0]
    basis = {
        "composition": fold.composition,
        "latent_form": fold.latent_form,
        "supervision": detector.supervision,
        "tau": detector.tau,
    }
    return {name: pa.array([value] * count) for name, value in basis.items()}
