"""A study's results folder with a full ledger, whose labels and errors are drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models import ENCODER_ERRORS
from study.config.schema import Study
from study.config.study_file import check_study
from study.config.trial_config import TrialConfig
from study.data.assembly import build_samples
from study.data.leakage import count_leakage
from study.data.samples import Samples
from study.data.splits import Fold, Splits
from study.ledger import fold_contents, fold_files
from study.ledger.fold_contents import Errors, Evaluation
from study.ledger.ledger import MODEL, FoldManifest, Ledger
from study.ledger.study_folder import SplitFacts, write_study
from study.search.trial import Trial, TrialRecord
from study.storage.folder import LocalFolder
from study.storage.hashes import canonical_hash

EPOCHS = 40
SHARE_ENDING_AT_BEST = 0.1
LENGTH = 32


def make_results(
    root: Path,
    trials: int,
    folds: int = 5,
    training: int = 2000,
    validation: int = 1000,
    test: int = 1000,
    seed: int = 0,
) -> Path:
    """Write a study's results folder with a full ledger, and return it.

    Labels and errors are drawn: a fifth of validation and test is abnormal, R is gamma
    distributed, D the logistic of a normal, the latent norm chi distributed; how far the
    abnormal lie off differs by trial, from not at all to far. One fold in ten has its
    best epoch last.

    Args:
        root: where `<name>/` is created; a ledger that is there already is continued.
        trials: finished trials.
        folds: folds of each.
        training: normal training samples of each fold.
        validation: validation samples of each fold.
        test: test samples of each fold.
        seed: decides all that is drawn.
    """
    study = _study(trials, folds)
    name = f"{study.name}-{trials}x{folds}x{training}-{validation}-{test}"
    results = LocalFolder(root / name)
    ledger = Ledger.of(results)
    sizes = {"training": training, "validation": validation, "test": test}
    samples, members = _samples_and_folds(sizes, folds, seed)
    protocol, leakage = study.split.protocol, (count_leakage(samples, fold) for fold in members)
    splits = Splits(protocol, tuple(members), canonical_hash(name))
    facts = SplitFacts(splits.split_hash, tuple(leakage))
    write_study(results, study, samples, {protocol: splits}, {protocol: facts})
    for number in range(trials):
        random = np.random.default_rng([seed, 2, number])
        trial = _draw_trial(study, number, random)
        if ledger.trial(trial.name) is None:
            _commit_trial(ledger, trial, samples, members, random)
    return root / name


def _study(trials: int, folds: int) -> Study:
    content = {
        "name": "report",
        "dataset": {"name": "synthetic", "length": LENGTH},
        "split": {"protocol": "paper", "folds": folds},
        "model": {"name": "beta_vaegan"},
        "training": {"epochs": EPOCHS},
        "search": {
            "trials": trials,
            "space": {
                "model.beta": {"loguniform": [1e-6, 0.1]},
                "model.latent_size": {"int": [2, 64]},
                "training.discriminator_updates": {"int": [1, 5]},
            },
        },
    }
    return check_study(content, "benchmark")


def _samples_and_folds(sizes: dict[str, int], folds: int, seed: int) -> tuple[Samples, list[Fold]]:
    random = np.random.default_rng([seed, 1])
    scored = sizes["validation"] + sizes["test"]
    abnormal = scored // 5
    normal = sizes["training"] + scored - abnormal
    kinds = ["N"] * normal + [("S", "V", "F")[i % 3] for i in range(abnormal)]
    samples = build_samples(
        random.random((normal + abnormal, LENGTH)),
        [0] * normal + [1] * abnormal,
        kinds,
        kinds,
        record=[str(100 + i % 48) for i in range(normal + abnormal)],
    )
    divided = []
    for _ in range(folds):
        order = random.permutation(normal)
        trained, rest = np.split(order, [sizes["training"]])
        rest = random.permutation(np.concatenate([rest, np.arange(normal, normal + abnormal)]))
        parts = (trained, *np.split(rest, [sizes["validation"]]))
        divided.append(Fold(*(np.sort(part) for part in parts)))
    return samples, divided


def _draw_trial(study: Study, number: int, random: np.random.Generator) -> Trial:
    parameters: dict[str, Any] = {
        "model.beta": float(np.exp(random.uniform(np.log(1e-6), np.log(0.1)))),
        "model.latent_size": int(random.integers(2, 65)),
        "training.discriminator_updates": int(random.integers(1, 6)),
    }
    return Trial(number, TrialConfig.of(study).with_parameters(parameters), parameters)


def _commit_trial(
    ledger: Ledger, trial: Trial, samples: Samples, folds: list[Fold], random: np.random.Generator
) -> None:
    for address, members in zip(trial.folds, folds, strict=True):
        at_best = random.random() < SHARE_ENDING_AT_BEST
        best_epoch = EPOCHS if at_best else int(random.integers(1, EPOCHS))
        manifest = FoldManifest(
            address.trial, address.fold, "completed", "", best_epoch, EPOCHS, {}
        )
        if ledger.fold(address) is None:
            latent_size = trial.parameters["model.latent_size"]
            evaluations = _evaluations(random, samples, members, latent_size, at_best)
            files = _files(trial, manifest, samples, members, evaluations)
            ledger.commit_fold(manifest, files)
    value = float(random.uniform(0.5, 1))
    values = [(epoch, value) for epoch in range(1, EPOCHS + 1)]
    ledger.record_trial(
        TrialRecord(trial, "completed", values=values, completion_order=trial.number)
    )


def _files(
    trial: Trial,
    manifest: FoldManifest,
    samples: Samples,
    fold: Fold,
    evaluations: dict[str, Evaluation],
) -> dict[str, bytes]:
    described = {
        "config": trial.config.to_dict(),
        "trial": manifest.trial,
        "fold": manifest.fold,
        "shape": {"channels": 1, "length": LENGTH},
        "scaling": None,
        "components": list(ENCODER_ERRORS),
        "latent_size": trial.parameters["model.latent_size"],
        "best_epoch": manifest.best_epoch,
        "samples_hash": samples.content_hash,
    }
    timings: dict[str, Any] = {"train_seconds": 60.0, "evaluate_seconds": 1.0}
    timings |= {"host": "node", "device": "cpu", "threads": 1}
    history = [{"epoch": epoch, "value": 0.5} for epoch in range(1, EPOCHS + 1)]
    return {
        fold_files.COMPONENTS: fold_contents.components_file(samples, fold, evaluations),
        fold_files.TRAINING_COMPONENTS: fold_contents.training_components_file(fold, evaluations),
        fold_files.HISTORY: fold_contents.history_file(history),
        MODEL: fold_contents.json_file(described),
        fold_files.TIMINGS: fold_contents.json_file(timings),
    }


def _evaluations(
    random: np.random.Generator, samples: Samples, fold: Fold, latent_size: int, at_best: bool
) -> dict[str, Evaluation]:
    separation = random.uniform(0, 3)

    def evaluation() -> Evaluation:
        parts = (fold.training, fold.validation, fold.test)
        return Evaluation(
            *(_errors(random, samples.label[part], latent_size, separation) for part in parts)
        )

    last = evaluation()
    return {"best_validation": last if at_best else evaluation(), "last": last}


def _errors(
    random: np.random.Generator, label: npt.NDArray[np.int8], latent_size: int, separation: float
) -> Errors:
    off = separation * label * random.uniform(0.3, 1.7, len(label))
    drawn = (
        random.gamma(3 + 2 * off) * 1e-3,
        1 / (1 + np.exp(-random.normal(off - 1))),
        np.sqrt(random.chisquare(latent_size, len(label))) * (1 + 0.2 * off),
    )
    values = (each.astype(np.float32) for each in drawn)
    return dict(zip(ENCODER_ERRORS, values, strict=True))
