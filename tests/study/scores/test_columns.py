import numpy as np
import pytest
import scipy.stats

from study.scores.columns import fit_component, fullest_bin_middle, latent_centre
from study.scores.components import CompositionError, FitErrors, SplitErrors
from study.scores.evaluation import evaluate_fold
from study.scores.settings import LATENT_FORMS, ScoreSettings


def norms(values, label=None):
    values = np.asarray(values, dtype=np.float64)
    label = np.zeros(len(values)) if label is None else label
    return SplitErrors(np.asarray(label, np.int8), {"latent_norm": values})


def test_the_mode_is_the_middle_of_the_fullest_bin():
    # 50 bins of width 1 from 0 to 50; three values share the bin [20, 21).
    values = np.array([0.0, 5.5, 20.1, 20.5, 20.9, 33.3, 33.4, 50.0])
    assert fullest_bin_middle(values) == pytest.approx(20.5, abs=1e-12)


def test_the_mode_is_that_of_a_plain_count():
    values = np.random.default_rng(1).chisquare(6, 5000) ** 0.5
    width = (values.max() - values.min()) / 50
    place = np.minimum(((values - values.min()) / width).astype(int), 49)
    fullest = max(range(50), key=lambda index: int((place == index).sum()))
    assert fullest_bin_middle(values) == pytest.approx(values.min() + (fullest + 0.5) * width)


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [3.0, np.nextafter(3.0, 4.0)]])
def test_values_too_close_for_bins_still_have_a_mode(values):
    assert fullest_bin_middle(np.array(values)) == pytest.approx(3.0, rel=1e-15)


@pytest.mark.parametrize("size", [1, 2, 6, 50])
def test_chi_mode_is_where_the_chi_density_is_highest(size):
    centre = latent_centre("chi_mode", FitErrors(norms([1.0]), None, size))
    grid = np.linspace(0, 12, 120_001)
    highest = grid[np.argmax(scipy.stats.chi(size).pdf(grid))]
    assert centre == pytest.approx(highest, abs=1e-3)


def test_the_mode_comes_from_training_normals_only():
    training = norms([1.0, 2.0, 2.0, 51.0, 9.0, 9.0, 9.0], [0, 0, 0, 0, 1, 1, 1])
    errors = FitErrors(norms([4.0, 4.0, 4.0]), training, 6)
    assert latent_centre("empirical_mode", errors) == pytest.approx(2.5)


@pytest.mark.parametrize("size", [None, 0])
def test_chi_mode_without_a_latent_space_has_a_reason(size):
    with pytest.raises(CompositionError, match="latent size must be at least 1"):
        latent_centre("chi_mode", FitErrors(norms([1.0]), None, size))


@pytest.mark.parametrize("training", [None, norms([]), norms([1.0], [1])])
def test_empirical_mode_without_training_normals_has_a_reason(training):
    with pytest.raises(CompositionError, match="normal training samples"):
        latent_centre("empirical_mode", FitErrors(norms([1.0]), training, 6))


def test_a_latent_component_needs_a_form():
    with pytest.raises(ValueError, match="a latent form is needed"):
        latent_centre("", FitErrors(norms([1.0])))


def test_absolute_distances_rise_on_both_sides_of_the_mode():
    errors = FitErrors(norms([0.0, 2.0, 3.0, 5.0]), None, 5)
    column = fit_component("latent_norm", errors, ScoreSettings(), "chi_mode", scaled=False)
    np.testing.assert_array_equal(column.read(errors.validation), [2.0, 0.0, 1.0, 3.0])


def test_signed_distances_are_one_form_after_scaling(fold):
    settings = ScoreSettings(latent_distance="signed")
    read = [
        fit_component("latent_norm", fold.for_fitting(), settings, form).read(fold.test)
        for form in LATENT_FORMS
    ]
    np.testing.assert_allclose(read[1], read[0], atol=1e-12)
    np.testing.assert_allclose(read[2], read[0], atol=1e-12)


def test_absolute_distances_are_three_forms_after_scaling(fold):
    read = [
        fit_component("latent_norm", fold.for_fitting(), ScoreSettings(), form).read(fold.test)
        for form in LATENT_FORMS
    ]
    assert np.abs(read[1] - read[0]).max() > 0.01
    assert np.abs(read[2] - read[1]).max() > 0.001


def test_limits_are_those_of_validation(fold):
    column = fit_component("reconstruction_error", fold.for_fitting(), ScoreSettings())
    validation = fold.validation.values["reconstruction_error"].astype(np.float64)
    test = fold.test.values["reconstruction_error"].astype(np.float64)
    expected = (test - validation.min()) / (validation.max() - validation.min())
    np.testing.assert_allclose(column.read(fold.test), expected, rtol=1e-12, atol=1e-15)


def with_draws(count=40, size=6):
    random = np.random.default_rng(3)
    mean, deviation = random.normal(0, 0.6, (count, size)), random.uniform(0.5, 1, (count, size))
    values = {
        "latent_norm": np.linalg.norm(mean, axis=1),
        "drawn_norm": np.sqrt((mean**2 + deviation**2).sum(axis=1)),
    }
    return SplitErrors(np.zeros(count, np.int8), values)


