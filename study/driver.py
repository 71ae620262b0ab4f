"""One run of a study: planned, prepared, searched and reported."""

import contextlib
import math
import shlex
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from study.errors import RequestError, StudyFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from study.config.schema import Study
    from study.ledger.ledger import Ledger
    from study.report.parallel import Executor
    from study.search.budget import Budget
    from study.search.plan import Plan
    from study.search.trial import TrialRecord
    from study.search.trial_source import TrialSource
    from study.storage.folder import Folder
    from study.training.prepared import Prepared

MOST_FOLDS_OF_A_CPU = 4
"""More of them take long to start, and gigabytes."""


@dataclass(frozen=True)
class Request:
    """A study that is to be planned or run, and where its results are.

    Attributes:
        study: the study.
        outputs: the folder of all results.
        console: where progress is shown.
        fresh: whether to start anew.
        replayed: results of the same study, whose proposals and decisions are followed.
        folder: that of the study file, where its data may be.
    """

    study: "Study"
    outputs: "Folder"
    console: "Console"
    fresh: bool
    replayed: "Folder | None" = None
    folder: "Path | None" = None

    @property
    def results(self) -> "Folder":
        """The study's results folder."""
        return self.outputs.folder(self.study.name)

    def source(self) -> "TrialSource":
        """Return where the study's trials come from, from the beginning."""
        from study.ledger.replay import known_proposals
        from study.search.sources import trial_source

        has_past = self.study.search.budget and not self.fresh
        known = known_proposals(self.ledger, ()) if has_past else ()
        return trial_source(self.study, known, is_spent=self.budget().is_spent)

    def budget(self) -> "Budget":
        """Return what the study may take, and what its runs have taken."""
        from study.ledger.run_time import stored_seconds
        from study.search.budget import Budget

        def seconds() -> float:
            # What is damaged is put aside before the study runs.
            with contextlib.suppress(StudyFailedError):
                return 0.0 if self.fresh else stored_seconds(self.ledger)
            return 0.0

        return Budget(self.study.search.budget, seconds)

    @cached_property
    def ledger(self) -> "Ledger":
        """The study's ledger; nobody else adds ended trials to it."""
        from study.ledger.index import open_ledger

        return open_ledger(self.results)

    def ended(self) -> "list[TrialRecord]":
        """Return the records of ended trials whose folds are all committed."""
        from study.ledger.trial_outcome import split_by_completeness

        return split_by_completeness(self.ledger)[0]

    def missing(self) -> list[str]:
        """Return the names of the trials that are still to run."""
        return self.source().missing({record.name: record for record in self.ended()})

    def warn(self, line: str) -> None:
        """Show a line on what is hardly meant."""
        self.console.print(f"{'warning':>12}  {line}", highlight=False, soft_wrap=True)

    def show_plan(
        self,
        plan: "Plan",
        of_cluster: Mapping[str, str] | None = None,
        prepared: "Prepared | None" = None,
    ) -> None:
        """Show what will run, and what stands against it where the data are known."""
        from study.terminal.progress import show_plan

        # What is started anew has no trials yet.
        ended = [] if self.fresh else self.ended()
        sizes = [self.ledger.size(record.name) for record in ended]
        trial_bytes = sum(sizes) / len(ended) if ended else 0.0
        spent = self.budget().shown({record.name: record for record in ended})
        lines = {"budget": spent and f"{spent} spent", **(of_cluster or {})}
        show_plan(self.console, self.study, self.source(), plan, ended, trial_bytes, lines)
        for line in prepared.warnings(self.study) if prepared else ():
            self.warn(line)
        if plan.cpu * MOST_FOLDS_OF_A_CPU < 1:
            self.warn(
                f"{1 / plan.cpu:.0f} folds share a CPU, each a process with PyTorch in its memory:"
                " lower split.folds"
            )


def plan_for_file(request: Request, file: str, price: float | None) -> None:
    """Show what would run, and at what cost, on a cluster that is not there."""
    if price is not None and not 0 <= price < math.inf:
        raise RequestError(f"--price must be a number from 0, found {price:g}")
    from study.ledger.trial_outcome import measured_costs
    from study.search.plan import make_plan
    from study.search.ray_up_file import described, read_cluster

    study, cluster = request.study, read_cluster(file)
    plan = make_plan(study, [cluster.head], cluster.growth)
    ended = [] if request.fresh else request.ended()
    left = len(request.source().missing({record.name: record for record in ended}))
    costs = measured_costs(request.ledger, ended)
    request.show_plan(plan, described(study, plan, cluster, left, price, costs))


