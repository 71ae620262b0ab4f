import math
from collections import Counter

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from study.scores.confusion import Confusion
from study.scores.decisions import Decisions
from study.scores.metrics import compute_metrics
from study.scores.prevalence import PREVALENCES, prevalence_rows
from study.scores.strata import divide, strata_rows

SHARED = ("f1_weighted", "f1_anomaly", "precision", "recall", "phi", "auprc")


def decided(rows):
    label, score, prediction, kind, patient = (np.array(c) for c in zip(*rows, strict=True))
    whole = (label.astype(np.int8), score.astype(np.float64), prediction.astype(np.int8))
    return Decisions(*whole), {"kind": kind, "patient": patient}


rows_of_samples = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 5),
        st.integers(0, 1),
        st.sampled_from("NSQ"),
        st.sampled_from(["100", "201"]),
    ),
    min_size=1,
    max_size=30,
)
samples = rows_of_samples.map(decided)
both_classes = rows_of_samples.filter(lambda rows: len({row[0] for row in rows}) == 2).map(decided)


@given(rows_of_samples)
def test_every_stratum_sums_up_to_the_whole_confusion_matrix(rows):
    decisions, strata = decided(rows)
    found = strata_rows(decisions, divide(strata))
    matrix = sklearn.metrics.confusion_matrix(
        decisions.label, decisions.prediction, labels=[0, 1]
    ).tolist()
    for name in strata:
        mine = [row for row in found if row.stratum == name]
        assert [row.value for row in mine] == sorted(set(strata[name].tolist()))
        normal, abnormal, alarms, hits = (
            sum(getattr(row, column) for row in mine)
            for column in ("normal", "abnormal", "false_alarms", "hits")
        )
        assert [[normal - alarms, alarms], [abnormal - hits, hits]] == matrix


@given(rows_of_samples)
def test_a_row_counts_the_samples_of_its_value(rows):
    decisions, strata = decided(rows)
    for place, name in ((3, "kind"), (4, "patient")):
        counted = Counter((row[place], row[0], row[2]) for row in rows)
        for found in (row for row in strata_rows(decisions, divide(strata)) if row.stratum == name):
            cells = {(a, b): counted[found.value, a, b] for a in (0, 1) for b in (0, 1)}
            assert found.normal == cells[0, 0] + cells[0, 1]
            assert found.abnormal == cells[1, 0] + cells[1, 1]
            assert (found.false_alarms, found.hits) == (cells[0, 1], cells[1, 1])


@given(samples)
def test_a_class_is_ranked_against_all_normals_and_a_patient_is_not(drawn):
    decisions, strata = drawn
    normal = decisions.score[decisions.label == 0]
    for found in strata_rows(decisions, divide(strata)):
        mine = (strata[found.stratum] == found.value) & (decisions.label == 1)
        if found.stratum == "patient" or not mine.any() or not len(normal):
            assert math.isnan(found.auroc)
            continue
        label = np.repeat([0, 1], [len(normal), mine.sum()])
        score = np.concatenate([normal, decisions.score[mine]])
        assert found.auroc == pytest.approx(sklearn.metrics.roc_auc_score(label, score))


def test_a_hand_worked_stratum():
    # N: 3 normals of which one is called; V: two of three abnormal samples found.
    decisions, _ = decided(
        [
            *((0, 1.0, 0, "", ""), (0, 2.0, 0, "", ""), (0, 4.0, 1, "", "")),
            *((1, 3.0, 0, "", ""), (1, 4.0, 1, "", ""), (1, 5.0, 1, "", "")),
        ]
    )
    kind = np.array(["N", "N", "N", "V", "V", "V"])
    normal, abnormal = strata_rows(decisions, divide({"kind": kind}))
    assert (normal.value, normal.normal, normal.abnormal) == ("N", 3, 0)
    assert (normal.false_alarms, normal.hits) == (1, 0)
    assert math.isnan(normal.auroc)
    assert (abnormal.value, abnormal.normal, abnormal.abnormal) == ("V", 0, 3)
    assert (abnormal.false_alarms, abnormal.hits) == (0, 2)
    # 3 beats two of three normals, 4 beats two and ties one, 5 beats all.
    assert abnormal.auroc == pytest.approx((2 + 2.5 + 3) / 9)


@given(both_classes)
def test_the_own_prevalence_has_the_metrics_of_the_test_set(drawn):
    decisions, strata = drawn
    expected = compute_metrics(decisions.label, decisions.score, decisions.prediction)
    (found,) = prevalence_rows(decisions, strata["kind"], None, [None])
    assert (found.without_kind, found.own_prevalence) == ("", True)
    for name in (*SHARED, "prevalence", "f1_weighted_constant"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-12), name


