"""A study without a cluster: every fold of every trial, one after the other, in one process.

`python -m tests.serial_study STUDY OUTPUT` does it in a process of its own. It imports nothing of
the tests, so that it runs in a copy of the code as well.
"""

import sys
from pathlib import Path

import torch

from study.config.study_file import load_study
from study.data import load
from study.data.leakage import count_abnormal_neighbours, refuse_leakage
from study.data.splits import splits_by_protocol
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts, write_study
from study.ledger.trial_outcome import finalize
from study.report.build import build_report
from study.search.sources import trial_source
from study.search.trial import Trial, TrialRecord
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold


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
    samples = load(study.dataset, data or output, study.seed, output / "cache")
    splits = splits_by_protocol(samples, study.split, study.seed)
    facts = {
        protocol: SplitFacts(
            each.split_hash,
            refuse_leakage(samples, each),
            count_abnormal_neighbours(samples, each),
        )
        for protocol, each in splits.items()
    }
    results = LocalFolder(output / study.name)
    write_study(results, study, samples, splits, facts)
    ledger = Ledger(results.folder("ledger"))
    source = trial_source(study, record=ledger.record_proposal)
    ended: dict[str, TrialRecord] = {}
    while isinstance(trial := source.next_trial(ended, set()), Trial):
        for address, fold in zip(trial.folds, splits[trial.protocol].folds, strict=True):
            checkpoints = results.folder(f"checkpoints/{address.path}")
            train_fold(FoldTask(trial.config, address), samples, fold, ledger, checkpoints)
        record = finalize(ledger, results.folder("checkpoints"), trial, len(ended))
        assert record is not None
        ended[trial.name] = record
    build_report(study, facts, results, "serial")
    return results


if __name__ == "__main__":
    run_serially(Path(sys.argv[1]), Path(sys.argv[2]))
