"""What a study answers with: which trial or system, by which composition, of which weights.

Tables, page, terminal, model card, TensorBoard and `study.score` all take it from here.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from study.config.schema import Study
from study.config.trial_config import TrialConfig
from study.ledger.fold_files import EPOCH_RULES
from study.scores.rules import find_composition
from study.scores.settings import LatentForm
from study.search.trial import TrialRecord, best_trial

ANSWER_RULE = EPOCH_RULES[0]
"""The epoch rule of every answer: that of the weights which the ledger holds."""

Composed = tuple[str, LatentForm | Literal[""]]
"""Name of a composition, and its form of L; "" without L."""


@dataclass(frozen=True)
class Answer:
    """A trial that a study answers with.

    Attributes:
        record: how it ended.
        composition: that of its metric, which was named before anything was trained.
        latent_form: its form of L; "" without L.
    """

    record: TrialRecord
    composition: str
    latent_form: LatentForm | Literal[""]


def composition_of(config: TrialConfig) -> Composed:
    """Return what a trial is reported by: its metric's composition, and form of L."""
    metric = config.metric
    uses_latent = find_composition(metric.composition, config.scores).uses_latent
    return metric.composition, metric.latent_form if uses_latent else ""


def answers(study: Study, records: Iterable[TrialRecord]) -> list[Answer]:
    """Return what a study answers with, the best first.

    Of systems it is each that did not fail: under the study's own protocol first, then under
    the one beside it, since values on other validation samples cannot be ranked together; for
    the same reason first those whose metric is of the study's score. Of a search it is the one
    trial that is best, of those that completed, or if none did of those that were stopped.
    Best is the largest metric on validation, as a mean over folds; the first among equals.

    Args:
        study: the study.
        records: how its trials ended.
    """
    records = list(records)
    ended = [record for record in records if record.trial.system and record.state != "failed"]
    if not ended:
        best = best_trial(records) or best_trial(records, ("pruned",))
        ended = [best] if best else []
    ended.sort(key=lambda record: _order(study, record))
    return [Answer(record, *composition_of(record.trial.config)) for record in ended]


def best_record(study: Study, records: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return the trial or system that a study answers with first; None where all have failed."""
    return next((answer.record for answer in answers(study, records)), None)


def _order(study: Study, record: TrialRecord) -> tuple[bool, bool, float, int]:
    trial, value = record.trial, record.best_value
    return (
        trial.protocol != study.split.protocol,
        trial.config.metric.score != study.search.metric.score,
        math.inf if math.isnan(value) else -value,
        trial.number,
    )
