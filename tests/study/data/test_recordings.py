import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.data.point_tables import POINTS_AT_ONCE, PointColumns, open_points
from study.data.recordings import (
    merged,
    normal_part,
    read_events,
    read_recording,
    recording_name,
)
from study.data.series_guess import guess_recording
from study.errors import RequestError

VALUES = np.random.default_rng(0).normal(size=(50, 2)).round(6)
FLAGS = np.isin(np.arange(50), [7, 8, 9, 30])
EVENTS = [[7, 10], [30, 31]]


def frame() -> pd.DataFrame:
    times = pd.date_range("2026-01-01", periods=50, freq="min").astype(str)
    return pd.DataFrame(
        {"timestamp": times, "x": VALUES[:, 0], "y": VALUES[:, 1], "is_anomaly": FLAGS.astype(int)}
    )


@pytest.mark.parametrize("form", ["a.csv", "a.csv.gz", "a.tsv", "a.parquet", "a.feather"])
def test_named_columns_are_recognised_in_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / form
    if form == "a.parquet":
        frame().to_parquet(path)
    elif form == "a.feather":
        frame().to_feather(path)
    else:
        frame().to_csv(path, index=False, sep="\t" if form == "a.tsv" else ",")
    recording = read_recording(path, PointColumns())
    assert (recording.name, recording.channels) == ("a", ("x", "y"))
    np.testing.assert_array_equal(recording.values, VALUES)
    assert recording.events.tolist() == EVENTS
    assert recording.normal_until is None


def test_columns_without_names_are_meant_by_position(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.column_stack([VALUES, FLAGS]))
    np.savetxt(tmp_path / "b.txt", np.column_stack([VALUES, FLAGS]))
    for name in ("a.npy", "b.txt"):
        recording = read_recording(tmp_path / name, PointColumns(label=-1))
        np.testing.assert_allclose(recording.values, VALUES)
        assert recording.events.tolist() == EVENTS
    np.save(tmp_path / "c.npy", VALUES[:, 0])
    assert read_recording(tmp_path / "c.npy", PointColumns()).values.shape == (50, 1)


