import numpy as np
import pytest
from scipy.integrate import solve_ivp

from study.data.ecg_model import (
    ABNORMAL_KINDS,
    MODEL_RATE_HZ,
    Morphology,
    draw_kinds,
    integrate,
    patient_morphology,
    rr_intervals,
)


def test_integration_solves_the_papers_three_equations():
    one = patient_morphology(np.random.default_rng(0))
    beats = Morphology(*(np.tile(part, (4, 1)) for part in (one.angle, one.amplitude, one.width)))
    # One second per beat: the angular speed is 2 pi and heart rate changes no event.
    peaks = np.array([0.0, 1.0, 2.0, 3.0])
    z = integrate(peaks, beats, 3.0)

    def slope(time, state):
        x, y, z = state
        alpha, omega = 1 - np.hypot(x, y), 2 * np.pi
        theta = np.arctan2(y, x)
        offset = (theta - one.angle + np.pi) % (2 * np.pi) - np.pi
        push = -(one.amplitude * offset * np.exp(-(offset**2) / (2 * one.width**2))).sum()
        baseline = 0.005 * np.sin(2 * np.pi * 0.25 * time)
        return alpha * x - omega * y, alpha * y + omega * x, push - (z - baseline)

    time = np.arange(len(z)) / MODEL_RATE_HZ
    solved = solve_ivp(slope, (0, 3), (1.0, 0.0, z[0]), t_eval=time, max_step=0.002)
    assert np.abs(z - solved.y[2]).max() < 0.002 * np.ptp(z)


def test_intervals_have_power_at_the_two_named_frequencies():
    intervals = rr_intervals(2000, 0.8, 0.03, np.random.default_rng(0))
    assert intervals.mean() == pytest.approx(0.8, abs=0.01)
    assert intervals.std() == pytest.approx(0.03, rel=0.2)
    power = np.abs(np.fft.rfft(intervals - intervals.mean())) ** 2
    frequency = np.fft.rfftfreq(len(intervals), d=0.8)
    near = [power[np.abs(frequency - centre) < 0.03].sum() for centre in (0.1, 0.25)]
    assert sum(near) > 0.95 * power.sum()
    assert near[0] / near[1] == pytest.approx(0.5, rel=0.5)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_abnormal_kinds_share_the_abnormal_beats(fraction):
    kinds = draw_kinds(200, fraction, np.random.default_rng(0))
    assert (kinds != "normal").sum() == 200 * fraction
    counts = [(kinds == kind).sum() for kind in ABNORMAL_KINDS]
    assert max(counts) - min(counts) <= 1
