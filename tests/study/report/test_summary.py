import io
import math
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from study.ledger import fold_files
from study.report.summary import SUMMARY_KEYS, fold_statistics, summary_table
from study.scores.settings import METRIC_NAMES, metric_range


def row(fold: int, composition: str = "a", rule: str = "last", **kept: Any) -> dict[str, Any]:
    known: dict[str, Any] = dict.fromkeys(SUMMARY_KEYS, "")
    known |= dict.fromkeys(METRIC_NAMES, 0.5)
    known |= {"num_samples": 20, "num_training": 40}
    known |= {"fold": fold, "composition": composition, "epoch_rule": rule}
    return {**known, "param.b": 1, "param.a": "x", **kept}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.table({name: [each[name] for each in rows] for name in rows[0]})


def students_quantile(degrees: int, level: float) -> float:
    """By bisection on the integral of Student's density."""
    scale = math.gamma((degrees + 1) / 2) / (math.sqrt(degrees * math.pi) * math.gamma(degrees / 2))

    def inside(reach: float) -> float:
        area, _ = integrate.quad(
            lambda t: scale * (1 + t * t / degrees) ** (-(degrees + 1) / 2), -reach, reach
        )
        return area

    low, high = 0.0, 1000.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < level else (low, middle)
    return low


def test_the_summary_is_the_mean_and_the_corrected_interval() -> None:
    values = [0.7, 0.8, 0.95]
    rows = [row(fold, f1_weighted=value) for fold, value in enumerate(values)]
    summary = summary_table(table(rows)).to_pylist()
    assert len(summary) == 1
    mean = sum(values) / 3
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / 2)
    reach = students_quantile(2, 0.95) * deviation * math.sqrt(1 / 3 + 20 / 40)
    assert summary[0]["folds"] == 3
    assert summary[0]["f1_weighted_mean"] == pytest.approx(mean, rel=1e-12)
    assert summary[0]["f1_weighted_std"] == pytest.approx(deviation, rel=1e-12)
    centre, on_logits = math.log(mean / (1 - mean)), reach / (mean * (1 - mean))
    for name, end in (("low", centre - on_logits), ("high", centre + on_logits)):
        expected = 1 / (1 + math.exp(-end))
        assert summary[0][f"f1_weighted_{name}"] == pytest.approx(expected, rel=1e-6)
    assert summary[0]["phi_std"] == 0
    assert summary[0]["param.b"] == 1


def test_a_single_fold_has_a_mean_and_no_interval() -> None:
    (only,) = summary_table(table([row(0, phi=0.25)])).to_pylist()
    assert only["phi_mean"] == 0.25
    for name in ("std", "low", "high"):
        assert math.isnan(only[f"phi_{name}"])


def test_the_summary_has_a_row_per_trial_rule_composition_and_form_in_their_order() -> None:
    groups = [
        {"composition": c, "rule": r, "latent_form": f, "trial": t}
        for t in ("trial-00000", "trial-00001")
        for r in ("best_validation", "last")
        for c, f in (("z", ""), ("a", "implicit"), ("a", "chi_mode"))
    ]
    rows = [row(fold, **group) for group in groups for fold in range(2)]
    summary = summary_table(table(rows)).to_pandas()
    assert (summary["folds"] == 2).all()
    found = summary[["composition", "epoch_rule", "latent_form", "trial"]].to_numpy().tolist()
    assert found == [[g["composition"], g["rule"], g["latent_form"], g["trial"]] for g in groups]


def test_tables_with_equal_content_are_equal_bytes() -> None:
    def tables() -> list[bytes]:
        scores = table([row(fold, phi=fold / 7) for fold in range(4)])
        return [fold_files.to_parquet(t) for t in (scores, summary_table(scores))]

    assert tables() == tables()
    other = table([row(fold, phi=fold / 8) for fold in range(4)])
    assert fold_files.to_parquet(other) != tables()[0]


def test_a_table_reads_back_from_its_bytes() -> None:
    scores = table([row(0), row(1, phi=math.nan)])
    read = pq.read_table(io.BytesIO(fold_files.to_parquet(scores)))
    assert isinstance(read, pa.Table)
    assert read.schema.equals(scores.schema)
    pd.testing.assert_frame_equal(read.to_pandas(), scores.to_pandas())


MEASURED = st.one_of(st.just(math.nan), st.integers(-1000, 1000).map(lambda n: n / 1000))
GROUP = st.tuples(st.sampled_from("ab"), st.sampled_from(["best_validation", "last"]))


