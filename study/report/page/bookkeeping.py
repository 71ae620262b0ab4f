"""The time that a study took, the trials that did not complete, and how to run it again."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd
from markupsafe import Markup

from study.config.study_file import dump_study, to_yaml
from study.ledger.run_time import stored_seconds
from study.ledger.study_folder import VARIANTS, read_study
from study.report.page.inputs import PageInputs, metric_label
from study.report.page.parts import (
    Cell,
    Section,
    Table,
    count,
    had_and_needed,
    number,
    with_left_out,
    with_note,
    with_noun,
)
from study.report.page.trials import STATES
from study.search.budget import Budget
from study.search.sources import trial_source
from study.search.trial import TrialRecord

MOST_ROWS = 30
RULES = {"asha": "successive halving", "paired": "a paired test", "budget": "the budget"}
"""What stops trials, by its name in `rungs.parquet`."""
QUANTILES = {"least": 0.0, "median": 0.5, "nine in ten below": 0.9, "most": 1.0}


def bookkeeping_sections(inputs: PageInputs) -> list[Section]:
    """Return the sections that close the page."""
    return [_timing(inputs), endings_section(inputs), reproduction_section(inputs)]


def _timing(inputs: PageInputs) -> Section:
    timings = inputs.table("timings")
    by_trial = timings.groupby("trial").agg(
        epochs=("epochs", "max"),
        train_seconds=("train_seconds", "mean"),
        evaluate_seconds=("evaluate_seconds", "mean"),
    )
    by_trial["epoch_seconds"] = by_trial["train_seconds"] / by_trial["epochs"]
    hours = float((timings["train_seconds"] + timings["evaluate_seconds"]).sum()) / 3600
    machines = Counter(f"{row.device} on {row.host}" for row in timings.itertuples())
    where = [
        f"{machine} ({with_noun(folds, 'fold')})"
        for machine, folds in machines.most_common(MOST_ROWS)
    ]
    few = len(by_trial) <= MOST_ROWS
    return Section(
        "timing", "Time",
        "Seconds of a fold, as the mean over a trial’s folds. Folds ran side by side and "
        "perhaps beside other work, so they measure this run, not the machine.",
        tables=[_trial_times(inputs, by_trial) if few else _quantiles(by_trial)],
        notes=[f"{hours:.1f} hours of folds in all: {'; '.join(where)}."],
    )  # fmt: skip


def _trial_times(inputs: PageInputs, by_trial: pd.DataFrame) -> Table:
    labels = {e.name: f"{e.label}, {e.protocol}" for e in inputs.entries if not inputs.is_search}
    again = {r["trial"]: f"{r['repeats']} again" for r in inputs.rows("trials") if r["repeats"]}
    rows = [
        [
            with_note(name, again.get(name, "")),
            Cell(labels.get(name, "")),
            count(int(row["epochs"])),
            *_seconds(row),
        ]
        for name, (_, row) in zip(map(str, by_trial.index), by_trial.iterrows(), strict=True)
    ]
    return Table(["trial", "system", *_HEAD] if labels else ["trial", *_HEAD],
                 rows if labels else [[first, *rest] for first, _, *rest in rows])  # fmt: skip


def _quantiles(by_trial: pd.DataFrame) -> Table:
    rows = [
        [Cell(name), count(round(float(row["epochs"]))), *_seconds(row)]
        for name, share in QUANTILES.items()
        for row in [by_trial.quantile(share)]
    ]
    return Table([f"over {len(by_trial):,} trials", *_HEAD], rows, "each column by itself")


_HEAD = ("epochs", "training, s", "an epoch, s", "scoring, s")


def _seconds(row: "pd.Series[float]") -> Iterator[Cell]:
    yield number(row["train_seconds"], 1)
    yield number(row["epoch_seconds"], 2)
    yield number(row["evaluate_seconds"], 1)


def endings_section(inputs: PageInputs) -> Section:
    """Return how trials ended, and why those that did not complete."""
    states = Counter(str(record.state) for record in inputs.records)
    outcomes = "; ".join(
        f"{states[state]:,} {name}" for state, name in STATES.items() if states[state]
    )
    left = trial_source(inputs.study).size - len(inputs.records)
    tables = (_stopped(inputs.records), _cutoffs(inputs), _failed(inputs.records))
    is_spent, spent = _spent(inputs)
    not_run = f"; {left:,} not run{'' if is_spent else ' yet'}" if left > 0 else ""
    notes = [f"Trials: {outcomes}{not_run}."]
    if spent:
        ended = ", which ended the search" if is_spent else ""
        notes.append(f"Of the budget {spent} are spent{ended}.")
    if "trials" in inputs.tables and inputs.is_search:
        has_rungs = "rungs" in inputs.tables
        decided = ", rungs.parquet how each decision on it was made" if has_rungs else ""
        notes.append(f"trials.parquet says from what each trial was proposed{decided}.")
    return Section(
        "endings", "What was stopped or failed",
        "Early stopping (successive halving) ends a trial at an epoch where too many others were "
        "better, a paired test where its folds were worse than the best trial’s, and every "
        "trial at its next rung once a budget is spent. A failed trial has no "
        "scores; its reason is the first that was reported.",
        tables=[table for table in tables if table],
        notes=notes,
    )  # fmt: skip


def trials_fact(inputs: PageInputs) -> str:
    """Return how many trials ended, and of how many planned ones, if not all did, and why."""
    ended, planned = len(inputs.records), trial_source(inputs.study).size
    if ended >= planned:
        return with_noun(ended, "trial")
    is_spent, _ = _spent(inputs)
    return f"{ended:,} of {with_noun(planned, 'trial')}{', ended by its budget' * is_spent}"


def _spent(inputs: PageInputs) -> tuple[bool, str]:
    """Return whether the search's budget is spent, and how much of it; "" without one."""
    budget = Budget(inputs.study.search.budget, lambda: stored_seconds(inputs.ledger))
    by_name = {record.name: record for record in inputs.records}
    return budget.is_spent(by_name), budget.shown(by_name)


