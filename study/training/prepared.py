"""What a study trains on: its samples, their division, and what stands against it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models import is_fitted_once
from study.config.schema import MetricSettings, Study
from study.config.trial_config import TrialConfig
from study.config.variants import variants
from study.data.leakage import Leakage, count_abnormal_neighbours, refuse_leakage
from study.data.samples import Samples
from study.data.splits import Splits, splits_by_protocol
from study.data.variants import Variants, load_variants
from study.errors import RequestError
from study.ledger.study_folder import SplitFacts, VariantFacts
from study.scores.metrics import constant_metric
from study.scores.normals import allows_quantile
from study.scores.rules import find_composition
from study.scores.settings import NORMAL_ERROR
from study.search.trial import LearnedTrial

LEAST_UPDATES = 100
"""A network has learned little by so few; the shipped `quickstart` has some more."""


@dataclass(frozen=True)
class Prepared:
    """What a study trains on.

    Attributes:
        variants: the dataset, in each variant that trials can have.
        splits: the folds, by protocol: of all variants the same.
        facts: hash and leakage of the folds, by protocol.
        learned: what the search learns of other studies; None where that is fixed already.
    """

    variants: Variants
    splits: dict[str, Splits]
    facts: dict[str, SplitFacts]
    learned: list[LearnedTrial] | None = None

    @property
    def samples(self) -> Samples:
        """The samples of the first variant: labels, records and order are those of all."""
        return self.variants.samples[0]

    @property
    def data_line(self) -> str:
        """What is in memory of each node, where there are several variants; else ""."""
        if len(self.variants) == 1:
            return ""
        return (
            f"{len(self.variants)} of the same {len(self.samples):,} samples,"
            f" {self.variants.size / 1e6:,.0f} MB in memory of each node"
        )

    def warnings(self, study: Study) -> Iterator[str]:
        """Yield a line on what a study can do, and is hardly meant to."""
        for length in dict.fromkeys(each.length for each in self.variants.samples):
            if (width := self.samples.row_width) and width != length:
                yield f"rows of {width} values are brought to {length}"
        if self.variants.left_out:
            yield (
                f"{self.variants.left_out:,} samples are left out, which not every variant of the"
                " dataset has"
            )
        tests = [fold.test for divided in self.splits.values() for fold in divided.folds]
        if not any(self.samples.label[test].any() for test in tests):
            yield "no test sample is abnormal: there will be no F1, phi, AUROC or VUS"
        configs = {name: TrialConfig.of(study, each) for name, each in study.systems.items()}
        for name, config in (configs or {"": TrialConfig.of(study)}).items():
            if is_fitted_once(config.model.name):
                continue
            trained = len(self.splits[config.split.protocol].folds[0].training)
            updates = config.training.epochs * math.ceil(trained / config.training.batch_size)
            if updates < LEAST_UPDATES:
                yield (
                    f"{f'systems.{name}: ' if name else ''}{config.training.epochs} epochs of"
                    f" {trained} samples are {updates} updates of the weights, fewer than"
                    f" {LEAST_UPDATES}: raise training.epochs or lower training.batch_size"
                )

    def constant_value(self, metric: MetricSettings, protocol: str) -> float | None:
        """Return what the better constant answer has on validation, mean over folds.

        None of a metric that no constant answer has a value of.
        """
        if not metric.reads_labels:
            return None
        values = [
            constant_metric(self.samples.label[fold.validation], metric.score)
            for fold in self.splits[protocol].folds
        ]
        mean = float(np.mean(values))
        return mean if math.isfinite(mean) else None


def prepare(study: Study, data_folder: Path, study_folder: Path | None = None) -> Prepared:
    """Load and divide a study's dataset; nothing of it is written.

    Args:
        study: the study.
        data_folder: where datasets are.
        study_folder: the study file's, where data may be as well; None for none.

    Raises:
        RequestError: the data are missing or cannot be used so.
    """
    data = samples_of_study(study, data_folder, study_folder)
    samples = data.samples[0]
    splits = splits_by_protocol(samples, study.split, study.seed)
    facts = {
        protocol: SplitFacts(divided.split_hash, *_counts(samples, divided))
        for protocol, divided in splits.items()
    }
    problems = [*_missing_labels(study, samples, splits), *_few_normals(study, samples, splits)]
    if problems:
        raise RequestError(*problems)
    if len(data) > 1:
        facts = {name: _with_variants(facts[name], data, each) for name, each in splits.items()}
    return Prepared(data, splits, facts)


def samples_of_study(study: Study, data_folder: Path, study_folder: Path | None = None) -> Variants:
    """Load every variant of a study's dataset; arguments as of `prepare`.

    Raises:
        RequestError: the data are missing or cannot be used so.
    """
    own = [each.dataset for each in variants(study)]
    located = [each.beside(study_folder) if study_folder else each for each in own]
    # Trials know their dataset as the study file writes it.
    return replace(load_variants(located, data_folder, study.seed), settings=tuple(own))


def _counts(samples: Samples, divided: Splits) -> tuple[tuple[Leakage, ...], tuple[int, ...]]:
    return refuse_leakage(samples, divided), count_abnormal_neighbours(samples, divided)


def _with_variants(facts: SplitFacts, data: Variants, divided: Splits) -> SplitFacts:
    """Return facts of a study's folds, which are of its first variant, with those of each."""
    first = facts.leakage, facts.abnormal_neighbours
    counts = [first, *(_counts(samples, divided) for samples in data.samples[1:])]
    of_variants = [
        VariantFacts(dataset, samples.content_hash, *own)
        for dataset, samples, own in zip(data.settings, data.samples, counts, strict=True)
    ]
    return replace(facts, variants=tuple(of_variants))


