"""What a fold commits: tables of its errors and its history, and what is drawn of it, as bytes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from study.data.coverage import covered_seconds
from study.data.samples import Samples
from study.data.splits import Fold
from study.ledger.fold_files import SECONDS, to_parquet
from study.scores.reference import Moments

Errors = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Evaluation:
    """Error components of a fold's samples under one epoch rule.

    Attributes:
        training: `(n,)` float32 by component, in the order of `Fold.training`.
        validation: the same of `Fold.validation`.
        test: the same of `Fold.test`.
    """

    training: Errors
    validation: Errors
    test: Errors


def components_file(
    samples: Samples, fold: Fold, evaluations: Mapping[str, Evaluation], *, timed: bool = False
) -> bytes:
    """Return `components.parquet`: a row per validation and test sample and epoch rule.

    `covered_seconds` is the signal that a sample covers, where the data have a rate; windows of
    long recordings have `start` and `extent`, the points that they hold.

    Args:
        samples: the dataset.
        fold: the fold's sample indices.
        evaluations: errors by epoch rule.
        timed: whether errors are compared within records: samples then have `seconds`.
    """
    tables = []
    for rule, evaluation in evaluations.items():
        for part in ("validation", "test"):
            members = getattr(fold, part)
            columns = {
                "sample": members,
                "record": samples.record[members].tolist(),
                "patient": samples.patient[members].tolist(),
                "label": samples.label[members],
                "kind": samples.kind[members].tolist(),
                "symbol": samples.symbol[members].tolist(),
                "split": [part] * len(members),
                "epoch_rule": [rule] * len(members),
            }
            seconds = covered_seconds(samples, members)
            if seconds is not None:
                columns[SECONDS] = seconds
            columns |= {"seconds": sample_moments(samples, members).seconds} if timed else {}
            if samples.events:
                columns |= {"start": samples.start[members], "extent": samples.extent[members]}
            tables.append(pa.table({**columns, **getattr(evaluation, part)}))
    return to_parquet(pa.concat_tables(tables))


def training_components_file(
    fold: Fold, evaluations: Mapping[str, Evaluation], moments: Moments | None = None
) -> bytes:
    """Return `training_components.parquet`: a row per training sample and epoch rule.

    Args:
        fold: the fold's sample indices.
        evaluations: errors by epoch rule.
        moments: of the training samples, where errors are compared within records.
    """
    timing = {"record": moments.record.tolist(), "seconds": moments.seconds} if moments else {}
    tables = [
        pa.table(
            {
                "sample": fold.training,
                "epoch_rule": [rule] * len(fold.training),
                **timing,
                **evaluation.training,
            }
        )
        for rule, evaluation in evaluations.items()
    ]
    return to_parquet(pa.concat_tables(tables))


def sample_moments(samples: Samples, members: npt.NDArray[np.int64]) -> Moments:
    """Return when samples are in their records; nan if that is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        seconds = np.float64(samples.start[members]) / np.float64(samples.sampling_rate_hz)
    return Moments(samples.record[members], np.where(np.isfinite(seconds), seconds, np.nan))


@dataclass(frozen=True)
class LatentSteps:
    """Moves away from one z, each along one latent dimension.

    Attributes:
        dimension: `(n,)`, which is moved along.
        step: `(n,)`, how many steps; 0 stays.
        offset: `(n, latent)`, what is added to z.
    """

    dimension: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    offset: npt.NDArray[np.float64]


def reconstructions_file(
    samples: Samples, members: npt.NDArray[np.int64], reconstructed: npt.NDArray[np.float32]
) -> bytes:
    """Return `reconstructions.parquet`: some samples with x̂, channels one after the other."""
    count = len(members)
    return to_parquet(
        pa.table(
            {
                "sample": members,
                "label": samples.label[members],
                "kind": samples.kind[members].tolist(),
                "values": list(samples.values[members].reshape(count, -1)),
                "reconstruction": list(reconstructed.reshape(count, -1)),
            }
        )
    )


def interpolation_file(steps: LatentSteps, generated: npt.NDArray[np.float32]) -> bytes:
    """Return `interpolation.parquet`: G(z) of one sample's z, moved step by step."""
    moved = steps.offset[np.arange(len(steps.step)), steps.dimension]
    return to_parquet(
        pa.table(
            {
                "dimension": steps.dimension,
                "step": steps.step,
                "offset": moved,
                "values": list(generated.reshape(len(generated), -1)),
            }
        )
    )


def history_file(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Return `history.parquet`: a row per epoch; null where an epoch was not validated."""
    columns = {name: None for row in history for name in row}
    table = {name: [row.get(name) for row in history] for name in columns}
    return to_parquet(pa.table(table))


def json_file(content: Mapping[str, Any]) -> bytes:
    """Return a JSON file."""
    return json.dumps(content, indent=1).encode()
