"""Small studies that are really trained, in this process, and their pages."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from study.config.schema import Study
from study.config.study_file import check_study, dump_study, to_yaml
from study.data.leakage import refuse_leakage
from study.data.samples import Samples
from study.data.splits import make_splits
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts
from study.report.build import Report, build_report
from study.report.page.build import PAGE, write_page
from study.report.paper import build as paper
from study.search.sources import SystemList
from study.search.trial import Proposal, RungDecision, Trial, TrialRecord
from study.storage.folder import LocalFolder
from tests.made_once import made_once
from tests.serial_study import train_trial
from tests.study.conftest import waveforms
from tests.study.trials import record_of, trial_of

FAILURE = "fold 1: discriminator_loss is nan in epoch 3"
PARTS: dict[str, Any] = {
    "dataset": {"name": "synthetic", "length": 32},
    "split": {"protocol": "paper", "folds": 2},
    "training": {
        "epochs": 4,
        "batch_size": 32,
        "discriminator_updates": 1,
        "validation_interval": 2,
    },
    "scores": {"lambda_steps": 5, "gamma_steps": 4},
}
SEARCH: dict[str, Any] = {
    "name": "searched",
    "model": {"name": "beta_vaegan", "width": 4},
    "search": {
        "trials": 3,
        "space": {"model.beta": {"loguniform": [1e-6, 0.1]}, "model.latent_size": {"int": [2, 4]}},
        "metric": {"composition": "lambda_grid"},
        "stopping": {"grace_epochs": 2, "reduction": 2},
    },
    **PARTS,
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

    def ended(self) -> list[TrialRecord]:
        return Ledger(self.results.folder("ledger")).trials()


def sines_and_steps() -> Samples:
    return waveforms(80, 40, records=1)


def reported(
    root: Path, study: Study, trials: Iterable[Trial], samples: Samples | None = None
) -> Reported:
    """Train every trial's folds, and make report and page."""
    return finished(study, trained(root, study, trials, samples), samples)


def trained(
    root: Path, study: Study, trials: Iterable[Trial], samples: Samples | None = None
) -> LocalFolder:
    """Train every trial's folds; return the results folder."""
    samples, results = samples or sines_and_steps(), LocalFolder(root)
    results.write("study.yaml", to_yaml(dump_study(study)).encode())
    splits = make_splits(samples, study.split, study.seed)
    for trial in trials:
        train_trial(results, trial, samples, splits.folds, trial.number)
    return results


def facts_of(study: Study, samples: Samples | None = None) -> dict[str, SplitFacts]:
    """What the tables say of the folds."""
    samples = samples or sines_and_steps()
    splits = make_splits(samples, study.split, study.seed)
    return {"paper": SplitFacts("hash", refuse_leakage(samples, splits))}


def finished(study: Study, results: LocalFolder, samples: Samples | None = None) -> Reported:
    """Make report and page, without pictures of the paper's tables, which no page shows."""
    with mock.patch.object(paper, "rendered", return_value={}):
        report = build_report(study, facts_of(study, samples), results, "serial")
    assert report is not None
    page = write_page(study, results, report.tables)
    return Reported(study, results, report, Path(results.locate(page)))


def in_own_folder(folder: Path, reported: Reported) -> Reported:
    """What another process has reported, in the folder that it was copied to."""
    return replace(reported, results=LocalFolder(folder), page=folder / PAGE)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """Two trials of a search, one of them stopped early, and one that failed."""
    return in_own_folder(*made_once(tmp_path_factory, "searched", _searched))


def _searched(folder: Path) -> Reported:
    study = check_study(SEARCH, "searched.yaml")
    drawn = [{"model.beta": 1e-4, "model.latent_size": 3}, {"model.beta": 0.01,
             "model.latent_size": 2}]  # fmt: skip
    trials = [trial_of(study, number, parameters) for number, parameters in enumerate(drawn)]
    results = trained(folder, study, trials)
    ledger = Ledger(results.folder("ledger"))
    stopped = ledger.trial(trials[1].name)
    assert stopped is not None
    ledger.record_trial(replace(stopped, state="pruned", values=stopped.values[:1]))
    for order, trial in enumerate(trials):
        ledger.record_proposal(Proposal(trial, order, (), 7 + order))
        record = ledger.trial(trial.name)
        assert record is not None
        decision = RungDecision(trial.name, *record.values[0], goes_on=not order, order=order)
        ledger.record_decision(decision)
    failed = trial_of(study, 2, drawn[0])
    ledger.record_trial(record_of(failed, "failed", (), 2, reason=FAILURE))
    return finished(study, results)


@pytest.fixture(scope="session")
def of_systems(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """Two of the paper's systems and a simple model."""
    return in_own_folder(*made_once(tmp_path_factory, "systems", _of_systems))


def _of_systems(folder: Path) -> Reported:
    systems = {
        "vaegan_2": {"model": {"name": "beta_vaegan", "beta": 1e-4, "latent_size": 3, "width": 4}},
        "ae": {
            "model": {"name": "ae", "latent_size": 3, "width": 4},
            "metric": {"composition": "latent"},
        },
        "knn": {"model": {"name": "knn"}, "metric": {"composition": "outlier_score"}},
    }
    content = {"name": "systems", "systems": systems, **PARTS}
    study = check_study(content, "systems.yaml")
    source = SystemList(study)
    trials = [source.next_trial({}, set()) for _ in range(source.size)]
    return reported(folder, study, trials)  # type: ignore[arg-type]
