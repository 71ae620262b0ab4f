"""One run of a study: planned, prepared, searched and reported."""

import contextlib
import math
import shlex
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from study.errors import RequestError, StudyFailedError
from study.request import Request

if TYPE_CHECKING:
    from study.report.parallel import Executor
    from study.search.plan import Plan
    from study.search.trial import TrialRecord
    from study.training.prepared import Prepared


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
        RequestError: something is wrong with the request; nothing was written, and nothing that
            was started is left.
        StudyFailedError: it could not finish.
    """
    from study.cluster.connection import private_folder
    from study.cluster.head import await_head

    with contextlib.ExitStack() as held:
        folder = planned = None
        if address:
            await_head(address, wait_seconds)
            prepared = _prepare(request, data)
            if not request.is_reported:  # what does not fit is refused before anything is written
                planned = held.enter_context(_planned(request, address, on_lost))
        else:
            if not request.is_reported:
                folder = held.enter_context(private_folder())
            _, prepared = _checked_here(request, data)
        run = held.enter_context(_begun(request, prepared, on_lost))
        if request.fresh:  # what there was is aside by now
            request = replace(request, fresh=False)
        unfinished: list[str] = []
        if request.missing():
            with contextlib.ExitStack() as training:
                plan, nodes = planned or training.enter_context(
                    _planned(request, address, on_lost, folder)
                )
                from study.cluster.executor import ClusterExecutor

                request.show_plan(plan, nodes, prepared)
                unfinished = _search(request, prepared, run, plan)
                # The cluster that trained fits the compositions too.
                _report(request, prepared, ClusterExecutor())
            request.results.remove("tune")
        else:
            _report(request, prepared)
    if unfinished:
        raise StudyFailedError(f"{len(unfinished)} trial(s) are not finished")


@contextlib.contextmanager
def _planned(
    request: Request,
    address: str | None,
    on_lost: Callable[[str], object],
    folder: str | None = None,
) -> "Iterator[tuple[Plan, dict[str, str]]]":
    """Be connected to a cluster, and fit the study onto it; see `connected`.

    Raises:
        RequestError: it does not fit.
    """
    from study.cluster.capacity import plan_on_cluster
    from study.cluster.connection import connected

    with connected(address, on_lost, folder):
        yield plan_on_cluster(request.study, request.console.print, is_private=not address)


def _checked_here(request: Request, data: str | None) -> "tuple[Plan, Prepared]":
    """Return the plan for this machine, and what is trained on.

    Raises:
        RequestError: the folds do not fit, or as `_prepare`; both are reported.
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
    from study.storage.folder import is_same_folder
    from study.training.prepared import prepare

    study = request.study
    sampler_entry(study.search.sampler)  # refuses what cannot be imported
    prepared = prepare(study, data_folder(data), request.folder)
    trained_on = prepared.samples, prepared.splits, prepared.facts
    if not request.fresh:
        refuse_other_study(request.results, study, *trained_on)
    if request.replayed:
        if request.fresh and is_same_folder(request.replayed, request.results):
            raise RequestError(
                f"--replay: {request.replayed.locate()} is what --fresh puts aside: name another"
                " --output, or move it first"
            )
        read_study(request.replayed)  # refuses what holds no study
        refuse_other_study(request.replayed, study, *trained_on)
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
    budget = request.budget(run_time.seconds)
    observer = Observer(study.name, request.source(), console, budget)
    observer.start(request.ended())
    try:
        return run_search(
            study,
            plan,
            prepared.variants,
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
    from study.terminal.summary import show_front, show_range_ends, show_summary, show_systems
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
        show_summary(console, study, ended, report.summary, best)
        show_front(console, study, report.tables.get("front"))
        show_range_ends(console, study, ended)
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
