import numpy as np

from study.data.beat_settings import PublishedWindow
from study.data.beats import beat_spans, cut_windows, median_intervals, peak_positions

PUBLISHED = PublishedWindow()


def cut(signal, peaks):
    """Published windows `(n, 187)`, and where they lie."""
    spans = beat_spans(PUBLISHED, peaks, len(signal))
    return cut_windows(signal, spans, PUBLISHED, "beat"), spans


def test_the_nominal_period_is_the_median_within_ten_seconds():
    # Two windows of 1250: three beats (intervals 100, 300) and two (interval 120). The
    # interval across the border counts in neither.
    peaks = np.array([100, 200, 500, 1300, 1420])
    assert median_intervals(peaks).tolist() == [200.0, 200.0, 200.0, 120.0, 120.0]


def test_a_lonely_beat_takes_the_median_of_the_record():
    peaks = np.array([100, 200, 310, 1300])
    assert median_intervals(peaks).tolist() == [105.0, 105.0, 105.0, 110.0]


def test_a_beat_runs_over_1_2_periods_and_the_last_one_is_left_out():
    signal = np.random.default_rng(0).normal(size=1000)
    peaks = np.array([10, 110, 210, 310])
    values, spans = cut(signal, peaks)
    assert spans.start.tolist() == [10, 110, 210]
    assert spans.extent.tolist() == [120, 120, 120]
    for start, row in zip(spans.start, values, strict=True):
        segment = signal[start : start + 120]
        scaled = (segment - min(segment)) / (max(segment) - min(segment))
        np.testing.assert_allclose(row[:120], scaled, atol=1e-12)
        assert not row[120:].any()


def test_long_beats_end_at_187_and_late_ones_with_the_record():
    signal = np.arange(1000, dtype=float)
    values, spans = cut(signal, np.array([0, 180, 950, 990]))
    assert spans.extent.tolist() == [187, 187, 50]
    assert values[2, 49] == 1.0
    assert values[2, 50] == 0.0


def test_a_flat_segment_is_zero():
    values, spans = cut(np.full(500, 3.5), np.array([0, 100, 200]))
    assert not values.any()
    assert spans.extent.tolist() == [120, 120]


def test_a_record_of_one_beat_has_no_sample():
    assert cut(np.zeros(500), np.array([100]))[0].shape == (0, 187)


def test_peaks_move_to_the_nearest_sample():
    assert peak_positions(np.array([0, 360, 361, 362, 649_999]), 360, 125).tolist() == [
        0, 125, 125, 126, 225_694,
    ]  # fmt: skip
