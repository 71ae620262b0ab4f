"""The scores of one fold as a table: every composition, fitted on its stored errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import get_type_hints

import numpy as np
import pyarrow as pa

from models import components_of
from study.config.trial_config import TrialConfig
from study.ledger import fold_files
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.report.strata import FoldDecisions, FoldDetails, TestSamples, fold_details
from study.scores.components import FoldErrors, SplitErrors
from study.scores.evaluation import CompositionResult, ScoreRow, evaluate_compositions

READ_FILES = (fold_files.COMPONENTS, fold_files.TRAINING_COMPONENTS, MODEL)
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
"""Columns of a fold's scores: its number, the epoch rule, all of `ScoreRow`, the number of
training samples, and beta times length times channels (null where there is no beta)."""


@dataclass(frozen=True)
class ScoreTask:
    """A committed fold and how to score it; goes to other processes as it is.

    Attributes:
        ledger: where the fold is.
        manifest: its commit.
        config: the trial's configuration.
        left_out: kinds of samples to leave out of further metrics, one at a time.
        detailed: whether decisions are to be told by stratum and prevalence.
    """

    ledger: Ledger
    manifest: FoldManifest
    config: TrialConfig
    left_out: tuple[str, ...]
    detailed: bool


@dataclass(frozen=True)
class FoldScores:
    """What is made of a fold's errors.

    Attributes:
        scores: a table of `SCHEMA`, a row per epoch rule, composition and latent form.
        details: decisions by stratum and prevalence; None if they were not asked for.
    """

    scores: pa.Table
    details: FoldDetails | None


def score_fold(task: ScoreTask) -> FoldScores:
    """Fit every composition on a fold's stored errors.

    Where both epoch rules hold the same errors, they are fitted once.

    Raises:
        DamagedError: a file of the fold is not what was committed.
    """
    ledger, manifest = task.ledger, task.manifest
    described = fold_files.read_json(ledger, manifest, MODEL)
    model, shape = task.config.model, described["shape"]
    components, latent_size = components_of(model), described["latent_size"]
    errors = fold_files.read_errors(ledger, manifest, components, latent_size)
    beta = getattr(getattr(model, "encoder", model), "beta", None)
    unscaled = None if beta is None else beta * shape["length"] * shape["channels"]
    values = attrgetter(*(field.name for field in fields(ScoreRow)))
    rows: list[tuple[object, ...]] = []
    fitted: dict[str, list[CompositionResult]] = {}
    for rule in fold_files.EPOCH_RULES:
        same = next((old for old in fitted if _equal(errors[old], errors[rule])), None)
        fitted[rule] = (
            fitted[same] if same else evaluate_compositions(errors[rule], task.config.scores)
        )
        end = (len(errors[rule].training), unscaled)
        rows += [(manifest.fold, rule, *values(found.row), *end) for found in fitted[rule]]
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    scores = pa.Table.from_arrays(arrays, schema=SCHEMA)
    return FoldScores(scores, _details(task, fitted) if task.detailed else None)


def _details(task: ScoreTask, fitted: Mapping[str, Sequence[CompositionResult]]) -> FoldDetails:
    known = fold_files.read_test_samples(task.ledger, task.manifest)
    decisions: dict[str, FoldDecisions] = {
        rule: {
            (each.row.composition, each.row.latent_form): each.decisions
            for each in found
            if each.decisions is not None
        }
        for rule, found in fitted.items()
    }
    return fold_details(decisions, TestSamples(**known), task.manifest.fold, task.left_out)


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
