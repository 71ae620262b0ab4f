"""Training steps that a GPU plays from a recording (CUDA graphs).

A step dispatches more than a thousand operations, each of which takes a GPU a few
microseconds and the host longer: the GPU waits for it. A recording starts all of them at
once. It repeats what the host decided when it was made, so there is one for each form of a
step: the batch's shape, and what `GradientModel.step_form` names.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from models.bases.adabelief import AdaBelief
from models.bases.device_adabelief import DeviceAdaBelief

PLAIN_STEPS = 10
"""Steps of a form before it is recorded: by then the memory that they keep is allocated, and forms
that last for fewer steps, as in a warm-up, are not recorded."""

Losses = dict[str, Tensor]
Step = Callable[[Tensor], Losses]


def can_record(device: torch.device, optimizers: Iterable[AdaBelief | Optimizer]) -> bool:
    """Return whether steps can be recorded: on a GPU, if step sizes lie there as well."""
    return device.type == "cuda" and all(
        isinstance(optimizer, DeviceAdaBelief | Adam) for optimizer in optimizers
    )


class RecordedSteps:
    """A training step that is recorded when it has been made some times in one form.

    Args:
        step: updates weights on a batch, and returns losses.
        optimizers: which move the weights.
        streams: of randomness, on the device, that a step draws from.
    """

    def __init__(
        self,
        step: Step,
        optimizers: Iterable[AdaBelief | Optimizer],
        streams: Sequence[torch.Generator],
    ) -> None:
        self._step, self._streams = step, streams
        self._optimizers = [each for each in optimizers if isinstance(each, DeviceAdaBelief)]
        self.forget()

    def __call__(self, x: Tensor, form: Hashable) -> Losses:
        """Update the weights on x; return losses, which the next call overwrites.

        Args:
            x: a batch.
            form: what a step depends on besides, see `GradientModel.step_form`.
        """
        whole_form = (tuple(x.shape), form)
        if whole_form not in self._recordings:
            if self._plain_steps[whole_form] < PLAIN_STEPS:
                return self._plainly(x, whole_form)
            recording = Recording(self._step, x, self._optimizers, self._streams)
            self._recordings[whole_form] = recording
        return self._recordings[whole_form].play(x)

    def _plainly(self, x: Tensor, form: Hashable) -> Losses:
        """Make a step; count it if the optimisers will make all that follow by one formula."""
        before = [optimizer.steps for optimizer in self._optimizers]
        losses = self._step(x)
        moved = [o for o, steps in zip(self._optimizers, before, strict=True) if o.steps > steps]
        self._plain_steps[form] += all(optimizer.is_settled for optimizer in moved)
        return losses

    def forget(self) -> None:
        """Forget all recordings: what they read may lie elsewhere now."""
        self._plain_steps: Counter[Hashable] = Counter()
        self._recordings: dict[Hashable, Recording] = {}


class Recording:
    """One form of a training step as a CUDA graph; see `RecordedSteps`."""

    def __init__(
        self,
        step: Step,
        x: Tensor,
        optimizers: Sequence[DeviceAdaBelief],
        streams: Sequence[torch.Generator],
    ) -> None:
        self._x = x.clone()
        with contextlib.ExitStack() as stack:
            counts = [stack.enter_context(each.recorded()) for each in optimizers]
            self._losses = self._record(step, streams)
        self._steps = [(each, count.steps) for each, count in zip(optimizers, counts, strict=True)]

    def play(self, x: Tensor) -> Losses:
        """Update the weights on x, of the shape that was recorded."""
        self._x.copy_(x)
        for optimizer, steps in self._steps:
            if steps:
                optimizer.announce(steps)
        self._replay()
        return self._losses

    def _record(self, step: Step, streams: Sequence[torch.Generator]) -> Losses:
        """Record a step on `_x`, which changes nothing; return the losses that replays write."""
        self._graph = torch.cuda.CUDAGraph()
        for stream in streams:
            self._graph.register_generator_state(stream)
        # Other threads may go on using the device.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            losses = step(self._x)
        # PyTorch 2.11 begins a recording by setting to 0, on the stream that records, the offset in
        # `streams` that kernels read. On a busy device that may come after the first replay set it.
        torch.cuda.synchronize(self._x.device)
        return losses

    def _replay(self) -> None:
        self._graph.replay()
