"""A made-up study of the paper's systems: plausible tables, and a ledger with samples."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from study.config.schema import Study
from study.config.study_file import check_study
from study.ledger.fold_files import (
    COMPONENTS,
    INTERPOLATION,
    RECONSTRUCTIONS,
    TRAINING_COMPONENTS,
    to_parquet,
)
from study.ledger.ledger import FoldManifest, Ledger
from study.report.paper.inputs import Tables
from study.report.paper.tables import TSTR_METRICS
from study.report.summary import SUMMARY_KEYS, summary_table
from study.scores.settings import LATENT_FORMS, METRIC_NAMES
from study.search.trial import trial_name
from study.storage.folder import Folder, LocalFolder

MODELS = {
    "ae": "ae",
    "vae": "vae",
    "beatgan": "beatgan",
    "beatgan_plus": "beatgan_plus",
    "beatgan_plus_batch_norm": "beatgan_plus",
    "vaegan_1": "beta_vaegan",
    "vaegan_2": "beta_vaegan",
    "vaegan_beta_1e-1": "beta_vaegan",
    "pca": "pca",
}
RULES = ("best_validation", "last")
LENGTH = 32
LATENT_SIZE = 6
KINDS = ("N", "V")


@dataclass(frozen=True)
class MadeStudy:
    study: Study
    results: Folder
    tables: Tables

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.results.folder("ledger"))


class Maker:
    """Draws a study; every call with the same arguments draws the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self,
        dataset: str = "mitbih",
        systems: Sequence[str] = tuple(MODELS),
        protocols: Sequence[str] = ("paper",),
        folds: int = 3,
        epochs: int = 8,
    ) -> MadeStudy:
        split = {"protocol": protocols[0], "folds": folds}
        content = {"name": "made", "dataset": {"name": dataset, "length": LENGTH}}
        content |= {"split": split, "model": {"name": "beta_vaegan"}}
        results = LocalFolder(self._folder)
        trials = [
            (trial_name(number), system, protocol)
            for number, (system, protocol) in enumerate(
                (system, protocol) for system in systems for protocol in protocols
            )
        ]
        ledger = Ledger(results.folder("ledger"))
        for number, (trial, system, _) in enumerate(trials):
            for fold in range(folds):
                manifest = FoldManifest(trial, fold, "completed", "", epochs // 2, epochs, {})
                random = np.random.default_rng([number, fold])
                ledger.commit_fold(manifest, fold_files(system, random))
        scores = as_table(score_rows(dataset, trials, folds, epochs))
        tables = Tables(
            scores=scores,
            summary=summary_table(scores),
            epochs=as_table(epoch_rows(trials, folds, epochs)),
            measures=as_table(measure_rows(trials, folds, epochs)),
        )
        return MadeStudy(check_study(content, "made.yaml"), results, tables)


def as_table(rows: Iterator[dict[str, Any]]) -> pa.Table:
    found = list(rows)
    names = dict.fromkeys(name for row in found for name in row)
    return pa.table({name: [row.get(name) for row in found] for name in names})


def compositions(system: str) -> list[tuple[str, str]]:
    if system == "pca":
        return [("reconstruction", "")]
    latent = [("latent", form) for form in LATENT_FORMS]
    if system in ("ae", "vae"):
        return [("reconstruction", ""), *latent]
    plain = ("reconstruction", "discrimination", "lambda_grid", "svm_lambda")
    return [*((name, "") for name in plain), *(("svm_gamma", form) for form in LATENT_FORMS)]


def score_rows(
    dataset: str, trials: Sequence[tuple[str, str, str]], folds: int, epochs: int
) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(1)
    for trial, system, protocol in trials:
        trained = 1 if system == "pca" else epochs
        for fold in range(folds):
            for rule in RULES:
                for composition, form in compositions(system):
                    known: dict[str, Any] = dict.fromkeys(SUMMARY_KEYS, "")
                    known |= {"dataset": dataset, "protocol": protocol, "system": system}
                    known |= {
                        "trial": trial,
                        "model": MODELS.get(system, "vae"),
                        "state": "completed",
                    }
                    known |= {"composition": composition, "latent_form": form, "fold": fold}
                    known |= {"epoch_rule": rule, "num_samples": 50, "num_training": 200}
                    known |= {"epoch": trained if rule == "last" else (trained + 1) // 2}
                    known |= {name: random.normal(0.9, 0.01) for name in METRIC_NAMES}
                    known["validation_f1_weighted"] = random.normal(0.9, 0.01)
                    known["param.model.latent_size"] = None if system == "pca" else LATENT_SIZE
                    yield known


def epoch_rows(
    trials: Sequence[tuple[str, str, str]], folds: int, epochs: int
) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(2)
    for trial, system, protocol in trials:
        if system == "pca":
            continue
        for fold in range(folds):
            for epoch in range(1, epochs + 1):
                row: dict[str, Any] = {"system": system, "protocol": protocol, "trial": trial}
                row |= {"fold": fold, "epoch": epoch, "generator_loss": random.uniform()}
                validated = epoch % 2 == 0 or epoch == epochs
                rise = 0.9 - 0.3 * np.exp(-epoch / 8)
                reach = 2 + epoch / 10 * ("beatgan" in system)
                row |= (
                    {
                        "lambda_grid/lambda": random.uniform() * np.exp(-epoch / 30),
                        "discrimination/f1_weighted": rise - 0.1 + random.normal(0, 0.01),
                        "svm_gamma/f1_weighted": rise + random.normal(0, 0.01),
                        "latent/minimum": -reach + random.normal(0, 0.1),
                        "latent/maximum": reach + random.normal(0, 0.1),
                    }
                    if validated
                    else {}
                )
                yield row


def measure_rows(
    trials: Sequence[tuple[str, str, str]], folds: int, epochs: int
) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(3)
    for trial, system, protocol in trials:
        for fold in range(folds):
            for rule in RULES if system != "pca" else ():
                row: dict[str, Any] = {"system": system, "protocol": protocol, "trial": trial}
                row |= {"fold": fold, "epoch_rule": rule}
                row |= {"epoch": epochs if rule == "last" else epochs // 2}
                row |= {name: random.normal(0.88, 0.02) for name in TSTR_METRICS}
                yield row | {"tstr_measurements": 5 - fold}


def fold_files(system: str, random: np.random.Generator) -> dict[str, bytes]:
    if system == "pca":
        return {}
    norms = norm_tables(system, random)
    files = {TRAINING_COMPONENTS: norms[0], COMPONENTS: norms[1]}
    files[RECONSTRUCTIONS] = reconstructions(random, each=2)
    if system == "vaegan_2":
        files[INTERPOLATION] = interpolation(random, dimensions=1)
    return {name: to_parquet(table) for name, table in files.items()}


def norm_tables(system: str, random: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    spread = 1.0 if system == "vaegan_beta_1e-1" else 2.5
    norms = np.linalg.norm(random.normal(0, spread, (600, LATENT_SIZE)), axis=1).astype(np.float32)
    trained = pa.table(
        {
            "sample": np.tile(np.arange(300), 2),
            "epoch_rule": np.repeat(RULES, 300),
            "latent_norm": norms,
        }
    )
    if "vaegan" in system:
        trained = trained.append_column("drawn_latent_norm", pa.array(1.01 * norms))
    label = np.tile(np.arange(100) % 2, 4)
    scored = pa.table(
        {
            "sample": np.tile(np.arange(200), 2),
            "label": label,
            "split": np.tile(np.repeat(("validation", "test"), 100), 2),
            "epoch_rule": np.repeat(RULES, 200),
            "latent_norm": (norms[:400] * (1 + label)).astype(np.float32),
        }
    )
    return trained, scored


def beat(random: np.random.Generator, width: float) -> np.ndarray:
    """(LENGTH,) float32, a peak and a smaller wave."""
    time = np.linspace(0, 1, LENGTH)
    centre = random.normal(0.3, 0.02)
    wave = 0.9 * np.exp(-(((time - centre) / width) ** 2))
    wave += 0.3 * np.exp(-(((time - 0.7) / 0.1) ** 2))
    return wave.astype(np.float32)


def reconstructions(random: np.random.Generator, each: int = 8, channels: int = 1) -> pa.Table:
    """Abnormal and normal samples in turn."""
    rows = []
    for number in range(2 * each):
        label = (number + 1) % 2
        values = np.concatenate([beat(random, 0.05 + 0.1 * label) for _ in range(channels)])
        noise = random.normal(0, 0.02 + 0.1 * label, len(values)).astype(np.float32)
        found = values + noise
        row = {"sample": 100 + number, "label": label, "kind": KINDS[label]}
        rows.append({**row, "values": values.tolist(), "reconstruction": found.tolist()})
    floats = pa.list_(pa.float32())
    schema = pa.schema(
        [("sample", pa.int64()), ("label", pa.int8()), ("kind", pa.string()),
         ("values", floats), ("reconstruction", floats)]
    )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def interpolation(random: np.random.Generator, dimensions: int = 4) -> pa.Table:
    base = beat(random, 0.05)
    rows = [
        {"dimension": dimension, "step": step, "offset": step * 0.6,
         "values": (base * (1 + 0.1 * step * (dimension + 1) / 4)).tolist()}
        for dimension in range(dimensions)
        for step in range(-5, 6)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows)


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., MadeStudy]:
    """Draws a study of the paper's systems, in a folder of its own."""
    return Maker(tmp_path)
