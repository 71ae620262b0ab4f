"""What the paper's tables and figures are made from: a study's tables, and files of a fold."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from study.ledger.ledger import Ledger

LATENT_SIZE = "param.model.latent_size"
FOLD = 0
"""The fold whose samples and norms are drawn."""


@dataclass(frozen=True)
class Tables:
    """A study's tables.

    Attributes:
        scores: `scores.parquet`.
        summary: `summary.parquet`.
        epochs: `epochs.parquet`.
        measures: `measures.parquet`.
    """

    scores: pa.Table
    summary: pa.Table
    epochs: pa.Table
    measures: pa.Table

    def protocols(self) -> list[str]:
        """Return the protocols under which there are scores of systems, in their order."""
        found: list[str] = []
        if {"protocol", "system"} <= set(self.scores.column_names):
            of_systems = self.scores.filter(pc.not_equal(self.scores["system"], ""))
            found = pc.unique(of_systems["protocol"]).to_pylist()
        return found

    def of_protocol(self, protocol: str) -> "Tables":
        """Return the rows of one protocol that are of systems."""
        return Tables(**{name: _chosen(table, protocol) for name, table in vars(self).items()})


@dataclass(frozen=True)
class FoldFiles:
    """Reads files of the fold that is drawn.

    Attributes:
        ledger: where folds are.
        trials: names of trials by system.
    """

    ledger: Ledger
    trials: Mapping[str, str]

    def read(self, system: str, name: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """Return a table of a system's fold; None if there is none, or a column is absent.

        Raises:
            DamagedError: the file is not what was committed.
        """
        if system not in self.trials:
            return None
        manifest = self.ledger.fold(self.trials[system], FOLD)
        if manifest is None or name not in manifest.files:
            return None
        file = pq.ParquetFile(io.BytesIO(self.ledger.read(manifest, name)))
        if not set(columns or ()) <= set(file.schema_arrow.names):
            return None
        table = file.read(columns=None if columns is None else list(columns))
        return table if table.num_rows else None


@dataclass(frozen=True)
class Source:
    """What the pages of one protocol are made from.

    Attributes:
        tables: of that protocol.
        files: of the drawn fold.
        protocol: its name.
        dataset: the study's dataset.
        length: of its samples, in time steps.
    """

    tables: Tables
    files: FoldFiles
    protocol: str
    dataset: str
    length: int

    @property
    def systems(self) -> list[str]:
        """The systems that have scores."""
        found: list[str] = pc.unique(self.tables.scores["system"]).to_pylist()
        return found

    def latent_size(self, system: str) -> int | None:
        """Return the dimensions of a system's z; None if it has none."""
        scores = self.tables.scores
        if LATENT_SIZE not in scores.column_names:
            return None
        size = scores.filter(pc.equal(scores["system"], system))[LATENT_SIZE][0].as_py()
        return None if size is None or math.isnan(size) else int(size)


def trials_by_system(scores: pa.Table) -> dict[str, str]:
    """Return the name of the first trial of each system, of the scores of one protocol."""
    pairs = zip(scores["system"].to_pylist(), scores["trial"].to_pylist(), strict=True)
    return dict(reversed(list(pairs)))


def _chosen(table: pa.Table, protocol: str) -> pa.Table:
    if not {"protocol", "system"} <= set(table.column_names):
        return table.slice(0, 0)
    is_system = pc.not_equal(table["system"], "")
    return table.filter(pc.and_(pc.equal(table["protocol"], protocol), is_system))
