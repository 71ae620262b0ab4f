"""Averaged weights: PyTorch's `AveragedModel` is the truth, and `update_bn` of statistics."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from tests.models.contract import assert_same_tree
from tests.models.trained import Build, Waves

ALIKE = [pytest.param(name, marks=pytest.mark.slow) for name in ("beatgan", "vae", "anogan")]
NETWORKS = ["beta_vaegan", "ae", *ALIKE]


def followed(model: Any, decay: float) -> AveragedModel:
    """Let PyTorch's average follow a model's weights, with the same growing decay."""
    average = AveragedModel(model.networks, multi_avg_fn=get_ema_multi_avg_fn(0.0))
    update = model._average.update

    def both(count: int) -> None:
        update(count)
        grown = min(decay, (1 + count) / (10 + count))
        average.multi_avg_fn = get_ema_multi_avg_fn(grown)
        average.n_averaged.fill_(1)  # it would take over the first weights as they are
        average.update_parameters(model.networks)

    model._average.update = both
    return average


@pytest.mark.parametrize("decay", [0.3, 0.999])
@pytest.mark.parametrize("name", NETWORKS)
def test_kept_weights_are_the_average_of_all_updates(
    name: str, decay: float, build: Build, waves: Waves
) -> None:
    x, members = waves(16), torch.arange(16)
    model: Any = build(name, average=decay)
    average = followed(model, decay)
    for _ in range(2):
        model.train_epoch(x, members)
    kept = model.weights()
    for key, value in average.module.named_parameters():
        torch.testing.assert_close(kept[key], value, rtol=1e-5, atol=1e-7)
    trained = dict(model.networks.named_parameters())
    assert any(not torch.equal(kept[key], value) for key, value in trained.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_averaging_does_not_change_what_is_trained(name: str, build: Build, waves: Waves) -> None:
    x, members = waves(16), torch.arange(16)
    averaged, plain = build(name, average=0.9), build(name)
    for _ in range(2):
        assert averaged.train_epoch(x, members) == plain.train_epoch(x, members)
    assert_same_tree(averaged.state()["weights"], plain.state()["weights"])


def test_batch_norms_hold_statistics_of_the_averaged_weights(build: Build, waves: Waves) -> None:
    x, members = waves(40), torch.arange(40)
    model: Any = build("ae", average=0.9)
    batches: list[Tensor] = []
    step = model.training_step

    def watched(batch: Tensor) -> Any:
        batches.append(batch)
        return step(batch)

    model.training_step = watched
    model.train_epoch(x, members)
    encoder = model._average.networks["encoder"]
    norms = [each for each in encoder.modules() if isinstance(each, nn.BatchNorm1d)]
    ours = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    assert len(norms) == 4
    update_bn(batches, encoder)
    for norm, (mean, variance) in zip(norms, ours, strict=True):
        torch.testing.assert_close(mean, norm.running_mean)
        torch.testing.assert_close(variance, norm.running_var)


def test_scores_are_those_of_a_model_with_the_averaged_weights(build: Build, waves: Waves) -> None:
    x = waves(40)
    model = build("beta_vaegan", average=0.9)
    model.train_epoch(x, torch.arange(40))
    plain = build("beta_vaegan", seeds=(91, 92, 93))
    plain.load_weights(model.weights())
    assert_same_tree(model.errors(x), plain.errors(x))
    assert torch.equal(model.reconstruct(x), plain.reconstruct(x))
    again = build("beta_vaegan", seeds=(91, 92, 93), average=0.9)
    again.load_weights(model.weights())
    again.freeze()
    for name, values in again.errors(x).items():
        torch.testing.assert_close(values, model.errors(x)[name], rtol=1e-3, atol=1e-6)


def test_an_averaged_model_that_searches_z_can_be_frozen(build: Build, waves: Waves) -> None:
    x = waves(24)
    model = build("anogan", average=0.9)
    model.train_epoch(x, torch.arange(24))
    errors = model.errors(x[:3])
    model.freeze()
    for name, values in model.errors(x[:3]).items():
        torch.testing.assert_close(values, errors[name], rtol=1e-3, atol=1e-6)


def test_spectral_norms_of_averaged_weights_are_one(build: Build, waves: Waves) -> None:
    """Each pass that measures statistics is a step of the power iteration as well."""
    x = waves(96)
    model: Any = build("beta_vaegan", average=0.9)
    model.train_epoch(x, torch.arange(96))
    for layer in model._average.networks["discriminator"].eval().trunk.halvings:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(
            1, abs=0.05
        )