def _stopped(records: Sequence[TrialRecord]) -> Table | None:
    epochs = Counter(r.values[-1][0] for r in records if r.state == "pruned" and r.values)
    rows = []
    for epoch, stopped in sorted(epochs.items())[:MOST_ROWS]:
        reached = [r for r in records if r.values and r.values[-1][0] >= epoch]
        rows.append([count(epoch), count(len(reached)), count(stopped)])
    head = ["epoch", "trials that came so far", "stopped there"]
    caption = with_left_out("stopped early: at which epoch", len(epochs), MOST_ROWS, "trials")
    return Table(head, rows, caption) if rows else None


def _cutoffs(inputs: PageInputs) -> Table | None:
    """Return what each stopped trial had, and what it would have needed; the latest first."""
    rungs = inputs.rows("rungs")
    stopped = [row for row in reversed(rungs) if not row["goes_on"]]
    if not stopped:
        return None
    metric = inputs.study.search.metric
    rows = [
        [
            Cell(row["trial"]),
            Cell(RULES[row["rule"]]),
            count(row["epoch"]),
            Cell(had, "number"),
            Cell(needed, "number"),
            count(row["earlier"]),
        ]
        for row in stopped[:MOST_ROWS]
        for had, needed in [had_and_needed(row, is_error=not metric.reads_labels)]
    ]
    which_before = ", no worse in the other metrics" if inputs.study.search.metrics else ""
    head = ["trial", "by", "epoch", "it had", "it needed", f"of trials before it{which_before}"]
    which = f"the latest {MOST_ROWS} of {len(stopped):,}" if len(stopped) > MOST_ROWS else "each"
    return Table(head, rows, f"why it was stopped: {which}, in {metric_label(metric)}")


def _failed(records: Sequence[TrialRecord]) -> Table | None:
    failed = [record for record in records if record.state == "failed"]
    reasons = Counter(record.reason for record in failed)
    first = {record.reason: record.name for record in reversed(failed)}
    rows = [
        [Cell(reason[:300], "wrap"), count(times), Cell(first[reason])]
        for reason, times in reasons.most_common(MOST_ROWS)
    ]
    caption = with_left_out("failed", len(reasons), MOST_ROWS, "trials")
    return Table(["reason", "trials", "the first"], rows, caption) if rows else None


def reproduction_section(inputs: PageInputs) -> Section:
    """Return the study file, and what the same numbers rest on."""
    # The request of a run has no provenance: it is stored with the results.
    study, provenance = inputs.study, read_study(inputs.results).provenance or {}
    file = to_yaml(dump_study(study.model_copy(update={"provenance": None})))
    rows = [[Cell("samples"), Cell(str(provenance.get("samples_hash", "")), "code")]]
    if of_variants := provenance.get(VARIANTS):
        rows = [[Cell(f"samples, {label}"), Cell(str(each.get("samples_hash")), "code")]
                for label, each in of_variants.items()]  # fmt: skip
    rows += [[Cell(f"splits, protocol {name}"), Cell(str(value), "code")]
             for name, value in provenance.get("split_hash", {}).items()]  # fmt: skip
    versions = [[Cell("python"), Cell(str(provenance.get("python", "")), "code")]]
    versions += [[Cell(name), Cell(str(value), "code")]
                 for name, value in provenance.get("versions", {}).items()]  # fmt: skip
    command = shlex.join(["python", "-m", "study.run", f"{study.name}.yaml"])
    return Section(
        "again", "To run it again",
        Markup("Save the study file below as {}.yaml and start <code>{}</code>. With the same "
               "data (compare the hashes) and versions, the CPU gives the same scores, byte for "
               "byte.").format(study.name, command),
        tables=[
            Table(["data", "sha256"], rows, "hashes"),
            Table(["of", "version"], versions, "versions"),
        ],
        text={f"{study.name}.yaml": file},
    )  # fmt: skip
