"""A study of long recordings, from files to its tables."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from study import load_detector
from study.config.schema import Study
from study.config.study_file import check_study, dump_study, to_yaml
from study.data import load
from study.data.leakage import refuse_leakage
from study.data.samples import Samples
from study.data.series_settings import SeriesSettings
from study.data.splits import Splits, make_splits
from study.detectors.signals.points import recording_parts, write_points
from study.detectors.signals.points_picture import chosen_points, draw_points, scored_stretch
from study.errors import RequestError
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts
from study.ledger.trial_outcome import finalize
from study.report import build
from study.report.build import Report, build_report
from study.report.page.build import write_page
from study.scores.series import SERIES_METRICS, SeriesMetrics
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold
from tests.study.report.trained import Reported
from tests.study.trials import trial_of

EVENTS = {"a": [(640, 660), (850, 890)], "b": [(660, 680), (800, 830), (930, 950)]}
PART = 700


@dataclass(frozen=True)
class Series:
    study: Study
    samples: Samples
    splits: Splits
    results: LocalFolder
    report: Report

    @property
    def scores(self) -> pd.DataFrame:
        return pd.read_parquet(self.results.locate("scores.parquet"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """PCA on two recordings of three channels, whose events are in one of these."""
    root = tmp_path_factory.mktemp("series")
    for name, events in EVENTS.items():
        random = np.random.default_rng(ord(name))
        points = np.sin(np.arange(1000)[:, None] / np.array([4, 5, 6]))
        points += 0.05 * random.standard_normal(points.shape)
        label = np.zeros(1000)
        for first, stop in events:
            points[first:stop, 1], label[first:stop] = random.normal(size=stop - first), 1
        rows = np.column_stack([points, label])
        np.savetxt(root / f"{name}.csv", rows, "%.6f", ",", header="x,y,z,label", comments="")
    content = {
        "name": "series",
        "dataset": {
            "name": "series",
            "path": "*.csv",
            "length": 32,
            "stride": 8,
            "normal_until": 600,
            "validate_until": PART,
            "rate_hz": 0.1,
        },
        "split": {"protocol": "time", "folds": 2},
        "model": {"name": "pca", "components": 8},
        "search": {"metric": {"composition": "reconstruction"}},
    }
    study = check_study(content, "series.yaml")
    samples = load(study.dataset, root, study.seed, root / "cache")
    splits = make_splits(samples, study.split, study.seed)
    results, trial = LocalFolder(root / "results"), trial_of(study, 0)
    results.write("study.yaml", to_yaml(dump_study(study)).encode())
    ledger, checkpoints = Ledger(results.folder("ledger")), results.folder("checkpoints")
    for address, fold in zip(trial.folds, splits.folds, strict=True):
        folder = checkpoints.folder(address.path)
        train_fold(FoldTask(trial.config, address), samples, fold, ledger, folder)
    assert finalize(ledger, checkpoints, trial, trial.number) is not None
    facts = {"time": SplitFacts(splits.split_hash, refuse_leakage(samples, splits))}
    report = build_report(study, facts, results, "serial")
    assert report is not None
    return Series(study, samples, splits, results, report)


def test_the_metrics_are_those_of_the_points_of_the_test_part(made: Series) -> None:
    row = made.scores.query("fold == 1 and composition == 'reconstruction'").iloc[0]
    stored = pd.read_parquet(made.results.locate("ledger/trial-00000/fold-1/components.parquet"))
    test = stored.query("split == 'test' and epoch_rule == 'best_validation'")
    areas, num_events = [], 0
    for name, events in EVENTS.items():
        total, count = np.zeros(1000), np.zeros(1000)
        for window in test[test["record"] == name].itertuples():
            total[window.start : window.start + 32] += window.reconstruction_error
            count[window.start : window.start + 32] += 1
        assert (count[PART:] > 0).all()
        assert not count[:PART].any()
        flagged = np.zeros(1000, dtype=bool)
        for first, stop in events:
            flagged[first:stop] = True
        mean = total[PART:] / count[PART:]
        areas.append(average_precision_score(flagged[PART:], mean))
        # The score is R in its limits of validation, tau likewise.
        assert np.argmax(mean) + PART in np.flatnonzero(flagged)
        num_events += sum(first >= PART for first, _ in events)
    assert row["auc_pr"] == pytest.approx(np.mean(areas), abs=1e-6)
    assert row["num_events"] == num_events == 3
    assert row["num_points"] == 600
    assert row["event_recall"] == 1
    assert row["vus_pr"] > 0.5
    assert np.isfinite(row["false_alarms_per_day"])


def test_tables_of_series_have_columns_of_their_own(made: Series) -> None:
    names = list(SeriesMetrics.__dataclass_fields__)
    columns = list(made.scores.columns)
    start = columns.index("normal_error") + 1
    assert columns[start : start + len(names)] == names
    summary = made.report.summary.to_pandas()
    for name in SERIES_METRICS:
        means = made.scores.groupby(["composition", "epoch_rule"])[name].mean()
        reported = summary.set_index(["composition", "epoch_rule"])[f"{name}_mean"]
        pd.testing.assert_series_equal(reported, means, check_names=False, check_like=True)


def test_a_second_report_reads_what_was_fitted(
    made: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made.results.read("scores.parquet")
    monkeypatch.setattr(build, "score_fold", None)  # nothing is fitted
    facts = {"time": SplitFacts(made.splits.split_hash, refuse_leakage(made.samples, made.splits))}
    assert build_report(made.study, facts, made.results, "serial") is not None
    assert made.results.read("scores.parquet") == before


def test_the_page_draws_all_channels(made: Series) -> None:
    page = Path(made.results.locate(write_page(made.study, made.results, made.report.tables)))
    assert "3 channels" in page.read_text()


def test_tables_of_other_samples_have_none_of_these_columns(searched: Reported) -> None:
    tables = searched.report.tables
    for name in (*SeriesMetrics.__dataclass_fields__, *(f"{m}_mean" for m in SERIES_METRICS)):
        assert name not in tables["scores"].column_names
        assert name not in tables["summary"].column_names


def test_a_stream_finds_the_events_of_its_recordings(made: Series) -> None:
    detector = load_detector(made.results.locate("ledger/trial-00000"))
    root = Path(made.results.locate("study.yaml")).parents[1]
    values = np.loadtxt(root / "a.csv", delimiter=",", skiprows=1)
    stream = detector.stream()
    scored = [stream.push(values[:500, :3]), stream.push(values[500:, :3]), stream.close()]
    score = np.concatenate([each.score for each in scored])
    assert len(score) == 1000
    # The command reads the file by parts, and finds label and channels as training did.
    dataset, channels = made.study.dataset, detector.folds[0].channels
    assert isinstance(dataset, SeriesSettings)
    file, target = root / "a.csv", root / "points.parquet"
    counts = write_points(target, detector, recording_parts(file, dataset, channels))
    table = pd.read_parquet(target)
    np.testing.assert_allclose(table["score"], score, rtol=1e-4)
    assert (counts.points, counts.abnormal) == (1000, table["decision"].sum())
    np.testing.assert_array_equal(table["label"], values[:, 3])
    assert (counts.labelled, counts.found) == (60, table.query("label == 1")["decision"].sum())
    assert counts.highest == table["score"].argmax()
    assert chosen_points(counts, 0, None) == (0, 1000)
    with pytest.raises(RequestError, match=r"--from 1200, --to 1000: expected 1 to 50000"):
        chosen_points(counts, 1200, None)
    # A stretch is scored again as the whole was, from windows at the same places.
    parts = recording_parts(file, dataset, channels)
    stretch, again = scored_stretch(detector, parts, 403, 500)
    np.testing.assert_array_equal(stretch, values[403:500, :3])
    np.testing.assert_allclose(again.score, score[403:500], rtol=1e-4)
    parts = recording_parts(file, dataset, channels)
    draw_points(root / "a.png", detector, parts, "a", 403, 500)
    assert (root / "a.png").read_bytes().startswith(b"\x89PNG")
    np.save(root / "one.npy", values[:, 0])
    with pytest.raises(RequestError, match=r"expected x, y, z, found the columns 0"):
        list(recording_parts(root / "one.npy", dataset, channels))
    flagged = values[:, 3] == 1
    assert average_precision_score(flagged, score) > 0.5
    assert np.median(score[flagged]) > detector.tau > np.median(score[~flagged])
