import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import integrate

from study import fold_files
from study.data.samples import Samples
from study.definition import Study
from study.fold import FoldTask, train_fold
from study.ledger import Ledger, TrialRecord
from study.report.tables import score_fold, scores_table, summary_table, timings_table
from study.scores.settings import METRIC_NAMES
from study.splits import make_splits
from study.storage import LocalFolder
from study.study_file import configure

PROMISED = [
    *("study", "dataset", "protocol", "split_hash", "model", "trial", "config_hash", "state"),
    *("fold", "seed", "epoch_rule", "epoch", "composition", "latent_form", "supervision"),
    *("lambda_", "gamma", "tau", "f1_weighted", "f1_anomaly", "f1_macro", "precision", "recall"),
    *("phi", "auroc", "auroc_labels", "auprc", "prevalence", "num_samples"),
]
SETTINGS = {
    "param.model.beta": 0.25,
    "param.model.latent_size": 3,
    "param.training.epochs": 2,
    "param.training.optimizer.learning_rate": 2e-4,
    "param.split.folds": 2,
    "param.dataset.length": 32,
}


class Scored:
    """Two trained folds of a trial, and their rows."""

    def __init__(self, root: Path, study: Study, samples: Samples) -> None:
        self.study = study
        self.samples = samples
        self.record = TrialRecord(0, {"model.beta": 0.25}, "completed", "", [(2, 0.5)], 0)
        self.ledger = Ledger(LocalFolder(root / "ledger"))
        splits = make_splits(samples, study.split, study.seed)
        self.splits = splits
        self.manifests = [
            train_fold(
                FoldTask(configure(study, self.record.parameters), self.record.name, number),
                samples,
                fold,
                self.ledger,
                LocalFolder(root / "checkpoints" / str(number)),
            )
            for number, fold in enumerate(splits.folds)
        ]

    def rows(self) -> list[dict[str, Any]]:
        return [
            row
            for manifest in self.manifests
            for row in score_fold(
                self.study, self.splits.split_hash, self.record, self.ledger, manifest
            ).rows
        ]


@pytest.fixture
def scored(
    tmp_path: Path, tiny_study: Callable[..., Study], tiny_samples: Callable[..., Samples]
) -> Scored:
    study = tiny_study(training={"epochs": 2}, search={"space": {"model.beta": {"choice": [0.25]}}})
    return Scored(tmp_path, study, tiny_samples(30, 12))


def test_the_scores_of_real_folds_have_the_promised_columns_and_rows(scored: Scored) -> None:
    rows = scored.rows()
    table = scores_table(rows)
    assert [name for name in table.column_names if name in PROMISED] == PROMISED
    parameters = [name for name in table.column_names if name.startswith("param.")]
    assert parameters == sorted(parameters) == table.column_names[-len(parameters) :]
    differing = {"host", "device", "train_seconds", "evaluate_seconds", "threads"}
    assert not differing & set(table.column_names)
    frame = table.to_pandas()
    for name, value in SETTINGS.items():
        assert (frame[name] == value).all(), name
    assert set(frame["epoch_rule"]) == {"best_validation", "last"}
    assert frame["fold"].tolist() == sorted(frame["fold"])
    assert (frame["beta_unscaled"] == 0.25 * 32).all()
    assert (frame["split_hash"] == scored.splits.split_hash).all()
    keys = ["trial", "fold", "epoch_rule", "composition", "latent_form"]
    assert not frame.duplicated(keys).any()
    assert "none" in set(frame["supervision"])
    for number, fold in enumerate(scored.splits.folds):
        mine = frame[frame["fold"] == number]
        assert (mine["num_samples"] == len(fold.test)).all()
        assert (mine["num_training"] == len(fold.training)).all()
        share = scored.samples.label[fold.test].mean()
        np.testing.assert_allclose(mine["prevalence"], share, rtol=1e-12)
    np.testing.assert_array_equal(
        frame.loc[frame["epoch_rule"] == "last", "epoch"], scored.manifests[0].last_epoch
    )
    auroc_of_stored_errors(scored, frame)
    assert fold_files.to_parquet(table) == fold_files.to_parquet(scores_table(scored.rows()))


def auroc_of_stored_errors(scored: Scored, frame: pd.DataFrame) -> None:
    """AUROC of R on test, by counting pairs."""
    manifest = scored.manifests[1]
    stored = pd.read_parquet(io.BytesIO(scored.ledger.read(manifest, fold_files.COMPONENTS)))
    for rule in ("best_validation", "last"):
        rows = stored[(stored["epoch_rule"] == rule) & (stored["split"] == "test")]
        bad = rows.loc[rows["label"] == 1, "reconstruction_error"].to_numpy(dtype=np.float64)
        good = rows.loc[rows["label"] == 0, "reconstruction_error"].to_numpy(dtype=np.float64)
        pairs = np.sign(bad[:, None] - good[None, :])
        hit = frame[
            (frame["fold"] == 1)
            & (frame["epoch_rule"] == rule)
            & (frame["composition"] == "reconstruction")
        ]
        assert hit["auroc"].item() == pytest.approx((pairs.mean() + 1) / 2, rel=1e-9)


