import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from study import Detector, load_detector
from study.detectors.trained import FEW_SAMPLES
from study.errors import RequestError
from study.ledger.fold_files import read_errors
from study.ledger.ledger import DamagedError, Ledger
from study.scores.evaluation import evaluate_fold
from study.search.trial import FoldAddress
from study.storage.folder import LocalFolder
from tests.study.conftest import Trained
from tests.study.trials import record_of, trial_of


def test_a_fold_gives_the_errors_that_it_stored(trained_beats: Trained) -> None:
    for number in range(2):
        detector = load_detector(str(trained_beats.fold(number)))
        stored = trained_beats.stored(number)
        errors = detector.errors(trained_beats.samples.values[stored.index])
        assert list(errors) == list(detector.components)
        for name, values in errors.items():
            np.testing.assert_allclose(values, stored[name], rtol=1e-4, atol=1e-8, err_msg=name)


def test_scaling_of_the_fold_is_applied(trained_rows: Trained) -> None:
    detector = load_detector(str(trained_rows.fold()))
    stored = trained_rows.stored()
    rows = trained_rows.samples.values[stored.index][:, 0]
    assert rows.min() > 30
    errors = detector.errors(rows)
    np.testing.assert_allclose(
        errors["reconstruction_error"], stored["reconstruction_error"], rtol=1e-5
    )
    reconstructed = detector.reconstruct(rows)
    assert reconstructed is not None
    low, high = rows[stored["split"].isna()].min(), rows[stored["split"].isna()].max()
    expected = np.square((reconstructed[:, 0] - rows) / (high - low)).mean(axis=1)
    np.testing.assert_allclose(errors["reconstruction_error"], expected, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize(
    ("composition", "form"),
    [("svm_lambda", ""), ("gamma_grid", "chi_mode"), ("reconstruction_quantile", "")],
)
def test_a_composition_is_the_one_of_the_tables(
    trained_beats: Trained, composition: str, form: str
) -> None:
    ledger = Ledger(LocalFolder(trained_beats.place.parent))
    manifest = ledger.fold(FoldAddress("trial-00000", 1))
    assert manifest is not None
    detector = load_detector(str(trained_beats.fold(1)), composition, form or None)
    errors = read_errors(ledger, manifest, detector.components, 3)["best_validation"]
    rows = evaluate_fold(errors, trained_beats.study.scores, [composition])
    row = next(row for row in rows if row.latent_form == form)
    assert (detector.tau, detector.supervision) == (row.tau, row.supervision)
    members = trained_beats.folds[1].test
    found = detector.score(trained_beats.samples.values[members]).decision
    hits = trained_beats.samples.label[members] == 1
    assert found[hits].mean() == pytest.approx(row.recall)


def test_a_detector_is_shown_in_a_short_line(trained_beats: Trained) -> None:
    detector = load_detector(str(trained_beats.place), "gamma_grid", "chi_mode")
    assert repr(detector) == "Detector(beta_vaegan on mitbih, 2 fold(s), gamma_grid, chi_mode)"
    assert repr(detector.folds[0]) == f"TrainedFold({trained_beats.fold()}, gamma_grid)"


def test_signs_are_those_of_scikit_learn(trained_beats: Trained) -> None:
    detector = load_detector(str(trained_beats.fold()), "latent_quantile")
    values = trained_beats.samples.values
    scored = detector.score(values)
    assert 0 < scored.decision.sum() < len(values)
    np.testing.assert_array_equal(detector.predict(values) == -1, scored.decision == 1)
    np.testing.assert_array_equal(detector.decision_function(values) < 0, scored.decision == 1)
    order = np.argsort(detector.score_samples(values))
    assert scored.score[order[0]] == scored.score.max()


def test_an_ensemble_is_the_mean_of_standardised_scores(trained_beats: Trained) -> None:
    ensemble = load_detector(str(trained_beats.place))
    values = trained_beats.samples.values
    expected, errors, votes = np.zeros(len(values)), np.zeros(len(values)), np.zeros(len(values))
    for number, fold in enumerate(trained_beats.folds):
        one = load_detector(str(trained_beats.fold(number)))
        own = one.score(values)
        normals = one.score(values[fold.training]).score
        expected += (own.score - one.tau) / normals.std() / 2
        errors += own.errors["latent_norm"] / 2
        votes += own.decision
    scored = ensemble.score(values)
    assert ensemble.tau == 0
    np.testing.assert_allclose(scored.score, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(scored.errors["latent_norm"], errors, rtol=1e-4)
    np.testing.assert_array_equal(scored.votes, votes)
    np.testing.assert_array_equal(scored.decision, scored.score > 0)


@pytest.mark.parametrize("name", ["trial-00000", "copy"])
def test_a_trial_that_was_stopped_while_folds_were_raced_has_the_folds_that_it_had(
    name: str, trained_beats: Trained, tmp_path: Path
) -> None:
    trial = trial_of(trained_beats.study)
    place = shutil.copytree(trained_beats.place, tmp_path / trial.name)
    shutil.rmtree(place / "fold-1")
    with pytest.raises(RequestError, match="fold-1: expected a trained fold, found none"):
        load_detector(str(place))
    stopped = replace(record_of(trial, "pruned", values=[(1, 0.5)]), num_folds=1)
    Ledger(LocalFolder(tmp_path)).record_trial(stopped)
    values = trained_beats.samples.values[:5]
    expected = load_detector(str(trained_beats.fold(0))).score(values)
    scored = load_detector(str(place.rename(tmp_path / name))).score(values)
    np.testing.assert_array_equal(scored.score, expected.score)


def test_a_fold_without_a_finite_threshold_is_not_averaged(trained_rows: Trained) -> None:
    first, second = load_detector(str(trained_rows.place), "reconstruction_quantile").folds
    assert second.location.endswith("trial-00000/fold-1")
    endless = replace(second, fitted=replace(second.fitted, tau=np.inf))
    for other in (endless, replace(second, deviation=0.0)):
        with pytest.raises(RequestError, match="fold-1: reconstruction_quantile has no finite"):
            Detector((first, other))
    rows = trained_rows.samples.values
    assert (Detector((endless,)).predict(rows) == 1).all()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("elsewhere", "expected the folder of a trained fold"),
        ("ledger/trial-00000/fold-01", "expected the folder of a trained fold"),
        ("ledger/trial-00000/fold-7", "fold-7: expected a trained fold, found none"),
        ("ledger/trial-00009", "trial-00009/fold-0: expected a trained fold, found none"),
    ],
)
def test_another_place_is_refused(trained_rows: Trained, place: str, said: str) -> None:
    with pytest.raises(RequestError, match=said) as error:
        load_detector(str(trained_rows.place.parents[1] / place))
    assert "\n" not in str(error.value)


