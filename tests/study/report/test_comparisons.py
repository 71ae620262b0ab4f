import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from study.config.comparisons import ComparisonSettings
from study.report.comparisons import SCHEMA, comparisons_table, mean_scores
from study.report.groups import SCHEMA as GROUPS
from study.report.groups import groups_table
from study.report.paired_tests import holm
from study.report.resampling import Units, resampled
from study.scores.settings import REPORTED_SCORES

METRIC = {"f1_weighted": 0.5, "phi": 0.5, "auroc": 0.5, "validation_f1_weighted": 0.5}
SETTINGS = ComparisonSettings()


def row(fold: int, system: str = "a", composition: str = "r", **kept: Any) -> dict[str, Any]:
    known = {"study": "s", "dataset": "d", "protocol": "paper", "split_hash": "h"}
    known |= {"trial": system, "system": system, "model": "knn", "fold": fold}
    known |= {"epoch_rule": "last", "composition": composition, "latent_form": ""}
    known |= {"of_metric": composition in ("r", "latent")}
    return {**known, **METRIC, "num_samples": 20, "num_training": 40, **kept}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)


def compared(rows: list[dict[str, Any]], metric: str = "phi", **units: Units) -> pd.DataFrame:
    settings = ComparisonSettings(families=("all_systems",))
    found = comparisons_table(table(rows), units, settings, seed=0)
    assert found.schema.equals(SCHEMA)
    frame = found.to_pandas()
    return frame[frame["metric"] == metric].reset_index(drop=True)


def test_a_pair_of_systems_has_the_corrected_t_test() -> None:
    first, second = [0.9, 0.8, 0.95, 0.7], [0.8, 0.75, 0.7, 0.72]
    rows = [row(i, "a", phi=v) for i, v in enumerate(first)]
    rows += [row(i, "b", phi=v) for i, v in enumerate(second)]
    (found,) = compared(rows).to_dict("records")
    assert (found["family"], found["first_system"], found["second_system"]) == (
        "all_systems",
        "a",
        "b",
    )
    difference = np.subtract(first, second)
    error = difference.std(ddof=1) * math.sqrt(1 / 4 + 20 / 40)
    low, high = stats.t.interval(0.95, 3, loc=difference.mean(), scale=error)
    assert found["folds"] == 4
    assert found["difference"] == pytest.approx(difference.mean())
    assert found["std"] == pytest.approx(difference.std(ddof=1))
    assert found["fold_p"] == pytest.approx(2 * stats.t.sf(difference.mean() / error, 3))
    assert (found["fold_low"], found["fold_high"]) == pytest.approx((max(low, -2), min(high, 2)))
    assert (found["unit"], found["units"]) == ("", 0)
    assert np.isnan(found["unit_p"])


@pytest.mark.parametrize("protocol", ["kfold", "inter_patient"])
def test_folds_with_one_test_set_have_no_test_over_folds(protocol: str) -> None:
    rows = [
        row(i, s, phi=i / 9 + (s == "b") / 3, protocol=protocol) for i in range(3) for s in "ab"
    ]
    (found,) = compared(rows).to_dict("records")
    assert found["difference"] == pytest.approx(-1 / 3)
    assert np.isnan([found[f"fold_{name}"] for name in ("p", "low", "high", "p_holm")]).all()


def units_of(keys: list[str], patients: int = 12) -> Units:
    """Two folds of patients of ten beats each, of whom systems find ever more."""
    rng = np.random.default_rng(2)
    counts = {}
    for number, key in enumerate(keys):
        shape = (patients, 2)
        abnormal = np.full(shape, 4.0)
        hits = rng.binomial(4, 0.4 + 0.2 * number, size=shape)
        alarms = rng.binomial(6, 0.1, size=shape)
        counts[(key, "last", "r", "")] = np.array(
            [np.full(shape, 6.0), abnormal, alarms, hits], np.float32
        )
    return Units("patient", counts)


