import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import safetensors.numpy

from models.beta_vaegan.model import BetaVAEGAN
from study.ledger import fold_files
from study.training.evaluation import FoldEvaluator
from study.training.fold import Surroundings, train_fold
from tests.study.training.bench import SIX, TRIAL, Bench, StopHere


@pytest.mark.parametrize("stop", [2, 4])
def test_a_fold_that_was_interrupted_at_a_report_ends_byte_for_byte_alike(
    stop: int, bench: Callable[..., Bench], whole: Bench
) -> None:
    """Here it has a rung besides."""
    run = bench(rungs=(2,))
    with pytest.raises(StopHere):
        run.run(stop_at=stop)
    again = run.run()
    assert run.reports == whole.reports
    assert whole.manifest is not None
    assert run.files(again) == whole.files(whole.manifest)
    assert (again.best_epoch, again.last_epoch) == (
        whole.manifest.best_epoch,
        whole.manifest.last_epoch,
    )


def test_what_scoring_costs_is_reported_and_in_no_history(
    bench: Callable[..., Bench], whole: Bench
) -> None:
    """Also by the attempt that goes on; microseconds would differ where a fold is trained again."""
    run = bench(search={"metrics": ["parameters", "bytes", "microseconds"]}, rungs=(2,))
    with pytest.raises(StopHere):
        run.run(stop_at=2)
    manifest = run.run()
    weights = run.ledger.read(manifest, fold_files.WEIGHTS)
    size = sum(each.size for each in safetensors.numpy.load(weights).values())
    timings = fold_files.read_json(run.ledger, manifest, fold_files.TIMINGS)
    assert len(run.reports) == len(whole.reports)
    for report in run.reports:
        assert (report.scores["parameters"], report.scores["bytes"]) == (size, len(weights))
        assert report.scores["microseconds"] == timings["score_microseconds"] > 0
    assert whole.manifest is not None
    history = run.files(manifest)[fold_files.HISTORY]
    assert history == whole.files(whole.manifest)[fold_files.HISTORY]


def test_a_fold_interrupted_every_time_still_ends_alike(
    bench: Callable[..., Bench], whole: Bench
) -> None:
    """Whenever it validates; what it validates between changes nothing of the weights."""
    run = bench(training={"validation_interval": 1})
    for stop in (1, 2, 3):
        with pytest.raises(StopHere):
            run.run(stop_at=stop)
    assert whole.manifest is not None
    errors, expected = run.errors_at_the_end(run.run()), whole.errors_at_the_end(whole.manifest)
    pd.testing.assert_frame_equal(errors, expected)


def test_a_damaged_checkpoint_costs_epochs_and_changes_nothing(
    bench: Callable[..., Bench], whole: Bench
) -> None:
    run = bench()
    with pytest.raises(StopHere):
        run.run(stop_at=2)
    (run.folder / "checkpoints" / "checkpoint-000002.state").write_bytes(b"junk")
    manifest = run.run()
    assert run.reports == whole.reports
    assert whole.manifest is not None
    assert run.files(manifest) == whole.files(whole.manifest)


def test_a_committed_fold_only_repeats_its_reports(
    bench: Callable[..., Bench], whole: Bench
) -> None:
    run = bench()
    shutil.copytree(whole.folder, run.folder)
    path = run.folder / "ledger" / TRIAL / "fold-0" / "manifest.json"
    written = path.stat().st_mtime_ns
    assert run.run() == whole.manifest
    assert run.reports == whole.reports
    assert path.stat().st_mtime_ns == written
    assert not run.checkpoints.exists("")


def test_a_stop_commits_what_a_shorter_training_commits(bench: Callable[..., Bench]) -> None:
    run = bench("long", rungs=(2,))
    stopped = run.run(ends_at=2)
    assert (stopped.state, stopped.last_epoch) == ("pruned", 2)
    assert [(r.epoch, r.state) for r in run.reports] == [
        (2, "running"),
        (2, "pruned"),
    ]
    assert run.reports[1].value == run.reports[0].value
    assert not run.checkpoints.exists("")
    short = bench("short", training={"epochs": 2})
    manifest = short.run()
    assert set(stopped.files) == set(manifest.files)
    for name in (fold_files.COMPONENTS, fold_files.TRAINING_COMPONENTS, fold_files.WEIGHTS):
        assert run.ledger.read(stopped, name) == short.ledger.read(manifest, name)


def test_a_worker_that_dies_at_a_stop_is_replaced_and_commits_the_same(
    bench: Callable[..., Bench],
) -> None:
    """Before it has committed, when it goes on from its checkpoint, and after."""
    whole, killed = bench("whole", rungs=(2,)), bench("killed", rungs=(2,))
    expected = whole.run(ends_at=2)
    reports = whole.reports
    with pytest.raises(StopHere):
        killed.run(stop_at=2)
    stopped = killed.run(ends_at=2)
    assert killed.reports == reports
    assert killed.files(stopped) == whole.files(expected)
    assert killed.run(ends_at=2) == stopped
    assert killed.reports == reports


def test_a_stop_before_the_checkpoint_trains_again_up_to_it(bench: Callable[..., Bench]) -> None:
    """As after a decision that was damaged, and is another now."""
    run, straight = bench("further", rungs=(2,), training=SIX), bench("s", rungs=(2,), training=SIX)
    with pytest.raises(StopHere):
        run.run(stop_at=4)
    with pytest.raises(RuntimeError, match="trained past epoch 2"):
        run.run(ends_at=2)
    assert run.files(run.run(ends_at=2)) == straight.files(straight.run(ends_at=2))


@pytest.mark.parametrize(
    ("seconds", "leaving", "expected"),
    [(0.0, (), [1, 2, 3, 4, 5]), (3600.0, (), [3]), (3600.0, (4, 5), [3, 4, 5])],
)
def test_checkpoints_are_written_by_time_at_rungs_and_where_a_machine_is_leaving(
    seconds: float,
    leaving: tuple[int, ...],
    expected: list[int],
    bench: Callable[..., Bench],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = bench(rungs=(3,), training=SIX)
    epochs: list[int] = []
    monkeypatch.setattr("study.training.fold.save_checkpoint", lambda folder, progress: (
        epochs.append(progress.epoch)))  # fmt: skip
    trained: list[int] = []
    train_epoch = BetaVAEGAN.train_epoch

    def counted(self: Any, *arguments: Any) -> Any:
        trained.append(len(trained) + 1)
        return train_epoch(self, *arguments)

    monkeypatch.setattr(BetaVAEGAN, "train_epoch", counted)
    task = replace(run.task, checkpoint_seconds=seconds)
    train_fold(task, run.samples, run.fold, run.ledger, run.checkpoints,
               surroundings=Surroundings(is_leaving=lambda: trained[-1] in leaving))  # fmt: skip
    assert epochs == expected


def test_a_fold_resumed_from_between_two_validations_ends_byte_for_byte_alike(
    bench: Callable[..., Bench], whole: Bench
) -> None:
    run = bench()
    with pytest.raises(StopHere):
        run.run(stop_at=2)
    validate = FoldEvaluator.validate

    def dying(self: Any, epoch: int, **options: Any) -> Any:
        if epoch == 4:
            raise StopHere
        return validate(self, epoch, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FoldEvaluator, "validate", dying)
        with pytest.raises(StopHere):
            run.run()
    assert run.checkpoints.names()[-1] == "checkpoint-000003.state"
    assert whole.manifest is not None
    assert run.files(run.run()) == whole.files(whole.manifest)
    assert run.reports == whole.reports