def _missing_labels(study: Study, samples: Samples, splits: Mapping[str, Splits]) -> Iterator[str]:
    """Yield an error message for each metric that needs labels, of which validation has none."""
    lacking = [
        protocol
        for protocol, divided in splits.items()
        if not all(samples.label[fold.validation].any() for fold in divided.folds)
    ]
    if not lacking:
        return
    for key, metric in _metrics(study).items():
        if metric.reads_labels:
            problem = f"{key}.score: {metric.score} needs"
        elif find_composition(metric.composition, study.scores).supervision != "none":
            problem = f"{key}.composition: {metric.composition} is fitted to"
        else:
            continue
        yield (
            f"{problem} abnormal samples, of which validation has none under protocol {lacking[0]}:"
            f" choose without labels, by {{composition: reconstruction_quantile, score:"
            f" {NORMAL_ERROR}}}, and set scores.quantile_of to held_out"
        )


def _few_normals(study: Study, samples: Samples, splits: Mapping[str, Splits]) -> Iterator[str]:
    """Yield an error message for each metric whose threshold needs more held-out normals."""
    scores = study.scores
    if scores.quantile_of == "training":
        return
    counts = {
        protocol: min(int((samples.label[fold.validation] == 0).sum()) for fold in divided.folds)
        for protocol, divided in splits.items()
    }
    protocol, fewest = min(counts.items(), key=lambda item: item[1])
    if allows_quantile(fewest, scores.quantile):
        return
    for key, metric in _metrics(study).items():
        composition = find_composition(metric.composition, scores)
        if metric.reads_labels and composition.fitted_to_normals:
            yield (
                f"{key}.composition: the threshold of {metric.composition} is the"
                f" {scores.quantile:g} quantile of held-out normals, and a fold's validation has"
                f" {fewest} under protocol {protocol}, which are too few: lower scores.quantile,"
                f" or set scores.quantile_of to training"
            )


def _metrics(study: Study) -> dict[str, MetricSettings]:
    """Return the metrics of a study by their keys: its systems', or that of its search."""
    metrics = {f"systems.{name}.metric": system.metric for name, system in study.systems.items()}
    return metrics or {"search.metric": study.search.metric}
