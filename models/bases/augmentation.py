"""Training samples shown anew each time: warped in time and stretched (BeatGAN, section 3.4).

Zhou et al. leave out some time points of each half of a beat and double as many others, so
that its middle stays where it is; a doubled point is followed by the mean of itself and
the next. Stretching is this project's.
"""

import torch
from torch import Tensor


def time_warped(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return samples with time points left out and others doubled, other ones for each sample.

    Args:
        x: `(batch, channels, length)`.
        share: of the points of each half that are left out, and of those that are doubled;
            at most a half.
        generator: on the CPU; what is drawn is the same on every device.
    """
    batch, _, length = x.shape
    halves = (length // 2, length - length // 2)
    indices = []
    for start, half in zip((0, halves[0]), halves, strict=True):
        moved = int(share * half)
        order = torch.rand(batch, half, generator=generator).argsort(dim=1)
        times = torch.ones(batch, half, dtype=torch.int64)
        times.scatter_(1, order[:, :moved], 0)
        times.scatter_(1, order[:, moved : 2 * moved], 2)
        steps = torch.arange(start, start + half).repeat(batch)
        shown = torch.repeat_interleave(steps, times.flatten())
        indices.append(shown.view(batch, half))
    index = torch.cat(indices, dim=1)  # (batch, half), (batch, half) -> (batch, length)
    again = torch.zeros_like(index, dtype=torch.bool)
    again[:, 1:] = index[:, 1:] == index[:, :-1]
    following = (index + again).clamp(max=length - 1)
    here, there = (_at(x, each.to(x.device)) for each in (index, following))
    return (here + there) / 2


def stretched(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return samples stretched about their means by a factor of each, and cut to [0, 1].

    Args:
        x: `(batch, channels, length)` in [0, 1].
        share: factors are drawn uniformly from 1 - share to 1 + share.
        generator: on the CPU; what is drawn is the same on every device.
    """
    factor = 1 + share * (2 * torch.rand(len(x), 1, 1, generator=generator) - 1)
    mean = x.mean(dim=2, keepdim=True)
    return (mean + factor.to(x.device) * (x - mean)).clamp(0, 1)


def _at(x: Tensor, index: Tensor) -> Tensor:
    """Return `x[b, c, index[b, t]]`."""
    wide = index.unsqueeze(1).expand(-1, x.shape[1], -1)  # (b, l) -> (b, c, l)
    return x.gather(2, wide)
