"""Losses of equations 2 to 4, as pure functions; every result is a float32 scalar."""

import torch
from torch import Tensor
from torch.nn import functional


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) of equation 2.

    Summed over latent dimensions, averaged over the batch.

    Args:
        mean: `(batch, latent)`.
        log_variance: `(batch, latent)`.
    """
    return kl_by_dimension(mean, log_variance).sum(dim=1).mean()


def kl_by_dimension(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The same divergence of each sample and latent dimension, `(batch, latent)` float32."""
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


def drawn_norm(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return sqrt(E ||z||²) of z ~ N(mean, exp(log_variance)), `(batch,)` float32.

    If draws follow the prior, the mean of its square over samples is k, as of the chi
    distribution (section III-B); norms of posterior means are smaller by the variance.

    Args:
        mean: `(batch, latent)`.
        log_variance: `(batch, latent)`.
    """
    # float64: with beta 0 nothing bounds a variance.
    squares = mean.double().square() + log_variance.double().exp()
    return squares.sum(dim=1).sqrt().float()


def binary_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """L_rec of equation 4: BCE of sigmoid(logits), averaged over batch, time and channel.

    Args:
        logits: the decoder's output before its sigmoid, `(batch, channels, length)`.
        target: x, in [0, 1], same shape.
    """
    return functional.binary_cross_entropy_with_logits(logits.float(), target.float())


def mean_squared_error(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference over all elements; L_adv of equation 4 on features."""
    return functional.mse_loss(first.float(), second.float())


def real_or_not(batch: int, device: torch.device) -> Tensor:
    """Return 1 for `batch` real samples, and then 0 for as many others, `(2 * batch,)`."""
    return torch.cat([torch.ones(batch, device=device), torch.zeros(batch, device=device)])


def discriminator_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """L_D of equation 3 as a loss: BCE with 1 for real x plus BCE with 0 for x̂.

    Args:
        logits: D's logits on x and then on as many x̂, `(2 * batch,)`.
        targets: of `real_or_not`.
    """
    logits = logits.float()
    return 2 * functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))


def non_saturating_loss(generated_logits: Tensor) -> Tensor:
    """The generator's part of equation 1 as -log D(G(z)) (Goodfellow et al. 2014): BCE with 1.

    Args:
        generated_logits: D's logits on G(z), `(batch,)`.
    """
    fake = generated_logits.float()
    return functional.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
