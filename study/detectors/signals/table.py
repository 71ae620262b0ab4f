"""The table of scores of new signals, written a block at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from study.data.entry import UNKNOWN
from study.detectors.detector import Detector, Scored
from study.detectors.signals.block import Block
from study.detectors.signals.score_file import basis_columns, score_file
from study.scores.components import Float, Label


@dataclass(frozen=True)
class Written:
    """What was written of each sample.

    Attributes:
        label: `(n,)` int8; 0 normal, 1 abnormal, -1 unknown, as the source says.
        score: `(n,)` float64.
        decision: `(n,)` int8; 1 abnormal.
    """

    label: Label
    score: Float
    decision: Label

    def __len__(self) -> int:
        return len(self.decision)


def write_scores(path: Path, detector: Detector, blocks: Iterable[Block]) -> Written:
    """Write a row per sample; the file appears when it is complete, of the form of its ending.

    Columns: `sample` (from 0), the columns of its source (`record`, `position`, `seconds`,
    `symbol`, or `label`), components of each channel where there are several, the error
    components, also those that come with the samples, `score`, `decision` (1 abnormal), `votes`
    (folds that decide so by themselves), and what the decision rests on: `composition`,
    `latent_form`, `supervision`, `tau`.
    """
    count, parts = 0, []
    with score_file(path) as write:
        for block, scored in scored_blocks(detector, blocks):
            write(_table(count, block, scored, detector))
            count += len(block)
            parts.append(Written(_label(block, detector), scored.score, scored.decision))
    names = [field.name for field in fields(Written)]
    return Written(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _label(block: Block, detector: Detector) -> Label:
    written = next((block.columns[n] for n in ("label", "symbol") if n in block.columns), None)
    if written is None:
        return np.full(len(block), UNKNOWN, dtype=np.int8)
    known = detector.folds[0].config.dataset.labels_of(written)
    return np.where(written == "", UNKNOWN, known).astype(np.int8)


def scored_blocks(detector: Detector, blocks: Iterable[Block]) -> Iterator[tuple[Block, Scored]]:
    """Yield consecutive blocks of one source with their scores.

    A block is scored as it comes, with what is known of its record by then. Where errors are
    compared with those of the whole record, all blocks are read first and their errors kept;
    the blocks that are yielded then hold no values.
    """
    references = detector.references()
    blocks = (
        replace(block, columns=block.columns | detector.channel_errors(block.values))
        for block in blocks
    )
    if not detector.waits_for_the_record:
        for block in blocks:
            errors = detector.errors_by_fold(block.values)
            seconds = block.columns.get("seconds")
            yield block, detector.decide(errors, block.components, seconds, references)
        return
    kept = [(_emptied(block), detector.errors_by_fold(block.values)) for block in blocks]
    whole = detector.decide(
        [
            {name: np.concatenate([errors[k][name] for _, errors in kept]) for name in fold_errors}
            for k, fold_errors in enumerate(kept[0][1] if kept else ())
        ],
        {
            name: np.concatenate([block.components[name] for block, _ in kept])
            for name in detector.sample_components
        },
        np.concatenate([block.columns["seconds"] for block, _ in kept]),
        references,
    )
    start = 0
    for block, _ in kept:
        yield block, whole.part(start, start + len(block))
        start += len(block)


def _emptied(block: Block) -> Block:
    return replace(block, values=block.values[:, :, :0].copy())


def _table(first: int, block: Block, scored: Scored, detector: Detector) -> pa.Table:
    columns: dict[str, Any] = {
        "sample": np.arange(first, first + len(block)),
        **{name: _plain(values) for name, values in block.columns.items()},
        **scored.errors,
        **block.components,
        "score": scored.score,
        "decision": scored.decision,
        "votes": scored.votes,
        **basis_columns(detector, len(block)),
    }
    return pa.table(columns)


def _plain(values: Any) -> Any:
    return values.tolist() if values.dtype.kind == "U" else values
