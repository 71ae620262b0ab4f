import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from study.report.patients import (
    PATIENT_METRICS,
    SCHEMA,
    draw_patients,
    patient_intervals,
)
from study.report.resampling import KEYS

Counts = tuple[int, int, int, int]


def row(
    patient: str, counts: Counts, fold: int = 0, trial: str = "t", composition: str = "r"
) -> dict[str, Any]:
    known = {"trial": trial, "fold": fold, "epoch_rule": "last", "composition": composition}
    known |= {"latent_form": "", "stratum": "patient", "value": patient, "auroc": math.nan}
    names = ("normal", "abnormal", "false_alarms", "hits")
    return known | dict(zip(names, counts, strict=True))


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)


def samples(counts: Counts) -> tuple[list[int], list[int]]:
    """Labels and predictions that have these counts."""
    normal, abnormal, alarms, hits = counts
    label = [0] * normal + [1] * abnormal
    called = [1] * alarms + [0] * (normal - alarms) + [1] * hits + [0] * (abnormal - hits)
    return label, called


def measured(patients: list[Counts]) -> list[float]:
    """`PATIENT_METRICS` of all samples of patients, by scikit-learn."""
    label, called = (
        np.array([value for counts in patients for value in samples(counts)[which]])
        for which in (0, 1)
    )
    return [
        sklearn.metrics.f1_score(label, called, average="weighted", zero_division=0),
        sklearn.metrics.f1_score(label, called, zero_division=0),
        sklearn.metrics.matthews_corrcoef(label, called),
        sklearn.metrics.balanced_accuracy_score(label, called)
        if 0 < label.sum() < len(label)
        else math.nan,
    ]


DRAWS = 4
counts_of_a_patient = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda sizes: st.tuples(
        st.just(sizes[0]), st.just(sizes[1]), st.integers(0, sizes[0]), st.integers(0, sizes[1])
    )
)


@given(st.lists(st.tuples(counts_of_a_patient, counts_of_a_patient), min_size=1, max_size=4))
@settings(max_examples=5)
def test_every_draw_is_measured_as_a_test_set_of_the_drawn_patients(
    drawn: list[tuple[Counts, Counts]],
) -> None:
    rows = [row(f"p{i}", c, fold) for i, both in enumerate(drawn) for fold, c in enumerate(both)]
    (interval,) = patient_intervals(table(rows), seed=3, draws=DRAWS).to_pylist()
    times = draw_patients(len(drawn), 3, DRAWS).astype(int)
    by_draw = []
    for often in times:
        folds = [
            measured([both[fold] for both, n in zip(drawn, often, strict=True) for _ in range(n)])
            for fold in (0, 1)
        ]
        by_draw.append(np.mean(folds, axis=0))
    low, high = np.percentile(by_draw[1:], [2.5, 97.5], axis=0)
    for place, name in enumerate(PATIENT_METRICS):
        close = pytest.approx([by_draw[0][place], low[place], high[place]], abs=1e-9)
        assert [
            interval[name],
            interval[f"{name}_patient_low"],
            interval[f"{name}_patient_high"],
        ] == close
    assert (interval["patients"], interval["draws"]) == (len(drawn), DRAWS)


@given(counts_of_a_patient, st.integers(1, 8))
def test_patients_who_are_all_alike_leave_no_width(counts: Counts, patients: int) -> None:
    rows = [row(str(i), counts, fold) for i in range(patients) for fold in range(2)]
    (interval,) = patient_intervals(table(rows), seed=0, draws=30).to_pylist()
    for name, expected in zip(PATIENT_METRICS, measured([counts]), strict=True):
        assert interval[name] == pytest.approx(expected, abs=1e-12)
        assert interval[f"{name}_patient_low"] == pytest.approx(interval[name], abs=1e-12)
        assert interval[f"{name}_patient_high"] == pytest.approx(interval[name], abs=1e-12)


