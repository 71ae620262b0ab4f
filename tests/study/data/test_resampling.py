from fractions import Fraction

import numpy as np
import pytest

from study.data.resampling import (
    downsample_rows,
    fit_length,
    interpolate_rows,
    positions_of,
    resample_rate,
    resample_span,
    resampled_length,
    scale_rows,
)


def lttb(row: np.ndarray, count: int) -> list[float]:
    """Largest triangle three buckets after Steinarsson, position by position."""
    step = (len(row) - 2) / (count - 2)
    chosen = [0]
    for bucket in range(count - 2):
        first, last = int(step * bucket) + 1, int(step * (bucket + 1)) + 1
        following = range(last, min(int(step * (bucket + 2)) + 1, len(row)))
        mean_x = sum(following) / len(following)
        mean_y = sum(float(row[n]) for n in following) / len(following)
        x, y = chosen[-1], float(row[chosen[-1]])
        areas = [
            abs((x - mean_x) * (float(row[n]) - y) - (x - n) * (mean_y - y))
            for n in range(first, last)
        ]
        chosen.append(first + areas.index(max(areas)))
    return [float(row[n]) for n in [*chosen, len(row) - 1]]


@pytest.mark.parametrize("count", [32, 64, 96, 160])
def test_downsampling_is_largest_triangle_three_buckets(count):
    rows = np.random.default_rng(0).normal(size=(20, 187))
    found = downsample_rows(rows, count)
    for row, short in zip(rows, found, strict=True):
        assert short.tolist() == lttb(row, count)


def test_interpolation_is_the_straight_line_between_neighbours():
    row = np.array([0.0, 1.0, 4.0, 9.0])
    found = interpolate_rows(row[np.newaxis], 7)[0]
    for n, value in enumerate(found):
        position = n * 3 / 6
        left = min(int(position), 2)
        expected = row[left] + (position - left) * (row[left + 1] - row[left])
        assert value == pytest.approx(expected, abs=1e-12)


def test_both_ends_survive_interpolation():
    rows = np.random.default_rng(0).normal(size=(5, 152))
    found = interpolate_rows(rows, 160)
    np.testing.assert_array_equal(found[:, [0, -1]], rows[:, [0, -1]])
    assert interpolate_rows(rows, 152) is rows


def test_fitting_downsamples_what_is_longer_and_interpolates_the_rest():
    rows = np.random.default_rng(0).normal(size=(2, 187))
    np.testing.assert_array_equal(fit_length(rows, 160), downsample_rows(rows, 160))
    np.testing.assert_array_equal(fit_length(rows, 192), interpolate_rows(rows, 192))


def test_rows_are_scaled_by_their_own_limits_and_constant_rows_are_zero():
    rows = np.array([[1.0, 3.0, 2.0], [-5.0, -5.0, -5.0], [0.0, 10.0, 2.5]])
    expected = [[0.0, 1.0, 0.5], [0.0, 0.0, 0.0], [0.0, 1.0, 0.25]]
    assert scale_rows(rows).tolist() == expected


def test_a_slow_wave_keeps_its_place_at_another_rate():
    time = np.arange(3600) / 360
    found = resample_rate(np.sin(2 * np.pi * 3 * time), 360, 125)
    assert len(found) == 1250
    expected = np.sin(2 * np.pi * 3 * np.arange(1250) / 125)
    # The filter needs some samples at both ends.
    np.testing.assert_allclose(found[30:-30], expected[30:-30], atol=0.01)


def test_a_wave_above_the_new_limit_is_removed():
    time = np.arange(3600) / 360
    found = resample_rate(np.sin(2 * np.pi * 110 * time), 360, 125)
    assert np.abs(found[30:-30]).max() < 0.01


@pytest.mark.parametrize(("old", "new"), [(360, 125), (125, 125), (100, 125), (1000, 125)])
@pytest.mark.parametrize("length", [2, 50, 3001])
def test_a_span_is_what_the_whole_signal_gives_there(old, new, length):
    signal = np.random.default_rng(length).normal(size=length) + np.arange(length) / 100
    ratio, read = Fraction(new, old), []

    def part(start, stop):
        assert 0 <= start < stop <= length
        read.append(stop - start)
        return signal[start:stop]

    whole = resample_rate(signal, old, new)
    assert len(whole) == resampled_length(length, ratio)
    for start in sorted({0, len(whole) // 3, len(whole) - 1}):
        stop = min(start + 40, len(whole))
        found = resample_span(part, length, ratio, start, stop)
        np.testing.assert_allclose(found, whole[start:stop], rtol=0, atol=1e-9)
    assert max(read) < 40 * old / new + 300


@pytest.mark.parametrize("length", [96, 187, 224])
def test_positions_are_where_values_come_from(length):
    rows = np.random.default_rng(0).random((5, 187))
    positions = positions_of(rows, length)
    expected = [np.interp(p, np.arange(187), row) for p, row in zip(positions, rows, strict=True)]
    np.testing.assert_allclose(fit_length(rows, length), expected, rtol=0, atol=1e-12)
    assert (np.diff(positions) > 0).all()
