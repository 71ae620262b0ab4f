import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.metrics import f1_score

from study.config.schema import Study
from study.ledger import fold_files
from study.ledger.fold_errors import read_own_errors
from study.randomness import stream_seed
from study.scores.components import FitErrors
from study.scores.rules import find_composition
from study.training import evaluation
from study.training.fold import Surroundings, train_fold
from study.training.measures.mmd import maximum_mean_discrepancy
from study.training.setup import build_model
from tests.study.training.bench import Bench
from tests.study.trials import task_of


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


def test_signs_of_life_come_from_within_epochs_and_from_scoring(
    bench: Callable[..., Bench],
) -> None:
    run = bench()
    happened: list[str] = []
    surroundings = Surroundings(
        on_epoch=lambda: happened.append("epoch"), on_progress=lambda: happened.append("batch")
    )
    train_fold(
        run.task, run.samples, run.fold, run.ledger, run.checkpoints, surroundings=surroundings
    )
    epochs = [index for index, name in enumerate(happened) if name == "epoch"]
    assert len(epochs) == run.task.config.training.epochs
    batches = math.ceil(len(run.fold.training) / run.task.config.training.batch_size)
    between = [last - first - 1 for first, last in zip([-1, *epochs], epochs, strict=False)]
    assert all(signs >= batches for signs in between)
    after_validation = [between[epoch] for epoch in run.task.validation_epochs[:-1]]
    assert after_validation
    assert all(signs > batches for signs in after_validation)
    assert len(happened) > epochs[-1] + 1, "the fold is scored at its end"


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


def test_other_settings_train_otherwise(bench: Callable[..., Bench], whole: Bench) -> None:
    other = bench(model={"beta": 0.5})
    second = other.run()
    assert whole.manifest is not None
    histories = [run.files(m)[fold_files.HISTORY] for run, m in ((whole, whole.manifest),
                 (other, second))]  # fmt: skip
    assert histories[0] != histories[1]


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


@pytest.mark.parametrize(
    ("normals", "abnormal", "measured"), [(1, 3, set()), (3, 1, {"mmd"}), (2, 2, {"mmd", "tstr"})]
)
def test_what_too_few_samples_cannot_measure_is_left_out(
    normals: int, abnormal: int, measured: set[str], bench: Callable[..., Bench]
) -> None:
    run = bench(measures={"tstr_interval": 1}, training={"epochs": 1, "validation_interval": 1})
    label = run.samples.label[run.fold.validation]
    members = [np.flatnonzero(label == 0)[:normals], np.flatnonzero(label == 1)[:abnormal]]
    few = np.sort(run.fold.validation[np.concatenate(members)])
    run.fold = replace(run.fold, validation=few)
    manifest = run.run()
    assert manifest.state == "completed"
    row = run.frame(manifest, fold_files.HISTORY).iloc[-1].dropna()
    assert {name for name in ("mmd", "tstr") if f"generation/{name}" in row} == measured


def test_mmd_of_many_normals_is_of_some_that_are_drawn(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "COMPARED_NORMALS", 2)
    run = bench(training={"epochs": 1, "validation_interval": 1})
    manifest = run.run()
    members = run.fold.validation[run.samples.label[run.fold.validation] == 0]
    random = np.random.default_rng(stream_seed(run.task.config.seed, "mmd", 0))
    drawn = members[random.choice(len(members), 2, replace=False)]
    model = build_model(run.task.config, run.samples, 0, torch.device("cpu"))
    model.load_weights(safetensors.torch.load(run.ledger.read(manifest, fold_files.WEIGHTS)))
    real = torch.from_numpy(run.samples.values[drawn])
    pair = (real.flatten(1).double().numpy(), model.reconstruct(real).flatten(1).double().numpy())
    measured = run.frame(manifest, fold_files.HISTORY)["generation/mmd"].iloc[-1]
    assert measured == pytest.approx(maximum_mean_discrepancy(*pair, 0, 2), rel=1e-4)


@pytest.mark.parametrize("composition", ["reconstruction", "reconstruction_quantile"])
def test_the_reported_value_is_that_of_errors_relative_to_their_records(
    composition: str, bench: Callable[..., Bench]
) -> None:
    run = bench(
        search={"metric": {"composition": composition, "score": "f1_weighted"}},
        scores={"reference": "record"},
        training={"epochs": 2},
    )
    errors = read_own_errors(run.ledger, run.run(), run.task.config)["last"]
    of_fold = FitErrors(errors.validation, errors.training, run.study.model.latent_size)
    fitted = find_composition(composition).fit(of_fold, run.study.scores, "")
    predicted = fitted.predict(fitted.score(errors.validation))
    expected = f1_score(errors.validation.label, predicted, average="weighted")
    assert run.reports[-1].value == pytest.approx(expected, rel=1e-12)
