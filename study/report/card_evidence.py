"""Evidence in a model card: metrics, by class, by patient, and at other prevalences.

All of it is of one composition, with the weights of the best validation epoch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from study.ledger.answer import ANSWER_RULE, Answer
from study.ledger.study_folder import SplitFacts
from study.report.summary import fold_statistics
from study.scores.clinical import ALL
from study.scores.settings import MetricName, metric_range

PREVALENCES = (0.01, 0.05, 0.17)
AT_PREVALENCE: tuple[MetricName, ...] = ("f1_weighted", "precision", "recall", "phi")


@dataclass(frozen=True)
class Estimate:
    """A mean over folds, and a 95 % interval inside its range; nan where there is none.

    Attributes:
        mean: over the folds that have it.
        low: lower end of the interval.
        high: its upper end.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "none"
        interval = "" if math.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.mean:.3f}{interval}"


@dataclass(frozen=True)
class Stratum:
    """Test samples of one class, or of one patient.

    Attributes:
        value: the class or patient.
        normal: normal samples, a mean over folds.
        abnormal: abnormal samples, a mean over folds.
        false_alarms: share of the normal ones that is called abnormal.
        sensitivity: share of the abnormal ones that is called abnormal.
        auroc: of its abnormal samples against all normal ones.
    """

    value: str
    normal: float
    abnormal: float
    false_alarms: Estimate
    sensitivity: Estimate
    auroc: Estimate

    @property
    def wrong(self) -> float:
        """Share of wrong decisions."""
        misses = 0.0 if not self.abnormal else self.abnormal * (1 - self.sensitivity.mean)
        alarms = 0.0 if not self.normal else self.normal * self.false_alarms.mean
        return (misses + alarms) / (self.normal + self.abnormal)


@dataclass(frozen=True)
class Evidence:
    """What a study's tables say of one answer.

    Attributes:
        answer: the trial and its composition.
        tables: the study's tables by name.
        facts: of the folds of its protocol.
    """

    answer: Answer
    tables: Mapping[str, pa.Table]
    facts: SplitFacts | None

    def rows(self, name: str) -> pd.DataFrame:
        """Return the answer's rows of a table; empty if the study has none."""
        if name not in self.tables:
            return pd.DataFrame()
        table = self.tables[name]
        key = {
            "trial": self.answer.record.name,
            "epoch_rule": ANSWER_RULE,
            "composition": self.answer.composition,
            "latent_form": self.answer.latent_form,
        }
        for column, value in key.items():
            table = table.filter(pc.equal(table[column], value))
        frame: pd.DataFrame = table.to_pandas()
        return frame

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The answer's rows of `scores.parquet`, a row per fold."""
        return self.rows("scores").set_index("fold").sort_index()

    def metric(self, name: MetricName) -> Estimate:
        """Return a metric on test."""
        return self._estimate(self.scores[name], *metric_range(name))

    @cached_property
    def constant(self) -> float:
        """Weighted F1 of the better constant answer."""
        return float(self.scores["f1_weighted_constant"].mean())

    @cached_property
    def kinds(self) -> list[Stratum]:
        """Classes of the test samples, the most wrong first."""
        return self.strata("kind")

    @cached_property
    def patients(self) -> list[Stratum]:
        """Patients of the test samples, the most wrong first."""
        return self.strata("patient")

    def strata(self, stratum: str) -> list[Stratum]:
        """Return the classes or patients of the test samples, the most wrong first."""
        frame = self.rows("strata")
        frame = frame[frame["stratum"] == stratum] if len(frame) else frame
        strata = []
        for value, rows in frame.groupby("value") if len(frame) else ():
            own = rows.set_index("fold").reindex(self.scores.index)
            with np.errstate(invalid="ignore"):
                strata.append(
                    Stratum(
                        str(value),
                        float(own["normal"].mean()),
                        float(own["abnormal"].mean()),
                        self._estimate(own["false_alarms"] / own["normal"]),
                        self._estimate(own["hits"] / own["abnormal"]),
                        self._estimate(own["auroc"]),
                    )
                )
        return sorted(strata, key=lambda each: (-each.wrong, each.value))

    @cached_property
    def prevalences(self) -> list[tuple[float, dict[MetricName, Estimate], float]]:
        """Share of abnormal samples, metrics there, and a constant answer's weighted F1."""
        frame = self.rows("prevalence")
        prevalences = []
        for share in PREVALENCES if len(frame) else ():
            stated = (frame["prevalence"] == share) & (frame["without_kind"] == "")
            rows = frame[stated & ~frame["own_prevalence"].astype(bool)].set_index("fold")
            if len(rows):
                rows = rows.reindex(self.scores.index)
                metrics = {
                    name: self._estimate(rows[name], *metric_range(name)) for name in AT_PREVALENCE
                }
                prevalences.append((share, metrics, float(rows["f1_weighted_constant"].mean())))
        return prevalences

    def clinical(self) -> list[dict[str, Any]]:
        """Return sensitivity, +P and false alarms an hour of beat classes, all records together."""
        frame = self.rows("clinical")
        frame = frame[frame["records"] == ALL] if len(frame) else frame
        classes = []
        for beat_class, rows in frame.groupby("beat_class", sort=False) if len(frame) else ():
            own = rows.set_index("fold").reindex(self.scores.index)
            hourly = own["false_alarms_per_hour"].mean()
            classes.append({
                "beat_class": beat_class,
                "beats": f"{own['beats'].mean():.0f}",
                "sensitivity": self._estimate(own["sensitivity"]),
                "positive_predictivity": self._estimate(own["positive_predictivity"]),
                "false_alarms_per_hour": "unknown" if math.isnan(hourly) else f"{hourly:.1f}",
            })  # fmt: skip
        return classes

    def _estimate(
        self, values: "pd.Series[float]", least: float = 0.0, most: float = 1.0
    ) -> Estimate:
        ratio = self.scores["num_samples"] / self.scores["num_training"]
        row, ratios = (np.array([each.tolist()], np.float64) for each in (values, ratio))
        ((mean, _, low, high),) = fold_statistics(row, ratios, (least, most)).tolist()
        return Estimate(mean, low, high)
