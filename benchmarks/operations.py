"""What a training step dispatches: ATen operations, the same on every machine.

`python -m benchmarks.operations [--json FILE]` counts those of one step of beta-VAEGAN in
bfloat16 with three discriminator updates, by name. Each is a kernel or a view that the host
starts after the one before; on a GPU, whose arithmetic takes little, they are most of a
step's time.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.training_step import beats, our_model

BATCH = 16
"""Any size gives the same count."""


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts each operation that reaches a kernel, by name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Count one and run it."""
        self.operations[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def operations_of_a_step() -> Counter[str]:
    """Return the operations of one step after the first, by name."""
    model: Any = our_model("bfloat16")
    samples, members = beats(2 * BATCH), torch.arange(BATCH)
    model.train_epoch(samples, members)
    counted = Counted()
    with counted:
        model.train_epoch(samples, members)
    return counted.operations


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write the counts")
    arguments = parser.parse_args()
    operations = operations_of_a_step()
    for name, count in operations.most_common():
        print(f"{count:6d} {name}")
    print(f"{operations.total():6d} operations")
    if arguments.json:
        content = {"operations": operations.total(), "by_name": dict(operations.most_common())}
        arguments.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
