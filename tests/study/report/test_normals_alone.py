"""A study of normals alone: chosen without labels, with thresholds, and without F1."""

import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from study import load_detector
from study.config.study_file import check_study
from study.ledger.ledger import Ledger
from study.report.page.parts import MINUS, shown_error
from study.scores.evaluation import NOT_MEASURED
from study.search.trial import best_trial
from study.storage.folder import LocalFolder
from study.terminal.summary import show_summary
from tests.study.report.page.text import visible_text
from tests.study.report.trained import PARTS, Reported, finished, reported, sines_and_steps
from tests.study.trials import trial_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def normals(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """Two trials of a search on sines alone."""
    samples = sines_and_steps().take(np.arange(80))
    study = check_study(
        {
            "name": "healthy",
            "model": {"name": "ae", "latent_size": 2, "width": 4},
            "search": {
                "trials": 2,
                "metric": {"composition": "reconstruction_quantile", "score": "normal_error"},
                "space": {"model.latent_size": {"int": [2, 4]}},
            },
            **PARTS,
            "scores": {"quantile_of": "training", "quantile": 0.9},
        },
        "healthy.yaml",
    )
    trials = [trial_of(study, n, {"model.latent_size": 2 + n}) for n in range(2)]
    return reported(tmp_path_factory.mktemp("healthy"), study, trials, samples)


def test_the_smallest_error_of_normals_chooses_epoch_and_trial(normals: Reported) -> None:
    ended = normals.ended()
    best = best_trial(ended)
    assert best is not None
    by_trial = {}
    for record in ended:
        folds = []
        for fold in range(2):
            folder = Path(normals.results.locate(f"ledger/{record.name}/fold-{fold}"))
            history = pd.read_parquet(folder / "history.parquet").dropna(subset="value")
            np.testing.assert_array_equal(history["value"], -history["normal_error"])
            stored = pd.read_parquet(folder / "components.parquet").query(
                "split == 'validation' and epoch_rule == 'last'"
            )
            expected = stored["reconstruction_error"].mean()
            assert history["normal_error"].iloc[-1] == pytest.approx(expected, rel=1e-5)
            folds.append(history["value"].to_numpy())
        by_trial[record.name] = np.mean(folds, axis=0).max()
    assert best.name == max(by_trial, key=lambda name: by_trial[name])
    assert best.best_value == pytest.approx(by_trial[best.name])


def test_tables_have_thresholds_and_say_that_there_is_no_f1(normals: Reported) -> None:
    scores = normals.report.scores.to_pandas()
    unsupervised = scores[scores["composition"] == "reconstruction_quantile"]
    assert set(unsupervised["note"]) == {NOT_MEASURED}
    assert np.isfinite(unsupervised["tau"]).all()
    assert unsupervised["one_class"].all()
    assert scores[["f1_weighted", "phi", "auroc"]].isna().all(axis=None)
    assert set(scores["labels_chose"]) <= {"", "threshold", "weights, threshold"}
    assert "choices" not in normals.report.tables  # nothing was chosen by labels


def test_pictures_name_errors_as_they_are(normals: Reported) -> None:
    pictures = re.findall(r"<figure.*?</figure>", normals.text, re.DOTALL)
    searched = [visible_text(each) for each in pictures if "metric" in each or "by trial" in each]
    assert len(searched) == 3
    errors = [-record.best_value for record in normals.ended()]
    for text in searched:
        assert MINUS not in text, text
        numbers = [float(word) for word in text.split() if re.fullmatch(r"0\.\d+", word)]
        assert min(numbers) <= 1.01 * max(errors), text
        assert max(numbers) >= 0.99 * min(errors), text


def test_page_says_how_many_normals_are_called_abnormal_and_no_more(normals: Reported) -> None:
    best = best_trial(normals.ended())
    assert best is not None
    shares = []
    for fold in range(2):
        folder = normals.results.locate(f"ledger/{best.name}/fold-{fold}")
        stored = pd.read_parquet(Path(folder) / "components.parquet")
        stored = stored.query("split == 'test' and epoch_rule == 'best_validation'")
        tau = normals.report.scores.to_pandas().query(
            f"trial == '{best.name}' and fold == {fold} and of_metric"
            " and epoch_rule == 'best_validation'"
        )["tau"]
        shares.append((stored["reconstruction_error"].to_numpy() > tau.item()).mean())
    assert (
        f"{best.name}, chosen without labels: it calls {np.mean(shares):.3f} of test normals"
        " abnormal, 0.100 is meant"
    ) in normals.text
    assert "those of other normals are larger" in normals.text  # quantile_of: training
    for untrue in ("labels chose", "Which differences are real", "At other shares", "on test by"):
        assert untrue not in normals.text
    for value in (record.best_value for record in normals.ended()):
        assert f">{shown_error(-value)}<" in normals.text


def test_a_page_of_stopped_trials_alone_has_no_shares_of_false_alarms(
    normals: Reported, tmp_path: Path
) -> None:
    results = LocalFolder(shutil.copytree(normals.results.locate(), tmp_path / "stopped"))
    ledger = Ledger(results.folder("ledger"))
    for record in ledger.trials():
        ledger.record_trial(replace(record, state="pruned"))
    stopped = finished(normals.study, results, sines_and_steps().take(np.arange(80)))
    assert "strata" not in stopped.report.tables
    assert ", chosen without labels" in stopped.text
    assert "share of test normals that are called abnormal" not in stopped.text


def test_terminal_says_that_nothing_abnormal_tests(normals: Reported) -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    best = best_trial(normals.ended())
    assert best is not None
    show_summary(console, normals.study, normals.ended(), normals.report.summary, best)
    assert "no test sample is abnormal" in console.export_text()


def test_new_samples_are_decided(normals: Reported) -> None:
    detector = load_detector(normals.results.locate("ledger/trial-00000"))
    samples = sines_and_steps()
    decided = detector.predict(samples.values[:, 0])
    assert (decided[80:] == -1).mean() > (decided[:80] == -1).mean()
