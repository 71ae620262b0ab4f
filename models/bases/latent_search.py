"""The search for the z whose G(z) is nearest to a sample (section II; Schlegl et al. 2017).

Every sample has one or more starts, and all of them are moved together by Adam on the
mean squared error of x and G(z). A sample leaves the batch when one of its searches is
within epsilon, so that few samples that cannot be generated cost little. What is
returned is the best point that was seen, not the last.

Adam's steps are as long where a gradient is small as where it is large, so rounding
grows on the way: the same sample in another batch is found near, not at, the same z.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam

from models.bases.settings import LatentSearchSettings

ROWS_AT_ONCE = 512
"""Rows of one pass of the decoder; more leave the processor's caches and are slower."""


@dataclass(frozen=True)
class SearchResult:
    """Where the best search of each sample ended.

    Attributes:
        z: `(n, latent)`.
        distance: `(n,)`, length of the path from the start to z, >= 0.
    """

    z: Tensor
    distance: Tensor


def search_latent(
    generate: Callable[[Tensor], Tensor],
    x: Tensor,
    starts: Tensor,
    settings: LatentSearchSettings,
    on_step: Callable[[], None] = lambda: None,
) -> SearchResult:
    """Search, from all starts of all samples at once, for the z of least error.

    Gradients are taken whatever mode the caller is in; those of weights should be
    switched off, as they are not used.

    Args:
        generate: G, `(m, latent)` to `(m, channels, length)`; rows are independent.
        x: samples, `(n, channels, length)`.
        starts: `(n, starts, latent)`.
        settings: learning rate, epsilon, most steps.
        on_step: called after each step.
    """
    with torch.inference_mode(False), torch.enable_grad():
        z = starts.clone().requires_grad_()
        optimizer = Adam([z], lr=settings.search_learning_rate)
        path_length = z.new_zeros(z.shape[:2])
        best = _Best(starts.clone(), torch.full_like(path_length, torch.inf), path_length.clone())
        for step in range(settings.max_steps + 1):
            searching = best.lowest.amin(dim=1).gt(settings.epsilon).nonzero()
            searching = searching.flatten()  # (m, 1) -> (m,)
            if not len(searching):
                break
            z.grad = torch.zeros_like(z)
            size = max(1, ROWS_AT_ONCE // z.shape[1])
            for part in torch.split(searching, size):  # (m,) -> (size,), ...
                error = _errors(generate, x[part], z[part])
                best.update(part, error.detach(), z.detach(), path_length)
                if step < settings.max_steps:
                    z.grad += torch.autograd.grad(error.sum(), z)[0]
            before = z.detach().clone()
            optimizer.step()
            path_length += (z.detach() - before).norm(dim=2)
            on_step()
        return best.of_each_sample()


def _errors(generate: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> Tensor:
    """Return the mean squared errors of x `(n, ...)` and G(z), `(n, starts)`."""
    generated = generate(z.flatten(0, 1))  # (n, starts, latent) -> (n * starts, latent)
    generated = generated.view(*z.shape[:2], *x.shape[1:])  # (n * starts, ...) -> (n, starts, ...)
    x = x.unsqueeze(1)  # (n, channels, length) -> (n, 1, channels, length)
    return (generated - x).square().mean(dim=(2, 3))  # (n, starts, ...) -> (n, starts)


@dataclass
class _Best:
    """The best point of each search: z `(n, starts, latent)`, its error and its path's length."""

    z: Tensor
    lowest: Tensor
    distance: Tensor

    def update(self, part: Tensor, error: Tensor, z: Tensor, path_length: Tensor) -> None:
        """Take over where z of the samples `part` is better than before."""
        better = error < self.lowest[part]
        self.lowest[part] = torch.where(better, error, self.lowest[part])
        moved = better.unsqueeze(2)  # (m, starts) -> (m, starts, 1)
        self.z[part] = torch.where(moved, z[part], self.z[part])
        self.distance[part] = torch.where(better, path_length[part], self.distance[part])

    def of_each_sample(self) -> SearchResult:
        """Return the best of each sample's searches."""
        chosen = self.lowest.argmin(dim=1)
        sample = torch.arange(len(chosen), device=chosen.device)
        return SearchResult(z=self.z[sample, chosen], distance=self.distance[sample, chosen])