@pytest.mark.parametrize("norm", ["drawn", "scored"])
def test_chi_mode_measures_the_norm_that_is_set(norm):
    validation = with_draws()
    column = fit_component(
        "latent_norm", FitErrors(validation, None, 6), ScoreSettings(chi_norm=norm), "chi_mode"
    )
    name = {"drawn": "drawn_norm", "scored": "latent_norm"}[norm]
    distance = np.abs(validation.values[name] - np.sqrt(5))
    expected = (distance - distance.min()) / (distance.max() - distance.min())
    np.testing.assert_allclose(column.read(validation), expected, atol=1e-12)


@pytest.mark.parametrize("form", LATENT_FORMS)
def test_other_forms_and_models_without_a_posterior_have_one_norm(form):
    both = with_draws()
    alone = SplitErrors(both.label, {"latent_norm": both.values["latent_norm"]})
    settings = [ScoreSettings(), ScoreSettings(chi_norm="scored")]
    columns = [fit_component("latent_norm", FitErrors(alone, alone, 6), s, form) for s in settings]
    assert columns[0] == columns[1]
    if form != "chi_mode":
        assert (
            fit_component("latent_norm", FitErrors(both, both, 6), settings[0], form) == columns[0]
        )


LOG = ScoreSettings(scale="log")


def test_logarithms_are_scaled_with_limits_of_validation(fold):
    name = "reconstruction_error"
    column = fit_component(name, fold.for_fitting(), LOG)
    values, test = (split.values[name].astype(np.float64) for split in (fold.validation, fold.test))
    floor = np.sort(values)[89:91].mean() / 1000
    low, high = np.log(values.min() + floor), np.log(values.max() + floor)
    expected = (np.log(test + floor) - low) / (high - low)
    np.testing.assert_allclose(column.read(fold.test), expected, rtol=1e-9, atol=1e-12)


def test_logarithms_keep_the_order_of_errors_and_their_decades_apart():
    decades = np.array([0.0, 1e-6, 1e-4, 1e-2, 1e-1, 1.0, 10.0])
    errors = FitErrors(SplitErrors(np.zeros(7, np.int8), {"reconstruction_error": decades}))
    scaled = fit_component("reconstruction_error", errors, LOG).read(errors.validation)
    assert (np.diff(scaled) > 0).all()
    np.testing.assert_allclose(np.diff(scaled[3:]), np.diff(scaled[3:])[-1], rtol=2e-3)


def test_what_may_be_negative_is_never_a_logarithm():
    errors = FitErrors(of(outlier_score=[-1.0, 0.0, 3.0]))
    scaled = fit_component("outlier_score", errors, LOG).read(errors.validation)
    np.testing.assert_array_equal(scaled, [0.0, 0.25, 1.0])
    negative = FitErrors(of(own=[-0.5, 1.0]))
    with pytest.raises(CompositionError, match=r"0 or more, found -0.5 in own"):
        fit_component("own", negative, LOG)


def of(**values):
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in values.items()}
    count = len(next(iter(columns.values())))
    return SplitErrors(np.zeros(count, np.int8), columns)


@pytest.mark.parametrize("scale", ["min_max", "log"])
def test_half_the_usual_interval_and_twice_are_the_ends_of_the_scale(scale):
    """Whatever validation is like: a lost beat in it changes nothing."""
    ratio = np.array([0.5, 2**-0.5, 1.0, 2**0.5, 2.0, 128.0])
    errors = FitErrors(of(prematurity=1 - ratio, pause=ratio - 1))
    settings = ScoreSettings(scale=scale)
    late = fit_component("pause", errors, settings).read(errors.validation)
    early = fit_component("prematurity", errors, settings).read(errors.validation)
    np.testing.assert_allclose(late, [0, 0.25, 0.5, 0.75, 1, 4], atol=1e-12)
    np.testing.assert_allclose(early, 1 - late, atol=1e-12)


@pytest.mark.parametrize(("name", "value"), [("prematurity", 1.5), ("pause", -1.5)])
def test_an_interval_that_is_not_above_0_is_named(name, value):
    errors = FitErrors(of(**{name: [0.0, value]}))
    with pytest.raises(CompositionError, match=rf"above 0, found -0.5 of the usual in {name}"):
        fit_component(name, errors, ScoreSettings())


def test_logarithms_move_no_threshold_of_a_single_error(fold):
    """They keep the order, so that a best threshold divides the samples as before."""
    rows = evaluate_fold(fold, LOG, ["reconstruction", "latent", "reconstruction_quantile"])
    plain = evaluate_fold(
        fold, ScoreSettings(), ["reconstruction", "latent", "reconstruction_quantile"]
    )
    for one, other in zip(rows, plain, strict=True):
        assert one.auroc == pytest.approx(other.auroc, rel=1e-12)
        assert one.validation_f1_weighted == other.validation_f1_weighted
