"""A study of which something is damaged; what kills do is tried in `tests.chaos`."""

import shutil

import pytest

from study.ledger.checkpoint import FoldProgress, save_checkpoint
from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder

pytestmark = pytest.mark.cluster


def test_a_damaged_fold_is_trained_again_and_a_trial_that_raises_fails_alone(
    undisturbed, study_file, start, tmp_path
):
    """Both leave the table as it was: the fold is the same again, a failed trial has no rows."""
    results = tmp_path / "results" / "tiny"
    shutil.copytree(undisturbed.results, results)
    before = (results / "scores.parquet").read_bytes()
    damaged = results / "ledger/trial-00000/fold-1/components.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    # A sound checkpoint that no model can take over: loading it raises what nobody foresaw.
    planted = LocalFolder(results / "checkpoints/trial-00003/fold-0")
    save_checkpoint(planted, FoldProgress(2, [{"epoch": 2, "value": 0.5}], 2, 0.5))
    run = start(study_file, "--output", tmp_path / "results", "--set", "search.trials=4")
    assert run.wait() == 0, run.printed()
    assert f"{damaged} is not what was committed (sha256); the fold is put aside" in run.printed()
    assert (results / "damaged/trial-00000/fold-1").is_dir()
    failed = Ledger(LocalFolder(results / "ledger")).trial("trial-00003")
    assert (failed.state, failed.reason) == ("failed", "fold 0: KeyError: 'updates'")
    assert (results / "scores.parquet").read_bytes() == before
    assert not (results / "checkpoints").exists()
    assert not (results / "tune").exists()
