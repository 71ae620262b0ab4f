from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.schema import SplitSettings
from study.data import load
from study.data.assembly import build_samples
from study.data.leakage import Leakage, count_leakage, refuse_leakage
from study.data.samples import Samples
from study.data.splits import PARTS, Fold, Splits, make_splits
from study.data.synthetic import SyntheticSettings
from study.data.wafer import WaferSettings
from study.errors import RequestError


def one_fold(fold: Fold, protocol: str = "paper", earlier: tuple[Fold, ...] = ()) -> Splits:
    return Splits(protocol, (*earlier, fold), "hash")


def refusal(samples: Samples, splits: Splits) -> str:
    """What the gate says, one line."""
    with pytest.raises(RequestError) as raised:
        refuse_leakage(samples, splits)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def pair(samples: Samples, test: int, trained: int) -> tuple[bool, bool, bool]:
    """Record, window and values of two samples compared as plain Python objects."""

    def positions(sample: int) -> set[int]:
        start = int(samples.start[sample])
        return set(range(start, start + int(samples.extent[sample]))) if start >= 0 else set()

    record = samples.record[test] != "" and samples.record[test] == samples.record[trained]
    overlap = record and bool(positions(test) & positions(trained))
    rows = samples.values[test].tobytes(), samples.values[trained].tobytes()
    return bool(record), bool(overlap), rows[0] == rows[1]


def by_comparing_all(samples: Samples, fold: Fold) -> Leakage:
    counts = [0, 0, 0, 0]
    for test in fold.test.tolist():
        pairs = [pair(samples, test, trained) for trained in fold.training.tolist()]
        for number, found in enumerate(zip(*pairs, strict=True)):
            counts[number] += any(found)
        counts[3] += any(pair(samples, test, other)[1] for other in fold.validation.tolist())
    return Leakage(*counts)


@st.composite
def divided_samples(draw: Callable[..., Any]) -> tuple[Samples, Fold]:
    """Samples so few, short and alike that records, windows and values often meet."""
    count = draw(st.integers(3, 14))

    def column(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.lists(values, min_size=count, max_size=count))

    # Zero and minus zero are equal numbers but not equal bytes.
    levels = np.array([0.0, -0.0, 0.5, 1.0], dtype=np.float32)
    samples = build_samples(
        np.zeros((count, 2)),
        [0] * count,
        ["N"] * count,
        ["N"] * count,
        record=column(st.sampled_from(["", "a", "b", "record c"])),
        start=column(st.integers(-1, 12)),
        extent=column(st.integers(1, 6)),
    )
    values = levels[np.array(column(st.tuples(st.integers(0, 3), st.integers(0, 3))))]
    part = np.array(column(st.sampled_from([*PARTS, "none"])))
    # A fold without training samples is none.
    part[draw(st.integers(0, count - 1))] = "training"
    fold = Fold(*(np.flatnonzero(part == name) for name in PARTS))
    return replace(samples, values=values[:, np.newaxis, :]), fold


@given(divided=divided_samples())
def test_counts_are_those_of_comparing_every_test_with_every_training_sample(
    divided: tuple[Samples, Fold],
) -> None:
    samples, fold = divided
    assert count_leakage(samples, fold) == by_comparing_all(samples, fold)


def same_window(samples: Samples, fold: Fold) -> set[tuple[str, int, int]]:
    """Records, starts and extents that two parts have in common."""
    seen = [
        {
            (str(samples.record[i]), int(samples.start[i]), int(samples.extent[i]))
            for i in getattr(fold, part)
            if samples.record[i] != "" and samples.start[i] >= 0
        }
        for part in PARTS
    ]
    return (seen[0] & seen[1]) | (seen[0] & seen[2]) | (seen[1] & seen[2])


@given(divided=divided_samples())
def test_folds_are_counted_if_no_window_is_in_two_parts_and_else_refused(
    divided: tuple[Samples, Fold],
) -> None:
    samples, fold = divided
    twice = same_window(samples, fold)
    if not twice:
        assert refuse_leakage(samples, one_fold(fold)) == (count_leakage(samples, fold),)
        return
    said = refusal(samples, one_fold(fold))
    assert any(f"record {record!r}, from {start}," in said for record, start, _ in twice)


