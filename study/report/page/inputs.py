"""Inputs of the page: a study's tables, its trials, and files of the trials that it shows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from models import MODELS
from study.config.schema import MetricSettings, Study
from study.config.trial_config import TrialConfig
from study.ledger.answer import Answer, answers
from study.ledger.ledger import Ledger
from study.report.drawn_fold import DRAWN_FOLD, read_drawn_fold
from study.report.paper.basis import BEST
from study.report.paper.names import system_label
from study.search.trial import TrialRecord
from study.storage.folder import Folder

MOST_DRAWN = 4
"""Systems whose folds and samples are drawn; tables have all."""
MOST_TRIALS = 1500
"""Trials that are listed, and drawn in pictures of all trials; of more, an even part."""


@dataclass(frozen=True)
class Entry:
    """A trial that the page answers with.

    Attributes:
        answer: the trial, and the composition that it is reported by.
        label: its name on the page.
        rank: from 0, the best; see `study.ledger.answer.answers`.
    """

    answer: Answer
    label: str
    rank: int

    @property
    def record(self) -> TrialRecord:
        """How the trial ended."""
        return self.answer.record

    @property
    def composition(self) -> str:
        """That of the trial's metric."""
        return self.answer.composition

    @property
    def latent_form(self) -> str:
        """The composition's form of L; "" without L."""
        return self.answer.latent_form

    @property
    def name(self) -> str:
        """The trial's name."""
        return self.record.name

    @property
    def config(self) -> TrialConfig:
        """The trial's configuration."""
        return self.record.trial.config

    @property
    def protocol(self) -> str:
        """How its samples were divided."""
        return self.record.trial.protocol

    @property
    def fitted_once(self) -> bool:
        """Whether it is a simple model, without epochs."""
        return MODELS[self.config.model.name].fitted_once

    @property
    def metric(self) -> MetricSettings:
        """The metric that its best epochs are chosen by."""
        return self.config.metric

    @property
    def key(self) -> dict[str, str]:
        """What selects its composition in the study's tables."""
        return {
            "trial": self.name,
            "composition": self.composition,
            "latent_form": self.latent_form,
        }


@dataclass(frozen=True)
class PageInputs:
    """A study's tables and trials, as the page needs them.

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
        """The ledger, which holds the folds."""
        return Ledger.of(self.results)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """`summary.parquet` of the weights of the best epoch."""
        frame: pd.DataFrame = self.tables["summary"].to_pandas()
        return frame[frame["epoch_rule"] == BEST]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """`scores.parquet` of the trials of `entries`, with the weights of the best epoch."""
        names = {answer.record.name for answer in self._answers}
        frame: pd.DataFrame = self.tables["scores"].to_pandas()
        return frame[(frame["epoch_rule"] == BEST) & frame["trial"].isin(names)]

    @cached_property
    def has_abnormal(self) -> bool:
        """Whether a test sample is abnormal, so that there are metrics of decisions."""
        return self.scores.empty or bool((self.scores["prevalence"] > 0).any())

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the study's tables; empty if the study has none."""
        return self.tables[name].to_pandas() if name in self.tables else pd.DataFrame()

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of one of the study's tables; none if the study has none."""
        rows: list[dict[str, Any]] = self.tables[name].to_pylist() if name in self.tables else []
        return rows

    @cached_property
    def protocols(self) -> list[str]:
        """The protocols of the entries, in their order."""
        return list(dict.fromkeys(entry.protocol for entry in self.entries))

    @cached_property
    def entries(self) -> list[Entry]:
        """Every system under every protocol, or the best trial of a search, by number."""
        entries = [
            Entry(answer, system_label(record.trial.system) or record.name, rank)
            for rank, answer in enumerate(self._answers)
            for record in [answer.record]
        ]
        return sorted(entries, key=lambda entry: entry.record.trial.order)

    @cached_property
    def drawn(self) -> list[Entry]:
        """Entries that are drawn: the best networks by validation, of the first protocol."""
        first = [entry for entry in self.entries if entry.protocol == self.protocols[0]]
        trained = [entry for entry in first if not entry.fitted_once] or first
        return ranked(trained)[:MOST_DRAWN]

    def trial_summary(self, trial: str) -> pd.DataFrame:
        """Return a trial's rows of `summary`, compositions in their order."""
        return self.summary[self.summary["trial"] == trial]

    def read(
        self,
        entry: Entry,
        file: str,
        fold: int = DRAWN_FOLD,
        columns: Sequence[str] | None = None,
    ) -> pa.Table | None:
        """Return a table of an entry's fold; None if it has none, or lacks a column.

        Raises:
            DamagedError: the file is not what was committed.
        """
        return read_drawn_fold(self.ledger, entry.name, file, columns, fold)

    @cached_property
    def listed(self) -> list[TrialRecord]:
        """Trials that are listed and drawn: all, or the best and `MOST_TRIALS` evenly."""
        kept = {self.records[i].name for i in thinned(len(self.records), MOST_TRIALS)}
        kept |= {answer.record.name for answer in self._answers[:1]}
        return [record for record in self.records if record.name in kept]

    @property
    def listed_note(self) -> str:
        """Say that not all trials are listed and drawn; "" where they are."""
        if len(self.listed) == len(self.records):
            return ""
        return (
            f"Of {len(self.records):,} trials {len(self.listed):,} are shown here, evenly by their"
            " number, and the best; trials.parquet has all."
        )

    @cached_property
    def is_search(self) -> bool:
        """Whether trials were proposed; else they are systems that the study names."""
        return not any(record.trial.system for record in self.records)

    @cached_property
    def _answers(self) -> list[Answer]:
        return answers(self.study, self.records)


def thinned(size: int, most: int) -> npt.NDArray[np.int64]:
    """Return indices of at most `most` of `size` items, evenly over all of them."""
    if size <= most:
        return np.arange(size)
    return np.linspace(0, size - 1, most).round().astype(np.int64)


def select(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Return the rows of `frame` in which every named column has its value."""
    masks = [frame[name] == value for name, value in values.items()]
    return frame[np.logical_and.reduce(masks)]


def metric_label(metric: MetricSettings) -> str:
    """Return a metric as axes name it."""
    return f"{metric.score} of {metric.composition}"


def ranked(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries by their metric on validation, the best first."""
    return sorted(entries, key=lambda entry: entry.rank)
