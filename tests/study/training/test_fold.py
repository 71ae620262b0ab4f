import io
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from models.beta_vaegan.model import BetaVAEGAN
from study.config.schema import Study
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger import fold_files
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.storage.folder import LocalFolder
from study.training.evaluation import FoldEvaluator
from study.training.fold import FoldTask, train_fold
from study.training.validation_report import StoppedEarly, ValidationReport
from tests.study.trials import task_of

TRIAL = "trial-00000"
SIX = {"epochs": 6, "batch_size": 16, "discriminator_updates": 1, "validation_interval": 2}
REPRODUCIBLE = (
    fold_files.COMPONENTS,
    fold_files.TRAINING_COMPONENTS,
    fold_files.HISTORY,
    fold_files.WEIGHTS,
    MODEL,
)


class StopHere(Exception):  # noqa: N818 - an interruption, not an error
    pass


@dataclass
class Bench:
    """One fold and where it is trained; `run` is one attempt."""

    study: Study
    samples: Samples
    place: Path
    rungs: tuple[int, ...] = ()
    manifest: FoldManifest | None = None
    reports: list[ValidationReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fold = make_splits(self.samples, self.study.split, 0).folds[0]

    @property
    def task(self) -> FoldTask:
        return task_of(self.study, rungs=self.rungs)

    @property
    def ledger(self) -> Ledger:
        return Ledger(LocalFolder(self.place / "ledger"))

    @property
    def checkpoints(self) -> LocalFolder:
        return LocalFolder(self.place / "checkpoints")

    def run(self, stop_at: int | None = None, ends_at: int | None = None) -> FoldManifest:
        """Train; die with the report of epoch `stop_at`, or be stopped at the rung `ends_at`."""
        self.reports = []

        def watch(report: ValidationReport) -> None:
            self.reports.append(report)
            if report.epoch == stop_at:
                raise StopHere
            if report.epoch == ends_at and report.state == "running":
                raise StoppedEarly

        return train_fold(self.task, self.samples, self.fold, self.ledger, self.checkpoints, watch)

    def files(self, manifest: FoldManifest) -> dict[str, bytes]:
        return {name: self.ledger.read(manifest, name) for name in REPRODUCIBLE}

    def errors_at_the_end(self, manifest: FoldManifest) -> pd.DataFrame:
        """Errors of the last weights."""
        frame = self.frame(manifest, fold_files.COMPONENTS)
        return frame[frame["epoch_rule"] == "last"].reset_index(drop=True)

    def frame(self, manifest: FoldManifest, name: str) -> pd.DataFrame:
        return pd.read_parquet(io.BytesIO(self.ledger.read(manifest, name)))


@pytest.fixture
def bench(
    tiny_samples: Callable[..., Samples], tiny_study: Callable[..., Study], tmp_path: Path
) -> Callable[..., Bench]:
    def bench(place: str = "a", samples: Samples | None = None, **kept: Any) -> Bench:
        rungs = kept.pop("rungs", ())
        return Bench(tiny_study(**kept), samples or tiny_samples(), tmp_path / place, rungs)

    return bench


@pytest.fixture(scope="module")
def whole(
    tiny_samples: Callable[..., Samples],
    tiny_study: Callable[..., Study],
    tmp_path_factory: pytest.TempPathFactory,
) -> Bench:
    """A fold that was trained at one go, to be read only."""
    bench = Bench(tiny_study(), tiny_samples(), tmp_path_factory.mktemp("whole"))
    bench.manifest = bench.run()
    return bench


@pytest.mark.parametrize(
    ("epochs", "interval", "rungs", "expected"),
    [
        (6, 2, (), [2, 4, 6]),
        (5, 2, (), [2, 4, 5]),
        (5, 9, (), [5]),
        (6, 2, (3, 6, 9), [2, 3, 4, 6]),
        (1, 1, (), [1]),
    ],
)
def test_folds_validate_at_the_interval_at_rungs_and_at_the_end(
    epochs: int,
    interval: int,
    rungs: tuple[int, ...],
    expected: list[int],
    tiny_study: Callable[..., Study],
) -> None:
    study = tiny_study(training={"epochs": epochs, "validation_interval": interval})
    assert task_of(study, rungs=rungs).validation_epochs == expected


def test_a_fold_reports_and_commits(whole: Bench) -> None:
    run, manifest = whole, whole.manifest
    assert manifest is not None
    assert [(r.epoch, r.state) for r in run.reports] == [(2, "running"), (4, "completed")]
    assert all(math.isfinite(r.value) for r in run.reports)
    assert (manifest.state, manifest.last_epoch) == ("completed", 4)
    values = [r.value for r in run.reports]
    assert manifest.best_epoch == [2, 4][int(np.argmax(values))]
    history = run.frame(manifest, fold_files.HISTORY)
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["value"].dropna().tolist() == values
    assert run.ledger.fold(run.task.address) == manifest
    assert not run.checkpoints.exists("")


def test_components_are_of_every_validation_and_test_sample_under_both_rules(
    whole: Bench,
) -> None:
    run, manifest = whole, whole.manifest
    assert manifest is not None
    frame = run.frame(manifest, fold_files.COMPONENTS)
    samples = run.samples
    for rule in ("best_validation", "last"):
        for part in ("validation", "test"):
            rows = frame[(frame["epoch_rule"] == rule) & (frame["split"] == part)]
            members = getattr(run.fold, part)
            assert rows["sample"].tolist() == members.tolist()
            assert rows["label"].tolist() == samples.label[members].tolist()
            assert rows["kind"].tolist() == samples.kind[members].tolist()
            assert rows["record"].tolist() == samples.record[members].tolist()
    trained = run.frame(manifest, fold_files.TRAINING_COMPONENTS)
    for _, rows in trained.groupby("epoch_rule"):
        assert rows["sample"].tolist() == run.fold.training.tolist()


def test_stored_weights_give_the_stored_errors_of_the_best_epoch(whole: Bench) -> None:
    from study.training.fold import build_model

    run, manifest = whole, whole.manifest
    assert manifest is not None
    model = build_model(run.task.config, run.samples, 5, torch.device("cpu"))
    model.load_weights(safetensors.torch.load(run.ledger.read(manifest, fold_files.WEIGHTS)))
    errors = model.errors(torch.from_numpy(run.samples.values[run.fold.test]))
    frame = run.frame(manifest, fold_files.COMPONENTS)
    rows = frame[(frame["epoch_rule"] == "best_validation") & (frame["split"] == "test")]
    for name, values in errors.items():
        np.testing.assert_array_equal(rows[name], values.numpy(), err_msg=name)


def test_the_best_epoch_is_the_first_of_equal_ones(bench: Callable[..., Bench]) -> None:
    run = bench(
        search={"metric": {"composition": "reconstruction", "score": "f1_weighted"}},
        training={"validation_interval": 1},
    )
    manifest = run.run()
    history = run.frame(manifest, fold_files.HISTORY)
    first = int(history["epoch"][history["value"].idxmax()])
    assert manifest.best_epoch == first
    assert (history["value"] == history["value"].max()).sum() > 1, "no tie: this shows nothing"


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


def test_a_fold_interrupted_every_time_still_ends_alike(
    bench: Callable[..., Bench], whole: Bench
) -> None:
    """Whenever it validates; what it validates between changes nothing of the weights."""
    run = bench(training={"validation_interval": 1})
    for stop in (1, 2, 3):
        with pytest.raises(StopHere):
            run.run(stop_at=stop)
    assert whole.manifest is not None
    found, expected = run.errors_at_the_end(run.run()), whole.errors_at_the_end(whole.manifest)
    pd.testing.assert_frame_equal(found, expected)


def test_a_damaged_checkpoint_costs_epochs_and_changes_nothing(
    bench: Callable[..., Bench], whole: Bench
) -> None:
    run = bench()
    with pytest.raises(StopHere):
        run.run(stop_at=2)
    (run.place / "checkpoints" / "checkpoint-000002.state").write_bytes(b"junk")
    manifest = run.run()
    assert run.reports == whole.reports
    assert whole.manifest is not None
    assert run.files(manifest) == whole.files(whole.manifest)


def test_a_committed_fold_only_repeats_its_reports(
    bench: Callable[..., Bench], whole: Bench, tmp_path: Path
) -> None:
    run = bench()
    shutil.copytree(whole.place, run.place)
    path = run.place / "ledger" / TRIAL / "fold-0" / "manifest.json"
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


def test_a_fold_that_cannot_be_scored_where_it_is_stopped_has_failed(
    bench: Callable[..., Bench],
) -> None:
    clean = bench("clean")
    run = bench("bad", samples=spoiled(clean.samples, clean.fold.test[:1]), rungs=(2,))
    manifest = run.run(ends_at=2)
    assert manifest.state == "failed"
    assert [(r.epoch, r.state) for r in run.reports] == [
        (2, "running"),
        (2, "failed"),
    ]
    assert math.isnan(run.reports[1].value)
    reports = run.reports
    assert run.run(ends_at=2) == manifest
    assert [(r.epoch, r.state) for r in run.reports] == [(r.epoch, r.state) for r in reports]


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
               is_leaving=lambda: trained[-1] in leaving)  # fmt: skip
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


