"""TensorBoard's HParams of a study: a session for each trial, its settings and its outcome."""

import contextlib
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from study.config.dotted_keys import flatten
from study.ledger.answer import ANSWER_RULE
from study.scores.settings import REPORTED_SCORES
from study.search.trial import TrialRecord
from study.storage.folder import Folder
from study.storage.object_store import endpoint_url
from study.training.events import EventFolder

FOLDER = "tensorboard"


def write_hparams(
    results: Folder,
    trial: str,
    parameters: Mapping[str, Any],
    scores: Mapping[str, float],
    columns: Iterable[str] = (),
) -> None:
    """Write a trial's settings and scores for the HParams tab, replacing those that are there.

    Args:
        results: the study's folder.
        trial: the trial's name.
        parameters: settings by dotted key.
        scores: by name.
        columns: names of the scores of all trials: TensorBoard shows those that one trial,
            whichever it reads first, declares.
    """
    from tensorboardX import SummaryWriter
    from tensorboardX.summary import hparams

    folder = results.folder(f"{FOLDER}/{trial}")
    for name in folder.names():
        if name.startswith("events.out"):
            folder.remove(name)
    shown = {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in parameters.items()
    }
    with (
        contextlib.closing(EventFolder(folder)) as events,
        SummaryWriter(events.path) as writer,
    ):
        for summary in hparams(shown, dict.fromkeys([*columns, *scores], 0.0)):
            writer.file_writer.add_summary(summary)
        for name, value in scores.items():
            writer.add_scalar(name, value, 0)


def write_outcomes(
    records: Sequence[TrialRecord], results: Folder, summary: pa.Table | None = None
) -> None:
    """Write trials to HParams: the best on validation, and test once there is a summary.

    Settings are those that set trials apart: others would hide them and the scores. Where folds are
    raced, so does how many a trial had.
    """
    written = [record for record in records if record.state != "failed"]
    by_trial: dict[str, list[dict[str, Any]]] = {}
    for row in [] if summary is None else summary.to_pylist():
        by_trial.setdefault(row["trial"], []).append(row)
    scores = {each.name: _final_scores(each, by_trial.get(each.name, [])) for each in written}
    columns = dict.fromkeys(name for each in scores.values() for name in each)
    is_raced = len({len(record.folds) for record in written}) > 1
    for record in written:
        trial = record.trial
        settings = trial.parameters or flatten({"model": trial.config.to_dict()["model"]})
        shown = {**settings, "state": record.state}
        if is_raced:
            shown["folds"] = len(record.folds)
        write_hparams(results, record.name, shown, scores[record.name], columns)


def _final_scores(record: TrialRecord, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return scores by tag, of a trial's rows of the summary.

    `answer/` is what the trial is reported by, whatever its composition. Beside it stand the
    compositions that matter: those that the study follows in training, and those without labels.
    """
    scores = {"validation/best_value": record.best_value}
    tracked = record.trial.config.measures.tracked
    best = [row for row in rows if row["epoch_rule"] == ANSWER_RULE]
    # TensorBoard shows the first few of them unasked.
    for row in sorted(best, key=lambda row: not row["of_metric"]):
        form = row["latent_form"] and f"_{row['latent_form']}"
        names = ["answer"] if row["of_metric"] else []
        if row["of_metric"] or row["supervision"] == "none" or row["composition"] in tracked:
            names.append(f"test/{row['composition']}{form}")
        for name in names:
            scores |= {f"{name}/{metric}": row[f"{metric}_mean"] for metric in REPORTED_SCORES}
    return {name: value for name, value in scores.items() if not math.isnan(value)}


def reading_command(results: Folder) -> str:
    """Return the command that shows a study in TensorBoard, whose URIs have no query.

    Of the folder with the events alone, so that runs have the trials' own names.
    """
    location = results.locate()
    folder = f"{location.partition('?')[0].rstrip('/')}/{FOLDER}"
    command = f"tensorboard --logdir {shlex.quote(folder)}"
    endpoint = endpoint_url(location)
    return f"AWS_ENDPOINT_URL={shlex.quote(endpoint)} {command}" if endpoint else command
