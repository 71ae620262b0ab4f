"""Several studies side by side: what each answers with, and paired differences.

Answers are paired where studies have the same samples and the same folds: then each fold, and
each patient or sample of its test set, is the same on both sides. Others stand beside them.
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from study.config.comparisons import ComparisonSettings
from study.config.dotted_keys import flatten
from study.config.schema import Study
from study.config.study_file import dump_study
from study.errors import RequestError, StudyFailedError
from study.ledger.answer import ANSWER_RULE, Answer, answers
from study.ledger.ledger import Ledger
from study.ledger.study_folder import (
    SplitFacts,
    read_study,
    stored_samples_hash,
    stored_split_facts,
)
from study.randomness import stream_seed
from study.report.build import damage_advice, score_trials
from study.report.comparisons import comparisons_table, mean_scores
from study.report.details import DetailedFolds, units_by_protocol
from study.report.groups import groups_table
from study.report.summary import summary_table
from study.report.tables import scores_table
from study.storage.folder import Folder

PAIRS = ComparisonSettings(families=("all_systems",))
SIDES = ("first", "second")
MARK = ": "
"""Between the study and the trial in names of what is compared; no study's name holds it."""

_NEEDED = (
    "study", "dataset", "protocol", "split_hash", "trial", "system", "model", "epoch_rule",
    "composition", "latent_form", "of_metric", "fold", "validation_f1_weighted", "f1_weighted",
    "phi", "auroc", "num_samples", "num_training",
)  # fmt: skip
_LEFT_OUT = frozenset(("name", "provenance", "resources"))


@dataclass(frozen=True)
class Compared:
    """A study, and what it answers with.

    Attributes:
        label: its name, which no other study here has.
        study: the study.
        answers: its answers, the best first.
        scores: `scores.parquet` of these trials.
        summary: `summary.parquet` of them.
        folds: details of their folds.
    """

    label: str
    study: Study
    answers: Sequence[Answer]
    scores: pa.Table
    summary: pa.Table
    folds: DetailedFolds

    def split_of(self, protocol: str) -> tuple[str, str]:
        """Return the hashes of the samples and of the folds under a protocol."""
        provenance = self.study.provenance or {}
        samples = stored_samples_hash(self.study, self.answers[0].record.trial.config.dataset)
        return str(samples), str(provenance.get("split_hash", {}).get(protocol))

    def named(self, table: pa.Table) -> pd.DataFrame:
        """Return rows whose trials are named after the study, too."""
        frame: pd.DataFrame = table.to_pandas()
        return frame.assign(trial=[f"{self.label}{MARK}{name}" for name in frame["trial"]])


@dataclass(frozen=True)
class SideBySide:
    """Studies, and how their answers differ.

    Attributes:
        studies: in the order in which they were named.
        same: labels of the studies that share samples and folds, by protocol and split.
        differences: paired differences, a row per pair of answers and metric; see `comparisons`.
        groups: answers with the letters of their groups; see `groups`.
    """

    studies: Sequence[Compared]
    same: Mapping[tuple[str, tuple[str, str]], Sequence[str]]
    differences: pa.Table
    groups: pa.Table


def read_compared(folders: Sequence[Folder]) -> list[Compared]:
    """Read studies, and fit what is not in their caches; nothing is written.

    Raises:
        RequestError: a folder holds no study, or one of an older form.
        StudyFailedError: a study has no trial with scores, or a damaged file.
    """
    studies = [read_study(folder) for folder in folders]
    facts = [stored_split_facts(*each) for each in zip(folders, studies, strict=True)]
    names = [study.name for study in studies]
    labels = [
        name if names.count(name) == 1 else f"{name} {number}"
        for number, name in enumerate(names, start=1)
    ]
    return [_read(*each) for each in zip(labels, studies, folders, facts, strict=True)]


def _read(label: str, study: Study, folder: Folder, facts: Mapping[str, SplitFacts]) -> Compared:
    ledger = Ledger.of(folder)
    with damage_advice(folder):
        own = answers(study, ledger.trials())
        if not own:
            raise StudyFailedError(f"{ledger.folder.locate()}: no trial has scores yet")
        records = sorted((each.record for each in own), key=lambda record: record.trial.order)
        names = {record.name for record in records}  # also one that was stopped
        trials, _, details = score_trials(ledger, folder, records, in_detail=names, keeps=False)
    scores = scores_table(facts, trials)
    return Compared(label, study, own, scores, summary_table(scores), details)


