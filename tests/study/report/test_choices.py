"""What labels chose of a row, and what choices without them cost."""

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from study.config.schema import SearchSettings, StoppingSettings, Study
from study.config.study_file import check_study
from study.ledger.ledger import FoldManifest
from study.report.choices import AT_RANDOM, LOWEST, SCHEMA, choices_table
from study.report.epochs import FoldHistory
from study.report.labels import BEST, LAST, in_words, joined, labels_chose
from study.search.trial import TrialRecord
from tests.study.report.conftest import DrawnLedger
from tests.study.report.trained import Reported
from tests.study.trials import record_of, trial_of

METRIC = {"composition": "gamma_grid", "latent_form": "chi_mode", "score": "phi"}


def made_study(**search: object) -> Study:
    content = {"name": "made", "dataset": {"name": "synthetic", "length": 32}}
    content |= {"model": {"name": "beta_vaegan"}, "split": {"folds": 2}}
    search = {"trials": 3, "metric": METRIC} | search
    return check_study(content | {"search": search}, "made.yaml")


@pytest.mark.parametrize(
    ("parameters", "state", "values", "rule", "expected"),
    [
        ({}, "completed", [(1, 0.5), (2, 0.6)], BEST, ("epoch",)),
        ({}, "completed", [(1, 0.5), (2, 0.6)], LAST, ()),
        ({}, "completed", [(2, 0.6)], BEST, ()),  # nothing to choose from
        ({"model.beta": 0.1}, "completed", [(2, 0.6)], LAST, ("trial",)),
        ({"model.beta": 0.1}, "pruned", [(2, 0.6)], LAST, ("trial", "epoch")),
    ],
)
def test_labels_chose_what_could_have_been_another(
    parameters: dict[str, float],
    state: str,
    values: Sequence[tuple[int, float]],
    rule: str,
    expected: tuple[str, ...],
) -> None:
    record = record_of(trial_of(made_study(), 0, parameters), state, values)  # type: ignore[arg-type]
    assert labels_chose(record, rule) == expected
    of_system = replace(record, trial=replace(record.trial, system="vaegan"))
    assert "trial" not in labels_chose(of_system, rule)
    repeated = replace(record, trial=replace(record.trial, is_repetition=True))
    assert labels_chose(repeated, rule)[0] == "trial"


@pytest.mark.parametrize("rule", [BEST, LAST])
def test_a_further_metric_of_labels_proposes_trials(rule: str) -> None:
    metric = {"composition": "reconstruction_quantile", "score": "normal_error"}
    for metrics, expected in (["parameters"], ()), (["parameters", "phi"], ("trial",)):
        study = made_study(metric=metric, metrics=metrics)
        trial = trial_of(study, 0, {"model.beta": 0.1})
        assert labels_chose(record_of(trial, "completed", [(1, -0.5), (2, -0.4)]), rule) == expected
        assert labels_chose(record_of(replace(trial, system="v"), "completed", []), rule) == ()


def test_words_of_columns() -> None:
    assert joined(*("epoch",), "weights, threshold") == "epoch, weights, threshold"
    assert joined("") == ""
    assert in_words("") == "nothing: one-class"


def history(number: int, fold: int, rows: Sequence[tuple[int, float, float]]) -> FoldHistory:
    trial = trial_of(made_study(), number, {"model.beta": 0.1 * (number + 1)})
    best = max(rows, key=lambda row: row[1])[0]
    manifest = FoldManifest(trial.name, fold, "completed", "", best, rows[-1][0], {})
    keys = {"protocol": "paper", "system": "", "trial": trial.name, "fold": fold}
    written = [{"epoch": e, "value": v, "normal_error": n, "loss": 1.0} for e, v, n in rows]
    return FoldHistory(keys, manifest, [{"epoch": 1, "loss": 2.0}, *written])


THREE_TRIALS = SearchSettings(trials=3)
ROWS = {  # epoch, value, normal error by trial; two folds alike but for 0.1
    0: [(2, 0.5, 0.3), (4, 0.7, 0.4), (6, 0.6, 0.2)],
    1: [(2, 0.4, 0.1), (4, 0.5, 0.3), (6, 0.45, 0.3)],
    2: [(2, 0.9, 0.9), (4, 0.8, 0.8), (6, 0.7, 0.7)],
}