@pytest.fixture
def apart() -> tuple[Samples, Fold]:
    """Nine samples of a record and a patient each, two in every part."""
    names = [f"u{i}" for i in range(9)]
    samples = build_samples(
        np.arange(18).reshape(9, 2) / 18,
        [0] * 6 + [1] * 3,
        ["N"] * 6 + ["V"] * 3,
        ["N"] * 6 + ["V"] * 3,
        record=names,
        patient=names,
        start=[10] * 9,
        extent=[5] * 9,
    )
    return samples, Fold(np.array([0, 1]), np.array([2, 6]), np.array([3, 7]))


def renamed(samples: Samples, what: str, sample: int, like: int) -> Samples:
    names = getattr(samples, what).copy()
    names[sample] = names[like]
    return replace(samples, **{what: names})


TWO_PARTS = [
    (1, 2, "training and in validation"),
    (0, 7, "training and in test"),
    (6, 3, "validation and in test"),
]


def test_nothing_shared_is_nothing_counted(apart: tuple[Samples, Fold]) -> None:
    samples, fold = apart
    for protocol in ("paper", "kfold", "inter_patient"):
        assert refuse_leakage(samples, one_fold(fold, protocol)) == (Leakage(0, 0, 0, 0),)


@pytest.mark.parametrize(("first", "second", "parts"), TWO_PARTS)
def test_a_sample_in_two_parts_is_refused(
    first: int, second: int, parts: str, apart: tuple[Samples, Fold]
) -> None:
    samples, fold = apart
    members = {part: getattr(fold, part).copy() for part in PARTS}
    for index in members.values():
        index[index == second] = first
    broken = Fold(**{part: np.sort(index) for part, index in members.items()})
    said = refusal(samples, one_fold(broken, earlier=(fold,)))
    assert said.startswith(f"split: fold 1: sample {first} is in {parts};")


@pytest.mark.parametrize(("first", "second", "parts"), TWO_PARTS)
def test_a_window_in_two_parts_is_refused_under_every_protocol(
    first: int, second: int, parts: str, apart: tuple[Samples, Fold]
) -> None:
    samples, fold = apart
    same = renamed(samples, "record", second, first)
    for protocol in ("paper", "kfold", "inter_patient"):
        said = refusal(same, one_fold(fold, protocol))
        assert said.startswith(f"split: fold 0: samples {first} and {second} are the same window")
        assert f"of record 'u{first}', from 10, and are in {parts};" in said
    unknown = replace(same, start=np.full(9, -1))
    assert len(refuse_leakage(unknown, one_fold(fold))) == 1


@pytest.mark.parametrize("what", ["record", "patient"])
@pytest.mark.parametrize(("first", "second", "parts"), TWO_PARTS)
def test_a_record_or_a_patient_in_two_parts_is_refused_under_inter_patient_alone(
    what: str, first: int, second: int, parts: str, apart: tuple[Samples, Fold]
) -> None:
    samples, fold = apart
    # Far from each other in the record that they share.
    same = renamed(replace(samples, start=100 * np.arange(9)), what, second, first)
    said = refusal(same, one_fold(fold, "inter_patient"))
    assert said.startswith(
        f"split.protocol inter_patient: fold 0: {what} 'u{first}' is in {parts}"
        f" (samples {first} and {second});"
    )
    counted = int(what == "record" and parts == "training and in test")
    for protocol in ("paper", "kfold"):
        assert refuse_leakage(same, one_fold(fold, protocol)) == (Leakage(counted, 0, 0, 0),)


@pytest.mark.parametrize("what", ["record", "patient"])
def test_patients_and_records_that_are_unknown_are_not_known_to_be_apart(
    what: str, apart: tuple[Samples, Fold]
) -> None:
    samples, fold = apart
    unknown = replace(samples, **{what: np.full(9, "")})
    assert f"{what} '' is in" in refusal(unknown, one_fold(fold, "inter_patient"))
    assert refuse_leakage(unknown, one_fold(fold)) == (Leakage(0, 0, 0, 0),)


def test_windows_that_touch_do_not_overlap(apart: tuple[Samples, Fold]) -> None:
    samples, fold = apart
    one = replace(samples, record=np.full(9, "r"))
    for distance, expected in ((4, 2), (5, 0), (6, 0)):
        start = np.full(9, 500)
        start[fold.training] = [10, 100]
        start[fold.test] = [10 + distance, 100 - distance]
        found = count_leakage(replace(one, start=start), fold)
        assert found == Leakage(2, expected, 0, 0), distance


