"""Small studies as a run leaves them, for commands that read one: trained here, without Ray."""

from pathlib import Path
from typing import Any

from study.config.schema import Study
from study.config.study_file import check_study
from study.data import data_folder, load
from study.data.leakage import refuse_leakage
from study.data.splits import splits_by_protocol
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts, read_study, write_study
from study.ledger.trial_outcome import finalize
from study.report.build import build_report
from study.search.sources import SystemList
from study.search.trial import Trial
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold
from study.training.validation_report import StoppedEarly, ValidationReport
from tests.study.trials import trial_of

STOPPED_AT = 2


def small_study(name: str, **parts: Any) -> Study:
    """A study of generated beats that trains in a second or two."""
    content: dict[str, Any] = {
        "name": name,
        "dataset": {"name": "synthetic", "length": 32, "patients": 3, "beats_per_patient": 30,
                    "abnormal_fraction": 0.3},
        "split": {"protocol": "paper", "folds": 2},
        "model": {"name": "ae", "latent_size": 2},
        "training": {"epochs": 4, "batch_size": 32, "validation_interval": 2},
        "search": {"metric": {"composition": "reconstruction"}},
    }  # fmt: skip
    if "systems" in parts:  # each has a model of its own
        del content["model"]
    return check_study(content | parts, f"{name}.yaml")


def trials_of_systems(study: Study) -> list[Trial]:
    source = SystemList(study)
    trials = [source.next_trial({}, set()) for _ in range(source.size)]
    return [trial for trial in trials if isinstance(trial, Trial)]


def run_here(folder: Path, study: Study, trials: list[Trial], stopped: int = -1) -> LocalFolder:
    """Train trials, the one of number `stopped` up to an early stop; write all that a run does."""
    results = LocalFolder(folder)
    samples = load(study.dataset, data_folder(str(folder)), study.seed)
    splits = splits_by_protocol(samples, study.split, study.seed)
    facts = {
        protocol: SplitFacts(divided.split_hash, refuse_leakage(samples, divided))
        for protocol, divided in splits.items()
    }
    write_study(results, study, samples, splits, facts)
    ledger, checkpoints = Ledger(results.folder("ledger")), results.folder("checkpoints")
    for trial in trials:

        def watch(report: ValidationReport, number: int = trial.number) -> None:
            if number == stopped and report.epoch == STOPPED_AT and report.state == "running":
                raise StoppedEarly

        for address in trial.folds:
            task = FoldTask(trial.config, address, (STOPPED_AT,))
            fold = splits[trial.protocol].folds[address.fold]
            train_fold(task, samples, fold, ledger, checkpoints.folder(address.path), watch)
        assert finalize(ledger, checkpoints, trial, trial.number) is not None
    assert build_report(read_study(results), facts, results, "serial") is not None
    return results


def trials_of_search(study: Study, *latent_sizes: int) -> list[Trial]:
    return [
        trial_of(study, number, {"model.latent_size": size})
        for number, size in enumerate(latent_sizes)
    ]
