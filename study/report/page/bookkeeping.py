"""What a study took, what did not complete, and how to run it again."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd
from markupsafe import Markup

from study.config.study_file import dump_study, to_yaml
from study.ledger.ledger import TrialRecord
from study.ledger.study_folder import read_study
from study.report.page.parts import Cell, Section, Table, count, counted, number
from study.report.page.source import Source

MOST_ROWS = 30
PLACES = {"least": 0.0, "median": 0.5, "nine in ten below": 0.9, "most": 1.0}


def bookkeeping_sections(source: Source) -> list[Section]:
    """Return the sections that close the page."""
    return [_timing(source), _endings(source), _again(source)]


def _timing(source: Source) -> Section:
    timings = source.table("timings")
    by_trial = timings.groupby("trial").agg(
        epochs=("epochs", "max"),
        train_seconds=("train_seconds", "mean"),
        evaluate_seconds=("evaluate_seconds", "mean"),
    )
    by_trial["epoch_seconds"] = by_trial["train_seconds"] / by_trial["epochs"]
    hours = float((timings["train_seconds"] + timings["evaluate_seconds"]).sum()) / 3600
    places = Counter(f"{row.device} on {row.host}" for row in timings.itertuples())
    where = [f"{at} ({counted(folds, 'fold')})" for at, folds in places.most_common(MOST_ROWS)]
    few = len(by_trial) <= MOST_ROWS
    return Section(
        "timing", "Time",
        "Seconds of a fold, as the mean over a trial’s folds. Folds ran side by side and "
        "perhaps beside other work, so they say what this run took, not what the machine can.",
        tables=[_each(source, by_trial) if few else _quantiles(by_trial)],
        notes=[f"{hours:.1f} hours of folds in all: {'; '.join(where)}."],
    )  # fmt: skip


def _each(source: Source, by_trial: pd.DataFrame) -> Table:
    labels = {e.name: f"{e.label}, {e.protocol}" for e in source.entries if source.study.systems}
    rows = [
        [Cell(name), Cell(labels.get(name, "")), count(int(row["epochs"])), *_seconds(row)]
        for name, (_, row) in zip(map(str, by_trial.index), by_trial.iterrows(), strict=True)
    ]
    return Table(["trial", "system", *_HEAD] if labels else ["trial", *_HEAD],
                 rows if labels else [[first, *rest] for first, _, *rest in rows])  # fmt: skip


def _quantiles(by_trial: pd.DataFrame) -> Table:
    rows = [
        [Cell(name), count(round(float(row["epochs"]))), *_seconds(row)]
        for name, share in PLACES.items()
        for row in [by_trial.quantile(share)]
    ]
    return Table([f"over {len(by_trial):,} trials", *_HEAD], rows, "each column by itself")


_HEAD = ("epochs", "training, s", "an epoch, s", "scoring, s")


def _seconds(row: "pd.Series[float]") -> Iterator[Cell]:
    yield number(row["train_seconds"], 1)
    yield number(row["epoch_seconds"], 2)
    yield number(row["evaluate_seconds"], 1)


def _endings(source: Source) -> Section:
    states = Counter(str(record.state) for record in source.records)
    said = "; ".join(f"{states[state]:,} {name}" for state, name in
                     (("completed", "completed"), ("pruned", "stopped early"), ("failed", "failed"))
                     if states[state])  # fmt: skip
    left = source.study.search.trials - len(source.records)
    tables = [t for t in (_stopped(source.records), _failed(source.records)) if t]
    return Section(
        "endings", "What was stopped or failed",
        "Early stopping (successive halving) ends a trial at an epoch where too many others were "
        "better. A failed trial has no scores; its reason is the first that was noticed.",
        tables=tables,
        notes=[f"Trials: {said}{f'; {left:,} not run yet' if left > 0 else ''}."],
    )  # fmt: skip


def _stopped(records: Sequence[TrialRecord]) -> Table | None:
    epochs = Counter(r.values[-1][0] for r in records if r.state == "pruned" and r.values)
    rows = []
    for epoch, stopped in sorted(epochs.items())[:MOST_ROWS]:
        reached = [r for r in records if r.values and r.values[-1][0] >= epoch]
        rows.append([count(epoch), count(len(reached)), count(stopped)])
    head = ["epoch", "trials that came so far", "stopped there"]
    return Table(head, rows, "stopped early: not among the best in") if rows else None


def _failed(records: Sequence[TrialRecord]) -> Table | None:
    failed = [record for record in records if record.state == "failed"]
    reasons = Counter(record.reason for record in failed)
    first = {record.reason: record.name for record in reversed(failed)}
    rows = [
        [Cell(reason[:300], "wrap"), count(times), Cell(first[reason])]
        for reason, times in reasons.most_common(MOST_ROWS)
    ]
    return Table(["reason", "trials", "the first"], rows, "failed") if rows else None


def _again(source: Source) -> Section:
    # A study that has just run knows nothing yet of what was stored with its results.
    study, known = source.study, read_study(source.results).provenance or {}
    file = to_yaml(dump_study(study.model_copy(update={"provenance": None})))
    rows = [[Cell("samples"), Cell(str(known.get("samples_hash", "")), "code")]]
    rows += [[Cell(f"splits, protocol {name}"), Cell(str(value), "code")]
             for name, value in known.get("split_hash", {}).items()]  # fmt: skip
    versions = [[Cell("python"), Cell(str(known.get("python", "")), "code")]]
    versions += [[Cell(name), Cell(str(value), "code")]
                 for name, value in known.get("versions", {}).items()]  # fmt: skip
    command = shlex.join(["python", "-m", "study.run", f"{study.name}.yaml"])
    return Section(
        "again", "To run it again",
        Markup("Save the study file below as {}.yaml and start <code>{}</code>. With the same "
               "data (the hashes say so) and versions, the CPU gives the same scores, byte for "
               "byte.").format(study.name, command),
        tables=[Table(["data", "sha256"], rows), Table(["version of", ""], versions)],
        text={f"{study.name}.yaml": file},
    )  # fmt: skip
