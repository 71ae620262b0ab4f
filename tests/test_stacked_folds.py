"""Folds that the benchmark stacks learn what each learns alone."""

import torch

from benchmarks.stacked_folds import StackedFolds
from models import implementation
from models.beta_vaegan.settings import BetaVAEGANSettings
from models.interface import Seeds, Shape
from models.settings import TrainingSettings


def test_a_stacked_step_is_that_of_each_fold() -> None:
    settings = BetaVAEGANSettings(latent_size=3, width=4, beta=0.1)
    training = TrainingSettings(batch_size=6, discriminator_updates=2)
    shape, folds, batch = Shape(channels=2, length=64), 3, 6
    models = [
        implementation("beta_vaegan")(
            settings, training, shape, Seeds(fold, 1, fold, 3), torch.device("cpu")
        )
        for fold in range(folds)
    ]
    for model in models:
        model.networks.train()
    stacked = StackedFolds(models, torch.Generator())
    values = torch.rand((folds, batch, 2, 64), generator=torch.Generator().manual_seed(1))
    draws = torch.randn((8, folds, batch, 3), generator=torch.Generator().manual_seed(2))
    for draw in draws:
        expected = []
        for fold, model in enumerate(models):
            model.noise_like = lambda like, draw=draw[fold]: draw
            expected.append(model.training_step(values[fold]))
        stacked.noise_like = lambda like, draw=draw: draw
        losses = stacked.training_step(values)
        for name, loss in losses.items():
            alone = torch.stack([each[name] for each in expected])
            torch.testing.assert_close(loss, alone, rtol=1e-4, atol=1e-6)
    for name, weight in stacked.weights.items():
        if weight.is_floating_point():
            alone = torch.stack([model.networks.state_dict()[name] for model in models])
            torch.testing.assert_close(weight.data, alone, rtol=1e-3, atol=1e-5, msg=name)