def test_a_composition_that_does_not_fit_is_refused(trained_rows: Trained) -> None:
    with pytest.raises(RequestError, match="pca does not give all; it allows reconstruction"):
        load_detector(str(trained_rows.fold()), "svm_lambda")
    with pytest.raises(RequestError, match="valid names"):
        load_detector(str(trained_rows.fold()), "svm")


def test_a_latent_form_that_does_not_exist_is_refused(trained_beats: Trained) -> None:
    with pytest.raises(RequestError, match="expected one of implicit, chi_mode, empirical_mode"):
        load_detector(str(trained_beats.fold()), "latent", "explicit")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "components.parquet"])
def test_a_damaged_file_is_named(trained_rows: Trained, name: str) -> None:
    file = trained_rows.fold() / name
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(DamagedError, match=name):
            load_detector(str(trained_rows.fold()))
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize("shape", [(2, 31), (2, 2, 32), (32,)])
def test_samples_of_another_shape_are_refused(
    trained_rows: Trained, shape: tuple[int, ...]
) -> None:
    detector = load_detector(str(trained_rows.fold()))
    with pytest.raises(ValueError, match=r"samples must be \(n, 1, 32 or 40\)"):
        detector.predict(np.zeros(shape))
    with pytest.raises(ValueError, match="finite"):
        detector.predict(np.full((1, 32), np.nan))


@pytest.mark.parametrize("wrong", ["1", 1 + 2j, np.datetime64("2020-01-01"), np.timedelta64(1)])
def test_samples_that_are_no_real_numbers_are_refused(trained_rows: Trained, wrong: object) -> None:
    detector = load_detector(str(trained_rows.fold()))
    message = r"samples must be real numbers, found values of type \S+$"
    for method in (detector.predict, detector.errors, detector.reconstruct):
        with pytest.raises(ValueError, match=message):
            method(np.full((2, 32), wrong))


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.uint16, bool])
def test_samples_may_be_numbers_of_any_size(trained_rows: Trained, kind: type) -> None:
    detector, rows = load_detector(str(trained_rows.fold())), np.arange(64).reshape(2, 32)
    expected = detector.score(rows.astype(kind).astype(np.float64)).score
    np.testing.assert_array_equal(detector.score(rows.astype(kind)).score, expected)


def test_no_samples_have_no_scores(trained_beats: Trained) -> None:
    assert load_detector(str(trained_beats.place)).predict(np.zeros((0, 96))).shape == (0,)


def test_few_samples_have_the_scores_that_they_have_among_many(trained_beats: Trained) -> None:
    detector = load_detector(str(trained_beats.place))
    values = trained_beats.samples.values[:40]
    among_many = detector.score(values)
    assert len(values) > FEW_SAMPLES
    for count in (1, FEW_SAMPLES):
        few = detector.score(values[:count])
        np.testing.assert_allclose(few.score, among_many.score[:count], rtol=1e-3, atol=1e-4)
        for name, errors in few.errors.items():
            np.testing.assert_allclose(errors, among_many.errors[name][:count], rtol=1e-4)


def test_rows_as_they_were_in_the_file_are_scored_as_the_samples_made_of_them(
    trained_rows: Trained,
) -> None:
    detector = load_detector(str(trained_rows.place))
    rows, samples = trained_rows.rows, trained_rows.samples.values
    assert rows is not None
    assert rows.shape[1] != samples.shape[2]
    np.testing.assert_array_equal(detector.predict(rows), detector.predict(samples))
    np.testing.assert_array_equal(
        detector.score_samples(rows[:, np.newaxis]), detector.score_samples(samples)
    )
