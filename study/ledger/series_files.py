"""What folds of long recordings store besides: the abnormal stretches of those that test."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from study.data.samples import Samples
from study.data.splits import Fold
from study.ledger import fold_files
from study.ledger.ledger import FoldManifest, Ledger
from study.scores.series import Windows

EVENTS = "events.parquet"


def events_file(samples: Samples, fold: Fold) -> bytes:
    """Return `events.parquet`: the abnormal stretches of the records that test, a row each."""
    records = np.unique(samples.record[fold.test]).tolist()
    events = [(record, *stretch) for record in records for stretch in samples.events[record]]
    record, first, stop = zip(*events, strict=True) if events else ((), (), ())
    schema = pa.schema([("record", pa.string()), ("first", pa.int64()), ("stop", pa.int64())])
    return fold_files.to_parquet(pa.table([list(record), list(first), list(stop)], schema=schema))


def read_windows(ledger: Ledger, manifest: FoldManifest, rate_hz: float) -> Windows:
    """Return where a fold's test samples lie in their recordings, in the order of their errors.

    Args:
        ledger: where the fold is.
        manifest: its commit.
        rate_hz: points a second; 0 where that is unknown.
    """
    table = fold_files.read_test(ledger, manifest, ("record", "start", "extent"))
    stored = pq.read_table(io.BytesIO(ledger.read(manifest, EVENTS)))
    events: dict[str, list[tuple[int, int]]] = {}
    for row in stored.to_pylist():
        events.setdefault(row["record"], []).append((row["first"], row["stop"]))
    return Windows(
        record=fold_files.texts(table, "record"),
        start=table["start"].to_numpy(),
        extent=table["extent"].to_numpy(),
        events={record: np.array(stretches) for record, stretches in events.items()},
        rate_hz=rate_hz,
    )
