"""Prepared samples: what every dataset turns its records into."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Samples:
    """Samples of one dataset, with label, kind, record and window of each.

    Attributes:
        values: `(n, channels, length)` float32; in [0, 1], unless the dataset's setting
            `scaling` leaves that to each fold.
        label: `(n,)` int8; 0 normal, 1 abnormal.
        kind: `(n,)` str; the dataset's own class (AAMI class, UCR label, ...).
        symbol: `(n,)` str; the annotation as the source writes it.
        record: `(n,)` str; the record a sample was cut from, "" if there is none.
        patient: `(n,)` str; whom the record is of, "" if unknown.
        side: `(n,)` str; inter-patient side: "train", "test", "excluded", or ""
            where the dataset has no such division.
        start: `(n,)` int64; first position of the sample's window in its record,
            in samples of `sampling_rate_hz`; -1 if there is no record.
        extent: `(n,)` int64; the window's length in the same unit.
        sampling_rate_hz: rate that `start` and `extent` count in, 0.0 if unknown.
        content_hash: sha256 (hex) of the values and of all other arrays.
    """

    values: npt.NDArray[np.float32]
    label: npt.NDArray[np.int8]
    kind: npt.NDArray[np.str_]
    symbol: npt.NDArray[np.str_]
    record: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]
    side: npt.NDArray[np.str_]
    start: npt.NDArray[np.int64]
    extent: npt.NDArray[np.int64]
    sampling_rate_hz: float
    content_hash: str

    def __len__(self) -> int:
        return len(self.values)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.values.shape[1])

    @property
    def length(self) -> int:
        """Samples along time."""
        return int(self.values.shape[2])

    def take(self, index: npt.NDArray[np.int64]) -> Self:
        """Return the samples at `index`, in its order, with the same content hash."""
        per_sample = {
            field.name: getattr(self, field.name)[index]
            for field in fields(self)
            if field.name not in ("sampling_rate_hz", "content_hash")
        }
        return type(self)(
            **per_sample,
            sampling_rate_hz=self.sampling_rate_hz,
            content_hash=self.content_hash,
        )