def records_and_scores() -> tuple[list[TrialRecord], list[dict[str, Any]]]:
    """Trials, the last one stopped; normals have less error at best epochs where more at last."""
    records: list[TrialRecord] = []
    scores = []
    for number, rows in ROWS.items():
        values = [(epoch, value) for epoch, value, _ in rows]
        trial = trial_of(made_study(), number, {"model.beta": 0.1 * (number + 1)})
        state = "pruned" if number == 2 else "completed"
        records.append(record_of(trial, state, values, number))  # type: ignore[arg-type]
        for fold in (0, 1):
            for rule in (BEST, LAST):
                error = rows[-1][2] + 0.1 * fold if rule == LAST else 1 - rows[-1][2]
                for form, phi in (("implicit", -1.0), ("chi_mode", number + 0.1 * (rule == LAST))):
                    scores.append(
                        {"trial": trial.name, "fold": fold, "epoch_rule": rule}
                        | {"of_metric": form == "chi_mode"}
                        | {"phi": phi + fold, "normal_error": error}
                    )
    return records, scores


def choices_of(
    records: Sequence[TrialRecord],
    scores: Sequence[dict[str, Any]],
    search: SearchSettings = THREE_TRIALS,
) -> pd.DataFrame:
    folds = [history(number, fold, ROWS[number]) for number in (0, 1) for fold in (0, 1)]
    table = choices_table(records, folds, pa.Table.from_pylist(scores), search)
    assert table.schema.equals(SCHEMA)
    return table.to_pandas()


def made(search: SearchSettings = THREE_TRIALS) -> pd.DataFrame:
    return choices_of(*records_and_scores(), search)


def test_regret_of_an_epoch_is_against_the_best_of_the_same_fold() -> None:
    frame = made()
    epochs = frame[(frame["choice"] == "epoch") & (frame["trial"] == "trial-00000")]
    assert epochs["rule"].tolist() == [BEST, LAST, LOWEST] * 2
    assert epochs["epoch"].tolist() == [4, 6, 6] * 2
    assert epochs["labels_chose"].tolist() == ["trial, epoch", "trial", "trial"] * 2
    assert epochs["value"].tolist() == [0.7, 0.6, 0.6] * 2
    np.testing.assert_allclose(epochs["regret"], [0.0, 0.1, 0.1] * 2)
    np.testing.assert_allclose(epochs["test_value"], [0.0, 0.1, 0.1, 1.0, 1.1, 1.1])
    np.testing.assert_allclose(epochs["test_regret"], [0.0, -0.1, -0.1] * 2, atol=1e-12)
    other = frame[(frame["trial"] == "trial-00001") & (frame["rule"] == LOWEST)]
    lowest = other[other["choice"] == "epoch"]
    assert lowest["epoch"].tolist() == [2, 2]
    assert lowest["test_value"].isna().all()  # its weights were not kept


def test_regret_of_a_trial_is_against_the_best_completed_one() -> None:
    frame = made()
    trials = frame[frame["choice"] == "trial"].set_index("rule")
    assert trials.index.tolist() == [BEST, LOWEST, AT_RANDOM]
    assert trials["trial"].tolist() == ["trial-00000", "trial-00000", ""]
    np.testing.assert_allclose(trials["value"], [0.7, 0.6, (0.6 + 0.45) / 2])
    np.testing.assert_allclose(trials["regret"], [0.0, 0.1, 0.7 - 0.525])
    np.testing.assert_allclose(trials["test_value"], [0.5, 0.6, (0.6 + 1.6) / 2])
    assert trials["labels_chose"].tolist() == ["trial, epoch", "", ""]


def test_a_repetition_is_not_chosen_from() -> None:
    """The best trial again, better by all measures."""
    records, scores = records_and_scores()
    repetition = replace(records[0].trial, is_repetition=True)
    again = replace(records[0], trial=repetition, values=[(2, 0.9), (6, 0.95)])
    of_again = [
        {**row, "trial": again.name, "phi": row["phi"] + 5, "normal_error": 0.0}
        for row in scores
        if row["trial"] == records[0].name
    ]
    frame = choices_of([*records, again], [*scores, *of_again])
    pd.testing.assert_frame_equal(frame, made())


def test_systems_are_not_chosen_from() -> None:
    records, scores = records_and_scores()
    named = [replace(r, trial=replace(r.trial, system=f"s{n}")) for n, r in enumerate(records)]
    frame = choices_of(named, scores)
    assert set(frame["choice"]) == {"epoch"}
    assert len(frame) == 12  # three rules of two folds of two trials