def fisher(correlation: float, reach: float) -> float:
    """The end of an interval for a correlation, by Fisher's z."""
    if abs(correlation) == 1 or reach == 0:
        return correlation
    return math.tanh(math.atanh(correlation) + reach / (1 - correlation**2))


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_folds_that_differ_much_have_an_interval_inside_the_metrics_range(metric: str) -> None:
    """Two folds: the t quantile is 12.7, and mean ± reach lies far outside."""
    rows = [row(0, **{metric: 0.97}), row(1, **{metric: 0.75}), row(2, **{metric: math.nan})]
    (found,) = summary_table(table(rows)).to_pylist()
    ends = (-1, 1) if metric == "phi" else (0, 1)
    low, mean, high = (found[f"{metric}_{name}"] for name in ("low", "mean", "high"))
    assert ends[0] < low < mean < high < ends[1]
    assert mean + 12.7 * 0.11 > 1


def test_a_rate_without_an_upper_end_has_an_interval_on_the_logarithmic_scale() -> None:
    rows = [row(0, recall=0.0), row(1, recall=0.0)]
    scores = table(rows).append_column("false_alarms_per_day", pa.array([2.0, 30.0]))
    (summary,) = summary_table(scores).to_pylist()
    low, mean, high = (summary[f"false_alarms_per_day_{name}"] for name in ("low", "mean", "high"))
    assert 0 < low < mean == 16 < high < math.inf
    assert low * high == pytest.approx(mean**2)


def test_what_has_no_lower_end_has_the_interval_of_its_size() -> None:
    """By the delta method the logarithm of a mean error has its standard error over it."""
    errors, ratio = np.array([[0.02, 0.05, 0.03], [0.0, 0.0, 0.0]]), np.full((2, 3), 0.5)
    (mean, _, low, high), at_the_end = fold_statistics(
        -errors, ratio, metric_range("normal_error")
    ).tolist()
    error = errors[0].std(ddof=1) * math.sqrt(1 / 3 + 0.5)
    reach = stats.t.ppf(0.975, 2) * error / errors[0].mean()
    assert -mean == pytest.approx(errors[0].mean())
    assert (-high, -low) == pytest.approx((-mean * math.exp(-reach), -mean * math.exp(reach)))
    assert at_the_end == [0.0] * 4


def test_folds_at_an_end_of_the_range_have_an_interval_of_one_point() -> None:
    (found,) = summary_table(table([row(0, recall=1.0), row(1, recall=1.0)])).to_pylist()
    assert (found["recall_low"], found["recall_high"]) == (1.0, 1.0)


@given(
    st.lists(st.tuples(GROUP, MEASURED, st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1)
)
def test_every_group_is_summarised_as_if_it_were_alone(
    drawn: list[tuple[tuple[str, str], float, int, int]],
) -> None:
    rows = [
        row(fold, composition, rule, phi=phi, num_samples=tested, num_training=trained)
        for fold, ((composition, rule), phi, tested, trained) in enumerate(drawn)
    ]
    found = summary_table(table(rows)).to_pylist()
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in rows:
        groups.setdefault((each["composition"], each["epoch_rule"]), []).append(each)
    assert [(each["composition"], each["epoch_rule"]) for each in found] == list(groups)
    for summary, group in zip(found, groups.values(), strict=True):
        assert summary["folds"] == len(group)
        values = pd.Series([each["phi"] for each in group])
        known = values.dropna().tolist()
        folds = [each for each in group if not math.isnan(each["phi"])]
        mean = statistics.fmean(known) if known else math.nan
        deviation = statistics.stdev(known) if len(known) > 1 else math.nan
        low = high = math.nan
        if len(known) > 1:
            ratio = statistics.fmean(each["num_samples"] / each["num_training"] for each in folds)
            quantile = stats.t.ppf(0.975, len(known) - 1)
            reach = quantile * deviation * math.sqrt(1 / len(known) + ratio)
            low, high = fisher(mean, -reach), fisher(mean, reach)
        expected = {"mean": mean, "std": deviation, "low": low, "high": high}
        for name, value in expected.items():
            close = pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)
            assert summary[f"phi_{name}"] == close, name
        if len(known) > 1:
            assert -1 <= summary["phi_low"] <= summary["phi_mean"] <= summary["phi_high"] <= 1
        # pandas sums in the same order: its numbers to the last bit.
        assert repr(summary["phi_mean"]) == repr(float(values.mean()))
        assert repr(summary["phi_std"]) == repr(float(values.std(ddof=1)))
