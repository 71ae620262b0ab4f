import ast
import copy
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from models import MODELS, components_of
from models.settings import TrainingSettings
from study import estimators
from study.estimators import (
    DETECTORS,
    AutoencoderDetector,
    BeatGANDetector,
    BetaVAEGANDetector,
    IsolationForestDetector,
    KNNDetector,
    LatentRefinementDetector,
    OneClassSVMDetector,
    PCADetector,
)
from study.estimators.stub import stub

NARROW = 4
QUICK: dict[str, dict[str, Any]] = {
    "anogan": {"starts": 1, "max_steps": 2},
    "latent_refinement": {"max_steps": 2, "encoder": {"name": "beta_vaegan", "width": NARROW}},
}


def quick(name: str) -> Any:
    entry = MODELS[name]
    training = {} if entry.fitted_once else {"epochs": 2, "batch_size": 16}
    narrow = {"width": NARROW} if "width" in entry.settings.model_fields else {}
    return DETECTORS[name](random_state=0, **training, **narrow, **QUICK.get(name, {}))


def waves(count: int = 40, length: int = 40, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.linspace(0, 1, length) + 0.1 * random.random((count, 1))
    return 5 + 3 * np.sin(2 * np.pi * time) + 0.1 * random.standard_normal((count, length))


# The other networks differ in their models alone, which the models' own contract holds.
# PCA of as many components as features has errors of rounding only, and no order.
@pytest.mark.slow
@parametrize_with_checks(
    [
        AutoencoderDetector(epochs=1, width=NARROW, random_state=0),
        PCADetector(components=1),
        KNNDetector(),
        OneClassSVMDetector(),
        IsolationForestDetector(trees=10, random_state=0),
    ]
)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_every_model_has_an_estimator() -> None:
    assert list(DETECTORS) == list(MODELS)
    assert all(is_outlier_detector(quick(name)) for name in MODELS)
    for detector in DETECTORS.values():
        assert getattr(estimators, detector.__name__) is detector
        assert detector.__module__ == "study.estimators"
    public = ["ModelDetector", *(detector.__name__ for detector in DETECTORS.values())]
    assert estimators.__all__ == public


@pytest.mark.parametrize("name", ["ae", "knn", "rocket_knn"])
def test_samples_of_several_channels_are_three_dimensional(name: str) -> None:
    normal = np.stack([waves(seed=k) * 10**k for k in range(3)], axis=1)
    detector = quick(name).fit(normal)
    assert (detector.n_channels_in_, detector.n_features_in_) == (3, 120)
    assert detector.score_samples(normal).shape == (40,)
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.predict(normal), detector.predict(normal))
    for other in (normal.reshape(40, 120), normal[:, :2], normal.reshape(40, 2, 60)):
        with pytest.raises(ValueError, match=r"features|channels"):
            detector.predict(other)


def test_one_channel_of_three_dimensions_is_that_of_two() -> None:
    flat = waves()
    first, second = quick("ae").fit(flat), quick("ae").fit(flat[:, None])
    np.testing.assert_array_equal(first.score_samples(flat), second.score_samples(flat[:, None]))


def test_editors_see_the_detectors_of_the_table() -> None:
    """`python -m study.estimators.stub > study/estimators/__init__.pyi` makes it so."""
    assert Path(estimators.__file__).with_suffix(".pyi").read_text() == stub()


@pytest.mark.parametrize("name", MODELS)
def test_editors_see_each_parameter_with_its_default(name: str) -> None:
    tree = ast.parse(stub())
    (shown,) = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == DETECTORS[name].__name__
    )
    init = next(node for node in shown.body if isinstance(node, ast.FunctionDef)).args
    parameters = dict(inspect.signature(DETECTORS[name]).parameters)
    assert [argument.arg for argument in init.kwonlyargs] == list(parameters)
    for argument, default in zip(init.kwonlyargs, init.kw_defaults, strict=True):
        value = ast.literal_eval(default)
        if value is not ...:
            assert value == parameters[argument.arg].default


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_the_settings_with_their_defaults(name: str) -> None:
    entry, estimator = MODELS[name], DETECTORS[name]()
    parameters = estimator.get_params()
    for setting, value in entry.settings().model_dump(exclude={"name"}).items():
        assert parameters[setting] == value
    training = TrainingSettings.model_validate(dict(entry.training_defaults))
    for setting in {"epochs", "batch_size", "precision"} & parameters.keys():
        assert parameters[setting] == getattr(training, setting)
    assert ("epochs" in parameters) == (not entry.fitted_once)
    assert set(inspect.signature(type(estimator)).parameters) == parameters.keys()


@pytest.mark.parametrize("name", MODELS)
def test_every_estimator_fits_decides_clones_and_pickles(name: str) -> None:
    normals, other = waves(), waves(10, seed=1)
    detector = quick(name).fit(normals)
    score = detector.score_samples(other)
    first = components_of(MODELS[name].settings())[0]
    np.testing.assert_array_equal(score, -detector.error_components(other)[first])
    assert detector.n_features_in_ == 40
    assert (detector.predict(normals) == -1).sum() == 2  # 5 % of 40
    assert (detector.decision_function(normals) < 0).sum() == 2
    again = clone(detector).fit(normals)
    np.testing.assert_array_equal(again.score_samples(other), score)
    restored = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(restored.score_samples(other), score)


