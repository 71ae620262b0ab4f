import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, filtfilt, resample_poly

from study.data.beat_settings import CentredWindow, PublishedWindow
from study.data.beats import (
    abnormal_neighbours,
    beat_spans,
    cut_beats,
    cut_windows,
    median_intervals,
    peak_positions,
)
from study.data.synthetic import SyntheticSettings

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


CENTRED = CentredWindow(before=0.2, after=0.12, rate=100)


def test_a_centred_window_is_the_stretch_around_r_and_repeats_the_ends_of_the_record():
    signal = np.random.default_rng(0).normal(size=300)
    peaks = np.array([5, 100, 292, 298])
    spans = beat_spans(CENTRED, peaks, 300)
    assert spans.begin.tolist() == [-15, 80, 272]
    assert spans.start.tolist() == [0, 80, 272]
    assert spans.extent.tolist() == [17, 32, 28]
    values = cut_windows(signal, spans, CENTRED, "record")
    stretches = [
        np.concatenate([np.full(15, signal[0]), signal[:17]]),
        signal[80:112],
        np.concatenate([signal[272:], np.full(4, signal[299])]),
    ]
    expected = np.clip(0.35 + 0.4 * np.array(stretches), 0, 1)
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert values[1, 20] == expected[1, 20]  # R


def test_windows_of_a_part_of_a_signal_are_those_of_the_whole():
    signal = np.random.default_rng(1).normal(size=400)
    peaks = np.array([60, 150, 210, 330, 390])
    for window in (CENTRED, PUBLISHED):
        spans = beat_spans(window, peaks, 400).take(np.array([1, 2]))
        first, last = int(spans.start.min()), int((spans.start + spans.extent).max())
        np.testing.assert_array_equal(
            cut_windows(signal[first:last], spans, window, "beat", first),
            cut_windows(signal, spans, window, "beat"),
        )


def test_the_recipe_of_a_centred_window_step_by_step():
    # The same steps on the whole record with other functions of SciPy, and one beat at a time.
    random = np.random.default_rng(2)
    signal = 0.4 * np.sin(np.arange(7200) / 900) + random.normal(scale=0.2, size=7200)
    position = np.sort(random.choice(np.arange(200, 7000), 20, replace=False))
    signal[position] += 2
    settings = SyntheticSettings(window=CentredWindow(), amplitude="record")
    found = cut_beats(signal, 360, position, np.zeros(20, dtype=bool), settings)

    level = filtfilt(
        *butter(2, 0.5, "highpass", fs=100), resample_poly(signal, 5, 18, padtype="line")
    )
    peaks = [int(each * 100 / 360 + 0.5) for each in position.tolist()]
    heights = [np.ptp(level[max(peak - 10, 0) : peak + 11]) for peak in peaks]
    expected = []
    for peak in peaks[:-1]:
        inside = [min(max(at, 0), len(level) - 1) for at in range(peak - 90, peak + 70)]
        expected.append(np.clip(0.35 + 0.4 * level[inside] / np.median(heights), 0, 1))
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.values.shape == (19, 160)


@given(
    distances=st.lists(st.integers(1, 40), min_size=2, max_size=12),
    kinds=st.lists(st.booleans(), min_size=12, max_size=12),
)
@pytest.mark.parametrize("window", [PUBLISHED, CENTRED])
def test_abnormal_neighbours_are_those_of_looking_at_every_other_beat(window, distances, kinds):
    peaks = np.cumsum(distances)
    abnormal = np.array(kinds[: len(peaks)])
    spans = beat_spans(window, peaks, int(peaks[-1]) + 3)
    expected = [
        any(
            abnormal[other]
            and spans.start[own] <= peaks[other] < spans.start[own] + spans.extent[own]
            for other in range(len(peaks))
            if other != own
        )
        for own in range(len(peaks) - 1)
    ]
    assert abnormal_neighbours(spans, peaks, abnormal).tolist() == expected