def test_where_the_metric_reads_no_labels_nothing_was_chosen_by_them() -> None:
    records, scores = records_and_scores()
    metric = {"composition": "reconstruction_quantile", "score": "normal_error"}
    trials = [trial_of(made_study(metric=metric), n, r.parameters) for n, r in enumerate(records)]
    unlabelled = [replace(r, trial=trial) for r, trial in zip(records, trials, strict=True)]
    assert choices_of(unlabelled, scores).empty
    assert len(choices_of([*unlabelled[:1], *records[1:]], scores)) == 6  # epochs of the second


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (SearchSettings(trials=11), "trial"),
        (SearchSettings(trials=3, learn_from=("another",)), "trial"),
        (SearchSettings(trials=11, sampler="random"), ""),
        (SearchSettings(trials=3, stopping=StoppingSettings()), "trial"),
    ],
)
def test_a_choice_among_what_labels_proposed_or_stopped_owes_to_them(
    search: SearchSettings, expected: str
) -> None:
    frame = made(search)
    chosen = frame[(frame["choice"] == "trial") & (frame["rule"] == LOWEST)]
    assert chosen["labels_chose"].tolist() == [expected]


def test_a_search_has_no_one_class_row_and_its_choices_are_of_its_ledger(
    searched: Reported,
) -> None:
    scores = searched.report.tables["scores"].to_pandas()
    assert not scores["one_class"].any()
    assert scores["labels_chose"].str.startswith("trial").all()
    choices = searched.report.tables["choices"].to_pandas()
    best = choices[(choices["rule"] == BEST) & (choices["choice"] == "epoch")]
    assert (best["regret"] == 0).all()
    assert (choices["regret"] >= 0).all()
    on_test = scores[(scores["epoch_rule"] == BEST) & (scores["composition"] == "lambda_grid")]
    expected = on_test.set_index(["trial", "fold"])["f1_weighted"]
    for _, row in best.iterrows():
        assert row["test_value"] == expected[row["trial"], row["fold"]]


def test_choices_and_scores_say_the_same_of_a_trial_and_its_epoch(searched: Reported) -> None:
    scores = searched.report.tables["scores"].to_pandas().query("supervision == 'none'")
    of_scores = scores.groupby(["trial", "epoch_rule"])["labels_chose"].unique()
    choices = searched.report.tables["choices"].to_pandas().query("choice == 'epoch'")
    for rule in (BEST, LAST):
        for trial, rows in choices[choices["rule"] == rule].groupby("trial"):
            assert set(rows["labels_chose"]) == set(of_scores[trial, rule])


@pytest.mark.slow
def test_a_system_is_one_class_where_labels_chose_neither_epoch_nor_threshold(
    of_systems: Reported,
) -> None:
    scores = of_systems.report.tables["scores"].to_pandas()
    is_free = (scores["supervision"] == "none") & (
        (scores["epoch_rule"] == LAST) | (scores["system"] == "knn")
    )
    assert (scores["one_class"] == is_free).all()
    assert scores.loc[is_free, "labels_chose"].eq("").all()
    assert "one-class rows, with the weights of the last epoch" in of_systems.text


@pytest.mark.parametrize("fit_on", ["fold", "all_folds"])
def test_the_normals_error_is_their_mean_over_the_folds_own_validation(
    drawn: DrawnLedger, fit_on: str
) -> None:
    scores = drawn.study.scores.model_copy(update={"fit_on": fit_on})
    drawn.write_study(drawn.study.model_copy(update={"scores": scores}))
    drawn.commit(0)
    from study.report.build import build_report

    report = build_report(drawn.study, drawn.facts, drawn.results, "serial")
    assert report is not None
    found = report.scores.to_pandas().query("epoch_rule == 'last'").groupby("fold")["normal_error"]
    for fold in (0, 1):
        path = f"ledger/trial-00000/fold-{fold}/components.parquet"
        stored = pd.read_parquet(io.BytesIO(drawn.results.read(path)))
        chosen = stored.query("epoch_rule == 'last' and split == 'validation' and label == 0")
        expected = chosen["reconstruction_error"].astype(float).mean()
        assert math.isclose(found.mean()[fold], expected, rel_tol=1e-12)
        assert found.nunique()[fold] == 1
