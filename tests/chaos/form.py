"""The study that is killed: small, so that it is processes that cost, and not training."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from study.config.study_file import load_study
from study.data import load
from study.data.leakage import refuse_leakage
from study.data.splits import splits_by_protocol
from study.ledger.ledger import Ledger
from study.ledger.study_folder import SplitFacts
from study.ledger.trial_outcome import finalize
from study.report.build import build_report
from study.search.plan import this_machine
from study.search.sources import trial_source
from study.search.trial import Trial, TrialRecord
from study.storage.folder import LocalFolder
from study.training.fold import FoldTask, train_fold

NAME = "chaos"
FOLDS = 2
STUDY = """
dataset: {name: synthetic, length: 32, patients: 4, beats_per_patient: 60, abnormal_fraction: 0.3}
model: {name: beta_vaegan, latent_size: 3}
training: {batch_size: 32, discriminator_updates: 1, validation_interval: 1}
scores: {gamma_steps: 5, lambda_steps: 10}
search:
  startup_trials: 2
  metric: {composition: reconstruction, score: auroc}
  space:
    model.beta: {loguniform: [1.0e-6, 1.0]}
    training.optimizer.learning_rate: {loguniform: [1.0e-5, 1.0e-2]}
resources: {silence_minutes: 0.5, checkpoint_minutes: 0}
seed: 4
"""
STOPPING = {"grace_epochs": 8, "reduction": 2}


@dataclass(frozen=True)
class Form:
    """How large the study is, and how it runs.

    Attributes:
        trials: its trials.
        epochs: of each that is not stopped.
        at_a_time: trials at a time; their folds share this machine's CPUs.
        stopping: whether trials are stopped early.
    """

    trials: int
    epochs: int
    at_a_time: int = 1
    stopping: bool = False

    def write(self, path: Path) -> None:
        """Write the study file."""
        content = yaml.safe_load(STUDY)
        content |= {"name": NAME, "split": {"folds": FOLDS}}
        content["training"]["epochs"] = self.epochs
        content["search"]["trials"] = self.trials
        content["search"]["stopping"] = STOPPING if self.stopping else None
        share = this_machine()[0].cpus / (self.at_a_time * FOLDS)
        content["resources"]["per_fold"] = {"cpu": min(1.0, math.floor(share * 100) / 100)}
        content["resources"]["max_concurrent_trials"] = self.at_a_time
        path.write_text(yaml.safe_dump(content))


def run_alone(file: Path, folder: Path, outputs: Path) -> None:
    """Do what a study's file says without a cluster, in this process, one trial at a time."""
    torch.set_num_threads(1)  # as a fold has it
    study = load_study(str(file))
    samples = load(study.dataset, folder, study.seed, folder / "cache")
    splits = splits_by_protocol(samples, study.split, study.seed)
    results = LocalFolder(outputs / study.name)
    ledger, source = Ledger(results.folder("ledger")), trial_source(study)
    ended: dict[str, TrialRecord] = {}
    while isinstance(trial := source.next_trial(ended, set()), Trial):
        for address, fold in zip(trial.folds, splits[trial.protocol].folds, strict=True):
            task = FoldTask(trial.config, address)
            checkpoints = results.folder(f"checkpoints/{address.path}")
            train_fold(task, samples, fold, ledger, checkpoints)
        record = finalize(ledger, results.folder("checkpoints"), trial, len(ended))
        assert record is not None
        ended[trial.name] = record
    facts = {
        protocol: SplitFacts(each.split_hash, refuse_leakage(samples, each))
        for protocol, each in splits.items()
    }
    build_report(study, facts, results, "serial")
