from typing import Any

import numpy as np
import pytest
import torch

from models.array_scorer import ArrayScorer
from tests.models.trained import Build, Waves, trained


@pytest.mark.parametrize("name", ["ae", "vae", "beatgan", "beatgan_plus", "beta_vaegan"])
@pytest.mark.parametrize(("channels", "length"), [(1, 96), (3, 32)])
def test_errors_are_those_of_the_model_up_to_rounding(
    name: str, channels: int, length: int, build: Build, waves: Waves
) -> None:
    x = waves(16, channels, length)
    model = trained(build, name, x, epochs=2)
    scorer = ArrayScorer(model)
    for count in (1, 2, 7):
        expected, errors = model.errors(x[:count]), scorer.errors(x[:count].numpy())
        assert tuple(errors) == model.components
        for component, values in expected.items():
            assert errors[component].dtype == np.float32
            np.testing.assert_allclose(errors[component], values.numpy(), rtol=1e-4, atol=1e-8)


def test_averaged_weights_score(build: Build, waves: Waves) -> None:
    x = waves(24, 1, 64)
    model = trained(build, "beta_vaegan", x, epochs=2, average=0.9)
    for component, values in ArrayScorer(model).errors(x.numpy()).items():
        expected = model.errors(x)[component].numpy()
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-8)


def test_a_scorer_shares_nothing_with_its_model(build: Build, waves: Waves) -> None:
    x = waves(16)
    model: Any = trained(build, "beta_vaegan", x, epochs=2)
    scorer = ArrayScorer(model)
    before = scorer.errors(x.numpy())
    training = model.errors(x)
    model.train_epoch(x, torch.arange(len(x)))
    after = scorer.errors(x.numpy())
    assert not torch.equal(model.errors(x)["latent_norm"], training["latent_norm"])
    for component, values in before.items():
        np.testing.assert_array_equal(values, after[component])


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("pca", {}, "only models whose encoder gives z"),
        ("latent_refinement", {}, "only models whose encoder gives z"),
        ("beta_vaegan", {"settings": {"latent": "sampled"}}, "draws"),
        ("ae", {"precision": "bfloat16"}, "float32 is needed, found torch.bfloat16"),
    ],
)
def test_a_model_that_it_is_not_for_is_refused(
    name: str, options: dict[str, Any], reason: str, build: Build
) -> None:
    with pytest.raises(TypeError, match=reason):
        ArrayScorer(build(name, **options))
