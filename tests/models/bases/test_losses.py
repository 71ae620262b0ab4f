import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import expit

from models.bases.losses import (
    binary_cross_entropy,
    discriminator_loss,
    kl_divergence,
    mean_squared_error,
    non_saturating_loss,
    real_or_not,
)


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 5))
def test_kl_is_that_of_torch_distributions_summed_over_the_latent(
    seed: int, batch: int, latent: int
) -> None:
    mean = torch.from_numpy(2 * drawn(seed, batch, latent))
    log_variance = torch.from_numpy(drawn(seed + 1, batch, latent))
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1).mean()
    result = kl_divergence(mean, log_variance)
    assert result.dtype == torch.float32
    assert result.item() == pytest.approx(expected.item(), rel=1e-5)


def test_kl_is_the_integral_of_the_log_ratio() -> None:
    mean, log_variance = 0.7, -0.4
    posterior = stats.norm(mean, np.exp(log_variance / 2))

    def integrand(z: float) -> float:
        return posterior.pdf(z) * (posterior.logpdf(z) - stats.norm.logpdf(z))

    expected, _ = integrate.quad(integrand, -12, 12)
    result = kl_divergence(torch.tensor([[mean]]), torch.tensor([[log_variance]]))
    assert result.item() == pytest.approx(expected, rel=1e-5)


def test_kl_vanishes_for_the_prior_alone() -> None:
    assert kl_divergence(torch.zeros(3, 4), torch.zeros(3, 4)).item() == 0
    for mean, log_variance in ((0.1, 0.0), (0.0, 0.1), (0.0, -0.1)):
        assert kl_divergence(torch.full((3, 4), mean), torch.full((3, 4), log_variance)) > 0


def test_kl_by_hand() -> None:
    mean = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    log_variance = torch.tensor([[0.0, 0.0], [np.log(2.0), 0.0]])
    rows = [0.5, 0.5 * (2 - 1 - np.log(2)) + 2.0]
    assert kl_divergence(mean, log_variance).item() == pytest.approx(np.mean(rows), rel=1e-6)


def test_bce_is_the_mean_of_the_clipped_form() -> None:
    logits, target = 3 * drawn(0, 4, 2, 32), expit(drawn(1, 4, 2, 32))
    p = np.clip(expit(logits), 1e-12, 1 - 1e-12)
    expected = np.mean(-(target * np.log(p) + (1 - target) * np.log1p(-p)))
    result = binary_cross_entropy(torch.from_numpy(logits), torch.from_numpy(target))
    assert result.dtype == torch.float32
    assert result.item() == pytest.approx(expected, rel=1e-6)


def test_bce_stays_finite_where_the_sigmoid_saturates() -> None:
    logits = torch.tensor([[[200.0, -200.0, 200.0]]], requires_grad=True)
    loss = binary_cross_entropy(logits, torch.tensor([[[1.0, 0.0, 0.0]]]))
    loss.backward()
    assert loss.item() == pytest.approx(200 / 3, rel=1e-6)
    np.testing.assert_allclose(logits.grad.numpy(), [[[0, 0, 1 / 3]]], atol=1e-7)


def test_bce_has_the_gradient_sigmoid_minus_target() -> None:
    logits = torch.from_numpy(drawn(2, 3, 1, 8)).requires_grad_()
    target = torch.from_numpy(expit(drawn(3, 3, 1, 8)))
    binary_cross_entropy(logits, target).backward()
    expected = (expit(logits.detach().numpy()) - target.numpy()) / logits.numel()
    np.testing.assert_allclose(logits.grad.numpy(), expected, rtol=1e-4, atol=1e-8)


def test_mean_squared_error_is_over_all_elements() -> None:
    first, second = drawn(4, 3, 5, 2), drawn(5, 3, 5, 2)
    result = mean_squared_error(torch.from_numpy(first), torch.from_numpy(second))
    assert result.dtype == torch.float32
    assert result.item() == pytest.approx(((first - second) ** 2).sum() / 30, rel=1e-6)


def test_the_discriminator_loss_is_minus_equation_3() -> None:
    real, fake = 2 * drawn(6, 7), 2 * drawn(7, 7)
    expected = -np.mean(np.log(expit(real))) - np.mean(np.log(1 - expit(fake)))
    logits = torch.from_numpy(np.concatenate([real, fake]))
    result = discriminator_loss(logits, real_or_not(7, logits.device))
    assert result.item() == pytest.approx(expected, rel=1e-6)


def test_the_discriminator_gains_by_telling_real_from_reconstructed() -> None:
    logits = torch.zeros(6, requires_grad=True)
    loss = discriminator_loss(logits, real_or_not(3, logits.device))
    loss.backward()
    assert loss.item() == pytest.approx(2 * np.log(2))
    assert (logits.grad[:3] < 0).all()
    assert (logits.grad[3:] > 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_leave_half_precision_before_they_add_up(dtype: torch.dtype) -> None:
    first = torch.from_numpy(drawn(8, 64, 32)).to(dtype)
    second = torch.from_numpy(expit(drawn(9, 64, 32))).to(dtype)
    for loss in (kl_divergence, binary_cross_entropy, mean_squared_error):
        result = loss(first, second)
        exact = loss(first.float(), second.float())
        assert result.dtype == torch.float32
        assert result.item() == exact.item()


def test_the_non_saturating_loss_is_minus_the_log_of_the_probability() -> None:
    logits = np.random.default_rng(0).normal(size=7)
    result = non_saturating_loss(torch.from_numpy(logits))
    assert result.dtype == torch.float32
    assert result.item() == pytest.approx(-np.log(expit(logits)).mean(), rel=1e-6)
    assert torch.isfinite(non_saturating_loss(torch.tensor([-1e4])))
