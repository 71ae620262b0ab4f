"""Nearest points: as by brute force, wherever float32 cannot tell distances apart."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from models.bases import neighbours
from models.bases.neighbours import NearestPoints, distance_to_others


@pytest.fixture(autouse=True)
def _small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "POINTS_AT_ONCE", 16)
        patch.setattr(neighbours, "VALUES_AT_ONCE", 200)
        yield


def by_scikit_learn(points: np.ndarray, x: np.ndarray, count: int) -> np.ndarray:
    search = NearestNeighbors(n_neighbors=count, algorithm="kd_tree").fit(points.astype(float))
    found: np.ndarray = search.kneighbors(x)[0]
    return found


@given(
    st.integers(1, 60),
    st.integers(0, 9),
    st.integers(1, 5),
    st.integers(1, 8),
    st.sampled_from([0.0, 1.0, 1e3]),
    st.sampled_from([1.0, 1e-3, 1e-6]),
    st.integers(0, 10**6),
)
def test_distances_are_those_of_another_search(
    points: int, samples: int, count: int, features: int, offset: float, scale: float, seed: int
) -> None:
    """Far from 0 and close together, where a difference of squares in float32 is all rounding."""
    count = min(count, points)
    random = np.random.default_rng(seed)
    stored = (offset + scale * random.random((points, features))).astype(np.float32)
    x = stored[random.integers(points, size=samples)] + scale * random.normal(
        size=(samples, features)
    )
    x[::2] = stored[random.integers(points, size=len(x[::2]))]
    found = NearestPoints(stored).distances(x, count)
    expected = by_scikit_learn(stored, x, count) if samples else np.empty((0, count))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_what_rounding_hides_is_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred points as far away as float32 can tell, and one that is a little nearer."""
    random = np.random.default_rng(0)
    direction = random.normal(size=(200, 8))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    radius = np.where(np.arange(200) == 150, 1.0, 1.0 + 1e-7 + 1e-7 * random.random(200))
    stored = np.concatenate([direction * radius[:, None], 40 + direction]).astype(np.float32)
    x = np.zeros((1, 8))
    exact = np.linalg.norm(stored.astype(float), axis=1).min()
    assert NearestPoints(stored).distances(x, 1)[0, 0] == pytest.approx(exact, rel=1e-15)
    searched = []
    real = NearestPoints._candidates
    monkeypatch.setattr(
        NearestPoints, "_candidates", lambda s, x, k: searched.append(x.dtype) or real(s, x, k)
    )
    NearestPoints(stored).distances(x, 1)
    assert len(searched) == 2


def test_only_what_is_the_same_is_left_out() -> None:
    rising = np.array([[0.0, 1.0, 3.0], [0.5, 1.0, 3.0], [0.0, 0.0, 4.0]])
    assert distance_to_others(rising).tolist() == [2.0, 0.75, 2.0]
    assert distance_to_others(rising, same=0.6).tolist() == [2.0, 2.0, 2.0]
    assert distance_to_others(rising[:, :1]).tolist() == [0.0, 0.5, 0.0]
