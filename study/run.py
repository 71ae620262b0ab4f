"""`python -m study.run`: run a study, or continue it where it stopped."""

import math
import os
import shlex
import signal
import sys
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from study.errors import RequestError, StudyFailedError
from study.terminal.command import Command, give_up
from study.terminal.completion import complete_setting, complete_study

if TYPE_CHECKING:
    from rich.console import Console

    from study.config.schema import Study
    from study.data.samples import Samples
    from study.data.splits import Splits
    from study.ledger.study_folder import SplitFacts
    from study.report.parallel import Executor
    from study.search.plan import Plan
    from study.search.trial import TrialRecord
    from study.storage.folder import Folder

PROGRAM = "python -m study.run"

EXAMPLES = """\b
Examples:
  python -m study.run
  python -m study.run mitbih --set training.epochs=20 --set search.trials=10
  python -m study.run my_study.yaml --plan
  python -m study.run mitbih --plan --cluster cluster.yaml --price 0.6"""

app = Command("Run a study, or continue it where it stopped.")


@app.command(epilog=EXAMPLES)
def run(
    study: Annotated[
        str,
        typer.Argument(
            help="a shipped study's name, or the path of a YAML file",
            autocompletion=complete_study,
        ),
    ] = "quickstart",
    output: Annotated[str, typer.Option(help="folder or URI of all results")] = "results",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY.PATH=VALUE",
            help="override a setting; repeatable",
            autocompletion=complete_setting,
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="data folder; else STUDY_DATA_DIR, else a cache folder")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="a Ray cluster; else RAY_ADDRESS, else a private one on this machine"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="say what would run, and stop")] = False,
    cluster: Annotated[
        str | None,
        typer.Option(help="with --plan: the `ray up` file of a cluster that is not there"),
    ] = None,
    price: Annotated[
        float | None, typer.Option(help="with --cluster: what a worker node costs an hour")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="start anew; the old results are kept aside")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="replaces the study's seed")] = None,
) -> None:
    """Run STUDY, or continue it where it stopped."""
    from study.config.study_file import load_study

    request = load_study(study, set_ or (), seed)
    if cluster or price is not None:
        _plan_cluster(request, output, cluster, price, address, only_plan=plan, fresh=fresh)
        return
    address = address or os.environ.get("RAY_ADDRESS") or None
    _run(request, output, data, address, only_plan=plan, fresh=fresh)


def _plan_cluster(
    study: "Study",
    output: str,
    file: str | None,
    price: float | None,
    address: str | None,
    *,
    only_plan: bool,
    fresh: bool,
) -> None:
    if not (only_plan and file):
        raise RequestError("--cluster FILE plans for a cluster, with --plan; --price goes with it")
    if address:
        raise RequestError("--cluster is a cluster that is not there: leave --address out")
    if price is not None and not 0 <= price < math.inf:
        raise RequestError(f"--price must be a number from 0, found {price:g}")
    from study.ledger.ledger import Ledger
    from study.ledger.trial_outcome import measured_costs
    from study.search.plan import make_plan
    from study.search.ray_up_file import described, read_cluster
    from study.search.sources import trial_source
    from study.storage.folder import reach_folder
    from study.terminal.progress import open_console, show_plan

    planned, source = read_cluster(file), trial_source(study)
    plan = make_plan(study, [planned.head], planned.growth)
    results = reach_folder(output).folder(study.name)
    ended = [] if fresh else _ended(results)
    left = len(source.missing({record.name: record for record in ended}))
    costs = measured_costs(Ledger(results.folder("ledger")), ended)
    lines = described(study, plan, planned, left, price, costs)
    show_plan(open_console(), study, source, plan, ended, _trial_bytes(results, ended), lines)


