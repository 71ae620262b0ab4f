"""Model cards: origin, metrics and limits of a study's best model, or of each system's.

After Mitchell et al., Model cards for model reporting (2019). A card is made from the
study's tables alone, so that the same tables make the same bytes.
"""

import importlib.resources
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models import MODELS, components_of
from study.config.dotted_keys import flatten
from study.config.schema import MetricSettings, Study
from study.config.trial_config import TrialConfig
from study.data import DATASETS
from study.report.labels import BEST, EPOCH, labels_chose
from study.search.trial import Trial, TrialRecord, best_trial
from study.storage.folder import Folder

FOLDER = "report"
CARD = "MODEL_CARD.md"
TEMPLATE = "model_card.md.j2"
METRICS = ("f1_weighted", "phi", "auroc")

_PROTOCOL_LIMITS = {
    "inter_patient": "Test patients are not among the training patients.",
    "time": "Test samples come after those of training, and are of the same recordings.",
    "series": "Test recordings are not among the training recordings.",
    "paper": "Test samples can be of people who are in training too: patients who are not may "
    "score worse.",
}


def write_model_cards(
    study: Study,
    results: Folder,
    records: Iterable[TrialRecord],
    scores: pa.Table,
    summary: pa.Table,
) -> list[str]:
    """Write `report/MODEL_CARD.md` of the best completed trial, or one for each system.

    A system's is `report/<system>/MODEL_CARD.md`; under a protocol beside the study's, the
    protocol follows the system's name.

    Args:
        study: the study.
        results: its results folder.
        records: how its trials ended.
        scores: `scores.parquet`.
        summary: `summary.parquet`.

    Returns:
        The files' paths in the results folder, in the order written.
    """
    completed = [record for record in records if record.state == "completed"]
    systems = [record for record in completed if record.trial.system]
    best = best_trial(completed)
    if best is not None and not systems:
        completed = [best]
    paths = []
    for record in completed:
        tables = [
            table.filter(pc.equal(table["trial"], record.name)) for table in (scores, summary)
        ]
        paths.append(f"{FOLDER}/{card_folder(study, record.trial)}{CARD}")
        results.write(paths[-1], model_card(record, *tables).encode())
    return paths


def model_card(record: TrialRecord, scores: pa.Table, summary: pa.Table) -> str:
    """Return the card of one trial, Markdown.

    Args:
        record: the trial.
        scores: rows of the trial.
        summary: rows of the trial.
    """
    from jinja2 import Environment, StrictUndefined

    text = importlib.resources.files("study.report").joinpath(TEMPLATE).read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    trial, config = record.trial, record.trial.config
    entry, first = MODELS[config.model.name], scores.slice(0, 1).to_pylist()[0]
    return environment.from_string(text).render(
        title=f"{trial.system or config.model.name} on {config.dataset.name}: {record.name} of "
        f"study {config.study}",
        description=entry.description[0].upper() + entry.description[1:],
        components=", ".join(f"`{name}`" for name in components_of(config.model)),
        dataset=config.dataset.name,
        dataset_description=DATASETS[config.dataset.name].description,
        length=config.dataset.length,
        limit=config.dataset.limit,
        protocol=trial.protocol,
        protocol_limit=_PROTOCOL_LIMITS.get(trial.protocol, _PROTOCOL_LIMITS["paper"]),
        folds=config.split.folds,
        split_hash=first["split_hash"],
        num_training=first["num_training"],
        num_samples=first["num_samples"],
        prevalence=f"{first['prevalence']:.1%}",
        settings=_settings(config),
        seed=config.seed,
        rows=list(_rows(config.metric, summary)),
        labels_chose_epoch=EPOCH in labels_chose(record, BEST),
        folder=f"ledger/{record.name}",
    )


def card_folder(study: Study, trial: Trial) -> str:
    """Return the folder of a trial's card below the report's, with a slash after it."""
    if not trial.system:
        return ""
    beside = trial.protocol != study.split.protocol
    return f"{trial.system}_{trial.protocol}/" if beside else f"{trial.system}/"


def _settings(config: TrialConfig) -> dict[str, Any]:
    content = config.to_dict()
    return flatten({part: content[part] for part in ("dataset", "model", "training")})


def _rows(metric: MetricSettings, summary: pa.Table) -> Iterator[dict[str, Any]]:
    best = pc.equal(summary["epoch_rule"], BEST)
    for row in summary.filter(pc.or_(best, summary["one_class"])).to_pylist():
        form = row["latent_form"]
        yield {
            "composition": row["composition"],
            "form": f", {form}" if form else "",
            "epoch": "best" if row["epoch_rule"] == BEST else "last",
            "labels_chose": row["labels_chose"] or "nothing",
            "is_metric": row["epoch_rule"] == BEST
            and row["composition"] == metric.composition
            and form in ("", metric.latent_form),
            **{name: _interval(row, name) for name in METRICS},
        }


def _interval(row: Mapping[str, float], metric: str) -> str:
    mean, low, high = (row[f"{metric}_{part}"] for part in ("mean", "low", "high"))
    if not math.isfinite(mean):
        return "none"
    return f"{mean:.3f}" + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(low) else "")
