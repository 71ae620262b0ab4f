"""What a page is made from: a study's tables, its trials, and files of the trials it shows."""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models import MODELS
from study.config.schema import MetricSettings, Study
from study.config.study_file import configure
from study.ledger.ledger import FoldManifest, Ledger, TrialRecord
from study.report.paper.names import system_label
from study.report.paper.tables import best_composition
from study.search.sources import system_parameters
from study.storage.folder import Folder

FOLD = 0
"""The fold whose samples are drawn."""

SHOWN = 4
"""Systems whose folds and samples are drawn; tables have all."""

BEST = "best_validation"


@dataclass(frozen=True)
class Entry:
    """A trial that the page tells of.

    Attributes:
        record: how it ended.
        study: the study with its settings.
        label: what the page calls it.
        composition: the best on validation, of the weights of the best epoch; "" if
            none is defined in all folds.
        latent_form: its form of L; "" without L.
        validation: weighted F1 of it on validation, mean over folds; nan without.
    """

    record: TrialRecord
    study: Study
    label: str
    composition: str
    latent_form: str
    validation: float

    @property
    def name(self) -> str:
        """The trial's name."""
        return self.record.name

    @property
    def protocol(self) -> str:
        """How its samples were divided."""
        return self.study.split.protocol

    @property
    def fitted_once(self) -> bool:
        """Whether it is a simple model, without epochs."""
        return MODELS[self.study.model.name].fitted_once

    @property
    def metric(self) -> MetricSettings:
        """What it was trained and chosen for."""
        return self.study.search.metric


@dataclass(frozen=True)
class Source:
    """What a page is made from.

    Attributes:
        study: the study.
        records: how its trials ended, by number.
        tables: the study's tables by name.
        results: its results folder.
    """

    study: Study
    records: Sequence[TrialRecord]
    tables: Mapping[str, pa.Table]
    results: Folder

    @cached_property
    def ledger(self) -> Ledger:
        """Where folds are."""
        return Ledger(self.results.folder("ledger"))

    @cached_property
    def summary(self) -> pd.DataFrame:
        """`summary.parquet` of the weights of the best epoch."""
        frame: pd.DataFrame = self.tables["summary"].to_pandas()
        return frame[frame["epoch_rule"] == BEST]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """`scores.parquet` of the trials that the page tells of, at the best epoch."""
        names = {record.name for record in self._told}
        frame: pd.DataFrame = self.tables["scores"].to_pandas()
        return frame[(frame["epoch_rule"] == BEST) & frame["trial"].isin(names)]

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the study's tables; empty if the study has none."""
        return self.tables[name].to_pandas() if name in self.tables else pd.DataFrame()

    @cached_property
    def protocols(self) -> list[str]:
        """The protocols of the entries, in their order."""
        return list(dict.fromkeys(entry.protocol for entry in self.entries))

    @cached_property
    def entries(self) -> list[Entry]:
        """The answer: every system under every protocol, or the best trial of a search."""
        return [self._entry(record) for record in self._told]

    @cached_property
    def shown(self) -> list[Entry]:
        """Entries that are drawn: the best networks by validation, of the first protocol."""
        first = [entry for entry in self.entries if entry.protocol == self.protocols[0]]
        trained = [entry for entry in first if not entry.fitted_once] or first
        return ranked(trained)[:SHOWN]

    def of_trial(self, trial: str) -> pd.DataFrame:
        """Return a trial's rows of `summary`, compositions in their order."""
        return self.summary[self.summary["trial"] == trial]

    def manifest(self, entry: Entry, fold: int = FOLD) -> FoldManifest:
        """Return the commit of an entry's fold."""
        manifest = self.ledger.fold(entry.name, fold)
        assert manifest is not None
        return manifest

    def read(self, entry: Entry, name: str) -> pa.Table | None:
        """Return a table of the drawn fold; None if it has none.

        Raises:
            DamagedError: the file is not what was committed.
        """
        manifest = self.manifest(entry)
        if name not in manifest.files:
            return None
        return pq.read_table(io.BytesIO(self.ledger.read(manifest, name)))

    @cached_property
    def _told(self) -> list[TrialRecord]:
        ended = [record for record in self.records if record.state != "failed"]
        if self.study.systems:
            return ended
        completed = [record for record in ended if record.state == "completed"] or ended
        return [max(completed, key=lambda r: (_or_least(r.best_value), -r.number))]

    def _entry(self, record: TrialRecord) -> Entry:
        study = configure(self.study, record.parameters)
        rows = self.scores[self.scores["trial"] == record.name]
        composition, form = best_composition(rows) or ("", "")
        chosen = (rows["composition"] == composition) & (rows["latent_form"] == form)
        validation = float(rows[chosen]["validation_f1_weighted"].mean())
        return Entry(record, study, self._label(record), composition, form, validation)

    def _label(self, record: TrialRecord) -> str:
        if not self.study.systems:
            return record.name
        return system_label(system_parameters(self.study, record.number)["system"])


def ranked(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries by their best composition on validation, the best first."""
    return sorted(entries, key=lambda e: (-_or_least(e.validation), e.record.number))


def _or_least(value: float) -> float:
    """Return what an undefined value is ranked by."""
    return -math.inf if math.isnan(value) else value