@given(both_classes, st.floats(0.001, 0.999))
def test_a_stated_prevalence_is_scikit_learn_with_sample_weights(drawn, share):
    decisions, strata = drawn
    label, prediction = decisions.label, decisions.prediction
    abnormal = label.mean()
    weight = np.where(label == 1, share / abnormal, (1 - share) / (1 - abnormal))
    own, found = prevalence_rows(decisions, strata["kind"], None, [None, share])
    assert (found.prevalence, found.own_prevalence) == (share, False)
    assert own.own_prevalence
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        label, prediction, labels=[0, 1], sample_weight=weight, zero_division=0
    )
    expected = {
        "precision": precision[1],
        "recall": recall[1],
        "f1_anomaly": f1[1],
        "f1_weighted": np.average(f1, weights=support),
        "phi": sklearn.metrics.matthews_corrcoef(label, prediction, sample_weight=weight),
        "auprc": sklearn.metrics.average_precision_score(
            label, decisions.score, sample_weight=weight
        ),
        "f1_weighted_constant": max(
            sklearn.metrics.f1_score(
                label,
                np.full(len(label), answer),
                average="weighted",
                sample_weight=weight,
                zero_division=0,
            )
            for answer in (0, 1)
        ),
    }
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-9), name


@given(both_classes)
def test_leaving_a_class_out_is_measuring_the_rest(drawn):
    decisions, strata = drawn
    rest = strata["kind"] != "Q"
    kept = Decisions(decisions.label[rest], decisions.score[rest], decisions.prediction[rest])
    found = prevalence_rows(decisions, strata["kind"], "Q")
    expected = prevalence_rows(kept, strata["kind"][rest], None)
    assert {row.without_kind for row in found} == {"Q"}
    for one, other in zip(found, expected, strict=True):
        names = [name for name in vars(one) if name != "without_kind"]
        values = [[getattr(row, name) for name in names] for row in (one, other)]
        np.testing.assert_array_equal(*values)


def test_a_test_set_of_the_stated_prevalence_has_about_these_metrics():
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], [300_000, 100_000]).astype(np.int8)
    score = rng.normal(size=len(label)) + 1.5 * label
    decisions = Decisions(label, score, (score > 1).astype(np.int8))
    kind = np.where(label == 1, "V", "N")
    found = prevalence_rows(decisions, kind, None, [0.05])[0]
    drawn = np.concatenate([np.arange(285_000), np.arange(300_000, 315_000)])
    expected = compute_metrics(label[drawn], score[drawn], decisions.prediction[drawn])
    assert expected.prevalence == 0.05
    for name in SHARED:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=0.01), name


@pytest.mark.parametrize("value", [0, 1])
def test_one_class_has_numbers_at_its_own_prevalence_only(value):
    label = np.full(4, value, np.int8)
    decisions = Decisions(label, np.arange(4.0), np.array([0, 1, 0, 1], np.int8))
    own, *stated = prevalence_rows(decisions, np.full(4, "N"), None)
    expected = compute_metrics(label, decisions.score, decisions.prediction)
    for name in (*SHARED, "prevalence", "f1_weighted_constant"):
        close = pytest.approx(getattr(expected, name), nan_ok=True)
        assert getattr(own, name) == close, name
    assert [row.prevalence for row in stated] == list(PREVALENCES[1:])
    assert np.isnan([[row.f1_weighted, row.phi, row.auprc] for row in stated]).all()


def test_nothing_left_has_no_numbers():
    label = np.array([0, 1], np.int8)
    decisions = Decisions(label, np.arange(2.0), label)
    for row in prevalence_rows(decisions, np.full(2, "Q"), "Q"):
        assert math.isnan(row.prevalence) == row.own_prevalence
        assert math.isnan(row.auprc)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
def test_a_prevalence_must_lie_between_none_and_all(share):
    label = np.array([0, 1], np.int8)
    decisions = Decisions(label, np.arange(2.0), label)
    with pytest.raises(ValueError, match=r"prevalences must be in \(0, 1\)"):
        prevalence_rows(decisions, np.array(["N", "V"]), None, [share])


def test_what_is_not_of_the_same_samples_is_refused():
    label = np.array([0, 1], np.int8)
    with pytest.raises(ValueError, match="scores"):
        Decisions(label, np.zeros(3), label)
    with pytest.raises(ValueError, match="predictions"):
        Decisions(label, np.zeros(2), label[:1])
    with pytest.raises(ValueError, match="stratum kind has 3 samples, the decisions 2"):
        strata_rows(Decisions(label, np.zeros(2), label), divide({"kind": np.full(3, "N")}))


@given(samples)
def test_a_confusion_of_counts_has_the_metrics_of_its_samples(drawn):
    decisions, _ = drawn
    label, prediction = decisions.label, decisions.prediction
    counts = (label == 0, label == 1, (label == 0) & (prediction == 1), label & prediction)
    confusion = Confusion(*(np.array([part.sum()], float) for part in counts))
    expected = compute_metrics(label, decisions.score, prediction)
    for name in ("f1_weighted", "f1_anomaly", "precision", "recall", "phi", "auroc_labels"):
        value = pytest.approx(getattr(expected, name), abs=1e-12, nan_ok=True)
        assert getattr(confusion, name)[0] == value, name
