"""A real study whose results are in an object store, as users run it."""

import signal
from dataclasses import dataclass

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from study import run, score
from study.detectors.detector import load_detector
from study.ledger.ledger import Ledger
from study.report.__main__ import app as report
from study.search.trial import FoldAddress
from study.storage.folder import Folder, open_folder
from tests.cluster.conftest import SECRET, run_with_secrets
from tests.commands import Answer, call
from tests.conftest import STORE_SECRET
from tests.gate import Gate
from tests.study_run import seconds_until

pytestmark = pytest.mark.cluster
LEAVE_SECONDS = 10
DAMAGED = "results/tiny/ledger/trial-00000/fold-1/components.parquet"


@dataclass(frozen=True)
class Stored:
    """A study in the store that was interrupted, damaged and resumed, and what was printed.

    Until it was interrupted a trial's folds had their turn on one worker, and then one each.
    """

    results: Folder
    interrupted: str
    left: dict[int, str]
    second: str
    report: Answer
    resumed: str


@pytest.fixture(scope="module")
def stored(tmp_path_factory, study_file, store):
    folder = tmp_path_factory.mktemp("stored")
    one_by_one = ("--set", "resources.max_concurrent_trials=1")
    request = (study_file, "--output", store.uri("results"), *one_by_one)
    results = open_folder(store.uri("results/tiny"))
    # Two folds of the first trial, and an epoch of the second, which is not validated.
    gate = Gate(folder, epochs=9)
    in_turn = ("--set", "resources.workers_per_trial=1")
    runs = [run_with_secrets(folder, *request, *in_turn, **gate.environment)]
    try:
        runs[0].wait_until_printed("trial-00000 completed")
        second = call(run.app, *map(str, request))
        assert second.code == 2, second.errors
        runs[0].driver.send_signal(signal.SIGINT)
        assert runs[0].wait() == 130, runs[0].printed()
        seconds_until(lambda: not runs[0].others(), LEAVE_SECONDS)
        left = runs[0].others()
        store.objects[DAMAGED] = store.objects[DAMAGED][:-1]
        reported = call(report, results.locate())
        runs.append(run_with_secrets(folder, *request))
        assert runs[1].wait() == 0, runs[1].printed()
    finally:
        for each in runs:
            each.stop()
    interrupted, resumed = (each.printed() for each in runs)
    return Stored(results, interrupted, left, second.errors, reported, resumed)


def test_an_interrupted_study_ends_with_the_table_of_a_disk(undisturbed, stored):
    assert "interrupted; continue with: python -m study.run" in stored.interrupted
    assert not stored.left
    for table in ("scores.parquet", "summary.parquet"):
        assert stored.results.read(table) == (undisturbed.results / table).read_bytes()


def test_folds_had_their_turn_on_one_worker(stored):
    assert "each with 1 of its 2 folds; the others wait their turn" in stored.interrupted
    assert "trial-00000: 2 of 2 folds have ended" in stored.interrupted
    assert "task_manager" not in stored.interrupted, "Ray writes of calls that nobody awaits"


def test_a_second_run_on_this_machine_is_refused(stored):
    assert "another process runs this study" in stored.second


def test_a_damaged_object_is_named_put_aside_and_trained_again(stored, store):
    assert stored.report.code == 1
    assert stored.report.errors.count("\n") == 1
    where = stored.results.locate("ledger/trial-00000/fold-1/components.parquet")
    problem = f"{where} is not what was committed (sha256)"
    assert problem in stored.report.errors
    assert f"{problem}; the fold is put aside" in stored.resumed
    assert stored.results.exists("damaged/trial-00000/fold-1/manifest.json")
    ledger = Ledger(stored.results.folder("ledger"))
    ledger.verify(ledger.fold(FoldAddress("trial-00000", 1)))


def test_the_same_files_are_there_as_on_a_disk(undisturbed, stored, store):
    """But for the projector's, which need a disk, and the index, which a disk has no use for.

    What was put aside is here alone.
    """

    def kind(path):
        return path.rpartition("/")[0] + "/events" if "events.out" in path else path

    ours = {kind(key.removeprefix("results/tiny/")) for key in store.below("results/tiny/")}
    root = undisturbed.results
    theirs = {kind(f.relative_to(root).as_posix()) for f in root.rglob("*") if f.is_file()}
    alone = ("damaged/", "index/")
    assert {path for path in ours - theirs if not path.startswith(alone)} == set()
    assert {path.partition("/")[0] for path in theirs - ours} == {"tensorboard"}
    assert {path for path in theirs if path.endswith("/events")} <= ours


