import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from study.config.schema import Study
from study.data.leakage import Leakage
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger import fold_files
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts
from study.report.fold_scores import ScoreTask, score_fold
from study.report.tables import TrialScores, column, scores_table, timing, timings_table
from study.scores.series import SeriesMetrics
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold
from tests.study.trials import record_of, trial_of

PROMISED = [
    *(
        "study",
        "dataset",
        "protocol",
        "split_hash",
        "model",
        "system",
        "trial",
        "config_hash",
        "state",
    ),
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
LEAKAGE = (Leakage(1, 2, 3, 7), Leakage(4, 5, 6, 8))


class Scored:
    """Two trained folds of a trial, and their rows."""

    def __init__(self, root: Path, study: Study, samples: Samples) -> None:
        self.study = study
        self.samples = samples
        trial = trial_of(study, 0, {"model.beta": 0.25})
        self.record = record_of(trial, values=[(2, 0.5)])
        self.ledger = Ledger(LocalFolder(root / "ledger"))
        splits = make_splits(samples, study.split, study.seed)
        self.splits = splits
        self.manifests = [
            train_fold(
                FoldTask(trial.config, address),
                samples,
                fold,
                self.ledger,
                LocalFolder(root / "checkpoints" / address.path),
            )
            for address, fold in zip(trial.folds, splits.folds, strict=True)
        ]

    def trial(self) -> TrialScores:
        config = self.record.trial.config
        scores = [
            score_fold(ScoreTask(self.ledger, manifest, config, (), False)).scores
            for manifest in self.manifests
        ]
        return TrialScores(self.record, self.manifests, pa.concat_tables(scores))

    @property
    def facts(self) -> dict[str, SplitFacts]:
        return {"paper": SplitFacts(self.splits.split_hash, LEAKAGE)}

    def table(self) -> pa.Table:
        return scores_table(self.facts, [self.trial()])


@pytest.fixture(scope="module")
def scored(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_study: Callable[..., Study],
    tiny_samples: Callable[..., Samples],
) -> Scored:
    study = tiny_study(training={"epochs": 2}, search={"space": {"model.beta": {"choice": [0.25]}}})
    return Scored(tmp_path_factory.mktemp("scored"), study, tiny_samples(30, 12))


def test_the_scores_of_real_folds_have_the_promised_columns_and_rows(scored: Scored) -> None:
    table = scored.table()
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
        for name, count in vars(LEAKAGE[number]).items():
            assert (mine[f"test_{name}"] == count).all()
        share = scored.samples.label[fold.test].mean()
        np.testing.assert_allclose(mine["prevalence"], share, rtol=1e-12)
    np.testing.assert_array_equal(
        frame.loc[frame["epoch_rule"] == "last", "epoch"], scored.manifests[0].last_epoch
    )
    auroc_of_stored_errors(scored, frame)
    assert fold_files.to_parquet(table) == fold_files.to_parquet(scored.table())


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


def test_columns_take_what_searches_mix() -> None:
    assert column([1, 2.5, None]).to_pylist()[:2] == [1.0, 2.5]
    assert math.isnan(column([1, 2.5, None])[2].as_py())
    assert column([True, "x", 3]).to_pylist() == ["True", "x", "3"]
    assert column([[0.5, 0.99], [0.1, 0.2], None]).to_pylist() == [
        "[0.5, 0.99]",
        "[0.1, 0.2]",
        None,
    ]
    assert column([None, 3]).to_pylist() == [None, 3]
    assert column([1, 2]).type == pa.int64()


def test_trials_stand_below_each_other_with_their_own_settings(scored: Scored) -> None:
    first = scored.trial()
    trial = trial_of(scored.study, 3, {"model.beta": 0.5})
    record = record_of(trial, "pruned", [(2, 0.5)], 1)
    manifests = [replace(m, trial=record.name, best_epoch=1) for m in first.manifests]
    # A trial of one fold: rows and folds of trials need not be as many.
    one_fold = first.scores.filter(pa.compute.equal(first.scores["fold"], 0))
    second = TrialScores(record, manifests[:1], one_fold)
    frame = scores_table(scored.facts, [first, second]).to_pandas()
    assert len(frame) == len(first.scores) + len(one_fold)
    top, bottom = frame[: len(first.scores)], frame[len(first.scores) :]
    assert set(top["trial"]) == {"trial-00000"}
    assert set(bottom["trial"]) == {"trial-00003"}
    assert set(bottom["param.model.beta"]) == {0.5}
    assert set(bottom["state"]) == {"pruned"}
    assert set(bottom.loc[bottom["epoch_rule"] == "best_validation", "epoch"]) == {1}
    assert set(bottom.loc[bottom["epoch_rule"] == "last", "epoch"]) == {manifests[0].last_epoch}
    assert set(top["config_hash"]).isdisjoint(bottom["config_hash"])
    # Those of series are in the table only where samples are windows of them.
    left_out = ("epoch_rule", "labels_chose", *SeriesMetrics.__dataclass_fields__)
    own = [name for name in first.scores.column_names if name not in left_out]
    pd.testing.assert_frame_equal(
        bottom[own].reset_index(drop=True), one_fold.to_pandas()[own], check_exact=True
    )


def test_timings_are_by_trial_and_fold_with_where_they_ran(scored: Scored) -> None:
    timings = [
        timing(m, fold_files.read_json(scored.ledger, m, fold_files.TIMINGS))
        for m in scored.manifests
    ]
    frame = timings_table(timings).to_pandas()
    assert frame["fold"].tolist() == [0, 1]
    assert set(frame["trial"]) == {"trial-00000"}
    assert (frame["epochs"] == 2).all()
    assert (frame["train_seconds"] > 0).all()
    assert frame["device"].str.startswith("cpu").all()
    assert (frame["threads"] == 1).all()


def test_counts_that_older_results_lack_are_null(scored: Scored) -> None:
    older = tuple(Leakage(*list(vars(each).values())[:3]) for each in LEAKAGE)
    facts = {"paper": SplitFacts(scored.splits.split_hash, older)}
    table = scores_table(facts, [scored.trial()])
    column = table["test_windows_overlapping_validation"]
    assert (column.type, column.null_count) == (pa.int64(), table.num_rows)
    assert table["test_duplicates_of_training"].null_count == 0
