"""What sources of new signals yield: samples and their columns, a block at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Block:
    """Consecutive samples of a source.

    Attributes:
        values: `(n, 1, length)` float32, prepared as the model's dataset prepares samples,
            before any scaling that is a fold's own.
        columns: `(n,)` each, by name: record, position, label and the like.
    """

    values: npt.NDArray[np.float32]
    columns: dict[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.values)
