import numpy as np
import pytest
from scipy.signal import butter, filtfilt, lfilter

from study.data.amplitude import (
    learning,
    qrs_heights,
    relative_to_record,
    typical_height,
    unit_range,
    without_baseline,
)

RATE = 100


def heart(seconds: int, height: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Narrow peaks every 0.8 s on a wandering baseline, and where they are."""
    time = np.arange(seconds * RATE) / RATE
    peaks = np.arange(50, seconds * RATE - 50, 80)
    signal = 0.3 * np.sin(2 * np.pi * 0.05 * time) + 5.0
    for peak in peaks:
        signal += height * np.exp(-(((np.arange(len(time)) - peak) / 2) ** 2))
    return signal, peaks


def test_the_baseline_is_removed_as_scipy_does_with_the_transfer_function() -> None:
    # Coefficients in place of sections: another road, good enough at order 2.
    signal, _ = heart(60)
    numerator, denominator = butter(2, 0.5, "highpass", fs=RATE)
    expected = filtfilt(numerator, denominator, signal, padlen=9)
    found = without_baseline(signal, RATE, "record")
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert abs(found.mean()) < 0.01


def test_the_one_sided_filter_starts_as_if_the_first_value_had_always_been_there() -> None:
    signal, _ = heart(60)
    numerator, denominator = butter(2, 0.5, "highpass", fs=RATE)
    expected = lfilter(numerator, denominator, np.concatenate([np.full(9000, signal[0]), signal]))
    found = without_baseline(signal, RATE, "first_minutes")
    np.testing.assert_allclose(found, expected[9000:], atol=1e-8)


def test_first_minutes_are_causal_from_minute_five_on() -> None:
    signal, peaks = heart(340)
    before = relative_to_record(signal, peaks, RATE, "first_minutes")
    changed = signal.copy()
    changed[330 * RATE :] *= 7
    after = relative_to_record(changed, peaks, RATE, "first_minutes")
    np.testing.assert_array_equal(before[: 330 * RATE], after[: 330 * RATE])
    assert (relative_to_record(changed, peaks, RATE, "record")[:100] != before[:100]).any()


@pytest.mark.parametrize("amplitude", ["record", "first_minutes"])
def test_the_gain_of_the_amplifier_makes_no_difference(amplitude) -> None:
    signal, peaks = heart(30)
    found = [relative_to_record(gain * signal, peaks, RATE, amplitude) for gain in (1.0, 200.0)]
    np.testing.assert_allclose(*found, atol=1e-9)
    assert np.median(qrs_heights(found[0], peaks, RATE)) == pytest.approx(1.0)


def test_heights_are_those_within_a_tenth_of_a_second_and_at_the_ends_of_what_there_is() -> None:
    level = np.zeros(100)
    level[[0, 45, 65]] = [3.0, -1.0, 9.0]  # 45 is 0.05 s from 50, and 65 is 0.15 s
    assert qrs_heights(level, np.array([2, 50, 99]), RATE).tolist() == [3.0, 1.0, 0.0]
    assert qrs_heights(level[40:80], np.array([50]), RATE, first=40).tolist() == [1.0]


def test_a_flat_record_is_its_baseline() -> None:
    assert typical_height(np.zeros(3)) == 1.0
    flat = relative_to_record(np.full(400, 2.5), np.array([100, 200]), RATE, "record")
    np.testing.assert_allclose(unit_range(flat), 0.35)


def test_the_range_is_clipped() -> None:
    assert unit_range(np.array([-9.0, 0.0, 1.0, 9.0])).tolist() == [0.0, 0.35, 0.75, 1.0]


def test_a_record_of_few_values_is_filtered_too() -> None:
    assert without_baseline(np.array([1.0, 2.0]), RATE, "record").shape == (2,)


def test_a_record_is_learned_from_all_of_it_or_from_five_minutes() -> None:
    peaks = np.array([1000, 2000, 30_999, 31_000, 50_000])
    assert learning(peaks, RATE, "record").all()
    assert learning(peaks, RATE, "first_minutes").tolist() == [True, True, True, False, False]