def show_plan(
    request: Request, data: str | None, address: str | None, wait_seconds: float = 0.0
) -> None:
    """Show what would run on this machine, or on the cluster at `address`.

    Args:
        request: the study.
        data: the data folder; None for the user's.
        address: the cluster's; None for this machine.
        wait_seconds: how long to wait for the cluster's head.
    """
    from study.cluster.capacity import plan_on_cluster
    from study.cluster.connection import connected
    from study.cluster.head import await_head

    if address:
        await_head(address, wait_seconds)
        prepared = _prepare(request, data)
        with connected(address):
            plan, nodes = plan_on_cluster(request.study, is_private=False)
            request.show_plan(plan, nodes, prepared)
    else:
        plan, prepared = _checked_here(request, data)
        request.show_plan(plan, prepared=prepared)


def run_study(
    request: Request,
    data: str | None,
    address: str | None,
    on_lost: Callable[[str], object],
    wait_seconds: float = 0.0,
) -> None:
    """Run a study to its end, or continue it where it stopped.

    Args:
        request: the study.
        data: the data folder; None for the user's.
        address: the cluster's; None for a private one on this machine.
        on_lost: called from another thread, with the reason, if the cluster ends before that, or
            another driver takes the study over.
        wait_seconds: how long to wait for the head of the cluster at `address`.

    Raises:
        RequestError: something is wrong with the request; nothing was written or started.
        StudyFailedError: it could not finish.
    """
    from study.cluster.capacity import plan_on_cluster
    from study.cluster.connection import connected
    from study.cluster.head import await_head

    if address:
        await_head(address, wait_seconds)
        prepared = _prepare(request, data)
    else:
        _, prepared = _checked_here(request, data)
    with _begun(request, prepared, on_lost) as run:
        unfinished: list[str] = []
        if request.missing():
            with connected(address, on_lost):
                from study.cluster.executor import ClusterExecutor

                plan, nodes = plan_on_cluster(
                    request.study, request.console.print, is_private=not address
                )
                request.show_plan(plan, nodes, prepared)
                unfinished = _search(request, prepared, run, plan)
                # The cluster that trained fits the compositions too.
                _report(request, prepared, ClusterExecutor())
            request.results.remove("tune")
        else:
            _report(request, prepared)
    if unfinished:
        raise StudyFailedError(f"{len(unfinished)} trial(s) are not finished")


def _checked_here(request: Request, data: str | None) -> "tuple[Plan, Prepared]":
    """Return the plan for this machine, and what is trained on.

    Raises:
        RequestError: the folds do not fit, or as `_prepare`; both are said.
    """
    from study.search.plan import make_plan, this_machine

    problems: list[str] = []
    plan = prepared = None
    try:
        plan = make_plan(request.study, this_machine())
    except RequestError as error:
        problems += error.args
    try:
        prepared = _prepare(request, data)
    except RequestError as error:
        problems += error.args
    if plan is None or prepared is None:
        raise RequestError(*problems)
    return plan, prepared


def _prepare(request: Request, data: str | None) -> "Prepared":
    """Load and divide the dataset; nothing is written.

    Raises:
        RequestError: the data cannot be used so, or the results are of another study.
    """
    from study.config.samplers import sampler_entry
    from study.data import data_folder
    from study.ledger.learned import has_learned, trials_to_learn
    from study.ledger.replay import refuse_other_trials
    from study.ledger.study_folder import read_study, refuse_other_study
    from study.training.prepared import prepare

    study = request.study
    sampler_entry(study.search.sampler)  # refuses what cannot be imported
    prepared = prepare(study, data_folder(data), request.folder)
    samples, splits = prepared.samples, prepared.splits
    if not request.fresh:
        refuse_other_study(request.results, study, samples, splits)
    if request.replayed:
        read_study(request.replayed)  # refuses what holds no study
        refuse_other_study(request.replayed, study, samples, splits)
        if not request.fresh:
            refuse_other_trials(request.results, request.replayed)
    fixed = [request.replayed, None if request.fresh else request.results]
    if any(folder is not None and has_learned(folder) for folder in fixed):
        return prepared
    return replace(prepared, learned=trials_to_learn(study))


