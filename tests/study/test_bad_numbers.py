"""Whatever numbers a model gives, its fold ends in a named state and disturbs nobody."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.bases.adversarial import AdversarialModel
from models.bases.encoder_decoder import EncoderDecoder
from models.bases.gradient import GradientModel
from models.interface import Latents
from study.config.schema import Study
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.trial_outcome import finalize
from study.search.proposals import Proposals
from study.storage.folder import LocalFolder
from study.training.fold import train_fold
from study.training.validation_report import ValidationReport
from tests.study.trials import record_of, task_of, trial_of

Train = Callable[..., tuple[FoldManifest, list[ValidationReport]]]
BAD = [math.nan, -math.inf]


@pytest.fixture
def train(
    tmp_path: Path, tiny_samples: Callable[..., Samples], tiny_study: Callable[..., Study]
) -> Train:
    """Trains one fold as the study says."""

    def train(**parts: Any) -> tuple[FoldManifest, list[ValidationReport]]:
        parts["training"] = {"epochs": 2, "validation_interval": 1} | parts.get("training", {})
        study, samples = tiny_study(**parts), tiny_samples()
        reports: list[ValidationReport] = []
        manifest = train_fold(
            task_of(study),
            samples,
            make_splits(samples, study.split, 0).folds[0],
            Ledger(LocalFolder(tmp_path / "ledger")),
            LocalFolder(tmp_path / "checkpoints"),
            reports.append,
        )
        return manifest, reports

    return train


def assert_failed(manifest: FoldManifest, reports: list[ValidationReport], reason: str) -> None:
    assert manifest.state == "failed"
    assert reason in manifest.reason
    assert reports[-1].state == "failed"
    assert reports[-1].reason == manifest.reason
    assert math.isnan(reports[-1].value)
    assert all(math.isfinite(report.value) for report in reports if report.state == "running")


@pytest.mark.parametrize("bad", BAD)
def test_a_loss_that_is_not_finite_fails_the_fold_by_name(
    bad: float, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = GradientModel.train_epoch

    def broken(self: Any, samples: Tensor, members: Tensor) -> dict[str, float]:
        return whole(self, samples, members) | {"generator_loss": bad}

    monkeypatch.setattr(GradientModel, "train_epoch", broken)
    assert_failed(*train(), f"generator_loss is {bad} in epoch 1")


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["reconstruction_error", "latent_norm"])
def test_one_error_that_is_not_finite_fails_the_fold_by_name(
    name: str, bad: float, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = AdversarialModel.compare

    def broken(self: Any, *of_a_batch: Tensor) -> dict[str, Tensor]:
        errors = whole(self, *of_a_batch)
        errors[name][-1] = bad
        return errors

    monkeypatch.setattr(AdversarialModel, "compare", broken)
    assert_failed(*train(), f"{name} is not finite in epoch 1")


def test_weights_that_became_nan_fail_the_fold(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = GradientModel.train_epoch

    def broken(self: Any, samples: Tensor, members: Tensor) -> dict[str, float]:
        losses = whole(self, samples, members)
        with torch.no_grad():
            next(self.networks.parameters()).fill_(math.nan)
        return losses

    monkeypatch.setattr(GradientModel, "train_epoch", broken)
    assert_failed(*train(), "is not finite in epoch 1")


def test_a_latent_vector_that_overflows_fails_the_fold(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = EncoderDecoder.latents

    def broken(self: Any, samples: Tensor) -> Any:
        latents = whole(self, samples)
        latents.drawn[0, 0] = math.inf
        return latents

    monkeypatch.setattr(EncoderDecoder, "latents", broken)
    assert_failed(*train(), "z is not finite in epoch 1")


@pytest.mark.parametrize("composition", ["reconstruction", "lambda_grid", "svm_lambda"])
def test_scores_that_are_all_the_same_are_scored_as_what_they_are(
    composition: str, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = AdversarialModel.compare

    def constant(self: Any, *of_a_batch: Tensor) -> dict[str, Tensor]:
        return {name: torch.ones_like(each) for name, each in whole(self, *of_a_batch).items()}

    monkeypatch.setattr(AdversarialModel, "compare", constant)
    manifest, reports = train(search={"metric": {"composition": composition}})
    assert manifest.state == "completed"
    assert all(0 <= report.value < 1 for report in reports)


def test_a_collapsed_posterior_is_scored_by_its_other_errors(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare, latents = AdversarialModel.compare, EncoderDecoder.latents

    def without_norm(self: Any, *of_a_batch: Tensor) -> dict[str, Tensor]:
        found = compare(self, *of_a_batch)
        return found | {"latent_norm": torch.zeros_like(found["latent_norm"])}

    def at_the_mean(self: Any, samples: Tensor) -> Latents:
        z = torch.zeros_like(latents(self, samples).z)
        return Latents(z, z, z)

    monkeypatch.setattr(AdversarialModel, "compare", without_norm)
    monkeypatch.setattr(EncoderDecoder, "latents", at_the_mean)
    manifest, reports = train(search={"metric": {"composition": "svm_gamma"}})
    assert manifest.state == "completed"
    assert math.isfinite(reports[-1].value)
    assert reports[-1].scores["latent/collapsed_dimensions"] == 3


def test_a_support_vector_machine_that_does_not_converge_fails_the_fold(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sklearn.svm

    whole = sklearn.svm.SVC.fit

    def stopped_short(self: Any, *arguments: Any, **options: Any) -> Any:
        self.max_iter = 1
        return whole(self, *arguments, **options)

    monkeypatch.setattr(sklearn.svm.SVC, "fit", stopped_short)
    with pytest.warns(UserWarning, match="terminated early"):
        ended = train(search={"metric": {"composition": "svm_lambda"}})
    assert_failed(*ended, "svm_lambda (the support vector machine did not converge in 1 steps")


@pytest.mark.parametrize("batch_size", [19, 4, 10])
def test_a_last_batch_of_one_or_few_trains(batch_size: int, train: Train) -> None:
    manifest, reports = train(training={"batch_size": batch_size})
    assert manifest.state == "completed"
    assert math.isfinite(reports[-1].value)


def test_a_failed_trial_has_no_value_and_the_search_goes_on(
    tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    space = {"model.beta": {"loguniform": [1e-6, 1e-1]}}
    study = tiny_study(search={"trials": 3, "space": space, "startup_trials": 1})
    ledger, checkpoints = Ledger(LocalFolder(tmp_path / "l")), LocalFolder(tmp_path / "c")
    tried = trial_of(study, 0, {"model.beta": 0.05})
    record = finalize(ledger, checkpoints, tried, 0, "fold 0: ValueError")
    assert record is not None
    assert (record.state, record.reason, record.values) == ("failed", "fold 0: ValueError", [])
    assert ledger.trial(tried.name) == record
    assert math.isnan(record.best_value)
    good = record_of(trial_of(study, 1, {"model.beta": 0.01}), values=[(2, 0.5)])
    proposals = Proposals(study)
    proposals.learn([record, good])
    proposed = proposals.propose(2, "trial-00002")
    assert np.isfinite(proposed["model.beta"])
