"""What sources of new signals yield: samples and their columns, a block at a time."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Block:
    """Consecutive samples of a source.

    Attributes:
        values: `(n, channels, length)` float32, prepared as the model's dataset prepares samples,
            before any scaling that is a fold's own.
        columns: `(n,)` each, by name: record, position, label and the like.
        components: `(n,)` float32 each, by name: error components that come with the samples
            and from no model, as in `Samples`; empty where the source has none.
    """

    values: npt.NDArray[np.float32]
    columns: dict[str, npt.NDArray[Any]]
    components: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)