def test_a_window_without_points_overlaps_nothing_and_is_no_other_one(
    apart: tuple[Samples, Fold],
) -> None:
    samples, fold = apart
    start, extent = np.full(9, 500), np.full(9, 5)
    start[fold.training], start[fold.test] = [10, 100], [12, 102]
    extent[fold.test] = 0
    one = replace(samples, record=np.full(9, "r"), start=start, extent=extent)
    assert count_leakage(one, fold) == Leakage(2, 0, 0, 0)
    empty = replace(one, start=np.full(9, 10), extent=np.zeros(9, np.int64))
    assert refuse_leakage(empty, one_fold(fold)) == (Leakage(2, 0, 0, 0),)


def test_a_long_window_overlaps_though_later_ones_have_ended(apart: tuple[Samples, Fold]) -> None:
    samples, _ = apart
    one = replace(
        samples,
        record=np.full(9, "r"),
        start=np.array([0, 10, 20, 80, 100, 0, 0, 0, 0]),
        extent=np.array([90, 5, 5, 5, 5, 1, 1, 1, 1]),
    )
    fold = Fold(np.array([0, 1, 2]), np.array([5]), np.array([3, 4]))
    assert count_leakage(one, fold) == Leakage(2, 1, 0, 0)


def test_windows_that_overlap_those_of_validation_are_counted_apart(
    apart: tuple[Samples, Fold],
) -> None:
    samples, fold = apart
    start = np.array([500 + 100 * i for i in range(9)])
    start[fold.test[0]] = start[fold.validation[0]] + 4
    one = replace(samples, record=np.full(9, "r"), start=start)
    assert count_leakage(one, fold) == Leakage(2, 0, 0, 1)


@pytest.mark.parametrize("protocol", ["paper", "kfold", "inter_patient"])
def test_generated_beats_pass_the_gate(protocol: str, tmp_path: Path) -> None:
    samples = load(SyntheticSettings(length=32, beats_per_patient=30), tmp_path, 0, tmp_path)
    splits = make_splits(samples, SplitSettings(protocol=protocol, folds=2), 0)
    found = refuse_leakage(samples, splits)
    assert found == tuple(by_comparing_all(samples, fold) for fold in splits.folds)
    assert all(
        (leakage.records_in_training > 0) == (protocol != "inter_patient") for leakage in found
    )


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["paper", "kfold", "inter_patient"])
def test_heartbeats_of_people_kept_apart_share_nothing_and_others_most(
    protocol: str, mitbih: Samples
) -> None:
    splits = make_splits(mitbih, SplitSettings(protocol=protocol, folds=3), 0)
    for fold, leakage in zip(splits.folds, refuse_leakage(mitbih, splits), strict=True):
        recorded = np.isin(mitbih.record[fold.test], mitbih.record[fold.training])
        assert leakage.records_in_training == recorded.sum()
        for part in ("training", "validation"):
            counted = getattr(leakage, f"windows_overlapping_{part}")
            assert counted == marked_overlaps(mitbih, fold, part)
        assert leakage.duplicates_of_training == 0
        if protocol == "inter_patient":
            assert leakage == Leakage(0, 0, 0, 0)
        else:
            assert leakage.windows_overlapping_training > 0.5 * len(fold.test)


def marked_overlaps(samples: Samples, fold: Fold, part: str) -> int:
    """Test windows over positions of the records that windows of a part have marked."""
    longest = int((samples.start + samples.extent).max())
    marked = {str(name): np.zeros(longest, dtype=bool) for name in np.unique(samples.record)}
    windows = list(zip(samples.record, samples.start, samples.start + samples.extent, strict=True))
    for record, start, stop in (windows[i] for i in getattr(fold, part)):
        marked[str(record)][start:stop] = True
    tested = (windows[i] for i in fold.test)
    return sum(bool(marked[str(record)][start:stop].any()) for record, start, stop in tested)


def test_no_wafer_is_there_twice(real_wafer: Path, tmp_path: Path) -> None:
    samples = load(WaferSettings(), real_wafer, 0, tmp_path)
    assert len(np.unique(samples.values[:, 0], axis=0)) == len(samples)
    splits = make_splits(samples, SplitSettings(protocol="paper", folds=5), 0)
    assert refuse_leakage(samples, splits) == (Leakage(0, 0, 0, 0),) * 5
