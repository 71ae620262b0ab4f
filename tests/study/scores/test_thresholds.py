import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from study.scores.components import CompositionError
from study.scores.thresholds import (
    best_f1,
    best_threshold,
    constant_f1,
    normal_weight,
    weighted_f1,
)

from .labelled import labelled, sklearn_f1


def brute_force(score, label):
    """Best weighted F1 over every way to divide the scores."""
    floors = [-np.inf, *np.unique(score)]
    return max(sklearn_f1(label, score > floor) for floor in floors)


@given(labelled())
def test_the_threshold_is_the_best_of_all_and_reproduces_its_f1(case):
    (score,), label = case
    found = best_threshold(score, label)
    assert found.f1_weighted == pytest.approx(brute_force(score, label), abs=1e-12)
    assert found.f1_weighted == pytest.approx(sklearn_f1(label, score > found.tau), abs=1e-12)


@given(labelled())
def test_the_f1_without_the_threshold_is_the_same_to_the_last_bit(case):
    (score,), label = case
    found = best_f1(score[label == 0], score[label == 1])
    assert found == best_threshold(score, label).f1_weighted


@given(labelled())
def test_the_threshold_lies_inside_its_gap(case):
    (score,), label = case
    tau = best_threshold(score, label).tau
    below, above = score[score <= tau], score[score > tau]
    if np.isfinite(tau):
        low, high = below.max(), above.min()
        assert low < tau < high or (tau == low and np.nextafter(low, np.inf) == high)
    else:
        assert not len(below) or not len(above)


@given(labelled())
def test_the_order_of_the_samples_does_not_matter(case):
    (score,), label = case
    assert best_threshold(score, label) == best_threshold(score[::-1], label[::-1])


def test_a_perfect_separation_is_found_in_the_middle():
    found = best_threshold(np.array([4.0, 1.0, 2.0, 5.0]), np.array([1, 0, 0, 1], np.int8))
    assert (found.tau, found.f1_weighted) == (3.0, 1.0)


@pytest.mark.parametrize(("score", "tau"), [([0, 1, 2, 10], 6.0), ([0, 9, 9.5, 10], 4.5)])
def test_of_equally_good_gaps_the_widest_is_taken(score, tau):
    score, label = np.array(score, np.float64), np.array([0, 1, 0, 1], np.int8)
    # Either one normal sample is called abnormal or one abnormal sample is not.
    lowest, highest = sklearn_f1(label, score > score[0]), sklearn_f1(label, score > score[2])
    assert lowest == pytest.approx(highest)
    assert best_threshold(score, label).tau == tau


@pytest.mark.parametrize(
    ("label", "tau"), [([0, 0, 1], np.inf), ([0, 1, 1], -np.inf), ([0, 1], -np.inf)]
)
def test_a_constant_score_gives_the_better_constant_answer(label, tau):
    label = np.array(label, np.int8)
    found = best_threshold(np.full(len(label), 0.7), label)
    assert found.tau == tau
    assert found.f1_weighted == pytest.approx(constant_f1(label))


@pytest.mark.parametrize("label", [[0, 0], [1, 1], []])
def test_one_class_has_a_reason(label):
    label = np.array(label, np.int8)
    with pytest.raises(CompositionError, match="both classes"):
        best_threshold(np.zeros(len(label)), label)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_have_a_reason(bad):
    with pytest.raises(CompositionError, match="finite scores"):
        best_threshold(np.array([0.0, bad]), np.array([0, 1], np.int8))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_weighted_f1_is_scikit_learns(pairs):
    label, prediction = np.array(pairs).T
    hits = label == prediction
    found = weighted_f1(
        np.sum(hits & (label == 1)), np.sum(hits & (label == 0)), np.sum(label), np.sum(1 - label)
    )
    assert float(found) == pytest.approx(sklearn_f1(label, prediction), abs=1e-12)


@given(labelled(), st.sampled_from([0.05, 0.5, 0.9]))
def test_a_threshold_for_a_prevalence_is_the_best_by_weighted_samples(case, prevalence):
    (score,), label = case
    weight = normal_weight(label, prevalence)
    counted = np.where(label == 1, 1.0, weight)
    assert counted[label == 1].sum() / counted.sum() == pytest.approx(prevalence)
    found = best_threshold(score, label, weight)

    def f1(prediction):
        return f1_score(
            label, prediction, average="weighted", zero_division=0, sample_weight=counted
        )

    taus = [-np.inf, *score]
    best = max(f1((score > tau).astype(int)) for tau in taus)
    assert f1((score > found.tau).astype(int)) == pytest.approx(best, abs=1e-12)
    assert found.f1_weighted == pytest.approx(best, abs=1e-12)
    normal, abnormal = score[label == 0], score[label == 1]
    assert best_f1(normal, abnormal, weight) == found.f1_weighted


def test_without_a_prevalence_samples_count_one():
    assert normal_weight(np.array([0, 1, 1], np.int8), None) == 1.0