@contextlib.contextmanager
def _begun(
    request: Request, prepared: "Prepared", on_lost: Callable[[str], object]
) -> Iterator[str]:
    """Hold the study's folder, in order and with nothing damaged; return the run's name."""
    from study.ledger.learned import has_learned, trials_to_learn
    from study.ledger.recovery import recover
    from study.ledger.replay import copy_decisions
    from study.ledger.study_folder import put_aside, write_study
    from study.storage.locks import begin_run, sole_driver

    def show(line: str) -> None:
        request.console.print(line, soft_wrap=True, highlight=False)

    study, outputs, results = request.study, request.outputs, request.results
    with sole_driver(outputs, study.name, on_lost):
        run = uuid.uuid4().hex
        begin_run(outputs, study.name, run)
        if request.fresh and (aside := put_aside(outputs, study.name)):
            show(f"the results until now are in {aside}")
        for line in recover(results, request.ledger):
            show(line)
        write_study(results, study, prepared.samples, prepared.splits, prepared.facts)
        if request.replayed:
            copy_decisions(request.replayed, results)
        if study.search.learn_from and not has_learned(results):
            learned = prepared.learned
            request.ledger.record_learned(trials_to_learn(study) if learned is None else learned)
        yield run


def _search(request: Request, prepared: "Prepared", run: str, plan: "Plan") -> list[str]:
    """Run the trials that are missing; return the names of those that could not be finished."""
    from study.cluster.tune_search import run_search
    from study.ledger.run_time import RunTime
    from study.search.budget import Budget
    from study.terminal.progress import Display
    from study.training.hparams import reading_command, write_outcomes

    study, console, results = request.study, request.console, request.results
    console.print(f" TensorBoard  {reading_command(results)}", soft_wrap=True)
    watching = shlex.join(["python", "-m", "study.watch", results.locate()])
    console.print(f"{'page':>12}  {watching}", soft_wrap=True, highlight=False)

    class Observer(Display):
        """Shows trials here, and their outcomes in TensorBoard."""

        def on_ended(self, record: "TrialRecord") -> None:
            super().on_ended(record)
            write_outcomes([record], results)

    run_time = RunTime(request.ledger)
    budget = Budget(study.search.budget, run_time.seconds)
    observer = Observer(study.name, request.source(), console, budget)
    observer.start(request.ended())
    try:
        return run_search(
            study,
            plan,
            prepared.samples,
            prepared.splits,
            request.outputs,
            run,
            observer,
            request.ledger,
            run_time,
        )
    finally:
        observer.stop()


def _report(request: Request, prepared: "Prepared", executor: "Executor | None" = None) -> None:
    """Write tables, page and outcomes, and show what came of the study."""
    from study.ledger.answer import answers
    from study.ledger.study_folder import read_study
    from study.report.build import build_report
    from study.report.page.build import write_page
    from study.terminal.progress import show_front, show_summary, show_systems
    from study.training.hparams import reading_command, write_outcomes

    console, results = request.console, request.results
    study = read_study(results)  # with its provenance, as study.report has it
    report = build_report(study, prepared.facts, results, executor=executor)
    ended = request.ended()
    failed = [record for record in ended if record.state == "failed"]
    budget, by_name = request.budget(), {record.name: record for record in ended}
    if budget.is_spent(by_name):
        console.print(f"the budget is spent: {budget.shown(by_name)}", soft_wrap=True)
    for record in failed:
        console.print(f"{record.name} failed: {record.reason}", soft_wrap=True)
    completed = [each.record for each in answers(study, ended) if each.record.state == "completed"]
    if report is None or not completed:
        raise StudyFailedError("no trial completed" + (f": {failed[0].reason}" if failed else ""))
    best = completed[0]
    if best.trial.system:
        show_systems(console, study, report.summary)
    else:
        show_summary(console, study, request.source(), report.summary, best)
        show_front(console, study, report.tables.get("front"))
    constant = prepared.constant_value(best.trial.config.metric, best.trial.protocol)
    if constant is not None and best.best_value <= constant:
        request.warn(
            f"on validation {best.name} has {best.trial.config.metric.score} {best.best_value:.4f},"
            f" no better than a constant answer with {constant:.4f}"
        )
    write_outcomes(ended, results, report.summary)
    page = write_page(study, results, report.tables)
    for name, path in (
        ("report", page),
        ("scores", "scores.parquet"),
        ("summary", "summary.parquet"),
    ):
        console.print(f"{name:>12}  {results.locate(path)}", soft_wrap=True)
    console.print(f" TensorBoard  {reading_command(results)}", soft_wrap=True)
