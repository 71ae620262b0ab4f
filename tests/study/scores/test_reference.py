from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.scores.components import SplitErrors
from study.scores.reference import FirstMinutes, Located, Moments, relative_errors
from study.scores.settings import ScoreSettings

R, D, L, OUTLIER = "reconstruction_error", "discrimination_error", "latent_norm", "outlier_score"
SECONDS = st.lists(st.integers(0, 60), min_size=1, max_size=40)


def located(seed, count, records=("a", "b", "c")):
    rng = np.random.default_rng(seed)
    values = {
        R: rng.gamma(2.0, 1.0, count),
        D: rng.gamma(2.0, 3.0, count).astype(np.float32),
        L: rng.normal(4.0, 1.0, count),
        OUTLIER: rng.normal(0.0, 1.0, count),
    }
    label = (rng.random(count) < 0.4).astype(np.int8)
    moments = Moments(rng.choice(records, count), rng.permutation(count * 2)[:count] * 10.0)
    return Located(SplitErrors(label, values, rng.choice(["p", "q"], count)), moments)


def brute_reference(name, index, part, pool, minutes):
    """The median of the record's errors that count for one sample, by another road."""
    record, now = part.moments.record[index], part.moments.seconds[index]
    own = [
        (second, float(value))
        for each in pool
        for at, second, value in zip(
            each.moments.record, each.moments.seconds, each.errors.values[name], strict=True
        )
        if at == record
    ]
    if minutes is None:
        return np.median([value for _, value in own])
    end = min(second for second, _ in own) + 60 * minutes
    return np.median([value for second, value in own if second < end and second <= now])


@pytest.mark.parametrize("minutes", [None, 2.0, 8.0])
@pytest.mark.parametrize("shared", [True, False])
def test_errors_are_compared_with_their_records_median(minutes, shared):
    part, trained = located(0, 60), located(1, 40)
    trained = replace(
        trained, moments=replace(trained.moments, seconds=trained.moments.seconds + 5.0)
    )
    settings = ScoreSettings(reference="record")
    if minutes is not None:
        settings = ScoreSettings(reference="first_minutes", reference_minutes=minutes)
    pool = [part, trained] if shared else [part]
    found = relative_errors(part, settings, trained if shared else None)
    for index in range(60):
        for name in (R, D, OUTLIER):
            value = float(part.errors.values[name][index])
            reference = brute_reference(name, index, part, pool, minutes)
            expected = value - reference if name == OUTLIER else value / reference
            assert found.values[name][index] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(found.values[L], part.errors.values[L])
    np.testing.assert_array_equal(found.label, part.errors.label)
    np.testing.assert_array_equal(found.patient, part.errors.patient)


def test_without_a_reference_errors_stay_as_they_are():
    part = located(0, 20)
    assert relative_errors(part, ScoreSettings(), located(1, 20)) is part.errors


def test_a_record_without_errors_keeps_its_values():
    part = located(0, 20, records=("a",))
    still = replace(part, errors=replace(part.errors, values={R: np.zeros(20)}))
    found = relative_errors(still, ScoreSettings(reference="record"), None)
    np.testing.assert_array_equal(found.values[R], np.zeros(20))


def test_the_scale_of_a_record_does_not_matter():
    part = located(3, 80)
    louder = np.where(part.moments.record == "b", 7.0, 1.0) * part.errors.values[R]
    other = replace(part, errors=replace(part.errors, values={R: louder}))
    for reference in ("record", "first_minutes"):
        settings = ScoreSettings(reference=reference)
        one, two = (relative_errors(each, settings, None).values[R] for each in (part, other))
        np.testing.assert_allclose(one, two, rtol=1e-12)


@given(SECONDS, st.integers(1, 50), st.data())
def test_first_minutes_know_nothing_of_what_comes_and_do_not_care_for_parts(seconds, minutes, data):
    """All at once, in parts, and cut short: a sample's reference is the same."""
    rising = np.sort(np.array(seconds, dtype=np.float64)) * 60
    values = np.random.default_rng(len(seconds)).normal(size=len(rising))
    whole = FirstMinutes(minutes)(values, rising)
    cut = data.draw(st.integers(0, len(rising)))
    stream = FirstMinutes(minutes)
    first = stream(values[:cut], rising[:cut])
    np.testing.assert_array_equal(
        np.concatenate([first, stream(values[cut:], rising[cut:])]), whole
    )
    within = rising < rising[0] + 60 * minutes
    expected = [np.median(values[: k + 1][within[: k + 1]]) for k in range(len(rising))]
    np.testing.assert_allclose(whole, expected, rtol=1e-15, atol=0)