def test_channels_may_be_chosen(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    chosen = read_recording(tmp_path / "a.csv", PointColumns(channels=("y",)))
    np.testing.assert_array_equal(chosen.values, VALUES[:, 1:])
    with pytest.raises(RequestError, match=r"a\.csv: dataset\.channels: expected z, found the"):
        read_recording(tmp_path / "a.csv", PointColumns(channels=("y", "z")))


def test_the_archives_names_say_what_is_normal_and_what_is_not(tmp_path: Path) -> None:
    tsb_ad = tmp_path / "001_NAB_id_1_Facility_tr_20_1st_30.csv"
    pd.DataFrame({"Data": VALUES[:, 0], "Label": FLAGS.astype(int)}).to_csv(tsb_ad, index=False)
    recording = read_recording(tsb_ad, PointColumns())
    assert (recording.normal_until, recording.events.tolist()) == (20, EVENTS)

    ucr = tmp_path / "135_UCR_Anomaly_Internal_20_30_34.txt"
    for text in ("\n", " "):  # a value a line, or all in one line
        ucr.write_text(text.join(map(str, VALUES[:, 0])) + "\n")
        recording = read_recording(ucr, PointColumns())
        np.testing.assert_array_equal(recording.values, VALUES[:, :1])
        assert (recording.normal_until, recording.events.tolist()) == (20, [[30, 34]])
    assert normal_part("of_my_own_1_2_3") is None


def test_stretches_may_be_listed_by_position_or_by_time(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    listed = {
        "other/a.csv": [["2026-01-01 00:07:00", "2026-01-01 00:09:00"]],
        "b.csv": [[3, 4]],
    }
    (tmp_path / "windows.json").write_text(json.dumps(listed))
    events = read_events(tmp_path / "windows.json")
    assert read_recording(tmp_path / "a.csv", PointColumns(), events).events.tolist() == [[7, 10]]
    frame().to_csv(tmp_path / "b.csv", index=False)
    assert read_recording(tmp_path / "b.csv", PointColumns(), events).events.tolist() == [[3, 5]]
    for text in ("[1, 2]", '{"a.csv": [[1, 2, 3]]}'):
        (tmp_path / "windows.json").write_text(text)
        with pytest.raises(RequestError, match="expected abnormal stretches by recording"):
            read_events(tmp_path / "windows.json")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x,label\n1,0\n,0\n", "line 3: expected finite .* '' in the column 'x' .* missing values"),
        ("x,kind\n1,a\n2,b\n", "found 'a' in the column 'kind' .* holds labels, name it"),
        (
            "x,label\n1,ok\n2,warm\n",
            "expected labels that are 0 .* in the column 'label', found 'warm'",
        ),
        ("x,label\n", "found names of columns alone"),
        ("x,x\n1,2\n3,4\n", "a column per channel, each of another name, found text"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_was_understood(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(RequestError, match=problem) as error:
        read_recording(tmp_path / "a.csv", PointColumns())
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x,y\n1,2\n3,4,5,6\n"))
    (tmp_path / "a.npy").write_bytes(b"no array")
    np.save(tmp_path / "b.npy", np.zeros((3, 2, 5)))
    for name in ("a.csv.gz", "a.npy", "b.npy", "none.csv"):
        with pytest.raises(RequestError, match=f"{name}.*: expected"):
            read_recording(tmp_path / name, PointColumns())


def test_a_recording_is_read_by_parts(tmp_path: Path) -> None:
    values = np.arange(POINTS_AT_ONCE + 5.0)
    np.save(tmp_path / "a.npy", values)
    table = open_points(tmp_path / "a.npy", PointColumns())
    assert [len(part) for part, _ in table.parts()] == [POINTS_AT_ONCE, 5]
    np.testing.assert_array_equal(table.read()[0][:, 0], values)


def test_a_file_may_lack_the_columns_of_labels_and_times_where_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    frame()[["x", "y"]].to_csv(path, index=False)
    for columns in (PointColumns(label="is_anomaly"), PointColumns(time="timestamp")):
        with pytest.raises(RequestError, match=r"a\.csv: expected the "):
            open_points(path, columns)
    table = open_points(path, PointColumns("is_anomaly", "timestamp", may_lack=True))
    values, flagged = table.read()
    assert (table.channels, table.label, flagged) == (("x", "y"), None, None)
    np.testing.assert_array_equal(values, VALUES)


@pytest.mark.parametrize(
    "labels",
    [[0.0, 1.0, 2.0], ["0", "1", "-1"], [False, True, True], ["OK", "fault", "Attack"]],
)
def test_labels_are_numbers_truths_or_words(tmp_path: Path, labels: list[object]) -> None:
    pd.DataFrame({"x": [1.0, 2.0, 3.0], "Label": labels}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"x": [1.0, 2.0, 3.0], "Label": labels}).to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        assert read_recording(tmp_path / name, PointColumns()).events.tolist() == [[1, 3]]


def test_names_are_without_endings_that_tables_have() -> None:
    assert recording_name(Path("x/a.b.csv.gz")) == "a.b"
    assert recording_name(Path("rec.1")) == "rec.1"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=8))
def test_stretches_that_touch_become_one(pairs: list[tuple[int, int]]) -> None:
    stretches = np.array([(a, a + n) for a, n in pairs], dtype=np.int64).reshape(-1, 2)
    joined = merged(stretches)
    points = {point for first, stop in stretches for point in range(first, stop)}
    assert {point for first, stop in joined for point in range(first, stop)} == points
    assert (joined[1:, 0] > joined[:-1, 1]).all()


def test_pandas_index_is_no_channel(tmp_path: Path) -> None:
    kept = pd.DataFrame(VALUES, columns=["x", "y"])[FLAGS]
    kept.to_parquet(tmp_path / "a.parquet")
    kept.reset_index().rename(columns={"index": "Unnamed: 0"}).to_csv(
        tmp_path / "a.csv", index=False
    )
    for name in ("a.parquet", "a.csv"):
        recording = read_recording(tmp_path / name, PointColumns())
        assert recording.channels == ("x", "y")
        np.testing.assert_array_equal(recording.values, VALUES[FLAGS])


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_label_of_a_point_that_is_no_finite_number_is_refused(
    tmp_path: Path, missing: float
) -> None:
    columns = {"x": [1.0, 2.0, 3.0], "label": [0.0, missing, 1.0]}
    pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False, na_rep="nan")
    pd.DataFrame(columns).to_parquet(tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", values=np.ones((3, 1)), label=columns["label"])
    for name in ("a.csv", "a.parquet", "a.npz"):
        with pytest.raises(RequestError, match=f"{name}: expected labels that are 0 for normal"):
            read_recording(tmp_path / name, PointColumns())


@pytest.mark.parametrize("pair", [[30, 10], [40, 50], [-20, -10], [1.5, 3], [60, 70]])
def test_stretches_by_position_are_in_the_recording(tmp_path: Path, pair: list[float]) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(RequestError, match=r"a\.csv: dataset\.events: .* 0 <= first <= last < 50"):
        read_recording(tmp_path / "a.csv", PointColumns(), {"a": [pair]})


def test_a_stretch_of_time_does_not_end_before_it_begins(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    events = {"a": [["2026-01-01 00:09:00", "2026-01-01 00:07:00"]]}
    with pytest.raises(RequestError, match="found: a stretch that ends before it begins"):
        read_recording(tmp_path / "a.csv", PointColumns(), events)


def timed(times: Sequence[object], path: Path) -> Path:
    pd.DataFrame({"time": list(times), "x": np.arange(len(times))}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%s"])
def test_times_of_a_recording_rise(tmp_path: Path, form: str) -> None:
    moments = pd.date_range("2026-01-05", periods=40, freq="6h")
    times = moments.strftime(form).tolist()
    path = tmp_path / "a.csv"
    assert len(read_recording(timed(times, path), PointColumns())) == 40
    mixed = [*times[:20], *times[30:], *times[20:30]]
    for wrong, row in ((times[::-1], 2), (mixed, 31)):
        problem = rf"a\.csv: expected times that rise .* in row {row}, .*: sort the rows, "
        with pytest.raises(RequestError, match=problem):
            read_recording(timed(wrong, path), PointColumns())


@pytest.mark.parametrize(
    "times",
    [
        [
            "2026-10-25 02:30:00",
            "2026-10-25 02:59:00",
            "2026-10-25 02:00:00",
            "2026-10-25 02:31:00",
        ],
        ["23:58:00", "23:59:00", "00:00:00", "00:01:00"],  # midnight
        ["12.01.2026", "12.01.2026", "01.02.2026", "02.02.2026"],  # the day comes first
        ["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-02"],
        ["soon", "now", "later", "then"],
    ],
)
def test_times_that_may_rise_are_taken(tmp_path: Path, times: list[str]) -> None:
    assert len(read_recording(timed(times, tmp_path / "a.csv"), PointColumns())) == 4


def test_a_counter_may_begin_anew(tmp_path: Path) -> None:
    frame = pd.DataFrame({"index": [0, 1, 0, 1], "x": [1.0, 2.0, 3.0, 4.0]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert read_recording(tmp_path / "a.csv", PointColumns()).channels == ("x",)


def test_jumps_of_times_are_said(tmp_path: Path) -> None:
    moments = pd.date_range("2026-01-01", periods=200, freq="min").astype(str)
    path = timed([*moments[:100], *moments[150:]], tmp_path / "a.csv")
    assert any(
        "1 step(s) of time are longer than usual, the first after row 100" in why
        for why in guess_recording(path).reasons
    )
    assert not any(
        "longer than usual" in why for why in guess_recording(timed(moments, path)).reasons
    )


def test_a_channel_may_be_called_index(tmp_path: Path) -> None:
    pd.DataFrame(VALUES, columns=["index", "x"]).to_csv(tmp_path / "a.csv", index=False)
    recording = read_recording(tmp_path / "a.csv", PointColumns(channels=("index", "x")))
    np.testing.assert_array_equal(recording.values, VALUES)
    assert read_recording(tmp_path / "a.csv", PointColumns()).channels == ("x",)


def test_values_of_one_channel_stand_beside_their_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", values=VALUES[:, 0], label=FLAGS.astype(int))
    recording = read_recording(tmp_path / "a.npz", PointColumns())
    np.testing.assert_array_equal(recording.values, VALUES[:, :1])
    assert recording.events.tolist() == EVENTS