def test_other_settings_train_otherwise(bench: Callable[..., Bench], whole: Bench) -> None:
    other = bench(model={"beta": 0.5})
    second = other.run()
    assert whole.manifest is not None
    histories = [run.files(m)[fold_files.HISTORY] for run, m in ((whole, whole.manifest),
                 (other, second))]  # fmt: skip
    assert histories[0] != histories[1]


def spoiled(samples: Samples, members: np.ndarray) -> Samples:
    values = samples.values.copy()
    values[members] = np.nan
    return replace(samples, values=values)


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_what_is_not_finite_fails_the_fold_with_a_reason(
    part: str, bench: Callable[..., Bench], tiny_samples: Callable[..., Samples]
) -> None:
    clean = bench("clean")
    run = bench("bad", samples=spoiled(clean.samples, getattr(clean.fold, part)[:1]))
    manifest = run.run()
    assert manifest.state == "failed"
    assert "nan" in manifest.reason or "not finite" in manifest.reason
    assert [r.epoch for r in run.reports] == [2, 4]
    failed_from = {"training": 2, "validation": 2, "test": 4}[part]
    for report in run.reports:
        assert report.state == ("failed" if report.epoch >= failed_from else "running")
        assert bool(report.reason) == (report.state == "failed")
        assert math.isnan(report.value) == (report.state == "failed")
    assert fold_files.COMPONENTS not in manifest.files
    assert len(run.frame(manifest, fold_files.HISTORY)) == manifest.last_epoch
    assert not run.checkpoints.exists("")