def test_abnormal_samples_are_found_in_a_pipeline_and_by_cross_validation() -> None:
    samples = np.concatenate([waves(60), waves(20, seed=3)[:, ::-1] ** 2])
    label = np.array([1] * 60 + [-1] * 20)
    detector = make_pipeline(MinMaxScaler(), PCADetector(components=2, contamination=0.1))
    detector.fit(samples[:40])
    assert (detector.predict(samples[40:]) == label[40:]).mean() > 0.8
    folds = KFold(4, shuffle=True, random_state=0)
    scores = cross_val_score(KNNDetector(), samples, label, cv=folds, scoring="roc_auc")
    assert ((scores >= 0) & (scores <= 1)).all()


def test_a_row_that_is_no_multiple_of_32_is_interpolated() -> None:
    rows = waves(20, 40)
    long = np.array([np.interp(np.linspace(0, 39, 64), np.arange(40), row) for row in rows])
    settings = {"epochs": 1, "width": NARROW, "random_state": 3, "scaling": "none"}
    short = AutoencoderDetector(**settings).fit(rows).error_components(rows)
    same = AutoencoderDetector(**settings).fit(long).error_components(long)
    for name, values in short.items():
        np.testing.assert_allclose(values, same[name], rtol=1e-5)


def test_scaling_takes_units_away() -> None:
    rows = waves(20)
    for scaling in ("training", "sample"):
        one = PCADetector(scaling=scaling).fit(rows)
        other = PCADetector(scaling=scaling).fit(1000 * rows - 7)
        np.testing.assert_allclose(
            one.score_samples(rows), other.score_samples(1000 * rows - 7), rtol=1e-2, atol=1e-6
        )


def test_the_seed_decides_the_weights() -> None:
    def score(seed: int) -> np.ndarray:
        detector = BetaVAEGANDetector(epochs=1, width=NARROW, random_state=seed).fit(waves())
        return detector.score_samples(waves())

    np.testing.assert_array_equal(score(1), score(1))
    assert (score(1) != score(2)).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1, found 0"),
        ({"beta": -1}, "beta: Input should be greater"),
        ({"contamination": 0}, "contamination must be in"),
        ({"contamination": "auto"}, "contamination must be in .*, found 'auto'"),
        ({"contamination": None}, "contamination must be in .*, found None"),
        ({"random_state": "x"}, "'x' cannot be used to seed"),
        ({"scaling": "z"}, "scaling must be training, sample or none"),
        ({"component": "outlier_score"}, "component must be one of reconstruction_error"),
        ({"optimizer": {"name": "sgd"}}, "optimizer.name"),
    ],
)
def test_a_wrong_parameter_is_refused_when_it_is_fitted(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        BetaVAEGANDetector(**settings).fit(waves())


def test_an_unknown_parameter_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="PCADetector has no parameter 'epochs'"):
        PCADetector(epochs=3)
    with pytest.raises(ValueError, match="Invalid parameter 'epochs'"):
        PCADetector().set_params(epochs=3)


def test_an_optimiser_is_laid_over_the_models_own() -> None:
    detector = BeatGANDetector(epochs=1, optimizer={"learning_rate": 0.5})
    training = detector._checked_settings().training
    assert (training.optimizer.name, training.optimizer.learning_rate) == ("adam", 0.5)
    assert training.batch_size == 64


def test_training_that_diverges_is_an_error() -> None:
    rows = np.full((4, 32), 1e30)
    rows[0] = -1e30
    with pytest.raises(ValueError, match="diverged"):
        AutoencoderDetector(epochs=1, scaling="none", reconstruction_loss="mse").fit(rows)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_what_is_set_after_a_fit_counts_from_the_next_one_on(
    copied: Callable[[Any], Any],
) -> None:
    rows = waves()
    detector = quick("ae").fit(rows)
    score, size = detector.score_samples(rows), detector.get_params()["latent_size"]
    detector.set_params(latent_size=size + 1, contamination="auto", scaling="sample")
    for each in (detector, copied(detector)):
        np.testing.assert_array_equal(each.score_samples(rows), score)
        assert each.get_params()["latent_size"] == size + 1
    detector.set_params(contamination=0.1)
    assert (copied(detector).fit(rows).score_samples(rows) != score).any()


def test_a_pickle_without_the_parameters_of_its_fit_has_those_that_it_has() -> None:
    detector = PCADetector(components=2, scaling="sample").fit(waves())
    older = detector.__getstate__()
    older.pop("_fitted", None)
    restored = PCADetector.__new__(PCADetector)
    restored.__setstate__(older)
    np.testing.assert_array_equal(restored.predict(waves()), detector.predict(waves()))


def test_another_component_than_that_of_the_fit_has_no_threshold() -> None:
    detector = PCADetector(random_state=0).fit(waves())
    expected = detector.predict(waves())
    for name in ("latent_norm", "outlier_score"):
        detector.set_params(component=name)
        with pytest.raises(ValueError, match="was fitted with 'reconstruction_error': fit it"):
            detector.predict(waves())
    for same in ("reconstruction_error", None):
        np.testing.assert_array_equal(
            detector.set_params(component=same).predict(waves()), expected
        )


def test_no_two_detectors_share_a_default() -> None:
    one, other = LatentRefinementDetector(), LatentRefinementDetector()
    assert one.encoder == other.encoder
    one.encoder["width"] = 1
    assert other.encoder["width"] == LatentRefinementDetector().encoder["width"] == 32


def test_a_fit_that_fails_leaves_none() -> None:
    detector = AutoencoderDetector(epochs=1, scaling="none", reconstruction_loss="mse")
    detector.set_params(width=NARROW).fit(waves())
    rows = np.full((4, 40), 1e30)
    rows[0] = -1e30
    with pytest.raises(ValueError, match="diverged"):
        detector.fit(rows)
    for each in (detector, copy.deepcopy(detector)):
        with pytest.raises(NotFittedError):
            each.predict(waves())
