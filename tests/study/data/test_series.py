import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.data.leakage import refuse_leakage
from study.data.samples import Samples
from study.data.series import check, prepare
from study.data.series_settings import SeriesSettings
from study.data.settings import SplitSettings
from study.data.splits import Fold, make_splits
from study.data.windows import window_starts
from study.errors import RequestError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a recording of two channels and its labels; returns its folder."""

    def write(name: str, count: int, events: list[tuple[int, int]], seed: int = 0) -> Path:
        values = np.random.default_rng(seed).normal(size=(count, 2))
        label = np.zeros(count)
        for first, stop in events:
            label[first:stop] = 1
        rows = np.column_stack([values, label])
        header = "x,y,label"
        np.savetxt(tmp_path / f"{name}.csv", rows, "%.9f", ",", header=header, comments="")
        return tmp_path

    return write


def prepared(folder: Path, **settings: Any) -> Samples:
    return prepare(SeriesSettings(path=("*.csv",), length=32, **settings), folder, 0)


@given(st.integers(0, 50), st.integers(0, 300), st.integers(1, 40), st.integers(1, 60))
def test_windows_cover_a_stretch_and_stay_in_it(
    first: int, count: int, length: int, stride: int
) -> None:
    starts = window_starts(first, first + count, length, stride)
    if count < length:
        assert not len(starts)
        return
    held = {point for start in starts for point in range(start, start + length)}
    if stride <= length:
        assert held == set(range(first, first + count))
    assert starts[0] == first
    assert starts[-1] == first + count - length
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts)[:-1] == stride).all()


def test_windows_are_what_the_recording_holds_there(write: Write) -> None:
    folder = write("a", 300, [(200, 210)])
    samples = prepared(folder, normal_until=150, stride=10)
    values = np.loadtxt(folder / "a.csv", delimiter=",", skiprows=1)
    assert samples.channel_names == ("x", "y")
    for k, start in enumerate(samples.start):
        window = values[start : start + 32]
        np.testing.assert_allclose(samples.values[k], window[:, :2].T, rtol=1e-6)
        assert samples.label[k] == window[:, 2].any()
        assert samples.side[k] == ("train" if start + 32 <= 150 else "test")
        assert not start < 150 < start + 32
    assert samples.events["a"].tolist() == [[200, 210]]
    assert set(samples.record) == {"a"}


def test_a_stated_part_may_be_a_share_or_come_from_the_name(write: Write) -> None:
    folder = write("x_tr_120_1st_200", 300, [(200, 210)])
    assert prepared(folder).start[prepared(folder).side == "test"].min() == 120
    samples = prepared(folder, normal_until=0.5, validate_until=0.75)
    sides = {side: samples.start[samples.side == side].min() for side in ("validation", "test")}
    assert sides == {"validation": 150, "test": 225}
    with pytest.raises(RequestError, match="expected rising points"):
        prepared(folder, normal_until=200, validate_until=100)


def parts(fold: Fold, samples: Samples) -> dict[str, set[tuple[str, int]]]:
    """The points that each part of a fold holds."""
    return {
        part: {
            (str(samples.record[k]), point)
            for k in getattr(fold, part)
            for point in range(samples.start[k], samples.start[k] + samples.extent[k])
        }
        for part in ("training", "validation", "test")
    }


def test_parts_of_time_share_no_point_and_every_fold_tests_all_that_follows(write: Write) -> None:
    for name in ("a", "b"):
        folder = write(name, 900, [(650, 670), (800, 830)], seed=ord(name))
    samples = prepared(folder, normal_until=600, validate_until=700, stride=8)
    splits = make_splits(samples, SplitSettings(protocol="time", folds=3), 0)
    leaks = refuse_leakage(samples, splits)
    assert [leak.windows_overlapping_training for leak in leaks] == [0, 0, 0]
    held: set[tuple[str, int]] = set()
    for fold in splits.folds:
        points = parts(fold, samples)
        assert not points["training"] & points["validation"]
        assert not (points["training"] | points["validation"]) & points["test"]
        assert points["test"] == {(name, point) for name in "ab" for point in range(700, 900)}
        assert (samples.label[fold.training] == 0).all()
        held |= {point for point in points["validation"] if point[1] < 600}
    assert held == {(name, point) for name in "ab" for point in range(600)}


def test_a_single_fold_of_time_is_the_first_of_five(write: Write) -> None:
    samples = prepared(write("a", 900, [(650, 670)]), normal_until=600, stride=8)
    alone, five = (
        make_splits(samples, SplitSettings(protocol="time", folds=folds), 0).folds
        for folds in (1, 5)
    )
    (fold,) = alone
    assert parts(fold, samples) == parts(five[0], samples)


def test_series_are_dealt_whole_and_each_tests_once(write: Write) -> None:
    for k in range(6):
        folder = write(f"r{k}", 300, [(200, 220)] if k < 4 else [], seed=k)
    samples = prepared(folder, normal_until=150)
    splits = make_splits(samples, SplitSettings(protocol="series", folds=3), 0)
    refuse_leakage(samples, splits)
    tested = []
    for fold in splits.folds:
        records = [set(samples.record[getattr(fold, part)].tolist()) for part in vars(fold)]
        assert len(set.union(*records)) == sum(map(len, records))
        assert (samples.side[fold.training] == "train").all()
        tested += sorted(records[2])
    assert sorted(tested) == [f"r{k}" for k in range(6)]
    with pytest.raises(RequestError, match="needs at least 7 recordings"):
        make_splits(samples, SplitSettings(protocol="series", folds=7), 0)


def test_windows_that_overlap_are_in_no_two_parts(write: Write) -> None:
    folder = write("a", 600, [(200, 220), (300, 320), (400, 420), (500, 520)])
    overlapping = prepared(folder, stride=8)
    splits = make_splits(overlapping, SplitSettings(protocol="paper", folds=1), 0)
    with pytest.raises(RequestError, match="windows in training overlap windows in validation"):
        refuse_leakage(overlapping, splits)
    apart = prepared(folder, stride=32)
    # The last one is moved to the end.
    assert apart.start[-1] - apart.start[-2] < 32
    apart = apart.take(np.arange(len(apart) - 1))
    refuse_leakage(apart, make_splits(apart, SplitSettings(protocol="paper", folds=1), 0))


def test_the_advice_against_windows_that_overlap_can_be_followed(write: Write) -> None:
    events = [(200, 220), (300, 320), (400, 420), (500, 520)]
    paper = SplitSettings(protocol="paper", folds=5)

    def refusals(samples: Samples) -> Iterator[str]:
        for seed in range(9):  # whether the last two windows are dealt apart depends on it
            try:
                refuse_leakage(samples, make_splits(samples, paper, seed))
            except RequestError as error:
                yield str(error)

    refused = list(refusals(prepared(write("a", 600, events), stride=32)))
    assert refused
    assert all("recordings, and their parts, of a multiple of so many" in each for each in refused)
    assert not list(refusals(prepared(write("a", 640, events), stride=32)))


def test_time_needs_a_normal_beginning(write: Write) -> None:
    samples = prepared(write("a", 300, [(200, 220)]))
    assert set(samples.side) == {""}
    with pytest.raises(RequestError, match=r"set dataset\.normal_until, or use series"):
        make_splits(samples, SplitSettings(protocol="time", folds=2), 0)


def test_a_check_says_what_was_understood(write: Write) -> None:
    folder = write("a", 300, [(200, 220)])
    settings = SeriesSettings(path=("a.csv",), length=32, stride=16, normal_until=160)
    (line,) = check(settings, folder)
    assert line == (
        "a: 300 points of x, y; 1 abnormal stretches of 20 points; 9 windows to train in points 0"
        " to 159, 8 windows to test in points 160 to 299"
    )


@pytest.mark.parametrize("scaling", ["sample", "none"])
def test_windows_are_scaled_as_is_asked(write: Write, scaling: str) -> None:
    folder = write("a", 300, [(200, 220)])
    if scaling == "none":
        with pytest.raises(RequestError, match=r"dataset\.scaling"):
            prepared(folder, scaling=scaling)
        return
    values = prepared(folder, scaling=scaling).values
    np.testing.assert_array_equal(values.min(axis=2), 0)
    np.testing.assert_array_equal(values.max(axis=2), 1)


def test_a_missing_file_is_answered_with_its_setting(write: Write) -> None:
    folder = write("a", 300, [])
    with pytest.raises(RequestError, match=r"dataset\.path: expected an existing file, .*b\.csv"):
        prepare(SeriesSettings(path=("b.csv",), length=32), folder, 0)
    with pytest.raises(RequestError, match=r"dataset\.events: expected .*b\.json"):
        prepared(folder, events="b.json")


def test_one_source_is_needed() -> None:
    wfdb = {"folder": ".", "beats": {"abnormal": "V"}}
    for given_source in ({}, {"path": "a.csv", "wfdb": wfdb}):
        with pytest.raises(ValueError, match="path or wfdb must be given, and not both"):
            SeriesSettings.model_validate(given_source)


def test_channels_of_several_recordings_are_those_of_their_names(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(64, 2))
    frame = pd.DataFrame(values, columns=["temp", "pressure"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame[["pressure", "temp"]].to_csv(tmp_path / "b.csv", index=False)
    samples = prepared(tmp_path)
    assert samples.channel_names == ("temp", "pressure")
    first, second = (samples.values[samples.record == name] for name in "ab")
    np.testing.assert_array_equal(first, second)
    frame.rename(columns={"temp": "flow"}).to_csv(tmp_path / "c.csv", index=False)
    problem = r"c\.csv: expected the channels of a, temp, pressure, found flow, pressure: "
    with pytest.raises(RequestError, match=problem):
        prepared(tmp_path)


def test_channels_without_names_go_by_position_and_a_single_one_by_itself(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(64, 2))
    np.save(tmp_path / "a.npy", values)
    pd.DataFrame(values, columns=["temp", "pressure"]).to_csv(tmp_path / "b.csv", index=False)
    samples = prepare(SeriesSettings(path=("a.npy", "b.csv"), length=32), tmp_path, 0)
    first, second = (samples.values[samples.record == name] for name in "ab")
    np.testing.assert_array_equal(first, second)
    for name in ("pump1", "pump2"):
        pd.DataFrame({name: values[:, 0]}).to_csv(tmp_path / f"{name}.csv", index=False)
    assert set(prepare(SeriesSettings(path=("p*.csv",), length=32), tmp_path, 0).record) == {
        *("pump1", "pump2")
    }


def test_a_recording_that_is_shorter_than_a_window_has_none(write: Write) -> None:
    write("a", 20, [])
    folder = write("b", 100, [])
    settings = SeriesSettings(path=("a.csv", "b.csv"), length=32)
    assert set(prepare(settings, folder, 0).record) == {"b"}
    assert "0 windows in points 0 to 19" in check(settings, folder)[0]
    with pytest.raises(RequestError, match=r"dataset\.length: expected recordings of at least 32"):
        prepare(settings.model_copy(update={"path": ("a.csv",)}), folder, 0)


def test_windows_leave_no_point_without_a_score() -> None:
    assert SeriesSettings(path=("a.csv",), length=32, stride=32).step == 32
    with pytest.raises(ValueError, match=r"stride must be at most length, 32, .* found 33"):
        SeriesSettings(path=("a.csv",), length=32, stride=33)
    with pytest.raises(ValueError, match=r"limit must be null where .*: set a longer stride, or"):
        SeriesSettings(path=("a.csv",), length=32, limit=10)


def test_points_that_float32_does_not_hold_are_refused(tmp_path: Path) -> None:
    signal = np.sin(np.arange(200) / 5)
    frame = pd.DataFrame({"x": signal, "y": 1e8 + signal})
    frame.to_parquet(tmp_path / "a.parquet")
    settings = SeriesSettings(path=("a.parquet",), length=32)
    with pytest.raises(RequestError, match=r"expected channel y with a range .* subtract an"):
        prepare(settings, tmp_path, 0)
    scaled = prepare(settings.model_copy(update={"scaling": "sample"}), tmp_path, 0).values
    np.testing.assert_allclose(scaled[:, 1], scaled[:, 0], atol=1e-7)
    # A recording in which a channel hardly varies is fine beside others.
    frame.assign(y=signal).to_parquet(tmp_path / "a.parquet")
    frame.assign(y=1 + signal * 1e-5).to_parquet(tmp_path / "b.parquet")
    both = settings.model_copy(update={"path": ("*.parquet",)})
    assert set(prepare(both, tmp_path, 0).record) == {"a", "b"}
    frame.assign(y=np.where(signal > 0.99, 1.797e308, signal)).to_parquet(tmp_path / "a.parquet")
    problem = r"a\.parquet: expected values up to 3\.4e\+38, .* 1\.797e\+308 in row 9: replace it"
    with pytest.raises(RequestError, match=problem):
        prepare(settings, tmp_path, 0)


def test_validation_follows_a_normal_beginning(write: Write) -> None:
    folder = write("a", 300, [(200, 220)])
    with pytest.raises(RequestError, match=r"dataset\.validate_until: .*set dataset\.normal_until"):
        prepared(folder, validate_until=0.5)


def test_events_are_of_recordings_that_there_are(write: Write) -> None:
    write("a", 300, [])
    folder = write("b", 300, [])
    listed = folder / "events.json"
    for entries, stretches in (
        ({"a.csv": [[10, 20]]}, {"a": [[10, 21]], "b": []}),  # b has none
        ({"x/a.csv": [[10.0, 20.0]], "b": [], "c": [[1, 2]]}, {"a": [[10, 21]], "b": []}),
    ):
        listed.write_text(json.dumps(entries))
        read = prepared(folder, events="events.json").events
        assert {name: each.tolist() for name, each in read.items()} == stretches
    listed.write_text(json.dumps({"a": [[10, 20]], "bb": [[1, 2]]}))
    with pytest.raises(
        RequestError, match=r"dataset\.events: .*'bb', while b has no entry: correct"
    ):
        check(SeriesSettings(path=("*.csv",), length=32, events="events.json"), folder)


def test_channels_are_different_ones() -> None:
    with pytest.raises(ValueError, match="channels must be different ones, found x, x"):
        SeriesSettings(path=("a.csv",), channels=("x", "x"), length=32)


def test_a_beginning_that_holds_an_abnormal_stretch_trains_without_it(write: Write) -> None:
    samples = prepared(write("a", 900, [(100, 120), (800, 830)]), normal_until=600)
    for fold in make_splits(samples, SplitSettings(protocol="time", folds=3), 0).folds:
        assert len(fold.training)
        assert (samples.label[fold.training] == 0).all()


def test_recordings_with_events_are_shared_out_and_the_seed_deals_them(write: Write) -> None:
    for number in range(9):
        events = [(200, 220)] if number < 3 else []
        folder = write(f"r{number}", 300, events, seed=number)
    samples = prepared(folder, normal_until=150)
    dealt = []
    for seed in range(6):
        splits = make_splits(samples, SplitSettings(protocol="series", folds=3), seed)
        tested = [set(samples.record[fold.test].tolist()) for fold in splits.folds]
        assert [len(each & {"r0", "r1", "r2"}) for each in tested] == [1, 1, 1]
        dealt.append([sorted(each) for each in tested])
    assert any(each != dealt[0] for each in dealt)
