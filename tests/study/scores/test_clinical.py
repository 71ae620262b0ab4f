import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.scores.clinical import BEAT_CLASSES, KINDS, Beats, ClinicalRow, clinical_rows
from study.scores.decisions import Decisions

beats = st.lists(
    st.tuples(st.sampled_from(["100", "232", "233"]), st.sampled_from(KINDS), st.booleans()),
    min_size=1,
    max_size=60,
)
Drawn = Sequence[tuple[str, str, bool]]


def rows_of(drawn: Drawn, seconds: float = 0.9, apart: Sequence[str] = ()) -> list[ClinicalRow]:
    record, kind, called = (np.array(column) for column in zip(*drawn, strict=True))
    decisions = Decisions((kind != "N").astype(np.int8), called * 1.0, called.astype(np.int8))
    known = Beats.of(record, kind, np.full(len(drawn), seconds))
    return list(clinical_rows(decisions, known, apart))


def by_hand(drawn: Drawn, beat_class: str) -> dict[str, float]:
    """The matrix of de Chazal et al. of a classifier that calls every alarm `beat_class`."""
    called = {kind: sum(c for _, k, c in drawn if k == kind) for kind in KINDS}
    total = {kind: sum(k == kind for _, k, _ in drawn) for kind in KINDS}
    if beat_class == "VEB":
        hits, beats, strict = called["V"], total["V"], called["N"] + called["S"]
    elif beat_class == "SVEB":
        hits, beats = called["S"], total["S"]
        strict = called["N"] + called["V"] + called["F"]
    else:
        hits, beats = (counts["S"] + counts["V"] + counts["F"] for counts in (called, total))
        strict = called["N"]
    nan = math.nan
    return {
        "beats": beats,
        "detected": hits,
        "sensitivity": hits / beats if beats else nan,
        "false_alarms": called["N"],
        "positive_predictivity": hits / (hits + called["N"]) if hits + called["N"] else nan,
        "positive_predictivity_strict": hits / (hits + strict) if hits + strict else nan,
    }


@given(beats)
def test_rows_are_those_of_counting_by_hand(drawn: Drawn) -> None:
    records = sorted({record for record, _, _ in drawn})
    rows = {(row.records, row.beat_class): row for row in rows_of(drawn, apart=("232", "999"))}
    names = ["all", *records]
    if "232" in records and len(records) > 1:
        names.append("without 232")
    assert {name for name, _ in rows} == set(names)
    for name in names:
        chosen = [
            each
            for each in drawn
            if name == "all" or each[0] == name or (name == "without 232" and each[0] != "232")
        ]
        for beat_class in BEAT_CLASSES:
            row = rows[name, beat_class]
            expected = by_hand(chosen, beat_class)
            assert {n: getattr(row, n) for n in expected} == pytest.approx(expected, nan_ok=True)
            hours = 0.9 * len(chosen) / 3600
            assert row.hours == pytest.approx(hours)
            assert row.false_alarms_per_hour == pytest.approx(expected["false_alarms"] / hours)


def test_paced_and_fusion_beats_count_as_the_standard_says() -> None:
    drawn = [("1", kind, True) for kind in "NSVFQ"]
    by_class = {row.beat_class: row for row in rows_of(drawn) if row.records == "all"}
    assert by_class["VEB"].positive_predictivity_strict == 1 / 3  # V of N, S, V; not F, Q
    assert by_class["SVEB"].positive_predictivity_strict == 1 / 4  # S of N, S, V, F; not Q
    assert by_class["abnormal"].beats == 3
    assert {row.positive_predictivity for row in by_class.values()} == {1 / 2, 3 / 4}


def test_what_is_not_known_is_nan() -> None:
    (row, *_) = rows_of([("1", "N", False)], seconds=math.nan)
    assert (row.beats, row.false_alarms) == (0, 0)
    for value in (row.sensitivity, row.positive_predictivity, row.false_alarms_per_hour):
        assert math.isnan(value)


def test_kinds_of_other_data_are_refused() -> None:
    with pytest.raises(ValueError, match="found 'ventricular'"):
        Beats.of(np.array(["1"]), np.array(["ventricular"]), np.ones(1))
