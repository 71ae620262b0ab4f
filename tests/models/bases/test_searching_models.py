"""Models that search for z: what is searched, and that nothing else moves."""

import copy

import pytest
import torch

from models import MODELS, components_of
from tests.models.trained import Build, Waves, trained

pytestmark = pytest.mark.slow


SEARCHING = ["anogan", "latent_refinement"]


@pytest.mark.parametrize("name", SEARCHING)
def test_more_steps_bring_samples_nearer(name: str, build: Build, waves: Waves) -> None:
    x = waves(12)
    errors = []
    for steps in (0, 5, 40):
        settings = {"max_steps": steps, "epsilon": 0.0}
        model = trained(build, name, x, epochs=4, settings=settings)
        errors.append(model.errors(x)["reconstruction_error"])
    assert (errors[1] <= errors[0] * (1 + 1e-5)).all()
    assert (errors[2] <= errors[1] * (1 + 1e-5)).all()
    assert errors[2].mean() < errors[0].mean()


@pytest.mark.parametrize("name", SEARCHING)
def test_each_step_of_a_search_is_a_sign_of_life(name: str, build: Build, waves: Waves) -> None:
    model = build(name, settings={"max_steps": 20, "epsilon": 0.0})
    signs: list[int] = []
    model.on_progress = lambda: signs.append(1)
    model.errors(waves(4))
    assert len(signs) > 20


@pytest.mark.parametrize("name", SEARCHING)
def test_a_sample_within_epsilon_is_not_moved(name: str, build: Build, waves: Waves) -> None:
    x = waves(6)
    still = trained(build, name, x, settings={"max_steps": 0}).errors(x)
    settings = {"max_steps": 20, "epsilon": 1.0, "starts": 2}
    if name != "anogan":
        del settings["starts"]
    result = trained(build, name, x, settings=settings).errors(x)
    for component, values in still.items():
        assert torch.equal(values, result[component]), component


@pytest.mark.parametrize("name", SEARCHING)
@pytest.mark.parametrize("frozen", [False, True])
def test_the_search_moves_no_weight_and_leaves_no_gradient(
    name: str, frozen: bool, build: Build, waves: Waves
) -> None:
    x = waves(6)
    model = trained(build, name, x)
    if frozen:
        model.freeze()
    networks = getattr(model, "encoder_model", model).networks
    for parameter in networks.parameters():
        parameter.grad = None
    needed = [parameter.requires_grad for parameter in networks.parameters()]
    kept = copy.deepcopy(networks.state_dict())
    model.errors(x)
    for key, value in networks.state_dict().items():
        assert torch.equal(value, kept[key]), key
    assert all(parameter.grad is None for parameter in networks.parameters())
    assert needed == [parameter.requires_grad for parameter in networks.parameters()]
    assert all(needed) == (not frozen)


@pytest.mark.parametrize("name", SEARCHING)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_frozen_model_still_searches(
    name: str, precision: str, build: Build, waves: Waves
) -> None:
    x = waves(6)
    settings = {"max_steps": 10, "epsilon": 0.0}
    model = trained(build, name, x, epochs=3, settings=settings, precision=precision)
    expected = model.errors(x)["reconstruction_error"]
    model.freeze()
    result = model.errors(x)["reconstruction_error"]
    torch.testing.assert_close(
        result, expected, rtol=0.01 if precision == "float32" else 0.1, atol=0
    )


@pytest.mark.parametrize("name", SEARCHING)
def test_components_that_compositions_use_are_there(name: str) -> None:
    assert {"reconstruction_error", "discrimination_error", "latent_norm"} <= set(
        components_of(MODELS[name].settings())
    )
