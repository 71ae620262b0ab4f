"""A study of long recordings, from files to its tables."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from rich.console import Console
from sklearn.metrics import average_precision_score, f1_score, matthews_corrcoef

from study import Detector, load_detector, score
from study.config.schema import Study
from study.config.study_file import check_study, dump_study, to_yaml
from study.data import load
from study.data.leakage import refuse_leakage
from study.data.series_settings import SeriesSettings
from study.data.splits import make_splits
from study.detectors.signals.points import Parts, recording_parts, write_points
from study.detectors.signals.points_picture import chosen_points, draw_points, scored_stretch
from study.errors import RequestError
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts
from study.ledger.trial_outcome import finalize
from study.report import build
from study.report.build import Report, build_report
from study.report.page.build import write_page
from study.report.page.series import times_largest
from study.scores.series import SERIES_METRICS, SeriesMetrics
from study.storage.folder import LocalFolder
from study.terminal.command import REQUEST_WRONG
from study.terminal.summary import show_summary
from study.training.fold import FoldTask, train_fold
from tests.commands import call
from tests.study.conftest import write_heartbeats
from tests.study.report.page.text import visible_text
from tests.study.report.trained import Reported
from tests.study.trials import trial_of

EVENTS = {"a": [(640, 660), (850, 890)], "b": [(660, 680), (800, 830), (930, 950)]}
PART = 700


@dataclass(frozen=True)
class Series:
    study: Study
    facts: dict[str, SplitFacts]
    results: LocalFolder
    report: Report

    @property
    def root(self) -> Path:
        """The folder of the recordings."""
        return Path(self.results.locate("study.yaml")).parents[1]

    @property
    def values(self) -> np.ndarray:
        """The points of recording a and their labels, `(1000, 4)`."""
        return np.loadtxt(self.root / "a.csv", delimiter=",", skiprows=1)

    @property
    def detector(self) -> Detector:
        return load_detector(self.results.locate("ledger/trial-00000"))

    def parts(self, name: str) -> Parts:
        assert isinstance(self.study.dataset, SeriesSettings)
        channels = self.detector.folds[0].channels
        return recording_parts(self.root / name, self.study.dataset, channels)

    @property
    def scores(self) -> pd.DataFrame:
        return pd.read_parquet(self.results.locate("scores.parquet"))


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
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
            "label": "label",
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
    return Series(study, facts, results, report)


def test_the_metrics_are_those_of_the_points_of_the_test_part(series: Series) -> None:
    row = series.scores.query("fold == 1 and composition == 'reconstruction'").iloc[0]
    stored = pd.read_parquet(series.results.locate("ledger/trial-00000/fold-1/components.parquet"))
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


def test_tables_of_series_have_columns_of_their_own(series: Series) -> None:
    names = list(SeriesMetrics.__dataclass_fields__)
    columns = list(series.scores.columns)
    start = columns.index("normal_error") + 1
    assert columns[start : start + len(names)] == names
    summary = series.report.summary.to_pandas()
    for name in SERIES_METRICS:
        means = series.scores.groupby(["composition", "epoch_rule"])[name].mean()
        reported = summary.set_index(["composition", "epoch_rule"])[f"{name}_mean"]
        pd.testing.assert_series_equal(reported, means, check_names=False, check_like=True)


def test_a_second_report_reads_what_was_fitted(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = series.results.read("scores.parquet")
    monkeypatch.setattr(build, "score_fold", None)  # nothing is fitted
    assert build_report(series.study, series.facts, series.results, "serial") is not None
    assert series.results.read("scores.parquet") == before


def test_the_page_draws_all_channels(series: Series) -> None:
    page = write_page(series.study, series.results, series.report.tables)
    assert "3 channels" in Path(series.results.locate(page)).read_text()


def test_the_page_has_metrics_of_points_and_says_which_channel_it_was(series: Series) -> None:
    page = write_page(series.study, series.results, series.report.tables)
    text = visible_text(Path(series.results.locate(page)).read_text())
    rows = series.scores.query(
        "epoch_rule == 'best_validation' and composition == 'reconstruction'"
    )
    volume = f"{rows['vus_pr'].mean():.3f}"
    assert f"Of points its VUS-PR is {volume}." in text
    points = text[text.index("which no threshold chooses") :]
    alarms = rows["false_alarms_per_day"].mean()
    assert f"λ = 0 (R alone) {volume}" in points
    assert f" {rows['event_recall'].mean():.3f} {alarms:.3f} " in points
    stored = pd.read_parquet(series.results.locate("ledger/trial-00000/fold-0/components.parquet"))
    test = stored.query("split == 'test' and epoch_rule == 'best_validation'")
    errors = test[[f"reconstruction_error.{name}" for name in "xyz"]].to_numpy()
    is_abnormal = test["label"].to_numpy() == 1
    relative = errors[is_abnormal] / np.median(errors[~is_abnormal], axis=0)
    times = [int((relative.argmax(axis=1) == at).sum()) for at in range(3)]
    assert times[1] == max(times)  # all events are in y
    channels = text[text.index("in units of its normal median.") :]
    for name, count in zip("xyz", times, strict=True):
        assert re.search(rf" {name} [\d.]+ [\d.]+ {count} ", channels)


def test_a_channel_without_errors_is_never_the_largest() -> None:
    errors = pd.DataFrame({"still": [0.0, 0.0], "x": [2.0, 9.0], "y": [1.0, 8.0]})
    usual = pd.Series({"still": 0.0, "x": 1.0, "y": 0.1})
    assert times_largest(errors, usual).tolist() == [0, 0, 2]


def test_the_terminal_has_the_volume_of_points(series: Series) -> None:
    console = Console(record=True, width=200, file=io.StringIO())
    records = Ledger(series.results.folder("ledger")).trials()
    show_summary(console, series.study, records, series.report.summary, records[0])
    rows = series.scores.query(
        "epoch_rule == 'best_validation' and composition == 'reconstruction'"
    )
    shown = console.export_text()
    assert "VUS-PR" in shown
    assert f"{rows['vus_pr'].mean():.3f}±{rows['vus_pr'].std():.3f}" in shown


def test_tables_of_other_samples_have_none_of_these_columns(searched: Reported) -> None:
    tables = searched.report.tables
    for name in (*SeriesMetrics.__dataclass_fields__, *(f"{m}_mean" for m in SERIES_METRICS)):
        assert name not in tables["scores"].column_names
        assert name not in tables["summary"].column_names


def test_a_stream_scores_events_above_the_threshold(series: Series) -> None:
    detector, values = series.detector, series.values
    score = scores_of(detector, values)
    flagged = values[:, 3] == 1
    assert len(score) == 1000
    assert average_precision_score(flagged, score) > 0.5
    assert np.median(score[flagged]) > detector.tau > np.median(score[~flagged])


def test_a_file_is_scored_by_parts_as_a_stream_is(series: Series, tmp_path: Path) -> None:
    detector, values, target = series.detector, series.values, tmp_path / "points.parquet"
    counts = write_points(target, detector, series.parts("a.csv"))
    table = pd.read_parquet(target)
    np.testing.assert_allclose(table["score"], scores_of(detector, values), rtol=1e-4)
    assert (counts.points, counts.abnormal) == (1000, table["decision"].sum())
    np.testing.assert_array_equal(table["label"], values[:, 3])
    assert (counts.labelled, counts.hits) == (60, table.query("label == 1")["decision"].sum())
    assert counts.highest == table["score"].argmax()
    assert chosen_points(counts, 0, None) == (0, 1000)
    assert chosen_points(counts, 900, 1200) == (900, 1000)
    np.save(series.root / "one.npy", values[:, 0])
    with pytest.raises(RequestError, match=r"expected x, y, z, found the columns 0"):
        list(series.parts("one.npy"))


@pytest.mark.parametrize("ending", ["", ".hea", ".dat", ".atr"])
def test_a_record_is_named_with_or_without_the_ending_of_one_of_its_files(
    tmp_path: Path, ending: str
) -> None:
    record = write_heartbeats(tmp_path, "101", 20)
    wfdb_settings = {"folder": ".", "beats": {"normal": ["N"], "abnormal": ["V"]}}
    dataset = SeriesSettings.model_validate({"wfdb": wfdb_settings})
    (values, _), *_ = recording_parts(tmp_path / f"101{ending}", dataset, ("MLII",))
    expected = wfdb.rdrecord(str(record)).p_signal
    np.testing.assert_array_equal(values, expected)


def test_a_first_part_without_a_whole_window_changes_nothing(
    series: Series, tmp_path: Path
) -> None:
    values, written = series.values[:, :3], []
    for name, first in (("whole", 1000), ("short", 2)):
        target = tmp_path / f"{name}.parquet"
        parts = iter([(values[:first], None), (values[first:], None)])
        write_points(target, series.detector, parts)
        written.append(pd.read_parquet(target))
    pd.testing.assert_frame_equal(*written, rtol=1e-4)


def test_a_stretch_is_drawn_with_the_scores_of_the_whole(series: Series, tmp_path: Path) -> None:
    detector, values = series.detector, series.values
    stretch, again = scored_stretch(detector, series.parts("a.csv"), 403, 500)
    np.testing.assert_array_equal(stretch, values[403:500, :3])
    np.testing.assert_allclose(again.score, scores_of(detector, values)[403:500], rtol=1e-4)
    draw_points(tmp_path / "a.png", detector, series.parts("a.csv"), "a", 403, 500)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_stretch_is_read_no_further_than_it_is_scored(series: Series) -> None:
    values, length = series.values[:, :3], series.detector.shape.length
    parts = iter([(values[:200], None), (values[200:400], None), (values[400:], None)])
    stretch, _ = scored_stretch(series.detector, parts, 100, 400 - length)
    np.testing.assert_array_equal(stretch, values[100 : 400 - length])
    assert len(list(parts)) == 1


def test_the_command_scores_recordings_with_labels_and_without(
    series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trial, file = series.results.locate("ledger/trial-00000"), str(series.root / "a.csv")
    done = call(score.app, trial, file, "--plot", "a.png", "--from", "300", "--to", "400")
    assert (done.code, done.errors) == (0, "")
    labelled = pd.read_parquet("a.scores.parquet")
    abnormal, is_event = labelled["decision"].sum(), labelled["label"] == 1
    hits = labelled["decision"][is_event].sum()
    assert done.output == (
        f"of 60 abnormal points {hits} found and {60 - hits} missed; of 940 normal ones"
        f" {abnormal - hits} called abnormal\n"
        f"F1 weighted {f1_score(is_event, labelled['decision'], average='weighted'):.4f}, F1 of"
        f" abnormal {f1_score(is_event, labelled['decision']):.4f},"
        f" phi {matthews_corrcoef(is_event, labelled['decision']):.4f}\n"
        f"{abnormal} of 1000 points abnormal; scores in a.scores.parquet\npicture in a.png\n"
    )
    assert Path("a.png").stat().st_size > 5000
    pd.read_csv(file)[["x", "y", "z"]].to_csv("new.csv", index=False)
    done = call(score.app, trial, "new.csv")
    assert done.output == f"{abnormal} of 1000 points abnormal; scores in new.scores.parquet\n"
    pd.testing.assert_frame_equal(
        pd.read_parquet("new.scores.parquet"), labelled.drop(columns="label")
    )
    before = sorted(tmp_path.iterdir())
    for options, words in (
        (["--from", "5", "--to", "3"], "--from 5, --to 3: expected --to above --from"),
        (["--from", "1000"], "--from 1000: expected a point of the recording, which has 1000"),
        (["--to", "50001"], "--from 0, --to 50001: expected at most 50000 points"),
    ):
        done = call(score.app, trial, file, "--output", "o.csv", "--plot", "o.png", *options)
        assert (done.code, done.output) == (REQUEST_WRONG, "")
        assert words in done.errors
        assert sorted(tmp_path.iterdir()) == before
    for options in (["--resample"], ["--label", "label"], ["--label-first"], ["--leave-out", "x"]):
        done = call(score.app, trial, file, *options)
        assert done.code == REQUEST_WRONG
        assert f"{options[0]}: is for tables of samples" in done.errors


def scores_of(detector: Detector, values: np.ndarray) -> np.ndarray:
    """Scores of points that come in two parts."""
    stream = detector.stream()
    scored = [stream.push(values[:500, :3]), stream.push(values[500:, :3]), stream.close()]
    return np.concatenate([each.score for each in scored])
