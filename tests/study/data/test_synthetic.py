import numpy as np
import pytest
from scipy.integrate import solve_ivp
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from study.data.synthetic import (
    ABNORMAL_KINDS,
    MODEL_RATE_HZ,
    Morphology,
    SyntheticSettings,
    draw_kinds,
    integrate,
    patient_morphology,
    prepare,
    rr_intervals,
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return prepare(SyntheticSettings(), tmp_path_factory.mktemp("none"), 0)


def test_the_default_has_its_patients_beats_and_kinds(samples):
    assert samples.values.shape == (960, 1, 160)
    assert samples.label.mean() == pytest.approx(0.2)
    assert set(samples.kind) == {"normal", *ABNORMAL_KINDS}
    names, counts = np.unique(samples.patient, return_counts=True)
    assert len(names) == 8
    assert set(counts) == {120}
    assert len(set(samples.patient[samples.side == "train"])) == 4
    assert not set(samples.patient[samples.side == "train"]) & set(
        samples.patient[samples.side == "test"]
    )


def test_a_seed_gives_one_set_and_patients_have_streams_of_their_own(samples, tmp_path):
    fewer = prepare(SyntheticSettings(patients=2), tmp_path, 0)
    np.testing.assert_array_equal(fewer.values, samples.values[:240])
    other = prepare(SyntheticSettings(patients=2), tmp_path, 1)
    assert np.abs(other.values - fewer.values).max() > 0.1


def test_integration_solves_the_papers_three_equations():
    one = patient_morphology(np.random.default_rng(0))
    beats = Morphology(*(np.tile(part, (4, 1)) for part in (one.angle, one.amplitude, one.width)))
    # One second per beat: the angular speed is 2 pi and heart rate changes no event.
    peaks = np.array([0.0, 1.0, 2.0, 3.0])
    found = integrate(peaks, beats, 3.0)

    def slope(time, state):
        x, y, z = state
        alpha, omega = 1 - np.hypot(x, y), 2 * np.pi
        theta = np.arctan2(y, x)
        offset = (theta - one.angle + np.pi) % (2 * np.pi) - np.pi
        push = -(one.amplitude * offset * np.exp(-(offset**2) / (2 * one.width**2))).sum()
        baseline = 0.005 * np.sin(2 * np.pi * 0.25 * time)
        return alpha * x - omega * y, alpha * y + omega * x, push - (z - baseline)

    time = np.arange(len(found)) / MODEL_RATE_HZ
    solved = solve_ivp(slope, (0, 3), (1.0, 0.0, found[0]), t_eval=time, max_step=0.002)
    assert np.abs(found - solved.y[2]).max() < 0.002 * np.ptp(found)


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


def test_early_beats_come_early(samples):
    beats = samples.patient == "patient001"
    kind, before = samples.kind[beats][1:], np.diff(samples.start[beats])
    early = np.isin(kind, ["ventricular", "supraventricular"])
    assert before[early].mean() < 0.85 * before[kind == "normal"].mean()


def test_kinds_are_separable_but_not_trivially(samples):
    # Reconstruction from ten components of normal beats: better than chance, not perfect.
    values = samples.values[:, 0]
    normal = np.random.default_rng(0).permutation(np.flatnonzero(samples.label == 0))
    training, rest = normal[:600], np.setdiff1d(np.arange(len(values)), normal[:600])
    model = PCA(10, random_state=0).fit(values[training])
    rebuilt = model.inverse_transform(model.transform(values))
    error = ((rebuilt - values) ** 2).mean(axis=1)
    assert 0.7 < roc_auc_score(samples.label[rest], error[rest]) < 0.98


@pytest.mark.parametrize(
    "changes",
    [
        {"patients": 1, "beats_per_patient": 1, "abnormal_fraction": 0.0},
        {"patients": 1, "beats_per_patient": 1, "abnormal_fraction": 1.0},
        {"patients": 2, "beats_per_patient": 2, "abnormal_fraction": 1.0, "length": 192},
    ],
)
def test_the_smallest_settings_work(changes, tmp_path):
    settings = SyntheticSettings(**changes)
    samples = prepare(settings, tmp_path, 0)
    assert len(samples) == settings.patients * settings.beats_per_patient
    assert samples.values.shape[2] == settings.length
    assert np.isfinite(samples.values).all()
