"""MiniRocket: as aeon computes it, and as its definition says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bases.minirocket import KERNELS, MiniRocket, dilations_and_counts

AEON: dict[str, Any] = json.loads(Path(__file__).with_name("minirocket_aeon.json").read_text())
"""Made by aeon 1.6.0, `MiniRocket(n_kernels, random_state=0)`, of the samples of `samples`."""


def samples(channels: int) -> np.ndarray:
    t = np.arange(64)
    waves = [
        [
            np.sin(t * (0.1 + 0.05 * i + 0.03 * c) + c) + 0.3 * np.cos(t * t * 0.01 * (i + 1))
            for c in range(channels)
        ]
        for i in range(3)
    ]
    return np.array(waves).astype(np.float32)


@pytest.mark.parametrize(("length", "features", "dilations", "counts"), AEON["dilations"])
def test_dilations_are_those_of_aeon(
    length: int, features: int, dilations: list[int], counts: list[int]
) -> None:
    found = dilations_and_counts(length, features)
    assert [each.tolist() for each in found] == [dilations, counts]


@pytest.mark.parametrize("case", AEON["cases"], ids=lambda case: f"{case['channels']} channels")
def test_features_are_those_of_aeon(case: dict[str, Any]) -> None:
    rocket = MiniRocket(
        dilations=np.array(case["dilations"]),
        counts=np.array(case["counts"]),
        channels=np.array([[each == "1" for each in row] for row in case["mask"]]),
        biases=np.array(case["biases"], np.float32),
    )
    found = rocket.transform(samples(case["channels"]))
    np.testing.assert_allclose(found, case["features"], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_feature_is_the_share_of_responses_above_its_bias(channels: int) -> None:
    """By NumPy's convolution, and each bias a quantile of one sample's responses."""
    x = samples(channels)
    rocket = MiniRocket.fit(x, 200, np.random.default_rng(4))
    found, number = rocket.transform(x), 0
    for step, (dilation, count) in enumerate(zip(rocket.dilations, rocket.counts, strict=True)):
        for kernel, twos in enumerate(KERNELS):
            weights = np.full(9, -1.0)
            weights[twos] = 2.0
            spread = np.zeros(8 * dilation + 1)
            spread[::dilation] = weights
            added = rocket.channels[step * len(KERNELS) + kernel]
            responses = np.array(
                [
                    sum(np.convolve(row, spread[::-1])[4 * dilation :][:64] for row in each[added])
                    for each in x
                ]
            )
            inner = responses
            if (step + kernel) % 2:
                inner = responses[:, 4 * dilation : -4 * dilation]
            for feature in range(number, number + count):
                bias = rocket.biases[feature]
                share = (inner > bias + 1e-5).mean(axis=1), (inner > bias - 1e-5).mean(axis=1)
                assert (share[0] <= found[:, feature] + 1e-6).all()
                assert (found[:, feature] <= share[1] + 1e-6).all()
                quantile = feature * 1.618033988749895 + 1.618033988749895
                expected = np.quantile(responses, quantile % 1, axis=1)
                assert np.abs(expected - bias).min() < 1e-4
            number += count
    assert number == len(rocket.biases) == 168


def test_each_kernel_adds_some_channels() -> None:
    x = np.random.default_rng(0).random((4, 5, 32)).astype(np.float32)
    rocket = MiniRocket.fit(x, 1000, np.random.default_rng(0))
    added = rocket.channels.sum(axis=1)
    assert added.min() == 1
    assert added.max() >= 4
    assert (rocket.channels.mean(axis=0) > 0.2).all()


def test_samples_shorter_than_a_kernel_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 9 values, found 8"):
        MiniRocket.fit(samples(1)[:, :, :8], 84, np.random.default_rng(0))
    MiniRocket.fit(samples(1)[:, :, :9], 84, np.random.default_rng(0))
