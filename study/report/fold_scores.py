"""The scores of one fold as a table: every composition, fitted on its stored errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from models import components_of
from study.config.trial_config import TrialConfig
from study.ledger import fold_files, series_files
from study.ledger.fold_errors import read_own_errors, with_all_folds
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.report.dataclass_tables import field_values, schema_fields, table_from_rows
from study.report.strata import FoldDecisions, FoldDetails, LeftOut, fold_details
from study.scores.components import FoldErrors, SplitErrors
from study.scores.evaluation import CompositionResult, ScoreRow, evaluate_compositions
from study.scores.prevalence import stated_prevalences
from study.scores.series import SeriesMetrics, Windows, series_metrics

READ_FILES = (fold_files.COMPONENTS, fold_files.TRAINING_COMPONENTS, MODEL)
"""Files of a committed fold that its scores are made from; see `read_files`."""

SCHEMA = pa.schema(
    [
        ("fold", pa.int64()),
        ("epoch_rule", pa.string()),
        *schema_fields(ScoreRow),
        ("num_training", pa.int64()),
        ("beta_unscaled", pa.float64()),
        ("normal_error", pa.float64()),
        *schema_fields(SeriesMetrics),
    ]
)
"""Columns of a fold's scores: its number, the epoch rule, all of `ScoreRow` (with what labels
chose in the fit alone), the number of training samples, beta times length times channels (null
where there is no beta), the mean of the model's first component over the fold's own validation
normals, and metrics of points (null but of windows of long recordings)."""


@dataclass(frozen=True)
class ScoreTask:
    """A committed fold and how to score it; can be pickled for other processes.

    Attributes:
        ledger: where the fold is.
        manifest: its commit.
        config: the trial's configuration.
        left_out: what further metrics are taken without.
        detailed: whether decisions are counted by stratum and prevalence as well.
        all_folds: commits of all folds of the trial, if `needs_all_folds`; else none.
    """

    ledger: Ledger
    manifest: FoldManifest
    config: TrialConfig
    left_out: LeftOut
    detailed: bool
    all_folds: tuple[FoldManifest, ...] = ()


@dataclass(frozen=True)
class FoldScores:
    """Scores of a fold, made from its errors.

    Attributes:
        scores: a table of `SCHEMA`, a row per epoch rule, composition and latent form.
        details: decisions by stratum and prevalence; None unless the task is detailed.
    """

    scores: pa.Table
    details: FoldDetails | None


def read_files(manifest: FoldManifest) -> tuple[str, ...]:
    """Return `READ_FILES`, and the events of long recordings if the fold is of these."""
    has_events = series_files.EVENTS in manifest.files
    return (*READ_FILES, series_files.EVENTS) if has_events else READ_FILES


def score_fold(task: ScoreTask) -> FoldScores:
    """Fit every composition on a fold's stored errors.

    Where both epoch rules hold the same errors, they are fitted once.

    Raises:
        DamagedError: a file of the fold is not what was committed.
    """
    ledger, manifest = task.ledger, task.manifest
    facts = fold_files.read_json(ledger, manifest, MODEL)
    model, shape = task.config.model, facts["shape"]
    own = read_own_errors(ledger, manifest, task.config)
    errors = with_all_folds(own, ledger, manifest, task.config, task.all_folds)
    beta = getattr(getattr(model, "encoder", model), "beta", None)
    unscaled = None if beta is None else beta * shape["length"] * shape["channels"]
    measured = _SeriesMeasures.of(task)
    rows: list[tuple[object, ...]] = []
    results: dict[str, list[CompositionResult]] = {}
    for rule in fold_files.EPOCH_RULES:
        same = next((old for old in results if _equal(errors[old], errors[rule])), None)
        results[rule] = (
            results[same] if same else evaluate_compositions(errors[rule], task.config.scores)
        )
        normals = own[rule].validation.normals().component(components_of(model)[0])
        error = float(normals.mean()) if len(normals) else float("nan")
        end = (len(errors[rule].training), unscaled, error)
        rows += [
            (manifest.fold, rule, *field_values(result.row), *end, *measured.values(result))
            for result in results[rule]
        ]
    scores = table_from_rows(SCHEMA, rows)
    return FoldScores(scores, _details(task, results) if task.detailed else None)


@dataclass(frozen=True)
class _SeriesMeasures:
    """Measures points, if a fold's samples are windows of long recordings."""

    windows: Windows | None
    buffer: int

    @classmethod
    def of(cls, task: ScoreTask) -> Self:
        dataset = task.config.dataset
        if not dataset.is_series:
            return cls(None, 0)
        rate_hz = getattr(dataset, "rate_hz", 0.0)
        windows = series_files.read_windows(task.ledger, task.manifest, rate_hz)
        buffer = task.config.scores.vus_buffer
        return cls(windows, windows.length if buffer is None else buffer)

    def values(self, result: CompositionResult) -> tuple[object, ...]:
        """Return the values of `SeriesMetrics`; None each where samples are no windows."""
        if self.windows is None:
            return (None,) * len(schema_fields(SeriesMetrics))
        if result.decisions is None:
            return field_values(SeriesMetrics.undefined())
        score, tau = result.decisions.score, result.row.tau
        return field_values(series_metrics(self.windows, score, tau, self.buffer))


def _details(task: ScoreTask, results: Mapping[str, Sequence[CompositionResult]]) -> FoldDetails:
    samples = fold_files.read_test_samples(task.ledger, task.manifest)
    decisions: dict[str, FoldDecisions] = {
        rule: {
            (result.row.composition, result.row.latent_form): result.decisions
            for result in rule_results
            if result.decisions is not None
        }
        for rule, rule_results in results.items()
    }
    prevalences = stated_prevalences(task.config.scores.prevalence)
    return fold_details(decisions, samples, task.manifest.fold, task.left_out, prevalences)


def _equal(one: FoldErrors, other: FoldErrors) -> bool:
    """Return whether two epoch rules hold the same errors, bit by bit."""
    pairs = (
        (getattr(one, part), getattr(other, part)) for part in ("training", "validation", "test")
    )
    return all(_equal_split(first, second) for first, second in pairs)


def _equal_split(one: SplitErrors, other: SplitErrors) -> bool:
    return np.array_equal(one.label, other.label) and all(
        values.tobytes() == other.values[name].tobytes() for name, values in one.values.items()
    )
