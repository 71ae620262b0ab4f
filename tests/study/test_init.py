"""A study file for a table: what is understood of it, and that it runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study import init
from study.config.study_file import load_study
from study.data.series_guess import is_recording, rhythm
from study.data.tables.guess import guess_table
from study.errors import RequestError
from study.training.prepared import prepare
from tests.commands import call

VALUES = np.random.default_rng(0).normal(size=(120, 50))
STATE = np.where(np.arange(120) % 6 == 0, "hot", "ok")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDY_CACHE_DIR", str(tmp_path / "cache"))


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(VALUES).add_prefix("t").assign(**columns)


def ucr(path: str, rows: slice, label: np.ndarray) -> None:
    table = np.column_stack([label, VALUES])[rows]
    np.savetxt(path, table, delimiter="\t", fmt="%.6g")


def test_a_csv_becomes_a_study_that_is_accepted(tmp_path: Path) -> None:
    frame(machine="m1", timestamp=np.arange(120), state=STATE).to_csv("my pumps.csv", index=False)
    done = call(init.app, "my pumps.csv")
    assert done.code == 0, done.errors
    assert "a header, 53 columns, the label in the column 'state', 2 left out" in done.output
    assert "hot: 20 rows, abnormal" in done.output
    study = load_study("study.yaml")
    assert study.name == "my_pumps"
    assert study.dataset.length == 64
    prepared = prepare(study, tmp_path / "nowhere", tmp_path)
    assert prepared.samples.label.sum() == 20
    assert list(prepared.warnings(study)) == ["rows of 50 values are brought to 64"]
    assert "normal label is known by its name" in Path("study.yaml").read_text()


def test_the_archive_s_two_files_are_training_and_test(tmp_path: Path) -> None:
    label = np.where(STATE == "ok", 1, 2)
    (tmp_path / "data").mkdir()
    ucr("data/Own_TRAIN.tsv", slice(0, 60), label)
    ucr("data/Own_TEST.tsv", slice(60, 120), label)
    done = call(init.app, "data/Own_TRAIN.tsv", "--output", "own.yaml")
    assert done.code == 0, done.errors
    study = load_study("own.yaml")
    assert (study.name, study.split.protocol) == ("own", "given")
    assert study.scores.prevalence == pytest.approx(np.mean(label[:60] == 2), abs=1e-3)
    samples = prepare(study, tmp_path / "nowhere", tmp_path).samples
    assert (samples.side == "test").sum() == 60


def test_the_share_of_a_rare_label_is_not_rounded_to_none(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(2400, 8)).round(3)
    labelled = np.column_stack([np.where(np.arange(2400) == 7, 2, 1), rows])
    for side in ("TRAIN", "TEST"):
        np.savetxt(f"Rare_{side}.tsv", labelled, "%g", "\t")
    done = call(init.app, "Rare_TRAIN.tsv", "--output", "own.yaml")
    assert done.code == 0, done.errors
    assert load_study("own.yaml").scores.prevalence == pytest.approx(1 / 2400, rel=1e-2)


def test_normals_alone_are_chosen_by_without_labels(tmp_path: Path) -> None:
    np.save("healthy.npy", VALUES)
    done = call(init.app, "healthy.npy", "--unlabelled")
    assert done.code == 0, done.errors
    assert "no F1 or AUROC" in done.output
    study = load_study("study.yaml")
    assert study.search.metric.score == "normal_error"
    prepare(study, tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize(
    ("rows", "protocol", "scores"),
    [
        (12, "kfold", {"quantile_of": "training", "fit_on": "fold"}),
        (80, "kfold", {"quantile_of": "held_out", "fit_on": "all_folds"}),
        (260, "paper", {"quantile_of": "held_out", "fit_on": "fold"}),
    ],
)
def test_the_threshold_rests_on_normals_that_did_not_train_where_they_are_enough(
    rows: int, protocol: str, scores: dict[str, str]
) -> None:
    np.save("healthy.npy", np.random.default_rng(0).normal(size=(rows, 32)))
    done = call(init.app, "healthy.npy", "--unlabelled")
    assert done.code == 0, done.errors
    study = load_study("study.yaml")
    assert study.split.protocol == protocol
    assert {name: getattr(study.scores, name) for name in scores} == scores
    trained = "normals that trained; more than 5 % of others" in Path("study.yaml").read_text()
    assert trained == (scores["quantile_of"] == "training")


def test_what_is_known_is_taken(tmp_path: Path) -> None:
    frame(grade=STATE).to_parquet("a.parquet")
    done = call(init.app, "a.parquet", "--label", "grade", "--normal", "hot")
    assert done.code == 0, done.errors
    assert load_study("study.yaml").dataset.normal_labels == ("hot",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.csv", "--normal", "cold"], "expected one of hot, ok, found cold"),
        (["a.csv", "--label", "colour"], "the label in the column 'colour'"),
        (["a.csv", "--unlabelled", "--normal", "ok"], "leave one out"),
        (["many.csv", "--label", "note"], "found 120 different ones"),
        (["a.csv", "--output", "a.csv"], "is there already"),
        (["recording.csv", "--rows", "samples"], "a value a line is a recording"),
        (["recording.csv"], "split"),
        (["recording.csv", "--normal", "ok"], "--normal: is for tables of samples"),
        (
            ["a.csv", "--rows", "points"],
            "expected finite numbers, found 'hot' in the column 'state'",
        ),
        (["nowhere.csv"], "expected a readable file"),
        (["few.csv"], "split"),
    ],
)
def test_what_cannot_be_a_study_is_refused_in_a_line(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    frame(state=STATE).to_csv("a.csv", index=False)
    frame(state=STATE)[:4].to_csv("few.csv", index=False)
    frame(note=[f"n{i}" for i in range(120)]).to_csv("many.csv", index=False)
    np.savetxt("recording.csv", VALUES[:, 0])
    before = sorted(path.name for path in tmp_path.iterdir())
    done = call(init.app, *arguments)
    assert (done.code, done.output) == (2, "")
    assert words in done.errors
    assert done.errors.count("\n") == 1
    assert sorted({path.name for path in tmp_path.iterdir()} - {"cache"}) == before


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (np.arange(120) % 3, 0),
        (np.random.default_rng(1).normal(size=120), None),
        (np.ones(120), None),
    ],
)
def test_a_first_column_is_a_label_if_it_has_few_whole_numbers(
    label: np.ndarray, expected: int | None
) -> None:
    np.savetxt("a.csv", np.column_stack([label, VALUES]), delimiter=",")
    assert guess_table(Path("a.csv")).form.label == expected


def recording(count: int = 2000) -> pd.DataFrame:
    """Three sensors with a rhythm of 50 points, a minute apart."""
    phase = 2 * np.pi * np.arange(count)[:, np.newaxis] / 50
    noise = 0.1 * np.random.default_rng(2).normal(size=(count, 3))
    values = np.sin(phase + np.arange(3)) + noise
    times = pd.date_range("2026-01-01", periods=count, freq="min")
    return pd.DataFrame(values, columns=["flow", "heat", "load"]).assign(time=times)


def test_a_recording_becomes_a_study_of_its_windows(tmp_path: Path) -> None:
    label = np.zeros(2000, dtype=int)
    label[1200:1230] = label[1700:1720] = 1
    recording().assign(anomaly=label).to_csv("plant.csv", index=False)
    done = call(init.app, "plant.csv")
    assert done.code == 0, done.errors
    assert "labels: anomaly; 2 abnormal stretches, 50 points" in done.output
    assert "holds the rhythm of 50 points" in done.output
    study = load_study("study.yaml")
    assert (study.dataset.name, study.split.protocol) == ("series", "time")
    assert (study.dataset.length, study.dataset.row_width) == (64, None)
    assert study.search.metric.score == "normal_error"
    prepared = prepare(study, tmp_path / "nowhere", tmp_path)
    samples, (fold, *_) = prepared.samples, prepared.splits["time"].folds
    assert samples.channel_names == ("flow", "heat", "load")
    assert samples.sampling_rate_hz == pytest.approx(1 / 60, rel=1e-5)
    assert (samples.start[fold.training] + 64).max() <= 1000
    assert samples.label[fold.test].any()


@pytest.mark.parametrize("form", ["pandas.csv", "pandas.parquet", "german.csv", "bare.csv"])
def test_times_are_known_by_their_values(form: str, tmp_path: Path) -> None:
    names = ["flow", "heat", "load", "oil", "air", "torque", "speed", "press"]
    values = np.column_stack([recording().to_numpy()[:, :3].astype(float)] * 3)[:, :8]
    times = pd.date_range("2026-01-01", periods=2000, freq="min")
    frame = pd.DataFrame(values, columns=names, index=times)
    if form == "pandas.csv":
        frame.to_csv(form)  # its index has no name
    elif form == "pandas.parquet":
        frame.to_parquet(form)
    elif form == "german.csv":
        frame.insert(0, "Zeit", times.strftime("%d.%m.%Y %H:%M:%S"))
        frame.to_csv(form, sep=";", decimal=",", index=False)
    else:
        frame.iloc[:, :4].to_csv(form, header=False)
    done = call(init.app, form)
    assert done.code == 0, done.errors
    assert "rows are points of a recording (2000 points" in done.output
    column = {"german.csv": "the column 'Zeit'", "pandas.parquet": "the column '__index_level_0__'"}
    assert f"times: {column.get(form, 'column 0')}\n" in done.output
    study = load_study("study.yaml")
    samples = prepare(study, tmp_path / "nowhere", tmp_path).samples
    assert samples.sampling_rate_hz == pytest.approx(1 / 60, rel=1e-5)
    count = 4 if form == "bare.csv" else 8
    assert samples.values.shape[1] == count
    if form != "bare.csv":
        assert samples.channel_names == tuple(names)


def test_times_of_samples_are_left_out() -> None:
    times = pd.date_range("2026-01-01", periods=120, freq="D").strftime("%Y-%m-%d")
    frame(state=STATE).assign(measured=times).to_csv("a.csv", index=False)
    guess = guess_table(Path("a.csv"))
    assert (guess.form.label, guess.form.leave_out) == ("state", ("measured",))
    assert guess.table.values.shape == (120, 1, 50)


def test_a_channel_of_flags_may_be_the_labels() -> None:
    flags = np.where(np.arange(2000) % 500 < 20, 1, 0)
    recording().assign(fault=flags, idle=0).to_csv("plant.csv", index=False)
    done = call(init.app, "plant.csv")
    assert done.code == 0, done.errors
    assert "Column fault has the values 0 and 1 alone" in done.output
    assert "Column idle" not in done.output
    done = call(init.app, "plant.csv", "--label", "fault", "--output", "b.yaml")
    assert "4 abnormal stretches, 80 points" in done.output
    assert "0 and 1 alone" not in done.output


def test_a_benchmark_s_name_says_what_is_normal(tmp_path: Path) -> None:
    name = "9_Own_tr_900_1st_1000.csv"
    pd.DataFrame(recording().to_numpy()[:, :3]).assign(Label=0).to_csv(name, index=False)
    done = call(init.app, name)
    assert done.code == 0, done.errors
    assert "Its name says that the first 900 points are normal" in Path("study.yaml").read_text()
    samples = prepare(load_study("study.yaml"), tmp_path / "nowhere", tmp_path).samples
    assert (samples.start[samples.side == "train"] + samples.length).max() == 900


@given(period=st.integers(8, 120), channels=st.integers(1, 3), seed=st.integers(0, 99))
def test_the_rhythm_of_waves_in_noise_is_found(period: int, channels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(12 * period) / period
    waves = np.stack([np.sin(phase + random.uniform(0, 6)) for _ in range(channels)], axis=1)
    found = rhythm(waves + 0.1 * random.normal(size=waves.shape))
    assert found == pytest.approx(period, abs=max(1, 0.03 * period))
    assert rhythm(np.zeros((500, channels))) is None
    assert rhythm(random.normal(size=(2000, channels))) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["time", *(f"t{i}" for i in range(50))], False),
        (["time", *(a + b for a in "abc" for b in "xyz")], True),
        ([a + b for a in "abc" for b in "xyz"], False),
        (["x", "y", "label"], True),
    ],
)
def test_rows_are_points_where_few_or_timed_columns_say_so(
    names: list[str], expected: bool
) -> None:
    pd.DataFrame(np.zeros((30, len(names))), columns=names).to_csv("a.csv", index=False)
    assert is_recording(Path("a.csv")) is expected
    pd.DataFrame({"x": list(np.zeros((9, 30))), "y": list(np.ones((9, 30)))}).to_parquet(
        "a.parquet"
    )
    assert not is_recording(Path("a.parquet"))


def test_words_in_the_last_column_are_labels() -> None:
    frame(grade=STATE).to_csv("a.csv", index=False)
    guess = guess_table(Path("a.csv"))
    assert (guess.form.label, guess.normal) == ("grade", ("ok",))


def test_words_that_are_no_labels_are_refused() -> None:
    frame(note=[f"n{i}" for i in range(120)]).to_csv("a.csv", index=False)
    with pytest.raises(RequestError, match="'n0' in the column 'note'"):
        guess_table(Path("a.csv"))
