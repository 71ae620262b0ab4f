import numpy as np
import pytest
from pyod.models.base import BaseDetector
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from study.estimators import KNNDetector, PCADetector
from study.pyod_detector import PyODDetector


@pytest.fixture
def normals() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(100, 12))


@pytest.fixture
def outliers() -> np.ndarray:
    return np.random.default_rng(1).normal(4, 1, size=(30, 12))


def test_attributes_are_pyods(normals: np.ndarray) -> None:
    detector = PyODDetector(KNNDetector(), contamination=0.1)
    assert isinstance(detector, BaseDetector)
    assert detector.fit(normals) is detector
    assert detector.decision_scores_.shape == (100,)
    assert detector.labels_.sum() == 10
    np.testing.assert_array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)
    np.testing.assert_array_equal(detector.decision_function(normals), detector.decision_scores_)
    np.testing.assert_array_equal(detector.predict(normals), detector.labels_)


def test_scores_are_larger_for_abnormal_samples(normals: np.ndarray, outliers: np.ndarray) -> None:
    detector = PyODDetector(PCADetector(components=3)).fit(normals)
    own = detector.detector_.score_samples(outliers)
    np.testing.assert_array_equal(detector.decision_function(outliers), -own)
    both = np.concatenate([normals, outliers])
    label = np.repeat([0, 1], [100, 30])
    assert roc_auc_score(label, detector.decision_function(both)) > 0.9
    assert set(detector.predict(both)) == {0, 1}


def test_what_pyod_adds_works(normals: np.ndarray, outliers: np.ndarray) -> None:
    detector = PyODDetector(KNNDetector()).fit(normals)
    for method in ("linear", "unify"):
        probability = detector.predict_proba(outliers, method=method)
        assert probability.shape == (30, 2)
        np.testing.assert_allclose(probability.sum(axis=1), 1)
    confidence = detector.predict_confidence(outliers)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert detector.fit_predict(normals).sum() == 10


def test_the_wrapped_estimator_stays_as_it_is_and_copies_are_equal(normals: np.ndarray) -> None:
    inner = KNNDetector(neighbours=3)
    detector = PyODDetector(inner, contamination=0.2)
    copied = clone(detector).fit(normals)
    assert copied.get_params()["detector__neighbours"] == 3
    assert copied.labels_.sum() == 20
    assert not hasattr(inner, "weights_")
    with pytest.raises(ValueError, match="contamination must be in"):
        PyODDetector(inner, contamination=0.7)
