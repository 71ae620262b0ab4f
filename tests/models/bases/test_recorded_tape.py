"""Steps that are recorded and played on a CPU: no number of the host, and no memory that is made
anew, is what a recording repeats.

A GPU's own share (kernels, streams, its generator) is tested by `test_recorded`, on one.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from models.bases import recorded
from models.bases.device_adabelief import DeviceAdaBelief
from models.bases.gradient import GradientModel
from models.bases.optimizers import load_optimizer, make_optimizer, set_learning_rate
from models.bases.recorded import RecordedSteps
from models.settings import OptimizerSettings
from tests.models.bases.tape import TapeRecording
from tests.models.bases.test_recorded import epochs, give, gradients, parameters
from tests.models.contract import assert_same_tree
from tests.models.test_training_contract import EVERYTHING
from tests.models.trained import Build, Waves

slow = pytest.mark.slow
SETTLED = {**EVERYTHING, "optimizer": {"rectify": False}}
"""Every part of training; steps have the form that is recorded from the first on."""
FEW, LONGER = 8 * 4 + 3, 8 * 7 + 3


def optimized_as_on_a_gpu(model: GradientModel) -> None:
    """Give a model the optimisers that `make_optimizer` returns for a GPU."""
    settings = model.training.optimizer
    for name, networks in model.optimized.items():
        moved = [p for network in networks for p in model.networks[network].parameters()]
        model.optimizers[name] = of_a_gpu(moved, settings)


def of_a_gpu(moved: list[torch.nn.Parameter], settings: OptimizerSettings) -> Any:
    if settings.name == "adam":
        rate = torch.tensor(settings.learning_rate)
        return Adam(moved, rate, settings.betas, settings.epsilon, fused=True)
    return DeviceAdaBelief(
        moved, settings.learning_rate, settings.betas, settings.epsilon, rectify=settings.rectify
    )


def record(model: GradientModel) -> None:
    steps = RecordedSteps(model.training_step, model.optimizers.values(), [model._noise])
    model._recorded = steps


@pytest.mark.parametrize(
    ("name", "training", "samples"),
    [
        *(pytest.param(name, SETTLED, FEW, marks=slow) for name in ("beatgan", "anogan")),
        ("beta_vaegan", SETTLED, FEW),
        ("vae", {"optimizer": {"name": "adam"}, "schedule": "cosine"}, FEW),
        ("beta_vaegan", {"precision": "bfloat16", "optimizer": {"rectify": False}}, FEW),
        # AdaBelief's first five steps have another form.
        ("ae", {}, LONGER),
        pytest.param("vae", EVERYTHING, LONGER, marks=slow),
        pytest.param("beatgan_plus", EVERYTHING, LONGER, marks=slow),
    ],
)
def test_played_steps_are_equal_bit_by_bit(
    name: str,
    training: dict[str, Any],
    samples: int,
    build: Build,
    waves: Waves,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorded, "Recording", TapeRecording)
    monkeypatch.setattr(recorded, "PLAIN_STEPS", 1)
    x = waves(samples)
    training = {**training, "epochs": 2}
    models: list[Any] = [build(name, **training) for _ in range(2)]
    models.append(build(name, seeds=(91, 92, 93), **training))
    for model in models:
        optimized_as_on_a_gpu(model)
    played, plain, other = models
    record(played)
    record(other)
    assert epochs(played, x, 1) == epochs(plain, x, 1)
    assert_same_tree(played.state(), plain.state())
    assert_same_tree(played.errors(x[:5]), plain.errors(x[:5]))
    epochs(other, x, 1)  # may have recordings, which are of no use any more
    other.load_state(plain.state())
    expected = epochs(plain, x, 1)
    for model in (played, other):
        assert epochs(model, x, 1) == expected
        assert_same_tree(model.state(), plain.state())
        assert model._recorded._recordings


def test_adam_reads_its_own_learning_rate_after_a_state_from_elsewhere() -> None:
    settings = OptimizerSettings(name="adam")
    here, there = of_a_gpu(parameters(), settings), make_optimizer(parameters(), settings)
    batch = next(gradients(parameters()))
    for optimizer in (here, there):
        give(optimizer.param_groups[0]["params"], batch)
        optimizer.step()
    assert isinstance(there.param_groups[0]["lr"], float)
    load_optimizer(here, there.state_dict())
    (group,) = here.param_groups
    set_learning_rate(here, 0.5)
    assert isinstance(group["lr"], Tensor)
    assert group["lr"] == 0.5
    assert_same_tree(here.state_dict()["state"], there.state_dict()["state"])
