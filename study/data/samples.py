"""Prepared samples: what every dataset turns its records into."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
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
        position: `(n,)` int64; where in its record a sample is, in the source's own unit and
            whatever its window: its R peak, its row, its first point; -1 if unknown. Record and
            position name a sample; the content hash leaves it out.
        abnormal_neighbour: `(n,)` bool; whether the sample's window holds another sample that is
            abnormal, False where that is unknown. It follows from labels and windows of the
            whole source, and is no part of the content hash.
        sampling_rate_hz: rate that `start` and `extent` count in, 0.0 if unknown.
        content_hash: sha256 (hex) of the values, the other arrays, the rate and the components.
        components: name to `(n,)` float32; error components that come with the sample, such
            as how early a beat is, and from no model. Empty where a dataset has none.
        clean: whether normals with an abnormal neighbour are left out of training.
        channel_names: names of several channels, in their order, numbers from 0 where the source
            has none; () where there is one.
        events: of windows of long recordings, record to `(k, 2)` int64: first point of each
            abnormal stretch and the one after its last, in the unit of `start`. Every record has
            an entry. Empty for other samples.
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
    position: npt.NDArray[np.int64]
    abnormal_neighbour: npt.NDArray[np.bool_]
    sampling_rate_hz: float
    content_hash: str
    components: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    clean: bool = False
    channel_names: tuple[str, ...] = ()
    events: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)

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

    @property
    def row_width(self) -> int | None:
        """Values of each row before it was brought to `length`; None of samples of records."""
        widths = np.unique(self.extent)
        is_of_rows = len(widths) == 1 and not (self.record != "").any()
        return int(widths[0]) if is_of_rows else None

    def take(self, index: npt.NDArray[np.int64]) -> Self:
        """Return the samples at `index`, in its order, with the same content hash."""
        return replace(
            self,
            **{name: getattr(self, name)[index] for name in ARRAYS},
            components={name: each[index] for name, each in self.components.items()},
        )


_NOT_BY_SAMPLE = (
    "sampling_rate_hz",
    "content_hash",
    "components",
    "clean",
    "channel_names",
    "events",
)
ARRAYS = tuple(each.name for each in fields(Samples) if each.name not in _NOT_BY_SAMPLE)
"""Names of the per-sample arrays of `Samples`, in their order; components are beside them."""
