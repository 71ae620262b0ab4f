"""Limits in a model card: where the study itself shows the model to fail, in sentences."""

from collections.abc import Iterator, Sequence

import numpy as np

from study.data import DATASETS
from study.ledger.answer import ANSWER_RULE
from study.report.card_evidence import Evidence, Stratum
from study.report.comparisons import corrected_p
from study.report.summary import INTERVAL
from study.scores.rules import find_composition

MANY_FALSE_ALARMS = 0.1
"""Share of a patient's normal samples from which on their false alarms are many."""


def limits(evidence: Evidence) -> Iterator[str]:
    """Yield limits, those against other answers first."""
    yield from _beside_a_constant(evidence)
    yield from _beside_simple(evidence)
    yield from _weak_classes(evidence.kinds)
    yield from _weak_patients(evidence.patients)
    yield _threshold(evidence)
    yield from _rarity(evidence)
    yield from _known_samples(evidence)
    yield from _made_of(evidence)


def _beside_a_constant(evidence: Evidence) -> Iterator[str]:
    f1, constant = evidence.metric("f1_weighted"), evidence.constant
    if f1.mean <= constant:
        yield f"A constant answer has weighted F1 {constant:.3f}: its decisions are no better."
    elif f1.low <= constant:
        yield f"A constant answer has weighted F1 {constant:.3f}, which lies in its interval."


def _beside_simple(evidence: Evidence) -> Iterator[str]:
    """Compare with the simple model that is best on validation, where the study has one."""
    frame = evidence.tables["comparisons"].to_pandas() if "comparisons" in evidence.tables else None
    if frame is None or not (frame["family"] == "best_simple").any():
        yield "No simple model stands beside it: what one would reach on these folds is unknown."
        return
    own = (frame["first_trial"] == evidence.answer.record.name) & (frame["family"] == "best_simple")
    own &= (frame["epoch_rule"] == ANSWER_RULE) & (frame["metric"] == "f1_weighted")
    for row in frame[own].to_dict("records"):
        p = corrected_p(row)
        simple = f"the simple model `{row['second_system']}` on the same folds"
        if not p <= 1 - INTERVAL:
            yield f"It is not told apart from {simple}."
        elif row["difference"] < 0:
            yield f"It is worse than {simple}."


def _weak_classes(kinds: Sequence[Stratum]) -> Iterator[str]:
    abnormal = [each for each in kinds if each.abnormal]
    if abnormal:
        worst = min(abnormal, key=lambda each: each.sensitivity.mean)
        yield (
            f"Of class `{worst.value}` it finds a share of {worst.sensitivity}, the least of all"
            " abnormal classes."
        )
    normal = [each for each in kinds if each.normal]
    if len(normal) > 1:
        worst = max(normal, key=lambda each: each.false_alarms.mean)
        yield (
            f"Of the normal class `{worst.value}` it calls a share of {worst.false_alarms}"
            " abnormal, the most of all normal classes."
        )


def _weak_patients(patients: Sequence[Stratum]) -> Iterator[str]:
    normal = [each for each in patients if each.normal]
    many = [each for each in normal if each.false_alarms.mean > MANY_FALSE_ALARMS]
    if many:
        worst = max(many, key=lambda each: each.false_alarms.mean)
        yield (
            f"It calls more than {MANY_FALSE_ALARMS:.0%} of the normal samples abnormal in"
            f" {len(many)} of {len(normal)} patients; in `{worst.value}` it is a share of"
            f" {worst.false_alarms.mean:.3f}."
        )
    abnormal = [each for each in patients if each.abnormal]
    missed = [each for each in abnormal if each.sensitivity.mean < 0.5]
    if missed:
        yield (
            f"It misses more than half of the abnormal samples in {len(missed)} of"
            f" {len(abnormal)} patients who have any."
        )


def _threshold(evidence: Evidence) -> str:
    """Say what the threshold depends on."""
    config = evidence.answer.record.trial.config
    composition = find_composition(evidence.answer.composition, config.scores)
    if composition.supervision == "none":
        return "Its threshold heeds no abnormal samples: neither which there are nor how many."
    share = "that validation had"
    if config.scores.prevalence is not None:
        share = f"of {config.scores.prevalence:.1%}"
    return (
        f"Its threshold is for a share of abnormal samples {share}; where fewer are abnormal, more"
        " of its alarms are false."
    )


def _rarity(evidence: Evidence) -> Iterator[str]:
    for share, metrics, _ in evidence.prevalences[:1]:
        yield (
            f"Where {share:.0%} of the samples are abnormal, a share of"
            f" {metrics['precision'].mean:.3f} of its alarms is right."
        )


def _known_samples(evidence: Evidence) -> Iterator[str]:
    rows = evidence.scores
    shared = {
        "are of a record that trains, too": rows["test_records_in_training"],
        "overlap in time with a sample that trains": rows["test_windows_overlapping_training"],
        "are copies of one that trains": rows["test_duplicates_of_training"],
    }
    for what, counts in shared.items():
        share = float((counts / rows["num_samples"]).mean())
        if share > 0:
            yield f"Of the test samples {share:.1%} {what}: new ones may score worse."
    neighbours = evidence.facts.abnormal_neighbours if evidence.facts else ()
    if any(neighbours):
        share = float(np.mean(np.array(neighbours) / rows["num_training"].to_numpy()))
        yield f"The windows of {share:.1%} of the training samples hold an abnormal neighbour."


def _made_of(evidence: Evidence) -> Iterator[str]:
    config = evidence.answer.record.trial.config
    if DATASETS[config.dataset.name].seeded:
        yield "The samples are generated: none of these numbers is evidence for real ones."
    if config.dataset.limit:
        yield f"It knows {config.dataset.limit:,} samples of the dataset, a random subset."
    if config.split.folds == 1:
        yield "There is one fold: how far its numbers are chance is unknown."
