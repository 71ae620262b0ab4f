"""Steps that are recorded on a GPU are those that are made one operation after the other."""

import copy
import io
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.bases.adabelief import AdaBelief
from models.bases.device_adabelief import DeviceAdaBelief
from models.bases.gradient import GradientModel
from models.bases.recorded import Recording
from models.settings import OptimizerSettings
from tests.models.contract import assert_same_tree
from tests.models.test_training_contract import EVERYTHING
from tests.models.trained import Build, Waves

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
STEPS = 20
LATE_CYCLES = 200_000_000
"""A tenth of a second of a GPU."""
MODELS = ("ae", "vae", "beatgan", "beatgan_plus", "beta_vaegan", "anogan")
TRAININGS = {
    "paper": {},
    "everything": EVERYTHING,
    "adam": {"optimizer": {"name": "adam"}, "schedule": "cosine"},
    "bfloat16": {"precision": "bfloat16", "recipe": "fast"},
    "not rectified": {"optimizer": {"rectify": False}},
}


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(s, generator=generator)) for s in [(3, 4), (5,), (2, 2)]]


def gradients(like: list[nn.Parameter]) -> Iterator[list[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    while True:
        yield [torch.randn(each.shape, generator=generator) for each in like]


def optimizer_of(kind: type[AdaBelief], moved: list[nn.Parameter], rectify: bool) -> Any:
    settings = OptimizerSettings()
    return kind(moved, 0.1, settings.betas, settings.epsilon, rectify=rectify)


def give(moved: list[nn.Parameter], batch: list[Tensor]) -> None:
    for parameter, gradient in zip(moved, batch, strict=True):
        parameter.grad = gradient.clone()


def step_both(batch: list[Tensor], *both: tuple[list[nn.Parameter], Any]) -> None:
    for moved, optimizer in both:
        give(moved, batch)
        optimizer.step()


@pytest.mark.parametrize("rectify", [True, False])
def test_scales_on_the_device_move_weights_as_those_of_the_host(rectify: bool) -> None:
    ours, theirs = parameters(), parameters()
    first = optimizer_of(DeviceAdaBelief, ours, rectify)
    second = optimizer_of(AdaBelief, theirs, rectify)
    source = gradients(ours)
    for step in range(STEPS):
        first.learning_rate = second.learning_rate = 0.1 / (step + 1)
        step_both(next(source), (ours, first), (theirs, second))
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
    # Each goes on from the other's state, as a fold may from a CPU to a GPU.
    state = copy.deepcopy(first.state_dict())
    first.load_state_dict(second.state_dict())
    second.load_state_dict(state)
    step_both(next(source), (ours, first), (theirs, second))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rectify", [True, False])
def test_a_recording_of_several_steps_reads_what_is_announced(rectify: bool) -> None:
    plain, recorded = parameters(), parameters()
    first = optimizer_of(DeviceAdaBelief, plain, rectify)
    second = optimizer_of(DeviceAdaBelief, recorded, rectify)
    source = gradients(plain)
    assert not second.is_settled
    for _ in range(6):
        step_both(next(source), (plain, first), (recorded, second))
    assert second.is_settled
    batches = [next(source) for _ in range(3)]
    second.announce(3)
    with second.recorded() as count:
        for batch in batches:
            give(recorded, batch)
            second.step()
    assert count.steps == 3
    for batch in batches:
        give(plain, batch)
        first.step()
    assert_same_tree([p.data for p in plain], [p.data for p in recorded])
    assert_same_tree(first.state_dict(), second.state_dict())


def epochs(model: GradientModel, x: Tensor, count: int) -> list[dict[str, float]]:
    members = torch.arange(len(x), device=x.device)
    return [model.train_epoch(x, members) for _ in range(count)]


@on_gpu
@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
@pytest.mark.parametrize("name", MODELS)
def test_recorded_steps_are_equal_bit_by_bit(
    name: str, training: dict[str, Any], build: Build, waves: Waves
) -> None:
    x = waves(8 * 12 + 3).cuda()
    recorded: Any = build(name, device="cuda", **{**training, "epochs": 4})
    plain: Any = build(name, device="cuda", **{**training, "epochs": 4})
    plain._recorded = None
    assert epochs(recorded, x, 2) == epochs(plain, x, 2)
    assert_same_tree(recorded.errors(x[:5]), plain.errors(x[:5]))  # between epochs, as validated
    assert epochs(recorded, x, 1) == epochs(plain, x, 1)
    assert_same_tree(recorded.state(), plain.state())
    file = io.BytesIO()
    torch.save(recorded.state(), file)
    other: Any = build(name, seeds=(91, 92, 93), device="cuda", **{**training, "epochs": 4})
    epochs(other, x, 2)  # has recordings, which are of no use any more
    file.seek(0)
    other.load_state(torch.load(file, map_location="cpu", weights_only=True))  # as checkpoints are
    assert epochs(recorded, x, 1) == epochs(other, x, 1)
    assert other._recorded._recordings
    assert_same_tree(recorded.state(), other.state())
    assert recorded._recorded._recordings


@on_gpu
def test_the_first_play_draws_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing, expected = (torch.Generator("cuda").manual_seed(3) for _ in range(2))

    def draw(stream: torch.Generator) -> Tensor:
        return torch.randn(8, generator=stream, device="cuda")

    def step(x: Tensor) -> dict[str, Tensor]:
        torch.cuda._sleep(4 * LATE_CYCLES)  # type: ignore[no-untyped-call]
        return {"drawn": x + draw(drawing)}

    def fall_behind() -> None:
        with torch.cuda.stream(torch.cuda.graph.default_capture_stream):
            torch.cuda._sleep(LATE_CYCLES)  # type: ignore[no-untyped-call]

    # `torch.cuda.graph` calls it between waiting for the device and its own first kernels, which
    # a device that others use as well may run as late as this.
    monkeypatch.setattr(torch.cuda, "empty_cache", fall_behind)
    x = torch.zeros(8, device="cuda")
    assert torch.equal(step(x)["drawn"], draw(expected))
    recording = Recording(step, x, [], [drawing])
    for _ in range(2):
        assert torch.equal(recording.play(x)["drawn"], draw(expected))


@on_gpu
@pytest.mark.parametrize("name", [*MODELS, "latent_refinement"])
def test_a_gpu_scores_as_the_cpu_does(name: str, build: Build, waves: Waves) -> None:
    x = waves(64)
    on_cpu: Any = build(name)
    epochs(getattr(on_cpu, "encoder_model", on_cpu), x, 3)
    other: Any = build(name, device="cuda")
    other.load_weights(on_cpu.weights())
    for component, expected in on_cpu.errors(x).items():
        errors = other.errors(x.cuda())[component].cpu()
        torch.testing.assert_close(errors, expected, rtol=1e-3, atol=1e-5, msg=component)
