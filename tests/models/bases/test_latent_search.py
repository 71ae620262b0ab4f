from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.bases import latent_search
from models.bases.latent_search import search_latent
from models.settings import LatentSearchSettings


def line(z: Tensor) -> Tensor:
    """A G whose best z is known: x = (z_1, z_2, z_1 + z_2), one channel."""
    return torch.cat([z, z.sum(dim=1, keepdim=True)], dim=1).unsqueeze(1)


def settings(**values: float) -> LatentSearchSettings:
    return LatentSearchSettings.model_validate(
        {"search_learning_rate": 0.1, "epsilon": 0.0, "max_steps": 300, **values}
    )


def drawn(n: int, starts: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The z of the samples, the samples, and starts elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn((n, 2), generator=generator)
    return z, line(z), torch.randn((n, starts, 2), generator=generator)


def error(x: Tensor, z: Tensor) -> Tensor:
    return (line(z) - x).square().mean(dim=(1, 2))


class Counting:
    """G, and how many rows it was asked for in each pass."""

    def __init__(self, generate: Callable[[Tensor], Tensor] = line) -> None:
        self.generate = generate
        self.rows: list[int] = []

    def __call__(self, z: Tensor) -> Tensor:
        self.rows.append(len(z))
        return self.generate(z)


def test_the_z_of_a_sample_is_found() -> None:
    z, x, starts = drawn(5, 2)
    result = search_latent(line, x, starts, settings())
    assert result.z.shape == (5, 2)
    assert result.distance.shape == (5,)
    torch.testing.assert_close(result.z, z, rtol=0, atol=1e-3)


def test_a_step_is_adams() -> None:
    """The first step of Adam is the learning rate against the gradient's sign."""
    _, x, starts = drawn(4, 1)
    result = search_latent(line, x, starts, settings(max_steps=1, search_learning_rate=1e-3))
    z = starts[:, 0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(error(x, z).sum(), z)
    torch.testing.assert_close(result.z, starts[:, 0] - 1e-3 * gradient.sign())
    torch.testing.assert_close(result.distance, torch.full((4,), 1e-3 * 2**0.5))


def test_the_error_is_never_above_that_of_the_best_start() -> None:
    _, x, starts = drawn(8, 3)
    at_start = torch.stack([error(x, starts[:, i]) for i in range(3)]).amin(dim=0)
    before = at_start
    for steps in (0, 1, 5, 50):
        result = search_latent(line, x, starts, settings(max_steps=steps))
        reached = error(x, result.z)
        assert (reached <= before).all()
        before = reached
    assert (before < 0.1 * at_start).all()
    wild = search_latent(line, x, starts, settings(search_learning_rate=10, max_steps=3))
    assert (error(x, wild.z) <= at_start).all()


def test_without_steps_the_best_start_is_what_is_found() -> None:
    _, x, starts = drawn(6, 4)
    result = search_latent(line, x, starts, settings(max_steps=0))
    errors = torch.stack([error(x, starts[:, i]) for i in range(4)], dim=1)
    assert torch.equal(result.z, starts[torch.arange(6), errors.argmin(dim=1)])
    assert torch.equal(result.distance, torch.zeros(6))


def test_a_search_stops_at_epsilon() -> None:
    _, x, starts = drawn(6, 1)
    generate = Counting()
    result = search_latent(generate, x, starts, settings(epsilon=0.01))
    reached = error(x, result.z)
    assert (reached <= 0.01).all()
    assert (reached > 1e-4).any()  # it did not go on to the end
    assert len(generate.rows) < 300


def test_samples_that_are_done_leave_the_batch_with_all_their_starts() -> None:
    z, x, starts = drawn(5, 3)
    starts[2, 1] = z[2]  # done before the first step
    generate = Counting()
    result = search_latent(generate, x, starts, settings(epsilon=0.01))
    assert generate.rows[:2] == [15, 12]
    assert generate.rows == sorted(generate.rows, reverse=True)
    assert torch.equal(result.z[2], z[2])
    assert result.distance[2] == 0


def test_no_more_steps_are_taken_than_allowed() -> None:
    _, x, starts = drawn(3, 1)
    generate = Counting()
    search_latent(generate, x, starts, settings(max_steps=7))
    assert len(generate.rows) == 8  # and the start


def test_the_distance_is_the_length_of_the_path() -> None:
    """Adam overshoots in one dimension and comes back: further than from end to end."""
    x, starts = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)

    def generate(z: Tensor) -> Tensor:
        return z.unsqueeze(1)

    z, square, average, path, best = 1.0, 0.0, 0.0, 0.0, (1.0, 1.0, 0.0)
    for step in range(1, 61):
        gradient = 2 * z
        average = 0.9 * average + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        move = 0.1 * (average / (1 - 0.9**step)) / ((square / (1 - 0.999**step)) ** 0.5 + 1e-8)
        z, path = z - move, path + abs(move)
        best = min(best, (z**2, z, path))
    result = search_latent(generate, x, starts, settings(max_steps=60))
    assert result.z.item() == pytest.approx(best[1], abs=1e-5)
    assert result.distance.item() == pytest.approx(best[2], rel=1e-4)
    assert result.distance.item() > 1.1


@pytest.mark.parametrize("at_once", [1, 4, 512])
def test_neither_batch_nor_passes_change_what_is_found(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, x, starts = drawn(7, 2)
    whole = search_latent(line, x, starts, settings(epsilon=0.01))
    monkeypatch.setattr(latent_search, "ROWS_AT_ONCE", at_once)
    parted = search_latent(line, x, starts, settings(epsilon=0.01))
    alone = [
        search_latent(line, x[i : i + 1], starts[i : i + 1], settings(epsilon=0.01))
        for i in range(7)
    ]
    for z, distance in (
        (parted.z, parted.distance),
        (torch.cat([each.z for each in alone]), torch.cat([each.distance for each in alone])),
    ):
        torch.testing.assert_close(z, whole.z)
        torch.testing.assert_close(distance, whole.distance)


def test_it_searches_where_gradients_are_off() -> None:
    _, x, starts = drawn(3, 2)
    expected = search_latent(line, x, starts, settings(max_steps=5))
    with torch.no_grad():
        assert torch.equal(search_latent(line, x, starts, settings(max_steps=5)).z, expected.z)
    with torch.inference_mode():
        result = search_latent(line, x.clone(), starts.clone(), settings(max_steps=5))
        assert torch.equal(result.z, expected.z)
        assert not result.z.requires_grad


def test_inputs_are_left_as_they_were() -> None:
    _, x, starts = drawn(3, 2)
    kept = x.clone(), starts.clone()
    search_latent(line, x, starts, settings(max_steps=5))
    assert torch.equal(x, kept[0])
    assert torch.equal(starts, kept[1])
    assert not starts.requires_grad
