import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.report.comparisons import (
    COMPARED_METRICS,
    SCHEMA,
    comparisons_table,
    holm,
    paired_test,
)

METRIC = {"f1_weighted": 0.5, "phi": 0.5, "auroc": 0.5}


def row(fold: int, trial: str = "a", composition: str = "r", **kept: Any) -> dict[str, Any]:
    known = {"study": "s", "dataset": "d", "protocol": "paper", "split_hash": "h"}
    known |= {"trial": trial, "system": "", "fold": fold, "epoch_rule": "last"}
    known |= {"composition": composition, "latent_form": ""}
    return {**known, **METRIC, "num_samples": 20, "num_training": 40, **kept}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)


def compared(rows: list[dict[str, Any]], metric: str = "phi") -> pd.DataFrame:
    found = comparisons_table(table(rows))
    assert found.schema.equals(SCHEMA)
    assert all(column.null_count == 0 for column in found.columns)
    frame = found.to_pandas()
    return frame[frame["metric"] == metric].reset_index(drop=True)


def matrix(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def test_a_pair_of_trials_has_the_corrected_t_test() -> None:
    first, second = [0.9, 0.8, 0.95, 0.7], [0.8, 0.75, 0.7, 0.72]
    rows = [row(i, "a", phi=v, system="A") for i, v in enumerate(first)]
    rows += [row(i, "b", phi=v, system="B") for i, v in enumerate(second)]
    (found,) = compared(rows).to_dict("records")
    pair = ("compared", "protocol", "epoch_rule", "first_trial", "second_trial")
    assert [found[n] for n in pair] == ["models", "paper", "last", "a", "b"]
    assert (found["first_system"], found["second_system"]) == ("A", "B")
    assert found["first_composition"] == found["second_composition"] == "r"
    difference = np.subtract(first, second)
    # SciPy's paired test, its variance 1 / n replaced by 1 / n + 20 / 40.
    plain = stats.ttest_rel(first, second)
    t = plain.statistic * math.sqrt((1 / 4) / (1 / 4 + 20 / 40))
    error = difference.std(ddof=1) * math.sqrt(1 / 4 + 20 / 40)
    low, high = stats.t.interval(0.95, 3, loc=difference.mean(), scale=error)
    assert found["folds"] == 4
    assert found["difference"] == pytest.approx(difference.mean())
    assert found["std"] == pytest.approx(difference.std(ddof=1))
    assert found["t"] == pytest.approx(t)
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(t), 3))
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert found["p_holm"] == found["p"]


def test_pairs_are_of_one_composition_or_of_one_trial() -> None:
    kinds = [("r", ""), ("g", "implicit"), ("g", "chi_mode")]
    rows = [
        row(fold, trial, c, latent_form=form, epoch_rule=rule, protocol=protocol)
        for trial, protocol in (("a", "paper"), ("b", "paper"), ("c", "inter_patient"))
        for rule in ("best_validation", "last")
        for c, form in kinds
        for fold in range(2)
    ]
    found = compared(rows)
    named = ["first_trial", "second_trial", "first_composition", "first_latent_form"]
    named += ["second_composition", "second_latent_form", "protocol"]
    for rule in ("best_validation", "last"):
        mine = found[found["epoch_rule"] == rule]
        models = mine.loc[mine["compared"] == "models", named].to_numpy().tolist()
        assert models == [["a", "b", *kind, *kind, "paper"] for kind in kinds]
        others = mine.loc[mine["compared"] == "compositions", named].to_numpy().tolist()
        assert others == [
            [trial, trial, *one, *other, protocol]
            for trial, protocol in (("a", "paper"), ("b", "paper"), ("c", "inter_patient"))
            for one, other in itertools.combinations(kinds, 2)
        ]
    assert set(comparisons_table(table(rows))["metric"].to_pylist()) == set(COMPARED_METRICS)


@pytest.mark.parametrize("what", ["dataset", "protocol", "split_hash"])
def test_trials_of_other_folds_are_not_paired(what: str) -> None:
    rows = [row(fold, trial) for fold in range(3) for trial in "ab"]
    assert len(compared(rows)) == 1
    for each in rows:
        each[what] += each["trial"]
    assert compared(rows).empty


def test_folds_that_one_side_lacks_are_left_out() -> None:
    rows = [row(fold, "a", phi=value) for fold, value in enumerate([0.1, 0.5, math.nan, 0.3])]
    rows += [row(fold, "b", phi=value) for fold, value in ((1, 0.2), (2, 0.9), (3, 0.1))]
    (found,) = compared(rows).to_dict("records")
    assert found["folds"] == 2
    assert found["difference"] == pytest.approx((0.3 + 0.2) / 2)
    assert found["std"] == pytest.approx(np.std([0.3, 0.2], ddof=1))


def test_the_variance_grows_with_the_sizes_of_the_common_folds() -> None:
    first, second = [0.9, 0.8, 0.95, 0.1], [0.8, 0.75, 0.7, math.nan]
    sizes = [(10, 40), (20, 50), (30, 40), (900, 1)]
    rows = [
        row(fold, trial, phi=value, num_samples=sizes[fold][0], num_training=sizes[fold][1])
        for trial, values in (("a", first), ("b", second))
        for fold, value in enumerate(values)
    ]
    (found,) = compared(rows).to_dict("records")
    difference = np.subtract(first, second)[:3]
    ratio = (10 / 40 + 20 / 50 + 30 / 40) / 3
    error = difference.std(ddof=1) * math.sqrt(1 / 3 + ratio)
    assert found["t"] == pytest.approx(difference.mean() / error)


