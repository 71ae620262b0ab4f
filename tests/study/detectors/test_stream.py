import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study import Detector, load_detector
from study.data.windows import window_starts
from study.detectors.stream import PointStream
from study.scores.series import Windows, point_scores
from tests.study.conftest import Trained

LENGTH = 32


@pytest.fixture(scope="module")
def detector(trained_rows: Trained) -> Detector:
    return load_detector(str(trained_rows.place))


def recording(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 40 + 7 * np.sin(np.arange(count) / 5) + random.normal(size=count)


def batch(detector: Detector, values: np.ndarray, stride: int) -> np.ndarray:
    """Scores of points, from all windows at once."""
    starts = window_starts(0, len(values), LENGTH, stride)
    score = detector.score(np.stack([values[k : k + LENGTH] for k in starts])).score
    record = np.array(["r"] * len(starts))
    where = Windows(record, starts, np.full(len(starts), LENGTH), {}, 0.0)
    return point_scores(where, score)["r"].score


@settings(max_examples=25, deadline=None)
@given(
    st.integers(LENGTH, 300),
    st.integers(1, LENGTH),
    st.lists(st.integers(0, 80), min_size=1, max_size=6),
)
def test_a_stream_gives_what_all_windows_at_once_give(
    detector: Detector, count: int, stride: int, sizes: list[int]
) -> None:
    values, stream, start = recording(count), detector.stream(stride), 0
    scored = []
    for size in [*sizes, count]:
        scored.append(stream.push(values[start : start + size]))
        start = min(start + size, count)
    scored.append(stream.close())
    position = [each.first + k for each in scored for k in range(len(each))]
    assert position == list(range(count))
    score = np.concatenate([each.score for each in scored])
    np.testing.assert_allclose(score, batch(detector, values, stride), rtol=1e-4, atol=1e-6)
    decision = np.concatenate([each.decision for each in scored])
    np.testing.assert_array_equal(decision, score > detector.tau)


def test_a_score_is_final_a_window_later(detector: Detector) -> None:
    stream, values = detector.stream(4), recording(100)
    final = [stream.push(values[k : k + 1]) for k in range(100)]
    assert [len(each) for each in final] == [0] * LENGTH + [1] * (100 - LENGTH)
    assert len(stream.close()) == LENGTH
    assert len(stream.close()) == 0
    with pytest.raises(ValueError, match="closed"):
        stream.push(values)


def test_memory_does_not_grow_with_the_recording(detector: Detector) -> None:
    def peak(parts: int) -> int:
        tracemalloc.start()
        stream, values = detector.stream(LENGTH), recording(4000)
        count = sum(len(stream.push(values)) for _ in range(parts)) + len(stream.close())
        assert count == 4000 * parts
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)  # what is loaded with the first
    assert peak(40) < 1.1 * peak(4)


def test_a_recording_shorter_than_a_window_has_no_scores(detector: Detector) -> None:
    stream = detector.stream()
    assert len(stream.push(recording(LENGTH - 1))) == 0
    assert len(stream.close()) == 0


def test_what_is_no_stream_of_points_is_refused(detector: Detector, trained_beats: Trained) -> None:
    for stride in (0, LENGTH + 1):
        with pytest.raises(ValueError, match="stride must be from 1 to 32"):
            PointStream(detector, stride)
    stream = detector.stream()
    with pytest.raises(ValueError, match=r"points must be \(m, 1\)"):
        stream.push(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="finite"):
        stream.push([np.nan])
    for wrong in (["1"], [1 + 2j], [np.datetime64("2020-01-01")]):
        with pytest.raises(ValueError, match="points must be real numbers, found values of type"):
            stream.push(np.array(wrong))
    assert load_detector(str(trained_beats.place)).stream().seen == 0
