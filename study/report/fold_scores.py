"""The scores of one fold as a table: every composition, fitted on its stored errors."""

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import get_type_hints

import numpy as np
import pyarrow as pa

from study import fold_files
from study.ledger import FoldManifest, Ledger
from study.scores.components import FoldErrors, SplitErrors
from study.scores.evaluation import ScoreRow, evaluate_fold
from study.scores.settings import ScoreSettings

READ_FILES = (fold_files.COMPONENTS, fold_files.TRAINING_COMPONENTS, fold_files.MODEL)
"""Files of a committed fold that its scores are made from."""

_TYPES = {float: pa.float64(), int: pa.int64()}


def _schema() -> pa.Schema:
    hints = get_type_hints(ScoreRow)
    return pa.schema(
        [
            ("fold", pa.int64()),
            ("epoch_rule", pa.string()),
            *(
                (field.name, _TYPES.get(hints[field.name], pa.string()))
                for field in fields(ScoreRow)
            ),
            ("num_training", pa.int64()),
            ("beta_unscaled", pa.float64()),
        ]
    )


SCHEMA = _schema()
"""Columns of a fold's scores: its number, the epoch rule, all of `ScoreRow`, the number
of training samples, and beta times length times channels (null where there is no beta)."""


@dataclass(frozen=True)
class ScoreTask:
    """A committed fold and how to score it; goes to other processes as it is.

    Attributes:
        ledger: where the fold is.
        manifest: its commit.
        components: names of the model's error components.
        settings: how compositions are fitted.
    """

    ledger: Ledger
    manifest: FoldManifest
    components: tuple[str, ...]
    settings: ScoreSettings


def score_fold(task: ScoreTask) -> pa.Table:
    """Fit every composition on a fold's stored errors.

    Returns:
        A table of `SCHEMA`, a row per epoch rule, composition and latent form, in this
        order. Where both epoch rules hold the same errors, they are fitted once.

    Raises:
        DamagedError: a file of the fold is not what was committed.
    """
    ledger, manifest = task.ledger, task.manifest
    described = fold_files.read_json(ledger, manifest, fold_files.MODEL)
    errors = fold_files.read_errors(ledger, manifest, task.components, described["latent_size"])
    beta, shape = described["study"]["model"].get("beta"), described["shape"]
    unscaled = None if beta is None else beta * shape["length"] * shape["channels"]
    values = attrgetter(*(field.name for field in fields(ScoreRow)))
    rows: list[tuple[object, ...]] = []
    fitted: list[tuple[FoldErrors, list[ScoreRow]]] = []
    for rule in fold_files.EPOCH_RULES:
        found = next((old for same, old in fitted if _equal(same, errors[rule])), None)
        scores = evaluate_fold(errors[rule], task.settings) if found is None else found
        fitted.append((errors[rule], scores))
        end = (len(errors[rule].training), unscaled)
        rows += [(manifest.fold, rule, *values(score), *end) for score in scores]
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _equal(one: FoldErrors, other: FoldErrors) -> bool:
    """Tell whether two epoch rules hold the same errors, bit by bit."""
    pairs = (
        (getattr(one, part), getattr(other, part)) for part in ("training", "validation", "test")
    )
    return all(_equal_split(first, second) for first, second in pairs)


def _equal_split(one: SplitErrors, other: SplitErrors) -> bool:
    return np.array_equal(one.label, other.label) and all(
        values.tobytes() == other.values[name].tobytes() for name, values in one.values.items()
    )