def test_each_draw_has_as_many_patients_as_the_test_set() -> None:
    often = draw_patients(22, seed=1, draws=4000)
    assert often.shape == (4001, 22)
    assert (often.sum(axis=1) == 22).all()
    assert (often[0] == 1).all()
    np.testing.assert_allclose(often[1:].mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(often[1:].var(axis=0), 1 - 1 / 22, atol=0.12)
    assert (often != draw_patients(22, seed=2, draws=4000)).any()


def test_a_mean_over_patients_of_equal_size_has_the_usual_interval() -> None:
    # Recall is the mean of the patients' shares: its deviation is known.
    rng = np.random.default_rng(0)
    hits = rng.integers(20, 80, size=40)
    rows = [row(str(i), (100, 100, 0, int(n))) for i, n in enumerate(hits)]
    (interval,) = patient_intervals(table(rows), seed=0).to_pylist()
    balanced = (1 + hits / 100) / 2
    reach = 1.96 * balanced.std() / math.sqrt(40)
    mean = balanced.mean()
    assert interval["auroc_labels"] == pytest.approx(mean)
    assert interval["auroc_labels_patient_low"] == pytest.approx(mean - reach, abs=0.1 * reach)
    assert interval["auroc_labels_patient_high"] == pytest.approx(mean + reach, abs=0.1 * reach)


def test_rows_of_a_table_share_their_draws_and_keep_their_order() -> None:
    rng = np.random.default_rng(4)
    counts: list[Counts] = [(30, 20, int(a), int(h)) for a, h in rng.integers(0, 20, (6, 2))]
    groups = [(trial, c) for trial in ("z", "a") for c in ("svm", "r")]
    rows = [
        row(str(i), own, fold, trial, c)
        for trial, c in groups
        for fold in range(2)
        for i, own in enumerate(counts)
    ]
    intervals = patient_intervals(table(rows), seed=7, draws=50)
    assert intervals.schema.equals(SCHEMA)
    assert all(column.null_count == 0 for column in intervals.columns)
    frame = intervals.to_pandas()
    assert frame[["trial", "composition"]].to_numpy().tolist() == [list(g) for g in groups]
    assert (frame.drop(columns=list(KEYS)).nunique() == 1).all()
    again = patient_intervals(table(rows[::-1]), seed=7, draws=50).to_pandas()
    assert again["phi_patient_low"].tolist() == pytest.approx(frame["phi_patient_low"].tolist())
    other = patient_intervals(table(rows), seed=8, draws=50).to_pandas()
    assert (other["phi_patient_low"] != frame["phi_patient_low"]).all()


def test_other_strata_change_nothing() -> None:
    rows = [row("1", (5, 5, 1, 4)), row("2", (6, 3, 2, 1))]
    extra = row("N", (900, 0, 900, 0)) | {"stratum": "kind"}
    expected = patient_intervals(table(rows), seed=0, draws=10)
    assert patient_intervals(table([extra, *rows]), seed=0, draws=10).equals(expected)
    assert patient_intervals(table([extra]), seed=0).equals(SCHEMA.empty_table())


def test_draws_without_a_class_are_left_out_of_its_auroc() -> None:
    rows = [row("1", (8, 0, 2, 0)), row("2", (0, 4, 0, 3))]
    (interval,) = patient_intervals(table(rows), seed=0, draws=40).to_pylist()
    balanced = (6 / 8 + 3 / 4) / 2
    ends = [interval[f"auroc_labels{end}"] for end in ("", "_patient_low", "_patient_high")]
    assert ends == pytest.approx([balanced] * 3)
    assert interval["f1_anomaly_patient_low"] == 0
    (one_class,) = patient_intervals(table(rows[:1]), seed=0, draws=5).to_pylist()
    assert math.isnan(one_class["auroc_labels"])
    assert math.isnan(one_class["auroc_labels_patient_low"])


def test_a_composition_without_a_fit_in_one_fold_has_the_mean_of_the_others() -> None:
    rows = [row("1", (5, 5, 1, 4)), row("2", (6, 3, 2, 1))]
    other = [row("1", (5, 5, 0, 0), 1, composition="d"), row("2", (6, 3, 0, 3), 1, composition="d")]
    intervals = patient_intervals(table(rows + other), seed=0, draws=10)
    assert intervals.slice(0, 1).equals(patient_intervals(table(rows), seed=0, draws=10))
    assert intervals.slice(1, 1).equals(patient_intervals(table(other), seed=0, draws=10))


def test_folds_must_test_the_same_patients() -> None:
    rows = [row("1", (5, 5, 1, 4)), row("2", (6, 3, 2, 1)), row("1", (5, 5, 1, 4), fold=1)]
    with pytest.raises(ValueError, match=r"each of 2 patients .* in each fold of t last r"):
        patient_intervals(table(rows), seed=0)
