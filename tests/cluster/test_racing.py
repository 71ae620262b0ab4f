"""A search that races folds, killed where a trial has grown, and continued."""

import pandas as pd
import pytest

from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder
from tests.serial_study import run_serially
from tests.small_studies import FOUR_EPOCHS, LEARNING_RATE, RUNG_AT_2, study_text
from tests.study_run import kill

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

STUDY = study_text(
    "raced",
    training=FOUR_EPOCHS | {"batch_size": 16},
    search={
        "trials": 2,
        "space": LEARNING_RATE,
        "enqueue": [{"training.optimizer.learning_rate": rate} for rate in (8e-3, 1e-5)],
        "stopping": RUNG_AT_2 | {"folds": [1]},
    },
    resources={"per_fold": {"cpu": 1}},
    seed=23,
)
"""On two CPUs two trials begin, and one that goes on needs both: the other's must come free.

The second hardly learns: it is stopped, unless it is at the rung before the first."""


def test_a_trial_that_goes_on_gets_its_other_folds_whatever_is_killed(start, tmp_path):
    """In one process, without a race, what completes has the same rows of the same folds."""
    file = tmp_path / "raced.yaml"
    file.write_text(STUDY)
    run = start(file, "--output", tmp_path / "results")
    decided = tmp_path / "results/raced/ledger"
    assert run.wait_until(lambda: any(decided.glob("*/rung-000002.json"))), run.printed()
    assert kill(run.driver.pid)
    run.wait()
    run = start(file, "--output", tmp_path / "results")
    assert run.wait() == 0, run.printed()
    ledger = Ledger(LocalFolder(decided))
    records = ledger.trials()
    went_on = {each.trial for each in ledger.decisions() if each.goes_on}
    assert {record.name for record in records if record.state == "completed"} == went_on
    for record in records:
        folds = 2 if record.name in went_on else 1
        assert len(record.folds) == folds
        assert [address.fold for address in ledger.committed(record.name)] == [*range(folds)]
    assert [each.folds for each in ledger.decisions()] == [1] * 2
    scores = pd.read_parquet(tmp_path / "results/raced/scores.parquet")
    rows = scores.groupby("trial")["fold"].nunique()
    assert rows.to_dict() == {record.name: len(record.folds) for record in records}
    alone = run_serially(file, tmp_path / "alone")
    theirs = pd.read_parquet(alone.locate("scores.parquet"))
    ours, theirs = (
        table[table["trial"].isin(went_on)].reset_index(drop=True) for table in (scores, theirs)
    )
    pd.testing.assert_frame_equal(ours, theirs)
