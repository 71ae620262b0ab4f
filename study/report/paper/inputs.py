"""Inputs of the paper's tables and figures: a study's tables, and files of the drawn fold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from study.ledger.ledger import Ledger
from study.report.drawn_fold import read_drawn_fold

LATENT_SIZE = "param.model.latent_size"


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
        protocols: list[str] = []
        if {"protocol", "system"} <= set(self.scores.column_names):
            system_scores = self.scores.filter(pc.not_equal(self.scores["system"], ""))
            protocols = pc.unique(system_scores["protocol"]).to_pylist()
        return protocols

    def select_protocol(self, protocol: str) -> "Tables":
        """Return the rows of systems under one protocol."""
        return Tables(**{name: _system_rows(table, protocol) for name, table in vars(self).items()})


@dataclass(frozen=True)
class PaperInputs:
    """Inputs of the tables and figures of one protocol.

    Attributes:
        tables: of that protocol.
        ledger: holds the folds.
        protocol: its name.
        dataset: the study's dataset.
        length: of its samples, in time steps.
    """

    tables: Tables
    ledger: Ledger
    protocol: str
    dataset: str
    length: int

    @property
    def systems(self) -> list[str]:
        """The systems that have scores."""
        systems: list[str] = pc.unique(self.tables.scores["system"]).to_pylist()
        return systems

    def latent_size(self, system: str) -> int | None:
        """Return the dimensions of a system's z; None if it has none."""
        scores = self.tables.scores
        if LATENT_SIZE not in scores.column_names:
            return None
        size = scores.filter(pc.equal(scores["system"], system))[LATENT_SIZE][0].as_py()
        return None if size is None or math.isnan(size) else int(size)

    def read(self, system: str, file: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """Return a table of a system's drawn fold; None if it has none, or lacks a column.

        Raises:
            DamagedError: the file is not what was committed.
        """
        trial = self._trials.get(system)
        return None if trial is None else read_drawn_fold(self.ledger, trial, file, columns)

    @cached_property
    def _trials(self) -> dict[str, str]:
        """The name of each system's first trial."""
        scores = self.tables.scores
        pairs = zip(scores["system"].to_pylist(), scores["trial"].to_pylist(), strict=True)
        return dict(reversed(list(pairs)))


def _system_rows(table: pa.Table, protocol: str) -> pa.Table:
    if not {"protocol", "system"} <= set(table.column_names):
        return table.slice(0, 0)
    is_system = pc.not_equal(table["system"], "")
    return table.filter(pc.and_(pc.equal(table["protocol"], protocol), is_system))
