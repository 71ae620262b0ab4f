"""What will run, as `study.run` prints it before it begins and `--plan` alone."""

from collections.abc import Mapping, Sequence

from rich.console import Console

from study.config.schema import StoppingSettings, Study
from study.search.plan import Plan
from study.search.rungs import FoldSchedule
from study.search.trial import TrialRecord
from study.search.trial_source import TrialSource


def show_plan(
    console: Console,
    study: Study,
    source: TrialSource,
    plan: Plan,
    ended: Sequence[TrialRecord],
    trial_bytes: float,
    of_cluster: Mapping[str, str] | None = None,
) -> None:
    """Print what will run.

    Args:
        console: where to.
        study: the study.
        source: where its trials come from.
        plan: resources of each fold, and trials at a time.
        ended: records of the trials that have ended.
        trial_bytes: what the ledger holds of each of them, on average; 0 if nothing.
        of_cluster: what else is known of where it runs, by the names of the lines.
    """
    left = len(source.missing({record.name: record for record in ended}))
    facts = source.facts
    what = "systems" if "systems" in facts else ", ".join(study.model_names)
    lines = {
        "study": f"{study.name}: {what} on {study.dataset.name}",
        "trials": f"{source.size} x {study.split.folds} folds x"
        f" {source.longest} epochs, {left} trials to run"
        + (f", {len(ended)} ended before" if ended else ""),
        **facts,
        "early stops": _early_stops(study.search.stopping),
        "folds": _raced(FoldSchedule.of(study)),
        "each fold": f"{plan.cpu:g} CPU, {plan.gpu:g} GPU, {plan.threads} thread(s)",
        "at a time": _at_a_time(plan, study.split.folds),
        **(of_cluster or {}),
        "disk": f"{trial_bytes / 1e6:.1f} MB a trial,"
        f" {trial_bytes * source.size / 1e9:.2f} GB when all have ended"
        if trial_bytes
        else "known when a trial has ended",
    }
    for name, text in lines.items():
        if text:
            console.print(f"{name:>12}  {text}", highlight=False, soft_wrap=True)


def _at_a_time(plan: Plan, folds: int) -> str:
    trials = f"{plan.trials_at_a_time} trial(s)"
    if plan.slots is not None:
        what = f"{plan.slots} fold(s), of at most {trials}"
        return f"{what} with at most {plan.workers} each" if plan.workers else what
    if plan.workers:
        return (
            f"{trials}, each with {plan.workers} of its {folds} folds; the others wait their turn"
        )
    return f"{trials}, each with all its folds"


def _early_stops(stopping: StoppingSettings | None) -> str:
    if stopping is None:
        return "none"
    rungs = f"ASHA from epoch {stopping.grace_epochs}, one in {stopping.reduction} goes on"
    paired = stopping.paired
    return f"{rungs}; {paired.test} every {paired.interval} epochs" if paired else rungs


def _raced(schedule: FoldSchedule) -> str:
    """Say how many folds train up to which epoch; "" if all do from the start."""
    if not schedule.is_raced:
        return ""
    steps = [
        f"{schedule.at(rung)} to epoch {rung}"
        for rung in schedule.rungs
        if schedule.at(rung) < schedule.after(rung)
    ]
    return f"{', '.join(steps)}, then all {schedule.all_folds}"
