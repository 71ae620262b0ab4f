import numpy as np
import pytest

from study.data.beat_settings import PublishedWindow
from study.data.beats import beat_spans, cut_windows, peak_positions
from study.data.mitbih_records import (
    DS2,
    PACED_RECORDS,
    patient_of,
    read_record,
    record_names,
    side_of,
)
from study.data.resampling import resample_rate
from study.errors import RequestError


def test_the_first_columns_have_the_published_means(real_mitdb):
    # The published reading is not known to the last detail: near, not equal. Scaling
    # whole windows would be off by 0.07.
    published, rows = PublishedWindow(), []
    for name in record_names():
        record = read_record(real_mitdb / name)
        signal = resample_rate(record.signal, 360, 125)
        peaks = peak_positions(record.position, 360, 125)
        spans = beat_spans(published, peaks, len(signal))
        rows.append(cut_windows(signal, spans, published, "beat"))
    expected = [0.89, 0.76, 0.42, 0.22, 0.20, 0.21]
    first = np.concatenate(rows)[:, :6]
    assert len(first) == 109_446
    np.testing.assert_allclose(first.mean(axis=0), expected, atol=0.04)


def test_the_standard_ds2_has_22_records_and_leaves_201_out():
    """What `dataset.ds2` is by default, and what de Chazal et al. tested on."""
    sides = {
        form: {r: side_of(r, form) for r in record_names()} for form in ("without_202", "standard")
    }
    standard, default = sides["standard"], sides["without_202"]
    assert {r for r in standard if standard[r] == "test"} == set(DS2)
    assert len(DS2) == 22
    assert {r for r in standard if standard[r] == "excluded"} == {*PACED_RECORDS, "201"}
    assert {r for r in standard if standard[r] != default[r]} == {"201", "202"}
    for division in sides.values():
        people = {
            side: {patient_of(r) for r, s in division.items() if s == side}
            for side in ("train", "test")
        }
        assert not people["train"] & people["test"]


def test_a_beat_after_the_end_of_the_signal_is_named(write_record):
    path = write_record(np.sin(np.arange(3600) / 20), [100, 3600], ["N", "N"])
    with pytest.raises(RequestError, match=r"r1: .*past the signal's end"):
        read_record(path)
