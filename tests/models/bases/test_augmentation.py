from collections import Counter

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.bases.augmentation import stretched, time_warped
from tests.models.contract import assert_same_tree
from tests.models.trained import Build, Waves


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 3),
    length=st.sampled_from([32, 96, 160]),
    share=st.floats(0, 0.5),
)
def test_each_half_leaves_out_as_many_points_as_it_doubles(
    batch: int, channels: int, length: int, share: float
) -> None:
    """A rising line shows which points were taken: whole numbers, and means of two."""
    times = torch.arange(length, dtype=torch.float32).expand(batch, channels, length)
    warped = time_warped(times, share, generator())
    assert warped.shape == times.shape
    half = length // 2
    moved = int(share * half)
    for sample in warped.numpy():
        assert all(np.array_equal(channel, sample[0]) for channel in sample)
        assert (np.diff(sample[0]) >= 0).all()
        for start in (0, half):
            points = sample[0, start : start + half]
            counts = Counter(np.floor(points).astype(int).tolist())
            doubled = [place for place, count in counts.items() if count == 2]
            assert len(doubled) == moved
            assert set(counts.values()) <= {1, 2}
            assert len(counts) == half - moved
            assert min(counts) >= start
            assert max(counts) < start + half
            between = [place for place in points if place != np.floor(place)]
            last = length - 1  # which has no next one
            assert sorted(between) == sorted(place + 0.5 for place in doubled if place != last)


def test_nothing_is_moved_by_a_share_of_nothing(waves: Waves) -> None:
    x = waves(5)
    assert torch.equal(time_warped(x, 0.0, generator()), x)
    torch.testing.assert_close(stretched(x, 0.0, generator()), x)


def test_stretching_keeps_means_and_stays_in_range(waves: Waves) -> None:
    x = waves(500)
    gentle = stretched(x, 0.01, generator())
    torch.testing.assert_close(gentle.mean(dim=2), x.mean(dim=2))
    factors = (gentle - x.mean(dim=2, keepdim=True)).std(dim=2) / x.std(dim=2)
    assert 0.99 <= factors.min() < 0.991
    assert 1.009 < factors.max() <= 1.0101
    wild = stretched(x, 0.9, generator())
    assert wild.min() == 0
    assert wild.max() == 1


def test_samples_are_drawn_anew_each_time_and_alike_by_seed(waves: Waves) -> None:
    x = waves(2).repeat(2, 1, 1)
    stream = generator(3)
    first, second = time_warped(x, 0.1, stream), time_warped(x, 0.1, stream)
    assert not torch.equal(first, second)
    assert not torch.equal(first[:2], first[2:])
    assert torch.equal(first, time_warped(x, 0.1, generator(3)))


def test_training_sees_augmented_samples_and_scoring_does_not(build: Build, waves: Waves) -> None:
    x, members = waves(16), torch.arange(16)
    plain, augmented = build("ae"), build("ae", time_warp=0.1, amplitude=0.2)
    assert_same_tree(plain.errors(x), augmented.errors(x))
    kept = x.clone()
    assert plain.train_epoch(x, members) != augmented.train_epoch(x, members)
    assert torch.equal(x, kept)
    states = plain.state(), augmented.state()
    assert torch.equal(states[0]["batches"], states[1]["batches"])
    assert not torch.equal(states[0]["augmentation"], states[1]["augmentation"])
