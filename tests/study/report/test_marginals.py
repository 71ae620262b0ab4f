"""What a search learned: importance, and what values are worth."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from study.config.schema import Study
from study.report.marginals import (
    LEARNED_FROM,
    MOST_TRIALS,
    PAIR_GRID,
    MarginalRow,
    importance,
    learned_tables,
)
from study.report.page import charts
from study.report.page.inputs import PageInputs
from study.report.page.marginals import learned_sections
from study.search.trial import State, TrialRecord
from study.storage.folder import LocalFolder
from tests.study.search.searches import searching
from tests.study.trials import record_of, trial_of

SPACE = {
    "model.beta": {"loguniform": [1e-6, 0.1]},
    "model.latent_size": {"int": [2, 4]},
    "model.latent": {"choice": ["mean", "sampled"]},
}
EPOCHS, FOLDS = 8, 3


def study_of(space: dict[str, Any] = SPACE, score: str = "f1_weighted") -> Study:
    return searching(space, trials=200, metric={"composition": "reconstruction", "score": score})


def worth(beta: float, epoch: int) -> float:
    """Beta 1e-4 is the best; half of what there is comes in the first epochs."""
    return 0.9 - 0.05 * abs(math.log10(beta) + 4) - 0.5 / epoch


def trials(study: Study, count: int) -> list[TrialRecord]:
    """Trials whose metric follows beta and epochs alone; two in three are stopped."""
    random = np.random.default_rng(0)
    records = []
    for number in range(count):
        beta = float(10 ** random.uniform(-6, -1))
        parameters = {"model.beta": beta, "model.latent_size": int(random.integers(2, 5)),
                      "model.latent": str(random.choice(["mean", "sampled"]))}  # fmt: skip
        state: State = "completed" if number % 3 == 0 else "pruned"
        epochs = range(1, 1 + (EPOCHS if state == "completed" else 2))
        values = [(epoch, worth(beta, epoch)) for epoch in epochs]
        records.append(record_of(trial_of(study, number, parameters), state, values, number))
    return records


def scores(
    records: Sequence[TrialRecord], folds_of: Callable[[TrialRecord], int] = lambda _: FOLDS
) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"trial": record.name, "fold": fold, "epoch_rule": rule, "composition": composition,
             "of_metric": composition == "reconstruction", "num_samples": 30, "num_training": 100,
             "f1_weighted": record.best_value + 0.001 * fold if composition[0] == "r" else 0.0}
            for record in records
            for fold in range(folds_of(record))
            for rule in ("best_validation", "last")
            for composition in ("reconstruction", "latent")
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def learned() -> tuple[Study, list[TrialRecord], dict[str, pa.Table]]:
    study = study_of()
    records = trials(study, 90)
    return study, records, learned_tables(study, records, scores(records))


def test_the_setting_that_matters_has_the_largest_share_with_stopped_trials(learned: Any) -> None:
    rows = learned[2]["importance"].to_pylist()
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert rows[0]["setting"] == "model.beta"
    assert rows[0]["share"] > 0.8
    assert {(row["trials"], row["stopped"]) for row in rows} == {(90, 60)}


def test_importance_is_how_much_what_values_are_worth_varies(learned: Any) -> None:
    """All trials have all settings: the shares are those of the variances."""
    marginals = learned[2]["marginals"].to_pandas().query("other == ''").groupby("setting")["mean"]
    importance = learned[2]["importance"].to_pandas().set_index("setting")
    variances = marginals.var(ddof=0)
    np.testing.assert_allclose(importance["share"], (variances / variances.sum())[importance.index])
    spread = (marginals.max() - marginals.min())[importance.index]
    np.testing.assert_allclose(importance["spread"], spread)


def test_the_two_or_three_best_trials_do_not_decide_what_matters() -> None:
    """A large beta costs a tenth; what the best have in common is worth a thousandth."""
    study = study_of()
    records = []
    for number in range(25):
        beta, size = 10.0 ** -(1 + number % 5), 2 + number % 3
        value = 0.97 - 0.1 * (beta > 0.01) + 0.001 * (size == 4) + 1e-5 * (number % 7)
        parameters = {"model.beta": beta, "model.latent_size": size, "model.latent": "mean"}
        records.append(record_of(trial_of(study, number, parameters), values=[(4, value)]))
    best = sorted(records, key=lambda record: -record.best_value)[:3]
    assert {record.parameters["model.latent_size"] for record in best} == {4}
    first, second, third = learned_tables(study, records, scores(records))["importance"].to_pylist()
    assert first["setting"] == "model.beta"
    assert first["share"] > 0.9
    assert first["spread"] > 10 * max(second["spread"], third["spread"])


def test_folds_that_only_survivors_had_are_left_out() -> None:
    """Of a race the first fold has all trials; what few good ones had elsewhere dilutes nothing."""
    study = study_of()
    records = trials(study, 60)
    raced = scores(records, lambda record: FOLDS if record.state == "completed" else 1)
    tables = learned_tables(study, records, raced)
    alone = learned_tables(study, records, scores(records, lambda _: 1))
    assert tables["marginals"].to_pandas().equals(alone["marginals"].to_pandas())
    assert set(tables["marginals"]["folds"].to_pylist()) == {1}
    with charts.page_style():
        sections = learned_sections(PageInputs(study, records, tables, LocalFolder("nowhere")))
    assert f"On 1 fold of {study.split.folds}, which at least half" in sections[0].notes[0]
    assert "of one fold, so that there is no interval" in sections[1].reading


def test_a_fold_that_half_of_the_trials_had_counts() -> None:
    study = study_of()
    records = trials(study, 2 * LEARNED_FROM)
    for having, folds in (LEARNED_FROM, 2), (LEARNED_FROM - 1, 1):
        names = {record.name for record in records[:having]}
        raced = scores(records, lambda record, names=names: 1 + (record.name in names))
        marginals = learned_tables(study, records, raced)["marginals"]
        assert set(marginals["folds"].to_pylist()) == {folds}


def test_repetitions_are_not_learned_from(learned: Any) -> None:
    study, records, tables = learned
    again = [
        replace(record, trial=replace(record.trial, is_repetition=True), values=[(EPOCHS, 0.1)])
        for record in records[:30]
    ]
    with_again = learned_tables(study, [*records, *again], scores([*records, *again]))
    assert all(with_again[n].to_pandas().equals(table.to_pandas()) for n, table in tables.items())


def test_of_more_trials_an_even_part_is_learned_from() -> None:
    """Only the second half of them was stopped early."""
    study = study_of({"model.latent_size": {"int": [2, 3]}})
    count = 2 * MOST_TRIALS
    records = []
    for number in range(count):
        state: State = "completed" if number < MOST_TRIALS else "pruned"
        trial = trial_of(study, number, {"model.latent_size": 2 + number % 2})
        records.append(record_of(trial, state, [(4, number / count)], number))
    tables = learned_tables(study, records, scores(records, lambda _: 1))
    (row,) = tables["importance"].to_pylist()
    assert (row["trials"], row["stopped"]) == (MOST_TRIALS, MOST_TRIALS // 2)


def test_a_value_is_worth_what_a_whole_trial_has_there(learned: Any) -> None:
    """Two thirds of the trials have two epochs, and 0.25 less for it: that is not held against."""
    frame = learned[2]["marginals"].to_pandas()
    beta = frame[(frame["setting"] == "model.beta") & (frame["other"] == "")]
    assert set(beta["epochs"]) == {EPOCHS}
    expected = [worth(value, EPOCHS) for value in beta["position"]]
    assert np.abs(beta["mean"] - expected)[1:-1].max() < 0.04
    assert beta["position"].iloc[[0, -1]].tolist() == pytest.approx([1e-6, 0.1])
    best = float(beta.loc[beta["mean"].idxmax(), "position"])
    assert 1e-5 < best < 1e-3
    assert (beta["low"] < beta["mean"]).all()
    # Folds differ by a constant each; where trees tie, they may differ by a little more.
    half = 4.302652729696142 * 0.001 * math.sqrt(1 / FOLDS + 0.3)
    np.testing.assert_allclose(beta["high"] - beta["mean"], half, rtol=0.2)


def test_settings_that_change_nothing_are_flat_and_choices_are_listed(learned: Any) -> None:
    frame = learned[2]["marginals"].to_pandas().query("other == ''")
    spread = frame.groupby("setting")["mean"].agg(lambda means: means.max() - means.min())
    assert spread["model.latent"] < 0.02 < 0.1 < spread["model.beta"]
    of = {key: part["value"].tolist() for key, part in frame.groupby("setting")}
    assert of["model.latent"] == ["mean", "sampled"]
    assert of["model.latent_size"] == ["2", "3", "4"]


def test_pairs_cross_the_values_of_two_settings(learned: Any) -> None:
    frame = learned[2]["marginals"].to_pandas()
    pairs = frame[frame["other"] != ""].groupby(["setting", "other"]).size()
    assert len(pairs) == 3
    of_beta_and_size = [
        count
        for key, count in pairs.items()
        if {*key} == {"model.beta", "model.latent_size"}  # type: ignore[misc]
    ]
    assert of_beta_and_size == [PAIR_GRID * 3]


def test_intervals_are_as_wide_as_the_trials_own_test_sets_make_them(learned: Any) -> None:
    """A repetition under another protocol, and other compositions, have sizes of their own."""
    study, records, tables = learned
    frame = scores(records).to_pandas()
    frame.loc[~frame["of_metric"], "num_samples"] = 3000
    others = frame[frame["trial"] == records[0].name].assign(trial="beside", num_samples=3000)
    with_others = pa.Table.from_pandas(pd.concat([frame, others]), preserve_index=False)
    marginals = learned_tables(study, records, with_others)["marginals"]
    assert marginals.to_pandas().equals(tables["marginals"].to_pandas())


def test_the_error_of_normals_is_that_of_validation_and_has_intervals() -> None:
    """Its sign is turned: errors of 0.1 and less, the smallest for beta of 1e-4."""
    study = study_of(score="normal_error")
    records = [
        replace(record, values=[(epoch, value - 1) for epoch, value in record.values])
        for record in trials(study, 60)
    ]
    frame = scores(records).to_pandas()
    frame["normal_error"] = -frame.pop("f1_weighted").where(frame["of_metric"], -9.0)
    errors = pa.Table.from_pandas(frame, preserve_index=False)
    tables = learned_tables(study, records, errors)
    alone = tables["marginals"].to_pandas().query("other == ''")
    assert ((alone["low"] < alone["mean"]) & (alone["mean"] < alone["high"])).all()
    assert (alone["high"] < 0).all()
    beta = alone[alone["setting"] == "model.beta"]
    assert 1e-5 < float(beta.loc[beta["mean"].idxmax(), "position"]) < 1e-3
    with charts.page_style():
        sections = learned_sections(PageInputs(study, records, tables, LocalFolder("nowhere")))
    importance, effects, *_ = (section.reading for section in sections)
    assert "variance on validation" in importance
    assert "reconstruction on validation" in effects
    assert "the band is a 95 % interval" in effects
    assert not any(re.search(r"\btest\b", reading) for reading in (importance, effects))


def test_one_study_gives_one_table(learned: Any) -> None:
    study, records, tables = learned
    again = learned_tables(study, records, scores(records))
    assert all(again[n].to_pandas().equals(table.to_pandas()) for n, table in tables.items())


def test_a_setting_of_some_trials_is_taken_from_these() -> None:
    space = {
        "model.latent": {"choice": ["mean", "sampled"]},
        "model.beta": {"loguniform": [1e-6, 0.1], "when": {"model.latent": "sampled"}},
    }
    study = study_of(space)
    records = []
    for number in range(30):
        latent = ("mean", "sampled")[number % 2]
        beta = {"model.beta": 10.0 ** -(1 + number / 6)} if number % 2 else {}
        trial = trial_of(study, number, {"model.latent": latent, **beta})
        records.append(record_of(trial, values=[(4, number / 30)], completion_order=number))
    tables = learned_tables(study, records, scores(records))
    rows = tables["marginals"].to_pandas().query("other == ''").groupby("setting")["trials"].max()
    assert rows.to_dict() == {"model.latent": 30, "model.beta": 15}
    assert set(tables["importance"]["setting"].to_pylist()) == set(space)


def test_a_setting_matters_less_where_fewer_trials_have_it() -> None:
    """Variances of 4 and 1 in a quarter and in all of the trials: alike; one that none has."""
    ends = {"a": (0.0, 4.0, 5), "b": (0.5, 2.5, 20), "c": (math.nan, math.nan, 0)}
    marginals = [
        MarginalRow(key, "", 0.0, "", "", math.nan, EPOCHS, mean, math.nan, math.nan, count, FOLDS)
        for key, (low, high, count) in ends.items()
        for mean in (low, high)
    ]
    rows = {row.setting: row for row in importance(marginals, trials(study_of(), 20))}
    assert [rows[key].share for key in ends] == [0.5, 0.5, 0.0]
    assert [rows[key].spread for key in ("a", "b")] == [4.0, 2.0]


@pytest.mark.parametrize("count", [2, LEARNED_FROM - 1])
def test_few_trials_say_nothing_and_the_page_says_why(count: int) -> None:
    study = study_of()
    records = trials(study, count)
    tables = learned_tables(study, records, scores(records))
    assert all(table.num_rows == 0 for table in tables.values())
    (section,) = learned_sections(PageInputs(study, records, tables, LocalFolder("nowhere")))
    (note,) = section.notes
    assert f"{count} trials cannot tell" in note
    assert f"{LEARNED_FROM} that did not fail" in note


def test_the_page_shows_every_setting_and_the_pairs(learned: Any) -> None:
    study, records, tables = learned
    with charts.page_style():
        sections = learned_sections(PageInputs(study, records, tables, LocalFolder("nowhere")))
    pictures = {section.key: section.pictures for section in sections}
    assert {key: len(drawn) for key, drawn in pictures.items()} == {
        "importance": 1, "effects": 3, "pairs": 3
    }  # fmt: skip
    assert "Of 90 trials, 60 of them stopped early." in sections[0].notes[0]
    top = tables["importance"].to_pylist()[0]
    shown = f"model.beta  {top['share']:.2f}, a range of {top['spread']:.3f}"
    assert shown in str(pictures["importance"][0].svg)
    assert "model.beta" in str(pictures["effects"][0].svg)
    scales = {re.search(r' data-y="([^"]*)"', each.svg)[1] for each in pictures["effects"]}  # type: ignore[index]
    assert len(scales) == 1  # so that one sees which setting matters
