"""A study without a cluster: every fold of every trial, one after the other, in one process.

`python -m tests.serial_study STUDY OUTPUT` does it in a process of its own, without the pictures
of the paper's tables and figures; `--tstr-updates` has TSTR's classifiers learn less. It imports
nothing of the tests, so that it runs in a copy of the code as well.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import torch

from study.config.study_file import load_study
from study.data.samples import Samples
from study.data.splits import Fold
from study.ledger.ledger import Ledger
from study.ledger.study_folder import write_study
from study.ledger.trial_outcome import finalize
from study.report.build import build_report
from study.report.paper import build as paper
from study.search.sources import trial_source
from study.search.trial import Trial, TrialRecord
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold
from study.training.measures import tstr
from study.training.prepared import prepare
from study.training.validation_report import ValidationReport


def run_serially(study_file: Path, output: Path, data: Path | None = None) -> LocalFolder:
    """Train all trials of a study, none of them stopped, and write its tables.

    Args:
        study_file: the study.
        output: the folder of all results.
        data: the data folder, if the dataset needs one.

    Returns:
        The study's results folder.
    """
    torch.set_num_threads(1)  # as a fold has it
    study = load_study(str(study_file))
    with mock.patch.dict(os.environ, STUDY_CACHE_DIR=str(output / "cache")):
        prepared = prepare(study, data or output)
    results = LocalFolder(output / study.name)
    write_study(results, study, prepared.samples, prepared.splits, prepared.facts)
    source = trial_source(study, record=Ledger(results.folder("ledger")).record_proposal)
    ended: dict[str, TrialRecord] = {}
    while isinstance(trial := source.next_trial(ended, set()), Trial):
        folds = prepared.splits[trial.protocol].folds
        samples = prepared.variants.of(trial.config.dataset)
        ended[trial.name] = train_trial(results, trial, samples, folds, len(ended))
    build_report(study, prepared.facts, results, "serial")
    return results


def train_trial(
    results: LocalFolder,
    trial: Trial,
    samples: Samples,
    folds: Sequence[Fold],
    completion_order: int,
    *,
    rungs: tuple[int, ...] = (),
    watch: Callable[[ValidationReport], None] = lambda report: None,
) -> TrialRecord:
    """Train every fold of a trial, and end it; see `train_fold`."""
    ledger, checkpoints = Ledger(results.folder("ledger")), results.folder("checkpoints")
    for address, fold in zip(trial.folds, folds, strict=True):
        task = FoldTask(trial.config, address, rungs)
        train_fold(task, samples, fold, ledger, checkpoints.folder(address.path), watch)
    record = finalize(ledger, checkpoints, trial, completion_order)
    assert record is not None
    return record


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.serial_study")
    parser.add_argument("study", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tstr-updates", type=int, default=tstr.UPDATES)
    options = parser.parse_args()
    with (
        mock.patch.object(tstr, "UPDATES", options.tstr_updates),
        mock.patch.object(paper, "rendered", return_value={}),  # takes longer than the rest
    ):
        run_serially(options.study, options.output)


if __name__ == "__main__":
    main()
