import copy
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch

from models import MODELS, implementation
from models.bases.gradient import GradientModel
from models.interface import Model, Seeds, Shape
from models.settings import TrainingSettings

NARROW = 4
QUICK: dict[str, dict[str, Any]] = {
    "anogan": {"starts": 2, "max_steps": 3},
    "latent_refinement": {"max_steps": 3, "encoder": {"name": "beta_vaegan", "width": NARROW}},
    "isolation_forest": {"trees": 10},
    "rocket_knn": {"kernels": 84},
}
"""Settings of models whose scores would else take long."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def build() -> Callable[..., Model]:
    """Builds a model with its own defaults, but narrow networks, on a tiny shape."""

    def build(
        name: str,
        shape: tuple[int, int] = (1, 32),
        seeds: tuple[int, int, int] = (1, 2, 3),
        settings: dict[str, Any] | None = None,
        device: str = "cpu",
        **training: Any,
    ) -> Model:
        entry = MODELS[name]
        trained = {**entry.training_defaults, "batch_size": 8, **training}
        narrow = {"width": NARROW} if "width" in entry.settings.model_fields else {}
        return implementation(name)(
            entry.settings(**{**narrow, **QUICK.get(name, {}), **(settings or {})}),
            TrainingSettings.model_validate(trained),
            Shape(*shape),
            Seeds(*seeds, augmentation=sum(seeds)),
            torch.device(device),
        )

    return build


@pytest.fixture(scope="session")
def waves() -> Callable[..., torch.Tensor]:
    """Noisy sines in [0, 1], `(n, channels, length)`."""

    def waves(n: int = 12, channels: int = 1, length: int = 32, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        phase = torch.rand((n, channels, 1), generator=generator)
        time = torch.linspace(0, 1, length)
        noise = 0.1 * torch.rand((n, channels, length), generator=generator)
        return 0.45 + 0.45 * torch.sin(6.283 * (time + phase)) * 0.9 + noise * 0.5

    return waves


@pytest.fixture(scope="session")
def trained(
    build: Callable[..., Model], waves: Callable[..., torch.Tensor]
) -> Callable[..., Model]:
    """Copies of models that were trained for an epoch on waves of a shape, each once."""

    @cache
    def once(name: str, channels: int, length: int) -> Model:
        model, x = build(name, (channels, length)), waves(channels=channels, length=length)
        model.train_epoch(x, torch.arange(len(x)))
        return model

    def trained(name: str, channels: int = 1, length: int = 32) -> Model:
        return copy.deepcopy(once(name, channels, length))

    return trained


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that says float32 means float64, so that rounding hides no difference."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    monkeypatch.setattr(GradientModel, "dtype", property(lambda model: torch.float64))
