import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.scores.ranges import ranges_of
from study.scores.vus import THRESHOLDS, volumes_under_surface


def extended(abnormal: np.ndarray, buffer: int) -> np.ndarray:
    """Labels with slopes, point by point (Paparrizos et al. 2022, section 3)."""
    label = abnormal.astype(float)
    for first, stop in ranges_of(abnormal):
        for distance in range(1, buffer // 2 + 1):
            for point in (first - distance, stop - 1 + distance):
                if 0 <= point < len(label):
                    label[point] += np.sqrt(1 - distance / buffer)
    return np.minimum(label, 1)


def areas(abnormal: np.ndarray, score: np.ndarray, buffer: int) -> tuple[float, float]:
    """Areas of one buffer, threshold by threshold, as the definition reads."""
    label = extended(abnormal, buffer)
    reaches: list[list[int]] = []
    for first, stop in ranges_of(abnormal):
        begin, end = max(first - buffer // 2, 0), stop + buffer // 2
        if reaches and begin < reaches[-1][1]:
            reaches[-1][1] = end
        else:
            reaches.append([begin, end])
    falling = -np.sort(-score)
    rates, precisions = [(0.0, 0.0)], []
    for rank in np.linspace(0, len(score) - 1, THRESHOLDS).astype(int):
        predicted = score >= falling[rank]
        # Beyond the abnormal points only what is alarmed counts as a label.
        counted = np.where(abnormal, 1.0, label * predicted)
        positives = (abnormal.sum() + counted.sum()) / 2
        hits = (counted * predicted).sum()
        existing = np.mean([predicted[a:b].any() for a, b in reaches])
        recall = min(hits / positives, 1) * existing
        rates.append(((predicted.sum() - hits) / (len(score) - positives), recall))
        precisions.append(hits / predicted.sum())
    recalls = [recall for _, recall in rates]
    pr = sum((recalls[k + 1] - recalls[k]) * precisions[k] for k in range(len(precisions)))
    x, y = zip(*rates, (1.0, 1.0), strict=True)
    return float(pr), float(np.trapezoid(y, x))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2, 5, 8]), st.booleans())
def test_volumes_are_means_of_areas_by_the_definition(seed: int, buffer: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(30, 90))
    abnormal = np.zeros(count, dtype=bool)
    for start in random.integers(0, count - 6, 3):
        abnormal[start : start + random.integers(1, 6)] = True
    score = random.normal(size=count) + abnormal
    score = np.round(score) if ties else score
    volumes = volumes_under_surface(abnormal, score, buffer)
    each = [areas(abnormal, score, width) for width in range(buffer + 1)]
    assert (volumes.pr, volumes.roc) == pytest.approx(np.mean(each, axis=0), abs=1e-12)


def test_the_buffer_forgives_an_alarm_that_is_a_little_late() -> None:
    abnormal = np.zeros(300, dtype=bool)
    abnormal[100:110] = True
    late, far = np.zeros(300), np.zeros(300)
    late[105:115], far[205:215] = 1.0, 1.0
    exact = volumes_under_surface(abnormal, abnormal.astype(float), 0)
    assert exact.pr == pytest.approx(1.0)
    assert (
        volumes_under_surface(abnormal, late, 20).pr > volumes_under_surface(abnormal, late, 0).pr
    )
    assert (
        volumes_under_surface(abnormal, late, 20).pr > volumes_under_surface(abnormal, far, 20).pr
    )


@pytest.mark.parametrize(
    ("seed", "buffer", "pr", "roc"),
    [
        (0, 0, 0.590071, 0.873591),
        (0, 8, 0.628500, 0.889888),
        (0, 30, 0.690280, 0.921283),
        (1, 30, 0.582785, 0.918431),
        (2, 8, 0.450811, 0.865173),
    ],
)
def test_volumes_are_those_of_tsb_ad(seed: int, buffer: int, pr: float, roc: float) -> None:
    """Recorded from its `basic_metricor().RangeAUC_volume_opt`, of commit 8763009."""
    random = np.random.default_rng(seed)
    abnormal = np.zeros(400, dtype=bool)
    for start in (60, 200, 330):
        abnormal[start : start + int(random.integers(5, 25))] = True
    score = random.normal(size=400) + 1.5 * abnormal
    volumes = volumes_under_surface(abnormal, score, buffer)
    assert (volumes.pr, volumes.roc) == pytest.approx((pr, roc), abs=1e-6)
