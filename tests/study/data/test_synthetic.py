import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from study.data.ecg_model import ABNORMAL_KINDS
from study.data.synthetic import SyntheticSettings, prepare


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
