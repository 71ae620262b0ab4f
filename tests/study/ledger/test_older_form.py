"""Results that were stored before trials were stored whole are read, and go on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from study.config.schema import Study
from study.config.study_file import check_study
from study.data.samples import Samples
from study.data.splits import splits_by_protocol
from study.ledger.ledger import DamagedError, Ledger
from study.ledger.recovery import recover
from study.ledger.trial_outcome import finalize, split_by_completeness
from study.search.sources import SystemList
from study.search.trial import Trial
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold
from tests.study.ledger.older_form import to_older_form
from tests.study.trials import record_of, trial_of

Train = Callable[[Study, Trial], Path]


@pytest.fixture
def train(tmp_path: Path, tiny_samples: Callable[..., Samples]) -> Train:
    """Trains a trial to its end; returns its folder in the ledger."""
    ledger, checkpoints = Ledger(LocalFolder(tmp_path / "ledger")), LocalFolder(tmp_path / "c")
    samples = tiny_samples()

    def train(study: Study, trial: Trial) -> Path:
        folds = splits_by_protocol(samples, study.split, study.seed)[trial.protocol].folds
        for address, fold in zip(trial.folds, folds, strict=True):
            own = checkpoints.folder(address.path)
            train_fold(FoldTask(trial.config, address), samples, fold, ledger, own)
        assert finalize(ledger, checkpoints, trial, trial.number) is not None
        return tmp_path / "ledger" / trial.name

    return train


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(LocalFolder(tmp_path / "ledger"))


QUICK: dict[str, Any] = {
    "training": {"epochs": 1, "validation_interval": 1},
    "search": {"trials": 2, "space": {"model.beta": {"loguniform": [1e-3, 1]}}},
}


def test_a_record_of_the_older_form_is_the_trial_that_it_was(
    train: Train, ledger: Ledger, tiny_study: Callable[..., Study]
) -> None:
    study = tiny_study(**QUICK)
    trial = trial_of(study, 1, {"model.beta": 0.25})
    folder = train(study, trial)
    before = ledger.trial(trial.name)
    to_older_form(folder, study)
    assert ledger.trial(trial.name) == before
    assert before is not None
    assert (before.trial, before.completion_order) == (trial, 1)
    assert recover(LocalFolder(folder.parents[1])) == []
    assert split_by_completeness(ledger) == ([before], [])


def test_a_repetition_of_the_older_form_is_one(
    train: Train, ledger: Ledger, tiny_study: Callable[..., Study]
) -> None:
    study = tiny_study(**QUICK, split={"beside": "kfold"})
    trial = trial_of(study, 1, {"model.beta": 0.25, "split.protocol": "kfold"}, is_repetition=True)
    folder = train(study, trial)
    to_older_form(folder, study)
    (record,) = ledger.trials()
    assert record.trial == trial
    assert (record.trial.repeats, record.trial.protocol) == ("trial-00001", "kfold")


def test_a_system_of_the_older_form_has_its_name(
    train: Train, ledger: Ledger, tiny_study: Callable[..., Study]
) -> None:
    content = {
        "name": "systems",
        "dataset": {"name": "synthetic", "length": 32},
        "split": {"folds": 2},
        "systems": {"b": {"model": {"name": "pca"}, "metric": {"composition": "reconstruction"}}},
    }
    study = check_study(content, "systems.yaml")
    trial = SystemList(study).next_trial({}, set())
    assert isinstance(trial, Trial)
    folder = train(study, trial)
    to_older_form(folder, study)
    (record,) = ledger.trials()
    assert record.trial == trial
    assert record.trial.system == "b"


def test_a_failed_trial_of_the_older_form_has_not_ended(
    tmp_path: Path, ledger: Ledger, tiny_study: Callable[..., Study]
) -> None:
    study = tiny_study(**QUICK)
    trial = trial_of(study, 0, {"model.beta": 0.25})
    ledger.record_trial(record_of(trial, "failed", reason="fold 0: loss is nan"))
    to_older_form(tmp_path / "ledger" / trial.name, study)
    assert ledger.trial(trial.name) is None
    assert ledger.trials() == []
    assert recover(LocalFolder(tmp_path)) == []
    # It is run again, and ends as it had.
    ended = finalize(ledger, LocalFolder(tmp_path / "c"), trial, 3, "fold 0: loss is nan")
    assert ledger.trials() == [ended]


def test_a_trial_of_the_older_form_keeps_its_completion_order_when_a_fold_is_trained_again(
    train: Train, ledger: Ledger, tiny_study: Callable[..., Study], tmp_path: Path
) -> None:
    study = tiny_study(**QUICK)
    trial = trial_of(study, 1, {"model.beta": 0.25})
    folder = train(study, trial)
    to_older_form(folder, study)
    LocalFolder(folder).remove("fold-0")
    _, (incomplete,) = split_by_completeness(ledger)
    assert incomplete.trial == trial
    train(study, replace(trial))
    (record,) = ledger.trials()
    assert (record.completion_order, record.values) == (1, incomplete.values)


def test_a_damaged_record_of_the_older_form_is_named(
    train: Train, ledger: Ledger, tiny_study: Callable[..., Study]
) -> None:
    study = tiny_study(**QUICK)
    folder = train(study, trial_of(study, 0, {"model.beta": 0.25}))
    to_older_form(folder, study)
    content = (folder / "trial.json").read_bytes()
    (folder / "trial.json").write_bytes(content.replace(b'"arrival": 0', b'"arrival": 1'))
    with pytest.raises(DamagedError, match=r"trial\.json"):
        ledger.trials()
