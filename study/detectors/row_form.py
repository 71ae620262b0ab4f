"""Rows that a model takes, and how they become its samples."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.interface import Shape
from study.data import dataset as dataset_entry
from study.data.resampling import scale_rows
from study.data.settings import DatasetSettings

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RowForm:
    """What rows a model was trained on.

    Attributes:
        dataset: its dataset's settings.
        shape: channels and length of its samples.
        width: values of the rows that its samples were made of, before they were brought to
            the length of a sample; None if that is not known, or they were made of records.
        channels: names of several channels; () of one, and where they are not known.
    """

    dataset: DatasetSettings
    shape: Shape
    width: int | None
    channels: tuple[str, ...] = ()

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of rows that the model takes: its own length, and that of its dataset's rows."""
        length = self.shape.length
        return (length,) if self.width is None or self.width == length else (length, self.width)

    def prepared(self, rows: npt.NDArray[np.floating]) -> Values:
        """Return rows `(n, channels, width)` as samples `(n, channels, length)`.

        They are brought to length, and scaled each by itself, as the dataset does with its own;
        scaling that is a fold's own is not applied. Samples come back as they are.
        """
        count, channels, width = rows.shape
        if width == self.shape.length and not self.scales_rows:
            return np.asarray(rows, dtype=np.float32)
        flat = np.asarray(rows, dtype=np.float64).reshape(-1, width)
        fitted = dataset_entry(self.dataset.name).fit_rows(flat, self.shape.length)
        values = scale_rows(fitted) if self.scales_rows else fitted
        return values.astype(np.float32).reshape(count, channels, self.shape.length)

    @property
    def scales_rows(self) -> bool:
        """Whether each row is scaled by its own limits."""
        return getattr(self.dataset, "scaling", "none") == "sample"
