"""Files of the fold that is drawn: pictures of samples and norms are of one fold only."""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from study.ledger.ledger import Ledger
from study.search.trial import FoldAddress

DRAWN_FOLD = 0


def read_drawn_fold(
    ledger: Ledger,
    trial: str,
    file: str,
    columns: Sequence[str] | None = None,
    fold: int = DRAWN_FOLD,
) -> pa.Table | None:
    """Return a table of a trial's drawn fold; None if it is empty or lacks a column.

    Args:
        ledger: holds the fold.
        trial: the trial's name.
        file: the table's name, which not every fold has.
        columns: to read; None for all.
        fold: another fold.

    Raises:
        DamagedError: the file is not what was committed.
    """
    manifest = ledger.fold(FoldAddress(trial, fold))
    if manifest is None or file not in manifest.files:
        return None
    content = pq.ParquetFile(io.BytesIO(ledger.read(manifest, file)))
    if not set(columns or ()) <= set(content.schema_arrow.names):
        return None
    table = content.read(columns=None if columns is None else list(columns))
    return table if table.num_rows else None
