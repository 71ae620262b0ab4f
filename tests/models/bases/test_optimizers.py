"""Both implementations of AdaBelief train a model alike, and each goes on from its state."""

import copy
import io
from typing import Any

import adabelief_pytorch
import pytest
import torch
from torch.optim import Adam

from models.bases.adabelief import AdaBelief
from models.bases.optimizers import load_optimizer, make_optimizer, set_learning_rate
from models.settings import OptimizerSettings
from tests.models.contract import assert_same_tree
from tests.models.trained import Build, Waves

PACKAGE = {"implementation": "package"}


def epochs(model: Any, x: torch.Tensor, count: int) -> list[dict[str, float]]:
    return [model.train_epoch(x, torch.arange(len(x))) for _ in range(count)]


def parameters() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(3))]


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, AdaBelief),
        ({"implementation": "fused"}, AdaBelief),
        (PACKAGE, adabelief_pytorch.AdaBelief),
        ({"name": "adam"}, Adam),
        ({"name": "adam", **PACKAGE}, Adam),
    ],
)
def test_settings_name_the_optimizer(settings: dict[str, str], kind: type) -> None:
    assert type(make_optimizer(parameters(), OptimizerSettings.model_validate(settings))) is kind


def test_the_package_gets_every_setting_and_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = OptimizerSettings(
        learning_rate=0.3, betas=(0.1, 0.2), epsilon=0.01, rectify=False, implementation="package"
    )
    optimizer: Any = make_optimizer(parameters(), settings)
    (group,) = optimizer.param_groups
    assert (group["lr"], group["betas"], group["eps"]) == (0.3, (0.1, 0.2), 0.01)
    assert group["weight_decay"] == 0
    assert not optimizer.rectify
    assert make_optimizer(parameters(), settings.model_copy(update={"rectify": True})).rectify
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("is_recorded", [True, False])
def test_adam_goes_on_from_a_state_of_another_device_as_one_of_its_own(is_recorded: bool) -> None:
    """Recorded steps read the learning rate as a tensor, others as a number."""

    def adam(weight: torch.nn.Parameter, *, capturable: bool) -> Adam:
        rate: Any = torch.tensor(0.1) if capturable else 0.1
        return Adam([weight], lr=rate, fused=True, capturable=capturable)

    def step(optimizer: Adam, weight: torch.nn.Parameter) -> None:
        weight.grad = torch.tensor([1.0, -2.0, 3.0])
        optimizer.step()

    (weight,) = parameters()
    before = adam(weight, capturable=not is_recorded)
    step(before, weight)
    other = copy.deepcopy(weight)
    after = adam(other, capturable=is_recorded)
    load_optimizer(after, copy.deepcopy(before.state_dict()))
    (group,) = after.param_groups
    assert (group["capturable"], torch.is_tensor(group["lr"])) == (is_recorded, is_recorded)
    for optimizer, moved in ((before, weight), (after, other)):
        set_learning_rate(optimizer, 0.01)
        step(optimizer, moved)
    torch.testing.assert_close(other, weight)


@pytest.mark.slow
@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("name", ["beta_vaegan", "ae"])
@pytest.mark.parametrize("rectify", [True, False])
def test_the_package_trains_as_the_fused_form_up_to_rounding(
    name: str, rectify: bool, build: Build, waves: Waves
) -> None:
    x = waves().double()
    options = {"rectify": rectify, "epsilon": 1e-8, "learning_rate": 1e-3}
    fused: Any = build(name, optimizer=options)
    package: Any = build(name, optimizer={**options, **PACKAGE})
    before = fused.weights()
    for model in (fused, package):
        model.networks.double()
    for first, second in zip(epochs(fused, x, 3), epochs(package, x, 3), strict=True):
        assert first == pytest.approx(second, rel=1e-7)
    weights = package.weights()
    for key, value in fused.weights().items():
        torch.testing.assert_close(value, weights[key], rtol=1e-7, atol=1e-9, msg=key)
        assert not torch.equal(value, before[key].to(value.dtype)), key


@pytest.mark.slow
@pytest.mark.parametrize("rectify", [True, False])
def test_training_with_the_package_goes_on_from_a_state_bit_by_bit(
    rectify: bool, build: Build, waves: Waves
) -> None:
    x = waves()
    optimizer = {"rectify": rectify, **PACKAGE}
    model = build("beta_vaegan", optimizer=optimizer)
    epochs(model, x, 2)
    file = io.BytesIO()
    torch.save(copy.deepcopy(model.state()), file)
    other = build("beta_vaegan", seeds=(91, 92, 93), optimizer=optimizer)
    other.load_state(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert epochs(model, x, 2) == epochs(other, x, 2)
    assert_same_tree(model.state(), other.state())
