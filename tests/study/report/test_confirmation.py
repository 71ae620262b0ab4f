"""The best trials trained again, beside what they had in the search."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats

from study.config.schema import Study
from study.config.study_file import check_study
from study.report.confirmation import confirmed_table, confirmed_values
from study.report.page.confirmation import confirmation_sections
from study.report.page.inputs import PageInputs
from study.report.search_history import trials_table
from study.search.trial import LearnedTrial, Trial, TrialRecord
from study.storage.folder import LocalFolder
from tests.study.trials import record_of, trial_of

FOLDS, SAMPLES, TRAINING = 4, 30, 100
VALIDATION = {0: (0.70, 0.71), 1: (0.90, 0.82), 2: (0.80, 0.81)}
"""By trial: what the search knew, and the same trained again. Trial 0 was enqueued."""
TEST = {
    "trial-00000": [0.60, 0.62, 0.61, 0.59],
    "trial-00001": [0.80, 0.79, 0.81, 0.84],
    "trial-00002": [0.70, 0.70, 0.70, 0.70],
    "trial-2000000": [0.61, 0.60, 0.62, 0.60],
    "trial-2000001": [0.79, 0.76, 0.80, 0.80],
    "trial-2000002": [0.64, 0.55, 0.66, 0.60],
}


def study_of(protocol: str = "paper", score: str = "phi", *, enqueue: bool = True) -> Study:
    search = {
        "trials": 3,
        "space": {"model.beta": {"loguniform": [1e-6, 0.1]}},
        "metric": {"composition": "reconstruction", "score": score},
        "confirm": 2,
        "enqueue": [{}] * enqueue,
    }
    content = {"name": "s", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}
    split = {"protocol": protocol, "folds": FOLDS}
    return check_study({**content, "split": split, "search": search}, "s")


def records_of(study: Study) -> list[TrialRecord]:
    records: list[TrialRecord] = []
    sign = 1 if study.search.metric.reads_labels else -1  # what is ranked is the larger the better
    for number, values in VALIDATION.items():
        value, again = (sign * each for each in values)
        trial = trial_of(study, number, {"model.beta": 10.0 ** -(number + 2)})
        config = trial.config.model_copy(update={"seed": 100 + number})
        confirmation = Trial(number, config, trial.parameters, is_repetition=True,
                             is_confirmation=True)  # fmt: skip
        records.append(record_of(trial, values=[(3, value)], completion_order=number))
        records.append(record_of(confirmation, values=[(3, again)], completion_order=9 - number))
    return records


def scores() -> pa.Table:
    """Scores of every trial; those of other rules and compositions are all 0."""
    rows = [
        {"trial": trial, "fold": fold, "epoch_rule": rule, "composition": composition,
         "of_metric": composition == "reconstruction", "num_samples": SAMPLES,
         "num_training": TRAINING,
         "phi": value if (rule, composition) == ("best_validation", "reconstruction") else 0.0}
        for trial, values in TEST.items()
        for fold, value in enumerate(values)
        for rule in ("best_validation", "last")
        for composition in ("reconstruction", "latent")
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


def table_of(study: Study) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = confirmed_table(
        records_of(study), scores(), study.search
    ).to_pylist()
    return rows


def test_values_of_both_trainings_stand_side_by_side_the_best_first() -> None:
    rows = table_of(study_of())
    assert [row["trial"] for row in rows] == ["trial-00001", "trial-00002", "trial-00000"]
    assert [row["seed"] for row in rows] == [101, 102, 100]
    for row in rows:
        value, again = VALIDATION[int(row["trial"][-1])]
        assert (row["value"], row["confirmed_value"]) == (value, again)
        assert row["test_value"] == pytest.approx(np.mean(TEST[row["trial"]]))
        assert row["confirmed_test_value"] == pytest.approx(np.mean(TEST[row["confirmation"]]))


def test_a_stopped_trial_is_not_the_best_whatever_it_had_and_its_folds_are_counted() -> None:
    study = study_of()
    records = [
        replace(record, state="pruned", values=[(3, 0.99)])
        if record.name == "trial-00000"
        else record
        for record in records_of(study)
    ]
    of_two_folds = scores().filter((pc.field("trial") != "trial-00000") | (pc.field("fold") < 2))
    table = confirmed_table(records, of_two_folds, study.search)
    rows = table.to_pylist()
    assert [row["trial"] for row in rows] == ["trial-00001", "trial-00002", "trial-00000"]
    assert [row["folds"] for row in rows] == [FOLDS, FOLDS, 2]
    assert rows[2]["test_value"] == pytest.approx(np.mean(TEST["trial-00000"][:2]))
    inputs = PageInputs(study, records, {"confirmed": table}, LocalFolder("nowhere"))
    (section,) = confirmation_sections(inputs)
    assert section.lede.startswith("trial-00001 had 0.900, and 0.820 again. Beyond chance")


def test_each_is_tested_against_what_was_tried_first_over_folds() -> None:
    best, second, first = table_of(study_of())
    p = []
    for row in (best, second):
        differences = np.subtract(TEST[row["confirmation"]], TEST["trial-2000000"])
        error = np.sqrt(differences.var(ddof=1) * (1 / FOLDS + SAMPLES / TRAINING))
        p.append(2 * stats.t.sf(abs(differences.mean() / error), FOLDS - 1))
        half = stats.t.ppf(0.975, FOLDS - 1) * error
        assert row["against"] == "trial-00000"
        assert row["difference"] == pytest.approx(differences.mean())
        assert row["low"] == pytest.approx(differences.mean() - half)
        assert row["high"] == pytest.approx(differences.mean() + half)
        assert row["p"] == pytest.approx(p[-1])
    assert best["p_holm"] == pytest.approx(2 * min(p))
    assert (first["against"], math.isnan(first["difference"])) == ("", True)


def test_one_test_set_for_all_folds_gives_no_test_and_no_first_no_difference() -> None:
    best, *_ = table_of(study_of("kfold"))
    assert best["difference"] == pytest.approx(
        np.mean(TEST["trial-2000001"]) - np.mean(TEST["trial-2000000"])
    )
    assert math.isnan(best["p"])
    for row in table_of(study_of(enqueue=False)):
        assert (row["against"], math.isnan(row["difference"])) == ("", True)


def test_the_error_of_normals_is_of_validation_and_has_no_value_on_test() -> None:
    study = study_of(score="normal_error")
    records = records_of(study)
    errors = scores().rename_columns({"phi": "normal_error"})
    table = confirmed_table(records, errors, study.search)
    for row in table.to_pylist():
        value, again = VALIDATION[int(row["trial"][-1])]
        assert (row["value"], row["confirmed_value"], row["against"]) == (-value, -again, "")
        of_test = ("test_value", "confirmed_test_value", "difference", "low", "high", "p", "p_holm")
        assert np.isnan([row[name] for name in of_test]).all()
    inputs = PageInputs(study, records, {"confirmed": table}, LocalFolder("nowhere"))
    (section,) = confirmation_sections(inputs)
    assert section.lede == "trial-00000 had 0.700, and 0.710 again."
    assert not re.search(r"\btest\b", section.reading)
    assert section.tables[0].head == ["trial", "folds", "validation", "again"]
    assert {len(row) for row in section.tables[0].rows} == {4}


def test_without_confirmations_there_are_no_rows() -> None:
    study = study_of()
    records = [record for record in records_of(study) if not record.trial.is_confirmation]
    assert confirmed_table(records, scores(), study.search).num_rows == 0
    assert confirmed_values(records) == {}


@pytest.mark.parametrize(
    ("study", "words"),
    [
        (study_of(), "Beyond chance it is better than trial-00000"),
        (study_of("kfold"), "do not say how sure"),
        (study_of(enqueue=False), "trial-00001 had 0.900, and 0.820 again."),
    ],
)
def test_the_page_says_what_the_best_is_worth(study: Study, words: str) -> None:
    table = confirmed_table(records_of(study), scores(), study.search)
    inputs = PageInputs(study, records_of(study), {"confirmed": table}, LocalFolder("nowhere"))
    (section,) = confirmation_sections(inputs)
    assert words in section.lede
    assert len(section.tables[0].rows) == 3
    assert not confirmation_sections(PageInputs(study, [], {}, LocalFolder("nowhere")))


SURE = {"low": 0.05, "high": 0.15, "p": 0.01, "p_holm": 0.02}
UNKNOWN = dict.fromkeys(("low", "high", "p", "p_holm"), math.nan)


@pytest.mark.parametrize(
    ("row", "words", "compared", "p"),
    [
        (SURE, "Beyond chance it is better than trial-00000, the settings tried first (+0.100 on"
         " test).", "+0.100|0.050 to 0.150", "0.020"),
        (SURE | {"difference": -0.1, "low": -0.15, "high": -0.05},
         "Beyond chance it is worse than trial-00000, the settings tried first (−0.100 on test).",
         "−0.100|−0.150 to −0.050", "0.020"),
        (SURE | {"p_holm": 0.06}, "It cannot be told from trial-00000, the settings tried first"
         " (+0.100 on test).", "+0.100|0.050 to 0.150", "0.060"),
        (UNKNOWN, "It is +0.100 on test from trial-00000; folds of one test set do not say how sure"
         " that is.", "+0.100", "–"),
        (UNKNOWN | {"against": "", "difference": math.nan},
         "The settings that were tried first are the best.", "–", "–"),
    ],
)  # fmt: skip
def test_the_pages_verdict_is_that_of_the_best_trials_row(
    row: dict[str, Any], words: str, compared: str, p: str
) -> None:
    best = {"trial": "trial-00001", "folds": 4, "value": 0.9, "confirmed_value": 0.82}
    best |= {"test_value": 0.81, "confirmed_test_value": 0.78, "difference": 0.1}
    second = best | {"trial": "trial-00002", "against": "trial-00000", **UNKNOWN}
    best |= {"against": "trial-00000", **row}
    tables = {"confirmed": pa.Table.from_pylist([best, second])}
    (section,) = confirmation_sections(PageInputs(study_of(), [], tables, LocalFolder("nowhere")))
    assert section.lede == f"trial-00001 had 0.900, and 0.820 again. {words}"
    texts = [re.sub("<[^>]*>", "|", cell.text).rstrip("|") for cell in section.tables[0].rows[0]]
    assert texts == ["trial-00001", "4", "0.900", "0.820", "0.810", "0.780", compared, p]


def test_trials_say_where_they_are_from_and_what_they_had_again() -> None:
    study = study_of()
    learned = LearnedTrial("other", "trial-00004", {"model.beta": 0.5}, "pruned", [(2, 0.4)])
    table = trials_table(records_of(study), [], [learned]).to_pandas().set_index("trial")
    assert table["confirmed_value"].dropna().to_dict() == {
        f"trial-0000{number}": again for number, (_, again) in VALIDATION.items()
    }
    last = table.loc["other/trial-00004"]
    assert (last["origin"], last["learned_from"], last["best_value"]) == ("learned", "other", 0.4)
    assert last["param.model.beta"] == 0.5
    assert table.loc["trial-2000001", ["origin", "repeats"]].tolist() == [
        "confirmation", "trial-00001"
    ]  # fmt: skip
    assert "param.seed" not in table.columns