def test_a_single_common_fold_has_a_difference_and_no_test() -> None:
    (found,) = compared([row(0, "a", phi=0.75), row(0, "b", phi=0.25)]).to_dict("records")
    assert (found["folds"], found["difference"]) == (1, 0.5)
    names = ("std", "low", "high", "t", "p", "p_holm")
    assert np.isnan([found[name] for name in names]).all()


def test_no_common_fold_has_no_numbers_and_counts_as_no_test() -> None:
    rows = [row(fold, trial, phi=fold / 7) for fold in range(3) for trial in "ab"]
    rows += [row(fold, "c", phi=math.nan) for fold in range(3)]
    found = compared(rows)
    assert found["folds"].tolist() == [3, 0, 0]
    assert np.isnan(found["difference"].iloc[1:]).all()
    assert (found["p"][0], found["p_holm"][0]) == (1.0, 1.0)


def test_folds_that_all_differ_by_the_same_are_certain() -> None:
    first, second = (
        matrix([0.3, 0.3], [0.9, 0.8], [0.1, 0.2]),
        matrix([0.3] * 2, [0.8, 0.7], [1, 1.1]),
    )
    found = paired_test(first, second, np.full((3, 2), 0.5))
    assert found.p.tolist() == [1.0, 0.0, 0.0]
    assert found.t.tolist() == [0.0, math.inf, -math.inf]
    assert found.std.tolist() == [0.0] * 3
    np.testing.assert_array_equal(found.low, found.difference)
    np.testing.assert_array_equal(found.high, found.difference)


def test_differences_of_rounding_are_none() -> None:
    first = matrix([0.3, 0.7, 0.9])
    found = paired_test(first, np.nextafter(first, 1), np.full((1, 3), 0.5))
    assert (found.difference[0], found.t[0], found.p[0]) == (0.0, 0.0, 1.0)


MEASURED = st.one_of(st.just(math.nan), st.integers(-100, 100).map(lambda n: n / 100))


@given(st.lists(st.tuples(MEASURED, MEASURED, MEASURED), min_size=1, max_size=6))
def test_comparing_the_other_way_round_turns_every_sign(drawn: list[tuple[float, ...]]) -> None:
    rows = [row(i, t, phi=v) for i, d in enumerate(drawn) for t, v in zip("abc", d, strict=True)]
    one = compared(rows).set_index(["first_trial", "second_trial"])
    other = compared(rows[::-1]).set_index(["second_trial", "first_trial"]).loc[one.index]
    for name in ("folds", "std", "p", "p_holm"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-12, err_msg=name)
    for name, turned in (("difference", "difference"), ("t", "t"), ("low", "high")):
        np.testing.assert_allclose(one[name], -other[turned], rtol=1e-9, atol=1e-12, err_msg=name)


@given(st.lists(st.tuples(MEASURED, MEASURED), min_size=2, max_size=6))
def test_a_pair_is_tested_as_if_it_were_alone(drawn: list[tuple[float, ...]]) -> None:
    first, second = np.array(drawn).T
    pairs = np.stack([first, second, second]), np.stack([second, second, first])
    ratio = np.tile(np.linspace(0.2, 0.6, len(drawn)), (3, 1))
    together = paired_test(*pairs, ratio)
    for place in range(3):
        alone = paired_test(*(side[[place]] for side in pairs), ratio[[place]])
        for name, value in vars(alone).items():
            np.testing.assert_array_equal(getattr(together, name)[[place]], value, err_msg=name)


def test_holm_on_a_hand_worked_case() -> None:
    # 0.01 x 4, then 0.02 x 3, 0.03 x 2 is no smaller, 0.04 x 1 is raised to it.
    p = np.array([0.04, 0.01, math.nan, 0.03, 0.02])
    np.testing.assert_allclose(holm(p), [0.06, 0.04, math.nan, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1.0, 1.0])
    assert len(holm(np.empty(0))) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_rejects_step_by_step(drawn: list[float]) -> None:
    p = np.array(drawn)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= 1).all()
    order = np.argsort(p)
    assert (np.diff(corrected[order]) >= 0).all()
    for level in (0.01, 0.05, 0.2):
        rejected = np.zeros(len(p), dtype=bool)
        for left, place in zip(range(len(p), 0, -1), order, strict=True):
            if left * p[place] > level:
                break
            rejected[place] = True
        assert (corrected <= level).tolist() == rejected.tolist()


def test_pairs_of_a_kind_rule_and_metric_are_corrected_together() -> None:
    rng = np.random.default_rng(5)
    rows = [
        row(fold, trial, c, epoch_rule=rule, **dict(zip(METRIC, rng.random(3), strict=True)))
        for trial in "abc"
        for c in "rd"
        for rule in ("best_validation", "last")
        for fold in range(5)
    ]
    found = comparisons_table(table(rows)).to_pandas()
    for (kind, _, _), family in found.groupby(["compared", "epoch_rule", "metric"]):
        assert len(family) == {"models": 6, "compositions": 3}[kind]
        np.testing.assert_array_equal(family["p_holm"], holm(family["p"].to_numpy()))


def test_unknown_systems_are_empty() -> None:
    rows = [row(fold, trial, system=None) for fold in range(2) for trial in "ab"]
    rows[0] |= {"system": "A"}
    found = compared(rows)
    assert found[["first_system", "second_system"]].to_numpy().tolist() == [["A", ""]]


def test_nothing_to_compare_gives_an_empty_table() -> None:
    alone = table([row(0), row(1)])
    for scores in (alone, alone.slice(0, 0)):
        assert comparisons_table(scores).equals(SCHEMA.empty_table())


def test_two_rows_of_one_fold_are_refused() -> None:
    with pytest.raises(ValueError, match="one row per fold and composition"):
        comparisons_table(table([row(0), row(0)]))
