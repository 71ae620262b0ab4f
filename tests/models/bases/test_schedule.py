"""The learning rate of each update is that of PyTorch's own schedulers."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR

from models.bases.schedule import learning_rate_share
from models.settings import TrainingSettings
from tests.models.trained import Build, Waves


def by_pytorch(training: TrainingSettings, updates: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    warmup = int(training.warmup_share * updates)
    schedulers: list[LRScheduler] = []
    if warmup:
        schedulers.append(LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup))
    if training.schedule == "cosine":
        annealed = updates - warmup
        schedulers.append(CosineAnnealingLR(optimizer, annealed, eta_min=training.final_share))
    scheduler = SequentialLR(optimizer, schedulers, [warmup] if len(schedulers) == 2 else [])
    rates = []
    for _ in range(updates):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


@given(
    updates=st.integers(1, 60),
    warmup=st.floats(0, 0.9),
    final=st.sampled_from([0.0, 0.01, 0.5, 1.0]),
    schedule=st.sampled_from(["constant", "cosine"]),
)
def test_shares_are_those_of_pytorchs_schedulers(
    updates: int, warmup: float, final: float, schedule: Any
) -> None:
    training = TrainingSettings(schedule=schedule, warmup_share=warmup, final_share=final)
    ours = [learning_rate_share(training, update, updates) for update in range(updates)]
    if schedule == "constant" and int(warmup * updates) == 0:
        assert ours == [1.0] * updates
    else:
        assert ours == pytest.approx(by_pytorch(training, updates), abs=1e-9)


def test_the_rate_stays_at_its_end() -> None:
    training = TrainingSettings(schedule="cosine", final_share=0.25)
    assert learning_rate_share(training, 11, 10) == learning_rate_share(training, 99, 10) == 0.25


@pytest.mark.parametrize("optimizer", [{}, {"implementation": "package"}, {"name": "adam"}])
def test_a_schedule_is_stepped_by_update_and_reaches_every_optimizer(
    optimizer: dict[str, str], build: Build, waves: Waves
) -> None:
    """Two epochs of two batches; a rate of nothing moves nothing."""
    x = waves(16)
    model: Any = build(
        "beta_vaegan",
        epochs=2,
        schedule="cosine",
        optimizer={**optimizer, "learning_rate": 1e-3},
    )
    rates: list[set[float]] = []
    step = model.training_step

    def watched(batch: torch.Tensor) -> Any:
        rates.append(
            {
                getattr(each, "learning_rate", None) or each.param_groups[0]["lr"]
                for each in model.optimizers.values()
            }
        )
        return step(batch)

    model.training_step = watched
    for _ in range(2):
        model.train_epoch(x, torch.arange(16))
    expected = [1e-3 * (1 + torch.cos(torch.tensor(torch.pi * k / 4)).item()) / 2 for k in range(4)]
    assert [len(each) for each in rates] == [1] * 4
    assert [each.pop() for each in rates] == pytest.approx(expected)


def test_beta_rises_over_its_warmup(build: Build, waves: Waves) -> None:
    model: Any = build("vae", epochs=4, kl_warmup=0.5, settings={"beta": 0.4})
    weights = []
    encode = model.encode

    def watched(x: torch.Tensor) -> Any:
        encoding = encode(x)
        weights.append(encoding.losses["kl_divergence"][0])
        return encoding

    model.encode = watched
    for _ in range(4):
        model.train_epoch(waves(16), torch.arange(16))
    assert weights == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4])


def test_a_discriminator_joins_in_at_its_share(build: Build, waves: Waves) -> None:
    model: Any = build("beta_vaegan", epochs=4, discriminator_from=0.5)
    autoencoder: Any = build("vae", epochs=4, settings={"beta": model.settings.beta})
    autoencoder.networks.load_state_dict(
        {n: v for n, v in model.networks.state_dict().items() if "discriminator" not in n}
    )
    x, members = waves(16), torch.arange(16)
    kept = {n: v.clone() for n, v in model.networks["discriminator"].state_dict().items()}
    for _ in range(2):
        assert model.train_epoch(x, members) == autoencoder.train_epoch(x, members)
    now = model.networks["discriminator"].state_dict()
    assert all(torch.equal(now[name], value) for name, value in kept.items())
    losses = model.train_epoch(x, members)
    assert {"discriminator_loss", "adversarial_loss"} <= losses.keys()
    now = model.networks["discriminator"].state_dict()
    assert any(not torch.equal(now[name], value) for name, value in kept.items())
