"""Model cards: a study's best model, or each system, for those who decide on its use.

After Mitchell et al., Model cards for model reporting (2019). A card is made from the
study's tables alone, so that the same tables make the same bytes.
"""

import importlib.resources
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models import MODELS, components_of
from study.config.dotted_keys import flatten
from study.config.schema import Study
from study.config.trial_config import TrialConfig
from study.data import DATASETS
from study.ledger.answer import ANSWER_RULE, Answer, answers
from study.ledger.study_folder import SplitFacts, stored_samples_hash
from study.report.card_evidence import AT_PREVALENCE, Estimate, Evidence, Stratum
from study.report.card_limits import limits
from study.report.labels import EPOCH, in_words, labels_chose
from study.scores.settings import REPORTED_SCORES, MetricName
from study.search.trial import Trial, TrialRecord
from study.storage.folder import Folder

FOLDER = "report"
CARD = "MODEL_CARD.md"
TEMPLATE = "model_card.md.j2"
IN_SHORT: tuple[MetricName, ...] = (*REPORTED_SCORES, "precision", "recall")
MOST_PATIENTS = 60
MOST_SYMBOLS = 30

_PROTOCOLS = {
    "paper": "85 % of the normals train; the other normals and all abnormals halve into validation "
    "and test, stratified by class, drawn anew for each fold. Test samples can be of people who "
    "are in training, too",
    "kfold": "15 % of the normals and half of the abnormals test in all folds; the other normals "
    "train and validate in turn. Test samples can be of people who are in training, too",
    "inter_patient": "patients are divided once: those who test neither train nor validate; the "
    "others train, and validate in turn",
    "given": "training and test are those that the data come with; whose samples the test set "
    "holds is not known",
    "time": "the normal beginning of each recording trains, and validates a stretch at a time; "
    "what follows it tests. Test samples are of the same recordings as those of training",
    "series": "whole recordings train, validate or test, in turn. Test recordings are not among "
    "the training recordings",
}


def write_model_cards(
    study: Study,
    results: Folder,
    records: Iterable[TrialRecord],
    tables: Mapping[str, pa.Table],
    facts: Mapping[str, SplitFacts],
) -> list[str]:
    """Write `report/MODEL_CARD.md` of the best completed trial, or one for each system.

    A system's is `report/<system>/MODEL_CARD.md`; under a protocol beside the study's, the
    protocol follows the system's name.

    Args:
        study: the study.
        results: its results folder.
        records: how its trials ended.
        tables: the study's tables by name.
        facts: of its folds, by protocol.

    Returns:
        The files' paths in the results folder, in the order written.
    """
    completed = [record for record in records if record.state == "completed"]
    paths = []
    for answer in sorted(answers(study, completed), key=lambda each: each.record.trial.order):
        trial = answer.record.trial
        paths.append(f"{FOLDER}/{card_folder(study, trial)}{CARD}")
        own = facts.get(trial.protocol)
        evidence = Evidence(answer, tables, own and own.of(trial.config.dataset))
        results.write(paths[-1], model_card(study, evidence).encode())
    return paths


def card_folder(study: Study, trial: Trial) -> str:
    """Return the folder of a trial's card below the report's, with a slash after it."""
    if not trial.system:
        return ""
    beside = trial.protocol != study.split.protocol
    return f"{trial.system}_{trial.protocol}/" if beside else f"{trial.system}/"


def model_card(study: Study, evidence: Evidence) -> str:
    """Return the card of one answer, Markdown."""
    from jinja2 import Environment, StrictUndefined

    text = importlib.resources.files("study.report").joinpath(TEMPLATE).read_text("utf-8")
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    answer, provenance = evidence.answer, study.provenance or {}
    record, config = answer.record, answer.record.trial.config
    model = MODELS[config.model.name]
    patients = evidence.patients
    return environment.from_string(text).render(
        title=_title(answer),
        description=model.description[0].upper() + model.description[1:],
        components=", ".join(f"`{name}`" for name in components_of(config.model)),
        dataset=config.dataset.name,
        dataset_description=DATASETS[config.dataset.name].description,
        length=config.dataset.length,
        limit=config.dataset.limit,
        protocol=config.split.protocol,
        protocol_text=_PROTOCOLS[config.split.protocol],
        folds=config.split.folds,
        provenance=provenance,
        samples_hash=stored_samples_hash(study, config.dataset),
        program=(provenance.get("programs") or [None])[-1],
        first=evidence.rows("scores").iloc[0],
        settings=_settings(config),
        seed=config.seed,
        composition=_named(answer.composition, answer.latent_form),
        metric=config.metric.score,
        metrics={name: evidence.metric(name) for name in IN_SHORT},
        constant=evidence.constant,
        rows=list(_rows(answer, evidence.tables["summary"])),
        labels_chose=in_words(str(evidence.rows("summary").iloc[0]["labels_chose"])),
        labels_chose_epoch=EPOCH in labels_chose(record, ANSWER_RULE),
        kinds=evidence.kinds,
        symbols=_symbols(evidence),
        patients=patients[:MOST_PATIENTS],
        num_patients=len(patients),
        new_patients=_new_patients(evidence),
        prevalences=evidence.prevalences,
        at_prevalence=AT_PREVALENCE,
        clinical=evidence.clinical(),
        limits=list(limits(evidence)),
        folder=f"ledger/{record.name}",
    )


def _title(answer: Answer) -> str:
    trial, config = answer.record.trial, answer.record.trial.config
    model = trial.system or config.model.name
    return f"{model} on {config.dataset.name}: {trial.name} of study {config.study}"


def _settings(config: TrialConfig) -> dict[str, Any]:
    content = config.to_dict()
    return flatten({part: content[part] for part in ("dataset", "model", "training")})


def _symbols(evidence: Evidence) -> list[Stratum]:
    """Return the annotation symbols, where they say more than the classes."""
    symbols = evidence.strata("symbol")
    return symbols[:MOST_SYMBOLS] if len(symbols) > len(evidence.kinds) else []


def _new_patients(evidence: Evidence) -> dict[str, Estimate]:
    """Return metrics with intervals over patients, where patients are kept apart."""
    frame = evidence.rows("patients")
    return {
        name: Estimate(
            *(float(row[f"{name}{end}"]) for end in ("", "_patient_low", "_patient_high"))
        )
        for _, row in frame.iterrows()
        for name in ("f1_weighted", "phi")
    }


def _rows(answer: Answer, summary: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the trial's compositions: with the best weights, and with the last if one-class."""
    own = summary.filter(pc.equal(summary["trial"], answer.record.name))
    best = pc.equal(own["epoch_rule"], ANSWER_RULE)
    for row in own.filter(pc.or_(best, own["one_class"])).to_pylist():
        yield {
            "composition": _named(row["composition"], row["latent_form"]),
            "epoch": "best" if row["epoch_rule"] == ANSWER_RULE else "last",
            "labels_chose": row["labels_chose"] or "nothing",
            "is_metric": row["epoch_rule"] == ANSWER_RULE and row["of_metric"],
            **{
                name: Estimate(*(row[f"{name}_{end}"] for end in ("mean", "low", "high")))
                for name in REPORTED_SCORES
            },
        }


def _named(composition: str, latent_form: str) -> str:
    return f"`{composition}`" + (f", {latent_form}" if latent_form else "")
