"""Decisions of one composition, weighted to other shares of abnormal samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.scores.components import Float, Label
from study.scores.confusion import Confusion
from study.scores.decisions import Decisions
from study.scores.metrics import threshold_curve

PREVALENCES = (None, 0.01, 0.05, 0.17, 0.5)
"""Shares of abnormal samples that metrics are stated at; None is the test set's own."""


def stated_prevalences(fitted: float | None) -> tuple[float | None, ...]:
    """Return `PREVALENCES`, and with them what compositions were fitted for."""
    return PREVALENCES if fitted in PREVALENCES else (*PREVALENCES, fitted)


@dataclass(frozen=True)
class PrevalenceRow:
    """Metrics as they would be at a stated share of abnormal samples.

    Attributes:
        without_kind: class whose samples are left out; "" for none.
        prevalence: the share, in [0, 1]; nan if no sample is left.
        own_prevalence: whether that is the share of the samples themselves.
        f1_weighted: as in `Metrics`, like all that follow.
        f1_anomaly: F1 of the abnormal class.
        precision: abnormal among those predicted abnormal.
        recall: predicted abnormal among the abnormal; no prevalence changes it.
        phi: Matthews correlation.
        auprc: average precision of the score; nan with one class.
        f1_weighted_constant: weighted F1 of the better constant answer.
    """

    without_kind: str
    prevalence: float
    own_prevalence: bool
    f1_weighted: float
    f1_anomaly: float
    precision: float
    recall: float
    phi: float
    auprc: float
    f1_weighted_constant: float


def prevalence_rows(
    decisions: Decisions,
    kind: npt.NDArray[np.str_],
    without: str | None,
    prevalences: Sequence[float | None] = PREVALENCES,
) -> list[PrevalenceRow]:
    """Measure decisions as they would be at stated prevalences.

    Nothing is drawn: each class is weighted so that the share of abnormal samples is the
    stated one, which is what test sets of that share have in expectation.

    Args:
        decisions: of `n` test samples.
        kind: `(n,)` each sample's class.
        without: class whose samples are left out, None for none.
        prevalences: shares in (0, 1), None for the samples' own.

    Returns:
        A row per prevalence, in their order. With one class only, stated prevalences
        have no numbers.

    Raises:
        ValueError: a prevalence that is not in (0, 1).
    """
    if any(share is not None and not 0 < share < 1 for share in prevalences):
        raise ValueError(f"prevalences must be in (0, 1), found {tuple(prevalences)}")
    kept = np.full(len(kind), True) if without is None else kind != without
    label, prediction = decisions.label[kept], decisions.prediction[kept]
    counts = np.array([(label == 0).sum(), (label == 1).sum()], dtype=np.float64)
    predicted = np.array([((label == value) & (prediction == 1)).sum() for value in (0, 1)])
    weights = _class_weights(counts, prevalences)
    confusion = Confusion(*(weights * counts).T, *(weights * predicted).T)
    constant = np.maximum(confusion.constant(0).f1_weighted, confusion.constant(1).f1_weighted)
    columns = [
        confusion.f1_weighted,
        confusion.f1_anomaly,
        confusion.precision,
        confusion.recall,
        confusion.phi,
        _average_precision(label, decisions.score[kept], weights),
        constant,
    ]
    own = counts[1] / len(label) if len(label) else np.nan
    return [
        PrevalenceRow(without or "", float(own) if share is None else share, share is None, *row)
        for share, row in zip(prevalences, np.stack(columns, axis=1).tolist(), strict=True)
    ]


def _class_weights(counts: Float, prevalences: Sequence[float | None]) -> Float:
    """Return `(p, 2)` weights of a normal and of an abnormal sample; nan with one class."""
    if not counts.all():
        return np.array([[1.0 if share is None else np.nan] * 2 for share in prevalences])
    size = counts.sum()
    return np.array(
        [
            (1.0, 1.0) if share is None else ((1 - share) * size, share * size) / counts
            for share in prevalences
        ]
    )


def _average_precision(label: Label, score: Float, weights: Float) -> Float:
    """Return `(p,)` average precision by class weights `(p, 2)`, from one sort."""
    if not 0 < np.count_nonzero(label) < len(label):
        return np.full(len(weights), np.nan)
    alarms, hits = threshold_curve(label, score)
    gained = np.diff(hits, prepend=0)
    alarms, hits, gained = (values[gained > 0] for values in (alarms, hits, gained))
    areas = [
        np.sum(abnormal * hits / (abnormal * hits + normal * alarms) * gained)
        for normal, abnormal in weights
    ]
    return np.array(areas, dtype=np.float64) / float(hits[-1])
