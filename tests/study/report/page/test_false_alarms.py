"""A report whose thresholds rest on held-out patients, from training to the page."""

from pathlib import Path

import pandas as pd
import pytest

from study.config.study_file import check_study
from study.data import load
from study.data.leakage import refuse_leakage
from study.data.splits import make_splits
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts, write_study
from study.ledger.trial_outcome import finalize
from study.report.build import build_report
from study.report.page.build import PAGE, write_page
from study.search.sources import trial_source
from study.search.trial import Trial
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold

OWN = {
    "unusual": {"components": ["reconstruction_error", "pause"], "rule": "quantile"},
    "with_timing": {"components": ["reconstruction_error", "prematurity"], "rule": "svm"},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> LocalFolder:
    folder = tmp_path_factory.mktemp("held_out")
    beats = {"name": "synthetic", "length": 32, "patients": 8, "beats_per_patient": 50}
    study = check_study(
        {
            "name": "held_out",
            "dataset": {**beats, "components": "first_minutes"},
            "split": {"protocol": "inter_patient", "folds": 2},
            "model": {"name": "pca", "components": 3},
            "search": {"metric": {"composition": "with_timing"}},
            "scores": {
                "compositions": OWN,
                "scale": "log",
                "reference": "first_minutes",
                "fit_on": "all_folds",
                "quantile_of": "held_out_patients",
                "quantile": 0.7,
                "prevalence": 0.1,
            },
        },
        "held_out.yaml",
    )
    samples = load(study.dataset, folder, study.seed, folder / "cache")
    splits = make_splits(samples, study.split, study.seed)
    facts = {"inter_patient": SplitFacts(splits.split_hash, refuse_leakage(samples, splits))}
    results = LocalFolder(folder / "held_out")
    write_study(results, study, samples, {"inter_patient": splits}, facts)
    ledger, checkpoints = Ledger(results.folder("ledger")), results.folder("checkpoints")
    trial = trial_source(study).next_trial({}, set())
    assert isinstance(trial, Trial)
    for address, fold in zip(trial.folds, splits.folds, strict=True):
        train_fold(FoldTask(trial.config, address), samples, fold, ledger, checkpoints)
    assert finalize(ledger, checkpoints, trial, 0) is not None
    report = build_report(study, facts, results, backend="serial")
    assert report is not None
    write_page(study, results, report.tables)
    return results


def read(results: LocalFolder, table: str) -> pd.DataFrame:
    return pd.read_parquet(Path(results.locate(f"{table}.parquet")))


def test_shares_of_false_alarms_are_those_of_the_patients(results: LocalFolder) -> None:
    frame, strata = read(results, "false_alarms"), read(results, "strata")
    assert set(frame["composition"]) == {"reconstruction_quantile", "unusual"}
    key = ["fold", "epoch_rule", "composition"]
    own = strata[strata["stratum"] == "patient"].rename(columns={"value": "patient"})
    both = frame.merge(own, on=[*key, "patient"], suffixes=("", "_strata"))
    assert len(both) == len(frame) == 2 * 2 * 2 * frame["patient"].nunique()
    pd.testing.assert_series_equal(
        both["share"], both["false_alarms_strata"] / both["normal_strata"], check_names=False
    )
    assert frame["promised"].round(12).unique() == [0.3]


def test_what_scores_are_set_to_is_in_the_tables(results: LocalFolder) -> None:
    scores = read(results, "scores")
    settings = scores.filter(regex=r"^param\.scores\.").iloc[0]
    assert settings["param.scores.scale"] == "log"
    assert settings["param.scores.compositions.unusual.rule"] == "quantile"
    assert {"unusual", "with_timing"} <= set(scores["composition"])
    # Validation of both folds is one, so that thresholds differ by their models' errors alone.
    machine = scores[(scores["composition"] == "with_timing") & (scores["note"] == "")]
    assert machine["validation_f1_weighted"].between(0.5, 1).all()
    stated = read(results, "prevalence")["prevalence"].round(6).unique()
    assert 0.1 in stated


def test_the_page_says_what_was_promised_and_what_was_found(results: LocalFolder) -> None:
    page = Path(results.locate(PAGE)).read_text()
    section = page.partition('id="false-alarms"')[2].partition("</section>")[0]
    shares = read(results, "false_alarms").query(
        "epoch_rule == 'best_validation' and composition == 'unusual'"
    )
    assert f"{shares['share'].mean():.3f}" in section
    assert "0.300" in section
    assert "unusual" in section