def side_by_side(studies: Sequence[Compared]) -> SideBySide:
    """Compare the answers of studies: all pairs of those that share samples and folds.

    Raises:
        RequestError: there are fewer than two studies.
    """
    if len(studies) < 2:
        raise RequestError("expected at least two studies to compare, found one: name another")
    same: dict[tuple[str, tuple[str, str]], list[str]] = {}
    for each in studies:
        for own in dict.fromkeys(answer.record.trial.protocol for answer in each.answers):
            same.setdefault((own, each.split_of(own)), []).append(each.label)
    parts = []
    for (protocol, _), labels in same.items():
        together = [each for each in studies if each.label in labels]
        parts.append(_compare(together, protocol))
    differences, groups = (pa.concat_tables(tables) for tables in zip(*parts, strict=True))
    return SideBySide(studies, same, differences, groups)


def _compare(together: Sequence[Compared], protocol: str) -> tuple[pa.Table, pa.Table]:
    """Return differences and groups of the answers of studies with the same folds."""
    scores = pa.concat_tables([_rows(each, protocol) for each in together]).combine_chunks()
    strata, decisions = (
        pd.concat([each.named(each.folds.table(name)) for each in together])
        for name in ("strata", "decisions")
    )
    tested = ChainMap(*(each.folds.tested.get(protocol, {}) for each in together))
    units = units_by_protocol(strata, decisions, {protocol: tested})
    seed = stream_seed(together[0].study.seed, "comparisons")
    differences = comparisons_table(scores, units, PAIRS, seed)
    return differences, groups_table(differences, mean_scores(scores))


def _rows(each: Compared, protocol: str) -> pa.Table:
    """Return a study's rows as those of systems of one study that all have a part in."""
    chosen = pc.and_(
        pc.equal(each.scores["protocol"], protocol),
        pc.equal(each.scores["epoch_rule"], ANSWER_RULE),
    )
    rows = each.scores.select(_NEEDED).filter(pc.and_(chosen, each.scores["of_metric"]))
    frame = each.named(rows)
    # What is compared is of one dataset and of the same folds, whatever it is called.
    frame = frame.assign(study="", split_hash="", system=frame["trial"])
    return pa.Table.from_pandas(frame, preserve_index=False).select(_NEEDED)


def differences_table(comparison: SideBySide) -> pa.Table:
    """Return the one table of a comparison: a row per pair of answers and metric.

    Columns are those of `comparisons.parquet`, with the study of each side before its trial.
    """
    columns: dict[str, Any] = {}
    for name in comparison.differences.column_names:
        side, _, rest = name.partition("_")
        values = comparison.differences[name]
        if side in SIDES and rest == "trial":
            parts = [value.split(MARK, 1) for value in values.to_pylist()]
            columns[f"{side}_study"] = pa.array([study for study, _ in parts], pa.string())
            columns[name] = pa.array([trial for _, trial in parts], pa.string())
        elif side in SIDES and rest == "system":
            trials = comparison.differences[f"{side}_trial"].to_pylist()
            systems = dict(_systems(comparison.studies))
            columns[name] = pa.array([systems[trial] for trial in trials], pa.string())
        elif name != "family":
            columns[name] = values
    return pa.table(columns)


def _systems(studies: Sequence[Compared]) -> Iterator[tuple[str, str]]:
    """Yield the system of each answer, by the trial's name as `Compared.named` makes it."""
    for each in studies:
        for answer in each.answers:
            yield f"{each.label}{MARK}{answer.record.name}", answer.record.trial.system


def different_settings(studies: Sequence[Compared]) -> dict[str, list[Any]]:
    """Return the settings in which studies differ, by dotted key: a value for each study.

    What a study does not have is `None`. What only the machine decides, names and hashes are
    left out, and so are the settings of systems that not all have: `systems` names them.
    """
    shared = set.intersection(*(set(each.study.systems) for each in studies))
    flat = [_settings(each.study, shared) for each in studies]
    keys = dict.fromkeys(key for each in flat for key in each)
    values = {key: [each.get(key) for each in flat] for key in keys}
    return {key: own for key, own in values.items() if any(value != own[0] for value in own)}


def _settings(study: Study, shared: Set[str]) -> dict[str, Any]:
    """Return a study's settings by dotted key, of systems those that are `shared`."""
    content = {key: part for key, part in dump_study(study).items() if key not in _LEFT_OUT}
    if study.systems:  # its model and training are those of the first
        systems = content.pop("systems")
        content = {key: part for key, part in content.items() if key not in ("model", "training")}
        content |= {"systems": {name: systems[name] for name in shared}}
        return {"systems": ", ".join(study.systems), **flatten(content)}
    return flatten(content)
