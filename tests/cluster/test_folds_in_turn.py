"""A search with early stops: its folds in turn on one worker, and all at a time."""

import pandas as pd
import pytest

from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder
from tests.small_studies import BETA_TO_FAIL, FOUR_EPOCHS, LEARNING_RATE, RUNG_AT_2, study_text

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def settings(beta, learning_rate):
    return {"model.beta": beta, "training.optimizer.learning_rate": learning_rate}


STUDY = study_text(
    "turns",
    split={"folds": 3},
    training=FOUR_EPOCHS,
    search={
        "trials": 3,
        "startup_trials": 3,
        "space": BETA_TO_FAIL | LEARNING_RATE,
        "enqueue": [
            settings(1e-4, 0.0002979216372044795),
            settings(1e-4, 0.0014456323538412992),
            settings(1e300, 6.8e-3),
        ],
        "stopping": RUNG_AT_2,
    },
    resources={"per_fold": {"cpu": 0.5}, "max_concurrent_trials": 1},
    seed=23,
)
"""One trial completes, one is stopped at epoch 2, and one fails."""


def test_one_worker_makes_of_three_folds_what_three_workers_make(start, tmp_path):
    file = tmp_path / "turns.yaml"
    file.write_text(STUDY)
    results = {}
    for name, number in (("all", "null"), ("one", "1")):
        output = tmp_path / name
        workers = f"resources.workers_per_trial={number}"
        run = start(file, "--output", output, "--set", workers)
        assert run.wait() == 0, run.printed()
        assert "task_manager" not in run.printed(), "Ray writes of calls that nobody awaits"
        results[name] = output / "turns"
    assert "each with 1 of its 3 folds; the others wait their turn" in run.printed()
    assert "trial-00000: 3 of 3 folds have ended" in run.printed()
    for table in ("scores.parquet", "summary.parquet"):
        all_at_once, in_turn = (results[name] / table for name in ("all", "one"))
        assert in_turn.read_bytes() == all_at_once.read_bytes()
    ledger = Ledger(LocalFolder(results["one"] / "ledger"))
    assert {record.state for record in ledger.trials()} == {"completed", "pruned", "failed"}
    assert pd.read_parquet(results["one"] / "scores.parquet")["fold"].nunique() == 3
