"""AdaBelief whose step sizes lie on the device, so that its steps can be recorded.

A CUDA graph repeats numbers of the host as they were when it was recorded. The size of a step
changes with each: it is written to memory beforehand, and the step reads it there.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from models.bases.adabelief import AdaBelief, step_scales

MOST_STEPS = 128
"""Steps of one recording at most: updates of a discriminator for one of the generator."""


@dataclass
class StepCount:
    """How many steps of an optimiser a recording holds."""

    steps: int = 0


class DeviceAdaBelief(AdaBelief):
    """The update of `AdaBelief`, up to rounding; every parameter has a gradient in every step.

    States are those of `AdaBelief`: either goes on from the other's.
    """

    _recording: StepCount | None = None

    @cached_property
    def _scales(self) -> list[Tensor]:
        """Memory for two scales of each step."""
        scales = torch.ones(2 * MOST_STEPS, device=self.parameters[0].device)
        return list(scales.unbind())  # (2 * steps,) -> (), ...

    @property
    def is_settled(self) -> bool:
        """Whether the last step was divided by a root, as all that follow are."""
        if self.steps == 0:
            return False
        return step_scales(self.steps, *self._betas, rectify=self._rectify)[1] is not None

    @property
    def steps(self) -> int:
        """How many were made."""
        return int(self._state[0]["step"]) if self._state else 0

    @torch.no_grad()
    def step(self) -> None:
        """Move all parameters; while steps are recorded, by scales that are written later."""
        if self._recording is None:
            self.announce(1)
            self._move(0)
        else:
            self._move(self._recording.steps)
            self._recording.steps += 1

    @contextlib.contextmanager
    def recorded(self) -> Iterator[StepCount]:
        """Let steps be recorded; yield their count, which is to be announced for each replay."""
        self._recording = StepCount()
        try:
            yield self._recording
        finally:
            self._recording = None

    def announce(self, steps: int) -> None:
        """Count `steps` more steps as made, and write the scales that they are made with."""
        for index in range(len(self.parameters)):
            self._begin(index)
        scales: list[float] = []
        for _ in range(steps):
            for moments in self._state.values():
                moments["step"] += 1
            scale, root_scale = step_scales(self.steps, *self._betas, rectify=self._rectify)
            scales += [-self.learning_rate * scale, 1.0 if root_scale is None else root_scale]
        # As arguments of a kernel: memory of the host might be written anew before it is read.
        written = self._scales[: len(scales)]
        torch._foreach_zero_(written)
        torch._foreach_add_(written, scales)

    def _move(self, slot: int) -> None:
        """Move all parameters by the scales of the announced step `slot`, from 0."""
        parameters, averages, deviations = self._moments(list(range(len(self.parameters))))
        size, root_scale = self._scales[2 * slot : 2 * slot + 2]
        moves = torch._foreach_mul(averages, size)
        if not self.is_settled:
            torch._foreach_add_(parameters, moves)
            return
        roots = torch._foreach_sqrt(deviations)
        if not self._rectify:
            torch._foreach_mul_(roots, root_scale)
        torch._foreach_add_(roots, self._epsilon)
        torch._foreach_addcdiv_(parameters, moves, roots)
