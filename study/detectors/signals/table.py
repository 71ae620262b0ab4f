"""The table of scores of new signals, written a block at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from study.detectors.detector import Detector, Scored
from study.detectors.signals.block import Block
from study.storage.durable import replacing


@dataclass(frozen=True)
class Counts:
    """How many samples were scored, and how many of them are abnormal."""

    samples: int
    abnormal: int


def write_scores(path: Path, detector: Detector, blocks: Iterable[Block]) -> Counts:
    """Write a row per sample; the file appears when it is complete.

    Columns: `sample` (from 0), the columns of its source (`record`, `position`,
    `seconds`, `symbol`, or `label`), the error components, also those that come with the
    samples, `score`, `decision` (1
    abnormal), `votes` (folds that decide so by themselves), and what the decision rests on:
    `composition`, `latent_form`, `supervision`, `tau`.
    """
    samples = abnormal = 0
    writer: pq.ParquetWriter | None = None
    with replacing([path]) as (draft,):
        try:
            for block in blocks:
                scored = detector.score(block.values)
                table = _table(samples, block, scored, detector)
                writer = writer or pq.ParquetWriter(draft, table.schema, compression="zstd")
                writer.write_table(table)
                samples += len(block)
                abnormal += int(scored.decision.sum())
        finally:
            if writer is not None:
                writer.close()
    return Counts(samples, abnormal)


def _table(first: int, block: Block, scored: Scored, detector: Detector) -> pa.Table:
    count, fold = len(block), detector.folds[0]
    rests_on = {
        "composition": fold.composition,
        "latent_form": fold.latent_form,
        "supervision": detector.supervision,
        "tau": detector.tau,
    }
    columns: dict[str, Any] = {
        "sample": np.arange(first, first + count),
        **{name: _plain(values) for name, values in block.columns.items()},
        **scored.errors,
        **block.components,
        "score": scored.score,
        "decision": scored.decision,
        "votes": scored.votes,
        **{name: pa.array([value] * count) for name, value in rests_on.items()},
    }
    return pa.table(columns)


def _plain(values: Any) -> Any:
    return values.tolist() if values.dtype.kind == "U" else values