def test_pandas_reads_the_table(stored, store, monkeypatch):
    by_uri = pd.read_parquet(stored.results.locate("scores.parquet"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
    by_environment = pd.read_parquet("s3://bucket/results/tiny/scores.parquet")
    pd.testing.assert_frame_equal(by_uri, by_environment)
    assert by_uri["trial"].nunique() == 2


def test_events_are_those_of_a_disk(stored, tmp_path):
    folder = "tensorboard/trial-00000/fold-1"
    for name in stored.results.names(folder):
        (tmp_path / name).write_bytes(stored.results.read(f"{folder}/{name}"))
    check_events(EventAccumulator(str(tmp_path)).Reload())


def test_tensorboard_reads_the_store(stored, store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
    uri = "s3://bucket/results/tiny/tensorboard/trial-00000"
    check_events(EventAccumulator(f"{uri}/fold-1").Reload())
    trial = EventAccumulator(uri).Reload()
    assert "answer/f1_weighted" in trial.Tags()["scalars"]


def check_events(fold):
    assert {"loss/adversarial_loss", "validation/phi"} <= set(fold.Tags()["scalars"])
    assert {event.step for event in fold.Scalars("loss/adversarial_loss")} >= {1, 2}
    assert fold.Images("reconstructions")


def test_the_terminal_names_where_results_are(stored, store):
    assert f"scores  {stored.results.locate('scores.parquet')}" in stored.resumed
    command = f"AWS_ENDPOINT_URL={store.endpoint} tensorboard --logdir s3://bucket/results/tiny"
    assert command in stored.resumed


def test_no_credentials_reach_the_store_or_the_output(stored, store):
    assert len(store.below("results/")) > 20
    for secret in (STORE_SECRET, SECRET):
        printed = (stored.interrupted, stored.second, stored.report.errors, stored.resumed)
        assert not any(secret in each for each in printed)
        assert not any(secret.encode() in content for content in store.objects.values())


def test_nothing_of_training_is_left(stored, store):
    assert not store.below("results/tiny/checkpoints/")
    assert not store.below("results/tiny/tune/")
    assert not store.uploads


def test_a_trained_trial_scores(stored, undisturbed, tmp_path):
    trial = stored.results.locate("ledger/trial-00000")
    samples = tmp_path / "signals.csv"
    pd.DataFrame([[0.5] * 32, [0.1, 0.9] * 16]).to_csv(samples, index=False, header=False)
    ran = call(score.app, trial, str(samples), "--output", str(tmp_path / "scores.parquet"))
    assert ran.code == 0, ran.errors
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    local = load_detector(str(undisturbed.results / "ledger/trial-00000"))
    values = pd.read_csv(samples, header=None).to_numpy()
    assert scores["score"].to_numpy() == pytest.approx(-local.score_samples(values), rel=1e-5)


def test_the_report_alone_makes_the_same_bytes(stored):
    names = ("scores.parquet", "report/index.html")
    before = {name: stored.results.read(name) for name in names}
    for name in names:
        stored.results.remove(name)
    made = call(report, stored.results.locate())
    assert made.code == 0, made.errors
    assert {name: stored.results.read(name) for name in names} == before


def test_a_fresh_start_keeps_the_old_results_aside(stored, store, study_file, tmp_path):
    before = store.below("results/tiny/")
    fresh = run_with_secrets(tmp_path, study_file, "--output", store.uri("results"), "--fresh")
    aside = open_folder(store.uri("results/tiny.1")).locate()
    try:
        fresh.wait_until_printed(f"the results until now are in {aside}")
    finally:
        fresh.stop()
    after = store.below("results/tiny.1/")
    assert {key.replace("tiny.1/", "tiny/", 1) for key in after} == before.keys()
    assert list(after.values()) == [before[key.replace("tiny.1/", "tiny/", 1)] for key in after]
    assert not store.below("results/tiny/ledger/")


@pytest.mark.parametrize("wrong", ["bucket", "key", "uri"])
def test_what_cannot_be_reached_is_named_in_one_line_before_anything_starts(
    wrong, store, study_file, tmp_path, monkeypatch
):
    output = store.uri("wrong", bucket="none" if wrong == "bucket" else "")
    if wrong == "key":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    if wrong == "uri":
        output = f"s3://somebody:{STORE_SECRET}@bucket/wrong"
    done = call(run.app, str(study_file), "--output", output)
    assert done.code == 2, done.errors
    assert done.errors.count("\n") == 1
    assert done.output == ""
    assert STORE_SECRET not in done.errors
    assert not store.below("wrong")
