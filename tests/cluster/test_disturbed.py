import contextlib
import os
import shutil
import signal
from pathlib import Path

import pandas as pd

from study.ledger.checkpoint import FoldProgress, save_checkpoint
from study.ledger.ledger import Ledger
from study.storage.folder import LocalFolder
from tests.study_run import seconds_until

LOOPBACK = "0100007F"
LISTENING = "0A"


def test_a_study_stopped_twice_ends_with_the_same_table(undisturbed, study_file, start, tmp_path):
    arguments = (study_file, "--output", tmp_path / "results")
    interrupted = start(*arguments)
    interrupted.wait_until_said("trial-00000: epoch 2")
    interrupted.driver.send_signal(signal.SIGINT)
    assert interrupted.wait() == 130
    assert "interrupted; continue with: python -m study.run" in interrupted.said()
    assert seconds_until(lambda: not interrupted.others(), 10) < 10, interrupted.others()

    killed = start(*arguments)
    killed.wait_until_said("trial-00001: epoch 2")
    killed.driver.kill()
    killed.wait()
    assert seconds_until(lambda: not killed.find("worker"), 10) < 10, killed.others()

    last = start(*arguments)
    # Its group is about to start, and holds resources already.
    last.wait_for_worker()
    os.kill(last.find("trial")[0], signal.SIGKILL)
    assert last.wait() == 0, last.said()
    assert "trial-00001: its processes died" in last.said()
    assert "trial-00000: epoch" not in last.said(), "an ended trial ran again"
    ours = tmp_path / "results" / "tiny" / "scores.parquet"
    assert ours.read_bytes() == (undisturbed[0] / "scores.parquet").read_bytes()
    assert seconds_until(lambda: not last.others(), 10) < 10, last.others()


def test_neither_a_killed_worker_nor_two_trials_at_a_time_change_the_table(
    undisturbed, study_file, start, tmp_path
):
    run = start(study_file, "--output", tmp_path / "results", "--set", "resources.per_fold.cpu=0.5")
    run.wait_until_said("at a time  2 trial(s)")
    run.wait_until_said(": epoch 2")
    os.kill(run.wait_for_worker(), signal.SIGKILL)
    assert run.wait() == 0, run.said()
    ours = pd.read_parquet(tmp_path / "results" / "tiny" / "scores.parquet")
    theirs = pd.read_parquet(undisturbed[0] / "scores.parquet")
    trials = ["trial", "param.model.beta", "param.training.optimizer.learning_rate"]
    assert ours[trials].drop_duplicates().equals(theirs[trials].drop_duplicates())
    both = ours["state"].eq("completed") & theirs["state"].eq("completed")
    pd.testing.assert_frame_equal(ours[both], theirs[both])


def test_a_trial_that_fails_is_named_and_disturbs_no_other(study_file, start, tmp_path):
    run = start(
        study_file,
        "--output",
        tmp_path,
        "--set",
        "search.space={model.beta: {choice: [1.0e-4, 1.0e+300]}}",
        "--set",
        "search.stopping=null",
        "--set",
        "search.trials=2",
        "--seed",
        "5",
    )
    assert run.wait() == 0, run.said()
    assert "failed: fold 0: " in run.said()
    scores = pd.read_parquet(tmp_path / "tiny" / "scores.parquet")
    assert set(scores["state"]) == {"completed"}
    assert set(scores["param.model.beta"]) == {1e-4}


def test_a_damaged_fold_is_trained_again_and_a_trial_that_raises_fails_alone(
    undisturbed, study_file, start, tmp_path
):
    """Both leave the table as it was: the fold is the same again, a failed trial has no rows."""
    results = tmp_path / "results" / "tiny"
    shutil.copytree(undisturbed[0], results)
    before = (results / "scores.parquet").read_bytes()
    damaged = results / "ledger/trial-00000/fold-1/components.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    # A sound checkpoint that no model can take over: loading it raises what nobody foresaw.
    planted = LocalFolder(results / "checkpoints/trial-00002/fold-0")
    save_checkpoint(planted, FoldProgress(2, [{"epoch": 2, "value": 0.5}], 2, 0.5))
    run = start(study_file, "--output", tmp_path / "results", "--set", "search.trials=3")
    assert run.wait() == 0, run.said()
    assert f"{damaged} is not what was committed (sha256); the fold is put aside" in run.said()
    assert (results / "damaged/trial-00000/fold-1").is_dir()
    failed = Ledger(LocalFolder(results / "ledger")).trial(2)
    assert (failed.state, failed.reason) == ("failed", "fold 0: KeyError: 'weights'")
    assert (results / "scores.parquet").read_bytes() == before
    assert not (results / "checkpoints").exists()
    assert not (results / "tune").exists()


def listening_addresses(run):
    """Return the addresses that processes of a run listen on, as the kernel writes them."""
    sockets = set()
    for pid in [run.driver.pid, *run.others()]:
        with contextlib.suppress(OSError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    sockets.add(str(handle.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and f"socket:[{inode}]" in sockets:
                found.add(local.partition(":")[0][-8:])
    return found


def test_a_driver_listens_on_loopback_and_a_second_one_is_refused(study_file, start, tmp_path):
    first = start(study_file, "--output", tmp_path)
    first.wait_until_said("TensorBoard")
    assert listening_addresses(first) == {LOOPBACK}
    second = start(study_file, "--output", tmp_path)
    assert second.wait() == 2
    assert "another process runs this study" in second.said()
    first.driver.send_signal(signal.SIGINT)
    assert first.wait() == 130
