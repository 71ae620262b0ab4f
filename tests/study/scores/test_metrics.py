import dataclasses

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from study.scores.metrics import Metrics, compute_metrics, predicted_f1

LABEL = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1], np.int8)


def case(rows):
    label, score, prediction = (np.array(column) for column in zip(*rows, strict=True))
    return label.astype(np.int8), score.astype(np.float64), prediction.astype(np.int8)


samples = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=30
).map(case)


def counts(label, prediction):
    return (
        int(np.sum((label == 1) & (prediction == 1))),
        int(np.sum((label == 0) & (prediction == 0))),
        int(np.sum((label == 0) & (prediction == 1))),
        int(np.sum((label == 1) & (prediction == 0))),
    )


def ratio(part, whole):
    return part / whole if whole else 0.0


def test_a_hand_worked_case():
    # 3 of 4 abnormal found, 2 of 6 normal called abnormal.
    prediction = np.array([1, 1, 0, 0, 0, 0, 1, 1, 1, 0], np.int8)
    found = compute_metrics(LABEL, np.arange(10.0), prediction)
    assert found.precision == pytest.approx(3 / 5)
    assert found.recall == pytest.approx(3 / 4)
    assert found.f1_anomaly == pytest.approx(6 / 9)
    assert found.f1_macro == pytest.approx((6 / 9 + 8 / 11) / 2)
    assert found.f1_weighted == pytest.approx(0.4 * 6 / 9 + 0.6 * 8 / 11)
    assert found.phi == pytest.approx((3 * 4 - 2 * 1) / np.sqrt(5 * 4 * 6 * 5))
    assert found.auroc_labels == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert (found.auroc, found.auprc) == (1.0, 1.0)
    assert (found.prevalence, found.num_samples) == (0.4, 10)
    assert found.f1_weighted_constant == pytest.approx(0.6 * 12 / 16)


@given(samples)
def test_labels_metrics_are_those_of_the_counts(rows):
    label, score, prediction = rows
    tp, tn, fp, fn = counts(label, prediction)
    found = compute_metrics(label, score, prediction)
    abnormal, normal = ratio(2 * tp, 2 * tp + fp + fn), ratio(2 * tn, 2 * tn + fp + fn)
    assert found.f1_anomaly == pytest.approx(abnormal)
    assert found.f1_macro == pytest.approx((abnormal + normal) / 2)
    assert found.f1_weighted == pytest.approx(
        ((tp + fn) * abnormal + (tn + fp) * normal) / len(label)
    )
    assert found.precision == pytest.approx(ratio(tp, tp + fp))
    assert found.recall == pytest.approx(ratio(tp, tp + fn))
    scale = np.sqrt(float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    assert found.phi == pytest.approx(ratio(tp * tn - fp * fn, scale), abs=1e-12)


@given(samples.filter(lambda rows: 0 < rows[0].sum() < len(rows[0])))
def test_the_areas_are_those_of_pairs_and_of_ranked_retrieval(rows):
    label, score, prediction = rows
    found = compute_metrics(label, score, prediction)
    abnormal, normal = score[label == 1], score[label == 0]
    wins = scipy.stats.mannwhitneyu(abnormal, normal).statistic
    assert found.auroc == pytest.approx(wins / (len(abnormal) * len(normal)))
    assert found.auroc_labels == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(label, prediction)
    )
    area, recall = 0.0, 0.0
    for tau in np.unique(score)[::-1]:
        called = score >= tau
        reached = float(np.mean(called[label == 1]))
        area += (reached - recall) * float(np.mean(label[called]))
        recall = reached
    assert found.auprc == pytest.approx(area)


@pytest.mark.parametrize("seed", range(40))
def test_every_number_is_scikit_learns_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(5, 3000))
    label = (rng.random(count) < rng.uniform(0.05, 0.95)).astype(np.int8)
    label[:2] = 0, 1
    score = rng.normal(size=count) + rng.random() * label
    if seed % 2:
        score = np.round(score, 1)
    prediction = (score > rng.choice(score)).astype(np.int8)
    found = compute_metrics(label, score, prediction)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        label, prediction, zero_division=0
    )
    assert (found.precision, found.recall, found.f1_anomaly) == (precision[1], recall[1], f1[1])
    assert (found.f1_macro, found.f1_weighted) == (f1.mean(), np.average(f1, weights=support))
    assert found.f1_weighted == predicted_f1(label, prediction)
    assert found.phi == sklearn.metrics.matthews_corrcoef(label, prediction)
    assert found.auroc == sklearn.metrics.roc_auc_score(label, score)
    assert found.auroc_labels == sklearn.metrics.roc_auc_score(label, prediction)
    assert found.auprc == sklearn.metrics.average_precision_score(label, score)


@given(samples)
def test_the_constant_answer_is_the_better_of_two(rows):
    label, score, prediction = rows
    answers = [
        sklearn.metrics.f1_score(
            label, np.full(len(label), value), average="weighted", zero_division=0
        )
        for value in (0, 1)
    ]
    found = compute_metrics(label, score, prediction)
    assert found.f1_weighted_constant == pytest.approx(max(answers))


@pytest.mark.parametrize("value", [0, 1])
def test_one_class_has_no_areas_and_defined_counts(value):
    label = np.full(4, value, np.int8)
    found = compute_metrics(label, np.arange(4.0), label)
    assert np.isnan([found.auroc, found.auroc_labels, found.auprc]).all()
    assert (found.f1_weighted, found.phi) == (1.0, 0.0)
    assert (found.f1_anomaly, found.f1_macro) == (float(value), 0.5)
    assert found.f1_weighted_constant == 1.0


def test_a_constant_score_ranks_nothing():
    found = compute_metrics(LABEL, np.full(10, 3.0), np.zeros(10, np.int8))
    assert (found.auroc, found.auroc_labels) == (0.5, 0.5)
    assert found.auprc == pytest.approx(0.4)
    assert (found.precision, found.recall, found.f1_anomaly, found.phi) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_must_be_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        compute_metrics(LABEL, np.append(np.zeros(9), bad), LABEL)


@pytest.mark.parametrize(
    ("label", "score", "prediction", "reason"),
    [
        (LABEL, np.zeros(9), LABEL, "equally long"),
        (LABEL, np.zeros(10), LABEL[:9], "equally long"),
        (LABEL[:0], np.zeros(0), LABEL[:0], "at least one sample"),
        (LABEL * 2, np.zeros(10), LABEL, "labels must be 0 or 1"),
        (LABEL, np.zeros(10), LABEL * 2, "predictions must be 0 or 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(label, score, prediction, reason):
    with pytest.raises(ValueError, match=reason):
        compute_metrics(label, score, prediction)


def test_undefined_metrics_keep_what_the_labels_alone_say():
    found = dataclasses.asdict(Metrics.undefined(LABEL))
    known = {name: found.pop(name) for name in ("prevalence", "num_samples")}
    assert known == {"prevalence": 0.4, "num_samples": 10}
    assert found.pop("f1_weighted_constant") == pytest.approx(0.45)
    assert np.isnan(list(found.values())).all()
    assert Metrics.undefined(LABEL[:0]).num_samples == 0