def _run(
    study: "Study",
    output: str,
    data: str | None,
    address: str | None,
    *,
    only_plan: bool,
    fresh: bool,
) -> None:
    from study.search.plan import make_plan, this_machine
    from study.search.sources import trial_source
    from study.storage.folder import reach_folder
    from study.terminal.progress import open_console, show_plan

    console, source = open_console(), trial_source(study)
    outputs = reach_folder(output)
    results = outputs.folder(study.name)
    if not address:
        plan = make_plan(study, this_machine())
        if only_plan:
            ended = [] if fresh else _ended(results)
            show_plan(console, study, source, plan, ended, _trial_bytes(results, ended))
            return
    from study.data import data_folder, load
    from study.data.leakage import refuse_leakage
    from study.data.splits import splits_by_protocol
    from study.ledger.recovery import recover
    from study.ledger.study_folder import SplitFacts, put_aside, refuse_other_study, write_study
    from study.storage.locks import begin_run, sole_driver, unguarded

    samples = load(study.dataset, data_folder(data), study.seed)
    splits = splits_by_protocol(samples, study.split, study.seed)
    facts = {
        protocol: SplitFacts(divided.split_hash, refuse_leakage(samples, divided))
        for protocol, divided in splits.items()
    }
    if not fresh:
        refuse_other_study(results, study, samples, splits)
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    from study.cluster.capacity import plan_on_cluster
    from study.cluster.connection import connected

    if only_plan:
        with connected(address):
            ended = _ended(results)
            plan, nodes = plan_on_cluster(study, is_private=not address)
            show_plan(console, study, source, plan, ended, _trial_bytes(results, ended), nodes)
        return
    with sole_driver(outputs, study.name):
        if warning := unguarded(outputs):
            console.print(warning, soft_wrap=True, highlight=False)
        run = uuid.uuid4().hex
        begin_run(outputs, study.name, run)
        if fresh and (aside := put_aside(outputs, study.name)):
            console.print(f"the results until now are in {aside}", soft_wrap=True)
        for line in recover(results):
            console.print(line, soft_wrap=True, highlight=False)
        write_study(results, study, samples, splits, facts)
        unfinished: list[str] = []
        if source.missing({record.name: record for record in _ended(results)}):
            with connected(address, _lost):
                plan, nodes = plan_on_cluster(study, console.print, is_private=not address)
                unfinished = _search(
                    console,
                    study,
                    samples,
                    splits,
                    outputs,
                    run,
                    plan,
                    nodes,
                )
                # Ray may be imported in a connection only.
                from study.cluster.executor import ClusterExecutor

                # The cluster that trained fits the compositions too.
                _report(console, study, facts, results, ClusterExecutor())
            results.remove("tune")
        else:
            _report(console, study, facts, results)
    if unfinished:
        raise StudyFailedError(f"{len(unfinished)} trial(s) are not finished")


def _ended(results: "Folder") -> "list[TrialRecord]":
    from study.ledger.ledger import Ledger
    from study.ledger.trial_outcome import split_by_completeness

    return split_by_completeness(Ledger(results.folder("ledger")))[0]


def _trial_bytes(results: "Folder", ended: "list[TrialRecord]") -> float:
    return results.size("ledger") / len(ended) if ended else 0.0


def _search(
    console: "Console",
    study: "Study",
    samples: "Samples",
    splits: "dict[str, Splits]",
    outputs: "Folder",
    run: str,
    plan: "Plan",
    nodes: dict[str, str],
) -> list[str]:
    from study.cluster.tune_search import run_search
    from study.search.sources import trial_source
    from study.terminal.progress import Display, show_plan
    from study.training.events import reading_command, write_outcomes

    results, source = outputs.folder(study.name), trial_source(study)
    ended = _ended(results)
    show_plan(console, study, source, plan, ended, _trial_bytes(results, ended), nodes)
    console.print(f" TensorBoard  {reading_command(results)}", soft_wrap=True)

    class Observer(Display):
        """Shows trials here, and their outcomes in TensorBoard."""

        def on_ended(self, record: "TrialRecord") -> None:
            super().on_ended(record)
            write_outcomes([record], results)

    observer = Observer(study.name, source, console)
    observer.start(ended)
    try:
        return run_search(study, plan, samples, splits, outputs, run, observer)
    finally:
        observer.stop()


def _report(
    console: "Console",
    study: "Study",
    facts: "dict[str, SplitFacts]",
    results: "Folder",
    executor: "Executor | None" = None,
) -> None:
    from study.report.build import build_report
    from study.report.page.build import write_page
    from study.search.sources import trial_source
    from study.search.trial import best_trial
    from study.terminal.progress import show_summary, show_systems
    from study.training.events import reading_command, write_outcomes

    report = build_report(study, facts, results, executor=executor)
    ended = _ended(results)
    completed = [record for record in ended if record.state == "completed"]
    failed = [record for record in ended if record.state == "failed"]
    for record in failed:
        console.print(f"{record.name} failed: {record.reason}", soft_wrap=True)
    if report is None or not completed:
        raise StudyFailedError("no trial completed" + (f": {failed[0].reason}" if failed else ""))
    best = best_trial(completed)
    assert best is not None
    if best.trial.system:
        show_systems(console, study, report.summary)
    else:
        show_summary(console, study, trial_source(study), report.summary, best)
    write_outcomes(ended, results, report.summary)
    page = write_page(study, results, report.tables)
    console.print(f"      report  {results.locate(page)}", soft_wrap=True)
    console.print(f"      scores  {results.locate('scores.parquet')}", soft_wrap=True)
    console.print(f"     summary  {results.locate('summary.parquet')}", soft_wrap=True)
    console.print(f" TensorBoard  {reading_command(results)}", soft_wrap=True)


def _lost(what: str) -> None:
    give_up(what, continuing_command(sys.argv[1:]))


def continuing_command(arguments: list[str]) -> str:
    """Return the command that continues what `arguments` started."""
    return shlex.join([*PROGRAM.split(), *(a for a in arguments if a != "--fresh")])


def main() -> int:
    """Run the command line; return its exit code."""
    return app.main(continuing=continuing_command(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
