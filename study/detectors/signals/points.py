"""Recordings of any length, scored point by point: read, scored and written a part at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from study.data.recordings import ROWS_AT_ONCE, Columns, column_parts
from study.data.resampling import FloatArray
from study.data.series_settings import SeriesSettings
from study.data.wfdb_files import damaged_record, error_line
from study.detectors.detector import Detector
from study.detectors.signals.table import Counts
from study.detectors.stream import scored_points
from study.errors import RequestError
from study.storage.durable import replacing


def recording_parts(
    path: Path, dataset: SeriesSettings, channels: tuple[str, ...]
) -> Iterator[FloatArray]:
    """Yield the points of a recording, `(m, channels)`, as the model's dataset reads them.

    Args:
        path: a table with a row per point, or a WFDB record without extension.
        dataset: what the model was trained on.
        channels: names of the model's channels; () of one, whatever its name.

    Raises:
        RequestError: the file cannot be read, or has other channels.
    """
    if path.with_name(f"{path.name}.hea").is_file():
        yield from _wfdb_parts(path, channels or dataset.channels or ())
        return
    columns = Columns(dataset.label, dataset.time, dataset.channels or channels or None)
    for table in column_parts(path):
        values, names = columns.channel_values(path, table)
        if len(names) != max(1, len(channels)):
            raise RequestError(
                f"{path}: expected one channel, as the model was trained on, found"
                f" {', '.join(names)}: leave the others out"
            )
        yield values


def _wfdb_parts(path: Path, channels: tuple[str, ...]) -> Iterator[FloatArray]:
    import wfdb

    try:
        length = int(wfdb.rdheader(str(path)).sig_len)
        for start in range(0, length, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, length)
            part = wfdb.rdrecord(
                str(path), sampfrom=start, sampto=stop, channel_names=list(channels) or None
            )
            if channels and part.sig_name != list(channels):
                order = [part.sig_name.index(name) for name in channels]
                yield np.asarray(part.p_signal[:, order], dtype=np.float64)
            else:
                yield np.asarray(part.p_signal, dtype=np.float64)
    # wfdb has no error class of its own: a damaged file surfaces as almost any.
    except Exception as error:
        raise damaged_record(path, error_line(error)) from error


def write_points(path: Path, detector: Detector, parts: Iterator[FloatArray]) -> Counts:
    """Write a row per point; the file appears when it is complete.

    Columns: `point` (from 0), `score`, `decision` (1 abnormal), and what the decision rests on:
    `composition`, `latent_form`, `supervision`, `tau`.

    Raises:
        RequestError: the points are not finite, or the composition needs more than values.
    """
    fold = detector.folds[0]
    rests_on: dict[str, Any] = {
        "composition": fold.composition,
        "latent_form": fold.latent_form,
        "supervision": detector.supervision,
        "tau": detector.tau,
    }
    count = abnormal = 0
    writer: pq.ParquetWriter | None = None
    dataset = fold.config.dataset
    stride = dataset.step if isinstance(dataset, SeriesSettings) else detector.shape.length // 8
    with replacing([path]) as (draft,):
        try:
            for points in scored_points(detector, parts, stride):
                table = pa.table(
                    {
                        "point": np.arange(points.first, points.first + len(points)),
                        "score": points.score,
                        "decision": points.decision,
                        **{name: pa.array([v] * len(points)) for name, v in rests_on.items()},
                    }
                )
                writer = writer or pq.ParquetWriter(draft, table.schema, compression="zstd")
                writer.write_table(table)
                count, abnormal = count + len(points), abnormal + int(points.decision.sum())
        except ValueError as error:
            raise RequestError(f"{error}") from None
        finally:
            if writer is not None:
                writer.close()
    return Counts(count, abnormal)
