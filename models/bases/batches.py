"""What batches gave, as what all their samples gave: errors, their variances, mean losses."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Errors = dict[str, Tensor]


def joined(batches: Sequence[Errors], components: Iterable[str]) -> Errors:
    """Return the errors of batches as those of all their samples, `(n,)` float32 each."""
    return {name: torch.cat([batch[name] for batch in batches]).float() for name in components}


def variances_over(score: Callable[[Tensor], Errors], draws: int, x: Tensor) -> Errors:
    """Return the variance of each error of a batch over `draws` scorings."""
    scorings = [score(x) for _ in range(draws)]
    variances = {}
    for name in scorings[0]:
        errors = torch.stack([each[name] for each in scorings])  # (b,), ... -> (draws, b)
        variances[name] = errors.var(dim=0)  # (draws, b) -> (b,)
    return variances


class MeanLosses:
    """Means of losses over samples; they stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._totals: dict[tuple[str, ...], Tensor] = {}
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, losses: dict[str, Tensor], count: int) -> None:
        """Count the losses of a batch of `count` samples; batches may have other losses."""
        names, values = tuple(losses), torch.stack(list(losses.values()))
        if names in self._totals:
            self._totals[names].add_(values, alpha=count)
        else:
            self._totals[names] = values * count
        self._counts[names] = self._counts.get(names, 0) + count

    def by_name(self) -> dict[str, float]:
        """Return the means, in the order in which losses came."""
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        for names, totals in self._totals.items():
            for name, total in zip(names, totals.tolist(), strict=True):
                sums[name] = sums.get(name, 0.0) + total
                counts[name] = counts.get(name, 0) + self._counts[names]
        return {name: total / counts[name] for name, total in sums.items()}