@pytest.mark.parametrize(
    ("part", "rungs"),
    [
        ("training", ()),
        ("validation", ()),
        ("test", ()),
        ("test", (2,)),
    ],
)
def test_a_failed_fold_says_the_same_when_it_is_asked_again(
    part: str, rungs: tuple[int, ...], bench: Callable[..., Bench]
) -> None:
    clean = bench("clean")
    samples = spoiled(clean.samples, getattr(clean.fold, part)[:1])
    run = bench("bad", samples=samples, rungs=rungs)
    manifest = run.run()
    reports = [(r.epoch, r.state, r.reason) for r in run.reports]
    assert run.run() == manifest
    assert [(r.epoch, r.state, r.reason) for r in run.reports] == reports


def test_a_loss_beyond_all_numbers_fails_the_fold(bench: Callable[..., Bench]) -> None:
    run = bench(model={"beta": 1e300})
    manifest = run.run()
    assert manifest.state == "failed"
    assert [r.epoch for r in run.reports] == [2, 4]
    assert run.reports[-1].state == "failed"


@pytest.mark.parametrize(
    ("composition", "form"),
    [
        ("reconstruction_quantile", "implicit"),
        ("gamma_grid", "empirical_mode"),
        ("gamma_grid", "chi_mode"),
        ("svm_gamma", "implicit"),
    ],
)
def test_the_reported_value_is_recomputed_from_the_stored_errors(
    composition: str, form: str, bench: Callable[..., Bench]
) -> None:
    from sklearn.metrics import f1_score

    from study.scores.components import FitErrors
    from study.scores.rules import find_composition

    metric = {"composition": composition, "latent_form": form, "score": "f1_weighted"}
    run = bench(search={"metric": metric}, training={"epochs": 2})
    manifest = run.run()
    names = ("reconstruction_error", "discrimination_error", "latent_norm")
    errors = fold_files.read_errors(run.ledger, manifest, names, 3)["last"]
    entry = find_composition(composition)
    fitted = entry.fit(
        FitErrors(errors.validation, errors.training, 3),
        run.study.scores,
        form if entry.uses_latent else "",  # type: ignore[arg-type]
    )
    predicted = fitted.predict(fitted.score(errors.validation))
    expected = f1_score(errors.validation.label, predicted, average="weighted")
    assert run.reports[-1].value == pytest.approx(expected, rel=1e-12)
