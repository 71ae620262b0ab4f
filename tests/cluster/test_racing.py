"""A search that races folds, killed where a trial has grown, continued, and replayed."""

import pandas as pd
import pytest

from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder
from tests.small_studies import LEARNING_RATE, study_text
from tests.study_run import kill

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

STUDY = study_text(
    "raced",
    training={"epochs": 4, "validation_interval": 2},
    search={
        "trials": 4,
        "startup_trials": 4,
        "space": LEARNING_RATE,
        "stopping": {"grace_epochs": 2, "reduction": 2, "folds": [1]},
    },
    resources={"per_fold": {"cpu": 1}},
    seed=23,
)
"""On two CPUs two trials begin, and one that goes on needs both: the other's must come free."""


def test_a_trial_that_goes_on_gets_its_other_folds_whatever_is_killed(start, tmp_path):
    file = tmp_path / "raced.yaml"
    file.write_text(STUDY)
    run = start(file, "--output", tmp_path / "results")
    decided = tmp_path / "results/raced/ledger"
    assert run.wait_until(lambda: any(decided.glob("*/rung-000002.json"))), run.printed()
    assert kill(run.driver.pid)
    run.wait()
    run = start(file, "--output", tmp_path / "results")
    assert run.wait() == 0, run.printed()
    ledger = Ledger(LocalFolder(tmp_path / "results/raced/ledger"))
    records = ledger.trials()
    went_on = {each.trial for each in ledger.decisions() if each.goes_on}
    assert {record.name for record in records if record.state == "completed"} == went_on
    for record in records:
        folds = 2 if record.name in went_on else 1
        assert len(record.folds) == folds
        assert [address.fold for address in ledger.committed(record.name)] == [*range(folds)]
    scores = pd.read_parquet(tmp_path / "results/raced/scores.parquet")
    rows = scores.groupby("trial")["fold"].nunique()
    assert rows.to_dict() == {record.name: len(record.folds) for record in records}
    assert [each.folds for each in ledger.decisions()] == [1] * 4
    again = start(file, "--output", tmp_path / "again", "--replay", tmp_path / "results/raced")
    assert again.wait() == 0, again.printed()
    replayed, first = (tmp_path / name / "raced/scores.parquet" for name in ("again", "results"))
    assert replayed.read_bytes() == first.read_bytes()