def test_the_test_over_units_is_of_the_bootstrap() -> None:
    units = units_of(["a", "b", "c"])
    rows = [row(i, s, phi=0.3 + (s == "c") / 3) for i in range(2) for s in "abc"]
    found = compared(rows, paper=units)
    drawn = resampled(units, units.counts, seed=0)
    for each in found.to_dict("records"):
        pair = [(each[f"{side}_trial"], "last", "r", "") for side in ("first", "second")]
        error = drawn.error("phi", *pair)
        assert (each["unit"], each["units"]) == ("patient", 12)
        t = each["difference"] / error
        assert each["unit_p"] == pytest.approx(2 * stats.t.sf(abs(t), 11))
        expected = stats.t.interval(0.95, 11, loc=each["difference"], scale=error)
        assert (each["unit_low"], each["unit_high"]) == pytest.approx(expected)
    np.testing.assert_array_equal(found["unit_p_holm"], holm(found["unit_p"].to_numpy()))
    areas = compared(rows, "auroc", paper=units)
    assert areas["unit_p"].isna().all()  # counts of decisions do not rank


def test_a_family_is_corrected_for_itself_by_metric_and_protocol() -> None:
    rng = np.random.default_rng(5)
    rows = [
        row(fold, system, composition, model=model, protocol=protocol,
            **dict(zip(METRIC, rng.random(4), strict=True)))
        for protocol in ("paper", "inter_patient")
        for system, model in (("a", "vae"), ("b", "vae"), ("c", "knn"))
        for composition in ("reconstruction", "latent")
        for fold in range(4)
    ]  # fmt: skip
    found = comparisons_table(table(rows), {}, SETTINGS, 0).to_pandas()
    assert set(found["family"]) == {"best_simple", "reconstruction", "all_systems"}
    assert set(found["metric"]) == set(REPORTED_SCORES)
    sizes = {"best_simple": 2, "all_systems": 3, "reconstruction": 1}
    keys = ["family", "protocol", "metric"]
    for (family, *_), rows_of_family in found.groupby(keys):
        own = (
            rows_of_family.groupby("first_trial")
            if family == "reconstruction"
            else [("", rows_of_family)]
        )
        for _, together in own:
            assert len(together) == sizes[family]
            np.testing.assert_array_equal(
                together["fold_p_holm"], holm(together["fold_p"].to_numpy())
            )


def test_groups_are_of_systems_that_are_not_told_apart() -> None:
    units = units_of(["a", "b", "c"], patients=60)
    rng = np.random.default_rng(0)
    means = {"a": 0.3, "b": 0.31, "c": 0.9}
    rows = [row(i, s, phi=means[s] + 0.01 * rng.random()) for i in range(2) for s in "abc"]
    scores = table(rows)
    comparisons = comparisons_table(scores, {"paper": units}, SETTINGS, 0)
    groups = groups_table(comparisons, mean_scores(scores))
    assert groups.schema.equals(GROUPS)
    phi = groups.to_pandas().query("metric == 'phi'")
    assert phi["system"].tolist() == ["c", "b", "a"]
    assert phi["groups"].tolist() == ["a", "b", "b"]
    assert phi["mean"].tolist() == sorted(phi["mean"], reverse=True)


def test_without_any_test_there_are_no_groups() -> None:
    scores = table([row(0, "a", phi=0.75), row(0, "b", phi=0.25)])
    comparisons = comparisons_table(scores, {}, SETTINGS, 0)
    assert groups_table(comparisons, mean_scores(scores))["groups"].to_pylist() == [""] * 6


def test_nothing_to_compare_gives_an_empty_table() -> None:
    alone = table([row(0), row(1)])
    for scores in (alone, alone.slice(0, 0)):
        assert comparisons_table(scores, {}, SETTINGS, 0).equals(SCHEMA.empty_table())


def test_two_rows_of_one_fold_are_refused() -> None:
    with pytest.raises(ValueError, match="one row per fold and composition"):
        comparisons_table(table([row(0), row(0)]), {}, SETTINGS, 0)