def row(fold: int, composition: str = "a", rule: str = "last", **kept: Any) -> dict[str, Any]:
    known: dict[str, Any] = dict.fromkeys(PROMISED, "")
    known |= dict.fromkeys(METRIC_NAMES, 0.5)
    known |= {"lambda_": 0.0, "gamma": 0.0, "tau": 1.0, "prevalence": 0.5, "seed": 0, "epoch": 4}
    known |= {"num_samples": 20, "num_training": 40, "beta_unscaled": None, "note": ""}
    known |= {"fold": fold, "composition": composition, "epoch_rule": rule}
    known |= {"validation_f1_weighted": 0.5, "f1_weighted_constant": 0.5}
    return {**known, "param.b": 1, "param.a": "x", **kept}


def test_columns_do_not_depend_on_the_order_of_a_rows_keys() -> None:
    rows = [row(0), row(1, **{"param.c": True})]
    turned = [dict(reversed(each.items())) for each in rows]
    assert scores_table(rows).column_names == scores_table(turned).column_names
    assert fold_files.to_parquet(scores_table(rows)) == fold_files.to_parquet(scores_table(turned))


def test_columns_take_what_searches_mix() -> None:
    rows = [
        row(0, **{"param.a": 1, "param.b": True, "param.d": [0.5, 0.99], "param.e": None}),
        row(1, **{"param.a": 2.5, "param.b": "x", "param.d": [0.1, 0.2], "param.e": 3}),
    ]
    frame = scores_table(rows).to_pandas()
    assert frame["param.a"].tolist() == [1.0, 2.5]
    assert frame["param.b"].tolist() == ["True", "x"]
    assert frame["param.d"].tolist() == ["[0.5, 0.99]", "[0.1, 0.2]"]
    assert math.isnan(frame["param.e"][0])
    assert frame["param.e"][1] == 3


def students_quantile(degrees: int, level: float) -> float:
    """By bisection on the integral of Student's density."""
    scale = math.gamma((degrees + 1) / 2) / (math.sqrt(degrees * math.pi) * math.gamma(degrees / 2))

    def inside(reach: float) -> float:
        area, _ = integrate.quad(
            lambda t: scale * (1 + t * t / degrees) ** (-(degrees + 1) / 2), -reach, reach
        )
        return area

    low, high = 0.0, 1000.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < level else (low, middle)
    return low


def test_the_summary_is_the_mean_and_the_corrected_interval() -> None:
    values = [0.7, 0.8, 0.95]
    rows = [row(fold, f1_weighted=value) for fold, value in enumerate(values)]
    summary = summary_table(scores_table(rows)).to_pylist()
    assert len(summary) == 1
    mean = sum(values) / 3
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / 2)
    reach = students_quantile(2, 0.95) * deviation * math.sqrt(1 / 3 + 20 / 40)
    assert summary[0]["folds"] == 3
    assert summary[0]["f1_weighted_mean"] == pytest.approx(mean, rel=1e-12)
    assert summary[0]["f1_weighted_std"] == pytest.approx(deviation, rel=1e-12)
    assert summary[0]["f1_weighted_low"] == pytest.approx(mean - reach, rel=1e-6)
    assert summary[0]["f1_weighted_high"] == pytest.approx(mean + reach, rel=1e-6)
    assert summary[0]["phi_std"] == 0
    assert summary[0]["param.b"] == 1


def test_a_single_fold_has_a_mean_and_no_interval() -> None:
    (only,) = summary_table(scores_table([row(0, phi=0.25)])).to_pylist()
    assert only["phi_mean"] == 0.25
    for name in ("std", "low", "high"):
        assert math.isnan(only[f"phi_{name}"])


def test_the_summary_has_a_row_per_trial_rule_composition_and_form_in_their_order() -> None:
    groups = [
        {"composition": c, "rule": r, "latent_form": f, "trial": t}
        for t in ("trial-00000", "trial-00001")
        for r in ("best_validation", "last")
        for c, f in (("z", ""), ("a", "implicit"), ("a", "chi_mode"))
    ]
    rows = [row(fold, **group) for group in groups for fold in range(2)]
    summary = summary_table(scores_table(rows)).to_pandas()
    assert (summary["folds"] == 2).all()
    found = summary[["composition", "epoch_rule", "latent_form", "trial"]].to_numpy().tolist()
    assert found == [[g["composition"], g["rule"], g["latent_form"], g["trial"]] for g in groups]


def test_tables_with_equal_content_are_equal_bytes() -> None:
    def tables() -> list[bytes]:
        scores = scores_table([row(fold, phi=fold / 7) for fold in range(4)])
        return [fold_files.to_parquet(t) for t in (scores, summary_table(scores))]

    assert tables() == tables()
    other = scores_table([row(fold, phi=fold / 8) for fold in range(4)])
    assert fold_files.to_parquet(other) != tables()[0]


def test_a_table_reads_back_from_its_bytes() -> None:
    table = scores_table([row(0), row(1, phi=math.nan)])
    read = pq.read_table(io.BytesIO(fold_files.to_parquet(table)))
    assert isinstance(read, pa.Table)
    assert read.schema.equals(table.schema)
    pd.testing.assert_frame_equal(read.to_pandas(), table.to_pandas())


def test_timings_are_by_trial_and_fold_with_where_they_ran(scored: Scored) -> None:
    timings = [
        score_fold(scored.study, "h", scored.record, scored.ledger, m).timing
        for m in scored.manifests
    ]
    frame = timings_table(timings).to_pandas()
    assert frame["fold"].tolist() == [0, 1]
    assert set(frame["trial"]) == {"trial-00000"}
    assert (frame["epochs"] == 2).all()
    assert (frame["train_seconds"] > 0).all()
    assert frame["device"].str.startswith("cpu").all()
    assert (frame["threads"] == 1).all()
