import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from study.config.schema import Study
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger import fold_files
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.ledger.trial_outcome import stage_name
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold
from study.training.validation_report import ValidationReport
from tests.study.trials import task_of

TRIAL = "trial-00000"
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

    def run(self, stop_at: int | None = None) -> FoldManifest:
        self.reports = []

        def watch(report: ValidationReport) -> None:
            self.reports.append(report)
            if report.epoch == stop_at:
                raise StopHere

        return train_fold(self.task, self.samples, self.fold, self.ledger, self.checkpoints, watch)

    def files(self, manifest: FoldManifest) -> dict[str, bytes]:
        return {name: self.ledger.read(manifest, name) for name in REPRODUCIBLE}

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


def test_a_fold_reports_and_commits(bench: Callable[..., Bench]) -> None:
    run = bench()
    manifest = run.run()
    assert [(r.epoch, r.state) for r in run.reports] == [
        (2, "running"),
        (4, "running"),
        (6, "completed"),
    ]
    assert all(math.isfinite(r.value) for r in run.reports)
    assert (manifest.state, manifest.last_epoch) == ("completed", 6)
    values = [r.value for r in run.reports]
    assert manifest.best_epoch == [2, 4, 6][int(np.argmax(values))]
    history = run.frame(manifest, fold_files.HISTORY)
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert history["value"].dropna().tolist() == values
    assert run.ledger.fold(run.task.address) == manifest
    assert not run.checkpoints.exists("")


def test_components_are_of_every_validation_and_test_sample_under_both_rules(
    bench: Callable[..., Bench],
) -> None:
    run = bench()
    manifest = run.run()
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


def test_stored_weights_give_the_stored_errors_of_the_best_epoch(
    bench: Callable[..., Bench],
) -> None:
    from study.training.fold import build_model

    run = bench()
    manifest = run.run()
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
        training={"epochs": 6, "validation_interval": 1},
    )
    manifest = run.run()
    history = run.frame(manifest, fold_files.HISTORY)
    first = int(history["epoch"][history["value"].idxmax()])
    assert manifest.best_epoch == first
    assert (history["value"] == history["value"].max()).sum() > 1, "no tie: this shows nothing"


def test_a_fold_that_was_interrupted_at_any_report_ends_byte_for_byte_alike(
    bench: Callable[..., Bench],
) -> None:
    whole = bench("whole", rungs=(4,))
    manifest = whole.run()
    expected, reports = whole.files(manifest), whole.reports
    for stop in (2, 4, 6):
        run = bench(f"stop-{stop}", rungs=(4,))
        with pytest.raises(StopHere):
            run.run(stop_at=stop)
        again = run.run()
        assert run.reports == reports
        found = run.files(again)
        for name, content in expected.items():
            assert found[name] == content, f"{name} after a stop at {stop}"
        assert (again.best_epoch, again.last_epoch) == (manifest.best_epoch, manifest.last_epoch)


def test_a_fold_interrupted_every_time_still_ends_alike(bench: Callable[..., Bench]) -> None:
    whole = bench("whole")
    expected = whole.files(whole.run())
    run = bench("often")
    for stop in (2, 4):
        with pytest.raises(StopHere):
            run.run(stop_at=stop)
    assert run.files(run.run()) == expected


def test_a_damaged_checkpoint_costs_epochs_and_changes_nothing(
    bench: Callable[..., Bench],
) -> None:
    whole = bench("whole")
    expected = whole.files(whole.run())
    run = bench("damaged")
    with pytest.raises(StopHere):
        run.run(stop_at=4)
    (run.place / "checkpoints" / "checkpoint-000004.state").write_bytes(b"junk")
    manifest = run.run()
    assert run.reports == whole.reports
    assert run.files(manifest) == expected


def test_staging_at_a_rung_leaves_training_as_it_was(bench: Callable[..., Bench]) -> None:
    plain, staged = bench("plain"), bench("staged", rungs=(2, 4))
    assert plain.files(plain.run()) == staged.files(staged.run())


def test_a_committed_fold_only_repeats_its_reports(bench: Callable[..., Bench]) -> None:
    run = bench()
    first, reports = run.run(), run.reports
    path = run.place / "ledger" / TRIAL / "fold-0" / "manifest.json"
    written = path.stat().st_mtime_ns
    assert run.run() == first
    assert run.reports == reports
    assert path.stat().st_mtime_ns == written
    assert not run.checkpoints.exists("")


def test_a_rung_stages_what_a_shorter_training_commits(bench: Callable[..., Bench]) -> None:
    run = bench("long", rungs=(4,))
    with pytest.raises(StopHere):
        run.run(stop_at=4)
    stage = Ledger(run.checkpoints.folder(stage_name(4)))
    staged = stage.fold(run.task.address)
    assert staged is not None
    assert (staged.state, staged.last_epoch) == ("pruned", 4)
    for name in staged.files:
        stage.read(staged, name)
    short = bench("short", training={"epochs": 4})
    manifest = short.run()
    assert set(staged.files) == set(manifest.files)
    for name in (fold_files.COMPONENTS, fold_files.TRAINING_COMPONENTS, fold_files.WEIGHTS):
        assert stage.read(staged, name) == short.ledger.read(manifest, name)


def test_folds_differ_and_trials_differ_by_settings_alone(bench: Callable[..., Bench]) -> None:
    run, other = bench("one"), bench("two", model={"beta": 0.5})
    first, second = run.run(), other.run()
    assert run.files(first)[fold_files.HISTORY] != other.files(second)[fold_files.HISTORY]


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
    assert [r.epoch for r in run.reports] == [2, 4, 6]
    failed_from = {"training": 2, "validation": 2, "test": 6}[part]
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
        ("test", (4,)),
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
    assert [r.epoch for r in run.reports] == [2, 4, 6]
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
    from study.scores.compositions import find_composition

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
