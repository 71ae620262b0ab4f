import copy
import io
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from models.bases.adabelief import AdaBelief
from models.settings import OptimizerSettings
from tests.models.plain import plain_adabelief

STEPS = 60
SHAPES = [(3, 4, 5), (7,), (1,), (2, 6)]


def starting(dtype: torch.dtype) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES]


def gradients(dtype: torch.dtype) -> Iterator[list[Tensor]]:
    """Gradients of all sizes that keep some direction, so that averages matter."""
    generator = torch.Generator().manual_seed(1)
    sizes = [10.0 ** -(i % 4) for i in range(len(SHAPES))]
    always = [torch.randn(shape, generator=generator, dtype=dtype) for shape in SHAPES]
    while True:
        yield [
            size * (steady + torch.randn(shape, generator=generator, dtype=dtype))
            for size, steady, shape in zip(sizes, always, SHAPES, strict=True)
        ]


def own(parameters: list[nn.Parameter], settings: OptimizerSettings) -> AdaBelief:
    return AdaBelief(
        parameters,
        settings.learning_rate,
        settings.betas,
        settings.epsilon,
        rectify=settings.rectify,
    )


def move(
    optimizer: AdaBelief | Optimizer,
    parameters: list[nn.Parameter],
    batch_gradients: list[Tensor | None],
) -> None:
    for parameter, gradient in zip(parameters, batch_gradients, strict=True):
        parameter.grad = None if gradient is None else gradient.clone()
    optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("betas", [(0.5, 0.99), (0.9, 0.999), (0.0, 0.9), (0.9, 0.6), (0.3, 0.0)])
@pytest.mark.parametrize("epsilon", [1e-16, 1e-8, 1e-2])
def test_steps_are_those_of_the_authors_package(
    rectify: bool, betas: tuple[float, float], epsilon: float
) -> None:
    settings = OptimizerSettings(learning_rate=0.1, betas=betas, epsilon=epsilon, rectify=rectify)
    ours, theirs = starting(torch.float64), starting(torch.float64)
    first, second = own(ours, settings), plain_adabelief(theirs, settings)
    source = gradients(torch.float64)
    moved = 0.0
    for step in range(STEPS):
        before = [parameter.detach().clone() for parameter in ours]
        batch_gradients: list[Tensor | None] = list(next(source))
        move(first, ours, batch_gradients)
        move(second, theirs, batch_gradients)
        for was, mine, other in zip(before, ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9, msg=f"step {step}")
            moved += float((mine.detach() - was).abs().max())
    assert moved > 1


@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.slow
def test_float32_steps_differ_by_rounding_alone(rectify: bool) -> None:
    settings = OptimizerSettings(learning_rate=0.1, rectify=rectify)
    ours, theirs = starting(torch.float32), starting(torch.float32)
    first, second = own(ours, settings), plain_adabelief(theirs, settings)
    source = gradients(torch.float32)
    for _ in range(STEPS):
        batch_gradients: list[Tensor | None] = list(next(source))
        move(first, ours, batch_gradients)
        move(second, theirs, batch_gradients)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_weights_that_have_no_gradient_stay_and_count_no_step() -> None:
    settings = OptimizerSettings(learning_rate=0.1)
    ours, theirs = starting(torch.float64), starting(torch.float64)
    first, second = own(ours, settings), plain_adabelief(theirs, settings)
    source = gradients(torch.float64)
    for step in range(STEPS):
        batch_gradients: list[Tensor | None] = list(next(source))
        for at in range(len(batch_gradients)):
            if step % (at + 1) or step < 5 * at:
                batch_gradients[at] = None
        before = [parameter.detach().clone() for parameter in ours]
        move(first, ours, batch_gradients)
        move(second, theirs, batch_gradients)
        for was, mine, gradient in zip(before, ours, batch_gradients, strict=True):
            assert torch.equal(was, mine) == (gradient is None)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)
    counts = [kept["step"] for _, kept in sorted(first.state_dict()["state"].items())]
    assert counts == [60, 27, 16, 11]


def test_a_gradient_is_read_only() -> None:
    parameters = starting(torch.float32)
    optimizer = own(parameters, OptimizerSettings())
    batch_gradients: list[Tensor | None] = list(next(gradients(torch.float32)))
    kept = copy.deepcopy(batch_gradients)
    for _ in range(8):
        move(optimizer, parameters, batch_gradients)
    for parameter, gradient in zip(parameters, kept, strict=True):
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("at", [0, 1, 3, 30])
@pytest.mark.parametrize("rectify", [True, False])
def test_a_stored_state_goes_on_exactly(at: int, rectify: bool) -> None:
    settings = OptimizerSettings(learning_rate=0.1, rectify=rectify)
    whole = starting(torch.float32)
    optimizer = own(whole, settings)
    source = gradients(torch.float32)
    batch_gradients = [next(source) for _ in range(STEPS)]
    for step in range(at):
        move(optimizer, whole, list(batch_gradients[step]))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    resumed = [nn.Parameter(parameter.detach().clone()) for parameter in whole]
    other = own(resumed, settings)
    stored = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    kept = copy.deepcopy(stored)
    other.load_state_dict(stored)
    for step in range(at, STEPS):
        move(optimizer, whole, list(batch_gradients[step]))
        move(other, resumed, list(batch_gradients[step]))
    for first, second in zip(whole, resumed, strict=True):
        assert torch.equal(first, second)
    for index, moments in kept["state"].items():
        assert torch.equal(moments["average"], stored["state"][index]["average"])
