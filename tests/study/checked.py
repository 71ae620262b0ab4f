"""Small studies as a run leaves them, for commands that read one: trained here, without Ray."""

from pathlib import Path
from typing import Any

from study.config.schema import Study
from study.config.study_file import check_study
from study.data import data_folder
from study.ledger.study_folder import read_study, write_study
from study.report.build import build_report
from study.search.sources import SystemList
from study.search.trial import Trial
from study.storage.folder import LocalFolder
from study.training.prepared import prepare
from study.training.validation_report import StoppedEarly, ValidationReport
from tests.serial_study import train_trial
from tests.study.trials import trial_of

STOPPED_AT = 2


def small_study(name: str, **parts: Any) -> Study:
    """A study of generated beats that trains in a second or two."""
    content: dict[str, Any] = {
        "name": name,
        "dataset": {"name": "synthetic", "length": 32, "patients": 3, "beats_per_patient": 30,
                    "abnormal_fraction": 0.3},
        "split": {"protocol": "paper", "folds": 2},
        "model": {"name": "ae", "latent_size": 2, "width": 4},
        "training": {"epochs": 4, "batch_size": 32, "validation_interval": 2},
        "search": {"metric": {"composition": "reconstruction"}},
        "scores": {"lambda_steps": 5, "gamma_steps": 4},
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
    prepared = prepare(study, data_folder(str(folder)))
    write_study(results, study, prepared.samples, prepared.splits, prepared.facts)
    for trial in trials:

        def watch(report: ValidationReport, number: int = trial.number) -> None:
            if number == stopped and report.epoch == STOPPED_AT and report.state == "running":
                raise StoppedEarly

        folds = prepared.splits[trial.protocol].folds
        samples = prepared.variants.of(trial.config.dataset)
        train_trial(results, trial, samples, folds, trial.number, rungs=(STOPPED_AT,), watch=watch)
    assert build_report(read_study(results), prepared.facts, results, "serial") is not None
    return results


def trials_of_search(study: Study, *latent_sizes: int) -> list[Trial]:
    return [
        trial_of(study, number, {"model.latent_size": size})
        for number, size in enumerate(latent_sizes)
    ]
