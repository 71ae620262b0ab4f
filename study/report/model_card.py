"""Model cards: what the best model of a study, or each of its systems, is and is for.

After Mitchell et al., Model cards for model reporting (2019). A card is made from the
study's tables alone, so that the same tables make the same bytes.
"""

import importlib.resources
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models import MODELS, components_of
from study.config.schema import Study
from study.config.study_file import configure, dump_study, flatten
from study.data import DATASETS
from study.ledger.ledger import Ledger, TrialRecord
from study.search.sources import best_trial
from study.storage.folder import Folder

FOLDER = "report"
CARD = "MODEL_CARD.md"
TEMPLATE = "model_card.md.j2"
METRICS = ("f1_weighted", "phi", "auroc")
EPOCH_RULE = "best_validation"

_PROTOCOL_LIMITS = {
    "inter_patient": "Test patients are not among the training patients.",
    "paper": "Test samples can be of people who are in training too: patients who are not may "
    "score worse.",
}


def write_model_cards(
    study: Study, results: Folder, scores: pa.Table, summary: pa.Table
) -> list[str]:
    """Write `report/MODEL_CARD.md` of the best completed trial, or one for each system.

    A system's is `report/<system>/MODEL_CARD.md`; under a protocol beside the study's, the
    protocol follows the system's name.

    Args:
        study: the study.
        results: its results folder; trials are read from its ledger.
        scores: `scores.parquet`.
        summary: `summary.parquet`.

    Returns:
        The files' paths in the results folder, in the order written.
    """
    completed = [
        record
        for record in Ledger(results.folder("ledger")).trials()
        if record.state == "completed"
    ]
    best = best_trial(completed)
    if best is not None and not study.systems:
        completed = [best]
    written = []
    for record in completed:
        trial = configure(study, record.parameters)
        of_trial = [
            table.filter(pc.equal(table["trial"], record.name)) for table in (scores, summary)
        ]
        written.append(f"{FOLDER}/{_folder(study, trial)}{CARD}")
        results.write(written[-1], model_card(trial, record, *of_trial).encode())
    return written


def model_card(study: Study, record: TrialRecord, scores: pa.Table, summary: pa.Table) -> str:
    """Return the card of one trial, Markdown.

    Args:
        study: the study with the trial's settings.
        record: the trial.
        scores: rows of the trial.
        summary: rows of the trial.
    """
    from jinja2 import Environment, StrictUndefined

    text = importlib.resources.files("study.report").joinpath(TEMPLATE).read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    entry, first = MODELS[study.model.name], scores.slice(0, 1).to_pylist()[0]
    return environment.from_string(text).render(
        title=f"{study.system or study.model.name} on {study.dataset.name}: {record.name} of "
        f"study {study.name}",
        description=entry.description[0].upper() + entry.description[1:],
        components=", ".join(f"`{name}`" for name in components_of(study.model)),
        dataset=study.dataset.name,
        dataset_description=DATASETS[study.dataset.name].description,
        length=study.dataset.length,
        limit=study.dataset.limit,
        protocol=study.split.protocol,
        protocol_limit=_PROTOCOL_LIMITS.get(study.split.protocol, _PROTOCOL_LIMITS["paper"]),
        folds=study.split.folds,
        split_hash=first["split_hash"],
        num_training=first["num_training"],
        num_samples=first["num_samples"],
        prevalence=f"{first['prevalence']:.1%}",
        settings=_settings(study),
        seed=study.seed,
        rows=list(_rows(study, summary)),
        place=f"ledger/{record.name}",
    )


def _folder(study: Study, trial: Study) -> str:
    """Return where a trial's card is below the report's folder, with a slash after it."""
    if not trial.system:
        return ""
    beside = trial.split.protocol != study.split.protocol
    return f"{trial.system}_{trial.split.protocol}/" if beside else f"{trial.system}/"


def _settings(study: Study) -> dict[str, Any]:
    content = dump_study(study)
    return flatten({part: content[part] for part in ("dataset", "model", "training")})


def _rows(study: Study, summary: pa.Table) -> Iterator[dict[str, Any]]:
    metric = study.search.metric
    for row in summary.filter(pc.equal(summary["epoch_rule"], EPOCH_RULE)).to_pylist():
        form = row["latent_form"]
        yield {
            "composition": row["composition"],
            "form": f", {form}" if form else "",
            "supervision": row["supervision"],
            "is_metric": row["composition"] == metric.composition
            and form in ("", metric.latent_form),
            **{name: _interval(row, name) for name in METRICS},
        }


def _interval(row: Mapping[str, float], metric: str) -> str:
    mean, low, high = (row[f"{metric}_{part}"] for part in ("mean", "low", "high"))
    if not math.isfinite(mean):
        return "none"
    return f"{mean:.3f}" + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(low) else "")
