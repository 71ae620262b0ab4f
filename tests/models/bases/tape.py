"""A recording that is made and played on a CPU, and repeats what a CUDA graph repeats."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from models.bases.recorded import Losses, Recording, Step

OF_THE_HOST = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.lift_fresh.default}
"""Operations that bring a number from the device or to it, where a CUDA graph has none."""


class Tape(TorchDispatchMode):
    """Writes down operations with their arguments, and what memory held before."""

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, Any, Any, Any]] = []
        self._before: dict[int, tuple[Tensor, torch.UntypedStorage]] = {}
        self._made: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        assert function not in OF_THE_HOST, function
        kwargs = kwargs or {}
        for each in pytree.tree_leaves((args, kwargs)):
            if isinstance(each, Tensor) and _memory(each) not in self._made | self._before.keys():
                self._before[_memory(each)] = each, each.untyped_storage().clone()
        results = function(*args, **kwargs)
        self._operations.append((function, args, kwargs, results))
        self._made |= {
            _memory(each) for each in pytree.tree_leaves(results) if isinstance(each, Tensor)
        } - self._before.keys()
        return results

    @torch.no_grad()
    def undo(self) -> None:
        """Put back what memory held before: a CUDA graph that is recorded computes nothing."""
        for tensor, before in self._before.values():
            tensor.untyped_storage().copy_(before)
        # Nor does it have what it computed then, should it be read before it is written.
        for made in (results for *_, results in self._operations):
            for each in pytree.tree_leaves(made):
                if isinstance(each, Tensor) and _memory(each) not in self._before:
                    each.detach().fill_(float("nan") if each.is_floating_point() else 7)

    @torch.no_grad()
    def play(self) -> None:
        """Repeat the operations, with the same numbers and in the same memory."""
        for function, args, kwargs, results in self._operations:
            again = pytree.tree_leaves(function(*args, **kwargs))
            for kept, new in zip(pytree.tree_leaves(results), again, strict=True):
                if isinstance(kept, Tensor) and kept.data_ptr() != new.data_ptr():
                    kept.detach().copy_(new)


class TapeRecording(Recording):
    """`Recording` with a tape for a graph."""

    def _record(self, step: Step, streams: Sequence[torch.Generator]) -> Losses:
        self._tape = Tape()
        before = [stream.get_state() for stream in streams]
        with self._tape:
            losses = step(self._x)
        self._tape.undo()
        for stream, state in zip(streams, before, strict=True):
            stream.set_state(state)
        return losses

    def _replay(self) -> None:
        self._tape.play()


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
