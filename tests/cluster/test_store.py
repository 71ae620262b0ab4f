"""A real study whose results are in an object store, as users run it."""

import hashlib
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from study.detector import load_detector
from study.ledger import Ledger
from study.storage import open_folder
from tests.cluster.conftest import SECRET, Run
from tests.conftest import STORE_SECRET


def finished(run):
    try:
        assert run.wait() == 0, run.said()
    finally:
        run.stop()
    return run.said()


@pytest.fixture(scope="module")
def stored(tmp_path_factory, study_file, store):
    """A study that was interrupted, damaged and resumed: its folder and what was said."""
    folder = tmp_path_factory.mktemp("stored")
    request = (str(study_file), "--output", store.uri("results"))
    interrupted = Run(folder, *request)
    try:
        interrupted.wait_until_said("trial-00000: epoch 2")
        second = Run(folder, *request)
        assert second.wait() == 2, second.said()
        assert "another process runs this study" in second.said()
        interrupted.driver.send_signal(signal.SIGINT)
        assert interrupted.wait() == 130, interrupted.said()
    finally:
        interrupted.stop()
    said = [interrupted.said(), finished(Run(folder, *request))]
    return open_folder(store.uri("results/tiny")), said


def test_an_interrupted_study_ends_with_the_table_of_a_disk(undisturbed, stored):
    for table in ("scores.parquet", "summary.parquet"):
        assert stored[0].read(table) == (undisturbed[0] / table).read_bytes()


def test_the_same_files_are_there_as_on_a_disk(undisturbed, stored, store):
    def kind(path):
        return path.rpartition("/")[0] + "/events" if "events.out" in path else path

    ours = {kind(key.removeprefix("results/tiny/")) for key in store.below("results/tiny/")}
    root = undisturbed[0]
    theirs = {kind(f.relative_to(root).as_posix()) for f in root.rglob("*") if f.is_file()}
    projected = {
        path
        for path in theirs
        if "/z/" in path or "projector" in path or "0000" in path.rpartition("/z")[2][:3]
    }
    assert ours - theirs == set()
    assert {p for p in theirs - ours - projected if "score_cache" not in p} == set()


def test_pandas_reads_the_table(stored, store, monkeypatch):
    by_uri = pd.read_parquet(stored[0].locate("scores.parquet"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
    by_environment = pd.read_parquet("s3://bucket/results/tiny/scores.parquet")
    pd.testing.assert_frame_equal(by_uri, by_environment)
    assert by_uri["trial"].nunique() == 2


def test_events_are_those_of_a_disk(stored, tmp_path):
    place = "tensorboard/trial-00000/fold-1"
    for name in stored[0].names(place):
        (tmp_path / name).write_bytes(stored[0].read(f"{place}/{name}"))
    check_events(EventAccumulator(str(tmp_path)).Reload())


def test_tensorboard_reads_the_store(stored, store, monkeypatch):
    pytest.importorskip("boto3", reason="TensorBoard reads s3:// with boto3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
    place = "s3://bucket/results/tiny/tensorboard/trial-00000"
    check_events(EventAccumulator(f"{place}/fold-1").Reload())
    trial = EventAccumulator(place).Reload()
    assert "test/svm_lambda/f1_weighted" in trial.Tags()["scalars"]


def check_events(fold):
    assert {"loss/adversarial_loss", "validation/phi"} <= set(fold.Tags()["scalars"])
    assert {event.step for event in fold.Scalars("loss/adversarial_loss")} >= {1, 2}
    assert fold.Images("reconstructions")


def test_the_terminal_says_where_results_are_and_what_is_not_guarded(stored, store):
    said = stored[1][-1]
    assert "has no locks: only on this machine is a second run" in said
    assert f"scores  {stored[0].locate('scores.parquet')}" in said
    command = f"AWS_ENDPOINT_URL={store.endpoint} tensorboard --logdir s3://bucket/results/tiny"
    assert command in said


def test_no_credentials_reach_the_store_or_the_output(stored, store):
    assert len(store.below("results/")) > 20
    for secret in (STORE_SECRET, SECRET):
        assert not any(secret in said for said in stored[1])
        assert not any(secret.encode() in content for content in store.objects.values())


def test_nothing_of_training_is_left(stored, store):
    assert not store.below("results/tiny/checkpoints/")
    assert not store.below("results/tiny/tune/")
    assert not store.uploads


def test_a_trained_trial_scores(stored, undisturbed, tmp_path):
    trial = stored[0].locate("ledger/trial-00000")
    samples = tmp_path / "signals.csv"
    pd.DataFrame([[0.5] * 32, [0.1, 0.9] * 16]).to_csv(samples, index=False, header=False)
    ran = command("study.score", trial, samples, "--output", tmp_path / "scores.parquet")
    assert ran.returncode == 0, ran.stderr
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    local = load_detector(str(undisturbed[0] / "ledger/trial-00000"))
    values = pd.read_csv(samples, header=None).to_numpy()
    assert scores["score"].to_numpy() == pytest.approx(-local.score_samples(values), rel=1e-5)


def test_a_damaged_object_is_named_and_trained_again_and_fresh_keeps_all(
    stored, store, study_file, tmp_path
):
    results, _ = stored
    tables = {name: results.read(name) for name in ("scores.parquet", "report/index.html")}
    key = "results/tiny/ledger/trial-00000/fold-1/components.parquet"
    store.objects[key] = store.objects[key][:-1]
    named = command("study.report", results.locate())
    assert named.returncode == 1
    assert named.stderr.count("\n") == 1
    assert "components.parquet" in named.stderr
    said = finished(Run(tmp_path, str(study_file), "--output", store.uri("results")))
    assert "is not what was committed (sha256); the fold is put aside" in said
    assert results.exists("damaged/trial-00000/fold-1/manifest.json")
    for name in tables:
        results.remove(name)
    made = command("study.report", results.locate())
    assert made.returncode == 0, made.stderr
    assert {name: results.read(name) for name in tables} == tables

    before = {k.removeprefix("results/tiny/"): v for k, v in store.below("results/tiny/").items()}
    fresh = Run(tmp_path, str(study_file), "--output", store.uri("results"), "--fresh")
    try:
        fresh.wait_until_said("TensorBoard")
    finally:
        fresh.stop()
    assert f"the results until now are in {open_folder(store.uri('results/tiny.1')).locate()}" in (
        fresh.said()
    )
    aside = {
        k.removeprefix("results/tiny.1/"): v for k, v in store.below("results/tiny.1/").items()
    }
    assert {k: hashlib.sha256(v).digest() for k, v in aside.items()} == {
        k: hashlib.sha256(v).digest() for k, v in before.items()
    }
    assert Ledger(results.folder("ledger")).trials() == []


@pytest.mark.parametrize("wrong", ["bucket", "key", "uri"])
def test_what_cannot_be_reached_is_said_in_one_line_before_anything_starts(
    wrong, store, study_file, tmp_path, monkeypatch
):
    output = store.uri("wrong", bucket="none" if wrong == "bucket" else "")
    if wrong == "key":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    if wrong == "uri":
        output = f"s3://somebody:{STORE_SECRET}@bucket/wrong"
    done = command("study.run", study_file, "--output", output)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert STORE_SECRET not in done.stderr
    assert not store.below("wrong")


def command(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
