from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from study.data.assembly import build_samples
from study.data.coverage import covered_seconds
from study.data.samples import Samples

windows = st.lists(
    st.tuples(st.sampled_from(["", "100", "101"]), st.integers(-1, 40), st.integers(1, 20)),
    min_size=1,
    max_size=30,
)


def samples_with(drawn: list[tuple[str, int, int]]) -> Samples:
    record, start, extent = zip(*drawn, strict=True)
    count = len(drawn)
    return build_samples(
        np.zeros((count, 32)), [0] * count, ["N"] * count, ["N"] * count, record=record,
        start=start, extent=extent, sampling_rate_hz=10.0,
    )  # fmt: skip


@given(windows, st.data())
def test_the_sum_over_a_record_is_the_union_of_its_windows(
    drawn: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    indices = st.lists(st.sampled_from(range(len(drawn))), unique=True)
    members = np.array(data.draw(indices), dtype=np.int64)
    seconds = covered_seconds(samples_with(drawn), members)
    assert seconds is not None
    known = np.array([drawn[m][0] != "" and drawn[m][1] >= 0 for m in members], dtype=bool)
    assert np.array_equal(np.isnan(seconds), ~known)
    for record in ("100", "101"):
        chosen = [m for m in members if drawn[m][0] == record and drawn[m][1] >= 0]
        union = {t for m in chosen for t in range(drawn[m][1], drawn[m][1] + drawn[m][2])}
        of_record = np.array([drawn[m][0] == record for m in members], dtype=bool)
        np.testing.assert_allclose(seconds[of_record & known].sum(), len(union) / 10)


def test_without_a_rate_nothing_is_known() -> None:
    samples = replace(samples_with([("100", 0, 5)]), sampling_rate_hz=0.0)
    assert covered_seconds(samples, np.array([0])) is None
