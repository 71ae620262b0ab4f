"""Small studies that are really trained, in this process, and their pages."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from study.config.schema import Study
from study.config.study_file import check_study, configure, dump_study, to_yaml
from study.data.assembly import build_samples
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger.ledger import Ledger, TrialRecord, trial_name
from study.ledger.trial_outcome import conclude
from study.report.build import Report, build_report
from study.report.page.build import write_page
from study.search.sources import system_parameters
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold

FAILURE = "fold 1: discriminator_loss is nan in epoch 3"
PARTS: dict[str, Any] = {
    "dataset": {"name": "synthetic", "length": 32},
    "split": {"protocol": "paper", "folds": 2},
    "training": {
        "epochs": 4,
        "batch_size": 16,
        "discriminator_updates": 1,
        "validation_interval": 2,
    },
    "scores": {"lambda_steps": 5, "gamma_steps": 4},
}


@dataclass(frozen=True)
class Reported:
    """A study whose report and page are made."""

    study: Study
    results: LocalFolder
    report: Report
    page: Path

    @property
    def text(self) -> str:
        return self.page.read_text()


def sines_and_steps() -> Samples:
    random = np.random.default_rng(0)
    time = np.linspace(0, 1, 32)
    good = 0.5 + 0.4 * np.sin(2 * np.pi * (time + 0.1 * random.random((80, 1))))
    bad = np.where(np.arange(40)[:, None] % 2 == 0, time % 0.25 * 4, time > 0.5)
    values = np.clip(np.concatenate([good, bad]) + 0.05 * random.random((120, 32)), 0, 1)
    kinds = ["N"] * 80 + [("saw", "step")[i % 2] for i in range(40)]
    return build_samples(values, [0] * 80 + [1] * 40, kinds, kinds, record=["r"] * 120)


def reported(root: Path, study: Study, trials: list[dict[str, Any]]) -> Reported:
    """Train every trial's folds, and make report and page."""
    samples, results = sines_and_steps(), LocalFolder(root)
    results.write("study.yaml", to_yaml(dump_study(study)).encode())
    ledger, checkpoints = Ledger(results.folder("ledger")), results.folder("tune")
    for number, parameters in enumerate(trials):
        configured = configure(study, parameters)
        splits = make_splits(samples, configured.split, study.seed)
        for fold, members in enumerate(splits.folds):
            task = FoldTask(configured, trial_name(number), fold)
            place = checkpoints.folder(f"{task.trial}/{fold}")
            train_fold(task, samples, members, ledger, place)
        assert conclude(ledger, checkpoints, study, number, parameters, None, number) is not None
    return finished(study, results)


def finished(study: Study, results: LocalFolder) -> Reported:
    report = build_report(study, {"paper": "hash"}, results, "serial")
    assert report is not None
    page = write_page(study, results, report.tables)
    return Reported(study, results, report, Path(results.locate(page)))


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Reported:
    """Two trials of a search, one of them stopped early, and one that failed."""
    space = {"model.beta": {"loguniform": [1e-6, 0.1]}, "model.latent_size": {"int": [2, 4]}}
    search = {"trials": 3, "space": space, "metric": {"composition": "lambda_grid"}}
    content = {"name": "searched", "model": {"name": "beta_vaegan"}, "search": search, **PARTS}
    study = check_study(content, "searched.yaml")
    drawn = [{"model.beta": 1e-4, "model.latent_size": 3}, {"model.beta": 0.01,
             "model.latent_size": 2}]  # fmt: skip
    root = tmp_path_factory.mktemp("searched")
    made = reported(root, study, drawn)
    ledger = Ledger(made.results.folder("ledger"))
    stopped = ledger.trial(1)
    assert stopped is not None
    ledger.record_trial(TrialRecord(**{**vars(stopped), "state": "pruned"}))
    ledger.record_trial(TrialRecord(2, drawn[0], "failed", FAILURE, [], 2))
    return finished(study, made.results)


@pytest.fixture(scope="session")
def of_systems(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Reported:
    """Two of the paper's systems and a simple model."""
    systems = {
        "vaegan_2": {"model": {"name": "beta_vaegan", "beta": 1e-4, "latent_size": 3}},
        "ae": {"model": {"name": "ae", "latent_size": 3}, "metric": {"composition": "latent"}},
        "knn": {"model": {"name": "knn"}, "metric": {"composition": "outlier_score"}},
    }
    content = {"name": "systems", "systems": systems, **PARTS}
    study = check_study(content, "systems.yaml")
    trials = [system_parameters(study, number) for number in range(len(systems))]
    return reported(tmp_path_factory.mktemp("systems"), study, trials)
